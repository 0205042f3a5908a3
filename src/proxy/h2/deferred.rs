//! A stream whose writes wait until the connection on it has been polled.
//!
//! In: what a protocol writes and flushes, piece by piece, while it is polled. Out: the same in one
//! write after it. The promise: no more is held than a bound, beyond which writes go through, and
//! nothing is held once the socket takes it.

use crate::proxy::io::Io;
use bytes::{Buf as _, Bytes, BytesMut};
use smallvec::SmallVec;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Beyond this, writing waits for the socket.
const MOST_HELD_BYTES: usize = 64 * 1024;

/// Cloned for the one who polls the connection, who has to let go of what it wrote.
#[derive(Clone)]
pub(super) struct Deferred(Rc<Inner>);

struct Inner {
    io: Io,
    /// Read before, to be read again.
    input: RefCell<Bytes>,
    out: RefCell<BytesMut>,
    greeting: RefCell<Greeting>,
}

/// The first bytes that come.
#[derive(Default)]
struct Greeting {
    bytes: SmallVec<[u8; GREETING_BYTES]>,
    is_there: bool,
    waiting: Option<Waker>,
}

/// Enough to tell one protocol from another.
const GREETING_BYTES: usize = 4;

impl Deferred {
    pub(super) fn new(io: Io, input: Bytes) -> Self {
        Self(Rc::new(Inner {
            io,
            input: RefCell::new(input),
            out: RefCell::default(),
            greeting: RefCell::default(),
        }))
    }

    /// The first bytes that come, fewer if the peer closes before.
    pub(super) async fn greeting(&self) -> SmallVec<[u8; GREETING_BYTES]> {
        poll_fn(|cx| {
            let greeting = &mut *self.0.greeting.borrow_mut();
            if greeting.is_there {
                return Poll::Ready(greeting.bytes.clone());
            }
            greeting.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Polls by `poll`, and then sends what that wrote, as far as the socket takes it.
    pub(super) fn poll_around<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let polled = poll(cx);
        // A fault will be met again by whoever reads or writes next.
        let _ = self.0.poll_send(cx);
        polled
    }
}

impl Greeting {
    fn hear(&mut self, bytes: &[u8]) {
        if self.is_there {
            return;
        }
        let missing = GREETING_BYTES - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        if bytes.is_empty() || self.bytes.len() == GREETING_BYTES {
            self.is_there = true;
            self.waiting.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl Inner {
    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let out = &mut *self.out.borrow_mut();
        while !out.is_empty() {
            match ready!(self.io.poll_write(&[IoSlice::new(out)], cx)) {
                Ok(count) => out.advance(count),
                Err(error) => {
                    out.clear();
                    return Poll::Ready(Err(error));
                }
            }
        }
        // An idle connection holds nothing.
        if out.capacity() > MOST_HELD_BYTES {
            *out = BytesMut::new();
        }
        self.io.poll_flush(cx)
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.borrow().len() < MOST_HELD_BYTES {
            return Poll::Ready(Ok(()));
        }
        self.poll_send(cx)
    }
}

impl AsyncRead for Deferred {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let input = &mut *self.0.input.borrow_mut();
        if input.is_empty() {
            let before = buffer.filled().len();
            let read = ready!(self.0.io.poll_read(buffer, cx));
            self.0.greeting.borrow_mut().hear(&buffer.filled()[before..]);
            return Poll::Ready(read);
        }
        let length = input.len().min(buffer.remaining());
        buffer.put_slice(&input.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Deferred {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.0.poll_room(cx))?;
        self.0.out.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.0.poll_room(cx))?;
        let out = &mut *self.0.out.borrow_mut();
        for part in parts {
            out.extend_from_slice(part);
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Later: see [`Deferred::poll_around`].
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_send(cx))?;
        self.0.io.poll_shutdown(cx)
    }
}
