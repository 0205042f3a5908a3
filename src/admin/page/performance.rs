//! Labels and performance: how right the model was, on the rows whose truth has come.

use super::shell::{Page, Place};
use super::{empty, scroll_long};
use crate::admin::chart::{Axis, Fill, Lines, Series, lines};
use crate::admin::figure;
use crate::admin::moment::Moment;
use crate::admin::visit::Visit;
use crate::labels::{LabelWindow, Performance, Report};
use maud::{Markup, html};

const MAX_WINDOWS: usize = 60;

pub(in crate::admin) fn page(_: &Visit, moment: &Moment<'_>) -> Page {
    let labels = &moment.analysis.labels;
    let skipped = labels.windows.len().saturating_sub(MAX_WINDOWS);
    let windows = &labels.windows[skipped..];
    let content = html! {
        section #performance-head aria-label="Labels and performance" {
            div.title { h1 { "Labels and performance" } }
            p.lede {
                b { (figure::count(labels.joined)) } " labels joined to "
                b { (figure::count(labels.predictions)) } " predictions; coverage "
                b { (figure::percent(labels.coverage())) } "."
            }
        }
        @match &labels.overall {
            None => {
                section.panel #performance aria-label="Performance" { (nothing_yet(labels)) }
            }
            Some(overall) => {
                (measures(windows, overall))
                (arrival(labels, windows))
                (table(windows, overall))
            }
        }
    };
    Page::live(Place::Performance, "Performance", content)
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
fn value(performance: &Performance, measure: &str) -> Option<f64> {
    performance.measures().into_iter().find(|(name, _)| *name == measure).map(|(_, value)| value)
}

fn is_share(performance: &Performance) -> bool {
    matches!(performance, Performance::Classification(_))
}

fn measures(windows: &[LabelWindow], overall: &Performance) -> Markup {
    html! {
        section.panel #performance aria-labelledby="performance-title" {
            div.head {
                h2 #performance-title { "Performance" }
                span.unit { "by window of prediction time" }
                span.legend { span.key.expected { "since start" } }
            }
            @let measures = overall.measures();
            div.row-of-charts.by-four[measures.len() == 4] {
                @for (name, since_start) in measures {
                    (over_time(windows, overall, name, since_start))
                }
            }
        }
    }
}

fn over_time(
    windows: &[LabelWindow],
    overall: &Performance,
    measure: &'static str,
    since_start: f64,
) -> Markup {
    let of = |window: &LabelWindow| {
        window.performance.as_ref().and_then(|performance| value(performance, measure))
    };
    let values: Vec<_> = windows.iter().map(of).collect();
    let shown = || values.iter().flatten().copied().chain([since_start]);
    let (min, max) =
        (shown().fold(f64::INFINITY, f64::min), shown().fold(f64::NEG_INFINITY, f64::max));
    let (axis, format): (Axis, fn(f64) -> String) = match overall {
        Performance::Classification(_) => {
            (Axis::of_shares(min, max, figure::percent), figure::percent)
        }
        Performance::Regression(_) if min >= 0.0 => {
            (Axis::from_zero(max, figure::number), figure::number)
        }
        Performance::Regression(_) => (Axis::around(min, max, figure::number), figure::number),
    };
    let slots = windows.len().max(12);
    let tip = |window: &LabelWindow| {
        let value = of(window).map_or_else(|| "no labels yet".into(), format);
        format!(
            "{}\n{} {value}\n{} of {} predictions labelled",
            figure::date_and_second(window.start),
            title(measure),
            figure::count(window.joined),
            figure::count(window.predictions),
        )
    };
    let line = |class, values| Series { name: "", class, values, fill: Fill::Line };
    let chart = Lines {
        summary: format!("{} by window, {} since start", title(measure), format(since_start)),
        axis,
        slots,
        tips: windows.iter().map(tip).collect(),
        times: times(windows),
        series: vec![line("expected", vec![Some(since_start); slots]), line("accent", values)],
    };
    html! {
        figure.chart {
            figcaption {
                b { (title(measure)) } " " span.unit { (format(since_start)) " since start" }
            }
            (lines(&chart))
        }
    }
}

/// From the first to the last; the date once, where it is the same day.
fn times(windows: &[LabelWindow]) -> Vec<String> {
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return Vec::new() };
    let day = |at: jiff::Timestamp| at.strftime("%F").to_string();
    let end = if day(first.start) == day(last.end) {
        figure::clock(last.end)
    } else {
        figure::date_and_clock(last.end)
    };
    vec![figure::date_and_clock(first.start), end]
}

fn arrival(labels: &Report, windows: &[LabelWindow]) -> Markup {
    let share = |window: &LabelWindow| {
        (window.predictions > 0).then(|| window.joined as f64 / window.predictions as f64)
    };
    let tip = |window: &LabelWindow| {
        format!(
            "{}\n{} of {} predictions labelled",
            figure::date_and_second(window.start),
            figure::count(window.joined),
            figure::count(window.predictions)
        )
    };
    let chart = Lines {
        summary: "Share of predictions whose label has come, by window of prediction time".into(),
        axis: Axis::from_zero(1.0, figure::percent),
        series: vec![Series {
            name: "",
            class: "calm",
            values: windows.iter().map(share).collect(),
            fill: Fill::Area,
        }],
        slots: windows.len().max(12),
        tips: windows.iter().map(tip).collect(),
        times: times(windows),
    };
    html! {
        section.panel #labels aria-labelledby="labels-title" {
            h2 #labels-title { "Labels" }
            div.split {
                figure.chart {
                    figcaption { b { "Coverage" } " " span.unit { "predictions labelled" } }
                    (lines(&chart))
                }
                (figures(labels))
            }
        }
    }
}

fn figures(labels: &Report) -> Markup {
    let delay = |quantile| labels.delay.quantile(quantile).map_or("–".into(), figure::seconds);
    html! {
        dl.list {
            div { dt { "Label coverage" } dd { (figure::percent(labels.coverage())) } }
            div { dt { "Labels joined" } dd { (figure::count(labels.joined)) } }
            div { dt { "Predictions" } dd { (figure::count(labels.predictions)) } }
            div { dt { "Label delay, median" } dd { (delay(0.5)) } }
            div { dt { "Label delay, p95" } dd { (delay(0.95)) } }
            @for (name, count) in [
                ("Unknown ids", labels.unknown_ids),
                ("Second labels", labels.duplicates),
                ("Expired unlabelled", labels.expired),
            ] {
                div class=[(count > 0).then_some("loss")] {
                    dt { (name) } dd { (figure::count(count)) }
                }
            }
        }
    }
}

fn table(windows: &[LabelWindow], overall: &Performance) -> Markup {
    let names: Vec<_> = overall.measures().into_iter().map(|(name, _)| name).collect();
    let word = |window: &LabelWindow, name: &str| {
        let value = window.performance.as_ref().and_then(|performance| value(performance, name));
        let format = if is_share(overall) { figure::percent } else { figure::number };
        value.map_or_else(|| "–".into(), format)
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
                }
            }
            tbody {
                @for window in windows.iter().rev() {
                    tr {
                        th scope="row" { (figure::date_and_second(window.start)) }
                        @for name in &names { td.n { (word(window, name)) } }
                        td.n { (figure::count(window.joined)) }
                        td.n { (figure::count(window.predictions)) }
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

fn title(measure: &str) -> &str {
    match measure {
        "accuracy" => "Accuracy",
        "precision" => "Precision (macro)",
        "recall" => "Recall (macro)",
        "f1" => "F1 (macro)",
        "mae" => "MAE",
        "mse" => "MSE",
        "rmse" => "RMSE",
        "r2" => "R²",
        other => other,
    }
}
