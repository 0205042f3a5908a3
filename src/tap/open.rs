//! An exchange under way. Both bodies and the handler hold it; when the last lets go it is over,
//! its times are recorded, and if it was sampled it is offered to the queue.

use super::identity::X_REQUEST_ID;
use super::sample::unpinned;
use super::trace::passing;
use super::{Side, Tap};
use crate::capture::{
    BodyEnd, CapturedBody, Exchange, Fault, Message, RequestId, Room, RouteId, Timing, Trace,
};
use crate::latency::{Observation, Outcome};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime};

/// Frames up to this size are copied: a clone would pin the connection's whole read buffer, and
/// make it allocate another for the next request.
const COPIED_BYTES: usize = 4096;

/// Of the binary tensor extension of Open Inference.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

pub struct OpenExchange {
    tap: Rc<Tap>,
    started: Instant,
    route: RouteId,
    method: Method,
    id: RequestId,
    /// Kept of each body. As of its beginning: a limit that rose half-way would leave a gap.
    max_body_bytes: usize,
    progress: RefCell<Progress>,
}

#[derive(Default)]
struct Progress {
    handed_over: Option<Instant>,
    head: Option<Instant>,
    response_ended: Option<Instant>,
    status: Option<StatusCode>,
    fault: Option<Fault>,
    request: Flow,
    response: Flow,
    /// Switched to another protocol, whose bytes are no payload.
    is_tunnel: bool,
    /// What analysis will get, if this exchange was sampled.
    kept: Option<Box<Exchange>>,
}

/// One body, as far as it came.
#[derive(Default)]
struct Flow {
    bytes: u64,
    /// As its head says; 0 if it does not.
    announced: usize,
    /// Of the room for bodies under way.
    taken: usize,
    /// There was no room for all of it.
    is_left_out: bool,
    /// `None` while it flows.
    end: Option<BodyEnd>,
}

impl Tap {
    /// A request's head has arrived. Its id and trace context are settled in its headers.
    pub fn open<B>(self: &Rc<Self>, request: &mut Request<B>) -> Rc<OpenExchange> {
        let started = Instant::now();
        let id = self.ids.identify(request.headers_mut());
        let trace = self.tracing.get().continue_in(request.headers_mut());
        let route = self.routes.classify(request.uri().path());
        let kept = self.sample(request, &id, route, trace);
        self.recorder.borrow().request_started();
        Rc::new(OpenExchange {
            tap: Rc::clone(self),
            started,
            route,
            method: request.method().clone(),
            id,
            max_body_bytes: self.settings.borrow().max_body_bytes,
            progress: RefCell::new(Progress {
                request: Flow { announced: announced(request.headers()), ..Flow::default() },
                kept,
                ..Progress::default()
            }),
        })
    }

    fn sample<B>(
        &self,
        request: &Request<B>,
        id: &RequestId,
        route: RouteId,
        trace: Option<Trace>,
    ) -> Option<Box<Exchange>> {
        let settings = self.settings.borrow();
        if !settings.enabled {
            return None;
        }
        let Some(sample_rate) = settings.sample.draw() else {
            self.queue.counters().sampled_out.fetch_add(1, Relaxed);
            return None;
        };
        Some(Box::new(Exchange {
            id: RequestId::new(unpinned(id.header_value())),
            started_at: SystemTime::now(),
            timing: Timing::default(),
            route,
            method: request.method().clone(),
            target: target(request.uri()),
            status: None,
            fault: None,
            trace: trace.or_else(|| passing(request.headers())),
            sample_rate,
            request: self.message(request.headers()),
            response: Message::default(),
        }))
    }

    fn message(&self, headers: &HeaderMap) -> Message {
        Message {
            content_type: headers.get(header::CONTENT_TYPE).map(unpinned),
            content_encoding: headers.get(header::CONTENT_ENCODING).map(unpinned),
            json_len: length(headers.get(JSON_LENGTH)),
            headers: self.settings.borrow().kept_headers(headers),
            body: CapturedBody::default(),
        }
    }
}

impl OpenExchange {
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// The request goes to an upstream connection now; said again when it is sent a second time.
    pub fn handed_over(&self) {
        self.progress.borrow_mut().handed_over = Some(Instant::now());
    }

    /// The upstream's head has come. Names the exchange in it: labels join on
    /// the id that the client is told, so another one of the upstream's own gives way.
    pub fn answered<B>(&self, response: &mut Response<B>) {
        self.replied(response, None);
        self.progress.borrow_mut().head = Some(Instant::now());
    }

    /// The proxy itself answers, because of `fault` or because the request was refused.
    pub fn replied<B>(&self, response: &mut Response<B>, fault: Option<Fault>) {
        let mut progress = self.progress.borrow_mut();
        progress.status = Some(response.status());
        progress.fault = fault;
        if let Some(kept) = &mut progress.kept {
            kept.response = self.tap.message(response.headers());
            progress.response.announced = announced(response.headers());
        }
        response.headers_mut().insert(X_REQUEST_ID, self.id.header_value().clone());
    }

    /// The exchange is ended by its limit in time.
    pub fn timed_out(&self) {
        self.progress.borrow_mut().fault.get_or_insert(Fault::RequestTimeout);
    }

    /// How the request's body ended; `None` while it flows.
    pub fn request_end(&self) -> Option<BodyEnd> {
        self.progress.borrow().request.end
    }

    /// The connection switched protocols: what goes by from now on is counted and not kept.
    pub(super) fn tunnel_began(&self, side: Side) {
        let mut progress = self.progress.borrow_mut();
        progress.is_tunnel = true;
        progress.flow(side).end = None;
    }

    pub(super) fn saw(&self, side: Side, data: &Bytes) {
        let max_body_bytes = self.max_body_bytes;
        let progress = &mut *self.progress.borrow_mut();
        let is_tunnel = progress.is_tunnel;
        let Progress { kept, request, response, .. } = progress;
        let flow = if side == Side::Request { request } else { response };
        flow.bytes += data.len() as u64;
        if let Some(kept) = kept.as_mut().filter(|_| !is_tunnel) {
            flow.keep(body_of(kept, side), data, max_body_bytes, &self.tap.room);
        }
    }

    pub(super) fn body_ended(&self, side: Side, end: BodyEnd) {
        let mut progress = self.progress.borrow_mut();
        progress.flow(side).end = Some(end);
        if side == Side::Response {
            progress.response_ended = Some(Instant::now());
        }
    }
}

impl Flow {
    /// Keeps a frame for which there is room; else lets go of the whole body, since a part of it would
    /// tell a decoder nothing.
    fn keep(&mut self, body: &mut CapturedBody, data: &Bytes, max_body_bytes: usize, room: &Room) {
        let wanted = (body.kept_bytes() + data.len()).max(self.announced);
        let wanted = wanted.min(max_body_bytes);
        if wanted > self.taken && !self.is_left_out {
            self.is_left_out = !room.take(wanted - self.taken);
            if self.is_left_out {
                body.forget();
                room.give_back(std::mem::take(&mut self.taken));
            } else {
                self.taken = wanted;
            }
        }
        keep(body, data, if self.is_left_out { 0 } else { max_body_bytes });
    }
}

impl Progress {
    fn flow(&mut self, side: Side) -> &mut Flow {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    /// What went wrong, by what is known at the end. The first cause wins: a client that sent half
    /// a body also gets no whole answer.
    fn fault(&self) -> Option<Fault> {
        let cause = || match (self.request.end, self.response.end) {
            (_, Some(BodyEnd::Complete)) => None,
            (Some(BodyEnd::Aborted), _) => Some(Fault::ClientBodyAborted),
            (_, Some(BodyEnd::Aborted)) => Some(Fault::UpstreamBodyAborted),
            _ => Some(Fault::ClientGone),
        };
        self.fault.or_else(cause)
    }

    fn timing(&self, started: Instant) -> Timing {
        let ended = self.response_ended.unwrap_or_else(Instant::now);
        Timing {
            total: ended.saturating_duration_since(started),
            upstream: self.handed_over.map(|at| ended.saturating_duration_since(at)),
            first_byte: self.head.map(|at| at.saturating_duration_since(started)),
        }
    }
}

impl Drop for OpenExchange {
    fn drop(&mut self) {
        let progress = self.progress.get_mut();
        let timing = progress.timing(self.started);
        let outcome = Outcome { status: progress.status, fault: progress.fault() };
        {
            let mut recorder = self.tap.recorder.borrow_mut();
            recorder.request_ended();
            recorder.record(&Observation {
                route: self.route,
                method: &self.method,
                outcome,
                timing,
                request_bytes: progress.request.bytes,
                response_bytes: progress.response.bytes,
            });
        }
        self.tap.room.give_back(progress.request.taken + progress.response.taken);
        let Some(mut kept) = progress.kept.take() else { return };
        if progress.request.is_left_out || progress.response.is_left_out {
            self.tap.queue.counters().dropped_bytes.fetch_add(1, Relaxed);
            return;
        }
        kept.timing = timing;
        kept.status = outcome.status;
        kept.fault = outcome.fault;
        kept.request.body.end = progress.request.end.unwrap_or(BodyEnd::Cancelled);
        kept.response.body.end = progress.response.end.unwrap_or(BodyEnd::Cancelled);
        // A refusal was counted by the queue, which is all that can be done about it.
        let _ = self.tap.queue.offer(kept);
    }
}

fn body_of(exchange: &mut Exchange, side: Side) -> &mut CapturedBody {
    match side {
        Side::Request => &mut exchange.request.body,
        Side::Response => &mut exchange.response.body,
    }
}

/// The length of the body that the head announces.
fn announced(headers: &HeaderMap) -> usize {
    length(headers.get(header::CONTENT_LENGTH)).unwrap_or(0)
}

fn length(value: Option<&HeaderValue>) -> Option<usize> {
    value?.to_str().ok()?.parse().ok()
}

fn keep(body: &mut CapturedBody, data: &Bytes, max_bytes: usize) {
    if data.len() <= COPIED_BYTES && body.kept_bytes() < max_bytes {
        body.push(&Bytes::copy_from_slice(data), max_bytes);
    } else {
        body.push(data, max_bytes);
    }
}

/// Copied, as a clone would keep all of the connection's read buffer that it lies in.
fn target(uri: &Uri) -> PathAndQuery {
    let copied = uri.path_and_query().map(|target| PathAndQuery::try_from(target.as_str()));
    copied.and_then(Result::ok).unwrap_or_else(|| PathAndQuery::from_static("/"))
}
