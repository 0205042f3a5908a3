//! How a page was asked for: where it stands below the root, with which parameters, whole or in part.

use super::query::Parameters;
use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::convert::Infallible;
use std::fmt::Write as _;

/// Sent by the page's own script, which replaces what changed.
const FRAGMENT: HeaderName = HeaderName::from_static("x-taffrail-fragment");

/// What a segment of a path and a value of a query may hold as it is (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Debug)]
pub(super) struct Visit {
    /// From this page to the root, such as `../`: links are relative, so that they hold behind a proxy
    /// that serves the admin address below a path of its own.
    pub(super) root: String,
    pub(super) parameters: Parameters,
    /// Only what changes is wanted.
    pub(super) is_fragment: bool,
    /// Without a script, the page is loaded again by itself; `refresh=off` stops that.
    pub(super) refreshes: bool,
    query: String,
}

impl Visit {
    /// This page with one parameter set otherwise, as a relative link.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let kept = self.query.split('&').filter(|pair| {
            !pair.is_empty() && pair.split('=').next().is_some_and(|known| known != name)
        });
        let mut link = "?".to_owned();
        for pair in kept {
            let _ = write!(link, "{pair}&");
        }
        let _ = write!(link, "{name}={}", encoded(value));
        link
    }
}

/// Text as it stands in a path or in a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let parameters = Parameters::of(&parts.uri);
        let depth = parts.uri.path().matches('/').count().saturating_sub(1);
        Ok(Self {
            root: if depth == 0 { "./".to_owned() } else { "../".repeat(depth.min(64)) },
            is_fragment: parts.headers.contains_key(FRAGMENT),
            refreshes: parameters.get("refresh") != Some("off"),
            parameters,
            query: parts.uri.query().unwrap_or_default().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn visit(uri: &str) -> Visit {
        let request = axum::http::Request::get(uri).body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        let Ok(visit) = Visit::from_request_parts(&mut parts, &()).await;
        visit
    }

    #[tokio::test]
    async fn a_link_sets_one_parameter_and_keeps_the_others() {
        let visit = visit("/drift?sort=psi&window=5m&page=2").await;
        assert_eq!(visit.with("sort", "a b&c"), "?window=5m&page=2&sort=a%20b%26c");
    }

    #[tokio::test]
    async fn the_root_is_found_from_every_depth() {
        for (uri, root) in [("/", "./"), ("/drift?x=/a/b", "./"), ("/features/a%2Fb", "../")] {
            assert_eq!(visit(uri).await.root, root, "{uri}");
        }
    }
}
