//! Browsers that have shown the admin token: each holds a random word in a cookie.
//!
//! In: the token, once, by a form. Out: a cookie, and later whether one is known. The promise: bounded
//! by count and by time; words are of 256 bits, live in memory only, and are compared in constant time.
//! A cookie is `HttpOnly` and `SameSite=Strict`: no script reads it and no other site can use it.

use super::token::same;
use axum::http::{HeaderMap, header};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;

pub(super) const COOKIE: &str = "taffrail_session";
/// From the login on; long enough for a working day.
const LIFETIME: Duration = Duration::from_secs(8 * 3600);
/// One more ends the oldest.
const MAX_SESSIONS: usize = 64;

#[derive(Debug, Error)]
#[error("the system gave no random bytes")]
pub(super) struct NoRandomness;

#[derive(Default)]
pub(super) struct Sessions {
    /// The oldest first.
    open: Mutex<VecDeque<Session>>,
}

struct Session {
    word: String,
    ends: Instant,
}

impl Sessions {
    /// A new session, as the value of `Set-Cookie`.
    pub(super) fn open(&self, now: Instant) -> Result<String, NoRandomness> {
        let word = random_word()?;
        let cookie = cookie(&word, LIFETIME.as_secs());
        let mut open = self.lock();
        open.retain(|session| session.ends > now);
        if open.len() >= MAX_SESSIONS {
            open.pop_front();
        }
        open.push_back(Session { word, ends: now + LIFETIME });
        Ok(cookie)
    }

    pub(super) fn knows(&self, headers: &HeaderMap, now: Instant) -> bool {
        let Some(given) = word(headers) else { return false };
        // All are compared, whichever fits.
        let mut known = false;
        for session in self.lock().iter() {
            let is_same = same(given, session.word.as_bytes());
            known |= is_same && session.ends > now;
        }
        known
    }

    /// Ends the session of the caller. Out: a cookie that takes the place of its own.
    pub(super) fn close(&self, headers: &HeaderMap) -> String {
        if let Some(given) = word(headers) {
            self.lock().retain(|session| !same(given, session.word.as_bytes()));
        }
        cookie("", 0)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cookie(word: &str, seconds: u64) -> String {
    format!("{COOKIE}={word}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}")
}

fn word(headers: &HeaderMap) -> Option<&[u8]> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let mut cookies = cookies.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    cookies.find_map(|cookie| {
        let cookie = cookie.trim_ascii().strip_prefix(COOKIE.as_bytes())?;
        cookie.strip_prefix(b"=")
    })
}

/// 256 bits from the provider that TLS uses, in hexadecimal.
fn random_word() -> Result<String, NoRandomness> {
    let mut bytes = [0; 32];
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| NoRandomness)?;
    let mut word = String::with_capacity(64);
    for byte in bytes {
        let _ = write!(word, "{byte:02x}");
    }
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(set_cookie: &str) -> HeaderMap {
        let pair = set_cookie.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("theme=dark; {pair}").parse().unwrap());
        headers
    }

    #[test]
    fn a_session_is_known_until_it_expires_or_is_closed() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (first, second) = (sessions.open(now).unwrap(), sessions.open(now).unwrap());
        assert_ne!(first, second);
        assert!(first.contains("HttpOnly") && first.contains("SameSite=Strict"), "{first}");
        assert!(sessions.knows(&sent(&first), now + LIFETIME / 2));
        assert!(!sessions.knows(&sent(&first), now + LIFETIME));
        sessions.close(&sent(&first));
        assert!(!sessions.knows(&sent(&first), now) && sessions.knows(&sent(&second), now));
    }

    #[test]
    fn a_guess_and_the_cookie_of_nobody_open_nothing() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let _ = sessions.open(now).unwrap();
        for guess in ["", "0", &"0".repeat(64)] {
            assert!(!sessions.knows(&sent(&format!("{COOKIE}={guess}")), now), "{guess}");
        }
        assert!(!sessions.knows(&HeaderMap::new(), now));
    }

    #[test]
    fn the_oldest_session_ends_when_there_are_too_many() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.open(now).unwrap();
        let second = sessions.open(now).unwrap();
        (2..=MAX_SESSIONS).for_each(|_| drop(sessions.open(now).unwrap()));
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
        assert!(!sessions.knows(&sent(&first), now) && sessions.knows(&sent(&second), now));
    }
}
