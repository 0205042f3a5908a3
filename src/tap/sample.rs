//! What is kept of the traffic, and how much of it.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::sync::Arc;

use crate::capture::{Headers, SampleRate};

/// Credentials, which no configuration can make us keep.
const NEVER_KEPT: [HeaderName; 4] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION, header::SET_COOKIE];

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
        kept.map(|(name, value)| (name.clone(), unpinned(value))).collect()
    }
}

/// A copy of a value: a clone would keep all of the connection's read buffer that it lies in.
pub(super) fn unpinned(value: &HeaderValue) -> HeaderValue {
    match value.as_bytes() {
        b"application/json" => HeaderValue::from_static("application/json"),
        // What was a value once is one again.
        bytes => HeaderValue::from_bytes(bytes).unwrap_or_else(|_| value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
