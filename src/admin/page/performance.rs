//! Performance: how right the model was, on the rows whose truth has come.

use super::empty;
use crate::admin::chart::{Axis, Fill, Lines, Series, lines};
use crate::admin::figure;
use crate::admin::moment::Moment;
use crate::labels::{LabelWindow, Performance, Report};
use maud::{Markup, html};

const MAX_WINDOWS: usize = 60;

pub(super) fn section(moment: &Moment<'_>) -> Markup {
    let labels = &moment.analysis.labels;
    html! {
        section.panel #performance aria-labelledby="performance-title" {
            h2 #performance-title { "Performance" }
            @match &labels.overall {
                None => (nothing_yet(labels)),
                Some(overall) => {
                    div.split {
                        (over_time(labels, overall))
                        (overall_figures(labels, overall))
                    }
                }
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

/// The measure that is drawn: accuracy of classes, mean absolute error of figures.
fn measure(performance: &Performance) -> f64 {
    match performance {
        Performance::Classification(measures) => measures.accuracy,
        Performance::Regression(measures) => measures.mae,
    }
}

fn over_time(labels: &Report, overall: &Performance) -> Markup {
    let skipped = labels.windows.len().saturating_sub(MAX_WINDOWS);
    let windows = &labels.windows[skipped..];
    let values: Vec<_> =
        windows.iter().map(|window| window.performance.as_ref().map(measure)).collect();
    let shown = || values.iter().flatten().copied();
    let (min, max) = (shown().fold(f64::INFINITY, f64::min), shown().fold(0.0, f64::max));
    let (title, axis) = match overall {
        Performance::Classification(_) => {
            ("Accuracy", Axis::of_shares(min.min(max), max, figure::percent))
        }
        Performance::Regression(_) => ("Mean absolute error", Axis::from_zero(max, figure::number)),
    };
    let chart = Lines {
        summary: format!("{title} by window of prediction time"),
        axis,
        series: vec![Series { name: "", class: "accent", values, fill: Fill::Line }],
        slots: windows.len(),
        tips: windows.iter().map(|window| tip(title, window)).collect(),
        times: [
            windows.first().map(|window| window.start),
            windows.last().map(|window| window.end),
        ]
        .into_iter()
        .flatten()
        .map(figure::date_and_clock)
        .collect(),
    };
    html! {
        figure.chart {
            figcaption { b { (title) } " " span.unit { "by window of prediction time" } }
            (lines(&chart))
        }
    }
}

fn tip(title: &str, window: &LabelWindow) -> String {
    let value = match &window.performance {
        None => "no labels yet".into(),
        Some(Performance::Classification(measures)) => figure::percent(measures.accuracy),
        Some(Performance::Regression(measures)) => figure::number(measures.mae),
    };
    format!(
        "{}\n{title} {value}\n{} of {} predictions labelled",
        figure::date_and_clock(window.start),
        figure::count(window.joined),
        figure::count(window.predictions),
    )
}

fn overall_figures(labels: &Report, overall: &Performance) -> Markup {
    let is_share = matches!(overall, Performance::Classification(_));
    let delay = |quantile| labels.delay.quantile(quantile).map_or("–".into(), figure::seconds);
    html! {
        dl.list {
            @for (name, value) in overall.measures() {
                div {
                    dt { (title(name)) }
                    dd { @if is_share { (figure::percent(value)) } @else { (figure::number(value)) } }
                }
            }
            div.apart { dt { "Label coverage" } dd { (figure::percent(labels.coverage())) } }
            div { dt { "Labels joined" } dd { (figure::count(labels.joined)) } }
            div { dt { "Label delay, median" } dd { (delay(0.5)) } }
            div { dt { "Label delay, p95" } dd { (delay(0.95)) } }
            @for (name, count) in [
                ("Unknown ids", labels.unknown_ids),
                ("Second labels", labels.duplicates),
                ("Expired unlabelled", labels.expired),
            ] {
                @if count > 0 { div { dt { (name) } dd { (figure::count(count)) } } }
            }
        }
    }
}

fn title(measure: &str) -> &str {
    match measure {
        "accuracy" => "Accuracy, since start",
        "precision" => "Precision (macro)",
        "recall" => "Recall (macro)",
        "f1" => "F1 (macro)",
        "mae" => "MAE, since start",
        "mse" => "MSE",
        "rmse" => "RMSE",
        "r2" => "R²",
        other => other,
    }
}
