//! A body as it comes in, by its framing.
//!
//! In: a connection's bytes. Out: frames, each at most what one read brings, and a clear end: whole,
//! cut short, or not what its framing said. Nothing is read before the frame before it was taken.

use super::chunk::{BadChunk, Chunks, Step};
use super::framing::Framing;
use super::written::Written;
use crate::proxy::io::Io;
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use std::io;
use std::task::{Context, Poll, ready};
use thiserror::Error;

/// What a read of a body makes room for, at least and at most. The most is what one slow reader
/// makes us hold.
const LEAST_ROOM: usize = 16 * 1024;
const MOST_ROOM: usize = 512 * 1024;
/// More than is expected: a read that leaves room tells the runtime that nothing is left to be read.
const SLACK: usize = 512;

/// How much room a connection makes for a message: as much as the last one took, so that a head and
/// its body come in one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Room(usize);

impl Room {
    /// For a head, and a short body behind it.
    const LEAST: usize = 4 * 1024;
    /// What a client that sends its next head slowly makes us hold.
    const MOST: usize = 128 * 1024;

    pub(super) fn bytes(self) -> usize {
        self.0
    }

    /// After a message of `bytes`, head included.
    pub(super) fn learn(&mut self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(Self::MOST);
        self.0 = bytes.saturating_add(SLACK).clamp(Self::LEAST, Self::MOST);
    }
}

impl Default for Room {
    fn default() -> Self {
        Self(Self::LEAST)
    }
}

#[derive(Debug, Error)]
pub(in crate::proxy) enum BadBody {
    #[error("the connection broke in the middle of a body")]
    Broken(#[source] io::Error),
    #[error("the connection ended in the middle of a body")]
    CutShort,
    #[error("the request broke off while its answer came")]
    RequestBroke,
    #[error(transparent)]
    Chunk(#[from] BadChunk),
}

#[derive(Debug)]
pub(super) struct Incoming {
    state: State,
    room: usize,
    /// That came so far.
    bytes: u64,
    /// How the trailers were written, once they have come.
    trailers: Option<Box<Written>>,
}

#[derive(Debug)]
enum State {
    /// This many bytes are still to come.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Over,
}

impl Incoming {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Over,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunks::new()),
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, room: LEAST_ROOM, bytes: 0, trailers: None }
    }

    pub(super) fn is_over(&self) -> bool {
        match &self.state {
            State::Over => true,
            State::Chunked(chunks) => chunks.is_over(),
            State::Length(_) | State::UntilClose => false,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn take_trailers(&mut self) -> Option<Box<Written>> {
        self.trailers.take()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.state {
            State::Length(length) => SizeHint::with_exact(length),
            State::Over => SizeHint::with_exact(0),
            State::Chunked(_) | State::UntilClose => SizeHint::new(),
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        io: &Io,
        input: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BadBody>>> {
        loop {
            match self.next(input) {
                Ok(Next::Frame(frame)) => {
                    self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                    return Poll::Ready(Some(Ok(frame)));
                }
                Ok(Next::Over) => return Poll::Ready(None),
                Ok(Next::More) => {}
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            }
            match ready!(io.poll_fill(input, self.wanted(), cx)) {
                Ok(0) if matches!(self.state, State::UntilClose) => self.state = State::Over,
                Ok(0) => return Poll::Ready(Some(Err(BadBody::CutShort))),
                Ok(count) => self.learn(count),
                Err(error) => return Poll::Ready(Some(Err(BadBody::Broken(error)))),
            }
        }
    }

    fn next(&mut self, input: &mut BytesMut) -> Result<Next, BadBody> {
        match &mut self.state {
            State::Over => Ok(Next::Over),
            State::Chunked(chunks) => Ok(match chunks.step(input)? {
                Step::Data(data) => Next::Frame(Frame::data(data)),
                Step::Trailers(trailers, written) => {
                    self.trailers = Some(written);
                    Next::Frame(Frame::trailers(trailers))
                }
                Step::Over => Next::Over,
                Step::More => Next::More,
            }),
            State::Length(_) | State::UntilClose if input.is_empty() => Ok(Next::More),
            State::UntilClose => Ok(Next::Frame(Frame::data(input.split().freeze()))),
            State::Length(rest) => {
                let length = usize::try_from(*rest).map_or(input.len(), |n| n.min(input.len()));
                *rest -= length as u64;
                if *rest == 0 {
                    self.state = State::Over;
                }
                Ok(Next::Frame(Frame::data(input.split_to(length).freeze())))
            }
        }
    }

    /// Room for what is known to come, else for twice of what came last.
    fn wanted(&self) -> usize {
        let expected = match &self.state {
            State::Length(rest) => *rest,
            State::Chunked(chunks) => chunks.expected(),
            State::UntilClose | State::Over => 0,
        };
        let expected = usize::try_from(expected).unwrap_or(MOST_ROOM);
        expected.saturating_add(SLACK).max(self.room).clamp(LEAST_ROOM, MOST_ROOM)
    }

    fn learn(&mut self, count: usize) {
        if count >= self.room {
            self.room = (self.room * 2).min(MOST_ROOM);
        }
    }
}

enum Next {
    Frame(Frame<Bytes>),
    Over,
    More,
}
