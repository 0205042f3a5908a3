//! `Expect: 100-continue`: whether a client is to send its body is the upstream's to say.
//!
//! hyper says 100 to the client the moment the body is first polled. So the first poll is held until
//! the upstream has said 100; if it answers at once instead, the client never hears 100. Clients wait
//! for about a second and then send unasked, so after that nothing is held any longer.

use super::body::Source;
use super::upstream::{Protocol, Upstream};
use http::{HeaderMap, Request, StatusCode, Version, header};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Sleep;

/// As long as curl waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// Over HTTP/1 on both sides, a body that waits to be asked for is not asked for before the
/// upstream does.
pub(super) fn held_until_wanted(
    request: Request<Incoming>,
    upstream: &Upstream,
) -> Request<Source> {
    let came_over = request.version();
    let is_http1 =
        came_over == Version::HTTP_11 && upstream.protocol_for(came_over) == Protocol::Http1;
    if !is_http1 || !is_expected(request.headers()) {
        return request.map(|body| Source::of(body, came_over));
    }
    let (hold, release) = Hold::new();
    let mut request = request.map(|body| Source::Held(body, Box::new(hold)));
    release.when_told(&mut request);
    request
}

fn is_expected(headers: &HeaderMap) -> bool {
    let expectation = headers.get(header::EXPECT).map(|value| value.as_bytes().trim_ascii());
    expectation.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

/// What keeps a request's body back.
pub(super) struct Hold {
    gate: Arc<Gate>,
    patience: Pin<Box<Sleep>>,
}

impl Hold {
    /// A hold, and what lets it go when `request` is told to continue.
    fn new() -> (Self, Release) {
        let gate = Arc::new(Gate::default());
        let patience = Box::pin(tokio::time::sleep(PATIENCE));
        (Self { gate: Arc::clone(&gate), patience }, Release(gate))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.gate.is_open_or_wakes(cx.waker()) || self.patience.as_mut().poll(cx).is_ready() {
            self.gate.open();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

struct Release(Arc<Gate>);

impl Release {
    fn when_told<B>(self, request: &mut Request<B>) {
        hyper::ext::on_informational(request, move |interim| {
            if interim.status() == StatusCode::CONTINUE {
                self.0.open();
            }
        });
    }
}

/// Shared with a callback that hyper wants to be `Sync`, though it stays on this thread.
#[derive(Default)]
struct Gate {
    is_open: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Gate {
    fn open(&self) {
        self.is_open.store(true, Ordering::Release);
        if let Some(waiting) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waiting.wake();
        }
    }

    fn is_open_or_wakes(&self, waker: &Waker) -> bool {
        if self.is_open.load(Ordering::Acquire) {
            return true;
        }
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        false
    }
}
