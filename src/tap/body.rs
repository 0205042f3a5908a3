//! A body on its way through: every frame is shown to the tap and passed on untouched.

use super::OpenExchange;
use crate::capture::BodyEnd;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Request,
    Response,
}

/// Forwards frames, trailers, size hint and end of `inner`, and tells the exchange of each.
pub struct Body<B: http_body::Body> {
    inner: B,
    exchange: Rc<OpenExchange>,
    side: Side,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Flowing,
    Ended,
}

impl<B: http_body::Body> Body<B> {
    pub fn new(inner: B, exchange: Rc<OpenExchange>, side: Side) -> Self {
        let mut body = Self { inner, exchange, side, state: State::Flowing };
        body.end_if_over();
        body
    }

    pub fn inner(&self) -> &B {
        &self.inner
    }

    pub fn inner_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    /// The connection switches protocols: the body begins anew, and is no payload.
    pub fn begin_tunnel(&mut self) {
        self.state = State::Flowing;
        self.exchange.tunnel_began(self.side);
    }

    pub fn exchange(&self) -> &Rc<OpenExchange> {
        &self.exchange
    }

    fn end_if_over(&mut self) {
        if self.inner.is_end_stream() {
            self.end(BodyEnd::Complete);
        }
    }

    fn end(&mut self, end: BodyEnd) {
        if self.state == State::Flowing {
            self.state = State::Ended;
            self.exchange.body_ended(self.side, end);
        }
    }
}

impl<B> http_body::Body for Body<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.exchange.saw(self.side, data);
                }
                self.end_if_over();
            }
            Some(Err(_)) => self.end(BodyEnd::Aborted),
            None => self.end(BodyEnd::Complete),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: http_body::Body> Drop for Body<B> {
    fn drop(&mut self) {
        self.end(BodyEnd::Cancelled);
    }
}
