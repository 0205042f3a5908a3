//! A message as it goes out: its head, then its body in the framing that the head declared.
//!
//! In: a head's bytes and a body. Out: the same on a connection, each frame as soon as it is there;
//! what is there at once leaves in one write. A body that fails, or has more or less than declared,
//! is never ended as if it were whole; what came before the fault is sent or not, as [`OnFault`] says.

use super::encode;
use super::framing::Framing;
use super::written::Spelled;
use crate::proxy::io::Io;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Frame;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Frames up to this size are copied behind what already waits, where that has room for them: one
/// piece is cheaper to write than two.
const COPIED_BYTES: usize = 4 * 1024;
const GATHERED_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub(super) enum Unsent<E> {
    /// The body could not be read to its end.
    Body(E),
    /// It was not as long as declared.
    Length,
    Io(io::Error),
}

/// What becomes of what was read of a body before it failed, and not yet written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFault {
    /// Of an answer: the client gets all that the upstream sent.
    SendRest,
    /// Of a request: the upstream sees nothing of what is malformed.
    SendNothing,
}

pub(super) struct Outgoing<B> {
    body: B,
    on_fault: OnFault,
    framing: Framing,
    /// Goes first, then `frame`, then `after`.
    out: BytesMut,
    frame: Bytes,
    after: &'static [u8],
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Flowing,
    /// All of the body was taken.
    Ended,
    Sent,
}

impl<B: Spelled> Outgoing<B> {
    /// Of a message that begins with [`Self::begin`].
    pub(super) fn new(body: B, on_fault: OnFault) -> Self {
        Self {
            body,
            on_fault,
            framing: Framing::Empty,
            out: BytesMut::new(),
            frame: Bytes::new(),
            after: b"",
            stage: Stage::Ended,
        }
    }

    /// Sends `head`, and the body behind it in the framing that it declares.
    pub(super) fn begin(&mut self, head: BytesMut, framing: Framing) {
        self.framing = framing;
        self.out = head;
        self.frame = Bytes::new();
        self.after = b"";
        self.stage = match framing {
            Framing::Empty | Framing::Length(0) => Stage::Ended,
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => Stage::Flowing,
        };
    }

    pub(super) fn body(&self) -> &B {
        &self.body
    }

    pub(super) fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    pub(super) fn into_body(self) -> B {
        self.body
    }

    pub(super) fn is_sent(&self) -> bool {
        self.stage == Stage::Sent
    }

    /// After the head alone was sent: what comes now is no HTTP.
    pub(super) fn open_tunnel(&mut self) {
        self.framing = Framing::UntilClose;
        self.stage = Stage::Flowing;
    }

    /// Until all is sent.
    pub(super) fn poll(
        &mut self,
        io: &Io,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unsent<B::Error>>> {
        loop {
            if self.stage == Stage::Sent {
                return Poll::Ready(Ok(()));
            }
            let gathered = match (self.gather(cx), self.on_fault) {
                (Err(fault), OnFault::SendNothing) => return Poll::Ready(Err(fault)),
                (gathered, _) => gathered,
            };
            if self.poll_write_all(io, cx)?.is_pending() {
                gathered?;
                return Poll::Pending;
            }
            match gathered? {
                Gathered::Some => {}
                Gathered::Waiting => {
                    let _ = io.poll_flush(cx).map_err(Unsent::Io)?;
                    return Poll::Pending;
                }
                Gathered::Ended => {
                    ready!(io.poll_flush(cx)).map_err(Unsent::Io)?;
                    if self.framing == Framing::UntilClose {
                        ready!(io.poll_shutdown(cx)).map_err(Unsent::Io)?;
                    }
                    self.stage = Stage::Sent;
                }
            }
        }
    }

    /// Takes frames while they are there and fit in one write.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<Gathered, Unsent<B::Error>> {
        while self.stage == Stage::Flowing {
            if !self.frame.is_empty() || self.out.len() > GATHERED_BYTES {
                return Ok(Gathered::Some);
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(Gathered::Waiting),
                Poll::Ready(Some(Ok(frame))) => self.take(frame)?,
                Poll::Ready(Some(Err(error))) => return Err(Unsent::Body(error)),
                Poll::Ready(None) => self.end()?,
            }
        }
        Ok(Gathered::Ended)
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<(), Unsent<B::Error>> {
        match frame.into_data() {
            Ok(data) => self.take_data(data),
            Err(frame) => {
                if let (Framing::Chunked, Ok(trailers)) = (self.framing, frame.into_trailers()) {
                    let written = self.body.written_trailers();
                    encode::trailers(&mut self.out, &trailers, written);
                    self.stage = Stage::Ended;
                }
                Ok(())
            }
        }
    }

    fn take_data(&mut self, data: Bytes) -> Result<(), Unsent<B::Error>> {
        match &mut self.framing {
            Framing::Length(rest) => {
                *rest = rest.checked_sub(data.len() as u64).ok_or(Unsent::Length)?;
                if *rest == 0 {
                    self.stage = Stage::Ended;
                }
            }
            Framing::Chunked if data.is_empty() => return Ok(()),
            Framing::Chunked => {
                encode::chunk_size(&mut self.out, data.len());
                self.after = b"\r\n";
            }
            Framing::UntilClose | Framing::Empty => {}
        }
        let has_room =
            self.out.is_empty() || self.out.capacity() - self.out.len() >= data.len() + 2;
        if data.len() <= COPIED_BYTES && has_room {
            self.out.extend_from_slice(&data);
            self.out.extend_from_slice(std::mem::take(&mut self.after));
        } else {
            self.frame = data;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Unsent<B::Error>> {
        match self.framing {
            Framing::Length(rest) if rest > 0 => return Err(Unsent::Length),
            Framing::Chunked => self.out.extend_from_slice(b"0\r\n\r\n"),
            Framing::Empty | Framing::Length(_) | Framing::UntilClose => {}
        }
        self.stage = Stage::Ended;
        Ok(())
    }

    fn poll_write_all(
        &mut self,
        io: &Io,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unsent<B::Error>>> {
        while !self.out.is_empty() || !self.frame.is_empty() || !self.after.is_empty() {
            let all = [&self.out[..], &self.frame[..], self.after].map(IoSlice::new);
            let parts =
                if self.frame.is_empty() && self.after.is_empty() { &all[..1] } else { &all };
            let count = ready!(io.poll_write(parts, cx)).map_err(Unsent::Io)?;
            self.wrote(count);
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, count: usize) {
        let of_out = count.min(self.out.len());
        self.out.advance(of_out);
        let of_frame = (count - of_out).min(self.frame.len());
        self.frame.advance(of_frame);
        if self.frame.is_empty() {
            // An empty frame would still hold the buffer that the next one is to be read into.
            self.frame = Bytes::new();
        }
        self.after = &self.after[count - of_out - of_frame..];
    }
}

enum Gathered {
    /// As much as one write is to take.
    Some,
    /// All there is for now.
    Waiting,
    /// All there will be.
    Ended,
}
