//! The bodies of an exchange: a peer's as it streams in, or one of the proxy's own.

use super::expect::Hold;
use super::upstream::Lease;
use crate::tap;
use bytes::Bytes;
use http::Version;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use thiserror::Error;

/// The body of a request on its way to the model.
pub(super) type RequestBody = tap::Body<Source>;

pub(super) enum Source {
    Http1(Incoming),
    Http2(Incoming),
    /// Over HTTP/1, and not wanted before the hold is gone.
    Held(Incoming, Box<Hold>),
    /// At once, and then over.
    Own(Option<Bytes>),
}

#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error("the body could not be read to its end")]
    Broken(#[source] hyper::Error),
    #[error("the stream was reset before the body's end")]
    Reset,
}

impl Source {
    pub(super) fn of(incoming: Incoming, version: Version) -> Self {
        match version {
            Version::HTTP_2 => Self::Http2(incoming),
            _ => Self::Http1(incoming),
        }
    }
}

impl http_body::Body for Source {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let incoming = match &mut *self {
            Self::Http1(incoming) | Self::Http2(incoming) => incoming,
            Self::Held(incoming, hold) => {
                ready!(hold.poll(cx));
                incoming
            }
            Self::Own(bytes) => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
        };
        let polled = ready!(Pin::new(incoming).poll_frame(cx));
        Poll::Ready(match polled {
            // hyper takes a stream that was reset with NO_ERROR for one that ended.
            None if self.is_reset() => Some(Err(BodyError::Reset)),
            None => None,
            Some(frame) => Some(frame.map_err(BodyError::Broken)),
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(incoming) | Self::Http2(incoming) | Self::Held(incoming, _) => {
                incoming.is_end_stream()
            }
            Self::Own(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(incoming) | Self::Http2(incoming) | Self::Held(incoming, _) => {
                incoming.size_hint()
            }
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

impl Source {
    /// Of a body that has no more frames.
    fn is_reset(&self) -> bool {
        matches!(self, Self::Http2(incoming) if !incoming.is_end_stream())
    }
}

/// The body of an answer, with the HTTP/1 connection it comes over.
pub(super) struct Leased {
    pub(super) source: Source,
    pub(super) lease: Option<Lease>,
}

/// A tapped response body that gives its upstream connection back once it was read to the end.
pub(super) struct ResponseBody {
    tapped: tap::Body<Source>,
    lease: Option<Lease>,
    /// The length that the head declares, of a body that is empty: an answer to HEAD, a 304, or 0.
    /// hyper leaves the field as it is only if the body claims to have that length.
    claimed: Option<u64>,
}

impl ResponseBody {
    pub(super) fn new(tapped: tap::Body<Source>, lease: Option<Lease>) -> Self {
        Self { tapped, lease, claimed: None }
    }

    /// What the head says of the length of an empty body, for an HTTP/1 client.
    pub(super) fn claim(&mut self, length: Option<u64>) {
        self.claimed = length;
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
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.claimed = None;
        let polled = ready!(Pin::new(&mut self.tapped).poll_frame(cx));
        match &polled {
            Some(Ok(_)) if !self.tapped.is_end_stream() => {}
            Some(Ok(_)) | None => self.give_back(),
            Some(Err(_)) => self.lease = None,
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.claimed.is_none() && self.tapped.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.claimed.map_or_else(|| self.tapped.size_hint(), SizeHint::with_exact)
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.tapped.is_end_stream() {
            self.give_back();
        }
    }
}
