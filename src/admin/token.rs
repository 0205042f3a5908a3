//! Who may see payloads: the callers that know the admin token, or have shown it in this session.

use super::refusal::Refusal;
use super::session::Sessions;
use crate::config::Secret;
use axum::http::{HeaderMap, StatusCode, header};
use std::time::Instant;

/// Passes callers that send `Authorization: Bearer <token>` or the cookie of a session.
pub(super) fn require_token_or_session(
    token: Option<&Secret>,
    sessions: &Sessions,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    if token.is_some() && sessions.knows(headers, Instant::now()) {
        return Ok(());
    }
    require(token, headers)
}

/// Whether a form brought the token.
pub(super) fn is_token(token: Option<&Secret>, given: &str) -> bool {
    token.is_some_and(|token| same(given.trim().as_bytes(), token.expose().as_bytes()))
}

/// Passes callers that send `Authorization: Bearer <token>`.
pub(super) fn require(token: Option<&Secret>, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(token) = token else {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "no_token_configured",
            "Payloads are shown only to callers with the admin token, and none is configured. \
             Put a secret into a file and name it in `admin.token_file` (--admin-token-file).",
        ));
    };
    match bearer(headers) {
        Some(given) if same(given, token.expose().as_bytes()) => Ok(()),
        Some(_) => Err(unauthorized("The admin token that was sent is not the configured one.")),
        None => Err(unauthorized("Payloads need `Authorization: Bearer <admin token>`.")),
    }
}

fn unauthorized(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "token_required", message)
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Takes as long for a wrong guess as for a right one of the same length. `black_box` keeps the
/// compiler from leaving the loop at the first difference.
pub(super) fn same(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != expected.len());
    for (index, byte) in given.iter().enumerate() {
        let other = expected.get(index).copied().unwrap_or(!byte);
        difference = std::hint::black_box(difference | (byte ^ other));
    }
    difference == 0 && !expected.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        assert!(same(b"secret", b"secret"));
        for wrong in [&b"secre"[..], b"secrets", b"Secret", b"", b"secre\0"] {
            assert!(!same(wrong, b"secret"), "{wrong:?}");
        }
    }

    #[test]
    fn an_empty_token_opens_nothing() {
        assert!(!same(b"", b""));
    }
}
