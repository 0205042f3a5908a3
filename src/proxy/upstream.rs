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
use super::h1::{self, Exchange, Failed, Idle, Reached, Replay};
use super::h2::{self, Greeting};
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
    authority: Authority,
    base_path: PathAndQuery,
    terms: Cell<Terms>,
    address: Address,
    connector: Option<Connector>,
    host: HeaderValue,
    pool: Rc<Pool>,
    /// What `auto` has found out; see [`Learned`].
    learned: Cell<Learned>,
    /// The one HTTP/2 connection, which all exchanges share.
    shared: RefCell<Option<Shared>>,
    /// Held while that connection is being made, so that a burst makes one.
    connecting: Mutex<()>,
}

/// What may change while the thread serves; each exchange reads it where it needs it.
#[derive(Debug, Clone, Copy)]
struct Terms {
    protocol: config::UpstreamProtocol,
    connect_timeout: Duration,
    response_timeout: Option<Duration>,
    request_timeout: Option<Duration>,
    idle_timeout: Duration,
    max_connection_age: Option<Duration>,
}

impl Terms {
    fn of(config: &config::Upstream) -> Self {
        Self {
            protocol: config.protocol,
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            request_timeout: config.request_timeout,
            idle_timeout: config.idle_timeout,
            max_connection_age: config.max_connection_age,
        }
    }
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
    /// As the upstream itself has said, which it can take back.
    Only(Protocol),
}

struct Shared {
    sender: Sender,
    opened: Instant,
    /// When it was last given a request.
    used: Instant,
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
        Self {
            address: Address::of(&config.authority),
            connector,
            // An authority is made of characters that a header may carry.
            host: host.unwrap_or_else(|_| HeaderValue::from_static("upstream")),
            pool: Rc::new(Pool::new(pool::Limits::of(&config))),
            learned: Cell::new(Learned::Nothing),
            shared: RefCell::new(None),
            connecting: Mutex::new(()),
            terms: Cell::new(Terms::of(&config)),
            authority: config.authority,
            base_path: config.base_path,
        }
    }

    /// Takes over what may change. Where the upstream is stays as it was.
    pub(super) fn follow(&self, config: &config::Upstream) {
        let terms = Terms::of(config);
        if self.terms.replace(terms).protocol != terms.protocol {
            self.learned.set(Learned::Nothing);
        }
        self.pool.limit_to(pool::Limits::of(config));
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    pub(super) fn base_path(&self) -> &PathAndQuery {
        &self.base_path
    }

    pub(super) fn request_timeout(&self) -> Option<Duration> {
        self.terms.get().request_timeout
    }

    pub(super) fn scheme(&self) -> Scheme {
        if self.connector.is_some() { Scheme::HTTPS } else { Scheme::HTTP }
    }

    pub(super) fn protocol_for(&self, came_over: Version) -> Protocol {
        match (self.terms.get().protocol, self.learned.get()) {
            (config::UpstreamProtocol::H2c, _) => Protocol::Http2,
            (config::UpstreamProtocol::Auto, Learned::Only(protocol)) => protocol,
            (config::UpstreamProtocol::Auto, _) if came_over == Version::HTTP_2 => Protocol::Http2,
            (config::UpstreamProtocol::Http1 | config::UpstreamProtocol::Auto, _) => {
                Protocol::Http1
            }
        }
    }

    /// Lets go of connections that were idle for too long, or are too old; for about once a second.
    pub(super) fn tick(&self, now: Instant) {
        self.pool.tick(now);
        let terms = self.terms.get();
        let is_over = |shared: &mut Shared| {
            let since = |then| now.saturating_duration_since(then);
            since(shared.used) >= terms.idle_timeout
                || terms.max_connection_age.is_some_and(|age| since(shared.opened) >= age)
        };
        // Streams that are open on it end as they would; then hyper closes it.
        drop(self.shared.borrow_mut().take_if(is_over));
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
            _ => self.send_http1(Exchange::new(request.map(Replay::new))).await,
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
            self.send_http1(Exchange::new(fit::lowered(request, self))).await
        } else {
            self.send_http2(fit::raised(request, self)).await
        };
        sent.map_err(|reason| match reason {
            NoAnswer::Failed(error) => error,
            NoAnswer::Misunderstood(_) => UpstreamError::NoCommonProtocol,
        })
    }

    async fn send_http1(
        &self,
        mut exchange: Box<Exchange<RequestBody>>,
    ) -> Result<Response<Told>, NoAnswer> {
        if let Some(connection) = self.pool.take() {
            match self.try_http1(&mut exchange, connection).await? {
                Ok(answer) => return Ok(self.told(answer, exchange)),
                Err(failed) => Box::pin(make_repeatable(&mut exchange, failed)).await?,
            }
        }
        if !self.is_learning() {
            exchange.forget();
        }
        let opened = self.pool.now();
        let io = match Box::pin(connect::open(self.way(), Offer::Http1)).await {
            Ok((io, _)) => io,
            Err(UpstreamError::Tls(error)) if error.is_of_protocols() && self.is_learning() => {
                return Err(self.misunderstood(exchange));
            }
            Err(error) => return Err(error.into()),
        };
        match self.try_http1(&mut exchange, Idle::new(io, opened)).await? {
            Ok(answer) => Ok(self.told(answer, exchange)),
            Err((h1::SendError::SpeaksHttp2, _)) if self.is_learning() => {
                Err(self.misunderstood(exchange))
            }
            Err((error, _)) => Err(error.into()),
        }
    }

    /// An upstream has said that it speaks HTTP/2 only.
    fn misunderstood(&self, mut exchange: Box<Exchange<RequestBody>>) -> NoAnswer {
        self.learned.set(Learned::Only(Protocol::Http2));
        if exchange.rewind() {
            NoAnswer::Misunderstood(Box::new(exchange.into_request()))
        } else {
            h1::SendError::SpeaksHttp2.into()
        }
    }

    async fn try_http1(
        &self,
        exchange: &mut Exchange<RequestBody>,
        connection: Idle,
    ) -> Result<Result<Response<()>, Failed<RequestBody>>, UpstreamError> {
        exchange.body().exchange().handed_over();
        self.within_limit(exchange.send(connection)).await
    }

    fn told(&self, answer: Response<()>, exchange: Box<Exchange<RequestBody>>) -> Response<Told> {
        let body = Told::http1(h1::Answer::new(exchange), Rc::clone(&self.pool));
        answer.map(|()| body)
    }

    async fn send_http2(
        &self,
        mut request: Request<Replay<RequestBody>>,
    ) -> Result<Response<Told>, NoAnswer> {
        if let Some(sender) = self.known_sender() {
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

    fn known_sender(&self) -> Option<Sender> {
        let mut shared = self.shared.borrow_mut();
        let shared = shared.as_mut().filter(|shared| !shared.sender.is_closed())?;
        shared.used = self.pool.now();
        Some(shared.sender.clone())
    }

    /// `None` if the upstream seems not to speak HTTP/2.
    async fn shared_sender(&self) -> Result<Option<Sender>, UpstreamError> {
        // No longer than one connection may take: those who wait would else add up their waits.
        let _only = self.within_connect(self.connecting.lock()).await?;
        if let Some(sender) = self.known_sender() {
            return Ok(Some(sender));
        }
        let opened = self.pool.now();
        let offer = if self.is_learning() { Offer::Either } else { Offer::Http2 };
        let (io, agreed) = connect::open(self.way(), offer).await?;
        if agreed == tls::Protocol::Http1 {
            self.learned.set(Learned::Only(Protocol::Http1));
            return Ok(None);
        }
        let connection = h2::connect(io).await?;
        if self.is_learning() && agreed == tls::Protocol::Unsaid {
            match self.within_connect(connection.greeting()).await? {
                Greeting::Http2 => {}
                Greeting::Other => {
                    self.learned.set(Learned::Only(Protocol::Http1));
                    return Ok(None);
                }
                // It may just have been stopped: nothing is learned for the next request.
                Greeting::Silence => return Ok(None),
            }
        }
        let sender = connection.sender;
        *self.shared.borrow_mut() = Some(Shared { sender: sender.clone(), opened, used: opened });
        Ok(Some(sender))
    }

    fn is_learning(&self) -> bool {
        self.terms.get().protocol == config::UpstreamProtocol::Auto
    }

    fn way(&self) -> Way<'_> {
        let limit = self.terms.get().connect_timeout;
        Way { address: &self.address, connector: self.connector.as_ref(), limit }
    }

    async fn within_connect<T>(&self, done: impl Future<Output = T>) -> Result<T, UpstreamError> {
        let limit = self.terms.get().connect_timeout;
        let done = tokio::time::timeout(limit, done).await;
        done.map_err(|_| UpstreamError::ConnectTimeout(limit))
    }

    async fn within_limit<T>(&self, sent: impl Future<Output = T>) -> Result<T, UpstreamError> {
        match self.terms.get().response_timeout {
            None => Ok(sent.await),
            Some(limit) => tokio::time::timeout(limit, sent)
                .await
                .map_err(|_| UpstreamError::ResponseTimeout(limit)),
        }
    }
}

/// Prepares a request that a kept connection did not answer for another; an error if it may not be
/// repeated.
async fn make_repeatable(
    exchange: &mut Exchange<RequestBody>,
    (error, reached): Failed<RequestBody>,
) -> Result<(), UpstreamError> {
    if !matches!(error, h1::SendError::Broken(_) | h1::SendError::Closed) {
        return Err(error.into());
    }
    let is_harmless = match reached {
        Reached::Unread => true,
        Reached::Unknown => is_idempotent(exchange.method()) || exchange.will_be_reset().await,
        Reached::Answered => false,
    };
    if is_harmless && exchange.rewind() { Ok(()) } else { Err(error.into()) }
}

/// Methods that may be sent twice without asking (RFC 9110 section 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE]
        .contains(method)
}
