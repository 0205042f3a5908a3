//! What is kept of the traffic, and how much of it.

use http::{HeaderMap, HeaderName, header};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::capture::Headers;

/// Credentials, which no configuration can make us keep.
const NEVER_KEPT: [HeaderName; 4] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION, header::SET_COOKIE];

/// The share of exchanges that are kept, in [0, 1]. Analysis lowers it when it falls behind; each
/// exchange carries the rate it was kept at, so that estimates can be weighted.
#[derive(Debug)]
pub struct SampleRate(AtomicU64);

impl SampleRate {
    /// A rate outside [0, 1] is taken as the nearer of the two; not a number is 0.
    pub fn new(rate: f64) -> Self {
        Self(AtomicU64::new(clamped(rate).to_bits()))
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    pub fn set(&self, rate: f64) {
        self.0.store(clamped(rate).to_bits(), Relaxed);
    }

    /// Draws: the rate if this exchange is to be kept.
    pub(super) fn draw(&self) -> Option<f64> {
        let rate = self.get();
        (rate >= 1.0 || fastrand::f64() < rate).then_some(rate)
    }
}

fn clamped(rate: f64) -> f64 {
    if rate.is_nan() { 0.0 } else { rate.clamp(0.0, 1.0) }
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub enabled: bool,
    pub sample: Arc<SampleRate>,
    /// Of each body; what is beyond is counted, not kept.
    pub max_body_bytes: usize,
    /// Headers kept beside the payload. Credentials among them are ignored.
    pub headers: Arc<[HeaderName]>,
}

impl Settings {
    pub(super) fn kept_headers(&self, headers: &HeaderMap) -> Headers {
        if self.headers.is_empty() {
            return Headers::new();
        }
        let allowed = |name: &HeaderName| self.headers.contains(name) && !NEVER_KEPT.contains(name);
        let kept = headers.iter().filter(|(name, _)| allowed(name));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn credentials_are_never_kept_even_if_asked_for() {
        let mut headers = HeaderMap::new();
        for name in
            ["x-tenant", "authorization", "cookie", "set-cookie", "proxy-authorization", "x-b"]
        {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let asked = NEVER_KEPT.into_iter().chain([HeaderName::from_static("x-tenant")]).collect();
        let sample = Arc::new(SampleRate::new(1.0));
        let settings = Settings { enabled: true, sample, max_body_bytes: 0, headers: asked };
        let kept = settings.kept_headers(&headers);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].0, "x-tenant");
    }

    #[test]
    fn a_rate_of_zero_keeps_nothing_and_of_one_everything() {
        assert!((0..1000).all(|_| SampleRate::new(0.0).draw().is_none()));
        assert!((0..1000).all(|_| SampleRate::new(7.0).draw() == Some(1.0)));
        assert_eq!(SampleRate::new(f64::NAN).draw(), None);
    }
}
