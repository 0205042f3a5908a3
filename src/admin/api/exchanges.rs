//! `GET /api/v1/exchanges` and `/api/v1/exchanges/{id}`: the last exchanges.
//!
//! What everybody sees says when, where, how long and how much. Targets, headers, bodies and rows are
//! payload, and are shown to callers with the admin token only.

use crate::admin::recent::Recorded;
use crate::admin::refusal::Refusal;
use crate::admin::state::State;
use crate::admin::token;
use crate::capture::{BodyEnd, CapturedBody, Fault, Message};
use crate::decode::{Cell, Rows};
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Handle};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    limit: Option<usize>,
    route: Option<String>,
    /// Only those that failed on the way or were answered with a 5xx, or only the others.
    failed: Option<bool>,
    /// 32 hexadecimal digits.
    trace_id: Option<String>,
    /// With payloads: needs the token.
    #[serde(default)]
    payloads: bool,
}

/// What may be said of an exchange without its payload.
#[derive(Serialize)]
pub(in crate::admin) struct Summary {
    pub(in crate::admin) id: String,
    pub(in crate::admin) started_at: Option<Timestamp>,
    pub(in crate::admin) route: String,
    pub(in crate::admin) method: String,
    pub(in crate::admin) status: Option<u16>,
    pub(in crate::admin) fault: Option<&'static str>,
    pub(in crate::admin) total_seconds: f64,
    pub(in crate::admin) upstream_seconds: Option<f64>,
    pub(in crate::admin) first_byte_seconds: Option<f64>,
    pub(in crate::admin) request_bytes: u64,
    pub(in crate::admin) response_bytes: u64,
    pub(in crate::admin) dialect: Option<String>,
    pub(in crate::admin) input_rows: usize,
    pub(in crate::admin) output_rows: usize,
    pub(in crate::admin) trace_id: Option<String>,
}

impl Summary {
    pub(in crate::admin) fn of(entry: &dyn Recorded) -> Self {
        let exchange = entry.exchange();
        Self {
            id: exchange.id.text().into_owned(),
            started_at: Timestamp::try_from(exchange.started_at).ok(),
            route: entry.route().to_owned(),
            method: exchange.method.to_string(),
            status: exchange.status.map(|status| status.as_u16()),
            fault: exchange.fault.map(Fault::as_str),
            total_seconds: exchange.timing.total.as_secs_f64(),
            upstream_seconds: exchange.timing.upstream.map(|time| time.as_secs_f64()),
            first_byte_seconds: exchange.timing.first_byte.map(|time| time.as_secs_f64()),
            request_bytes: exchange.request.body.total_bytes(),
            response_bytes: exchange.response.body.total_bytes(),
            dialect: entry.dialect().map(str::to_owned),
            input_rows: entry.inputs().len(),
            output_rows: entry.outputs().len(),
            trace_id: trace_id(entry),
        }
    }
}

#[derive(Serialize)]
struct Full {
    #[serde(flatten)]
    summary: Summary,
    target: String,
    request: Value,
    response: Value,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

impl Full {
    fn of(entry: &dyn Recorded) -> Self {
        let exchange = entry.exchange();
        Self {
            summary: Summary::of(entry),
            target: exchange.target.to_string(),
            request: message(&exchange.request),
            response: message(&exchange.response),
            inputs: rows(entry.inputs()),
            outputs: rows(entry.outputs()),
        }
    }
}

pub(super) async fn list(
    Handle(state): Handle<Arc<State>>,
    headers: HeaderMap,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(filter) = filter.map_err(|rejection| {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_query", rejection.body_text())
    })?;
    if filter.payloads {
        token::require(state.token.load().as_deref(), &headers)?;
    }
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let entries = state.recent.newest(limit, |entry| accepts(&filter, entry));
    let mut answer = Map::new();
    let listed = if filter.payloads {
        json!(entries.iter().map(|entry| Full::of(&**entry)).collect::<Vec<_>>())
    } else {
        json!(entries.iter().map(|entry| Summary::of(&**entry)).collect::<Vec<_>>())
    };
    answer.insert("exchanges".into(), listed);
    Ok(Json(answer).into_response())
}

pub(super) async fn one(
    Handle(state): Handle<Arc<State>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    token::require(state.token.load().as_deref(), &headers)?;
    let found = id.ok().and_then(|Path(id)| state.recent.find(&id));
    let entry = found.ok_or_else(|| {
        let message = "This exchange is not among the last ones; the archive may have it.";
        Refusal::new(StatusCode::NOT_FOUND, "unknown_exchange", message)
    })?;
    Ok(Json(Full::of(&*entry)).into_response())
}

fn accepts(filter: &Filter, entry: &dyn Recorded) -> bool {
    let exchange = entry.exchange();
    let has_failed = || {
        exchange.fault.is_some() || exchange.status.is_none_or(|status| status.is_server_error())
    };
    filter.route.as_deref().is_none_or(|route| route == entry.route())
        && filter.failed.is_none_or(|failed| failed == has_failed())
        && filter.trace_id.as_deref().is_none_or(|wanted| {
            trace_id(entry).is_some_and(|trace| trace.eq_ignore_ascii_case(wanted))
        })
}

fn trace_id(entry: &dyn Recorded) -> Option<String> {
    let trace = entry.exchange().trace?;
    Some(format!("{:032x}", u128::from_be_bytes(trace.trace_id)))
}

fn message(message: &Message) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let header = |value: &axum::http::HeaderValue| text(value.as_bytes());
    let headers = message.headers.iter().map(|(name, value)| json!([name.as_str(), header(value)]));
    json!({
        "content_type": message.content_type.as_ref().map(header),
        "content_encoding": message.content_encoding.as_ref().map(header),
        "headers": headers.collect::<Vec<_>>(),
        "body": body(&message.body),
    })
}

/// Text as text, anything else in Base64.
fn body(body: &CapturedBody) -> Value {
    let kept = body.to_bytes();
    let (encoding, content) = match std::str::from_utf8(&kept) {
        Ok(text) => ("utf-8", text.to_owned()),
        Err(_) => ("base64", STANDARD.encode(&kept)),
    };
    let end = match body.end {
        BodyEnd::Complete => "complete",
        BodyEnd::Aborted => "aborted",
        BodyEnd::Cancelled => "cancelled",
    };
    json!({
        "encoding": encoding,
        "content": content,
        "total_bytes": body.total_bytes(),
        "truncated": body.is_truncated(),
        "end": end,
    })
}

/// One object a row.
fn rows(rows: &Rows) -> Vec<Value> {
    let mut objects = vec![Map::new(); rows.len()];
    for column in rows.columns() {
        for (object, cell) in objects.iter_mut().zip(column.cells()) {
            let value = match cell {
                Cell::Null => Value::Null,
                Cell::Number(number) => json!(number),
                Cell::Bool(bool) => json!(bool),
                Cell::Text(text) => json!(text),
            };
            object.insert(column.name().to_string(), value);
        }
    }
    objects.into_iter().map(Value::Object).collect()
}
