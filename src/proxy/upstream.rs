//! The way to the model: this thread's connections to it, and one exchange over one of them.
//!
//! In: a request ready to be sent. Out: the head of the answer, its body still streaming, or what
//! failed. A pooled connection that the model closed before it answered costs nobody an error: a
//! request that never left is sent on another, and one that may be repeated is repeated once.

mod connect;
mod error;
mod pool;

pub use connect::probe;
pub use error::UpstreamError;
pub(super) use pool::Lease;

use super::body::{Leased, RequestBody, Source};
use crate::config;
use crate::tap::{Body, OpenExchange, Side};
use connect::Address;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use pool::Pool;
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::Mutex;

pub(super) struct Upstream {
    config: config::Upstream,
    address: Address,
    host: HeaderValue,
    pool: Rc<Pool>,
    /// The one HTTP/2 connection, which all exchanges share.
    shared: RefCell<Option<http2::SendRequest<RequestBody>>>,
    /// Held while that connection is being made, so that a burst makes one.
    connecting: Mutex<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

type Sent = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

impl Upstream {
    pub(super) fn new(config: config::Upstream) -> Self {
        let host = HeaderValue::from_str(config.authority.as_str());
        Self {
            address: Address::of(&config.authority),
            // An authority is made of characters that a header may carry.
            host: host.unwrap_or_else(|_| HeaderValue::from_static("upstream")),
            pool: Rc::new(Pool::new(config.max_idle_connections, config.idle_timeout)),
            shared: RefCell::new(None),
            connecting: Mutex::new(()),
            config,
        }
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.config.authority
    }

    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    pub(super) fn base_path(&self) -> &PathAndQuery {
        &self.config.base_path
    }

    pub(super) fn protocol_for(&self, came_over: Version) -> Protocol {
        match self.config.protocol {
            config::UpstreamProtocol::H2c => Protocol::Http2,
            config::UpstreamProtocol::Auto if came_over == Version::HTTP_2 => Protocol::Http2,
            config::UpstreamProtocol::Auto | config::UpstreamProtocol::Http1 => Protocol::Http1,
        }
    }

    /// Lets go of connections that were idle for too long; for about once a second.
    pub(super) fn tick(&self, now: Instant) {
        self.pool.tick(now);
    }

    /// Over the protocol that the request's version says.
    pub(super) async fn send(
        self: Rc<Self>,
        request: Request<RequestBody>,
    ) -> Result<Response<Leased>, UpstreamError> {
        match request.version() {
            Version::HTTP_2 => self.send_http2(request).await,
            _ => self.send_http1(request).await,
        }
    }

    async fn send_http1(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Leased>, UpstreamError> {
        while let Some(mut sender) = self.pool.take() {
            let exchange = handed_over(&request);
            let spare = spare(&request);
            match self.within_limit(sender.try_send_request(request)).await? {
                Ok(response) => return Ok(self.answer(response, sender)),
                Err(mut refused) => {
                    if let Some(unsent) = refused.take_message() {
                        // It never left: the next connection may be better.
                        request = unsent;
                        continue;
                    }
                    let error = error::classify(refused.into_error(), &exchange);
                    request = spare.filter(|_| error.is_reset()).ok_or(error)?;
                    break;
                }
            }
        }
        // Boxed, as each request would else carry room for what few do.
        let connecting = connect::http1(&self.address, self.config.connect_timeout);
        let mut sender = Box::pin(connecting).await?;
        let exchange = handed_over(&request);
        match self.within_limit(sender.try_send_request(request)).await? {
            Ok(response) => Ok(self.answer(response, sender)),
            Err(refused) => Err(error::classify(refused.into_error(), &exchange)),
        }
    }

    fn answer(
        &self,
        response: Response<Incoming>,
        sender: http1::SendRequest<RequestBody>,
    ) -> Response<Leased> {
        let lease = Some(Lease::new(Rc::clone(&self.pool), sender));
        response.map(|body| Leased { source: Source::Http1(body), lease })
    }

    async fn send_http2(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Leased>, UpstreamError> {
        let known = self.shared.borrow().clone();
        if let Some(mut sender) = known.filter(|sender| !sender.is_closed()) {
            let exchange = handed_over(&request);
            match self.within_limit(sender.try_send_request(request)).await? {
                Ok(response) => return Ok(shared(response)),
                Err(mut refused) => match refused.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error::classify(refused.into_error(), &exchange)),
                },
            }
        }
        let mut sender = Box::pin(self.shared_sender()).await?;
        let exchange = handed_over(&request);
        match self.within_limit(sender.try_send_request(request)).await? {
            Ok(response) => Ok(shared(response)),
            Err(refused) => Err(error::classify(refused.into_error(), &exchange)),
        }
    }

    async fn shared_sender(&self) -> Result<http2::SendRequest<RequestBody>, UpstreamError> {
        let _only = self.connecting.lock().await;
        let known = self.shared.borrow().clone();
        if let Some(sender) = known.filter(|sender| !sender.is_closed()) {
            return Ok(sender);
        }
        let sender = connect::http2(&self.address, self.config.connect_timeout).await?;
        *self.shared.borrow_mut() = Some(sender.clone());
        Ok(sender)
    }

    async fn within_limit(&self, sent: impl Future<Output = Sent>) -> Result<Sent, UpstreamError> {
        match self.config.response_timeout {
            None => Ok(sent.await),
            Some(limit) => tokio::time::timeout(limit, sent)
                .await
                .map_err(|_| UpstreamError::ResponseTimeout(limit)),
        }
    }
}

fn shared(response: Response<Incoming>) -> Response<Leased> {
    response.map(|body| Leased { source: Source::Http2(body), lease: None })
}

fn handed_over(request: &Request<RequestBody>) -> Rc<OpenExchange> {
    let exchange = Rc::clone(request.body().exchange());
    exchange.handed_over();
    exchange
}

/// A second copy of a request that may be repeated: idempotent, and without a body.
fn spare(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let is_repeatable = is_idempotent(request.method()) && request.body().is_end_stream();
    is_repeatable.then(|| {
        let mut spare = Request::new(());
        spare.method_mut().clone_from(request.method());
        spare.uri_mut().clone_from(request.uri());
        *spare.version_mut() = request.version();
        spare.headers_mut().clone_from(request.headers());
        let exchange = Rc::clone(request.body().exchange());
        spare.map(|()| Body::new(Source::Own(None), exchange, Side::Request))
    })
}

/// Methods that may be sent twice without asking (RFC 9110 section 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE]
        .contains(method)
}
