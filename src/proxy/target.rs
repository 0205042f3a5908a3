//! Whom a request is for: `Host`, `:authority` and absolute-form, which have to agree.
//!
//! In: a request's head as it came. Out: the one authority it names, if it names one. A request that two readers
//! could route differently is refused (RFC 9112 section 3.2), and the upstream sees nothing of it.

use super::h1::{self, BadFraming};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Uri, Version, header};
use std::net::Ipv6Addr;
use thiserror::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("the request has no Host header; HTTP/1.1 demands one")]
    MissingHost,
    #[error("the request has more than one Host header")]
    SeveralHosts,
    #[error("the Host header is not one host with an optional port")]
    InvalidHost,
    #[error("the Host header and the authority of the request's target differ")]
    HostMismatch,
    #[error("the :path is not one that begins with a slash")]
    InvalidPath,
    #[error("the :scheme is neither http nor https")]
    InvalidScheme,
    #[error(transparent)]
    Framing(#[from] BadFraming),
    #[error("CONNECT asks for a tunnel, which this proxy does not make")]
    Connect,
}

impl Refusal {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::MissingHost => "missing_host",
            Self::SeveralHosts => "several_hosts",
            Self::InvalidHost => "invalid_host",
            Self::HostMismatch => "host_mismatch",
            Self::InvalidPath => "invalid_path",
            Self::InvalidScheme => "invalid_scheme",
            Self::Framing(_) => "invalid_framing",
            Self::Connect => "connect_refused",
        }
    }
}

pub(super) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    if request.version() == Version::HTTP_2 {
        check_http2(request)?;
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::SeveralHosts);
    }
    if host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(Refusal::InvalidHost);
    }
    match (host, request.uri().authority()) {
        (Some(_), None) => Ok(()),
        (Some(host), Some(authority)) if is_same(host, authority) => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::HostMismatch),
        (None, Some(_)) if request.version() == Version::HTTP_2 => Ok(()),
        (None, _) if request.version() <= Version::HTTP_10 => Ok(()),
        (None, _) => Err(Refusal::MissingHost),
    }
}

/// What the codec of HTTP/1 has checked before, and hyper leaves to us for HTTP/2.
fn check_http2<B>(request: &Request<B>) -> Result<(), Refusal> {
    let uri = request.uri();
    let path = uri.path_and_query().map_or("", PathAndQuery::as_str);
    let is_star = path == "*" && request.method() == Method::OPTIONS;
    if !path.starts_with('/') && !is_star {
        return Err(Refusal::InvalidPath);
    }
    if let Some(authority) = uri.authority() {
        if !is_host(authority.as_str().as_bytes()) {
            return Err(Refusal::InvalidHost);
        }
        if ![Some("http"), Some("https")].contains(&uri.scheme_str()) {
            return Err(Refusal::InvalidScheme);
        }
    }
    h1::framing_of(request.headers(), Version::HTTP_11)?;
    Ok(())
}

/// The authority that a checked request names; `None` where HTTP/1.0 named none.
pub(super) fn host<B>(request: &Request<B>) -> Option<HeaderValue> {
    if let Some(host) = request.headers().get(header::HOST) {
        return Some(host.clone());
    }
    let authority = request.uri().authority().filter(|_| request.version() == Version::HTTP_2)?;
    // An authority is made of characters that a header may carry.
    HeaderValue::from_str(authority.as_str()).ok()
}

/// An empty value is allowed: a target without authority has an empty Host.
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || is_plain_host(value) || is_parsed_host(value)
}

fn is_parsed_host(value: &[u8]) -> bool {
    let Some(authority) = Authority::try_from(value).ok() else { return false };
    let text = authority.as_str();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => (host, port),
            _ => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_port = |port: &str| port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    !host.is_empty() && !text.contains(['@', ',']) && is_port(port)
}

/// An empty one is allowed (RFC 3986 section 3.2.3).
fn is_port(digits: &str) -> bool {
    digits.bytes().all(|digit| digit.is_ascii_digit())
        && (digits.is_empty() || digits.parse::<u16>().is_ok())
}

/// A name or an IPv4 address, maybe with a port: what nearly every Host is, told without the
/// allocation that parsing makes.
fn is_plain_host(value: &[u8]) -> bool {
    let mut parts = value.splitn(2, |byte| *byte == b':');
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let has_name = parts.next().is_some_and(|name| !name.is_empty() && name.iter().all(is_name));
    let value_of =
        |port: &[u8]| port.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let is_port = |port: &[u8]| {
        matches!(port.len(), 1..=5)
            && port.iter().all(u8::is_ascii_digit)
            && u16::try_from(value_of(port)).is_ok()
    };
    has_name && parts.next().is_none_or(is_port)
}

fn is_same(host: &HeaderValue, authority: &Authority) -> bool {
    let with_default_port = |text: &str| text.strip_suffix(":80").unwrap_or(text).to_owned();
    let host = host.to_str().map(with_default_port).unwrap_or_default();
    host.eq_ignore_ascii_case(&with_default_port(authority.as_str()))
}

/// The path sent upstream: the request's own, after `base` if there is one.
pub(super) fn path(uri: &Uri, base: &PathAndQuery) -> PathAndQuery {
    let own = own_path(uri);
    let base = base.path().trim_end_matches('/');
    if own == "*" || (base.is_empty() && own.as_str().starts_with('/')) {
        return own;
    }
    // Of `http://host?a=b` the path is empty, and shown as a slash (RFC 9112 section 3.2.1).
    PathAndQuery::try_from(format!("{base}{own}")).unwrap_or(own)
}

pub(super) fn own_path(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}

/// The target as HTTP/2 wants it: whole.
pub(super) fn absolute(path: PathAndQuery, authority: Authority, scheme: Scheme) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path.clone());
    Uri::from_parts(parts).unwrap_or_else(|_| Uri::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    fn outcome(version: Version, uri: &str, hosts: &[&str]) -> Result<Option<String>, Refusal> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let request = request.body(()).unwrap();
        check(&request).map(|()| host(&request).map(|host| host.to_str().unwrap().to_owned()))
    }

    #[test]
    fn one_host_and_only_one() {
        let h1 = |hosts: &[&str]| outcome(Version::HTTP_11, "/", hosts);
        assert_eq!(h1(&["model:80"]), Ok(Some("model:80".to_owned())));
        assert_eq!(h1(&["[::1]:80"]), Ok(Some("[::1]:80".to_owned())));
        assert_eq!(h1(&[]), Err(Refusal::MissingHost));
        assert_eq!(h1(&["a", "a"]), Err(Refusal::SeveralHosts));
        for invalid in ["a, b", "a b", "a/b", "u@a", "a:b:c"] {
            assert_eq!(h1(&[invalid]), Err(Refusal::InvalidHost), "{invalid}");
        }
        assert_eq!(outcome(Version::HTTP_10, "/", &[]), Ok(None));
    }

    proptest! {
        #[test]
        fn a_plain_host_is_one_that_parses(text in "[a-zA-Z0-9.:@,-]{0,12}") {
            prop_assert!(!is_plain_host(text.as_bytes()) || is_parsed_host(text.as_bytes()));
        }
    }

    #[test]
    fn an_absolute_target_has_to_name_the_same_host() {
        let h1 = |uri, host| outcome(Version::HTTP_11, uri, &[host]);
        assert!(h1("http://Model/x", "model").is_ok());
        assert!(h1("http://model:80/x", "model").is_ok());
        assert_eq!(h1("http://model/x", "other"), Err(Refusal::HostMismatch));
        assert_eq!(outcome(Version::HTTP_2, "http://a/x", &[]), Ok(Some("a".to_owned())));
        assert_eq!(outcome(Version::HTTP_2, "http://a/x", &["b"]), Err(Refusal::HostMismatch));
    }

    #[test]
    fn the_base_path_goes_before_the_requests_own() {
        let joined = |uri: &'static str, base| {
            path(&Uri::from_static(uri), &PathAndQuery::from_static(base)).to_string()
        };
        assert_eq!(joined("/a?b=c", "/"), "/a?b=c");
        assert_eq!(joined("/a?b=c", "/models/"), "/models/a?b=c");
        assert_eq!(joined("/%7Ea//b", "/m"), "/m/%7Ea//b");
        assert_eq!(joined("*", "/m"), "*");
    }
}
