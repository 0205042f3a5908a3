//! What is known before a window ends: features that have changed, and whether the service is as usual.

use super::feature_link;
use crate::admin::figure;
use crate::admin::moment::Moment;
use crate::admin::visit::Visit;
use crate::drift::{Change, EarlyWarning, FeatureView, WarningState};
use crate::latency::{Operation, Signal};
use maud::{Markup, html};

/// Features that are named; their number is always told.
const MAX_NAMES: usize = 5;

/// For the head of one feature's page; nothing while it is quiet.
pub(super) fn of_feature(moment: &Moment<'_>, view: &FeatureView) -> Markup {
    let mut warned = warned(moment);
    let warning =
        warned.find(|warning| warning.role == view.role && warning.feature == view.feature);
    html! {
        @if let Some(warning) = warning {
            p.note #early-warning {
                b { "Early warning: " } (change(warning)) (since(warning))
                ". Its window may tell more when it ends."
            }
        }
    }
}

/// For the top of the overview; nothing while all is quiet and as usual.
pub(super) fn section(visit: &Visit, moment: &Moment<'_>) -> Markup {
    let warned: Vec<_> = warned(moment).collect();
    let changed: Vec<_> =
        moment.latency.operations.iter().filter(|of| of.course.has_changed()).collect();
    html! {
        @if !warned.is_empty() || !changed.is_empty() {
            section.panel #early aria-labelledby="early-title" {
                div.head {
                    h2 #early-title { "Early warning" }
                    span.unit { "by rows and requests as they come" }
                }
                ul {
                    @for operation in changed { li { (in_words(operation)) } }
                    @for warning in warned.iter().take(MAX_NAMES) {
                        li {
                            a href=(feature_link(&visit.root, warning.role, &warning.feature)) {
                                (warning.feature)
                            }
                            ": " (change(warning)) (since(warning))
                        }
                    }
                    @if warned.len() > MAX_NAMES {
                        li { "and " (warned.len() - MAX_NAMES) " more features" }
                    }
                }
            }
        }
    }
}

fn warned<'a>(moment: &'a Moment<'_>) -> impl Iterator<Item = &'a EarlyWarning> {
    let features = moment.analysis.early.iter().flat_map(|early| &early.features);
    features.filter(|warning| warning.state == WarningState::Warned)
}

fn change(warning: &EarlyWarning) -> Markup {
    html! {
        (warning.change.map_or("changed", Change::in_words))
        @if let Some(level) = &warning.level { " " code { (level) } }
    }
}

fn since(warning: &EarlyWarning) -> Markup {
    html! { @if let Some(since) = warning.since { " since " (figure::date_and_second(since)) } }
}

fn in_words(operation: &Operation) -> Markup {
    let (name, figure): (_, fn(f64) -> String) = match operation.signal {
        Signal::ErrorRatio => ("Errors", figure::percent),
        Signal::LatencyP50 => ("Latency p50", figure::seconds),
        Signal::LatencyP95 => ("Latency p95", figure::seconds),
    };
    let value = |value: Option<f64>| value.map_or_else(|| "–".into(), figure);
    html! {
        (name) " " (operation.course.as_str())
        @if let Some(since) = operation.since { " since " (figure::date_and_second(since)) }
        ": " b { (value(operation.now)) } ", usually " (value(operation.usual))
    }
}
