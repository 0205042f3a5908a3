//! One feature: live against baseline, quantiles, distances and quality over windows, its verdicts.

use super::shell::{Page, Place};
use super::trend::{self, Over};
use super::{badge, beside, bins, early, exchanges, health, range, scroll, scroll_long};
use crate::admin::chart::{Cell, strip};
use crate::admin::figure;
use crate::admin::moment::{Moment, feature_verdict, report_of};
use crate::admin::query::BadParameter;
use crate::admin::visit::Visit;
use crate::drift::{Checked, FeatureReport, FeatureView, WindowReport};
use crate::sketch::{Kind, Role};
use maud::{Markup, html};
use std::sync::Arc;

const MAX_WINDOWS: usize = 60;
/// Charts of fewer windows leave room at their left.
const MIN_PLACES: usize = 12;

/// `None`: no feature of that name, and role where one is asked for, is watched.
pub(in crate::admin) fn page(
    visit: &Visit,
    moment: &Moment<'_>,
    name: &str,
) -> Result<Option<Page>, BadParameter> {
    let roles = [Role::Input, Role::Output];
    let role = visit.parameters.one_of("role", &roles, Role::as_str)?;
    let lengths = moment.lengths();
    let length = health::chosen_length(visit, &lengths)?;
    let Some(view) = moment.feature(role, name) else { return Ok(None) };
    let windows = length.as_deref().map(|length| moment.windows_of(length)).unwrap_or_default();
    let windows = &windows[windows.len().saturating_sub(MAX_WINDOWS)..];
    let over: Vec<_> = windows
        .iter()
        .map(|window| (&***window, report_of(window, view.role, &view.feature)))
        .collect();
    let last = over.last().and_then(|(_, report)| *report);
    let content = html! {
        (head(visit, view, last, &early::of_feature(moment, view)))
        (distribution(view))
        (checks(last))
        (examples(visit, &over))
        (beside::section(&over))
        (over_windows(visit, view, &over, &lengths, length.as_deref(), moment))
        (history(view, &over))
    };
    Ok(Some(Page::live(Place::Health, view.feature.to_string(), content)))
}

fn head(visit: &Visit, view: &FeatureView, last: Option<&FeatureReport>, early: &Markup) -> Markup {
    let kind = match view.kind {
        Kind::Numeric => "numeric",
        Kind::Categorical => "categorical",
    };
    let baseline = view.baseline.as_ref().map(|baseline| baseline.rows);
    html! {
        section #feature-head aria-label="Feature" {
            p.crumb { a href={ (visit.root) "drift" } { "Model health" } " / " (view.role) "s" }
            div.title {
                h1 { @if view.feature.is_empty() { "(no name)" } @else { (view.feature) } }
                div.badges { (badge::of_verdict(last.map(feature_verdict))) }
            }
            p.lede {
                (view.role) " · " (kind) " · " b { (figure::count(view.rows_total)) } " rows since start"
                @if let Some(rows) = baseline { " · baseline of " b { (figure::count(rows)) } " rows" }
                @if let Some(last) = last { " · last window: " (trend::effect(last)) }
            }
            @if let Some(explanation) = last.and_then(|last| last.explanation.as_ref()) {
                p.lede #explanation { (explanation.sentence) }
            }
            (early)
            (figures(last))
        }
    }
}

fn figures(last: Option<&FeatureReport>) -> Markup {
    let Some(last) = last else {
        return html! { p.note { "No window of this feature has closed yet." } };
    };
    let title = |name: &str| match name {
        "psi" => "PSI",
        "jensen_shannon" => "Jensen–Shannon",
        "ks" => "KS",
        "wasserstein" => "Wasserstein / σ",
        "hellinger" => "Hellinger",
        "chi_squared" => "χ²",
        "l_infinity" => "L∞",
        _ => "Distance",
    };
    html! {
        dl.figures.panel {
            @for (name, value) in last.distances.iter() {
                div { dt { (title(name)) } dd {
                    @if name == "chi_squared" { (figure::number(value)) }
                    @else { (figure::decimal(value)) }
                } }
            }
            div { dt { "p" } dd { (last.p_value.map_or_else(|| "–".into(), figure::p_value)) } }
            div { dt { "Rows" } dd { (figure::count(last.rows)) } }
        }
    }
}

/// What is not in order with the last window's rows; nothing where every check is clean.
fn checks(last: Option<&FeatureReport>) -> Markup {
    let Some(checks) = last.and_then(|last| last.checks.as_ref()) else { return html! {} };
    let word = |checked: &Checked| match (checked.detected, checked.significant, checked.p_value) {
        (true, ..) => "fails",
        (_, true, _) => "significant, small",
        (.., None) => "too few rows",
        _ => "as in the baseline",
    };
    let table = html! {
        table {
            caption.unseen { "Checks of the last window's rows" }
            thead {
                tr {
                    th scope="col" { "Check" } th.n scope="col" { "Window" }
                    th.n scope="col" { "Baseline" } th.n scope="col" { "p" }
                    th scope="col" { "Result" } th scope="col" { "In words" }
                }
            }
            tbody {
                @for checked in checks.iter() {
                    tr class=[checked.detected.then_some("moved")] {
                        th scope="row" { (checked.check.as_str().replace('_', " ")) }
                        td.n { (figure::percent(checked.ratio.into())) }
                        td.n { (figure::percent(checked.baseline_ratio.into())) }
                        td.n {
                            (checked.p_value.map_or_else(|| "–".into(), |p| figure::p_value(p.into())))
                        }
                        td { (word(checked)) }
                        td { (checked) }
                    }
                }
            }
        }
    };
    html! {
        section.panel #checks aria-labelledby="checks-title" {
            div.head { h2 #checks-title { "Data quality of the last window" } }
            (scroll("checks-scroll", "Checks of data quality", &table))
        }
    }
}

/// Requests of the last window that drifted: what it was that moved.
fn examples(visit: &Visit, over: &Over<'_>) -> Markup {
    let mut known = over.iter().rev().filter_map(|(window, report)| Some((window, (*report)?)));
    let Some((window, report)) = known.find(|(_, of)| !of.examples.is_empty()) else {
        return html! {};
    };
    let table = html! {
        table {
            caption.unseen { "Requests of a drifting window, by bin" }
            thead {
                tr { th scope="col" { "Bin" } th scope="col" { "Request" } th.n scope="col" { "Row" } }
            }
            tbody {
                @for example in report.examples.iter() {
                    tr {
                        th scope="row" { code { (example.bin) } }
                        td.id {
                            a.id href=(exchanges::exchange_link(&visit.root, &example.request_id)) {
                                (example.request_id)
                            }
                        }
                        td.n { (example.row) }
                    }
                }
            }
        }
    };
    html! {
        section.panel #examples aria-labelledby="examples-title" {
            div.head {
                h2 #examples-title { "Requests that moved it" }
                span.unit { "the newest in the bins that grew most, " (trend::span(window)) }
            }
            (scroll("examples-scroll", "Requests that moved it", &table))
        }
    }
}

fn distribution(view: &FeatureView) -> Markup {
    html! {
        section.panel #distribution aria-labelledby="distribution-title" {
            div.head {
                h2 #distribution-title { "Live against baseline" }
                span.unit { "open window and the one before" }
                span.legend {
                    span.key.live { "live" } span.key.moved { "live, moved" }
                    span.key.baseline { "baseline" }
                }
            }
            div.beside { (bins::distribution(view)) }
        }
    }
}

fn over_windows(
    visit: &Visit,
    view: &FeatureView,
    over: &Over<'_>,
    lengths: &[Arc<str>],
    length: Option<&str>,
    moment: &Moment<'_>,
) -> Markup {
    let Some(length) = length else {
        return html! {
            section.panel #trend aria-label="Over time" { (health::nothing_yet(moment)) }
        };
    };
    let places = over.len().clamp(MIN_PLACES, MAX_WINDOWS);
    let baseline = view.baseline.as_deref();
    html! {
        section.panel #trend aria-labelledby="trend-title" {
            div.head {
                h2 #trend-title { "Over time" }
                (range::choices(visit, "Length of windows", "window", length,
                    lengths.iter().map(|one| (&**one, &**one))))
                span.legend { span.key.expected { "baseline" } }
            }
            @if view.kind == Kind::Numeric {
                figure.chart {
                    figcaption {
                        b { "Quantiles" } " "
                        span.unit { "median, middle half, 5 % to 95 %" }
                    }
                    (trend::quantiles(over, baseline, places))
                }
            }
            div.row-of-charts { (distances(view, over, places)) (quality(view, over, places)) }
        }
    }
}

fn distances(view: &FeatureView, over: &Over<'_>, places: usize) -> Markup {
    let (name, distance): (_, fn(&FeatureReport) -> Option<f64>) = match view.kind {
        Kind::Numeric => ("KS", |report| report.distances.ks),
        Kind::Categorical => ("L∞", |report| report.distances.l_infinity),
    };
    let last = trend::small(name, over, places, "accent", distance, (figure::number, 0.1), None);
    html! {
        (trend::small("PSI", over, places, "accent", |report| report.distances.psi,
            (figure::number, 0.1), None))
        (trend::small("Jensen–Shannon", over, places, "accent",
            |report| report.distances.jensen_shannon, (figure::number, 0.1), None))
        (last)
    }
}

fn quality(view: &FeatureView, over: &Over<'_>, places: usize) -> Markup {
    let expected = view.baseline.as_ref().map(|baseline| trend::ratios(&baseline.quality));
    let shown: &[usize] = match view.kind {
        Kind::Numeric => &[0, 1, 2],
        Kind::Categorical => &[0, 1, 3],
    };
    let now = trend::ratios(&view.quality);
    html! {
        @for ratio in shown.iter().copied() {
            (trend::small(now[ratio].0, over, places, "error",
                |report| Some(trend::ratios(&report.quality)[ratio].1),
                (figure::percent, 0.01), expected.map(|expected| expected[ratio].1)))
        }
    }
}

fn history(view: &FeatureView, over: &Over<'_>) -> Markup {
    let cell = |(window, report): &(&WindowReport, Option<&FeatureReport>)| Cell {
        verdict: report.map(feature_verdict),
        tip: format!(
            "{}\n{}",
            trend::span(window),
            report.map_or_else(|| "not seen".into(), trend::in_words)
        ),
    };
    let cells: Vec<_> = over.iter().map(cell).collect();
    let places = cells.len().clamp(MIN_PLACES, MAX_WINDOWS);
    let summary = format!("Verdicts of {} over {} windows", view.feature, cells.len());
    html! {
        @if !cells.is_empty() {
            section.panel #verdicts aria-labelledby="verdicts-title" {
                div.head {
                    h2 #verdicts-title { "Verdicts" }
                    span.legend {
                        span.key.stable { "stable" } span.key.drifting { "drifting" }
                        span.key.insufficient { "too few rows" }
                    }
                }
                (strip(&cells, places, &summary))
                (scroll_long("reports-scroll", "Windows of this feature",
                    &trend::reports_table(over, view.kind == Kind::Numeric)))
            }
        }
    }
}
