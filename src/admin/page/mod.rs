//! The page: one document for people, rendered whole, of which [`content`] is what changes.

mod badge;
mod drift;
mod exchanges;
mod features;
mod performance;
mod summary;
mod system;
mod traffic;

use super::moment::Moment;
use maud::{DOCTYPE, Markup, html};

pub(super) fn document(moment: &Moment<'_>) -> Markup {
    let name = &moment.analysis.model_name;
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{name} · Taffrail"), true))
            body {
                a.skip href="#summary" { "Skip to content" }
                header.bar {
                    div.wrap {
                        span.brand {
                            img src="assets/icon.svg" alt="" width="22" height="22";
                            "Taffrail"
                        }
                        nav aria-label="Sections" {
                            @for (id, title) in SECTIONS { a href={ "#" (id) } { (title) } }
                        }
                        span #live data-state="static" role="status" {
                            span.dot aria-hidden="true" {}
                            span #live-text { "Refreshed every 5 s" }
                        }
                    }
                }
                main.wrap { (content(moment)) }
                footer.wrap {
                    "Taffrail " (moment.state.version)
                    " · times in UTC · "
                    a href="metrics" { "metrics" } " · "
                    a href="api/v1/status" { "status as JSON" }
                }
                div #tip role="tooltip" hidden {}
                script src="assets/app.js" defer {}
            }
        }
    }
}

const SECTIONS: [(&str, &str); 6] = [
    ("traffic", "Traffic"),
    ("features", "Features"),
    ("drift", "Drift"),
    ("performance", "Performance"),
    ("exchanges", "Exchanges"),
    ("system", "System"),
];

/// What changes, in sections that each have an id.
pub(super) fn content(moment: &Moment<'_>) -> Markup {
    html! {
        (summary::section(moment))
        (traffic::section(moment))
        (features::section(moment))
        (drift::section(moment))
        (performance::section(moment))
        (exchanges::section(moment))
        (system::section(moment))
    }
}

pub(super) fn not_found() -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head("Not found · Taffrail", false))
            body {
                main.wrap {
                    section.panel.alone {
                        h1 { "There is no such page" }
                        p {
                            "Everything Taffrail shows is on "
                            a href="/" { "one page" } ", or under " code { "/api/v1" } " as JSON."
                        }
                    }
                }
            }
        }
    }
}

fn head(title: &str, is_refreshed: bool) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
            link rel="stylesheet" href="/assets/app.css";
            @if is_refreshed {
                noscript { meta http-equiv="refresh" content="5"; }
            }
        }
    }
}

/// What stands where there is nothing to show yet, and what to do about it.
fn empty(text: &Markup) -> Markup {
    html! { p.empty { (text) } }
}
