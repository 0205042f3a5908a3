//! Each measure by window with its interval, beside the reference's; and how labels come.

use super::{format, is_share, title, value};
use crate::admin::chart::{Axis, Fan, Fill, Lines, Series, fan, lines};
use crate::admin::figure;
use crate::labels::{LabelWindow, Performance, Report, Standing};
use maud::{Markup, html};
use std::sync::Arc;

pub(super) fn measures(
    windows: &[Arc<LabelWindow>],
    overall: &Performance,
    reference: Option<&Performance>,
) -> Markup {
    html! {
        section.panel #performance aria-labelledby="performance-title" {
            div.head {
                h2 #performance-title { "Performance" }
                span.unit { "by window of prediction time, with 95 % intervals" }
                span.legend {
                    span.key.expected { @if reference.is_some() { "reference" } @else { "since start" } }
                }
            }
            div.row-of-charts.by-four {
                @for (name, since_start) in overall.measures() {
                    (over_time(windows, name, since_start, reference.unwrap_or(overall)))
                }
            }
        }
    }
}

/// Low, low, value, high, high: as quantiles are drawn. Without an interval they are one.
fn band(performance: &Performance, measure: &str) -> Option<[f64; 5]> {
    let value = value(performance, measure)?;
    let [low, high] = performance.intervals().get(measure).copied().unwrap_or([value, value]);
    Some([low, low, value, high, high])
}

fn over_time(
    windows: &[Arc<LabelWindow>],
    measure: &'static str,
    since_start: f64,
    beside: &Performance,
) -> Markup {
    let of = |window: &LabelWindow| band(window.performance.as_ref()?, measure);
    let values: Vec<_> = windows.iter().map(|window| of(window)).collect();
    let baseline = band(beside, measure);
    let shown = || values.iter().flatten().chain(&baseline).flatten().copied();
    let (min, max) =
        (shown().fold(f64::INFINITY, f64::min), shown().fold(f64::NEG_INFINITY, f64::max));
    let format = format(measure);
    let axis = match measure {
        _ if is_share(measure) => Axis::of_shares(min.max(0.0), max.min(1.0), format),
        _ if min >= 0.0 => Axis::from_zero(max, format),
        _ => Axis::around(min, max, format),
    };
    let chart = Fan {
        summary: format!("{} by window, {} since start", title(measure), format(since_start)),
        axis,
        slots: windows.len().max(12),
        tips: windows.iter().map(|window| tip(window, measure, of(window), format)).collect(),
        times: times(windows),
        values,
        baseline,
    };
    html! {
        figure.chart {
            figcaption {
                b { (title(measure)) } " " span.unit { (format(since_start)) " since start" }
            }
            (fan(&chart))
        }
    }
}

fn tip(
    window: &LabelWindow,
    measure: &str,
    band: Option<[f64; 5]>,
    format: fn(f64) -> String,
) -> String {
    let value = match band {
        None => "no labels yet".into(),
        Some([low, _, value, high, _]) => {
            format!("{}, between {} and {}", format(value), format(low), format(high))
        }
    };
    format!(
        "{}\n{} {value}\n{} of {} predictions labelled{}",
        figure::date_and_second(window.start),
        title(measure),
        figure::count(window.joined),
        figure::count(window.predictions),
        standing(window),
    )
}

/// What is left to say of a window that may change, or has changed.
fn standing(window: &LabelWindow) -> String {
    let again = match window.revision {
        0 | 1 => String::new(),
        revision => format!("\nemitted {revision} times"),
    };
    match window.standing {
        Standing::Open => "\nstill open".into(),
        Standing::Waiting => again,
        Standing::Final => format!("{again}\nfinal"),
    }
}

/// From the first to the last; the date once, where it is the same day.
fn times(windows: &[Arc<LabelWindow>]) -> Vec<String> {
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return Vec::new() };
    let day = |at: jiff::Timestamp| at.strftime("%F").to_string();
    let end = if day(first.start) == day(last.end) {
        figure::clock(last.end)
    } else {
        figure::date_and_clock(last.end)
    };
    vec![figure::date_and_clock(first.start), end]
}

pub(super) fn arrival(labels: &Report, windows: &[Arc<LabelWindow>]) -> Markup {
    let share = |window: &Arc<LabelWindow>| {
        (window.predictions > 0).then(|| window.joined as f64 / window.predictions as f64)
    };
    let tip = |window: &Arc<LabelWindow>| {
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
            div { dt { "Windows emitted again" } dd { (figure::count(labels.revisions)) } }
            @for (name, count) in [
                ("Unknown ids", labels.unknown_ids),
                ("Second labels", labels.duplicates),
                ("Too late", labels.late),
                ("Expired unlabelled", labels.expired),
                ("Windows given up", labels.forgotten_windows),
            ] {
                div class=[(count > 0).then_some("loss")] {
                    dt { (name) } dd { (figure::count(count)) }
                }
            }
        }
    }
}
