//! A request, checked and cleaned, put into the protocol that the model is spoken to in.

use super::body::{Asked, RequestBody};
use super::h1::Replay;
use super::headers;
use super::target;
use super::upstream::{Protocol, Upstream};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderName, Request, Uri, Version, header};

/// Fields that HTTP/2 has no place for, and which the proxy has left so far.
const OF_HTTP1: [HeaderName; 4] =
    [header::HOST, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE];

/// Its version says which protocol that is.
pub(super) fn fitted(
    mut request: Request<RequestBody>,
    upstream: &Upstream,
) -> Request<RequestBody> {
    match upstream.protocol_for(request.version()) {
        Protocol::Http1 => fit_http1(&mut request, upstream),
        Protocol::Http2 => fit_http2(&mut request, upstream),
    }
    request
}

fn fit_http1(request: &mut Request<RequestBody>, upstream: &Upstream) {
    if !request.headers().contains_key(header::HOST) {
        let host = target::host(request).unwrap_or_else(|| upstream.host().clone());
        headers::put_host_first(request.headers_mut(), host);
    }
    if request.version() == Version::HTTP_2 {
        headers::join_cookies(request.headers_mut());
    }
    let base = upstream.base_path();
    if request.uri().authority().is_some() || base.path() != "/" {
        *request.uri_mut() = Uri::from(target::path(request.uri(), base));
        if let Asked::Http1(body) = request.body_mut().inner_mut() {
            body.retargeted();
        }
    }
    *request.version_mut() = Version::HTTP_11;
}

fn fit_http2(request: &mut Request<RequestBody>, upstream: &Upstream) {
    leave_http1(request.body_mut());
    let path = target::path(request.uri(), upstream.base_path());
    raise(request, path, upstream);
}

/// Nobody will tell a waiting client to continue, or switch protocols with it.
fn leave_http1(body: &mut RequestBody) {
    if let Asked::Http1(body) = body.inner_mut() {
        body.continue_when_polled();
        body.stay_with_http();
    }
}

/// A request that was fit for HTTP/1, for an upstream that turns out to speak HTTP/2 only.
pub(super) fn raised(
    mut request: Request<Replay<RequestBody>>,
    upstream: &Upstream,
) -> Request<Replay<RequestBody>> {
    leave_http1(request.body_mut().inner_mut());
    let path = target::own_path(request.uri());
    raise(&mut request, path, upstream);
    request
}

fn raise<B>(request: &mut Request<B>, path: PathAndQuery, upstream: &Upstream) {
    let host = target::host(request);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let authority = authority.unwrap_or_else(|| upstream.authority().clone());
    *request.uri_mut() = target::absolute(path, authority, upstream.scheme());
    let is_of_http1 = |name: &HeaderName| OF_HTTP1.contains(name);
    if request.headers().keys().any(is_of_http1) {
        headers::retain(request.headers_mut(), |name| !is_of_http1(name));
    }
    *request.version_mut() = Version::HTTP_2;
}

/// A request that was fit for HTTP/2, for an upstream that turns out to speak HTTP/1 only.
pub(super) fn lowered<B>(mut request: Request<B>, upstream: &Upstream) -> Request<B> {
    let host = target::host(&request).unwrap_or_else(|| upstream.host().clone());
    headers::put_host_first(request.headers_mut(), host);
    headers::join_cookies(request.headers_mut());
    *request.uri_mut() = Uri::from(target::own_path(request.uri()));
    *request.version_mut() = Version::HTTP_11;
    request
}
