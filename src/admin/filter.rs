//! Which of the last exchanges are wanted: the same parameters for the page and for the API.

use super::query::{BadParameter, Parameters};
use super::recent::Recorded;
use crate::capture::{Exchange, Fault};
use crate::decode::{Cell, Column, Rows};
use axum::http::StatusCode;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::time::Duration;

pub(super) const MAX_LIMIT: usize = 500;

/// Every parameter, for the API's document and its check.
pub(super) const PARAMETERS: [(&str, &str); 12] = [
    ("route", "A route template, as in the list."),
    ("status", "A status such as `404`, or a class such as `5xx`."),
    ("slower_than", "Total time above it: `250ms`, `1.5s`, `2m`."),
    ("error.type", "What went wrong on the way, such as `upstream_connect`; `any` for anything."),
    ("failed", "`true`: failed on the way or answered with a 5xx; `false`: the others."),
    ("answer", "Some row the model answered has this value. Needs the token."),
    ("trace_id", "32 hexadecimal digits."),
    ("id", "The `x-request-id`."),
    ("from", "Started at or after it: `2026-01-31T10:00:00Z`; without a zone, UTC."),
    ("to", "Started before it."),
    ("limit", "How many at most, newest first; up to 500."),
    ("payloads", "`true`: with headers, bodies and rows. Needs the token."),
];

#[derive(Debug, Default, PartialEq)]
pub(super) struct Filter {
    pub(super) route: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) slower_than: Option<Duration>,
    pub(super) error_type: Option<ErrorType>,
    pub(super) failed: Option<bool>,
    pub(super) answer: Option<String>,
    pub(super) trace_id: Option<[u8; 16]>,
    pub(super) id: Option<String>,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
    pub(super) limit: Option<usize>,
    pub(super) payloads: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Code(StatusCode),
    /// 1 to 5.
    Class(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorType {
    Any,
    Fault(Fault),
}

impl Filter {
    pub(super) fn read(parameters: &Parameters) -> Result<Self, BadParameter> {
        let text = |name| parameters.get(name).map(str::to_owned);
        let time = |name| {
            parameters.read(
                name,
                "a time such as `2026-01-31T10:00:00Z`; without a zone, UTC",
                time,
            )
        };
        let faults = Fault::ALL.map(Fault::as_str).join(", ");
        let switch = |name| parameters.read(name, "`true` or `false`", |text| text.parse().ok());
        Ok(Self {
            route: text("route"),
            status: parameters.read("status", "a status (404) or a class (5xx)", Status::parse)?,
            slower_than: parameters.read(
                "slower_than",
                "a time such as `250ms` or `1.5s`",
                span,
            )?,
            error_type: parameters.read(
                "error.type",
                &format!("any, {faults}"),
                ErrorType::parse,
            )?,
            failed: switch("failed")?,
            answer: text("answer"),
            trace_id: parameters.read("trace_id", "32 hexadecimal digits", trace_id)?,
            id: text("id"),
            from: time("from")?,
            to: time("to")?,
            limit: parameters.whole("limit", MAX_LIMIT)?,
            payloads: switch("payloads")?.unwrap_or(false),
        })
    }

    /// What is asked for cannot be said without looking into payloads.
    pub(super) fn needs_token(&self) -> bool {
        self.payloads || self.answer.is_some()
    }

    pub(super) fn accepts(&self, entry: &dyn Recorded) -> bool {
        let exchange = entry.exchange();
        let started = Timestamp::try_from(exchange.started_at).ok();
        self.route.as_deref().is_none_or(|route| route == entry.route())
            && self.status.is_none_or(|status| status.is_of(exchange.status))
            && self.slower_than.is_none_or(|bound| exchange.timing.total > bound)
            && self.error_type.is_none_or(|wanted| wanted.is_of(exchange.fault))
            && self.failed.is_none_or(|failed| failed == has_failed(exchange))
            && self.id.as_deref().is_none_or(|id| id == exchange.id.text())
            && self.from.is_none_or(|from| started.is_some_and(|at| at >= from))
            && self.to.is_none_or(|to| started.is_some_and(|at| at < to))
            && self
                .trace_id
                .is_none_or(|wanted| exchange.trace.is_some_and(|trace| trace.trace_id == wanted))
            && self.answer.as_deref().is_none_or(|answer| holds(entry.outputs(), answer))
    }
}

/// On the way, or answered with a 5xx, or not at all.
pub(super) fn has_failed(exchange: &Exchange) -> bool {
    exchange.fault.is_some() || exchange.status.is_none_or(|status| status.is_server_error())
}

impl Status {
    fn parse(text: &str) -> Option<Self> {
        if let Some(class) = text.to_ascii_lowercase().strip_suffix("xx") {
            let class = class.parse().ok().filter(|class| (1..=5).contains(class))?;
            return Some(Self::Class(class));
        }
        StatusCode::from_bytes(text.as_bytes()).ok().map(Self::Code)
    }

    fn is_of(self, status: Option<StatusCode>) -> bool {
        match self {
            Self::Code(code) => status == Some(code),
            Self::Class(class) => status.is_some_and(|status| status.as_u16() / 100 == class),
        }
    }
}

impl ErrorType {
    fn parse(text: &str) -> Option<Self> {
        if text == "any" {
            return Some(Self::Any);
        }
        Fault::ALL.into_iter().find(|fault| fault.as_str() == text).map(Self::Fault)
    }

    fn is_of(self, fault: Option<Fault>) -> bool {
        match self {
            Self::Any => fault.is_some(),
            Self::Fault(wanted) => fault == Some(wanted),
        }
    }
}

fn holds(rows: &Rows, answer: &str) -> bool {
    let number: Option<f64> = answer.parse().ok();
    rows.columns().iter().flat_map(Column::cells).any(|cell| match cell {
        Cell::Null => answer.eq_ignore_ascii_case("null"),
        Cell::Bool(value) => answer.eq_ignore_ascii_case(if value { "true" } else { "false" }),
        Cell::Number(value) => number.is_some_and(|wanted| {
            // A person types what a page shows, which is rounded.
            wanted.total_cmp(&value).is_eq() || (wanted - value).abs() <= 5e-4 * value.abs()
        }),
        Cell::Text(text) => text.eq_ignore_ascii_case(answer),
    })
}

/// Numbers with a unit; without one, seconds.
fn span(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = match unit.trim() {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

fn trace_id(text: &str) -> Option<[u8; 16]> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

/// With a zone, or as a form's field writes it: `2026-01-31T10:00`.
fn time(text: &str) -> Option<Timestamp> {
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse().ok().or_else(|| Some(local()?.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<Filter, String> {
        let uri = format!("/exchanges?{query}").parse().unwrap();
        Filter::read(&Parameters::of(&uri)).map_err(|bad| bad.to_string())
    }

    #[test]
    fn every_parameter_is_read() {
        let read =
            filter("status=5xx&slower_than=250ms&error.type=upstream_reset&from=2026-01-31T10:00");
        let read = read.unwrap();
        assert_eq!(read.status, Some(Status::Class(5)));
        assert_eq!(read.slower_than, Some(Duration::from_millis(250)));
        assert_eq!(read.error_type, Some(ErrorType::Fault(Fault::UpstreamReset)));
        assert_eq!(read.from, Some("2026-01-31T10:00:00Z".parse().unwrap()));
        assert_eq!(filter("status=404").unwrap().status, Some(Status::Code(StatusCode::NOT_FOUND)));
        assert_eq!(filter("route=&status=&from="), Ok(Filter::default()));
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        for (query, name) in [
            ("status=6xx", "status"),
            ("status=teapot", "status"),
            ("slower_than=-1s", "slower_than"),
            ("slower_than=1e400", "slower_than"),
            ("slower_than=9999999999999999999999s", "slower_than"),
            ("error.type=gremlins", "error.type"),
            ("trace_id=12", "trace_id"),
            ("trace_id=%2B000000000000000000000000000000a", "trace_id"),
            ("from=yesterday", "from"),
            ("limit=-1", "limit"),
            ("failed=maybe", "failed"),
        ] {
            let error = filter(query).unwrap_err();
            assert!(error.starts_with(&format!("`{name}`")), "{query}: {error}");
        }
    }
}
