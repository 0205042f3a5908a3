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
use super::fit;
use super::h1::{self, Failed, Idle, Reached, Replay, Unanswered};
use super::h2;
use super::tls::{self, Connector, Offer};
use crate::config;
use connect::{Address, Way};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Version};
use hyper::client::conn::{TrySendError, http2};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

pub(super) struct Upstream {
    config: config::Upstream,
    address: Address,
    connector: Option<Connector>,
    host: HeaderValue,
    pool: Rc<Pool>,
    /// What `auto` has found out; see [`Learned`].
    learned: Cell<Learned>,
    /// The one HTTP/2 connection, which all exchanges share.
    shared: RefCell<Option<Sender>>,
    /// Held while that connection is being made, so that a burst makes one.
    connecting: Mutex<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Of an upstream that is asked in the client's own protocol, as long as it understands that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Learned {
    Nothing,
    Both,
    Only(Protocol),
}

type Sender = http2::SendRequest<h2::Lent<RequestBody>>;
type Refused = TrySendError<Request<h2::Lent<RequestBody>>>;

/// Why there is no answer: for good, or because the upstream speaks another protocol.
enum NoAnswer {
    Failed(UpstreamError),
    Misunderstood(Box<Request<Replay<RequestBody>>>),
}

impl<E: Into<UpstreamError>> From<E> for NoAnswer {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Upstream {
    pub(super) fn new(config: config::Upstream, connector: Option<Connector>) -> Self {
        let host = HeaderValue::from_str(config.authority.as_str());
        let limits = pool::Limits {
            connections: config.max_idle_connections,
            idle: config.idle_timeout,
            age: config.max_connection_age,
        };
        Self {
            address: Address::of(&config.authority),
            connector,
            // An authority is made of characters that a header may carry.
            host: host.unwrap_or_else(|_| HeaderValue::from_static("upstream")),
            pool: Rc::new(Pool::new(limits)),
            learned: Cell::new(Learned::Nothing),
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

    pub(super) fn scheme(&self) -> Scheme {
        if self.connector.is_some() { Scheme::HTTPS } else { Scheme::HTTP }
    }

    pub(super) fn protocol_for(&self, came_over: Version) -> Protocol {
        match (self.config.protocol, self.learned.get()) {
            (config::UpstreamProtocol::H2c, _) => Protocol::Http2,
            (config::UpstreamProtocol::Auto, Learned::Only(protocol)) => protocol,
            (config::UpstreamProtocol::Auto, _) if came_over == Version::HTTP_2 => Protocol::Http2,
            (config::UpstreamProtocol::Http1 | config::UpstreamProtocol::Auto, _) => {
                Protocol::Http1
            }
        }
    }

    /// Lets go of connections that were idle for too long; for about once a second.
    pub(super) fn tick(&self, now: Instant) {
        self.pool.tick(now);
    }

    /// Over the protocol that the request's version says, or over the other one if the upstream
    /// turns out not to speak that.
    pub(super) async fn send(
        self: Rc<Self>,
        request: Request<RequestBody>,
    ) -> Result<Response<Told>, UpstreamError> {
        let sent = match request.version() {
            // Boxed, as each request would else carry room for what few do.
            Version::HTTP_2 => Box::pin(self.send_http2(request.map(Replay::new))).await,
            _ => self.send_http1(Unanswered::new(request)).await,
        };
        match sent {
            Ok(answer) => Ok(answer),
            Err(NoAnswer::Failed(error)) => Err(error),
            Err(NoAnswer::Misunderstood(request)) => Box::pin(self.send_otherwise(*request)).await,
        }
    }

    async fn send_otherwise(
        &self,
        request: Request<Replay<RequestBody>>,
    ) -> Result<Response<Told>, UpstreamError> {
        let sent = if request.version() == Version::HTTP_2 {
            self.learned.set(Learned::Only(Protocol::Http1));
            self.send_http1(Unanswered::from_request(fit::lowered(request, self))).await
        } else {
            self.learned.set(Learned::Only(Protocol::Http2));
            self.send_http2(fit::raised(request, self)).await
        };
        sent.map_err(|reason| match reason {
            NoAnswer::Failed(error) => error,
            NoAnswer::Misunderstood(_) => UpstreamError::NoCommonProtocol,
        })
    }

    async fn send_http1(
        &self,
        mut request: Unanswered<RequestBody>,
    ) -> Result<Response<Told>, NoAnswer> {
        if let Some(connection) = self.pool.take() {
            match self.try_http1(connection, request).await? {
                Ok(answer) => return Ok(answer),
                Err(failed) => request = repeatable(failed)?,
            }
        }
        let may_learn = self.config.protocol == config::UpstreamProtocol::Auto;
        if !may_learn || self.learned.get() == Learned::Both {
            request.forget();
        }
        let opened = self.pool.now();
        let (io, _) = Box::pin(connect::open(self.way(), Offer::Http1)).await?;
        match self.try_http1(Idle::new(io, opened), request).await? {
            Ok(answer) => Ok(answer),
            Err(Failed { error: h1::SendError::SpeaksHttp2, mut request, .. }) if may_learn => {
                if request.rewind() {
                    return Err(NoAnswer::Misunderstood(Box::new(request.into_request())));
                }
                Err(h1::SendError::SpeaksHttp2.into())
            }
            Err(failed) => Err(failed.error.into()),
        }
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
        mut request: Request<Replay<RequestBody>>,
    ) -> Result<Response<Told>, NoAnswer> {
        let known = self.shared.borrow().clone();
        if let Some(sender) = known.filter(|sender| !sender.is_closed()) {
            match self.try_http2(sender, request).await? {
                Ok(answer) => return Ok(answer),
                Err(unsent) => request = unsent,
            }
        }
        let Some(sender) = self.shared_sender().await? else {
            return Err(NoAnswer::Misunderstood(Box::new(request)));
        };
        let sent = self.try_http2(sender, request).await?;
        sent.map_err(|_| UpstreamError::Unsent.into())
    }

    /// The request comes back if it never left, or if the upstream says that it did not look at it.
    async fn try_http2(
        &self,
        mut sender: Sender,
        request: Request<Replay<RequestBody>>,
    ) -> Result<Result<Response<Told>, Request<Replay<RequestBody>>>, UpstreamError> {
        let exchange = Rc::clone(request.body().inner().exchange());
        exchange.handed_over();
        let (head, body) = request.into_parts();
        let (body, owner) = h2::Lent::new(body);
        let again = head.clone();
        let request = Request::from_parts(head, body);
        let sent: Result<_, Refused> = self.within_limit(sender.try_send_request(request)).await?;
        let mut refused = match sent {
            Ok(response) => {
                owner.settle();
                return Ok(Ok(response.map(Told::Http2)));
            }
            Err(refused) => refused,
        };
        let is_unsent = refused.take_message().is_some();
        let error = refused.into_error();
        let body = if is_unsent || h2::is_unprocessed(&error) { owner.take_back() } else { None };
        if let Some(mut body) = body
            && body.rewind()
        {
            return Ok(Err(Request::from_parts(again, body)));
        }
        Err(error::of_http2(error, &exchange))
    }

    /// `None` if the upstream speaks HTTP/1 only.
    async fn shared_sender(&self) -> Result<Option<Sender>, UpstreamError> {
        let _only = self.connecting.lock().await;
        let known = self.shared.borrow().clone();
        if let Some(sender) = known.filter(|sender| !sender.is_closed()) {
            return Ok(Some(sender));
        }
        let may_learn = self.config.protocol == config::UpstreamProtocol::Auto
            && self.learned.get() == Learned::Nothing;
        let offer = if may_learn { Offer::Either } else { Offer::Http2 };
        let (io, agreed) = connect::open(self.way(), offer).await?;
        if agreed == tls::Protocol::Http1 {
            return Ok(None);
        }
        let connection = h2::connect(io).await?;
        if may_learn {
            if !self.within_connect(connection.is_understood()).await? {
                return Ok(None);
            }
            self.learned.set(Learned::Both);
        }
        *self.shared.borrow_mut() = Some(connection.sender.clone());
        Ok(Some(connection.sender))
    }

    fn way(&self) -> Way<'_> {
        let limit = self.config.connect_timeout;
        Way { address: &self.address, connector: self.connector.as_ref(), limit }
    }

    async fn within_connect<T>(&self, done: impl Future<Output = T>) -> Result<T, UpstreamError> {
        let limit = self.config.connect_timeout;
        let done = tokio::time::timeout(limit, done).await;
        done.map_err(|_| UpstreamError::ConnectTimeout(limit))
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
