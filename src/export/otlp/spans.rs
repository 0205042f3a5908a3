//! Exchanges as spans: a SERVER span for the inbound request and, where the model was called, a
//! CLIENT span for that call, which is what draws caller, sidecar and model as a map.

use super::delivery::Delivery;
use super::encoded::SpanEncoder;
use crate::capture::{Fault, Trace};
use crate::export::batch::{Entry, Sink};
use crate::export::collect::method;
use crate::export::names::key;
use crate::export::visit::{Places, Visit};
use http::StatusCode;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

pub(super) struct SpanSink {
    pub(super) encoder: SpanEncoder,
    pub(super) places: Places,
    pub(super) delivery: Arc<Delivery>,
}

impl Sink for SpanSink {
    type Entry = Visit;

    async fn take(&self, batch: Vec<Visit>) {
        let items = batch.iter().map(Entry::items).sum();
        let mut spans = Vec::with_capacity(batch.len() * 2);
        for visit in &batch {
            spans.push(self.places.server_span(visit));
            if visit.is_call() {
                spans.push(self.places.client_span(visit));
            }
        }
        self.delivery.deliver(self.encoder.encode(spans).await, items).await;
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
    SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Owned(visit.name()),
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
