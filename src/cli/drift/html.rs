//! The report as one page that needs nothing else: a map of features by windows, then the figures.

use super::Report;
use super::overview::{self, name, number, probability};
use crate::drift::{FeatureReport, Verdict, WindowReport};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::path::Path;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --drift: 200, 50, 40; --dim: #888; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.dim { color: var(--dim); } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
.map td { min-width: 1.6rem; padding: .2rem; text-align: center; border: 1px solid var(--line); }
.map td:first-child { text-align: left; border: 0; padding-right: .6rem; }
.map th { font-weight: normal; border: 0; } .map thead th { writing-mode: vertical-rl; text-align: left; }
.hit { font-weight: 700; outline: 2px solid rgb(var(--drift)); outline-offset: -2px; }
.badge { padding: .1rem .5rem; border-radius: .6rem; border: 1px solid var(--line); }
.drifting { background: rgb(var(--drift)); color: #fff; border-color: transparent; }
summary { cursor: pointer; padding: .3rem 0; }
";

pub(super) fn page(report: &Report, baseline: &Path, from: &Path) -> String {
    let (total, drifting) = (report.windows.len(), report.drifting());
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Drift of " (from.display()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Drift of " (from.display()) }
                p {
                    "Compared with " (baseline.display()) ", " (report.baseline.rows) " rows. "
                    strong { (overview::count(drifting, total)) "." }
                }
                h2 { "Distance of each feature in each window" }
                p.dim {
                    "The deeper the red, the greater the Jensen–Shannon distance, from 0 to 1; framed "
                    "where the drift is significant and large enough to act on."
                }
                div.scroll { (map(&report.windows)) }
                h2 { "Windows" }
                @for (index, window) in report.windows.iter().enumerate() {
                    (details(window, index, total == 1))
                }
            }
        }
    };
    markup.into_string()
}

fn map(windows: &[WindowReport]) -> Markup {
    let mut features: Vec<_> = Vec::new();
    for feature in windows.iter().flat_map(|window| &window.features) {
        let key = (feature.role, &feature.feature);
        if !features.contains(&key) {
            features.push(key);
        }
    }
    html! {
        table.map {
            thead {
                tr {
                    th {}
                    @for (index, window) in windows.iter().enumerate() { th { (name(window, index)) } }
                }
            }
            tbody {
                @for (role, feature) in features {
                    tr {
                        td { (feature) " " span.dim { (role) } }
                        @for window in windows {
                            (cell(window.features.iter().find(|found| {
                                found.role == role && found.feature == *feature
                            })))
                        }
                    }
                }
            }
        }
    }
}

fn cell(feature: Option<&FeatureReport>) -> Markup {
    let distance = feature.and_then(|feature| feature.distances.jensen_shannon);
    let detected = feature.is_some_and(|feature| feature.detected);
    match distance {
        None => html! { td.dim { "–" } },
        Some(distance) => html! {
            td class=[detected.then_some("hit")]
                style=(format!("background: rgba(var(--drift), {:.2})", distance * 0.85)) {
                (format!("{distance:.2}"))
            }
        },
    }
}

fn details(window: &WindowReport, index: usize, open: bool) -> Markup {
    let class = if window.verdict == Verdict::Drifting { "badge drifting" } else { "badge" };
    html! {
        details open[open] {
            summary {
                (name(window, index)) " · " (window.rows) " rows · "
                span class=(class) { (window.verdict.as_str()) }
            }
            (why(window))
            (quality(window))
            @if let Some(joint) = window.joint_in_words() { p { (joint) "." } }
            div.scroll { (figures(window)) }
            @if !window.segments.is_empty() { div.scroll { (segments(window)) } }
        }
    }
}

fn segments(window: &WindowReport) -> Markup {
    html! {
        table {
            thead {
                tr {
                    @for head in ["segment", "rows", "compared with", "verdict", "features that drift"] {
                        th { (head) }
                    }
                }
            }
            tbody {
                @for segment in &window.segments {
                    tr {
                        td { (segment.segment) }
                        td { (segment.rows) }
                        td { (segment.reference.as_str()) }
                        td class=[segment.is_drifting().then_some("hit")] { (segment.verdict.as_str()) }
                        td { (segment.features_detected) }
                    }
                }
            }
        }
    }
}

fn why(window: &WindowReport) -> Markup {
    let explained = window.features.iter().filter(|feature| feature.significant);
    let sentences: Vec<_> = explained.filter_map(|it| it.explanation.as_ref()).collect();
    html! {
        @if !sentences.is_empty() {
            p { strong { "Why" } }
            ul { @for explanation in sentences { li { (explanation.sentence) } } }
        }
        @if let Some(provenance) = &window.provenance {
            p.dim {
                "baseline " code { (provenance.baseline_hash) } ", settings "
                code { (provenance.config_hash) } ", counts " code { (provenance.sketch_hash) }
                ", engine " (provenance.engine)
            }
        }
    }
}

fn quality(window: &WindowReport) -> Markup {
    let said = overview::said_of(window);
    html! {
        @if !said.is_empty() {
            p { strong { "Data quality" } }
            ul { @for line in said { li { (line) } } }
        }
    }
}

fn figures(window: &WindowReport) -> Markup {
    html! {
        table {
            thead {
                tr {
                    @for head in [
                        "feature", "role", "rows", "PSI", "Jensen–Shannon", "KS", "Wasserstein",
                        "Hellinger", "χ²", "L∞", "p-value", "nulls", "detected",
                    ] { th { (head) } }
                }
            }
            tbody {
                @for feature in &window.features {
                    tr {
                        td { (feature.feature) }
                        td { (feature.role) }
                        td { (feature.rows) }
                        td { (number(feature.distances.psi)) }
                        td { (number(feature.distances.jensen_shannon)) }
                        td { (number(feature.distances.ks)) }
                        td { (number(feature.distances.wasserstein)) }
                        td { (number(feature.distances.hellinger)) }
                        td { (number(feature.distances.chi_squared)) }
                        td { (number(feature.distances.l_infinity)) }
                        td { (probability(feature.p_value)) }
                        td { (format!("{:.1} %", feature.quality.null_ratio * 100.0)) }
                        td class=[feature.detected.then_some("hit")] {
                            (overview::finding(feature))
                        }
                    }
                }
            }
        }
    }
}
