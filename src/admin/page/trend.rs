//! Windows in words, and charts of one feature over windows.

use super::{badge, scroll_long};
use crate::admin::chart::{Axis, Fan, Fill, Lines, Series, fan, lines};
use crate::admin::figure;
use crate::admin::moment::feature_verdict;
use crate::drift::{Expected, FeatureReport, Quality, Verdict, WindowReport};
use maud::{Markup, html};
use std::sync::Arc;

/// A window of one length and what it said of the feature, if it knew it.
pub(super) type Over<'a> = [(&'a WindowReport, Option<&'a FeatureReport>)];

pub(super) fn ratios(quality: &Quality) -> [(&'static str, f64); 4] {
    [
        ("Nulls", quality.null_ratio),
        ("Wrong type", quality.type_error_ratio),
        ("Out of bounds", quality.out_of_bounds_ratio),
        ("New category", quality.new_category_ratio),
    ]
}

pub(super) fn in_words(report: &FeatureReport) -> String {
    let verdict = badge::word(feature_verdict(report));
    let distances = [
        ("PSI", report.distances.psi),
        ("Jensen–Shannon", report.distances.jensen_shannon),
        ("KS", report.distances.ks),
    ];
    let distances = distances
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", figure::decimal(value?))));
    let p_value = report.p_value.map(|p| format!("p {}", figure::p_value(p)));
    let words = std::iter::once(format!("{}: {verdict}", report.feature))
        .chain(distances)
        .chain(p_value)
        .chain([format!("{} rows", figure::count(report.rows))]);
    words.collect::<Vec<_>>().join("\n")
}

pub(super) fn span(report: &WindowReport) -> String {
    match (start(report), end(report)) {
        (Some(start), Some(end)) => format!("{start} – {end}"),
        _ => report.window.to_string(),
    }
}

/// To the second where windows are shorter than a minute.
fn start(report: &WindowReport) -> Option<String> {
    let is_short = crate::admin::moment::length(report) < 60_000_000_000;
    report
        .start
        .map(|at| if is_short { figure::date_and_second(at) } else { figure::date_and_clock(at) })
}

/// The date only where it is not the one the window began on.
fn end(report: &WindowReport) -> Option<String> {
    let end = report.end?;
    let day = |at: jiff::Timestamp| at.strftime("%F").to_string();
    let same_day = report.start.is_some_and(|start| day(start) == day(end));
    Some(if same_day { figure::clock(end) } else { figure::date_and_clock(end) })
}

/// Under a row of windows, of which few stand at the right.
pub(super) fn ends(windows: &[&Arc<WindowReport>], places: usize) -> Markup {
    let first = windows.first().and_then(|report| start(report)).unwrap_or_default();
    let last = windows.last().and_then(|report| end(report)).unwrap_or_default();
    html! {
        div.x-axis aria-hidden="true" {
            @if windows.len() < places { span {} span { (first) " – " (last) } }
            @else { span { (first) } span { (last) } }
        }
    }
}

pub(super) fn times(over: &Over<'_>) -> Vec<String> {
    let first = over.first().and_then(|(window, _)| start(window));
    let last = over.last().and_then(|(window, _)| end(window));
    first.into_iter().chain(last).collect()
}

/// Windows of all features, newest first.
pub(super) fn windows_table(windows: &[&Arc<WindowReport>]) -> Markup {
    let table = html! {
        table {
            caption { "Windows, newest first" }
            thead {
                tr {
                    th scope="col" { "Window" }
                    th scope="col" { "Verdict" }
                    th.n scope="col" { "Drifting" }
                    th.n scope="col" { "Rows" }
                    th.n scope="col" { "Coverage" }
                    th scope="col" { "Features that drift" }
                }
            }
            tbody {
                @for window in windows.iter().rev() {
                    @let drifting = || window.features.iter().filter(|feature| feature.detected);
                    tr {
                        th scope="row" { (span(window)) }
                        td { (badge::of_verdict(Some(window.verdict))) }
                        td.n { (drifting().count()) " of " (window.features.len()) }
                        td.n { (figure::count(window.rows)) }
                        td.n { (figure::percent(window.coverage)) }
                        td.names {
                            @for (place, feature) in drifting().take(5).enumerate() {
                                @if place > 0 { ", " } (feature.feature)
                            }
                            @if drifting().count() > 5 { ", …" }
                        }
                    }
                }
            }
        }
    };
    html! {
        details #windows {
            summary { "As a table" }
            (scroll_long("windows-scroll", "Windows", &table))
        }
    }
}

pub(super) fn quantiles(over: &Over<'_>, baseline: Option<&Expected>, places: usize) -> Markup {
    let values: Vec<_> =
        over.iter().map(|(_, report)| report.and_then(|report| report.shape.quantiles)).collect();
    let baseline = baseline.and_then(|baseline| baseline.quantiles);
    let shown = || values.iter().flatten().chain(&baseline).flatten().copied();
    let (min, max) =
        (shown().fold(f64::INFINITY, f64::min), shown().fold(f64::NEG_INFINITY, f64::max));
    if min > max {
        return super::empty(&html! { "No window with values has closed yet." });
    }
    let words = |values: &Option<[f64; 5]>| match values {
        None => "no values".into(),
        Some([p5, p25, p50, p75, p95]) => format!(
            "median {}\nmiddle half {} to {}\n5 % to 95 %: {} to {}",
            figure::number(*p50),
            figure::number(*p25),
            figure::number(*p75),
            figure::number(*p5),
            figure::number(*p95),
        ),
    };
    let tips = over.iter().zip(&values);
    let chart = Fan {
        summary:
            "Quantiles of each window: median, middle half, 5 % to 95 %; and the baseline's. The \
                  table of windows has the figures."
                .into(),
        axis: Axis::around(min, max, figure::number),
        slots: places,
        tips: tips
            .map(|((window, _), values)| format!("{}\n{}", span(window), words(values)))
            .collect(),
        values,
        baseline,
        times: times(over),
    };
    fan(&chart)
}

/// One line of a ratio or a distance over windows; `expected` is drawn beside it.
pub(super) fn small(
    title: &str,
    over: &Over<'_>,
    places: usize,
    class: &'static str,
    of: impl Fn(&FeatureReport) -> Option<f64>,
    (format, least): (fn(f64) -> String, f64),
    expected: Option<f64>,
) -> Markup {
    let values: Vec<_> = over.iter().map(|(_, report)| report.and_then(&of)).collect();
    let max = values.iter().flatten().copied().chain(expected).fold(least, f64::max);
    let word = |value: &Option<f64>| value.map_or_else(|| "–".into(), format);
    let tip =
        |((window, report), value): (&(&WindowReport, Option<&FeatureReport>), &Option<f64>)| {
            let p_value = report.and_then(|report| report.p_value);
            let p_value =
                p_value.map_or_else(String::new, |p| format!("\np {}", figure::p_value(p)));
            format!("{}\n{title} {}{p_value}", span(window), word(value))
        };
    let tips = over.iter().zip(&values).map(tip).collect();
    let line = |class, values| Series { name: "", class, values, fill: Fill::Line };
    let baseline = expected.map(|expected| line("expected", vec![Some(expected); places.max(2)]));
    let newest = values.iter().rev().find_map(|value| *value);
    let chart = Lines {
        summary: format!("{title} over windows, last {}", word(&newest)),
        axis: Axis::from_zero(max, format),
        series: baseline.into_iter().chain([line(class, values)]).collect(),
        slots: places,
        tips,
        times: times(over),
    };
    html! {
        figure.chart {
            figcaption { b { (title) } " " span.unit { (word(&newest)) } }
            (lines(&chart))
        }
    }
}

/// All that windows said of a feature, newest first.
pub(super) fn reports_table(over: &Over<'_>, is_numeric: bool) -> Markup {
    let decimal = |value: Option<f64>| value.map_or_else(|| "–".into(), figure::decimal);
    let number = |value: Option<f64>| value.map_or_else(|| "–".into(), figure::number);
    html! {
        table {
            caption.unseen { "Windows of this feature, newest first" }
            thead {
                tr {
                    th scope="col" { "Window from" }
                    th scope="col" { "Verdict" }
                    @for name in ["Rows", "PSI", "JS"] { th.n scope="col" { (name) } }
                    @if is_numeric { th.n scope="col" { "KS" } }
                    th.n scope="col" { "p" }
                    th scope="col" { "Effect" }
                    @if is_numeric {
                        @for name in ["5 %", "25 %", "Median", "75 %", "95 %"] {
                            th.n scope="col" { (name) }
                        }
                    }
                    @for name in ["Nulls", "Type"] { th.n scope="col" { (name) } }
                    th.n scope="col" { @if is_numeric { "Bounds" } @else { "New" } }
                }
            }
            tbody {
                @for (window, report) in over.iter().rev() {
                    tr {
                        th scope="row" title=(span(window)) {
                            (start(window).unwrap_or_else(|| window.window.to_string()))
                        }
                        @match report {
                            None => td colspan="13" { "not seen" },
                            Some(report) => {
                                td { (badge::of_verdict(Some(feature_verdict(report)))) }
                                td.n { (figure::count(report.rows)) }
                                td.n { (decimal(report.distances.psi)) }
                                td.n { (decimal(report.distances.jensen_shannon)) }
                                @if is_numeric { td.n { (decimal(report.distances.ks)) } }
                                td.n { (report.p_value.map_or_else(|| "–".into(), figure::p_value)) }
                                td { (effect(report)) }
                                @if is_numeric {
                                    @for rank in 0..5 {
                                        td.n { (number(report.shape.quantiles.map(|q| q[rank]))) }
                                    }
                                }
                                @let quality = &report.quality;
                                td.n { (figure::percent(quality.null_ratio)) }
                                td.n { (figure::percent(quality.type_error_ratio)) }
                                td.n {
                                    (figure::percent(if is_numeric { quality.out_of_bounds_ratio }
                                        else { quality.new_category_ratio }))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Apart from whether it is chance.
pub(super) fn effect(report: &FeatureReport) -> &'static str {
    match (report.significant, report.detected, feature_verdict(report)) {
        (_, true, _) => "worth acting on",
        (true, false, _) => "significant, small",
        (false, _, Verdict::InsufficientData) => "–",
        (false, ..) => "none shown",
    }
}
