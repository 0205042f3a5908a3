//! `GET /api/v1/exchanges` and `/api/v1/exchanges/{id}`: the last exchanges.
//!
//! What everybody sees says when, where, how long and how much. Targets, headers, bodies and rows are
//! payload, and are shown to callers with the admin token only.

use crate::admin::filter::{self, Filter};
use crate::admin::query::Parameters;
use crate::admin::recent::Recorded;
use crate::admin::refusal::Refusal;
use crate::admin::session::Sessions;
use crate::admin::state::State;
use crate::admin::token;
use crate::capture::{BodyEnd, CapturedBody, Fault, Message};
use crate::decode::{Cell, Rows};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Handle};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const DEFAULT_LIMIT: usize = 50;

/// What may be said of an exchange without its payload.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExchangeSummary")]
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

    /// On the way, or answered with a 5xx, or not at all.
    pub(in crate::admin) fn has_failed(&self) -> bool {
        self.fault.is_some() || self.status.is_none_or(|code| code >= 500)
    }
}

/// The answer to `GET /api/v1/exchanges`, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Exchanges")]
pub(super) struct Listed {
    exchanges: Vec<Either>,
}

/// Without `payloads=true`, only what may be said without the token.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Either {
    Full(Box<Full>),
    Summary(Box<Summary>),
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Exchange")]
pub(super) struct Full {
    #[serde(flatten)]
    summary: Summary,
    /// Path and query.
    target: String,
    request: Sent,
    response: Sent,
    /// Decoded rows, one object a row.
    inputs: Vec<Map<String, Value>>,
    outputs: Vec<Map<String, Value>>,
}

/// One direction of an exchange, as far as it was kept.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Message")]
struct Sent {
    content_type: Option<String>,
    content_encoding: Option<String>,
    /// Name and value of those that the configuration allows to be kept.
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Serialize, JsonSchema)]
struct Body {
    encoding: Encoding,
    content: String,
    /// What crossed the wire, kept or not.
    total_bytes: u64,
    truncated: bool,
    end: End,
}

#[derive(Serialize, JsonSchema)]
enum Encoding {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum End {
    Complete,
    /// The sender broke off.
    Aborted,
    /// The receiver went away first.
    Cancelled,
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
    Extension(sessions): Extension<Arc<Sessions>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Listed>, Refusal> {
    let parameters = Parameters::of(&uri);
    parameters.only(&filter::PARAMETERS.map(|(name, _)| name))?;
    let filter = Filter::read(&parameters)?;
    if filter.needs_token() {
        token::require_token_or_session(state.token.load().as_deref(), &sessions, &headers)?;
    }
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT);
    let entries = state.recent.newest(limit, |entry| filter.accepts(entry));
    let either = |entry: &Arc<dyn Recorded>| {
        if filter.payloads {
            Either::Full(Box::new(Full::of(&**entry)))
        } else {
            Either::Summary(Box::new(Summary::of(&**entry)))
        }
    };
    Ok(Json(Listed { exchanges: entries.iter().map(either).collect() }))
}

pub(super) async fn one(
    Handle(state): Handle<Arc<State>>,
    Extension(sessions): Extension<Arc<Sessions>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Full>, Refusal> {
    token::require_token_or_session(state.token.load().as_deref(), &sessions, &headers)?;
    let found = id.ok().and_then(|Path(id)| state.recent.find(&id));
    let entry = found.ok_or_else(|| {
        let message = "This exchange is not among the last ones; the archive may have it.";
        Refusal::new(StatusCode::NOT_FOUND, "unknown_exchange", message)
    })?;
    Ok(Json(Full::of(&*entry)))
}

fn trace_id(entry: &dyn Recorded) -> Option<String> {
    let trace = entry.exchange().trace?;
    Some(format!("{:032x}", u128::from_be_bytes(trace.trace_id)))
}

fn message(message: &Message) -> Sent {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let header = |value: &HeaderValue| text(value.as_bytes());
    let headers = message.headers.iter();
    Sent {
        content_type: message.content_type.as_ref().map(header),
        content_encoding: message.content_encoding.as_ref().map(header),
        headers: headers.map(|(name, value)| (name.to_string(), header(value))).collect(),
        body: body(&message.body),
    }
}

/// Text as text, anything else in Base64.
fn body(body: &CapturedBody) -> Body {
    let kept = body.to_bytes();
    let (encoding, content) = match std::str::from_utf8(&kept) {
        Ok(text) => (Encoding::Utf8, text.to_owned()),
        Err(_) => (Encoding::Base64, STANDARD.encode(&kept)),
    };
    let end = match body.end {
        BodyEnd::Complete => End::Complete,
        BodyEnd::Aborted => End::Aborted,
        BodyEnd::Cancelled => End::Cancelled,
    };
    let (total_bytes, truncated) = (body.total_bytes(), body.is_truncated());
    Body { encoding, content, total_bytes, truncated, end }
}

/// One object a row.
fn rows(rows: &Rows) -> Vec<Map<String, Value>> {
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
    objects
}
