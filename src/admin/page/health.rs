//! Model health: all features by drift, each with its distance over windows and its verdict.

use super::shell::{Page, Place};
use super::{badge, empty, feature_link, range, scroll};
use crate::admin::chart::{Cell, Dot, progress_bar, sparkline, strip};
use crate::admin::figure;
use crate::admin::moment::{Moment, feature_verdict, report_of};
use crate::admin::query::BadParameter;
use crate::admin::visit::Visit;
use crate::drift::{FeatureReport, FeatureView, Quality, ReferenceState, Verdict, WindowReport};
use crate::sketch::Kind;
use maud::{Markup, html};
use std::cmp::Reverse;
use std::sync::Arc;

/// Windows in a sparkline and in the strip of all features.
const MAX_WINDOWS: usize = 48;
/// Features on a page of the table.
const PER_PAGE: usize = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Drift,
    Name,
    Psi,
    JensenShannon,
    P,
    Quality,
}

const SORTS: [Sort; 6] =
    [Sort::Drift, Sort::Name, Sort::Psi, Sort::JensenShannon, Sort::P, Sort::Quality];

impl Sort {
    fn word(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Name => "name",
            Self::Psi => "psi",
            Self::JensenShannon => "jensen_shannon",
            Self::P => "p",
            Self::Quality => "quality",
        }
    }
}

/// One feature over the windows of one length.
pub(super) struct Row<'a> {
    pub(super) view: &'a FeatureView,
    /// Oldest first; `None` where the window did not know the feature.
    over: Vec<(&'a WindowReport, Option<&'a FeatureReport>)>,
    pub(super) last: Option<&'a FeatureReport>,
}

pub(in crate::admin) fn page(visit: &Visit, moment: &Moment<'_>) -> Result<Page, BadParameter> {
    let parameters = &visit.parameters;
    let lengths = moment.lengths();
    let length = chosen_length(visit, &lengths)?;
    let sort = parameters.one_of("sort", &SORTS, Sort::word)?.unwrap_or(Sort::Drift);
    let number = parameters.whole("page", usize::MAX)?.unwrap_or(1).max(1);
    let wanted = parameters.get("q").unwrap_or_default().to_lowercase();
    let mut rows =
        length.as_deref().map_or_else(|| without_windows(moment), |length| rows(moment, length));
    rows.retain(|row| row.view.feature.to_lowercase().contains(&wanted));
    sort_rows(&mut rows, sort);
    let content = html! {
        section #health-head aria-label="Model health" {
            div.title {
                h1 { "Model health" }
                div.badges { (badge::of_verdict(moment.verdict())) }
            }
            p.lede { (super::summary::in_words(moment)) }
        }
        (verdicts(visit, moment, &lengths, length.as_deref()))
        (features(visit, moment, &rows, sort, number))
    };
    Ok(Page::live(Place::Health, "Model health", content))
}

/// The length that is asked for, or the shortest that has closed.
pub(super) fn chosen_length(
    visit: &Visit,
    lengths: &[Arc<str>],
) -> Result<Option<Arc<str>>, BadParameter> {
    let allowed = lengths.iter().map(|length| format!("`{length}`")).collect::<Vec<_>>();
    let allowed = match allowed.len() {
        0 => "none, as no window has closed yet".to_owned(),
        _ => allowed.join(", "),
    };
    let find = |text: &str| lengths.iter().find(|length| &***length == text).cloned();
    let given = visit.parameters.read("window", &allowed, find)?;
    Ok(given.or_else(|| lengths.first().cloned()))
}

/// Every watched feature, those that drift most first.
pub(super) fn rows<'a>(moment: &'a Moment<'_>, length: &str) -> Vec<Row<'a>> {
    let windows = moment.windows_of(length);
    let windows = &windows[windows.len().saturating_sub(MAX_WINDOWS)..];
    // A window lists features in the order of the views, but for a baseline that has changed since.
    let row = |(place, view): (usize, &'a FeatureView)| {
        let over = windows.iter().map(|window| {
            let here = window.features.get(place);
            let here = here.filter(|f| f.role == view.role && f.feature == view.feature);
            (&***window, here.or_else(|| report_of(window, view.role, &view.feature)))
        });
        let over: Vec<_> = over.collect();
        Row { view, last: over.last().and_then(|(_, report)| *report), over }
    };
    let mut rows: Vec<_> = moment.analysis.features.iter().enumerate().map(row).collect();
    sort_rows(&mut rows, Sort::Drift);
    rows
}

fn without_windows<'a>(moment: &'a Moment<'_>) -> Vec<Row<'a>> {
    let views = moment.analysis.features.iter();
    views.map(|view| Row { view, over: Vec::new(), last: None }).collect()
}

/// The largest first, but names and p-values the smallest; features without a value last.
fn sort_rows(rows: &mut [Row<'_>], sort: Sort) {
    let most = |value: Option<f64>| Reverse(ordered(value.unwrap_or(f64::NEG_INFINITY)));
    let psi = |row: &Row<'_>| row.last.and_then(|last| last.distances.psi);
    match sort {
        Sort::Drift => {
            rows.sort_by_key(|row| (!row.last.is_some_and(|last| last.detected), most(psi(row))));
        }
        Sort::Name => rows.sort_by(|a, b| a.view.feature.cmp(&b.view.feature)),
        Sort::Psi => rows.sort_by_key(|row| most(psi(row))),
        Sort::JensenShannon => {
            rows.sort_by_key(|row| most(row.last.and_then(|last| last.distances.jensen_shannon)));
        }
        Sort::P => rows.sort_by_key(|row| {
            ordered(row.last.and_then(|last| last.p_value).unwrap_or(f64::INFINITY))
        }),
        Sort::Quality => rows.sort_by_key(|row| most(row.last.map(|last| worst(&last.quality)))),
    }
}

/// A number whose order is its bits' order.
fn ordered(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ (((bits >> 63).cast_unsigned()) >> 1).cast_signed()
}

fn worst(quality: &Quality) -> f64 {
    super::trend::ratios(quality).into_iter().map(|(_, ratio)| ratio).fold(0.0, f64::max)
}

/// The largest distance of all: sparklines that stand under one another share a scale.
pub(super) fn largest(rows: &[Row<'_>]) -> f64 {
    let distances =
        rows.iter().flat_map(|row| &row.over).filter_map(|(_, report)| distance(*report));
    distances.fold(0.05, f64::max)
}

fn distance(report: Option<&FeatureReport>) -> Option<f64> {
    report?.distances.jensen_shannon
}

pub(super) fn spark(row: &Row<'_>, max: f64) -> Markup {
    let dot = |(window, report): &(&WindowReport, Option<&FeatureReport>)| Dot {
        value: distance(*report),
        drifts: report.is_some_and(|report| report.detected),
        tip: format!(
            "{}\n{}",
            super::trend::span(window),
            report.map_or_else(|| "not seen".into(), super::trend::in_words)
        ),
    };
    let dots: Vec<_> = row.over.iter().map(dot).collect();
    let drifting = dots.iter().filter(|dot| dot.drifts).count();
    let summary = format!(
        "{}: Jensen–Shannon distance over {} windows, of which {drifting} drift",
        row.view.feature,
        dots.len()
    );
    sparkline(&dots, MAX_WINDOWS, max, &summary)
}

pub(super) fn name(view: &FeatureView) -> Markup {
    html! {
        span.name { @if view.feature.is_empty() { "(no name)" } @else { (view.feature) } }
        span.unit { (view.role) }
    }
}

pub(super) fn nothing_yet(moment: &Moment<'_>) -> Markup {
    let analysis = &moment.analysis;
    if let ReferenceState::Learning { rows, needed } = analysis.reference
        && analysis.decoded_exchanges > 0
    {
        let progress = format!("{} of {} rows", figure::count(rows), figure::count(needed));
        return empty(&html! {
            "The baseline is still being learnt, " b { (progress) } " so far. Windows are compared "
            "with it from then on; with " code { "--baseline FILE" } " they are from the first row."
            (progress_bar(rows as f64 / needed.max(1) as f64, &progress))
        });
    }
    match (moment.requests(), analysis.decoded_exchanges, analysis.problems.first()) {
        (0, _, _) => empty(&html! {
            "Features are found in the payloads of the first requests. Nothing needs to be declared."
        }),
        (_, 0, Some(problem)) => empty(&html! {
            "No payload could be decoded yet. The most frequent reason: " b { (problem.reason) }
            ". If rows stand elsewhere in the JSON, say where with " code { "model.pointers" } "."
        }),
        (_, 0, None) => empty(&html! { "Waiting for the first rows." }),
        _ => empty(&html! {
            "The first window is still open. Its verdict shows here when it closes."
        }),
    }
}

fn verdicts(
    visit: &Visit,
    moment: &Moment<'_>,
    lengths: &[Arc<str>],
    length: Option<&str>,
) -> Markup {
    let Some(length) = length else {
        return html! { section.panel #verdicts aria-label="Verdicts" { (nothing_yet(moment)) } };
    };
    let windows = moment.windows_of(length);
    let windows = &windows[windows.len().saturating_sub(MAX_WINDOWS)..];
    let cells: Vec<_> = windows.iter().map(|window| whole_window(window)).collect();
    let places = windows.len().clamp(12, MAX_WINDOWS);
    html! {
        section.panel #verdicts aria-labelledby="verdicts-title" {
            div.head {
                h2 #verdicts-title { "All features together" }
                (range::choices(visit, "Length of windows", "window", length,
                    lengths.iter().map(|one| (&**one, &**one))))
                span.legend {
                    span.key.stable { "stable" } span.key.drifting { "drifting" }
                    span.key.insufficient { "too few rows" }
                }
            }
            (strip(&cells, places,
                &format!("Verdicts of the last {} windows of {length}", cells.len())))
            (super::trend::ends(windows, places))
            @if let Some(joint) = windows.last().and_then(|window| window.joint_in_words()) {
                p.note #joint { "In the last window " (joint) "." }
            }
            (super::trend::windows_table(windows))
        }
    }
}

fn whole_window(window: &WindowReport) -> Cell {
    let drifting = window.features.iter().filter(|feature| feature.detected).count();
    let tip = format!(
        "{}\n{}: {drifting} of {} features drift\n{} rows, coverage {}",
        super::trend::span(window),
        badge::word(window.verdict),
        window.features.len(),
        figure::count(window.rows),
        figure::percent(window.coverage),
    );
    Cell { verdict: Some(window.verdict), tip }
}

fn features(
    visit: &Visit,
    moment: &Moment<'_>,
    rows: &[Row<'_>],
    sort: Sort,
    number: usize,
) -> Markup {
    let pages = rows.len().div_ceil(PER_PAGE).max(1);
    let number = number.min(pages);
    let shown = &rows[(number - 1) * PER_PAGE..(number * PER_PAGE).min(rows.len())];
    html! {
        section.panel #features aria-labelledby="features-title" {
            div.head {
                h2 #features-title { "Features" }
                span.unit { (figure::count(rows.len() as u64)) }
                (search(visit))
            }
            @if shown.is_empty() {
                (empty(&html! {
                    @if visit.parameters.get("q").is_some() { "No feature has that in its name." }
                    @else { "None is watched yet." }
                }))
            } @else {
                (scroll("features-scroll", "Features by drift", &table(visit, shown, sort)))
            }
            @if pages > 1 { (pager(visit, number, pages)) }
            @if moment.analysis.features_over_limit > 0 {
                p.note {
                    (figure::count(moment.analysis.features_over_limit))
                    " features are over " code { "features.max" } " and not watched."
                }
            }
        }
    }
}

fn search(visit: &Visit) -> Markup {
    let kept = |name: &'static str| visit.parameters.get(name).map(|value| (name, value));
    html! {
        form.search method="get" role="search" {
            @for (name, value) in ["window", "sort"].into_iter().filter_map(kept) {
                input type="hidden" name=(name) value=(value);
            }
            label for="q" { "Name" }
            input #q type="search" name="q" size="14" value=[visit.parameters.get("q")];
            button type="submit" { "Find" }
        }
    }
}

fn pager(visit: &Visit, number: usize, pages: usize) -> Markup {
    html! {
        nav.pager aria-label="Pages of features" {
            @if number > 1 {
                a href=(visit.with("page", &(number - 1).to_string())) rel="prev" { "Previous" }
            }
            span { "Page " (number) " of " (pages) }
            @if number < pages {
                a href=(visit.with("page", &(number + 1).to_string())) rel="next" { "Next" }
            }
        }
    }
}

fn table(visit: &Visit, rows: &[Row<'_>], sort: Sort) -> Markup {
    let max = largest(rows);
    let column = |by: Sort, class: &'static str, title: &'static str, meaning: &'static str| {
        let is_sorted = by == sort;
        let order = if matches!(by, Sort::Name | Sort::P) { "ascending" } else { "descending" };
        html! {
            th class=(class) scope="col" aria-sort=[is_sorted.then_some(order)] {
                a href=(visit.with("sort", by.word())) title=(meaning) { (title) }
            }
        }
    };
    html! {
        table.features {
            caption.unseen { "Features, sorted by " (sort.word()) }
            thead {
                tr {
                    (column(Sort::Name, "", "Feature", "By name"))
                    (column(Sort::Drift, "", "Verdict", "Drifting first, then by PSI"))
                    th scope="col" { "Distance over windows" }
                    (column(Sort::Psi, "n", "PSI", "Population stability index"))
                    (column(Sort::JensenShannon, "n", "JS", "Jensen–Shannon distance"))
                    th.n scope="col" { abbr title="Kolmogorov–Smirnov statistic" { "KS" } }
                    (column(Sort::P, "n", "p", "Chance of such a window if nothing had changed"))
                    (column(Sort::Quality, "n", "Quality", "Largest share of faulty rows"))
                    th.n scope="col" { "Rows" }
                }
            }
            tbody { @for row in rows { (line(visit, row, max)) } }
        }
    }
}

fn line(visit: &Visit, row: &Row<'_>, max: f64) -> Markup {
    let distances = row.last.map(|last| last.distances).unwrap_or_default();
    let decimal = |value: Option<f64>| value.map_or_else(|| "–".into(), figure::decimal);
    let faults = row.last.map(|last| worst(&last.quality));
    let verdict = row.last.map(feature_verdict);
    html! {
        tr class=[(verdict == Some(Verdict::Drifting)).then_some("drifting")] {
            th scope="row" {
                a href=(feature_link(&visit.root, row.view.role, &row.view.feature)) {
                    (name(row.view))
                }
                @if row.view.kind == Kind::Categorical { span.unit { " · categories" } }
            }
            td { (badge::of_verdict(verdict)) }
            td.spark-cell { (spark(row, max)) }
            td.n { (decimal(distances.psi)) }
            td.n { (decimal(distances.jensen_shannon)) }
            td.n { (decimal(distances.ks)) }
            td.n {
                (row.last.and_then(|last| last.p_value).map_or_else(|| "–".into(), figure::p_value))
            }
            td.n class=[faults.is_some_and(|worst| worst > 0.0).then_some("fault")] {
                (faults.map_or_else(|| "–".into(), figure::percent))
            }
            td.n { (figure::count(row.view.rows_total)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_order() {
        let values = [f64::NEG_INFINITY, -3.5, -1e-9, 0.0, 1e-9, 2.0, f64::INFINITY];
        assert!(values.map(ordered).is_sorted());
    }
}
