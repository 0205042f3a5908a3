//! One client connection: HTTP/1.1 or h2c, told apart by its first bytes.

use super::drain::{Drain, Member, Phase};
use super::service::exchanges;
use super::upstream::Upstream;
use crate::tap::Tap;
use http::{Request, Version};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use tokio::net::TcpStream;
use tower::Service as _;

/// Bounds what one slow reader makes us hold: a stream's window, and all streams' of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const MAX_STREAMS: u32 = 256;
const MAX_SEND_BUFFER: usize = 256 * 1024;

/// What every connection of one serving thread shares.
pub(super) struct Server {
    pub(super) upstream: Rc<Upstream>,
    pub(super) tap: Rc<Tap>,
    pub(super) drain: Rc<Drain>,
    protocol: auto::Builder<LocalExecutor>,
}

impl Server {
    pub(super) fn new(upstream: Rc<Upstream>, tap: Rc<Tap>, drain: Rc<Drain>) -> Self {
        Self { upstream, tap, drain, protocol: protocol() }
    }

    /// Serves exchanges until the client leaves or the drain ends the connection.
    pub(super) async fn serve(self: Rc<Self>, stream: TcpStream, member: Member) {
        let _open = OpenConnection::new(&self.tap);
        let is_h2 = Cell::new(false);
        let exchanges = exchanges(Rc::clone(&self));
        let service = service_fn(|request: Request<Incoming>| {
            is_h2.set(request.version() == Version::HTTP_2);
            // Every layer is ready at all times; asking would move the request twice more.
            exchanges.clone().call(request)
        });
        let mut connection = pin!(self.protocol.serve_connection(TokioIo::new(stream), service));
        let is_due = || match member.phase() {
            Phase::Serving => false,
            // HTTP/1 is told by a header of the next response, so that no request is lost to a
            // close that crosses it.
            Phase::Draining => is_h2.get(),
            Phase::Closing => true,
        };
        let mut is_ending = false;
        let mut is_known = false;
        let ended = poll_fn(|cx| {
            if !std::mem::replace(&mut is_known, true) {
                member.wake_by(cx.waker());
            }
            loop {
                if !is_ending && is_due() {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                let polled = connection.as_mut().poll(cx);
                if polled.is_ready() || is_ending || !is_due() {
                    return polled;
                }
            }
        });
        if let Err(error) = ended.await {
            tracing::debug!(error, "a client connection ended early");
        }
    }
}

fn protocol() -> auto::Builder<LocalExecutor> {
    let mut protocol = auto::Builder::new(LocalExecutor);
    // The model says what time it is, or does not.
    protocol.http1().auto_date_header(false).preserve_header_case(true);
    protocol
        .http2()
        .auto_date_header(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(MAX_SEND_BUFFER);
    protocol
}

/// Counts a connection for as long as it lives.
struct OpenConnection<'a>(&'a Tap);

impl<'a> OpenConnection<'a> {
    fn new(tap: &'a Tap) -> Self {
        tap.connection_opened();
        Self(tap)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connection_closed();
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
