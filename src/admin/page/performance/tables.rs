//! What changed against the reference, each class, and each window, as tables.

use super::{format, judged, title, value};
use crate::admin::figure;
use crate::admin::page::{scroll, scroll_long};
use crate::labels::{Bounds, Change, ClassPerformance, LabelWindow, Performance, Standing};
use maud::{Markup, html};
use std::sync::Arc;

/// Of the newest window that was judged.
pub(super) fn changes(windows: &[Arc<LabelWindow>]) -> Markup {
    let Some((window, concept)) = judged(windows) else { return html! {} };
    let word = |change: &Change| match (change.detected, change.significant, change.worse) {
        (true, _, true) => "worse",
        (true, _, false) => "better",
        (false, true, _) => "too small to act on",
        (false, false, _) => "chance",
    };
    let table = html! {
        table {
            caption.unseen { "Each measure beside the reference" }
            thead {
                tr {
                    th scope="col" { "Measure" }
                    th.n scope="col" { "Window" }
                    th.n scope="col" { "Reference" }
                    th.n scope="col" { "p" }
                    th scope="col" { "Change" }
                }
            }
            tbody {
                @for change in &concept.changes {
                    @let name = change.measure.as_str();
                    tr {
                        th scope="row" { (title(name)) }
                        td.n { (format(name)(change.value)) }
                        td.n { (format(name)(change.reference)) }
                        td.n { (figure::p_value(change.p_value)) }
                        td { (word(change)) }
                    }
                }
            }
        }
    };
    html! {
        section.panel #concept aria-labelledby="concept-title" {
            div.head {
                h2 #concept-title { "Against the reference" }
                span.unit {
                    "the " (window.window) " from " (figure::date_and_second(window.start)) ", "
                    (figure::count(concept.rows)) " labelled rows beside "
                    (figure::count(concept.reference_rows))
                }
            }
            (scroll("concept-scroll", "Measures beside the reference", &table))
        }
    }
}

pub(super) fn classes(overall: &Performance) -> Markup {
    let classes = overall.classes();
    if classes.is_empty() {
        return html! {};
    }
    let measures: [(&str, fn(&ClassPerformance) -> f64); 3] = [
        ("precision", |class| class.precision),
        ("recall", |class| class.recall),
        ("f1", |class| class.f1),
    ];
    let table = html! {
        table {
            caption.unseen { "Performance by class since start" }
            thead {
                tr {
                    th scope="col" { "Class" }
                    th.n scope="col" { "Labelled" }
                    th.n scope="col" { "Predicted" }
                    th.n scope="col" { "Precision" }
                    th.n scope="col" { "Recall" }
                    th.n scope="col" { "F1" }
                }
            }
            tbody {
                @for class in classes {
                    tr {
                        th scope="row" { (class.class) }
                        td.n { (figure::count(class.support)) }
                        td.n { (figure::count(class.predicted)) }
                        @for (name, value) in measures {
                            td.n {
                                @match class.intervals.get(name) {
                                    None => "–",
                                    Some(interval) => (with_interval(value(class), *interval)),
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    html! {
        section.panel #classes aria-labelledby="classes-title" {
            div.head {
                h2 #classes-title { "By class" }
                span.unit { "since start, with 95 % intervals" }
            }
            (scroll_long("classes-scroll", "Performance by class", &table))
        }
    }
}

fn with_interval(value: f64, [low, high]: Bounds) -> Markup {
    html! {
        (figure::percent(value)) " "
        span.unit { (figure::percent(low)) " to " (figure::percent(high)) }
    }
}

pub(super) fn windows(windows: &[Arc<LabelWindow>], overall: &Performance) -> Markup {
    let names: Vec<_> = overall.measures().into_iter().map(|(name, _)| name).collect();
    let word = |window: &LabelWindow, name: &str| {
        let value = window.performance.as_ref().and_then(|performance| value(performance, name));
        value.map_or_else(|| "–".into(), format(name))
    };
    let table = html! {
        table {
            caption { "Windows of prediction time, newest first" }
            thead {
                tr {
                    th scope="col" { "From" }
                    @for name in &names { th.n scope="col" { (title(name)) } }
                    th.n scope="col" { "Labelled" }
                    th.n scope="col" { "Predictions" }
                    th scope="col" { "Emitted" }
                }
            }
            tbody {
                @for window in windows.iter().rev() {
                    tr {
                        th scope="row" { (figure::date_and_second(window.start)) }
                        @for name in &names { td.n { (word(window, name)) } }
                        td.n { (figure::count(window.joined)) }
                        td.n { (figure::count(window.predictions)) }
                        td { (emitted(window)) }
                    }
                }
            }
        }
    };
    html! {
        section.panel #label-windows aria-label="Windows" {
            (scroll_long("label-windows-scroll", "Performance by window", &table))
        }
    }
}

fn emitted(window: &LabelWindow) -> String {
    let times = match window.revision {
        0 => "not yet".to_owned(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    match window.standing {
        Standing::Open => "open".to_owned(),
        Standing::Waiting => times,
        Standing::Final => format!("{times}, final"),
    }
}
