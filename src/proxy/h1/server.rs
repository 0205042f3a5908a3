//! A client's connection: one exchange after another, until either side has had enough.
//!
//! In: bytes of a client. Out: its requests to a service, whose answers go back in order. A request's
//! body is read as the service asks for it, also while the answer already flows. A client that goes
//! away drops what was being done for it. Nothing here waits without a limit that the settings give,
//! except for an exchange that is alive.

use super::body::{ClientBody, Expectation, Upgrade};
use super::encode::{self, Client};
use super::framing::Framing;
use super::head::{self, BadHead, Limits, Persistence, RequestHead};
use super::incoming::{Incoming, Room};
use super::outgoing::{OnFault, Outgoing, Unsent};
use super::written::Spelled;
use crate::proxy::drain::{Member, Phase};
use crate::proxy::io::Io;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tower::Service;

/// Of requests that came before their turn; the kernel holds the rest.
const MOST_PIPELINED_BYTES: usize = 64 * 1024;
/// Of a request's body that its answer did not wait for.
const MOST_SKIPPED_BYTES: usize = 64 * 1024;
/// After the last answer, what a client still sends is read and thrown away for so long, and so much
/// of it: closing at once would let the kernel take the answer back from it.
const LINGER: Duration = Duration::from_secs(2);
/// How long a client may keep silent that is to go elsewhere. One that asks within it is told so by the
/// answer; one that does not would find the model gone when it asks at last.
const FAREWELL: Duration = Duration::from_secs(2);
const MOST_LINGERED_BYTES: usize = 16 << 20;

#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Settings {
    pub(in crate::proxy) limits: Limits,
    /// From the first byte of a head to its last; also from connecting to the first head.
    pub(in crate::proxy) header_timeout: Duration,
    /// Between two exchanges.
    pub(in crate::proxy) idle_timeout: Duration,
}

/// Why a client gets an answer without having asked a whole question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum NoRequest {
    Bad(BadHead),
    /// It took longer than `client.header_timeout`.
    Late,
}

/// What the codec asks of an answer's body beside its frames.
pub(in crate::proxy) trait Telling: Spelled {
    /// Of a tunnel whose upstream says no more: until its client says no more either.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    /// Whether it may take no longer, though its client be slow; never if it has no limit.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Spelled for Full<Bytes> {}

impl Telling for Full<Bytes> {
    fn poll_rest(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_late(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// The connection, shared by this loop and the body of the request under way.
pub(super) struct Wire {
    pub(super) io: Io,
    pub(super) input: RefCell<BytesMut>,
    /// The body of the request under way.
    pub(super) incoming: RefCell<Incoming>,
    room: Cell<Room>,
    /// Interim answers that could not be written at once.
    interim: RefCell<BytesMut>,
    /// What comes is no HTTP any more.
    is_tunnel: Cell<bool>,
}

impl Wire {
    fn new(io: Io, input: BytesMut) -> Self {
        Self {
            io,
            input: RefCell::new(input),
            incoming: RefCell::new(Incoming::new(Framing::Empty)),
            room: Cell::default(),
            interim: RefCell::default(),
            is_tunnel: Cell::new(false),
        }
    }

    /// After a request whose head had `head_bytes`.
    fn learn_room(&self, head_bytes: usize) {
        let mut room = self.room.get();
        room.learn(head_bytes as u64 + self.incoming.borrow().bytes());
        self.room.set(room);
    }

    pub(super) fn begin_tunnel(&self) {
        self.is_tunnel.set(true);
        *self.incoming.borrow_mut() = Incoming::new(Framing::UntilClose);
    }

    fn is_body_over(&self) -> bool {
        self.incoming.borrow().is_over()
    }

    pub(super) fn push_interim(&self, head: &[u8], cx: &mut Context<'_>) {
        let interim = &mut *self.interim.borrow_mut();
        interim.extend_from_slice(head);
        while !interim.is_empty() {
            match self.io.poll_write(&[IoSlice::new(interim)], cx) {
                Poll::Ready(Ok(count)) => drop(interim.split_to(count)),
                // The rest goes with the answer. A broken connection is found by whoever reads it.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        let _ = self.io.poll_flush(cx);
    }

    /// Whether the client has left while it was being served. Requests that come early are kept.
    fn poll_gone(&self, cx: &mut Context<'_>) -> bool {
        if self.is_tunnel.get() || !self.is_body_over() {
            return false;
        }
        let input = &mut *self.input.borrow_mut();
        while input.len() < MOST_PIPELINED_BYTES {
            match self.io.poll_fill(input, self.room.get().bytes(), cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(0) | Err(_)) => return true,
                Poll::Ready(Ok(_)) => {}
            }
        }
        false
    }

    /// Whether what is left of the request's body is here already, and little. It is thrown away.
    fn skip_body(&self, cx: &mut Context<'_>) -> bool {
        let mut skipped = 0;
        while !self.is_body_over() && skipped <= MOST_SKIPPED_BYTES {
            let input = &mut *self.input.borrow_mut();
            match self.incoming.borrow_mut().poll_frame(&self.io, input, cx) {
                Poll::Ready(Some(Ok(frame))) => skipped += frame.data_ref().map_or(0, Bytes::len),
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => break,
            }
        }
        self.is_body_over()
    }
}

/// What becomes of the connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    KeepOpen,
    Close,
    /// The client is gone, or has to see that its answer is not whole.
    Drop,
}

#[expect(clippy::large_enum_variant, reason = "nearly always a request; a box would cost more")]
enum Next {
    Request(RequestHead),
    None(NoRequest),
    /// The client has left, was idle for too long, or the drain ends.
    Over,
}

/// Serves `service` on a connection of which `input` was read already. What is no request is
/// answered by `refuse`, and the connection ends with that.
pub(in crate::proxy) async fn serve<S, B>(
    io: Io,
    input: BytesMut,
    mut service: S,
    refuse: impl Fn(NoRequest) -> Response<Bytes>,
    settings: &Settings,
    member: &Member,
) where
    S: Service<Request<ClientBody>, Response = Response<B>, Error = Infallible>,
    B: Telling,
{
    let wire = Rc::new(Wire::new(io, input));
    let mut is_first = true;
    loop {
        let afterwards = match next_request(&wire, settings, member, is_first).await {
            Next::Over => return wire.io.say_end(),
            Next::None(reason) => {
                let answer = refuse(reason).map(Full::new);
                send_refusal(&wire, answer).await
            }
            Next::Request(head) => exchange(&wire, head, &mut service, member).await,
        };
        is_first = false;
        match afterwards {
            Afterwards::KeepOpen => {}
            Afterwards::Close => return linger(&wire, member).await,
            Afterwards::Drop => return,
        }
    }
}

/// Says `answer` to a client that is not served.
pub(in crate::proxy) async fn turn_away(io: Io, answer: Response<Bytes>, member: &Member) {
    let wire = Wire::new(io, BytesMut::new());
    if send_refusal(&wire, answer.map(Full::new)).await == Afterwards::Close {
        linger(&wire, member).await;
    }
}

async fn next_request(wire: &Wire, settings: &Settings, member: &Member, is_first: bool) -> Next {
    let mut wait = Wait::NotYet;
    let next = poll_fn(|cx| {
        let input = &mut *wire.input.borrow_mut();
        loop {
            match head::request(input, settings.limits) {
                Err(bad) => return Poll::Ready(Next::None(NoRequest::Bad(bad))),
                Ok(Some(head)) => return Poll::Ready(Next::Request(head)),
                Ok(None) => {}
            }
            if input.is_empty() && member.phase() == Phase::Closing {
                return Poll::Ready(Next::Over);
            }
            match wire.io.poll_fill(input, wire.room.get().bytes(), cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Over),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    if let Some(over) = wait.go_on(input, settings, member, is_first) {
                        return Poll::Ready(over);
                    }
                    return Poll::Pending;
                }
            }
        }
    });
    let next = next.await;
    member.disarm();
    next
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    NotYet,
    ForRequest,
    /// The last that is to come here.
    ForFarewell,
    ForRestOfHead,
}

impl Wait {
    /// Arms the limit of what is waited for now, or says that it has passed.
    fn go_on(
        &mut self,
        input: &BytesMut,
        settings: &Settings,
        member: &Member,
        is_first: bool,
    ) -> Option<Next> {
        let now = match (input.is_empty(), member.phase()) {
            (false, _) => Self::ForRestOfHead,
            (true, Phase::Serving) => Self::ForRequest,
            (true, Phase::Draining | Phase::Closing) => Self::ForFarewell,
        };
        if *self == now {
            return member.is_overdue().then(|| match now {
                Self::ForRestOfHead => Next::None(NoRequest::Late),
                Self::NotYet | Self::ForRequest | Self::ForFarewell => Next::Over,
            });
        }
        *self = now;
        member.arm(match now {
            Self::ForFarewell => FAREWELL.min(settings.idle_timeout),
            Self::ForRequest if !is_first => settings.idle_timeout,
            _ => settings.header_timeout,
        });
        None
    }
}

async fn exchange<S, B>(
    wire: &Rc<Wire>,
    head: RequestHead,
    service: &mut S,
    member: &Member,
) -> Afterwards
where
    S: Service<Request<ClientBody>, Response = Response<B>, Error = Infallible>,
    B: Telling,
{
    let persistence = head.persistence;
    let (version, is_head) = (head.request.version(), *head.request.method() == Method::HEAD);
    let head_bytes = head.written.bytes().len();
    let request = with_body(wire, head);
    let answer = {
        let answering = pin!(service.call(request));
        answer_of(wire, answering).await
    };
    let Some(answer) = answer else { return Afterwards::Drop };
    let will_close = persistence == Persistence::Close || says_close(&answer);
    let connection = match persistence {
        _ if answer.headers().contains_key(header::CONNECTION) => None,
        Persistence::Close => Some("close"),
        Persistence::KeepAliveAsked => Some("keep-alive"),
        Persistence::KeepAlive => None,
    };
    match send(wire, answer, Client { version, is_head, connection }).await {
        Sent::Cut => Afterwards::Drop,
        Sent::UntilClose => Afterwards::Close,
        Sent::Framed => {
            wire.learn_room(head_bytes);
            let may_stay = !will_close && member.phase() < Phase::Closing;
            let is_ready = may_stay && poll_fn(|cx| Poll::Ready(wire.skip_body(cx))).await;
            if is_ready { Afterwards::KeepOpen } else { Afterwards::Close }
        }
    }
}

fn with_body(wire: &Rc<Wire>, head: RequestHead) -> Request<ClientBody> {
    let RequestHead { request, written, framing, expects_continue, asks_upgrade, .. } = head;
    let incoming = Incoming::new(framing);
    let is_expected = expects_continue && !incoming.is_over();
    *wire.incoming.borrow_mut() = incoming;
    let body = ClientBody {
        wire: Rc::clone(wire),
        written,
        trailers: None,
        version: request.version(),
        expectation: if is_expected { Expectation::Upstreams } else { Expectation::None },
        upgrade: if asks_upgrade { Upgrade::Asked } else { Upgrade::NotAsked },
    };
    request.map(|()| body)
}

/// `None` if the client leaves before it is there.
async fn answer_of<B>(
    wire: &Wire,
    mut answering: Pin<&mut impl Future<Output = Result<Response<B>, Infallible>>>,
) -> Option<Response<B>> {
    poll_fn(|cx| match answering.as_mut().poll(cx) {
        Poll::Ready(Ok(answer)) => Poll::Ready(Some(answer)),
        Poll::Pending if wire.poll_gone(cx) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

fn says_close<B>(answer: &Response<B>) -> bool {
    let connection = answer.headers().get(header::CONNECTION);
    connection.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Framed,
    UntilClose,
    /// Not all of it.
    Cut,
}

async fn send<B: Telling>(wire: &Wire, answer: Response<B>, client: Client) -> Sent {
    let (head, framing) = encode::answer(&answer, answer.body().written(), client);
    let mut out = std::mem::take(&mut *wire.interim.borrow_mut());
    if out.is_empty() {
        out = head;
    } else {
        out.unsplit(head);
    }
    let is_tunnel = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    let mut outgoing = Outgoing::new(answer.into_body(), OnFault::SendRest);
    outgoing.begin(out, framing);
    let sent = poll_fn(|cx| match outgoing.poll(&wire.io, cx) {
        Poll::Ready(sent) => Poll::Ready(sent),
        Poll::Pending if wire.poll_gone(cx) => Poll::Ready(Err(Unsent::Length)),
        Poll::Pending if outgoing.body_mut().poll_late(cx).is_ready() => {
            Poll::Ready(Err(Unsent::Length))
        }
        Poll::Pending => Poll::Pending,
    });
    let sent = sent.await;
    if is_tunnel && sent.is_ok() {
        poll_fn(|cx| outgoing.body_mut().poll_rest(cx)).await;
    }
    match (sent, framing) {
        (Ok(()), Framing::UntilClose) => Sent::UntilClose,
        (Ok(()), _) => Sent::Framed,
        (Err(_), Framing::UntilClose) if !is_tunnel => {
            // The end of the connection would pass for the end of the body.
            wire.io.reset_on_drop();
            Sent::Cut
        }
        (Err(_), _) => Sent::Cut,
    }
}

async fn send_refusal(wire: &Wire, answer: Response<Full<Bytes>>) -> Afterwards {
    // What else the client sends is nothing to be read.
    *wire.incoming.borrow_mut() = Incoming::new(Framing::UntilClose);
    let client = Client { version: http::Version::HTTP_11, is_head: false, connection: None };
    match send(wire, answer, client).await {
        Sent::Cut => Afterwards::Drop,
        Sent::Framed | Sent::UntilClose => Afterwards::Close,
    }
}

async fn linger(wire: &Wire, member: &Member) {
    let is_quiet = wire.is_body_over() && wire.input.borrow().is_empty();
    if is_quiet {
        return wire.io.say_end();
    }
    member.arm(LINGER);
    let mut read = 0;
    let end = poll_fn(|cx| {
        let _ = ready!(wire.io.poll_shutdown(cx));
        let input = &mut *wire.input.borrow_mut();
        loop {
            input.clear();
            if read > MOST_LINGERED_BYTES || member.is_overdue() {
                return Poll::Ready(());
            }
            match ready!(wire.io.poll_fill(input, wire.room.get().bytes(), cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(count) => read += count,
            }
        }
    });
    end.await;
}
