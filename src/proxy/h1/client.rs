//! One exchange on one connection to the upstream.
//!
//! In: a request and a connection that is idle or new. Out: the answer's head, with a body that still
//! streams and brings the connection back when it was read to its end. Request and answer flow at
//! once. If nothing was answered, the request comes back with how far it got, so that it can be sent
//! on another connection where that is safe.

use super::encode;
use super::framing::Framing;
use super::head::{self, AnswerHead, BadHead, Persistence};
use super::incoming::{BadBody, HEAD_ROOM, Incoming};
use super::outgoing::{OnFault, Outgoing, Unsent};
use super::replay::Replay;
use super::written::{Spelled, Written};
use crate::proxy::io::Io;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use thiserror::Error;

/// Interim answers to one request, at most.
const MOST_INTERIM: usize = 32;

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
    io: Rc<Io>,
    input: BytesMut,
    pub(in crate::proxy) opened: Instant,
}

impl Idle {
    pub(in crate::proxy) fn new(io: Io, opened: Instant) -> Self {
        Self { io: Rc::new(io), input: BytesMut::new(), opened }
    }

    /// For another exchange, while the one that had it is still held by its reader.
    fn hand_on(&self) -> Self {
        Self { io: Rc::clone(&self.io), input: BytesMut::new(), opened: self.opened }
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

/// A request that can be sent, and sent again.
pub(in crate::proxy) struct Unanswered<B> {
    head: Request<()>,
    body: Replay<B>,
}

impl<B: Asking> Unanswered<B> {
    pub(in crate::proxy) fn new(request: Request<B>) -> Self {
        Self::from_request(request.map(Replay::new))
    }

    /// For a last try.
    pub(in crate::proxy) fn forget(&mut self) {
        self.body.forget();
    }

    /// Whether it can be sent from its beginning once more.
    pub(in crate::proxy) fn rewind(&mut self) -> bool {
        self.body.rewind()
    }

    /// For a protocol other than this one.
    pub(in crate::proxy) fn into_request(self) -> Request<Replay<B>> {
        self.head.map(|()| self.body)
    }

    pub(in crate::proxy) fn from_request(request: Request<Replay<B>>) -> Self {
        let (head, body) = request.into_parts();
        Self { head: Request::from_parts(head, ()), body }
    }

    pub(in crate::proxy) fn method(&self) -> &Method {
        self.head.method()
    }

    pub(in crate::proxy) fn body(&self) -> &B {
        self.body.inner()
    }
}

pub(in crate::proxy) struct Failed<B: Asking> {
    pub(in crate::proxy) error: SendError<B::Error>,
    pub(in crate::proxy) reached: Reached,
    pub(in crate::proxy) request: Unanswered<B>,
}

/// Sends `request` on `connection` and waits for the head of its answer.
pub(in crate::proxy) async fn send<B: Asking>(
    connection: Idle,
    request: Unanswered<B>,
) -> Result<Response<Answer<B>>, Failed<B>> {
    let Unanswered { head, body } = request;
    let (out, framing) = encode::request(&head, &body, body.inner().written());
    let outgoing = Outgoing::new(out, body, framing, OnFault::SendNothing);
    // Boxed once: what the answer's body takes over is too large to be moved through every layer.
    let mut exchange = Box::new(Exchange {
        connection,
        outgoing,
        sending: Sending::Flowing,
        interims: 0,
        incoming: Incoming::new(Framing::Empty),
        written: Written::default(),
    });
    match poll_fn(|cx| exchange.poll_head(head.method(), cx)).await {
        Ok(answer) => Ok(answered(exchange, answer)),
        Err((error, reached)) => {
            let request = Unanswered { head, body: exchange.outgoing.into_body() };
            Err(Failed { error, reached, request })
        }
    }
}

struct Exchange<B> {
    connection: Idle,
    outgoing: Outgoing<Replay<B>>,
    sending: Sending,
    interims: usize,
    /// Of the answer, once its head has come.
    incoming: Incoming,
    written: Written,
}

#[derive(Debug)]
enum Sending {
    Flowing,
    Sent,
    /// The upstream takes no more of it, which does not keep it from answering.
    Broken(Option<io::Error>),
}

type NoHead<B> = (SendError<<B as Body>::Error>, Reached);

impl<B: Asking> Exchange<B> {
    fn poll_head(
        &mut self,
        method: &Method,
        cx: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, NoHead<B>>> {
        self.poll_sending(cx)?;
        loop {
            match head::answer(&mut self.connection.input, method) {
                Err(_) if is_http2(&self.connection.input) => {
                    return Poll::Ready(Err((SendError::SpeaksHttp2, Reached::Unread)));
                }
                Err(bad) => return Poll::Ready(Err((bad.into(), Reached::Answered))),
                Ok(Some(head)) if is_interim(&head) => self.pass_interim(&head, cx)?,
                Ok(Some(head)) => return Poll::Ready(self.checked(head)),
                Ok(None) => {
                    let Idle { io, input, .. } = &mut self.connection;
                    match ready!(io.poll_fill(input, HEAD_ROOM, cx)) {
                        Ok(0) => return Poll::Ready(Err(self.ended(None))),
                        Ok(_) => {}
                        Err(error) => return Poll::Ready(Err(self.ended(Some(error)))),
                    }
                }
            }
        }
    }

    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Result<(), NoHead<B>> {
        if !matches!(self.sending, Sending::Flowing) {
            return Ok(());
        }
        match self.outgoing.poll(&self.connection.io, cx) {
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
    fn ended(&mut self, read: Option<io::Error>) -> NoHead<B> {
        if !self.connection.input.is_empty() {
            return (SendError::CutShort, Reached::Answered);
        }
        let written = match &mut self.sending {
            Sending::Broken(error) => error.take(),
            Sending::Flowing | Sending::Sent => None,
        };
        let was_reset = written.is_some() || read.is_some() || self.connection.io.was_reset();
        let reached = if was_reset { Reached::Unread } else { Reached::Unknown };
        match read.or(written) {
            Some(error) => (SendError::Broken(error), reached),
            None => (SendError::Closed, reached),
        }
    }

    fn pass_interim(&mut self, head: &AnswerHead, cx: &mut Context<'_>) -> Result<(), NoHead<B>> {
        self.interims += 1;
        if self.interims > MOST_INTERIM {
            return Err((SendError::TooManyInterim, Reached::Answered));
        }
        self.outgoing.body().inner().interim(&head.bytes, cx);
        // Who waited for it may go on at once.
        self.poll_sending(cx)
    }

    fn checked(&self, head: AnswerHead) -> Result<AnswerHead, NoHead<B>> {
        let is_switch = head.answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        if is_switch && !(self.outgoing.body().inner().asks_upgrade() && self.outgoing.is_sent()) {
            return Err((SendError::UnaskedUpgrade, Reached::Answered));
        }
        Ok(head)
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

fn answered<B: Asking>(mut exchange: Box<Exchange<B>>, head: AnswerHead) -> Response<Answer<B>> {
    let AnswerHead { answer, written, framing, persistence, .. } = head;
    exchange.outgoing.body_mut().forget();
    let is_switch = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    if is_switch {
        exchange.outgoing.body_mut().inner_mut().open_tunnel();
        exchange.outgoing.open_tunnel();
        exchange.sending = Sending::Flowing;
    }
    let framing = if is_switch { Framing::UntilClose } else { framing };
    exchange.incoming = Incoming::new(framing);
    exchange.written = written;
    let is_reusable = persistence != Persistence::Close && framing != Framing::UntilClose;
    answer.map(|()| Answer { exchange, state: State::new(is_reusable), trailers: None })
}

/// The body of an answer, and what is still to be sent of its request.
pub(in crate::proxy) struct Answer<B> {
    exchange: Box<Exchange<B>>,
    state: State,
    trailers: Option<Box<Written>>,
}

/// What may become of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reusable,
    Ending,
    GivenBack,
}

impl State {
    fn new(is_reusable: bool) -> Self {
        if is_reusable { Self::Reusable } else { Self::Ending }
    }
}

impl<B: Asking> Answer<B> {
    pub(in crate::proxy) fn written(&self) -> &Written {
        &self.exchange.written
    }

    pub(in crate::proxy) fn written_trailers(&self) -> Option<&Written> {
        self.trailers.as_deref()
    }

    /// Of a tunnel whose upstream says no more: until its client says no more either.
    pub(in crate::proxy) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = self.exchange.poll_sending(cx).is_err();
        let is_flowing = matches!(self.exchange.sending, Sending::Flowing);
        if is_over || !is_flowing { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The connection, once both request and answer have ended on it as they should.
    pub(in crate::proxy) fn give_back(&mut self) -> Option<Idle> {
        let exchange = &mut *self.exchange;
        let is_done = exchange.incoming.is_over() && matches!(exchange.sending, Sending::Sent);
        // Bytes behind the answer belong to no exchange.
        if self.state != State::Reusable || !is_done || !exchange.connection.input.is_empty() {
            return None;
        }
        self.state = State::GivenBack;
        Some(exchange.connection.hand_on())
    }

    pub(in crate::proxy) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BadBody>>> {
        if self.state == State::GivenBack {
            return Poll::Ready(None);
        }
        let exchange = &mut *self.exchange;
        if exchange.poll_sending(cx).is_err() {
            // The request's own body broke: its client is told by what becomes of its connection.
            exchange.sending = Sending::Broken(None);
        }
        let Idle { io, input, .. } = &mut exchange.connection;
        let polled = exchange.incoming.poll_frame(io, input, cx);
        self.trailers = exchange.incoming.take_trailers();
        polled
    }

    pub(in crate::proxy) fn is_end_stream(&self) -> bool {
        self.exchange.incoming.is_over()
    }

    pub(in crate::proxy) fn size_hint(&self) -> SizeHint {
        self.exchange.incoming.size_hint()
    }
}
