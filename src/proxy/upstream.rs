//! The way to the model: this thread's connections to it, and one exchange over one of them.
//!
//! In: a request ready to be sent. Out: the head of the answer, its body still streaming, or what
//! failed. A pooled connection that the model closed before it answered costs nobody an error: a
//! request that it did not read is sent on another, and so is one that may be repeated, once.

mod connect;
mod error;
mod pool;

pub use connect::probe;
pub use error::UpstreamError;
pub(super) use pool::Pool;

use super::body::{RequestBody, Told};
use super::h1::{self, Failed, Idle, Reached, Unanswered};
use crate::config;
use crate::tap::OpenExchange;
use connect::Address;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Request, Response, Version};
use hyper::client::conn::{TrySendError, http2};
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};
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

type Sent = Result<Response<hyper::body::Incoming>, TrySendError<Request<RequestBody>>>;

impl Upstream {
    pub(super) fn new(config: config::Upstream) -> Self {
        let host = HeaderValue::from_str(config.authority.as_str());
        let limits = pool::Limits {
            connections: config.max_idle_connections,
            idle: config.idle_timeout,
            age: config.max_connection_age,
        };
        Self {
            address: Address::of(&config.authority),
            // An authority is made of characters that a header may carry.
            host: host.unwrap_or_else(|_| HeaderValue::from_static("upstream")),
            pool: Rc::new(Pool::new(limits)),
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

    pub(super) fn request_timeout(&self) -> Option<Duration> {
        self.config.request_timeout
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
    ) -> Result<Response<Told>, UpstreamError> {
        match request.version() {
            // Boxed, as each request would else carry room for what few do.
            Version::HTTP_2 => Box::pin(self.send_http2(request)).await,
            _ => self.send_http1(request).await,
        }
    }

    async fn send_http1(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<Told>, UpstreamError> {
        let mut request = Unanswered::new(request);
        if let Some(connection) = self.pool.take() {
            match self.try_http1(connection, request).await? {
                Ok(answer) => return Ok(answer),
                Err(failed) => request = repeatable(failed)?,
            }
        }
        request.forget();
        let opened = self.pool.now();
        let connecting = connect::tcp(&self.address, self.config.connect_timeout);
        let io = Box::pin(connecting).await?;
        let sent = self.try_http1(Idle::new(io, opened), request).await?;
        sent.map_err(|failed| failed.error.into())
    }

    async fn try_http1(
        &self,
        connection: Idle,
        request: Unanswered<RequestBody>,
    ) -> Result<Result<Response<Told>, Failed<RequestBody>>, UpstreamError> {
        request.body().exchange().handed_over();
        let sent = self.within_limit(h1::send(connection, request)).await?;
        Ok(sent.map(|answer| answer.map(|body| Told::http1(body, Rc::clone(&self.pool)))))
    }

    async fn send_http2(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Told>, UpstreamError> {
        let known = self.shared.borrow().clone();
        if let Some(mut sender) = known.filter(|sender| !sender.is_closed()) {
            let exchange = handed_over(&request);
            match self.within_limit(sender.try_send_request(request)).await? {
                Ok(response) => return Ok(response.map(Told::Http2)),
                Err(mut refused) => match refused.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error::of_http2(refused.into_error(), &exchange)),
                },
            }
        }
        let mut sender = self.shared_sender().await?;
        let exchange = handed_over(&request);
        let sent: Sent = self.within_limit(sender.try_send_request(request)).await?;
        match sent {
            Ok(response) => Ok(response.map(Told::Http2)),
            Err(refused) => Err(error::of_http2(refused.into_error(), &exchange)),
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

    async fn within_limit<T>(&self, sent: impl Future<Output = T>) -> Result<T, UpstreamError> {
        match self.config.response_timeout {
            None => Ok(sent.await),
            Some(limit) => tokio::time::timeout(limit, sent)
                .await
                .map_err(|_| UpstreamError::ResponseTimeout(limit)),
        }
    }
}

fn handed_over(request: &Request<RequestBody>) -> Rc<OpenExchange> {
    let exchange = Rc::clone(request.body().exchange());
    exchange.handed_over();
    exchange
}

/// A request that a kept connection did not answer, for another; an error if it may not be repeated.
fn repeatable(failed: Failed<RequestBody>) -> Result<Unanswered<RequestBody>, UpstreamError> {
    let Failed { error, reached, mut request } = failed;
    let is_of_connection = matches!(error, h1::SendError::Broken(_) | h1::SendError::Closed);
    let is_harmless = match reached {
        Reached::Unread => true,
        Reached::Unknown => is_idempotent(request.method()),
        Reached::Answered => false,
    };
    if is_of_connection && is_harmless && request.rewind() {
        Ok(request)
    } else {
        Err(error.into())
    }
}

/// Methods that may be sent twice without asking (RFC 9110 section 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE]
        .contains(method)
}
