//! One exchange, from the client's head to the model's: checked, cleaned, sent, answered.

use super::body::{RequestBody, ResponseBody, Source};
use super::drain::Phase;
use super::expect::{self, Hold, Release};
use super::headers::{self, Afterwards};
use super::reply;
use super::server::Server;
use super::target::{self, Refusal};
use super::upstream::{Answer, Protocol, UpstreamError};
use crate::capture::Fault;
use crate::tap::{Body, OpenExchange, Side};
use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderValue, Request, Response, Uri, Version, header, request, response};
use http_body::Body as _;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::rc::Rc;

/// Answers every request: with what the model says, or with why there is nothing it said.
pub(super) async fn forward(
    server: Rc<Server>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let (mut head, body) = request.into_parts();
    let came_over = head.version;
    let exchange = server.tap.open(&mut head);
    let protocol = server.upstream.protocol_for(came_over);
    let is_held = protocol == Protocol::Http1 && came_over == Version::HTTP_11;
    let (source, release) = if is_held && expect::is_expected(&head.headers) {
        let (hold, release) = Hold::new();
        (Source::Held(body, Box::new(hold)), Some(release))
    } else {
        (Source::of(body, came_over), None)
    };
    let body = Body::new(source, Rc::clone(&exchange), Side::Request);
    let mut response = match prepared(&server, head, body, protocol, release) {
        Ok(request) => match server.upstream.send(request, protocol).await {
            Ok(answer) => answered(answer, exchange, came_over),
            Err(error) => failed(&server, &error, exchange),
        },
        Err(refusal) => own(reply::refused(refusal, exchange.id()), exchange, None),
    };
    if came_over == Version::HTTP_2 {
        response.headers_mut().remove(header::CONNECTION);
    } else if server.drain.phase() > Phase::Serving {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// The request as the upstream gets it.
fn prepared(
    server: &Server,
    mut head: request::Parts,
    body: RequestBody,
    protocol: Protocol,
    release: Option<Release>,
) -> Result<Request<RequestBody>, Refusal> {
    let host = target::check(&head)?;
    headers::strip_hop_by_hop(&mut head.headers);
    match protocol {
        Protocol::Http1 => for_http1(server, &mut head, host, &body),
        Protocol::Http2 => for_http2(server, &mut head, host),
    }
    let mut request = Request::from_parts(head, body);
    if let Some(release) = release {
        release.when_told(&mut request);
    }
    Ok(request)
}

fn for_http1(
    server: &Server,
    head: &mut request::Parts,
    host: Option<HeaderValue>,
    body: &RequestBody,
) {
    let base = server.upstream.base_path();
    if head.uri.authority().is_some() || base.path() != "/" {
        head.uri = Uri::from(target::path(&head.uri, base));
    }
    if !head.headers.contains_key(header::HOST) {
        let host = host.unwrap_or_else(|| server.upstream.host().clone());
        headers::put_host_first(&mut head.headers, host);
    }
    let is_framed = head.headers.contains_key(header::CONTENT_LENGTH);
    if head.version == Version::HTTP_2 && !body.is_end_stream() && !is_framed {
        // hyper takes it for granted that GET has no body, unless it is told.
        let chunked = HeaderValue::from_static("chunked");
        head.headers.insert(header::TRANSFER_ENCODING, chunked);
    }
    head.version = Version::HTTP_11;
}

fn for_http2(server: &Server, head: &mut request::Parts, host: Option<HeaderValue>) {
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let authority = authority.unwrap_or_else(|| server.upstream.authority().clone());
    let path = target::path(&head.uri, server.upstream.base_path());
    head.uri = target::absolute(path, authority);
    let is_of_http1 =
        |name: &header::HeaderName| *name == header::HOST || *name == header::TRANSFER_ENCODING;
    if head.headers.keys().any(is_of_http1) {
        headers::retain(&mut head.headers, |name| !is_of_http1(name));
    }
    head.version = Version::HTTP_2;
}

fn answered(
    answer: Answer,
    exchange: Rc<OpenExchange>,
    came_over: Version,
) -> Response<ResponseBody> {
    let (mut head, body) = answer.response.into_parts();
    let afterwards = headers::strip_hop_by_hop(&mut head.headers);
    if came_over == Version::HTTP_2 && head.headers.contains_key(header::TRANSFER_ENCODING) {
        headers::retain(&mut head.headers, |name| *name != header::TRANSFER_ENCODING);
    }
    let source = Source::of(body, std::mem::replace(&mut head.version, Version::HTTP_11));
    exchange.answered(&mut head);
    let lease = answer.lease.filter(|_| afterwards == Afterwards::KeepOpen);
    let mut body = ResponseBody::new(Body::new(source, exchange, Side::Response), lease);
    if came_over != Version::HTTP_2 && body.is_end_stream() {
        body.claim(declared_length(&head));
    }
    Response::from_parts(head, body)
}

fn declared_length(head: &response::Parts) -> Option<u64> {
    head.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn failed(
    server: &Server,
    error: &UpstreamError,
    exchange: Rc<OpenExchange>,
) -> Response<ResponseBody> {
    let fault = error.fault();
    let upstream = server.upstream.authority().as_str();
    tracing::debug!(%fault, upstream, "an exchange failed");
    own(reply::failed(error, upstream, exchange.id()), exchange, Some(fault))
}

fn own(
    reply: Response<Bytes>,
    exchange: Rc<OpenExchange>,
    fault: Option<Fault>,
) -> Response<ResponseBody> {
    let (mut head, body) = reply.into_parts();
    exchange.replied(&mut head, fault);
    let tapped = Body::new(Source::Own(Some(body)), exchange, Side::Response);
    Response::from_parts(head, ResponseBody::new(tapped, None))
}
