//! HTTP/2 on the wire, by hyper, both sides of the proxy.
//!
//! hyper flushes after every frame. Here what it writes is gathered while a connection is polled and
//! goes out in one write at the end of that (see [`deferred`]), so that frames of many streams share
//! a system call.

mod deferred;
mod lent;

pub(super) use lent::Lent;

use super::drain::{Member, Phase};
use super::h1::{BadHead, NoRequest};
use super::io::Io;
use super::upstream::UpstreamError;
use crate::config;
use crate::proxy::body::{Asked, BodyError, RequestBody, ResponseBody};
use crate::proxy::reply::GoElsewhere;
use bytes::{Bytes, BytesMut};
use deferred::Deferred;
use http::{Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2 as client;
use hyper::rt::Executor;
use hyper::server::conn::http2 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;

/// The type of the frame that both sides begin with.
pub(super) const SETTINGS: u8 = 4;
/// Bounds what one slow reader makes us hold: a stream's window, and all streams' of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const MAX_SEND_BUFFER: usize = 256 * 1024;
/// Streams that a client has reset and that were not looked at yet; more of them end the connection
/// (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// The same for streams that we had to reset for what the client did.
const MAX_OWN_RESETS: usize = 256;
/// How long a client without streams that was sent away may take to acknowledge that.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves connections of clients.
pub(super) struct Server {
    protocol: server::Builder<LocalExecutor>,
    max_headers: usize,
    idle_timeout: Duration,
}

impl Server {
    pub(super) fn new(settings: &config::Client) -> Self {
        let mut protocol = server::Builder::new(LocalExecutor);
        let header_bytes = u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX);
        protocol
            // The model says what time it is, or does not.
            .auto_date_header(false)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(settings.max_streams)
            .max_header_list_size(header_bytes)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_OWN_RESETS)
            .max_send_buf_size(MAX_SEND_BUFFER);
        let config::Client { max_headers, idle_timeout, .. } = *settings;
        Self { protocol, max_headers, idle_timeout }
    }

    /// Serves exchanges until the client leaves or the drain ends the connection. What is no request
    /// is answered by `refuse`.
    pub(super) async fn serve<S>(
        &self,
        io: Io,
        input: BytesMut,
        exchanges: S,
        refuse: impl Fn(NoRequest) -> Response<Bytes>,
        member: &Member,
    ) where
        S: Service<Request<Asked>, Response = Response<ResponseBody>, Error = Infallible>,
        S: Clone,
        S::Future: 'static,
    {
        let io = Deferred::new(io, input.freeze());
        let streams = Streams::default();
        let is_lost = Rc::new(Cell::new(false));
        let lost = Rc::clone(&is_lost);
        let service = service_fn(|request: Request<Incoming>| {
            let (open, lost) = (streams.open(), Rc::clone(&lost));
            let answering = match self.within_limits(&request) {
                Ok(()) => Ok(exchanges.clone().call(request.map(Asked::Http2))),
                Err(reason) => Err(refuse(reason)),
            };
            async move {
                Ok::<_, Infallible>(match answering {
                    Ok(answering) => {
                        let answer = answering.await?;
                        if answer.extensions().get::<GoElsewhere>().is_some() {
                            lost.set(true);
                        }
                        answer.map(|body| Either::Left(Counted { body, fault: None, _open: open }))
                    }
                    Err(refused) => of_http2(refused).map(|body| Either::Right(Full::new(body))),
                })
            }
        });
        let connection = self.protocol.serve_connection(TokioIo::new(io.clone()), service);
        let mut connection = pin!(connection);
        let mut is_ending = false;
        let mut rest = Rest::NotYet;
        let ended = poll_fn(|cx| {
            loop {
                let is_over = rest.is_over(member);
                if is_ending && is_over {
                    return Poll::Ready(Ok(()));
                }
                let is_leaving = || member.phase() > Phase::Serving || is_lost.get();
                if !is_ending && (is_leaving() || is_over) {
                    is_ending = true;
                    rest = Rest::NotYet;
                    connection.as_mut().graceful_shutdown();
                }
                let polled = io.poll_around(cx, |cx| connection.as_mut().poll(cx));
                if polled.is_ready() || is_ending || !is_leaving() {
                    let limit = if is_ending { FAREWELL } else { self.idle_timeout };
                    rest.look(&streams, member, limit);
                    return polled;
                }
            }
        });
        if let Err(error) = ended.await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a client connection ended early"
            );
        }
    }

    /// hyper counts the bytes of a head, and not its fields.
    fn within_limits<B>(&self, request: &Request<B>) -> Result<(), NoRequest> {
        if request.headers().len() <= self.max_headers {
            return Ok(());
        }
        Err(NoRequest::Bad(BadHead::TooManyFields(self.max_headers)))
    }
}

/// Without what HTTP/2 has no place for.
fn of_http2(mut refused: Response<Bytes>) -> Response<Bytes> {
    refused.headers_mut().remove(header::CONNECTION);
    refused
}

/// Streams that are open on one connection.
#[derive(Default, Clone)]
struct Streams(Rc<Cell<usize>>);

impl Streams {
    fn open(&self) -> OpenStream {
        self.0.set(self.0.get() + 1);
        OpenStream(self.clone())
    }

    fn is_none(&self) -> bool {
        self.0.get() == 0
    }
}

struct OpenStream(Streams);

impl Drop for OpenStream {
    fn drop(&mut self) {
        let open = &self.0.0;
        open.set(open.get() - 1);
    }
}

/// Whether a connection without streams has waited for too long for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    NotYet,
    Waiting,
}

impl Rest {
    fn look(&mut self, streams: &Streams, member: &Member, limit: Duration) {
        match (*self, streams.is_none()) {
            (Self::NotYet, true) => {
                member.arm(limit);
                *self = Self::Waiting;
            }
            (Self::Waiting, false) => {
                member.disarm();
                *self = Self::NotYet;
            }
            (Self::NotYet, false) | (Self::Waiting, true) => {}
        }
    }

    fn is_over(self, member: &Member) -> bool {
        self == Self::Waiting && member.is_overdue()
    }
}

/// An answer's body, whose stream is open until it is dropped.
struct Counted {
    body: ResponseBody,
    /// Why it broke, held until what came before has left: a reset overtakes it.
    fault: Option<BodyError>,
    _open: OpenStream,
}

impl Body for Counted {
    type Data = <ResponseBody as Body>::Data;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Err(fault))) => {
                self.fault = Some(fault);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection to the upstream, driven by a task of this thread.
pub(super) struct Connection {
    pub(super) sender: client::SendRequest<Lent<RequestBody>>,
    io: Deferred,
}

impl Connection {
    /// What the upstream says first: if it speaks HTTP/2 that is a frame of SETTINGS (RFC 9113
    /// section 3.4).
    pub(super) async fn greeting(&self) -> Greeting {
        match *self.io.greeting().await {
            [] => Greeting::Silence,
            [_, _, _, SETTINGS, ..] => Greeting::Http2,
            _ => Greeting::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    Http2,
    Other,
    /// It closed without a word.
    Silence,
}

pub(super) async fn connect(io: Io) -> Result<Connection, UpstreamError> {
    let io = Deferred::new(io, Bytes::new());
    let executor = ClientExecutor { io: io.clone(), writer: Rc::new(Cell::new(Writer::ToCome)) };
    let handshake = client::Builder::new(executor)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(TokioIo::new(io.clone()));
    let (sender, dispatch) = handshake.await.map_err(UpstreamError::Handshake)?;
    drop(tokio::task::spawn_local(async move {
        // The exchanges on a connection learn of its errors themselves.
        if let Err(error) = dispatch.await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "an upstream connection ended"
            );
        }
    }));
    Ok(Connection { sender, io })
}

/// Whether the upstream says that it did not look at a request (RFC 9113 section 8.7): by refusing
/// its stream, or by going away before it.
pub(super) fn is_unprocessed(error: &hyper::Error) -> bool {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<::h2::Error>());
    cause.is_some_and(|cause| {
        cause.is_remote()
            && (cause.is_reset() && cause.reason() == Some(::h2::Reason::REFUSED_STREAM)
                || cause.is_go_away() && cause.reason() == Some(::h2::Reason::NO_ERROR))
    })
}

/// Runs what hyper spawns for one connection to the upstream.
///
/// The first of that, spawned by the handshake, is what reads and writes the connection: it alone
/// sends what was written. The others only wake it; had they a part in sending, one that ends while
/// the socket is full would take the wake-up with it.
#[derive(Clone)]
struct ClientExecutor {
    io: Deferred,
    writer: Rc<Cell<Writer>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    ToCome,
    Spawned,
}

impl<F> Executor<F> for ClientExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        if self.writer.replace(Writer::Spawned) == Writer::Spawned {
            return LocalExecutor.execute(future);
        }
        let io = self.io.clone();
        LocalExecutor.execute(async move {
            let mut future = pin!(future);
            poll_fn(|cx| io.poll_around(cx, |cx| future.as_mut().poll(cx))).await
        });
    }
}

/// Runs what hyper spawns on this thread.
#[derive(Clone, Copy)]
pub(super) struct LocalExecutor;

impl<F> Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        drop(tokio::task::spawn_local(future));
    }
}
