//! A request's body that hyper sends and its owner can take back.
//!
//! hyper keeps what it was given, even where nothing came of it. Here it gets a share, and the owner
//! takes the body out of it for another connection.

use crate::proxy::h1::Replay;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

type Share<B> = Rc<RefCell<Option<Replay<B>>>>;

pub(in crate::proxy) struct Lent<B>(Share<B>);

pub(in crate::proxy) struct Owner<B>(Share<B>);

impl<B> Lent<B> {
    pub(in crate::proxy) fn new(body: Replay<B>) -> (Self, Owner<B>) {
        let share = Rc::new(RefCell::new(Some(body)));
        (Self(Rc::clone(&share)), Owner(share))
    }
}

impl<B> Owner<B> {
    /// It will not be needed again.
    pub(in crate::proxy) fn settle(self) {
        if let Some(body) = &mut *self.0.borrow_mut() {
            body.forget();
        }
    }

    /// The share that was lent is empty from now on.
    pub(in crate::proxy) fn take_back(self) -> Option<Replay<B>> {
        self.0.borrow_mut().take()
    }
}

impl<B> Body for Lent<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut *self.0.borrow_mut() {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.borrow().as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.borrow().as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
