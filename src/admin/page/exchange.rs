//! One exchange, for those who may see payloads: its times, headers, bodies and rows.

use super::shell::{Page, Place};
use super::{empty, exchanges, scroll};
use crate::admin::api::exchanges::Summary;
use crate::admin::chart::{Span, waterfall};
use crate::admin::figure;
use crate::admin::moment::Moment;
use crate::admin::recent::Recorded;
use crate::admin::visit::{Visit, encoded};
use crate::capture::{BodyEnd, Message};
use crate::decode::{Cell, Column, Rows};
use maud::{Markup, html};
use std::fmt::Write as _;

/// Of a body that are shown; the API gives all that was kept.
const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_ROWS: usize = 50;
const MAX_COLUMNS: usize = 40;
const MAX_OF_TRACE: usize = 20;

pub(in crate::admin) fn one(visit: &Visit, moment: &Moment<'_>, entry: &dyn Recorded) -> Page {
    let (exchange, summary) = (entry.exchange(), Summary::of(entry));
    let api = format!("{}api/v1/exchanges/{}", visit.root, encoded(&summary.id));
    let content = html! {
        section #exchange-head aria-label="Exchange" {
            p.crumb { a href={ (visit.root) "exchanges" } { "Exchanges" } " / one" }
            h1.id-title { (summary.id) }
            p.lede {
                b { (summary.method) " " (exchange.target.as_str()) } " · "
                (summary.started_at.map_or_else(String::new, figure::date_and_second)) " · "
                (summary.status.map_or_else(|| "no answer".into(), |status| status.to_string()))
                @if let Some(fault) = summary.fault { " · " span.fault { (fault) } }
                " · " (summary.dialect.as_deref().unwrap_or("no dialect recognized"))
                " · " a href=(api) { "as JSON" }
            }
        }
        (times(&summary))
        (trace(visit, moment, entry))
        (message("request", "Request", &exchange.request, entry.inputs(), "Input rows"))
        (message("response", "Response", &exchange.response, entry.outputs(), "Output rows"))
    };
    Page::still(Place::Exchanges, "Exchange", content)
}

/// The request was handed to the model at the end of what is neither the model's nor after it; only
/// the sum of both is known, and all of it is drawn before.
fn times(summary: &Summary) -> Markup {
    let total = summary.total_seconds;
    let span = |name, class, from: f64, to: f64| Span {
        name,
        class,
        from,
        to,
        words: figure::seconds(to - from),
    };
    let upstream = summary.upstream_seconds;
    let first_byte = summary.first_byte_seconds;
    let handed_over = upstream.map(|upstream| (total - upstream).max(0.0));
    let spans = [
        Some(span("Total", "total", 0.0, total)),
        handed_over.map(|at| span("Overhead", "overhead", 0.0, at)),
        handed_over.map(|at| span("Model", "upstream", at, total)),
        first_byte.map(|at| span("First byte", "first", 0.0, at)),
    ];
    let spans: Vec<_> = spans.into_iter().flatten().collect();
    html! {
        section.panel #times aria-labelledby="times-title" {
            h2 #times-title { "Time" }
            (waterfall(&spans))
        }
    }
}

fn trace(visit: &Visit, moment: &Moment<'_>, entry: &dyn Recorded) -> Markup {
    let Some(trace) = entry.exchange().trace else { return html! {} };
    let id = hexadecimal(&trace.trace_id);
    let same_trace = |other: &dyn Recorded| {
        other.exchange().trace.is_some_and(|other| other.trace_id == trace.trace_id)
    };
    let entries = moment.state.recent.newest(MAX_OF_TRACE, same_trace);
    let summaries: Vec<_> = entries.iter().map(|entry| Summary::of(&**entry)).collect();
    html! {
        section.panel #trace aria-labelledby="trace-title" {
            h2 #trace-title { "Trace" }
            dl.list.narrow {
                div {
                    dt { "Trace id" }
                    dd {
                        a href={ (visit.root) "exchanges?trace_id=" (id) } { code { (id) } }
                    }
                }
                div { dt { "Server span" } dd { code { (hexadecimal(&trace.server_span_id)) } } }
                div { dt { "Model span" } dd { code { (hexadecimal(&trace.client_span_id)) } } }
                @if let Some(parent) = trace.parent_span_id {
                    div { dt { "Caller's span" } dd { code { (hexadecimal(&parent)) } } }
                }
            }
            @if summaries.len() > 1 {
                h3 { "Exchanges of this trace" }
                (scroll("trace-scroll", "Exchanges of this trace", &exchanges::table(visit, &summaries)))
            }
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn message(id: &str, title: &str, message: &Message, rows: &Rows, rows_title: &str) -> Markup {
    html! {
        section.panel id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            (body(id, title, message))
            @if !message.headers.is_empty() { (headers(id, message)) }
            @if !rows.is_empty() {
                (scroll(&format!("{id}-rows"), rows_title, &rows_table(rows, rows_title)))
            }
        }
    }
}

fn body(id: &str, title: &str, message: &Message) -> Markup {
    let (body, kept) = (&message.body, message.body.to_bytes());
    let shown = &kept[..kept.len().min(MAX_BODY_BYTES)];
    let text = |value: Option<&axum::http::HeaderValue>| {
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let end = match body.end {
        BodyEnd::Complete => "",
        BodyEnd::Aborted => ", broken off by its sender",
        BodyEnd::Cancelled => ", cut short by its receiver",
    };
    html! {
        p.unit {
            (text(message.content_type.as_ref()).unwrap_or_else(|| "no type".into()))
            @if let Some(encoding) = text(message.content_encoding.as_ref()) { ", " (encoding) }
            " · " (figure::bytes(body.total_bytes())) (end)
            @if body.is_truncated() { " · " (figure::bytes(kept.len() as u64)) " kept" }
            @if shown.len() < kept.len() {
                " · the first " (figure::bytes(shown.len() as u64)) " shown"
            }
        }
        @if kept.is_empty() { (empty(&html! { "No body." })) }
        @else if let Some(text) = as_text(shown) {
            pre.body id={ (id) "-body" } tabindex="0" role="region"
                aria-label={ (title) " body" } { (text) }
        } @else { (empty(&html! { "Not text. The API gives it in Base64." })) }
    }
}

/// A cut in the middle of a letter is no fault of the text.
fn as_text(bytes: &[u8]) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

fn headers(id: &str, message: &Message) -> Markup {
    let table = html! {
        table.snug {
            caption { "Headers that are kept" }
            thead { tr { th scope="col" { "Name" } th scope="col" { "Value" } } }
            tbody {
                @for (name, value) in &message.headers {
                    tr {
                        th scope="row" { code { (name) } }
                        td { code { (String::from_utf8_lossy(value.as_bytes())) } }
                    }
                }
            }
        }
    };
    scroll(&format!("{id}-headers"), "Headers", &table)
}

fn rows_table(rows: &Rows, title: &str) -> Markup {
    let columns = &rows.columns()[..rows.columns().len().min(MAX_COLUMNS)];
    let mut cells: Vec<_> = columns.iter().map(Column::cells).collect();
    let shown = rows.len().min(MAX_ROWS);
    html! {
        table.snug {
            caption {
                (title) ", " (figure::count(rows.len() as u64))
                @if shown < rows.len() { ", the first " (shown) " shown" }
                @if columns.len() < rows.columns().len() {
                    ", " (columns.len()) " of " (rows.columns().len()) " columns"
                }
            }
            thead {
                tr {
                    th.n scope="col" { "#" }
                    @for column in columns { th.n scope="col" { (column.name()) } }
                }
            }
            tbody {
                @for row in 0..shown {
                    tr {
                        th.n scope="row" { (row) }
                        @for cells in &mut cells { td.n { (cell(cells.next())) } }
                    }
                }
            }
        }
    }
}

fn cell(cell: Option<Cell<'_>>) -> Markup {
    html! {
        @match cell {
            None | Some(Cell::Null) => span.unit { "null" },
            Some(Cell::Number(number)) => (number),
            Some(Cell::Bool(value)) => (value),
            Some(Cell::Text(text)) => (text),
        }
    }
}
