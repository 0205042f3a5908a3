//! One exchange on one connection to the upstream.
//!
//! In: a request and a connection that is idle or new. Out: the answer's head, with a body that still
//! streams and brings the connection back when it was read to its end. Request and answer flow at
//! once. If nothing was answered, how far the request got is told, so that it can be sent on another
//! connection where that is safe.

use super::encode;
use super::framing::Framing;
use super::head::{self, AnswerHead, BadHead, Persistence};
use super::incoming::{BadBody, Incoming, Room};
use super::outgoing::{OnFault, Outgoing, Unsent};
use super::replay::Replay;
use super::written::{Spelled, Written};
use crate::proxy::io::Io;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Interim answers to one request, at most.
const MOST_INTERIM: usize = 32;
/// How often, and how far apart, it is looked for a reset behind the end of a connection.
const RESET_LOOKS: u32 = 20;
const RESET_PAUSE: Duration = Duration::from_millis(1);

/// What the codec asks of a request's body beside its frames.
pub(in crate::proxy) trait Asking: Spelled {
    /// An interim answer has come; `head` is all of it.
    fn interim(&self, head: &Bytes, cx: &mut Context<'_>);
    /// The upstream switches protocols: frames are what the client sends from now on, as it comes.
    fn open_tunnel(&mut self);
    /// Whether the client asks to switch protocols.
    fn asks_upgrade(&self) -> bool;
}

/// A connection that carries nothing at the moment.
pub(in crate::proxy) struct Idle {
    io: Io,
    room: Room,
    pub(in crate::proxy) opened: Instant,
}

impl Idle {
    pub(in crate::proxy) fn new(io: Io, opened: Instant) -> Self {
        Self { io, room: Room::default(), opened }
    }

    /// The upstream has closed it, or said something unasked.
    pub(in crate::proxy) fn is_stale(&self) -> bool {
        self.io.is_disturbed()
    }
}

#[derive(Debug, Error)]
pub(in crate::proxy) enum SendError<E> {
    #[error("the connection broke before an answer came")]
    Broken(#[source] io::Error),
    #[error("the connection was closed before an answer came")]
    Closed,
    #[error("the answer was cut short in its head")]
    CutShort,
    #[error("the answer is not one")]
    BadHead(#[from] BadHead),
    #[error("the upstream speaks HTTP/2 only")]
    SpeaksHttp2,
    #[error("the answer switches protocols, which nobody asked for")]
    UnaskedUpgrade,
    #[error("more than {MOST_INTERIM} interim answers came")]
    TooManyInterim,
    #[error("the request's body broke")]
    Body(#[source] E),
    #[error("the request's body is not as long as declared")]
    BodyLength,
}

/// How far a request got that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Reached {
    /// The upstream's process did not read all of it: writing failed, or the connection was reset,
    /// which a kernel does for a process that has closed without reading.
    Unread,
    /// It may have been read, and acted upon.
    Unknown,
    /// Something was answered.
    Answered,
}

pub(in crate::proxy) type Failed<B> = (SendError<<B as Body>::Error>, Reached);

/// A request, and what has become of it so far. Boxed once: it is handed from the sender to the
/// answer's body, and is too large to be moved through every layer between them.
pub(in crate::proxy) struct Exchange<B> {
    head: Request<()>,
    outgoing: Outgoing<Replay<B>>,
    sending: Sending,
    connection: Option<Idle>,
    input: BytesMut,
    interims: usize,
    /// Of the answer, once its head has come.
    incoming: Incoming,
    written: Written,
    trailers: Option<Box<Written>>,
    afterwards: Afterwards,
}

/// What may become of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    Reuse,
    Close,
}

#[derive(Debug)]
enum Sending {
    Flowing,
    Sent,
    /// The upstream takes no more of it, which does not keep it from answering.
    Broken(Option<io::Error>),
}

impl<B: Asking> Exchange<B> {
    pub(in crate::proxy) fn new(request: Request<Replay<B>>) -> Box<Self> {
        let (head, body) = request.into_parts();
        Box::new(Self {
            head: Request::from_parts(head, ()),
            outgoing: Outgoing::new(body, OnFault::SendNothing),
            sending: Sending::Flowing,
            connection: None,
            input: BytesMut::new(),
            interims: 0,
            incoming: Incoming::new(Framing::Empty),
            written: Written::default(),
            trailers: None,
            afterwards: Afterwards::Close,
        })
    }

    pub(in crate::proxy) fn method(&self) -> &Method {
        self.head.method()
    }

    pub(in crate::proxy) fn body(&self) -> &B {
        self.outgoing.body().inner()
    }

    /// For a last try.
    pub(in crate::proxy) fn forget(&mut self) {
        self.outgoing.body_mut().forget();
    }

    /// Whether it can be sent from its beginning once more.
    pub(in crate::proxy) fn rewind(&mut self) -> bool {
        self.outgoing.body_mut().rewind()
    }

    /// For a protocol other than this one.
    pub(in crate::proxy) fn into_request(self) -> Request<Replay<B>> {
        let body = self.outgoing.into_body();
        self.head.map(|()| body)
    }

    /// Sends the request on `connection` and waits for the head of its answer.
    pub(in crate::proxy) async fn send(
        &mut self,
        connection: Idle,
    ) -> Result<Response<()>, Failed<B>> {
        let body = self.outgoing.body();
        let (out, framing) = encode::request(&self.head, body, body.written());
        self.outgoing.begin(out, framing);
        self.sending = Sending::Flowing;
        self.input.clear();
        self.connection = Some(connection);
        poll_fn(|cx| self.poll_head(cx)).await
    }

    /// Whether an upstream that has ended the connection did so before the request reached it. Its end
    /// may overtake the reset that says so, under load; a reset is there within moments or never.
    pub(in crate::proxy) async fn will_be_reset(&self) -> bool {
        for _ in 0..RESET_LOOKS {
            if self.connection.as_ref().is_some_and(|connection| connection.io.was_reset()) {
                return true;
            }
            tokio::time::sleep(RESET_PAUSE).await;
        }
        false
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, Failed<B>>> {
        self.poll_sending(cx)?;
        loop {
            match head::answer(&mut self.input, self.head.method()) {
                Err(_) if is_http2(&self.input) => {
                    return Poll::Ready(Err((SendError::SpeaksHttp2, Reached::Unread)));
                }
                Err(bad) => return Poll::Ready(Err((bad.into(), Reached::Answered))),
                Ok(Some(head)) if is_interim(&head) => self.pass_interim(&head, cx)?,
                Ok(Some(head)) => return Poll::Ready(self.answered(head)),
                Ok(None) => {
                    let Some(Idle { io, room, .. }) = &self.connection else {
                        return Poll::Pending;
                    };
                    match ready!(io.poll_fill(&mut self.input, room.bytes(), cx)) {
                        Ok(0) => return Poll::Ready(Err(self.ended(None))),
                        Ok(_) => {}
                        Err(error) => return Poll::Ready(Err(self.ended(Some(error)))),
                    }
                }
            }
        }
    }

    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Result<(), Failed<B>> {
        let (Sending::Flowing, Some(Idle { io, .. })) = (&self.sending, &self.connection) else {
            return Ok(());
        };
        match self.outgoing.poll(io, cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.sending = Sending::Sent,
            Poll::Ready(Err(Unsent::Io(error))) => self.sending = Sending::Broken(Some(error)),
            Poll::Ready(Err(Unsent::Body(error))) => {
                return Err((SendError::Body(error), Reached::Unknown));
            }
            Poll::Ready(Err(Unsent::Length)) => {
                return Err((SendError::BodyLength, Reached::Unknown));
            }
        }
        Ok(())
    }

    /// The connection is over and there is no head.
    fn ended(&mut self, read: Option<io::Error>) -> Failed<B> {
        if !self.input.is_empty() {
            return (SendError::CutShort, Reached::Answered);
        }
        let written = match &mut self.sending {
            Sending::Broken(error) => error.take(),
            Sending::Flowing | Sending::Sent => None,
        };
        // Of TLS, an end that was not announced: what was sent before it may have been read.
        let is_end = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
        let is_read_reset = read.as_ref().is_some_and(|error| !is_end(error));
        let was_reset =
            self.connection.as_ref().is_some_and(|connection| connection.io.was_reset());
        let is_unread = written.is_some() || is_read_reset || was_reset;
        let reached = if is_unread { Reached::Unread } else { Reached::Unknown };
        match read.or(written) {
            Some(error) => (SendError::Broken(error), reached),
            None => (SendError::Closed, reached),
        }
    }

    fn pass_interim(&mut self, head: &AnswerHead, cx: &mut Context<'_>) -> Result<(), Failed<B>> {
        self.interims += 1;
        if self.interims > MOST_INTERIM {
            return Err((SendError::TooManyInterim, Reached::Answered));
        }
        self.body().interim(head.written.bytes(), cx);
        // Who waited for it may go on at once.
        self.poll_sending(cx)
    }

    fn answered(&mut self, head: AnswerHead) -> Result<Response<()>, Failed<B>> {
        let AnswerHead { answer, written, mut framing, persistence } = head;
        self.outgoing.body_mut().forget();
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            if !(self.body().asks_upgrade() && self.outgoing.is_sent()) {
                return Err((SendError::UnaskedUpgrade, Reached::Answered));
            }
            self.outgoing.body_mut().inner_mut().open_tunnel();
            self.outgoing.open_tunnel();
            self.sending = Sending::Flowing;
            framing = Framing::UntilClose;
        }
        self.incoming = Incoming::new(framing);
        self.written = written;
        if persistence != Persistence::Close && framing != Framing::UntilClose {
            self.afterwards = Afterwards::Reuse;
        }
        Ok(answer)
    }
}

/// Whether a server of HTTP/2 greets, with a SETTINGS frame on stream 0 (RFC 9113 section 6.5).
fn is_http2(input: &[u8]) -> bool {
    matches!(input, [0, _, _, 4, 0 | 1, 0, 0, 0, 0, ..])
}

fn is_interim(head: &AnswerHead) -> bool {
    let status = head.answer.status();
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// The body of an answer, and what is still to be sent of its request.
pub(in crate::proxy) struct Answer<B>(Box<Exchange<B>>);

impl<B: Asking> Answer<B> {
    /// Of an exchange whose answer's head has come.
    pub(in crate::proxy) fn new(exchange: Box<Exchange<B>>) -> Self {
        Self(exchange)
    }

    pub(in crate::proxy) fn written(&self) -> &Written {
        &self.0.written
    }

    pub(in crate::proxy) fn written_trailers(&self) -> Option<&Written> {
        self.0.trailers.as_deref()
    }

    /// Of a tunnel whose upstream says no more: until its client says no more either.
    pub(in crate::proxy) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = self.0.poll_sending(cx).is_err();
        let is_flowing = matches!(self.0.sending, Sending::Flowing);
        if is_over || !is_flowing { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The connection, once both request and answer have ended on it as they should.
    pub(in crate::proxy) fn give_back(&mut self) -> Option<Idle> {
        let exchange = &mut *self.0;
        let is_done = exchange.incoming.is_over() && matches!(exchange.sending, Sending::Sent);
        // Bytes behind the answer belong to no exchange.
        let is_clean = exchange.afterwards == Afterwards::Reuse && exchange.input.is_empty();
        if !(is_done && is_clean) {
            return None;
        }
        let mut connection = exchange.connection.take()?;
        connection.room.learn(exchange.written.bytes().len() as u64 + exchange.incoming.bytes());
        Some(connection)
    }

    pub(in crate::proxy) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BadBody>>> {
        let exchange = &mut *self.0;
        if exchange.poll_sending(cx).is_err() {
            // The client broke off: the upstream may wait for the rest for ever.
            exchange.sending = Sending::Broken(None);
            return Poll::Ready(Some(Err(BadBody::RequestBroke)));
        }
        let Some(Idle { io, .. }) = &exchange.connection else { return Poll::Ready(None) };
        let polled = exchange.incoming.poll_frame(io, &mut exchange.input, cx);
        exchange.trailers = exchange.incoming.take_trailers();
        polled
    }

    pub(in crate::proxy) fn is_end_stream(&self) -> bool {
        self.0.incoming.is_over()
    }

    pub(in crate::proxy) fn size_hint(&self) -> SizeHint {
        self.0.incoming.size_hint()
    }
}
