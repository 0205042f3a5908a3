//! Performance estimated from scores, before labels come, and beside what came true.

use super::{format, title};
use crate::admin::chart::{Axis, Fill, Lines, Series, lines};
use crate::admin::figure;
use crate::admin::page::badge::{Tone, badge};
use crate::admin::page::{scroll, scroll_long};
use crate::labels::Measure;
use crate::labels::estimate::{Estimate, EstimatedFigure, Estimates, LearntFrom, State, Trust};
use maud::{Markup, html};
use std::sync::Arc;

const MAX_WINDOWS: usize = 60;

/// Nothing where a model says no scores, or nothing tells what they mean.
pub(super) fn panel(estimates: &Estimates, length: Option<&str>) -> Markup {
    let shown = estimates.newest(length, MAX_WINDOWS);
    let is_estimated = |window: &Arc<Estimate>| window.state == State::Estimated;
    let Some(source) = estimates.source.filter(|_| shown.windows.iter().any(is_estimated)) else {
        return html! {};
    };
    html! {
        section.panel #estimates aria-labelledby="estimates-title" {
            div.head {
                h2 #estimates-title { "Estimated before labels come" }
                span.unit { (told(source, estimates.calibration_rows)) }
                div.badges { (trust(estimates.trust)) }
                span.legend {
                    span.key.accent { "realised" }
                    span.key.expected { "estimated, between" }
                }
            }
            div.row-of-charts.by-four {
                @for measure in measures(&shown.windows) { (over_time(&shown.windows, measure)) }
            }
            @if !estimates.records.is_empty() { (records(estimates)) }
            (windows(&shown.windows))
        }
    }
}

fn told(source: LearntFrom, rows: u64) -> String {
    let rows = figure::count(rows);
    match source {
        LearntFrom::Reference => {
            format!("what a score means is from {rows} labelled rows of the baseline")
        }
        LearntFrom::Labels => format!("what a score means is from {rows} live rows with labels"),
    }
}

fn trust(trust: Trust) -> Markup {
    match trust {
        Trust::Untested => badge(Tone::Neutral, "Not compared yet"),
        Trust::Trusted => badge(Tone::Good, "Came true"),
        Trust::NotTrusted => badge(Tone::Warning, "Not to be trusted: labels say otherwise"),
    }
}

fn measures(windows: &[Arc<Estimate>]) -> Vec<Measure> {
    let has = |measure: &Measure| windows.iter().any(|window| window.figure(*measure).is_some());
    Measure::ALL.into_iter().filter(has).collect()
}

fn over_time(windows: &[Arc<Estimate>], measure: Measure) -> Markup {
    let name = measure.as_str();
    let format = format(name);
    let of = |pick: fn(&EstimatedFigure) -> Option<f64>| -> Vec<Option<f64>> {
        windows.iter().map(|window| window.figure(measure).and_then(pick)).collect()
    };
    let line = |class, values| Series { name: "", class, values, fill: Fill::Line };
    let series = vec![
        line("expected", of(|figure| Some(figure.low))),
        line("expected", of(|figure| Some(figure.high))),
        line("calm", of(|figure| Some(figure.value))),
        line("accent", of(|figure| figure.realised.map(|realised| realised.value))),
    ];
    let values = || series.iter().flat_map(|series| series.values.iter().flatten().copied());
    let (min, max) =
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let newest = windows.iter().rev().find_map(|window| window.figure(measure));
    let newest = newest.map_or_else(|| "–".into(), |figure| format(figure.value));
    let chart = Lines {
        summary: format!("{} estimated by window, {newest} in the newest", title(name)),
        axis: Axis::of_shares(min, max, format),
        slots: windows.len().max(12),
        tips: windows.iter().map(|window| tip(window, measure, format)).collect(),
        times: times(windows),
        series,
    };
    html! {
        figure.chart {
            figcaption { b { (title(name)) } " " span.unit { (newest) " in the newest window" } }
            (lines(&chart))
        }
    }
}

fn tip(window: &Estimate, measure: Measure, format: fn(f64) -> String) -> String {
    let start = figure::date_and_second(window.start);
    let Some(estimated) = window.figure(measure) else {
        return format!("{start}\n{}", state(window.state));
    };
    let (value, low, high) = (estimated.value, estimated.low, estimated.high);
    let realised = estimated.realised.map_or_else(
        || "no labels yet".into(),
        |realised| {
            let place = if realised.inside { "as estimated" } else { "not as estimated" };
            format!("realised {}, {place}", format(realised.value))
        },
    );
    let (value, low, high) = (format(value), format(low), format(high));
    format!("{start}\nestimated {value}, between {low} and {high}\n{realised}")
}

fn state(state: State) -> &'static str {
    match state {
        State::Estimated => "estimated",
        State::InsufficientData => "too few rows",
        State::NotCalibrated => "too few labels before it",
    }
}

fn times(windows: &[Arc<Estimate>]) -> Vec<String> {
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return Vec::new() };
    vec![figure::date_and_clock(first.start), figure::date_and_clock(last.end)]
}

/// How near estimates have been, beside assuming that nothing changed.
fn records(estimates: &Estimates) -> Markup {
    let table = html! {
        table {
            caption { "Estimates beside what came true" }
            thead {
                tr {
                    th scope="col" { "Measure" }
                    th.n scope="col" { "Windows" }
                    th.n scope="col" { "In the interval" }
                    th.n scope="col" { "Mean error" }
                    th.n scope="col" { "Of assuming no change" }
                }
            }
            tbody {
                @for record in &estimates.records {
                    @let points = |value: f64| figure::percent(value);
                    tr {
                        th scope="row" { (title(record.measure.as_str())) }
                        td.n { (figure::count(record.windows)) }
                        td.n { (figure::count(record.inside)) }
                        td.n { (points(record.mean_absolute_error)) }
                        td.n { (record.error_of_no_change.map_or_else(|| "–".into(), points)) }
                    }
                }
            }
        }
    };
    scroll("estimate-records-scroll", "Estimates beside what came true", &table)
}

fn windows(windows: &[Arc<Estimate>]) -> Markup {
    let measures = measures(windows);
    let cell = |window: &Estimate, measure: Measure| {
        let format = format(measure.as_str());
        window.figure(measure).map_or_else(
            || "–".into(),
            |figure| {
                let realised = figure.realised.map(|realised| format(realised.value));
                let realised = realised.map(|value| format!(" / {value}")).unwrap_or_default();
                format!("{}{realised}", format(figure.value))
            },
        )
    };
    let table = html! {
        table {
            caption { "Windows of prediction time, newest first: estimated / realised" }
            thead {
                tr {
                    th scope="col" { "From" }
                    @for measure in &measures { th.n scope="col" { (title(measure.as_str())) } }
                    th.n scope="col" { "Rows" }
                    th scope="col" { "State" }
                }
            }
            tbody {
                @for window in windows.iter().rev() {
                    tr {
                        th scope="row" { (figure::date_and_second(window.start)) }
                        @for measure in &measures { td.n { (cell(window, *measure)) } }
                        td.n { (figure::count(window.rows)) }
                        td { (state(window.state)) }
                    }
                }
            }
        }
    };
    scroll_long("estimates-scroll", "Estimated performance by window", &table)
}
