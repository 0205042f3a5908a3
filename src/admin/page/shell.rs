//! What stands around every page: head, navigation, state of the connection, footer.

use crate::admin::moment::Moment;
use crate::admin::visit::Visit;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) enum Place {
    Overview,
    Health,
    Performance,
    Exchanges,
    System,
}

const PLACES: [(Place, &str, &str); 5] = [
    (Place::Overview, "", "Overview"),
    (Place::Health, "drift", "Model health"),
    (Place::Performance, "performance", "Performance"),
    (Place::Exchanges, "exchanges", "Exchanges"),
    (Place::System, "system", "System"),
];

pub(in crate::admin) struct Page {
    /// `None` for a page that the navigation does not lead to.
    pub(in crate::admin) place: Option<Place>,
    pub(in crate::admin) status: StatusCode,
    pub(in crate::admin) title: String,
    /// In sections that each have an id; the first has the heading.
    pub(in crate::admin) content: Markup,
    /// Its content changes by itself. Not so where somebody may be typing or reading.
    pub(in crate::admin) is_live: bool,
}

impl Page {
    pub(super) fn live(place: Place, title: impl Into<String>, content: Markup) -> Self {
        let status = StatusCode::OK;
        Self { place: Some(place), status, title: title.into(), content, is_live: true }
    }

    pub(super) fn still(place: Place, title: impl Into<String>, content: Markup) -> Self {
        Self { is_live: false, ..Self::live(place, title, content) }
    }
}

/// The page, or what changes of it.
pub(in crate::admin) fn answer(visit: &Visit, moment: &Moment<'_>, page: &Page) -> Response {
    let markup = if visit.is_fragment {
        // A copy of its markup costs less than the rest of the answer.
        PreEscaped(page.content.0.clone())
    } else {
        document(visit, moment, page)
    };
    (page.status, Html(markup.into_string())).into_response()
}

fn document(visit: &Visit, moment: &Moment<'_>, page: &Page) -> Markup {
    let (root, model) = (&visit.root, &moment.analysis.model_name);
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(visit, &format!("{} · {model} · Taffrail", page.title), page.is_live))
            body data-live[page.is_live] {
                a.skip href="#content" { "Skip to content" }
                header.bar {
                    div.wrap {
                        a.brand href=(root) aria-label="Taffrail, overview" {
                            img src={ (root) "assets/icon.svg" } alt="" width="22" height="22";
                            span { "Taffrail" }
                        }
                        (navigation(root, page.place))
                        (state(visit, page.is_live))
                    }
                }
                main.wrap #content tabindex="-1" { (page.content) }
                footer.wrap {
                    "Taffrail " (moment.state.version) " · " (model) " · times in UTC · "
                    a href={ (root) "metrics" } { "metrics" } " · "
                    a href={ (root) "api/v1/openapi.json" } { "API" } " · "
                    a href={ (root) "api/v1/status" } { "status as JSON" }
                }
                div #tip role="tooltip" hidden {}
                div.unseen #spoken aria-live="polite" {}
                script src={ (root) "assets/app.js" } defer {}
            }
        }
    }
}

fn navigation(root: &str, place: Option<Place>) -> Markup {
    html! {
        nav aria-label="Pages" {
            @for (target, path, title) in PLACES {
                @let here = (place == Some(target)).then_some("page");
                a href={ (root) (path) } aria-current=[here] { (title) }
            }
        }
    }
}

fn state(visit: &Visit, is_live: bool) -> Markup {
    html! {
        div.live {
            span #live data-state="static" role="status" {
                span.dot aria-hidden="true" {}
                span #live-text {
                    @if !is_live { "As of loading" }
                    @else if visit.refreshes { "Refreshed every 5 s" }
                    @else { "Not refreshed" }
                }
            }
            @if is_live {
                button #pause type="button" hidden { "Pause" }
                noscript {
                    @if visit.refreshes { a href=(visit.with("refresh", "off")) { "Stop" } }
                    @else { a href=(visit.with("refresh", "on")) { "Refresh" } }
                }
            }
        }
    }
}

fn head(visit: &Visit, title: &str, is_live: bool) -> Markup {
    let root = &visit.root;
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            link rel="icon" href={ (root) "assets/icon.svg" } type="image/svg+xml";
            link rel="stylesheet" href={ (root) "assets/app.css" };
            @if is_live && visit.refreshes {
                noscript { meta http-equiv="refresh" content="5"; }
            }
        }
    }
}
