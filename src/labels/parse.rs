//! The body of a labels request, or lines of a file, as labels: JSON, JSON lines or CSV.
//!
//! Each label has an `id`, a `label`, and if it likes a `ts`: RFC 3339, or seconds since the Unix epoch.
//! An object may have SageMaker's form for ground truth instead: `groundTruthData` and `eventMetadata`.
//! A label that cannot be read is reported with its place, and costs no other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value as Json;
use thiserror::Error;

use super::value::{Label, LabelValue, Truth};

/// Why a body as a whole could not be read.
#[derive(Debug, Error)]
pub enum LabelsError {
    #[error(
        "the body is empty; send JSON such as {{\"id\": \"…\", \"label\": 1}}, one a line or in an array, or CSV with the header id,label"
    )]
    Empty,
    #[error("the JSON array cannot be read; nothing of it was taken")]
    Json(#[source] serde_json::Error),
    #[error("the CSV header has no column `{0}`; it must name id and label, and may name ts")]
    NoColumn(&'static str),
    #[error("the CSV header cannot be read")]
    Csv(#[source] csv::Error),
}

/// What a body held.
#[derive(Debug, Default)]
pub struct Parsed {
    pub labels: Vec<Label>,
    /// The first few labels that could not be read.
    pub bad: Vec<BadLabel>,
    /// How many could not be read.
    pub bad_total: u64,
}

/// A label that could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place} {number}: {fault}")]
pub struct BadLabel {
    pub place: Place,
    /// From 1. In CSV the header is line 1.
    pub number: u64,
    pub fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Line,
    /// Of the JSON array.
    Element,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`id` is {0}; give the request's id as a text, with #k at the end for row k")]
    Id(&'static str),
    #[error("`label` is {0}; give a number, a text or a boolean, or an array of them, one a row")]
    Label(&'static str),
    #[error("`ts` is {0:?}; give RFC 3339 such as 2026-01-31T12:00:00Z, or seconds since 1970")]
    Time(String),
    #[error("is {0}, not an object with `id` and `label`")]
    NoObject(&'static str),
    #[error("`groundTruthData.encoding` is {0:?}; give CSV, JSON or BASE64")]
    Encoding(String),
    #[error("{0}")]
    File(String),
    #[error("is no JSON: {0}")]
    Json(String),
    #[error("is no CSV: {0}")]
    Csv(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Element => "element",
        })
    }
}

impl Parsed {
    /// How many bad labels are reported by name.
    pub const MAX_REPORTED: usize = 20;

    pub(super) fn push(&mut self, place: Place, number: usize, label: Result<Label, Fault>) {
        match label {
            Ok(label) => self.labels.push(label),
            Err(fault) => {
                self.bad_total += 1;
                if self.bad.len() < Self::MAX_REPORTED {
                    self.bad.push(BadLabel { place, number: number as u64, fault });
                }
            }
        }
    }
}

/// Reads a body by its content type, and by its first character where that does not say: `[` an array, `{` an
/// object or JSON lines, else CSV.
pub fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Parsed, LabelsError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    match body.first() {
        None => Err(LabelsError::Empty),
        Some(_) if content_type.contains("csv") => parse_csv(body),
        Some(b'[') => parse_array(body),
        Some(b'{') => Ok(parse_objects(body)),
        Some(_) if content_type.contains("json") => Ok(parse_objects(body)),
        Some(_) => parse_csv(body),
    }
}

fn parse_array(body: &[u8]) -> Result<Parsed, LabelsError> {
    let elements: Vec<Json> = serde_json::from_slice(body).map_err(LabelsError::Json)?;
    let mut parsed = Parsed::default();
    for (index, element) in elements.iter().enumerate() {
        parsed.push(Place::Element, index + 1, from_json(element));
    }
    Ok(parsed)
}

/// One object over any number of lines, or one object a line.
fn parse_objects(body: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    if let Ok(object) = serde_json::from_slice::<Json>(body) {
        parsed.push(Place::Line, 1, from_json(&object));
        return parsed;
    }
    parse_json_lines(body)
}

fn parse_json_lines(body: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let label = serde_json::from_slice(line)
            .map_err(|error| Fault::Json(error.to_string()))
            .and_then(|object| from_json(&object));
        parsed.push(Place::Line, index + 1, label);
    }
    parsed
}

fn from_json(json: &Json) -> Result<Label, Fault> {
    let Json::Object(fields) = json else { return Err(Fault::NoObject(kind(json))) };
    if let Some(truth) = fields.get("groundTruthData") {
        return from_ground_truth(truth, fields.get("eventMetadata"));
    }
    let id = match fields.get("id") {
        None => return Err(Fault::Missing("id")),
        Some(Json::String(id)) if !id.is_empty() => id.clone(),
        Some(Json::Number(id)) => id.to_string(),
        Some(other) => return Err(Fault::Id(kind(other))),
    };
    let label = match fields.get("label") {
        None => return Err(Fault::Missing("label")),
        Some(Json::Array(rows)) => {
            LabelValue::Rows(rows.iter().map(row_from_json).collect::<Result<_, _>>()?)
        }
        Some(one) => LabelValue::One(truth_from_json(one)?),
    };
    let at = match fields.get("ts") {
        None | Some(Json::Null) => None,
        Some(Json::String(text)) => Some(time(text)?),
        Some(other) => Some(time(&other.to_string())?),
    };
    Ok(Label { id, label, at })
}

/// `{"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": "…"}}`; CSV of
/// several values has one a row, as a JSON array has.
fn from_ground_truth(truth: &Json, metadata: Option<&Json>) -> Result<Label, Fault> {
    let id = match metadata.and_then(|metadata| metadata.get("eventId")) {
        Some(Json::String(id)) if !id.is_empty() => id.clone(),
        _ => return Err(Fault::Missing("eventMetadata.eventId")),
    };
    let Some(data) = truth.get("data").and_then(Json::as_str) else {
        return Err(Fault::Missing("groundTruthData.data"));
    };
    let encoding = truth.get("encoding").and_then(Json::as_str).unwrap_or("CSV");
    let data = match encoding {
        "BASE64" => base64_text(data)?,
        _ => data.to_owned(),
    };
    let label = match encoding {
        "JSON" => {
            let json: Json =
                serde_json::from_str(&data).map_err(|error| Fault::Json(error.to_string()))?;
            match &json {
                Json::Array(rows) => {
                    LabelValue::Rows(rows.iter().map(row_from_json).collect::<Result<_, _>>()?)
                }
                one => LabelValue::One(truth_from_json(one)?),
            }
        }
        "CSV" | "BASE64" => match data.trim().split([',', '\n']).collect::<Vec<_>>().as_slice() {
            [one] => LabelValue::One(truth_from_text(one)?),
            rows => {
                let rows = rows.iter().map(|row| truth_from_text(row).map(Some));
                LabelValue::Rows(rows.collect::<Result<_, _>>()?)
            }
        },
        other => return Err(Fault::Encoding(other.chars().take(40).collect())),
    };
    Ok(Label { id, label, at: None })
}

fn base64_text(data: &str) -> Result<String, Fault> {
    let bytes = STANDARD.decode(data.trim()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Fault::Encoding("BASE64, but no text in it".to_owned()))
}

fn row_from_json(json: &Json) -> Result<Option<Truth>, Fault> {
    if json.is_null() { Ok(None) } else { truth_from_json(json).map(Some) }
}

fn truth_from_json(json: &Json) -> Result<Truth, Fault> {
    match json {
        Json::Bool(bool) => Ok(Truth::Bool(*bool)),
        Json::Number(number) => {
            number.as_f64().map(Truth::Number).ok_or(Fault::Label("a number out of range"))
        }
        Json::String(text) => truth_from_text(text),
        Json::Null | Json::Array(_) | Json::Object(_) => Err(Fault::Label(kind(json))),
    }
}

pub(super) fn truth_from_text(text: &str) -> Result<Truth, Fault> {
    match text.trim() {
        "" => Err(Fault::Label("an empty text")),
        text => Ok(Truth::Text(text.to_owned())),
    }
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(text) if text.is_empty() => "an empty text",
        Json::String(_) => "a text",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

fn time(text: &str) -> Result<Timestamp, Fault> {
    let from_seconds = || {
        let seconds: f64 = text.trim().parse().ok().filter(|s: &f64| s.is_finite())?;
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and is then refused")]
        Timestamp::from_microsecond((seconds * 1e6) as i64).ok()
    };
    let parsed = text.trim().parse().ok().or_else(from_seconds);
    parsed.ok_or_else(|| Fault::Time(text.chars().take(40).collect()))
}

/// Lines of a file that is read bit by bit: JSON lines, or CSV below its `header`, whose lines follow
/// `before` others.
pub fn parse_lines(
    header: Option<&[u8]>,
    lines: &[u8],
    before: u64,
) -> Result<Parsed, LabelsError> {
    let mut parsed = match header {
        None => parse_json_lines(lines),
        Some(header) => parse_csv(&[header, b"\n", lines].concat())?,
    };
    // With the header before them, lines of CSV are counted from 2.
    let shift = if header.is_some() { before.saturating_sub(1) } else { before };
    parsed.bad.iter_mut().for_each(|bad| bad.number += shift);
    Ok(parsed)
}

fn parse_csv(body: &[u8]) -> Result<Parsed, LabelsError> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(body);
    let header = reader.headers().map_err(LabelsError::Csv)?;
    let column = |name: &str| header.iter().position(|found| found.eq_ignore_ascii_case(name));
    let id = column("id").ok_or(LabelsError::NoColumn("id"))?;
    let label = column("label").ok_or(LabelsError::NoColumn("label"))?;
    let ts = column("ts");
    let mut parsed = Parsed::default();
    let mut line = 1;
    for record in reader.records() {
        let record = record.map_err(|error| Fault::Csv(error.to_string()));
        let position = record.as_ref().ok().and_then(csv::StringRecord::position);
        line = position.map_or(line + 1, csv::Position::line);
        let read = record.and_then(|record| from_csv(&record, id, label, ts));
        parsed.push(Place::Line, usize::try_from(line).unwrap_or(usize::MAX), read);
    }
    Ok(parsed)
}

fn from_csv(
    record: &csv::StringRecord,
    id: usize,
    label: usize,
    ts: Option<usize>,
) -> Result<Label, Fault> {
    let id = match record.get(id).ok_or(Fault::Missing("id"))? {
        "" => return Err(Fault::Id("an empty text")),
        id => id.to_owned(),
    };
    let label = truth_from_text(record.get(label).ok_or(Fault::Missing("label"))?)?;
    let ts = ts.and_then(|ts| record.get(ts)).filter(|ts| !ts.is_empty());
    Ok(Label { id, label: LabelValue::One(label), at: ts.map(time).transpose()? })
}

#[cfg(test)]
mod tests;
