//! The last exchanges, found by route, outcome, time, answer or trace. Payloads are a page further.

use super::shell::{Page, Place};
use super::{empty, login, scroll};
use crate::admin::api::exchanges::Summary;
use crate::admin::figure;
use crate::admin::filter::Filter;
use crate::admin::moment::Moment;
use crate::admin::query::BadParameter;
use crate::admin::visit::{Visit, encoded};
use crate::capture::Fault;
use axum::http::StatusCode;
use maud::{Markup, html};

const DEFAULT_LIMIT: usize = 50;

/// `Err` holds the page that says which parameter is wrong.
pub(in crate::admin) fn page(
    visit: &Visit,
    moment: &Moment<'_>,
    filter: Result<&Filter, &BadParameter>,
    may_see_payloads: bool,
) -> Page {
    let content = html! {
        section #exchanges-head aria-label="Exchanges" {
            div.title { h1 { "Exchanges" } }
            p.lede {
                "The last " b { (figure::count(moment.state.recent.len() as u64)) }
                " that analysis saw are held; older ones are in the archive."
            }
        }
        (access(visit, moment, may_see_payloads))
        section.panel #filter aria-labelledby="filter-title" {
            h2 #filter-title { "Find" }
            (form(visit, moment))
            @if let Err(bad) = filter { p.trouble role="alert" { (bad.to_string()) } }
        }
        @if let Ok(filter) = filter { (found(visit, moment, filter, may_see_payloads)) }
    };
    let page = Page::still(Place::Exchanges, "Exchanges", content);
    let status = if filter.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Page { status, ..page }
}

fn access(visit: &Visit, moment: &Moment<'_>, may_see_payloads: bool) -> Markup {
    html! {
        section.panel #access aria-label="Access to payloads" {
            @if may_see_payloads {
                form.login method="post" action={ (visit.root) "logout" } {
                    span { "Payloads are shown in this session." }
                    button type="submit" { "Sign out" }
                }
            } @else if moment.state.token.load().is_some() {
                (login::form(visit, "exchanges"))
            } @else {
                (login::no_token())
            }
        }
    }
}

fn form(visit: &Visit, moment: &Moment<'_>) -> Markup {
    let given = |name: &str| visit.parameters.get(name);
    let mut routes: Vec<_> = moment
        .state
        .recent
        .newest(usize::MAX, |_| true)
        .iter()
        .map(|e| e.route().to_owned())
        .collect();
    routes.sort_unstable();
    routes.dedup();
    let text = |name: &'static str, title: &'static str, example: &'static str| {
        html! {
            div {
                label for=(name) { (title) }
                input id=(name) name=(name) placeholder=(example) value=[given(name)]
                    autocomplete="off" spellcheck="false";
            }
        }
    };
    let choice = |name: &'static str, title: &'static str, words: Vec<String>| {
        html! {
            div {
                label for=(name) { (title) }
                select id=(name) name=(name) {
                    option value="" { "any" }
                    @for word in words {
                        option value=(word) selected[given(name) == Some(&word)] { (word) }
                    }
                }
            }
        }
    };
    let statuses = ["2xx", "3xx", "4xx", "5xx"].map(str::to_owned).to_vec();
    let faults = Fault::ALL.map(|fault| fault.as_str().to_owned());
    html! {
        form.filter method="get" action={ (visit.root) "exchanges" } {
            (choice("route", "Route", routes))
            @let is_code = |status: &str| !statuses.iter().any(|known| known == status);
            @if given("status").is_some_and(is_code) {
                (text("status", "Status", "404 or 5xx"))
            } @else { (choice("status", "Status", statuses)) }
            (choice("error.type", "error.type", faults.to_vec()))
            (text("slower_than", "Slower than", "250ms"))
            (text("answer", "Model answered", "rain"))
            (text("trace_id", "Trace id", "32 hexadecimal digits"))
            (text("id", "Request id", "x-request-id"))
            (text("from", "From (UTC)", "2026-01-31T10:00"))
            (text("to", "Until (UTC)", "2026-01-31T11:00"))
            div.actions {
                button type="submit" { "Find" }
                a href={ (visit.root) "exchanges" } { "Clear" }
            }
        }
    }
}

fn found(visit: &Visit, moment: &Moment<'_>, filter: &Filter, may_see_payloads: bool) -> Markup {
    if filter.needs_token() && !may_see_payloads {
        return html! {
            section.panel #found aria-label="Found" {
                (empty(&html! {
                    "What the model answered is payload: give the admin token above to search in it."
                }))
            }
        };
    }
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT);
    let entries = moment.state.recent.newest(limit, |entry| filter.accepts(entry));
    let summaries: Vec<_> = entries.iter().map(|entry| Summary::of(&**entry)).collect();
    html! {
        section.panel #found aria-labelledby="found-title" {
            div.head {
                h2 #found-title { "Found" }
                span.unit {
                    (summaries.len())
                    @if summaries.len() == limit { ", the newest" }
                }
                a.more href=(visit.with("limit", "500")) { "Up to 500" }
            }
            @if summaries.is_empty() {
                (empty(&html! {
                    @if moment.state.recent.is_empty() { "None was captured yet." }
                    @else { "None of those held is like that." }
                }))
            } @else {
                (scroll("found-scroll", "Exchanges found", &table(visit, &summaries)))
            }
        }
    }
}

pub(super) fn table(visit: &Visit, exchanges: &[Summary]) -> Markup {
    html! {
        table.exchanges {
            caption.unseen { "Exchanges, newest first" }
            thead {
                tr {
                    th scope="col" { "Time" }
                    th scope="col" { "Request id" }
                    th scope="col" { "Status" }
                    th.n scope="col" { "Total" }
                    th.n scope="col" { "Model" }
                    th scope="col" { "Request" }
                    th.n scope="col" { "Sent" }
                    th.n scope="col" { "Received" }
                    th.n scope="col" { "Rows" }
                    th scope="col" { "Trace" }
                }
            }
            tbody { @for exchange in exchanges { (line(visit, exchange)) } }
        }
    }
}

fn line(visit: &Visit, exchange: &Summary) -> Markup {
    let root = &visit.root;
    let status = exchange.status.map_or_else(|| "none".into(), |status| status.to_string());
    html! {
        tr class=[exchange.has_failed().then_some("failed")] {
            td { (exchange.started_at.map_or_else(String::new, figure::clock)) }
            td { a.id href=(exchange_link(root, &exchange.id)) title=(exchange.id) { (exchange.id) } }
            td { (status) @if let Some(fault) = exchange.fault { " " span.why { (fault) } } }
            td.n { (figure::seconds(exchange.total_seconds)) }
            td.n { (exchange.upstream_seconds.map_or_else(|| "–".into(), figure::seconds)) }
            td { (exchange.method) " " code { (exchange.route) } }
            td.n { (figure::bytes(exchange.request_bytes)) }
            td.n { (figure::bytes(exchange.response_bytes)) }
            td.n { (exchange.input_rows) }
            td {
                @match &exchange.trace_id {
                    None => "–",
                    Some(trace) => {
                        a.id.short href={ (root) "exchanges?trace_id=" (trace) } title=(trace) { (trace) }
                    }
                }
            }
        }
    }
}

/// Some ids cannot be a segment of a path; such an exchange is found by its id.
pub(super) fn exchange_link(root: &str, id: &str) -> String {
    match id {
        "" | "." | ".." => format!("{root}exchanges?id={}", encoded(id)),
        _ => format!("{root}exchanges/{}", encoded(id)),
    }
}
