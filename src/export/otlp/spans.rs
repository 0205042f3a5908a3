//! Exchanges as spans: a SERVER span for the inbound request and, where the model was called, a
//! CLIENT span for that call, which is what draws caller, sidecar and model as a map.
//!
//! Only exchanges whose trace is sampled are taken. A query string may hold personal data: no span
//! carries it.

use super::batch::{Entry, Outbox, Sink};
use crate::capture::{Exchange, Fault, Timing, Trace};
use crate::config;
use crate::export::collect::method;
use crate::export::names::key;
use http::{Method, StatusCode};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use prost::Message;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::SystemTime;

/// Longer texts are cut, so that a queue of spans has a bound in bytes too.
const MAX_TEXT_BYTES: usize = 1024;

/// Takes sampled exchanges, never waiting; without a collector for traces it takes nothing.
#[derive(Clone)]
pub struct Spans(Option<Outbox<Visit>>);

impl Spans {
    /// Exports nothing and counts nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    pub(super) fn new(outbox: Outbox<Visit>) -> Self {
        Self(Some(outbox))
    }

    /// Queues the spans of an exchange, if its trace is sampled. `route` is its template.
    pub fn offer(&self, exchange: &Exchange, route: &str) {
        let (Some(outbox), Some(trace)) = (&self.0, exchange.trace) else { return };
        if trace.sampled {
            outbox.offer(Visit::new(exchange, trace, route));
        }
    }
}

/// What the spans of one exchange need, and no buffer of the connection it came over.
#[derive(Debug)]
pub(super) struct Visit {
    id: Box<str>,
    trace: Trace,
    started_at: SystemTime,
    timing: Timing,
    method: Method,
    route: Box<str>,
    path: Box<str>,
    status: Option<StatusCode>,
    fault: Option<Fault>,
}

impl Visit {
    fn new(exchange: &Exchange, trace: Trace, route: &str) -> Self {
        Self {
            id: cut(&exchange.id.text()),
            trace,
            started_at: exchange.started_at,
            timing: exchange.timing,
            method: exchange.method.clone(),
            route: cut(route),
            path: cut(exchange.target.path()),
            status: exchange.status,
            fault: exchange.fault,
        }
    }

    /// Whether the model was called, or at least tried.
    fn is_call(&self) -> bool {
        let tried = [Fault::UpstreamConnect, Fault::UpstreamConnectTimeout];
        self.timing.upstream.is_some() || self.fault.is_some_and(|fault| tried.contains(&fault))
    }
}

impl Entry for Visit {
    fn items(&self) -> u64 {
        if self.is_call() { 2 } else { 1 }
    }
}

fn cut(text: &str) -> Box<str> {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

/// Where the two ends of the proxy are.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) listen: SocketAddr,
    pub(super) scheme: &'static str,
    pub(super) upstream: config::Upstream,
}

pub(super) struct SpanSink {
    pub(super) resource: ResourceAttributesWithSchema,
    pub(super) places: Places,
}

impl Sink for SpanSink {
    type Entry = Visit;

    fn encode(&self, batch: Vec<Visit>) -> Vec<u8> {
        let mut spans = Vec::with_capacity(batch.len() * 2);
        for visit in &batch {
            spans.push(self.places.server_span(visit));
            if visit.is_call() {
                spans.push(self.places.client_span(visit));
            }
        }
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }
}

impl Places {
    fn server_span(&self, visit: &Visit) -> SpanData {
        let mut attributes = vec![
            KeyValue::new(key::REQUEST_METHOD, method(&visit.method)),
            KeyValue::new(key::SCHEME, self.scheme),
            KeyValue::new(key::URL_PATH, visit.path.to_string()),
            KeyValue::new(key::ROUTE, visit.route.to_string()),
            KeyValue::new(key::SERVER_PORT, i64::from(self.listen.port())),
            KeyValue::new(key::REQUEST_ID, visit.id.to_string()),
        ];
        if !self.listen.ip().is_unspecified() {
            attributes.push(KeyValue::new(key::SERVER_ADDRESS, self.listen.ip().to_string()));
        }
        let failed = |status: StatusCode| status.is_server_error();
        let status = judge(visit, visit.status, failed, &mut attributes);
        SpanData {
            span_context: context(visit.trace, visit.trace.server_span_id),
            parent_span_id: visit.trace.parent_span_id.map_or(SpanId::INVALID, SpanId::from_bytes),
            parent_span_is_remote: visit.trace.parent_span_id.is_some(),
            span_kind: SpanKind::Server,
            attributes,
            status,
            ..span(visit, visit.started_at)
        }
    }

    /// Ends with the SERVER span; what was spent before it is the time this process added.
    fn client_span(&self, visit: &Visit) -> SpanData {
        let authority = &self.upstream.authority;
        let scheme = self.upstream.scheme();
        let base = self.upstream.base_path.path().trim_end_matches('/');
        let mut attributes = vec![
            KeyValue::new(key::REQUEST_METHOD, method(&visit.method)),
            KeyValue::new(key::SCHEME, scheme),
            KeyValue::new(key::URL_FULL, format!("{scheme}://{authority}{base}{}", visit.path)),
            KeyValue::new(key::URL_TEMPLATE, visit.route.to_string()),
            KeyValue::new(key::SERVER_ADDRESS, authority.host().to_owned()),
            KeyValue::new(key::SERVER_PORT, i64::from(authority.port_u16().unwrap_or(80))),
        ];
        // An answer given in the model's stead is not the model's.
        let answered = visit.fault.and_then(Fault::status).is_none();
        let answer = visit.status.filter(|_| answered);
        let failed = |status: StatusCode| status.is_client_error() || status.is_server_error();
        let status = judge(visit, answer, failed, &mut attributes);
        let started_at = visit.started_at + visit.timing.overhead().unwrap_or_default();
        SpanData {
            span_context: context(visit.trace, visit.trace.client_span_id),
            parent_span_id: SpanId::from_bytes(visit.trace.server_span_id),
            parent_span_is_remote: false,
            span_kind: SpanKind::Client,
            attributes,
            status,
            ..span(visit, started_at)
        }
    }
}

/// What both spans of an exchange share.
fn span(visit: &Visit, start_time: SystemTime) -> SpanData {
    let method = method(&visit.method);
    let name = match (&*visit.route, &*method) {
        ("other", method) => method.to_owned(),
        (route, method) => format!("{method} {route}"),
    };
    SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Owned(name),
        start_time,
        end_time: visit.started_at + visit.timing.total,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder(super::SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

fn context(trace: Trace, span_id: [u8; 8]) -> SpanContext {
    SpanContext::new(
        opentelemetry::TraceId::from_bytes(trace.trace_id),
        SpanId::from_bytes(span_id),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    )
}

/// The span's status, with `http.response.status_code` and `error.type` beside it.
fn judge(
    visit: &Visit,
    status: Option<StatusCode>,
    failed: impl Fn(StatusCode) -> bool,
    attributes: &mut Vec<KeyValue>,
) -> Status {
    if let Some(status) = status {
        attributes.push(KeyValue::new(key::STATUS_CODE, i64::from(status.as_u16())));
    }
    let error_type = match (visit.fault, status) {
        (Some(fault), _) => Cow::Borrowed(fault.as_str()),
        (None, Some(status)) if failed(status) => Cow::Owned(status.as_str().to_owned()),
        _ => return Status::Unset,
    };
    attributes.push(KeyValue::new(key::ERROR_TYPE, error_type));
    // By the conventions there is no description where the status code says it already.
    let description = visit.fault.map(|fault| Cow::Borrowed(fault.as_str()));
    Status::Error { description: description.unwrap_or_default() }
}
