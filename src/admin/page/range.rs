//! Choices that a page offers as links, of which one is in force.

use crate::admin::history::Range;
use crate::admin::visit::Visit;
use maud::{Markup, html};

/// Each choice is (value of the parameter, its words).
pub(super) fn choices<'a>(
    visit: &Visit,
    label: &str,
    parameter: &str,
    current: &str,
    choices: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Markup {
    html! {
        div.choices role="group" aria-label=(label) {
            @for (value, words) in choices {
                a href=(visit.with(parameter, value))
                    aria-current=[(value == current).then_some("true")] { (words) }
            }
        }
    }
}

pub(super) fn ranges(visit: &Visit, current: Range) -> Markup {
    let words = |range| match range {
        Range::TenMinutes => "10 min",
        Range::Hour => "1 h",
        Range::Day => "24 h",
    };
    let all = Range::ALL.map(|range| (range.as_str(), words(range)));
    choices(visit, "How far back", "range", current.as_str(), all)
}
