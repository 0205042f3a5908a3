//! The clients: raw ones that keep their HTTP/1.1 connection for as long as it lasts, and HTTP/2 ones
//! that share theirs.

use super::plan::{Client, Order, Plan};
use super::wire::{self, Wire};
use super::{Answer, Certainty, Outcome, World};
use crate::support::h2;
use crate::support::sidecar::PATIENCE;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http2::SendRequest;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;

/// Between the reads of a client that reads slowly: what makes it slow is that it waits.
const PAUSE: Duration = Duration::from_millis(1);
const STREAMS: usize = 4;
/// On one connection, by each stream.
const REQUESTS: usize = 100;

pub(super) fn http1(world: &World) {
    let mut kept = None;
    while let Some(plan) = world.next_plan() {
        let mut wire = kept.take().unwrap_or_else(|| Wire::connect(world.sidecar));
        let before = world.upstream.epoch();
        world.ledger.asked(plan.token, Certainty::WillBeRecorded);
        let (outcome, is_kept) = exchange(&mut wire, &plan);
        world.judge(&plan, &outcome, before);
        if is_kept {
            kept = Some(wire);
        }
    }
}

/// What came of it, and whether the connection will do for another.
fn exchange(wire: &mut Wire, plan: &Plan) -> (Outcome, bool) {
    let question = plan.question();
    let start = format!("{} {} HTTP/1.1", plan.method, plan.target());
    let head = wire::head_of(&start, plan.asked, question.len(), plan, "");
    let mut pieces = wire::pieces(&question, plan.asked, plan.pieces);
    if plan.client == Client::LeavesInQuestion {
        pieces.pop();
    }
    // Where that fails, an answer may have come all the same.
    let _ = wire.say(&head, &pieces, None);
    if plan.client == Client::LeavesInQuestion {
        return (Outcome::Left, false);
    }
    match hear(wire, plan) {
        Ok((Outcome::Whole(answer), says_close)) => {
            // Whoever was answered too early cannot know what became of the rest of its question.
            let is_in_order = answer.status == 200 && plan.order == Order::QuestionFirst;
            let is_kept = is_in_order && !says_close;
            (Outcome::Whole(answer), is_kept)
        }
        Ok((outcome, _)) => (outcome, false),
        Err(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => (Outcome::Cut, false),
            _ => (Outcome::Odd(error.to_string()), false),
        },
    }
}

fn hear(wire: &mut Wire, plan: &Plan) -> io::Result<(Outcome, bool)> {
    let head = wire.head()?;
    let status = head.start.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("{:?}", head.start)))?;
    let body = wire.body(&head, |_| match plan.client {
        Client::LeavesInAnswer => ControlFlow::Break(()),
        Client::ReadsSlowly => {
            std::thread::sleep(PAUSE);
            ControlFlow::Continue(())
        }
        Client::Stays | Client::LeavesInQuestion => ControlFlow::Continue(()),
    })?;
    let outcome = match body {
        Some(body) => Outcome::Whole(Answer { status, token: head.token, body }),
        None => Outcome::Left,
    };
    Ok((outcome, head.says_close))
}

pub(super) fn http2(world: &Arc<World>) {
    h2::block_on(async {
        while !world.is_over() {
            let sender = h2::client(world.sidecar).await;
            let mut streams = tokio::task::JoinSet::new();
            for _ in 0..STREAMS {
                streams.spawn_local(stream(Arc::clone(world), sender.clone()));
            }
            while let Some(done) = streams.join_next().await {
                done.unwrap();
            }
        }
    });
}

async fn stream(world: Arc<World>, mut sender: SendRequest<h2::Body>) {
    for _ in 0..REQUESTS {
        // A connection on which the upstream could not be reached is given up.
        if sender.ready().await.is_err() {
            return;
        }
        let Some(plan) = world.next_plan() else { return };
        let before = world.upstream.epoch();
        // A stream that is reset before its head was written leaves no trace.
        let certainty = match plan.client {
            Client::LeavesInQuestion => Certainty::MayBeRecorded,
            _ => Certainty::WillBeRecorded,
        };
        world.ledger.asked(plan.token, certainty);
        let exchange = tokio::time::timeout(PATIENCE, exchange_http2(&mut sender, &plan));
        match exchange.await.unwrap_or_else(|_| Some(Outcome::Odd("silence".into()))) {
            Some(outcome) => world.judge(&plan, &outcome, before),
            None => return world.ledger.asked(plan.token, Certainty::MayBeRecorded),
        }
    }
}

/// `None` if the connection was given up before the request was sent.
async fn exchange_http2(sender: &mut SendRequest<h2::Body>, plan: &Plan) -> Option<Outcome> {
    let stalled = Arc::new(Notify::new());
    let target = format!("http://m{}", plan.target());
    let request = http::Request::builder().method(plan.method).uri(target);
    let request = request.header("x-soak", plan.token);
    let request = request.body(Question::of(plan, &stalled).boxed_unsync()).unwrap();
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer,
        () = stalled.notified() => return Some(Outcome::Left),
    };
    match answer {
        Ok(answer) => Some(hear_http2(answer, plan).await),
        Err(error) if error.is_canceled() || error.is_closed() => None,
        Err(_) => Some(Outcome::Cut),
    }
}

async fn hear_http2(answer: http::Response<hyper::body::Incoming>, plan: &Plan) -> Outcome {
    let token = answer.headers().get("x-soak");
    let token = token.and_then(|token| token.to_str().ok()?.parse().ok());
    let (status, mut incoming) = (answer.status().as_u16(), answer.into_body());
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(frame) = frame else { return Outcome::Cut };
        body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        match plan.client {
            Client::LeavesInAnswer => return Outcome::Left,
            Client::ReadsSlowly => tokio::time::sleep(PAUSE).await,
            Client::Stays | Client::LeavesInQuestion => {}
        }
    }
    Outcome::Whole(Answer { status, token, body })
}

/// A request's body that goes silent after its half, if its client is to leave then.
struct Question {
    data: Option<Bytes>,
    size_hint: SizeHint,
    stalls: Option<Arc<Notify>>,
}

impl Question {
    fn of(plan: &Plan, stalled: &Arc<Notify>) -> Self {
        let mut data = Bytes::from(plan.question());
        let size_hint = match plan.asked {
            wire::Framing::Sized => SizeHint::with_exact(data.len() as u64),
            _ => SizeHint::new(),
        };
        let stalls = (plan.client == Client::LeavesInQuestion).then(|| Arc::clone(stalled));
        if stalls.is_some() {
            data.truncate(data.len() / 2);
        }
        let data = Some(data).filter(|data| !data.is_empty());
        Self { data, size_hint, stalls }
    }
}

impl Body for Question {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match (self.data.take(), &self.stalls) {
            (Some(data), _) => Poll::Ready(Some(Ok(Frame::data(data)))),
            (None, None) => Poll::Ready(None),
            (None, Some(stalled)) => {
                stalled.notify_one();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.stalls.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.size_hint
    }
}
