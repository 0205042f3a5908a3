//! Fields that belong to one connection and not to the message (RFC 9110 section 7.6.1).
//!
//! Taken out both ways, with those that `Connection` names. What stays keeps its order. `TE` shrinks
//! to `trailers`, the one value that can be honoured end to end. `Transfer-Encoding` is left to the
//! HTTP implementation, which frames by it.

use super::body::{RequestBody, Told};
use super::h1::Asking as _;
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use smallvec::SmallVec;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

type Names = SmallVec<[HeaderName; 4]>;

pub(super) fn cleaned(mut request: Request<RequestBody>) -> Request<RequestBody> {
    let upgrade = if request.body().asks_upgrade() { Upgrade::Asked } else { Upgrade::None };
    strip_hop_by_hop(request.headers_mut(), upgrade);
    request
}

pub(super) fn cleaned_answer(mut answer: Response<Told>) -> Response<Told> {
    let is_switch = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    strip_hop_by_hop(answer.headers_mut(), if is_switch { Upgrade::Asked } else { Upgrade::None });
    answer
}

/// Whether the message is about another protocol for the connection, which both peers then speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    None,
    Asked,
}

fn strip_hop_by_hop(headers: &mut HeaderMap, upgrade: Upgrade) {
    if !headers.keys().any(is_hop_by_hop) {
        return;
    }
    let named = named_by_connection(headers);
    let wants_trailers = has_token(headers, &TE, "trailers");
    retain(headers, |name| {
        name == TE && wants_trailers
            || upgrade == Upgrade::Asked && (name == UPGRADE || name == CONNECTION)
            || !is_hop_by_hop(name) && !named.contains(name)
    });
    if wants_trailers {
        headers.insert(TE, TRAILERS);
    }
    if upgrade == Upgrade::Asked && !is_only_upgrade(headers) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
}

/// `Connection` may say `keep-alive` too, which is between its sender and us.
fn is_only_upgrade(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONNECTION).iter();
    let is_upgrade = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"upgrade");
    values.next().is_some_and(is_upgrade) && values.next().is_none()
}

/// Keeps the fields that `is_kept`, in their order. `HeaderMap::remove` would move the last field
/// into the gap, so the map is built anew.
pub(super) fn retain(headers: &mut HeaderMap, is_kept: impl Fn(&HeaderName) -> bool) {
    let all = std::mem::take(headers);
    headers.reserve(all.len());
    let mut current: Option<HeaderName> = None;
    for (name, value) in all {
        // A field's second and later values come without its name.
        if name.is_some() {
            current = name.filter(&is_kept);
        }
        if let Some(name) = &current {
            headers.append(name.clone(), value);
        }
    }
}

/// `host` as the first field, where a reader of HTTP/1.1 expects it.
pub(super) fn put_host_first(headers: &mut HeaderMap, host: HeaderValue) {
    let mut rest = std::mem::take(headers);
    rest.remove(HOST);
    headers.reserve(rest.len() + 1);
    headers.append(HOST, host);
    headers.extend(rest);
}

/// HTTP/2 may send a cookie in crumbs, which HTTP/1 has to get in one piece (RFC 9113 section 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    if crumbs.next().is_none() || crumbs.next().is_none() {
        return;
    }
    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Valid values joined by what is valid between them.
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TE
        || *name == UPGRADE
        || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
}

/// A sender cannot take away what the message cannot be framed or routed without.
fn named_by_connection(headers: &HeaderMap) -> Names {
    let is_essential =
        |name: &HeaderName| [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, TE].contains(name);
    let tokens = headers.get_all(CONNECTION).iter().flat_map(tokens);
    let names = tokens.filter_map(|token| HeaderName::from_bytes(token).ok());
    names.filter(|name| !is_essential(name)).collect()
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let mut tokens = headers.get_all(name).iter().flat_map(tokens);
    // A weight, as in `trailers;q=0.5`, does not change what was asked for.
    tokens.any(|token| {
        let bare = token.split(|byte| *byte == b';').next().unwrap_or(token);
        bare.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
    })
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn what_belongs_to_the_connection_goes_and_the_rest_keeps_its_order() {
        let mut headers = map(&[
            ("host", "a"),
            ("connection", "Keep-Alive, X-Secret"),
            ("keep-alive", "timeout=5"),
            ("x-first", "1"),
            ("x-secret", "s"),
            ("x-second", "2"),
            ("x-first", "3"),
            ("upgrade", "h2c"),
            ("x-third", "4"),
        ]);
        strip_hop_by_hop(&mut headers, Upgrade::None);
        assert_eq!(names(&headers), ["host", "x-first", "x-second", "x-third"]);
        assert_eq!(headers.get_all("x-first").iter().collect::<Vec<_>>(), ["1", "3"]);
    }

    #[test]
    fn an_upgrade_passes_and_nothing_else_of_the_connection() {
        let mut headers = map(&[
            ("connection", "keep-alive, Upgrade, x-a"),
            ("x-a", "1"),
            ("upgrade", "websocket"),
            ("keep-alive", "timeout=5"),
        ]);
        strip_hop_by_hop(&mut headers, Upgrade::Asked);
        assert_eq!(headers, map(&[("connection", "Upgrade"), ("upgrade", "websocket")]));
    }

    #[test]
    fn te_shrinks_to_trailers_or_nothing() {
        let mut headers = map(&[("te", "gzip, trailers;q=0.5"), ("connection", "te, close")]);
        strip_hop_by_hop(&mut headers, Upgrade::None);
        assert_eq!(headers, map(&[("te", "trailers")]));
        let mut headers = map(&[("te", "gzip")]);
        strip_hop_by_hop(&mut headers, Upgrade::None);
        assert!(headers.is_empty());
    }

    #[test]
    fn connection_cannot_name_away_the_framing() {
        let mut headers = map(&[("connection", "content-length, host"), ("content-length", "3")]);
        headers.insert(HOST, HeaderValue::from_static("a"));
        strip_hop_by_hop(&mut headers, Upgrade::None);
        assert_eq!(names(&headers), ["content-length", "host"]);
    }

    #[test]
    fn host_goes_first_and_replaces_another() {
        let mut headers = map(&[("a", "1"), ("host", "old"), ("b", "2")]);
        put_host_first(&mut headers, HeaderValue::from_static("new"));
        assert_eq!(headers.keys().next(), Some(&HOST));
        assert_eq!(headers.get_all(HOST).iter().collect::<Vec<_>>(), ["new"]);
    }
}
