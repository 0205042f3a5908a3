//! One row of an archive file, as plain data: what was written is what is read.

use bytes::Bytes;
use http::HeaderName;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::batch::Field;
use super::schema::COLUMNS;
use super::{Entry, row_text};
use crate::capture::{BodyEnd, Headers, Message};

/// One exchange. Field for field the columns of `schema.rs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub id: String,
    /// To the microsecond.
    pub started_at: Timestamp,
    pub total: Duration,
    pub upstream: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub model_name: String,
    pub model_version: String,
    pub dialect: Option<String>,
    pub route: String,
    pub method: String,
    pub target: String,
    pub status: Option<u16>,
    pub fault: Option<String>,
    /// Lower-case hex, as W3C trace context writes it.
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub sample_rate: f64,
    pub request: Body,
    pub response: Body,
    pub input_rows: u64,
    pub output_rows: u64,
    /// JSON text; `None` without rows. Holds fewer than `input_rows` if they were very long.
    pub inputs: Option<Bytes>,
    pub outputs: Option<Bytes>,
    /// When analysis counted it, to the microsecond: it lies in the window of drift that holds the rows.
    pub counted_at: Option<Timestamp>,
}

/// One direction of a [`Record`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Body {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    /// A JSON object as text; `None` without headers.
    pub headers: Option<String>,
    /// Bytes that crossed the wire.
    pub total_bytes: u64,
    /// `body` holds fewer than that.
    pub truncated: bool,
    /// `complete`, `aborted` by its sender, or `cancelled` by its receiver.
    pub end: String,
    /// `None` if nothing was kept of a body that there was.
    pub body: Option<Bytes>,
}

impl From<&Entry> for Record {
    fn from(entry: &Entry) -> Self {
        let exchange = &*entry.exchange;
        Self {
            id: exchange.id.text().into_owned(),
            started_at: timestamp(exchange.started_at),
            total: exchange.timing.total,
            upstream: exchange.timing.upstream,
            first_byte: exchange.timing.first_byte,
            model_name: entry.model_name.to_string(),
            model_version: entry.model_version.to_string(),
            dialect: entry.dialect.map(str::to_owned),
            route: entry.route.to_string(),
            method: exchange.method.to_string(),
            target: exchange.target.to_string(),
            status: exchange.status.map(|status| status.as_u16()),
            fault: exchange.fault.map(|fault| fault.to_string()),
            trace_id: exchange.trace.map(|trace| hex(&trace.trace_id)),
            span_id: exchange.trace.map(|trace| hex(&trace.server_span_id)),
            sample_rate: exchange.sample_rate,
            request: Body::from(&exchange.request),
            response: Body::from(&exchange.response),
            input_rows: entry.inputs.len() as u64,
            output_rows: entry.outputs.len() as u64,
            inputs: row_text::write(&entry.inputs).map(Bytes::from),
            outputs: row_text::write(&entry.outputs).map(Bytes::from),
            counted_at: entry.counted_at,
        }
    }
}

impl From<&Message> for Body {
    fn from(message: &Message) -> Self {
        let text = |value: &http::HeaderValue| lossy(value.as_bytes());
        let body = &message.body;
        let nothing_kept = body.kept_bytes() == 0 && body.total_bytes() > 0;
        Self {
            content_type: message.content_type.as_ref().map(text),
            content_encoding: message.content_encoding.as_ref().map(text),
            headers: headers_text(&message.headers),
            total_bytes: body.total_bytes(),
            truncated: body.is_truncated(),
            end: end_text(body.end).to_owned(),
            body: (!nothing_kept).then(|| body.to_bytes()),
        }
    }
}

impl Record {
    /// Roughly the memory it holds.
    pub(super) fn held_bytes(&self) -> usize {
        let side = |body: &Body| {
            body.body.as_ref().map_or(0, Bytes::len) + body.headers.as_ref().map_or(0, String::len)
        };
        let rows = |text: &Option<Bytes>| text.as_ref().map_or(0, Bytes::len);
        side(&self.request)
            + side(&self.response)
            + rows(&self.inputs)
            + rows(&self.outputs)
            + self.target.len()
            + 512
    }

    pub(super) fn into_fields(self) -> [Field; COLUMNS.len()] {
        let Self { request, response, .. } = self;
        [
            text(self.id),
            Field::Int(self.started_at.as_microsecond()),
            nanos(self.total),
            self.upstream.map_or(Field::Null, nanos),
            self.first_byte.map_or(Field::Null, nanos),
            text(self.model_name),
            text(self.model_version),
            optional(self.dialect),
            text(self.route),
            text(self.method),
            text(self.target),
            self.status.map_or(Field::Null, |status| Field::Int(i64::from(status))),
            optional(self.fault),
            optional(self.trace_id),
            optional(self.span_id),
            Field::Double(self.sample_rate),
            optional(request.content_type),
            optional(request.content_encoding),
            optional(request.headers),
            count(request.total_bytes),
            Field::Bool(request.truncated),
            text(request.end),
            request.body.map_or(Field::Null, Field::Bytes),
            optional(response.content_type),
            optional(response.content_encoding),
            optional(response.headers),
            count(response.total_bytes),
            Field::Bool(response.truncated),
            text(response.end),
            response.body.map_or(Field::Null, Field::Bytes),
            count(self.input_rows),
            count(self.output_rows),
            self.inputs.map_or(Field::Null, Field::Bytes),
            self.outputs.map_or(Field::Null, Field::Bytes),
            self.counted_at.map_or(Field::Null, |at| Field::Int(at.as_microsecond())),
        ]
    }

    /// Takes fields in the order of [`COLUMNS`]; what a file lacks is empty or zero.
    pub(super) fn from_fields(fields: impl IntoIterator<Item = Field>) -> Self {
        let mut fields = Fields(fields.into_iter());
        let fields = &mut fields;
        Self {
            id: fields.text(),
            started_at: Timestamp::from_microsecond(fields.int()).unwrap_or_default(),
            total: fields.duration().unwrap_or_default(),
            upstream: fields.duration(),
            first_byte: fields.duration(),
            model_name: fields.text(),
            model_version: fields.text(),
            dialect: fields.optional(),
            route: fields.text(),
            method: fields.text(),
            target: fields.text(),
            status: fields.status(),
            fault: fields.optional(),
            trace_id: fields.optional(),
            span_id: fields.optional(),
            sample_rate: fields.double(),
            request: fields.body(),
            response: fields.body(),
            input_rows: fields.count(),
            output_rows: fields.count(),
            inputs: fields.bytes(),
            outputs: fields.bytes(),
            counted_at: fields.time(),
        }
    }
}

/// Fields in column order, each taken as what its column holds.
struct Fields<I>(I);

impl<I: Iterator<Item = Field>> Fields<I> {
    fn next(&mut self) -> Field {
        self.0.next().unwrap_or_default()
    }

    fn bytes(&mut self) -> Option<Bytes> {
        match self.next() {
            Field::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn time(&mut self) -> Option<Timestamp> {
        match self.next() {
            Field::Int(microseconds) => Timestamp::from_microsecond(microseconds).ok(),
            _ => None,
        }
    }

    fn optional(&mut self) -> Option<String> {
        self.bytes().map(|bytes| lossy(&bytes))
    }

    fn text(&mut self) -> String {
        self.optional().unwrap_or_default()
    }

    fn optional_int(&mut self) -> Option<i64> {
        match self.next() {
            Field::Int(int) => Some(int),
            _ => None,
        }
    }

    fn int(&mut self) -> i64 {
        self.optional_int().unwrap_or_default()
    }

    fn count(&mut self) -> u64 {
        u64::try_from(self.int()).unwrap_or_default()
    }

    fn duration(&mut self) -> Option<Duration> {
        let nanos = self.optional_int()?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()))
    }

    fn status(&mut self) -> Option<u16> {
        self.optional_int().and_then(|status| u16::try_from(status).ok())
    }

    fn double(&mut self) -> f64 {
        match self.next() {
            Field::Double(double) => double,
            _ => 0.0,
        }
    }

    fn bool(&mut self) -> bool {
        matches!(self.next(), Field::Bool(true))
    }

    fn body(&mut self) -> Body {
        Body {
            content_type: self.optional(),
            content_encoding: self.optional(),
            headers: self.optional(),
            total_bytes: self.count(),
            truncated: self.bool(),
            end: self.text(),
            body: self.bytes(),
        }
    }
}

fn text(text: String) -> Field {
    Field::Bytes(Bytes::from(text))
}

fn optional(content: Option<String>) -> Field {
    content.map_or(Field::Null, text)
}

fn nanos(duration: Duration) -> Field {
    Field::Int(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

fn count(count: u64) -> Field {
    Field::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Bytes beyond UTF-8, which a header may carry, are replaced.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn timestamp(time: SystemTime) -> Timestamp {
    let exact = Timestamp::try_from(time).unwrap_or_default();
    Timestamp::from_microsecond(exact.as_microsecond()).unwrap_or_default()
}

fn end_text(end: BodyEnd) -> &'static str {
    match end {
        BodyEnd::Complete => "complete",
        BodyEnd::Aborted => "aborted",
        BodyEnd::Cancelled => "cancelled",
    }
}

fn headers_text(headers: &Headers) -> Option<String> {
    if headers.is_empty() {
        return None;
    }
    let mut joined = BTreeMap::<&str, String>::new();
    for (name, value) in headers {
        let value = lossy(value.as_bytes());
        joined
            .entry(HeaderName::as_str(name))
            .and_modify(|earlier| {
                earlier.push_str(", ");
                earlier.push_str(&value);
            })
            .or_insert(value);
    }
    serde_json::to_string(&joined).ok()
}
