//! When to try again.

use http::{HeaderMap, header};
use std::time::{Duration, SystemTime};

/// A receiver that asks for more is asked again after this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// Delays that double, each shortened at random by up to a half, so that a fleet does not return
/// in step.
#[derive(Debug)]
pub(in crate::export) struct Backoff(pub(in crate::export) Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Duration::from_millis(500))
    }
}

impl Backoff {
    pub(in crate::export) const LONGEST: Duration = Duration::from_secs(30);

    pub(in crate::export) fn next(&mut self) -> Duration {
        let delay = self.0;
        self.0 = (delay * 2).min(Self::LONGEST);
        delay.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// In seconds, or until a date (RFC 9110, 10.2.3).
pub(in crate::export) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = text.parse().ok().map(Duration::from_secs).or_else(|| until_date(text))?;
    Some(at_most(delay))
}

pub(in crate::export) fn at_most(delay: Duration) -> Duration {
    delay.min(LONGEST_RETRY_AFTER)
}

fn until_date(text: &str) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let date = SystemTime::from(date.timestamp());
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;

    fn asked(value: &str) -> Option<Duration> {
        let response = Response::builder().header("retry-after", value).body(());
        retry_after(response.unwrap().headers())
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("Fri, 01 Jan 2100 00:00:00 GMT"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn delays_double_up_to_a_bound_and_never_fall_below_half() {
        let mut backoff = Backoff::default();
        let delays: Vec<Duration> = (0..12).map(|_| backoff.next()).collect();
        assert!(delays[0] >= Duration::from_millis(250) && delays[0] <= Duration::from_millis(500));
        assert!(delays[11] >= Backoff::LONGEST / 2 && delays[11] <= Backoff::LONGEST);
    }
}
