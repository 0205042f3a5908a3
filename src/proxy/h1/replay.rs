//! A request's body that can be sent a second time, as long as what was sent is still at hand.
//!
//! Frames are kept by reference count until an answer comes or they exceed a bound. So a request
//! whose connection turns out to be stale goes out again on a fresh one, byte for byte.

use super::written::{Spelled, Written};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;
use std::pin::Pin;
use std::task::{Context, Poll};

const MOST_KEPT_BYTES: usize = 64 * 1024;

pub(in crate::proxy) struct Replay<B> {
    inner: B,
    /// Sent before, in this order; `None` once that can no longer be repeated.
    sent: Option<SmallVec<[Sent; 2]>>,
    sent_bytes: usize,
    /// How many of `sent` have gone out this time.
    again: usize,
}

#[derive(Clone)]
enum Sent {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

impl Sent {
    fn of(frame: &Frame<Bytes>) -> Option<Self> {
        let data = frame.data_ref().map(|data| Self::Data(data.clone()));
        data.or_else(|| frame.trailers_ref().map(|fields| Self::Trailers(Box::new(fields.clone()))))
    }
}

impl From<Sent> for Frame<Bytes> {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Data(data) => Self::data(data),
            Sent::Trailers(fields) => Self::trailers(*fields),
        }
    }
}

impl<B> Replay<B> {
    pub(in crate::proxy) fn new(inner: B) -> Self {
        Self { inner, sent: Some(SmallVec::new()), sent_bytes: 0, again: 0 }
    }

    pub(in crate::proxy) fn inner(&self) -> &B {
        &self.inner
    }

    pub(in crate::proxy) fn inner_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    /// No second time will be needed.
    pub(in crate::proxy) fn forget(&mut self) {
        if self.sent.as_ref().is_none_or(|sent| self.again >= sent.len()) {
            self.sent = None;
        }
    }

    /// Begins anew; false if that is not possible.
    pub(in crate::proxy) fn rewind(&mut self) -> bool {
        self.again = 0;
        self.sent.is_some()
    }

    fn next_again(&mut self) -> Option<Sent> {
        let frame = self.sent.as_ref()?.get(self.again)?.clone();
        self.again += 1;
        Some(frame)
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        let Some(sent) = &mut self.sent else { return };
        self.sent_bytes += frame.data_ref().map_or(0, Bytes::len);
        match Sent::of(frame) {
            Some(frame) if self.sent_bytes <= MOST_KEPT_BYTES => {
                sent.push(frame);
                self.again = sent.len();
            }
            _ => self.sent = None,
        }
    }

    fn is_repeating(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| self.again < sent.len())
    }
}

impl<B: Spelled> Spelled for Replay<B> {
    fn written(&self) -> Option<&Written> {
        self.inner.written()
    }

    fn written_trailers(&self) -> Option<&Written> {
        self.inner.written_trailers()
    }
}

impl<B> Body for Replay<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(frame) = self.next_again() {
            return Poll::Ready(Some(Ok(frame.into())));
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.keep(frame);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        !self.is_repeating() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_repeating() { SizeHint::new() } else { self.inner.size_hint() }
    }
}
