//! Drift over time: a strip of windows, for all features together and for each.

use super::{badge, empty};
use crate::admin::chart::{Cell, progress_bar, strip};
use crate::admin::figure;
use crate::admin::moment::{Moment, feature_verdict, length};
use crate::drift::ReferenceState;
use crate::drift::{FeatureReport, WindowReport};
use crate::sketch::Role;
use maud::{Markup, html};
use std::sync::Arc;

const MAX_WINDOWS: usize = 48;
const MAX_FEATURES: usize = 24;

pub(super) fn section(moment: &Moment<'_>) -> Markup {
    let mut lengths: Vec<Vec<&Arc<WindowReport>>> = Vec::new();
    for report in &moment.analysis.windows {
        match lengths.iter_mut().find(|windows| windows[0].window == report.window) {
            Some(windows) => windows.push(report),
            None => lengths.push(vec![report]),
        }
    }
    lengths.sort_by_key(|windows| windows.last().map(|report| length(report)));
    html! {
        section.panel #drift aria-labelledby="drift-title" {
            div.head {
                h2 #drift-title { "Drift" }
                @if !lengths.is_empty() {
                    span.legend {
                        span.key.stable { "stable" } span.key.drifting { "drifting" }
                        span.key.insufficient { "too few rows" }
                    }
                }
            }
            @if lengths.is_empty() { (nothing_yet(moment)) }
            @for (index, windows) in lengths.iter().enumerate() {
                @if index == 0 {
                    (heading(windows)) (timeline(windows))
                } @else {
                    details id={ "drift-" (windows[0].window) } {
                        summary { (heading(windows)) }
                        (timeline(windows))
                    }
                }
            }
        }
    }
}

fn nothing_yet(moment: &Moment<'_>) -> Markup {
    let ReferenceState::Learning { rows, needed } = moment.analysis.reference else {
        return empty(&html! {
            "The first window is still open. Its verdict shows here when it closes."
        });
    };
    let progress = format!("{} of {} rows", figure::count(rows), figure::count(needed));
    empty(&html! {
        "The baseline is still being learnt, " b { (progress) } " so far. Windows are compared with "
        "it from then on; with " code { "--baseline FILE" } " they are from the first row."
        (progress_bar(rows as f64 / needed.max(1) as f64, &progress))
    })
}

fn heading(windows: &[&Arc<WindowReport>]) -> Markup {
    let last = windows.last();
    html! {
        span.strip-title {
            b { "Windows of " (last.map_or("", |report| &*report.window)) } " "
            (badge::of_verdict(last.map(|report| report.verdict)))
        }
    }
}

fn timeline(windows: &[&Arc<WindowReport>]) -> Markup {
    let skipped = windows.len().saturating_sub(MAX_WINDOWS);
    let windows = &windows[skipped..];
    let columns = windows.len().clamp(12, MAX_WINDOWS);
    let first = windows.first().and_then(|report| start(report)).unwrap_or_default();
    let last = windows.last().and_then(|report| end(report)).unwrap_or_default();
    let mut keys: Vec<(Role, &Arc<str>)> = Vec::new();
    for report in windows.iter().rev().flat_map(|report| &report.features) {
        if keys.len() < MAX_FEATURES && !keys.contains(&(report.role, &report.feature)) {
            keys.push((report.role, &report.feature));
        }
    }
    html! {
        div.strips {
            span.label.all { "All features" }
            (strip(&overall(windows), columns, "Verdicts of all features together"))
            @for (role, feature) in keys {
                span.label title=(feature) {
                    (feature) @if role == Role::Output { " " span.unit { "output" } }
                }
                (strip(&of_feature(windows, role, feature), columns,
                    &format!("Verdicts of {feature}")))
            }
            span {}
            div.x-axis aria-hidden="true" {
                @if windows.len() < columns {
                    // The few there are stand at the right.
                    span {} span { (first) " – " (last) }
                } @else {
                    span { (first) } span { (last) }
                }
            }
        }
    }
}

fn overall(windows: &[&Arc<WindowReport>]) -> Vec<Cell> {
    let cell = |report: &&Arc<WindowReport>| {
        let drifting = report.features.iter().filter(|feature| feature.detected).count();
        let tip = format!(
            "{}\n{}: {drifting} of {} features drift\n{} rows, coverage {}",
            span(report),
            badge::word(report.verdict),
            report.features.len(),
            figure::count(report.rows),
            figure::percent(report.coverage),
        );
        Cell { verdict: Some(report.verdict), tip }
    };
    windows.iter().map(cell).collect()
}

fn of_feature(windows: &[&Arc<WindowReport>], role: Role, feature: &str) -> Vec<Cell> {
    let cell = |report: &&Arc<WindowReport>| {
        let found = report.features.iter().find(|f| f.role == role && *f.feature == *feature);
        let tip = found.map_or_else(|| "not seen".into(), in_words);
        Cell { verdict: found.map(feature_verdict), tip: format!("{}\n{tip}", span(report)) }
    };
    windows.iter().map(cell).collect()
}

fn in_words(report: &FeatureReport) -> String {
    let verdict = badge::word(feature_verdict(report));
    let distances = [
        ("PSI", report.distances.psi),
        ("Jensen–Shannon", report.distances.jensen_shannon),
        ("KS", report.distances.ks),
    ];
    let distances = distances
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", figure::decimal(value?))));
    let words = std::iter::once(format!("{}: {verdict}", report.feature))
        .chain(distances)
        .chain([format!("{} rows", figure::count(report.rows))]);
    words.collect::<Vec<_>>().join("\n")
}

fn span(report: &WindowReport) -> String {
    match (start(report), end(report)) {
        (Some(start), Some(end)) => format!("{start} – {end}"),
        _ => report.window.to_string(),
    }
}

fn start(report: &WindowReport) -> Option<String> {
    report.start.map(figure::date_and_clock)
}

/// The date only where it is not the one the window began on.
fn end(report: &WindowReport) -> Option<String> {
    let end = report.end?;
    let day = |at: jiff::Timestamp| at.strftime("%F").to_string();
    let same_day = report.start.is_some_and(|start| day(start) == day(end));
    Some(if same_day { figure::clock(end) } else { figure::date_and_clock(end) })
}
