//! The last exchanges, without their payloads.

use super::empty;
use crate::admin::api::exchanges::Summary;
use crate::admin::figure;
use crate::admin::moment::Moment;
use maud::{Markup, html};

const MAX_SHOWN: usize = 12;

pub(super) fn section(moment: &Moment<'_>) -> Markup {
    let entries = moment.state.recent.newest(MAX_SHOWN, |_| true);
    html! {
        section.panel #exchanges aria-labelledby="exchanges-title" {
            h2 #exchanges-title { "Last exchanges" }
            @if entries.is_empty() {
                (empty(&html! { "None was captured yet." }))
            } @else {
                div.scroll #exchanges-scroll tabindex="0" role="region" aria-label="Last exchanges" {
                    table {
                        (head())
                        tbody { @for entry in &entries { (line(&Summary::of(&**entry))) } }
                    }
                }
                p.note {
                    "Bodies and rows: " code { "GET /api/v1/exchanges/<id>" }
                    @if moment.state.token.load().is_some() {
                        " with " code { "Authorization: Bearer <admin token>" } "."
                    } @else {
                        " once an admin token is set (" code { "admin.token_file" } ")."
                    }
                }
            }
        }
    }
}

fn head() -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { "Time" }
                th scope="col" { "Request" }
                th scope="col" { "Status" }
                th.n scope="col" { "Total" }
                th.n scope="col" { "Model" }
                th.n scope="col" { "Sent" }
                th.n scope="col" { "Received" }
                th scope="col" { "Dialect" }
                th.n scope="col" { "Rows" }
                th scope="col" { "Id" }
            }
        }
    }
}

fn line(exchange: &Summary) -> Markup {
    let status = exchange.status.map_or_else(|| "none".into(), |status| status.to_string());
    let has_failed = exchange.fault.is_some() || exchange.status.is_none_or(|code| code >= 500);
    html! {
        tr class=[has_failed.then_some("failed")] {
            td { (exchange.started_at.map_or_else(String::new, figure::clock)) }
            td { (exchange.method) " " code { (exchange.route) } }
            td { (status) @if let Some(fault) = exchange.fault { " " span.why { (fault) } } }
            td.n { (figure::seconds(exchange.total_seconds)) }
            td.n { (exchange.upstream_seconds.map_or_else(|| "–".into(), figure::seconds)) }
            td.n { (figure::bytes(exchange.request_bytes)) }
            td.n { (figure::bytes(exchange.response_bytes)) }
            td { (exchange.dialect.as_deref().unwrap_or("–")) }
            td.n { (exchange.input_rows) }
            td { code.id title=(exchange.id) { (exchange.id) } }
        }
    }
}
