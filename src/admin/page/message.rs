//! Pages that say why there is nothing else to show.

use super::shell::Page;
use crate::admin::visit::Visit;
use axum::http::StatusCode;
use maud::{Markup, html};

fn page(status: StatusCode, title: &str, text: &Markup) -> Page {
    let content = html! {
        section.panel.alone #message {
            h1 { (title) }
            (text)
        }
    };
    Page { place: None, status, title: title.to_owned(), content, is_live: false }
}

pub(in crate::admin) fn not_found(visit: &Visit, why: &str) -> Page {
    let text = html! {
        p { (why) }
        p {
            "Begin at the " a href=(visit.root) { "overview" } ", or see everything as JSON under "
            a href={ (visit.root) "api/v1/openapi.json" } { code { "/api/v1" } } "."
        }
    };
    page(StatusCode::NOT_FOUND, "There is no such page", &text)
}

pub(in crate::admin) fn bad_request(visit: &Visit, why: &str) -> Page {
    let text = html! {
        p { (why) }
        p { a href=(visit.root) { "Overview" } }
    };
    page(StatusCode::BAD_REQUEST, "That cannot be shown", &text)
}
