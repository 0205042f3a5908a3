//! Features: each one's live distribution beside its baseline, and what the last window said of it.

use super::badge;
use super::empty;
use crate::admin::chart::{Axis, Pair, columns, rows};
use crate::admin::figure;
use crate::admin::moment::{Moment, feature_verdict};
use crate::drift::{Bin, FeatureReport, FeatureView, Quality};
use crate::sketch::Kind;
use maud::{Markup, html};

/// Cards on the page; the API has all.
const MAX_CARDS: usize = 36;

/// Levels of a category in a card.
const MAX_LEVELS: usize = 8;

pub(super) fn section(moment: &Moment<'_>) -> Markup {
    let mut features: Vec<_> = moment
        .analysis
        .features
        .iter()
        .map(|view| (view, moment.latest_report(view.role, &view.feature)))
        .collect();
    // Stable: features that drift come first, and otherwise stay where they are.
    features.sort_by_key(|(_, report)| !report.is_some_and(|report| report.detected));
    let hidden = features.len().saturating_sub(MAX_CARDS);
    html! {
        section.panel #features aria-labelledby="features-title" {
            div.head {
                h2 #features-title { "Features" }
                @if !features.is_empty() {
                    span.legend {
                        span.key.live { "live" } span.key.baseline { "baseline" }
                    }
                }
            }
            @if features.is_empty() { (nothing_yet(moment)) }
            div.cards { @for (view, report) in features.iter().take(MAX_CARDS) {
                (card(view, *report))
            } }
            @if hidden > 0 {
                p.note {
                    (hidden) " more features are not drawn; "
                    a href="api/v1/features" { "the API" } " has them all."
                }
            }
            @if moment.analysis.features_over_limit > 0 {
                p.note {
                    (figure::count(moment.analysis.features_over_limit))
                    " features are over " code { "features.max" } " and not watched."
                }
            }
        }
    }
}

fn nothing_yet(moment: &Moment<'_>) -> Markup {
    let analysis = &moment.analysis;
    match (moment.requests(), analysis.decoded_exchanges, analysis.problems.first()) {
        (0, _, _) => empty(&html! {
            "Features are found in the payloads of the first requests. Nothing needs to be declared."
        }),
        (_, 0, Some(problem)) => empty(&html! {
            "No payload could be decoded yet. The most frequent reason: " b { (problem.reason) }
            ". If rows stand elsewhere in the JSON, say where with " code { "model.pointers" } "."
        }),
        _ => empty(&html! { "Waiting for the first rows." }),
    }
}

fn card(view: &FeatureView, report: Option<&FeatureReport>) -> Markup {
    let verdict = report.map(feature_verdict);
    let kind = match view.kind {
        Kind::Numeric => "numeric",
        Kind::Categorical => "categorical",
    };
    html! {
        article.card {
            header {
                h3 title=(view.feature) { (view.feature) }
                (badge::of_verdict(verdict))
            }
            p.unit {
                (view.role) " · " (kind) " · " (figure::count(view.rows_total)) " rows"
            }
            (distribution(view))
            (distances(report))
            (quality(&view.quality))
        }
    }
}

fn distribution(view: &FeatureView) -> Markup {
    let live_rows: u64 = view.bins.iter().map(|bin| bin.recent_rows).sum();
    if view.bins.is_empty() {
        return empty(&html! { "Drawn once the baseline is learnt." });
    }
    let pairs: Vec<_> = view.bins.iter().map(|bin| pair(bin, live_rows)).collect();
    let summary = format!("{}: live distribution beside the baseline", view.feature);
    match view.kind {
        Kind::Numeric => {
            let shares = pairs.iter().map(|pair| pair.baseline.max(pair.live));
            let max = shares.fold(0.0, f64::max);
            let axis = Axis::from_zero(max, figure::percent);
            columns(&pairs, &axis, &edges(&view.bins), &summary)
        }
        Kind::Categorical => {
            let mut pairs = pairs;
            pairs.sort_by(|a, b| larger(b).total_cmp(&larger(a)));
            let hidden = pairs.len().saturating_sub(MAX_LEVELS);
            pairs.truncate(MAX_LEVELS);
            html! {
                (rows(&pairs, &summary))
                @if hidden > 0 { p.note { (hidden) " rarer levels are not drawn" } }
            }
        }
    }
}

fn larger(pair: &Pair) -> f64 {
    pair.baseline.max(pair.live)
}

fn pair(bin: &Bin, live_rows: u64) -> Pair {
    let live = if live_rows == 0 { 0.0 } else { bin.recent_rows as f64 / live_rows as f64 };
    let (share, baseline) = (figure::percent(live), figure::percent(bin.baseline_share));
    Pair {
        label: bin.label.to_string(),
        baseline: bin.baseline_share,
        live,
        tip: format!("{}\nlive {share}\nbaseline {baseline}", bin.label),
    }
}

/// The first, a middle and the last edge between bins.
fn edges(bins: &[Bin]) -> Vec<String> {
    let word = |bin: Option<&Bin>, side: fn(&Bin) -> Option<f64>| {
        let value = bin.and_then(|bin| side(bin).filter(|value| value.is_finite()));
        value.map(figure::number)
    };
    let numeric: Vec<_> = bins.iter().filter(|bin| bin.lower.or(bin.upper).is_some()).collect();
    let (Some(first), Some(last)) = (numeric.first(), numeric.last()) else { return Vec::new() };
    let middle = numeric.get(numeric.len() / 2).copied();
    let below = word(Some(*first), |bin| bin.upper).map(|edge| format!("< {edge}"));
    let above = word(Some(*last), |bin| bin.lower).map(|edge| format!("≥ {edge}"));
    let edges = [
        word(Some(*first), |bin| bin.lower).or(below),
        word(middle, |bin| bin.lower),
        word(Some(*last), |bin| bin.upper).or(above),
    ];
    edges.into_iter().map(Option::unwrap_or_default).collect()
}

fn distances(report: Option<&FeatureReport>) -> Markup {
    let Some(report) = report else {
        return html! { p.note { "No window of this feature has closed yet." } };
    };
    let p_value = report.p_value.map(figure::p_value);
    html! {
        dl.figures {
            @for (name, value) in report.distances.iter().filter(|(name, _)| is_shown(name)) {
                div { dt { (abbreviated(name)) } dd { (figure::decimal(value)) } }
            }
            div { dt { "p" } dd { (p_value.unwrap_or_else(|| "–".into())) } }
            div { dt { "rows" } dd { (figure::count(report.rows)) } }
        }
    }
}

fn is_shown(distance: &str) -> bool {
    matches!(distance, "psi" | "jensen_shannon" | "ks" | "l_infinity")
}

fn abbreviated(distance: &str) -> Markup {
    html! {
        @match distance {
            "psi" => { abbr title="Population stability index" { "PSI" } }
            "jensen_shannon" => { abbr title="Jensen–Shannon distance" { "JS" } }
            "ks" => { abbr title="Kolmogorov–Smirnov statistic" { "KS" } }
            _ => { abbr title="Largest difference of a level's share" { "L∞" } }
        }
    }
}

fn quality(quality: &Quality) -> Markup {
    let ratios = [
        ("nulls", quality.null_ratio),
        ("wrong type", quality.type_error_ratio),
        ("out of bounds", quality.out_of_bounds_ratio),
        ("new category", quality.new_category_ratio),
    ];
    let faults: Vec<_> = ratios.into_iter().filter(|(_, ratio)| *ratio > 0.0).collect();
    html! {
        p.quality {
            @if faults.is_empty() {
                "No quality faults"
            }
            @for (name, ratio) in faults {
                span.fault { b { (figure::percent(ratio)) } " " (name) }
            }
        }
    }
}
