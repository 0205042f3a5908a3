//! Requests, as the serving threads recorded them.

use super::Sources;
use crate::capture::Fault;
use crate::distribution::Distribution;
use crate::export::exemplars::Exemplar;
use crate::export::family::{Attribute, Family, Value, text};
use crate::export::names::{self, Metric, key};
use crate::latency::{Course, Outcome, RequestSeries};
use http::Method;
use std::borrow::Cow;

const QUANTILES: [(&str, f64); 5] =
    [("0.5", 0.5), ("0.9", 0.9), ("0.95", 0.95), ("0.99", 0.99), ("0.999", 0.999)];

const fn scheme(word: &'static str) -> Attribute {
    (key::SCHEME, Cow::Borrowed(word))
}

pub(super) fn families(sources: &Sources<'_>) -> Vec<Family> {
    let active = Value::Gauge(sources.latency.active_requests as f64);
    let mut active_requests = Family::new(&names::HTTP_SERVER_ACTIVE_REQUESTS);
    active_requests.push(vec![scheme(sources.scheme)], active);
    vec![
        server_duration(sources),
        client(sources),
        active_requests,
        server(sources, &names::HTTP_SERVER_REQUEST_BODY_SIZE, |series| &series.request_size),
        server(sources, &names::HTTP_SERVER_RESPONSE_BODY_SIZE, |series| &series.response_size),
        Family::gauge(&names::CONNECTIONS, sources.latency.open_connections as f64),
        latency(sources),
        operations(sources),
    ]
}

fn operations(sources: &Sources<'_>) -> Family {
    let mut family = Family::new(&names::OPERATION_CHANGE);
    for operation in &sources.latency.operations {
        let course = match operation.course {
            Course::Risen => 1.0,
            Course::Fallen => -1.0,
            Course::Learning | Course::Usual => 0.0,
        };
        let signal = vec![(key::SIGNAL, Cow::Borrowed(operation.signal.as_str()))];
        family.push(signal, Value::Gauge(course));
    }
    family
}

fn server_duration(sources: &Sources<'_>) -> Family {
    let mut family = Family::new(&names::HTTP_SERVER_REQUEST_DURATION);
    for series in &sources.latency.requests {
        let exemplars = sources.exemplars.server(series);
        let attributes = server_attributes(sources, series);
        push_unless_empty(&mut family, attributes, &series.duration, exemplars);
    }
    family.merged()
}

fn server(
    sources: &Sources<'_>,
    metric: &'static Metric,
    distribution: impl Fn(&RequestSeries) -> &Distribution,
) -> Family {
    let mut family = Family::new(metric);
    for series in &sources.latency.requests {
        let attributes = server_attributes(sources, series);
        push_unless_empty(&mut family, attributes, distribution(series), Vec::new());
    }
    family.merged()
}

fn server_attributes(sources: &Sources<'_>, series: &RequestSeries) -> Vec<Attribute> {
    let mut attributes =
        vec![(key::REQUEST_METHOD, method(&series.method)), scheme(sources.scheme)];
    attributes.extend(status(series.outcome));
    attributes.extend(error_type(series.outcome));
    attributes.push((key::ROUTE, text(sources.routes.template(series.route))));
    attributes
}

/// The calls to the model. A template of the path is `url.template` there, by the conventions.
fn client(sources: &Sources<'_>) -> Family {
    let mut family = Family::new(&names::HTTP_CLIENT_REQUEST_DURATION);
    for series in &sources.latency.requests {
        let mut attributes = vec![
            (key::REQUEST_METHOD, method(&series.method)),
            scheme(sources.upstream_scheme),
            (key::SERVER_ADDRESS, text(sources.upstream.host())),
            (key::SERVER_PORT, text(sources.upstream.port_u16().unwrap_or(80).to_string())),
        ];
        // An answer given in the model's stead is not the model's.
        if series.outcome.fault.and_then(Fault::status).is_none() {
            attributes.extend(status(series.outcome));
        }
        attributes.extend(error_type(series.outcome));
        attributes.push((key::URL_TEMPLATE, text(sources.routes.template(series.route))));
        let exemplars = sources.exemplars.client(series);
        push_unless_empty(&mut family, attributes, &series.upstream_duration, exemplars);
    }
    family.merged()
}

fn push_unless_empty(
    family: &mut Family,
    attributes: Vec<Attribute>,
    values: &Distribution,
    exemplars: Vec<Exemplar>,
) {
    if values.count() > 0 {
        family.push_with(attributes, Value::Histogram(Box::new(values.clone())), exemplars);
    }
}

/// Quantiles of the last minute or so; a route that was quiet has none.
fn latency(sources: &Sources<'_>) -> Family {
    let mut family = Family::new(&names::REQUEST_LATENCY);
    for times in &sources.latency.phases {
        for (name, quantile) in QUANTILES {
            let Some(seconds) = times.recent.quantile(quantile) else { continue };
            let attributes = vec![
                (key::QUANTILE, Cow::Borrowed(name)),
                (key::PHASE, Cow::Borrowed(times.phase.as_str())),
                (key::ROUTE, text(sources.routes.template(times.route))),
            ];
            family.push(attributes, Value::Gauge(seconds));
        }
    }
    family
}

/// Methods beyond the registered ones are `_OTHER`: a caller must not be able to make series.
pub(crate) fn method(method: &Method) -> Cow<'static, str> {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
        Method::TRACE,
        Method::CONNECT,
    ];
    if KNOWN.contains(method) { text(method.as_str()) } else { Cow::Borrowed("_OTHER") }
}

fn status(outcome: Outcome) -> Option<Attribute> {
    outcome.status.map(|status| (key::STATUS_CODE, text(status.as_str())))
}

fn error_type(outcome: Outcome) -> Option<Attribute> {
    let value = match (outcome.fault, outcome.status) {
        (Some(fault), _) => Cow::Borrowed(fault.as_str()),
        (None, Some(status)) if status.is_server_error() => text(status.as_str()),
        _ => return None,
    };
    Some((key::ERROR_TYPE, value))
}
