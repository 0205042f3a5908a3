//! The bytes of one connection, whatever carries them.
//!
//! Shared by all that happens on the connection, which is all on one thread: reading a request's body
//! and writing the answer go on at once. Each call borrows the stream for as long as it lasts.

use bytes::BytesMut;
use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

pub(super) struct Io(RefCell<Stream>);

enum Stream {
    Plain(TcpStream),
    /// Boxed: it has buffers of its own, and most connections are plain.
    Tls(Box<TlsStream<TcpStream>>),
}

impl From<TcpStream> for Io {
    fn from(stream: TcpStream) -> Self {
        Self(RefCell::new(Stream::Plain(stream)))
    }
}

impl From<TlsStream<TcpStream>> for Io {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Self(RefCell::new(Stream::Tls(Box::new(stream))))
    }
}

impl Io {
    /// Appends what has come to `input`, making `room` for it; 0 is the end. While nothing has come
    /// an empty `input` holds no memory.
    pub(super) fn poll_fill(
        &self,
        input: &mut BytesMut,
        room: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let stream = &mut *self.0.borrow_mut();
        let is_waiting = match stream {
            Stream::Plain(tcp) => tcp.poll_read_ready(cx)?.is_pending(),
            // Bytes may wait within, which the socket knows nothing of.
            Stream::Tls(_) => false,
        };
        if !is_waiting {
            make_room(input, room);
            if let Poll::Ready(read) = pin!(stream.read_buf(input)).poll(cx) {
                return Poll::Ready(read);
            }
        }
        if input.is_empty() && input.capacity() > 0 {
            *input = BytesMut::new();
        }
        Poll::Pending
    }

    /// Whether the peer has closed, or has sent what nobody asked for. No one is woken by it later.
    pub(super) fn is_disturbed(&self) -> bool {
        let mut byte = [0];
        let mut cx = Context::from_waker(Waker::noop());
        let mut stream = self.0.borrow_mut();
        Pin::new(&mut *stream).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_ready()
    }

    pub(super) fn poll_write(
        &self,
        parts: &[IoSlice<'_>],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.0.borrow_mut();
        let stream = Pin::new(&mut *stream);
        match ready!(match parts {
            [only] => stream.poll_write(cx, only),
            parts => stream.poll_write_vectored(cx, parts),
        })? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => Poll::Ready(Ok(count)),
        }
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    /// Says that nothing more will be sent.
    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)
    }

    /// The same in the words of TLS, if it is spoken and the peer takes them at once: an end without
    /// them looks to it like one that somebody forced.
    pub(super) fn say_end(&self) {
        if let Stream::Tls(tls) = &mut *self.0.borrow_mut() {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut **tls).poll_shutdown(&mut cx);
        }
    }

    /// Dropping the connection will look like a fault to the peer, not like an end.
    pub(super) fn reset_on_drop(&self) {
        // A peer that is gone already needs no telling.
        drop(self.tcp(TcpStream::set_zero_linger));
    }

    /// What befell the connection after its end was read: a reset says that the peer had closed
    /// before our last bytes reached it.
    pub(super) fn was_reset(&self) -> bool {
        self.tcp(|tcp| matches!(tcp.take_error(), Ok(Some(_)) | Err(_)))
    }

    fn tcp<T>(&self, act: impl FnOnce(&TcpStream) -> T) -> T {
        match &*self.0.borrow() {
            Stream::Plain(tcp) => act(tcp),
            Stream::Tls(tls) => act(tls.get_ref().0),
        }
    }

    pub(super) fn poll_read(
        &self,
        buffer: &mut ReadBuf<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, buffer)
    }
}

/// What is left of a buffer is used up before there is another, save for a last quarter of `room`.
/// Frames that are kept for analysis share it; small ones would else hold a whole buffer each.
fn make_room(input: &mut BytesMut, room: usize) {
    if input.capacity() - input.len() < room / 4 {
        input.reserve(room);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, parts),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_frames_that_are_kept_share_a_large_buffer() {
        const ROOM: usize = 512 * 1024;
        let mut input = BytesMut::new();
        let mut kept = Vec::new();
        for _ in 0..200 {
            make_room(&mut input, ROOM);
            input.extend_from_slice(&[7; 5000]);
            kept.push(input.split().freeze());
        }
        let follows = |pair: &[bytes::Bytes]| pair[0].as_ptr_range().end == pair[1].as_ptr();
        let buffers = 1 + kept.windows(2).filter(|pair| !follows(pair)).count();
        assert!(buffers <= 1_000_000 / (ROOM * 3 / 4) + 1, "{buffers}");
    }
}
