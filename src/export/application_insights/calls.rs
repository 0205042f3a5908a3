//! An exchange as a request, as the call to the model that it caused, and as an exception if it failed.
//!
//! Application Map draws caller, sidecar and model from these: the request's id is the parent of the
//! call's. Addresses are told by their route's template; a path may name a patient, and a query is not
//! even kept.

use super::chunk::{Press, Pressing};
use super::envelope::{Cutter, Item, MAX_DATA, MAX_NAME, MAX_URL, Operation, Properties, duration};
use super::store::Store;
use crate::capture::Fault;
use crate::config::TraceSampler;
use crate::export::batch::{Entry, Sink};
use crate::export::collect::method;
use crate::export::counters::Signal;
use crate::export::names::key;
use crate::export::visit::{Places, Visit};
use http::StatusCode;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

pub(super) struct Calls {
    pub(super) press: Arc<Press>,
    pub(super) store: Arc<Store>,
    pub(super) places: Places,
    pub(super) sampler: TraceSampler,
}

impl Sink for Calls {
    type Entry = Visit;

    async fn take(&self, batch: Vec<Visit>) {
        let queued: u64 = batch.iter().map(Entry::items).sum();
        let mut pressing = self.press.begin(Signal::Traces);
        for visit in &batch {
            self.say(visit, &mut pressing);
        }
        let chunks = pressing.finish();
        self.press.counts(Signal::Traces).queued.fetch_sub(queued, Relaxed);
        for chunk in chunks {
            self.store.put(chunk).await;
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestData<'a> {
    ver: u8,
    id: String,
    name: Cow<'a, str>,
    duration: String,
    response_code: String,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<Cow<'a, str>>,
    properties: Properties<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RemoteDependencyData<'a> {
    ver: u8,
    id: String,
    name: Cow<'a, str>,
    duration: String,
    result_code: String,
    success: bool,
    #[serde(rename = "type")]
    protocol: &'static str,
    target: Cow<'a, str>,
    data: Cow<'a, str>,
    properties: Properties<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExceptionData<'a> {
    ver: u8,
    exceptions: [Exception<'a>; 1],
    severity_level: u8,
    problem_id: Cow<'a, str>,
    properties: Properties<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exception<'a> {
    type_name: Cow<'a, str>,
    message: Cow<'a, str>,
    has_full_stack: bool,
}

impl Calls {
    fn say<'a>(&self, visit: &Visit, pressing: &mut Pressing<'a>) {
        let request = Failure::of(visit, visit.status, StatusCode::is_server_error);
        pressing.push(|cutter| self.request(visit, request.as_ref(), cutter));
        if visit.is_call() {
            pressing.push(|cutter| self.dependency(visit, cutter));
        }
        if let Some(failure) = &request {
            pressing.push(|cutter| self.exception(visit, failure, cutter));
        }
    }

    fn request(
        &self,
        visit: &Visit,
        failure: Option<&Failure>,
        cutter: &mut Cutter,
    ) -> Item<'static, RequestData<'static>> {
        // What the portal calls success: neither a client's error nor a server's.
        let is_error = |status: StatusCode| status.is_client_error() || status.is_server_error();
        let mut properties = self.properties(visit, failure);
        properties.push((key::ROUTE, Cow::Owned(visit.route.to_string())));
        let data = RequestData {
            ver: 2,
            id: hex(&visit.trace.server_span_id),
            name: cutter.cut(visit.name(), MAX_NAME),
            duration: duration(visit.timing.total),
            response_code: code(visit.status),
            success: visit.fault.is_none() && !visit.status.is_none_or(is_error),
            url: template(visit).map(|template| cutter.cut(template.to_owned(), MAX_URL)),
            properties: cutter.properties(properties),
        };
        let parent = visit.trace.parent_span_id.map(|id| hex(&id));
        let (kind, base_type) = ("Request", "RequestData");
        self.item(kind, base_type, visit, visit.started_at, parent, data)
    }

    /// Ends with the request; what was spent before it is the time this process added.
    fn dependency(
        &self,
        visit: &Visit,
        cutter: &mut Cutter,
    ) -> Item<'static, RemoteDependencyData<'static>> {
        // An answer given in the model's stead is not the model's.
        let answered = visit.fault.and_then(Fault::status).is_none();
        let answer = visit.status.filter(|_| answered);
        let is_error = |status: &StatusCode| status.is_client_error() || status.is_server_error();
        let failure = Failure::of(visit, answer, |status| is_error(status));
        let upstream = &self.places.upstream;
        let base = upstream.base_path.path().trim_end_matches('/');
        let (scheme, path) = (upstream.scheme(), template(visit).unwrap_or_default());
        let target = upstream.authority.to_string();
        let mut properties = self.properties(visit, failure.as_ref());
        properties.push((key::URL_TEMPLATE, Cow::Owned(visit.route.to_string())));
        let data = RemoteDependencyData {
            ver: 2,
            id: hex(&visit.trace.client_span_id),
            name: cutter.cut(visit.name(), MAX_NAME),
            duration: duration(visit.timing.upstream.unwrap_or_default()),
            result_code: code(answer),
            success: failure.is_none() && answer.is_some(),
            protocol: "HTTP",
            data: cutter.cut(format!("{scheme}://{target}{base}{path}"), MAX_DATA),
            target: cutter.cut(target, MAX_NAME),
            properties: cutter.properties(properties),
        };
        let at = visit.started_at + visit.timing.overhead().unwrap_or_default();
        let parent = Some(hex(&visit.trace.server_span_id));
        self.item("RemoteDependency", "RemoteDependencyData", visit, at, parent, data)
    }

    fn exception(
        &self,
        visit: &Visit,
        failure: &Failure,
        cutter: &mut Cutter,
    ) -> Item<'static, ExceptionData<'static>> {
        let (word, name) = (failure.word.clone(), visit.name());
        let message = match visit.fault {
            Some(fault) => format!("{word}: {}; {name}", explained(fault)),
            None => format!("The model answered {word}; {name}"),
        };
        let exception = Exception {
            type_name: cutter.cut(word.clone(), MAX_NAME),
            message: cutter.cut(message, cutter.limits.message),
            has_full_stack: false,
        };
        let data = ExceptionData {
            ver: 2,
            exceptions: [exception],
            severity_level: failure.severity,
            problem_id: cutter.cut(format!("{word} at {name}"), MAX_NAME),
            properties: cutter.properties(self.properties(visit, Some(failure))),
        };
        let at = visit.started_at + visit.timing.total;
        let parent = Some(hex(&visit.trace.server_span_id));
        self.item("Exception", "ExceptionData", visit, at, parent, data)
    }

    fn item<D>(
        &self,
        kind: &'static str,
        base_type: &'static str,
        visit: &Visit,
        at: SystemTime,
        parent: Option<String>,
        data: D,
    ) -> Item<'static, D> {
        let operation = Operation {
            trace_id: hex(&visit.trace.trace_id).into(),
            parent_id: parent.map(Into::into),
            name: visit.name().into(),
        };
        let share = visit.sample_rate * self.sampled_share(visit);
        Item { kind, base_type, at, share, operation: Some(operation), data }
    }

    /// The share of traces that our own sampler keeps. What a caller decided it did not tell.
    fn sampled_share(&self, visit: &Visit) -> f64 {
        match self.sampler {
            TraceSampler::ParentBased(_) if visit.trace.parent_span_id.is_some() => 1.0,
            TraceSampler::ParentBased(ratio) | TraceSampler::Ratio(ratio) => ratio,
        }
    }

    fn properties(
        &self,
        visit: &Visit,
        failure: Option<&Failure>,
    ) -> Vec<(&'static str, Cow<'static, str>)> {
        let model = self.press.speaker.model();
        let mut properties: Vec<_> =
            model.map(|(name, value)| (name, Cow::Owned(value.into_owned()))).collect();
        properties.push((key::REQUEST_METHOD, method(&visit.method)));
        properties.push((key::REQUEST_ID, Cow::Owned(visit.id.to_string())));
        properties.extend(failure.map(|failure| (key::ERROR_TYPE, failure.word.clone())));
        properties
    }
}

/// That something went wrong, in the word that `error.type` has for it.
struct Failure {
    word: Cow<'static, str>,
    severity: u8,
}

impl Failure {
    const WARNING: u8 = 2;
    const ERROR: u8 = 3;

    fn of(
        visit: &Visit,
        status: Option<StatusCode>,
        failed: impl Fn(&StatusCode) -> bool,
    ) -> Option<Self> {
        if let Some(fault) = visit.fault {
            let is_clients = fault.as_str().starts_with("client_");
            let severity = if is_clients { Self::WARNING } else { Self::ERROR };
            return Some(Self { word: fault.as_str().into(), severity });
        }
        let status = status.filter(failed)?;
        Some(Self { word: status.as_str().to_owned().into(), severity: Self::ERROR })
    }
}

const fn explained(fault: Fault) -> &'static str {
    match fault {
        Fault::UpstreamConnect => "the model could not be reached",
        Fault::UpstreamConnectTimeout => "the model took no connection in time",
        Fault::UpstreamResponseTimeout => "the model gave no answer in time",
        Fault::UpstreamTls => "the TLS handshake with the model failed",
        Fault::RequestTimeout => "the exchange was not over in time",
        Fault::UpstreamReset => "the model broke the connection off before its answer",
        Fault::UpstreamProtocol => "the model's answer was not HTTP",
        Fault::UpstreamBodyAborted => "the model broke off in the middle of its answer",
        Fault::ClientConnectionLimit => "there were as many connections as may be",
        Fault::ClientTls => "the TLS handshake with the client failed",
        Fault::ClientProtocol => "what the client sent was not HTTP",
        Fault::ClientHeaderTimeout => "the client did not send its request's head in time",
        Fault::ClientBodyAborted => "the client broke off in the middle of its request",
        Fault::ClientGone => "the client went away before the answer was whole",
    }
}

/// `None` for a path that no template fits: it may hold anything.
fn template(visit: &Visit) -> Option<&str> {
    Some(&*visit.route).filter(|route| *route != "other")
}

/// `0` where there was no answer, as Azure's own exporters say it.
fn code(status: Option<StatusCode>) -> String {
    status.map_or_else(|| "0".to_owned(), |status| status.as_str().to_owned())
}

fn hex(id: &[u8]) -> String {
    let mut text = String::with_capacity(id.len() * 2);
    for byte in id {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
