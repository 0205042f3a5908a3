//! The bodies of an exchange: a peer's as it streams in, or one of the proxy's own.

use super::upstream::Lease;
use crate::tap;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The body of a request on its way to the model.
pub(super) type RequestBody = tap::Body<Source>;

pub(super) enum Source {
    Peer(Incoming),
    /// At once, and then over.
    Own(Option<Bytes>),
}

impl http_body::Body for Source {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Peer(incoming) => Pin::new(incoming).poll_frame(cx),
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Peer(incoming) => incoming.is_end_stream(),
            Self::Own(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Peer(incoming) => incoming.size_hint(),
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

/// A tapped response body that gives its upstream connection back once it was read to the end.
pub(super) struct ResponseBody {
    tapped: tap::Body<Source>,
    lease: Option<Lease>,
}

impl ResponseBody {
    pub(super) fn new(tapped: tap::Body<Source>, lease: Option<Lease>) -> Self {
        Self { tapped, lease }
    }

    /// While the request still flows its connection is of no use to another.
    fn give_back(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        if self.tapped.exchange().is_request_whole() {
            lease.give_back();
        }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = ready!(Pin::new(&mut self.tapped).poll_frame(cx));
        match &polled {
            Some(Ok(_)) if !self.tapped.is_end_stream() => {}
            Some(Ok(_)) | None => self.give_back(),
            Some(Err(_)) => self.lease = None,
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.tapped.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.tapped.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.tapped.is_end_stream() {
            self.give_back();
        }
    }
}
