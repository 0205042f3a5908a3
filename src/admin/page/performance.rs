//! Labels and performance: how right the model was, on the rows whose truth has come.

mod charts;
mod estimates;
mod tables;

use super::shell::{Page, Place};
use super::{badge, empty, health, range, segments};
use crate::admin::figure;
use crate::admin::moment::Moment;
use crate::admin::query::BadParameter;
use crate::admin::visit::Visit;
use crate::labels::{
    Concept, ConceptVerdict, LabelWindow, Performance, PerformanceReference, Report,
};
use maud::{Markup, html};
use std::sync::Arc;

const MAX_WINDOWS: usize = 60;

pub(in crate::admin) fn page(visit: &Visit, moment: &Moment<'_>) -> Result<Page, BadParameter> {
    let labels = &moment.analysis.labels;
    let lengths = labels.lengths();
    let length = health::chosen_length(visit, &lengths)?;
    let windows: Vec<_> = match &length {
        Some(length) => labels.of_length(length).map(Arc::clone).collect(),
        None => Vec::new(),
    };
    let windows = &windows[windows.len().saturating_sub(MAX_WINDOWS)..];
    let content = html! {
        section #performance-head aria-label="Labels and performance" {
            div.title {
                h1 { "Labels and performance" }
                div.badges { (verdict(windows)) }
            }
            p.lede {
                b { (figure::count(labels.joined)) } " labels joined to "
                b { (figure::count(labels.predictions)) } " predictions; coverage "
                b { (figure::percent(labels.coverage())) } ". " (tested_against(labels))
            }
            @if let Some(length) = length.as_deref().filter(|_| lengths.len() > 1) {
                (range::choices(visit, "Length of windows", "window", length,
                    lengths.iter().map(|length| (&**length, &**length))))
            }
        }
        @match &labels.overall {
            None => {
                section.panel #performance aria-label="Performance" { (nothing_yet(labels)) }
                (estimates::panel(&labels.estimates, length.as_deref()))
            }
            Some(overall) => {
                (charts::measures(windows, overall, labels.reference.performance()))
                (estimates::panel(&labels.estimates, length.as_deref()))
                (tables::changes(windows))
                (segments::by_part(&labels.parts))
                (tables::classes(overall))
                (charts::arrival(labels, windows))
                (tables::windows(windows, overall))
            }
        }
    };
    Ok(Page::live(Place::Performance, "Performance", content))
}

/// Of the newest window that was judged.
fn verdict(windows: &[Arc<LabelWindow>]) -> Markup {
    match judged(windows).map(|(_, concept)| concept.verdict) {
        Some(ConceptVerdict::Drifting) => badge::badge(badge::Tone::Warning, "Concept drift"),
        Some(_) => badge::badge(badge::Tone::Good, "As in the reference"),
        None => badge::badge(badge::Tone::Neutral, "No verdict yet"),
    }
}

/// The newest window that has a verdict on its labels.
fn judged(windows: &[Arc<LabelWindow>]) -> Option<(&LabelWindow, &Concept)> {
    windows.iter().rev().find_map(|window| {
        let concept = window.concept.as_ref()?;
        (concept.verdict != ConceptVerdict::InsufficientData).then_some((&**window, concept))
    })
}

fn tested_against(labels: &Report) -> Markup {
    let rows = |performance: &Performance| match performance {
        Performance::Classification(of) => figure::count(of.rows),
        Performance::Regression(of) => figure::count(of.rows),
    };
    html! {
        @match &labels.reference {
            PerformanceReference::None => {}
            PerformanceReference::Learning { rows, needed } => {
                "The reference is learned: " b { (figure::count(*rows)) } " of "
                (figure::count(*needed)) " labelled rows."
            }
            PerformanceReference::Learned { performance } => {
                "Tested against the first " b { (rows(performance)) } " labelled rows."
            }
            PerformanceReference::Given { performance } => {
                "Tested against the " b { (rows(performance)) } " labelled rows of the baseline."
            }
        }
    }
}

fn nothing_yet(labels: &Report) -> Markup {
    empty(&html! {
        @if labels.unknown_ids > 0 {
            (figure::count(labels.unknown_ids))
            " labels came, and none named a prediction that was seen. The "
            code { "id" } " of a label is the " code { "x-request-id" } " of its request, with "
            code { "#0" } ", " code { "#1" } "… for the rows of one request."
        } @else {
            "No ground truth yet. Send it when it is known, and accuracy shows here: "
            code { "POST /api/v1/labels" } " with " code { "{\"id\": \"<x-request-id>\", \"label\": …}" }
            " as JSON, NDJSON or CSV."
        }
    })
}

/// A measure under the name users see.
pub(super) fn value(performance: &Performance, measure: &str) -> Option<f64> {
    performance.measures().into_iter().find(|(name, _)| *name == measure).map(|(_, value)| value)
}

/// How its values are written.
pub(super) fn format(measure: &str) -> fn(f64) -> String {
    if is_share(measure) || measure == "mape" { figure::percent } else { figure::number }
}

/// Whether it lies in [0, 1].
fn is_share(measure: &str) -> bool {
    let shares = ["accuracy", "precision", "recall", "f1", "auroc", "calibration_error"];
    shares.contains(&measure)
}

pub(super) fn title(measure: &str) -> &str {
    match measure {
        "accuracy" => "Accuracy",
        "precision" => "Precision (macro)",
        "recall" => "Recall (macro)",
        "f1" => "F1 (macro)",
        "auroc" => "AUROC",
        "log_loss" => "Log loss",
        "calibration_error" => "Calibration error",
        "mae" => "MAE",
        "mse" => "MSE",
        "rmse" => "RMSE",
        "mape" => "MAPE",
        "r2" => "R²",
        other => other,
    }
}
