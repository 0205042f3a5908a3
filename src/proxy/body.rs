//! The bodies of an exchange: a peer's as it streams in, or one of the proxy's own.

use super::h1;
use super::upstream::Pool;
use crate::tap;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use thiserror::Error;
use tokio::time::Sleep;

/// The body of a request on its way to the model.
pub(super) type RequestBody = tap::Body<Asked>;

#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error(transparent)]
    Http1(#[from] h1::BadBody),
    #[error("the stream broke before the body's end")]
    Http2(#[source] hyper::Error),
    #[error("the stream was reset before the body's end")]
    Reset,
    #[error("the exchange took longer than {0:?} (upstream.request_timeout)")]
    Timeout(Duration),
}

/// A client's request body.
pub(super) enum Asked {
    Http1(h1::ClientBody),
    Http2(Incoming),
}

impl http_body::Body for Asked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Http1(body) => {
                Pin::new(body).poll_frame(cx).map(|polled| Some(polled?.map_err(Into::into)))
            }
            Self::Http2(body) => poll_http2(body, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

impl h1::Spelled for RequestBody {
    fn written(&self) -> Option<&h1::Written> {
        match self.inner() {
            Asked::Http1(body) => Some(body.written()),
            Asked::Http2(_) => None,
        }
    }

    fn written_trailers(&self) -> Option<&h1::Written> {
        match self.inner() {
            Asked::Http1(body) => body.written_trailers(),
            Asked::Http2(_) => None,
        }
    }
}

impl h1::Asking for RequestBody {
    fn interim(&self, head: &Bytes, cx: &mut Context<'_>) {
        match self.inner() {
            Asked::Http1(body) => body.interim(head, cx),
            // hyper's server has no way to send one on a stream.
            Asked::Http2(_) => {}
        }
    }

    fn open_tunnel(&mut self) {
        if let Asked::Http1(body) = self.inner_mut() {
            body.open_tunnel();
            self.begin_tunnel();
        }
    }

    fn asks_upgrade(&self) -> bool {
        matches!(self.inner(), Asked::Http1(body) if body.asks_upgrade())
    }
}

/// hyper takes a stream that was reset with `NO_ERROR` for one that ended.
fn poll_http2(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    Poll::Ready(match ready!(Pin::new(&mut *body).poll_frame(cx)) {
        None if !body.is_end_stream() => Some(Err(BodyError::Reset)),
        None => None,
        Some(frame) => Some(frame.map_err(BodyError::Http2)),
    })
}

/// The body of an answer: the model's, or one of the proxy's own.
pub(super) enum Told {
    /// With the pool that its connection goes back to.
    Http1(h1::Answer<RequestBody>, Rc<Pool>),
    Http2(Incoming),
    /// At once, and then over.
    Own(Option<Bytes>),
}

impl Told {
    pub(super) fn http1(answer: h1::Answer<RequestBody>, pool: Rc<Pool>) -> Self {
        let mut told = Self::Http1(answer, pool);
        told.give_back();
        told
    }

    /// Hands the connection to whoever comes next, if it is done with this exchange.
    fn give_back(&mut self) {
        if let Self::Http1(answer, pool) = self
            && let Some(connection) = answer.give_back()
        {
            pool.put(connection);
        }
    }
}

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match this {
            Self::Http1(answer, _) => {
                let polled = ready!(answer.poll_frame(cx));
                this.give_back();
                Poll::Ready(polled.map(|frame| frame.map_err(Into::into)))
            }
            Self::Http2(body) => poll_http2(body, cx),
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(answer, _) => answer.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
            Self::Own(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(answer, _) => answer.size_hint(),
            Self::Http2(body) => body.size_hint(),
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

/// The tapped body of an answer, on its way to the client.
pub(super) struct ResponseBody {
    tapped: tap::Body<Told>,
    limit: Option<Limit>,
}

/// When the whole exchange has to be over.
pub(super) struct Limit {
    sleep: Pin<Box<Sleep>>,
    length: Duration,
}

impl Limit {
    /// `length` from now.
    pub(super) fn new(length: Duration) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(length)), length }
    }

    pub(super) fn length(&self) -> Duration {
        self.length
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

impl ResponseBody {
    pub(super) fn new(tapped: tap::Body<Told>, limit: Option<Limit>) -> Self {
        Self { tapped, limit }
    }
}

impl h1::Spelled for ResponseBody {
    fn written(&self) -> Option<&h1::Written> {
        match self.tapped.inner() {
            Told::Http1(answer, _) => Some(answer.written()),
            Told::Http2(_) | Told::Own(_) => None,
        }
    }

    fn written_trailers(&self) -> Option<&h1::Written> {
        match self.tapped.inner() {
            Told::Http1(answer, _) => answer.written_trailers(),
            Told::Http2(_) | Told::Own(_) => None,
        }
    }
}

impl h1::Telling for ResponseBody {
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.tapped.inner_mut() {
            Told::Http1(answer, _) => answer.poll_rest(cx),
            Told::Http2(_) | Told::Own(_) => Poll::Ready(()),
        }
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = &mut self.limit else { return Poll::Pending };
        ready!(limit.poll(cx));
        self.tapped.exchange().timed_out();
        Poll::Ready(())
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(length) = this.limit.as_ref().map(Limit::length)
            && h1::Telling::poll_late(this, cx).is_ready()
        {
            return Poll::Ready(Some(Err(BodyError::Timeout(length))));
        }
        Pin::new(&mut this.tapped).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.tapped.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.tapped.size_hint()
    }
}
