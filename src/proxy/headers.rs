//! Fields that belong to one connection and not to the message (RFC 9110 section 7.6.1).
//!
//! Taken out both ways, with those that `Connection` names. What stays keeps its order. `TE` shrinks
//! to `trailers`, the one value that can be honoured end to end. `Transfer-Encoding` is left to the
//! HTTP implementation, which frames by it.

use super::body::Leased;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use smallvec::SmallVec;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// What the sender said of the connection that the fields came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    KeepOpen,
    Close,
}

type Names = SmallVec<[HeaderName; 4]>;

pub(super) fn cleaned<B>(mut request: Request<B>) -> Request<B> {
    strip_hop_by_hop(request.headers_mut());
    request
}

/// A connection that the upstream will close is not given back.
pub(super) fn cleaned_answer(mut answer: Response<Leased>) -> Response<Leased> {
    if strip_hop_by_hop(answer.headers_mut()) == Afterwards::Close {
        answer.body_mut().lease = None;
    }
    answer
}

fn strip_hop_by_hop(headers: &mut HeaderMap) -> Afterwards {
    if !headers.keys().any(is_hop_by_hop) {
        return Afterwards::KeepOpen;
    }
    let named = named_by_connection(headers);
    let wants_trailers = has_token(headers, &TE, "trailers");
    let afterwards = if has_token(headers, &CONNECTION, "close") {
        Afterwards::Close
    } else {
        Afterwards::KeepOpen
    };
    retain(headers, |name| {
        name == TE && wants_trailers || !is_hop_by_hop(name) && !named.contains(name)
    });
    if wants_trailers {
        headers.insert(TE, TRAILERS);
    }
    afterwards
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
        assert_eq!(strip_hop_by_hop(&mut headers), Afterwards::KeepOpen);
        assert_eq!(names(&headers), ["host", "x-first", "x-second", "x-third"]);
        assert_eq!(headers.get_all("x-first").iter().collect::<Vec<_>>(), ["1", "3"]);
    }

    #[test]
    fn te_shrinks_to_trailers_or_nothing() {
        let mut headers = map(&[("te", "gzip, trailers;q=0.5"), ("connection", "te, close")]);
        assert_eq!(strip_hop_by_hop(&mut headers), Afterwards::Close);
        assert_eq!(headers, map(&[("te", "trailers")]));
        let mut headers = map(&[("te", "gzip")]);
        strip_hop_by_hop(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn connection_cannot_name_away_the_framing() {
        let mut headers = map(&[("connection", "content-length, host"), ("content-length", "3")]);
        headers.insert(HOST, HeaderValue::from_static("a"));
        strip_hop_by_hop(&mut headers);
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
