//! Parts of the traffic: which of them drift in the last window, and in what; attributions beside.

use super::{badge, empty, performance, scroll};
use crate::admin::figure;
use crate::admin::moment::Moment;
use crate::drift::{
    AttributionDrift, AttributionReference, FeatureReport, SegmentReference, SegmentReport,
    WindowReport,
};
use crate::labels::{PartPerformance, Performance};
use maud::{Markup, html};
use std::cmp::Reverse;
use std::sync::Arc;

const SHOWN: usize = 30;
const FEATURES: usize = 4;
const MEASURES: usize = 5;

/// Nothing where no segment is configured, or none was seen.
pub(super) fn section(moment: &Moment<'_>) -> Markup {
    let Some(window) = moment.latest_windows().into_iter().find(|w| !w.segments.is_empty()) else {
        return html! {};
    };
    let mut segments: Vec<&SegmentReport> = window.segments.iter().collect();
    segments.sort_by_key(|segment| (!segment.is_drifting(), Reverse(segment.rows)));
    let drifting = segments.iter().filter(|segment| segment.is_drifting()).count();
    html! {
        section.panel #segments aria-labelledby="segments-title" {
            div.head {
                h2 #segments-title { "Segments" }
                span.unit {
                    (drifting) " of " (segments.len()) " drift, windows of " (window.window)
                    "; they count for nothing in the verdict on the whole"
                }
            }
            (scroll("segments-table", "Segments", &table(&segments)))
            @if segments.len() > SHOWN {
                p.note {
                    (segments.len() - SHOWN) " more are at "
                    code { "/api/v1/drift" } "."
                }
            }
        }
    }
}

fn table(segments: &[&SegmentReport]) -> Markup {
    html! {
        table {
            caption.unseen { "Segments of the last window" }
            thead {
                tr {
                    th scope="col" { "Segment" } th.n scope="col" { "Rows" }
                    th scope="col" { "Compared with" } th scope="col" { "Verdict" }
                    th scope="col" { "Features that drift" }
                }
            }
            tbody {
                @for segment in segments.iter().take(SHOWN) {
                    tr {
                        th scope="row" { (segment.segment) }
                        td.n { (figure::count(segment.rows)) }
                        td { (compared_with(segment.reference)) }
                        td { (badge::of_verdict(Some(segment.verdict))) }
                        td { (features(segment)) }
                    }
                }
            }
        }
    }
}

fn compared_with(reference: SegmentReference) -> &'static str {
    match reference {
        SegmentReference::Segment => "its rows of the baseline",
        SegmentReference::Learned => "its own first rows",
        SegmentReference::Learning => "nothing yet: learning from its first rows",
        SegmentReference::Whole => "the whole baseline",
        SegmentReference::None => "nothing: values over features.max_segments",
    }
}

fn features(segment: &SegmentReport) -> Markup {
    let named: Vec<_> = segment.features.iter().filter(|f| f.detected).take(FEATURES).collect();
    let more = segment.features_detected - named.len();
    html! {
        @for (index, feature) in named.iter().enumerate() {
            @if index > 0 { ", " }
            (feature.feature) " "
            span.unit { (feature.distances.jensen_shannon.map_or_else(|| "–".into(), figure::decimal)) }
        }
        @if more > 0 { " and " (more) " more" }
        @if named.is_empty() { "–" }
    }
}

/// What labels say of each part; nothing where no label is of any.
pub(super) fn by_part(parts: &[Arc<PartPerformance>]) -> Markup {
    let Some(first) = parts.first() else { return html! {} };
    let mut parts: Vec<&PartPerformance> = parts.iter().map(|part| &**part).collect();
    parts.sort_by_key(|part| Reverse(part.rows));
    let measures: Vec<&str> =
        first.performance.measures().into_iter().map(|(name, _)| name).take(MEASURES).collect();
    let word = |performance: &Performance, measure: &str| {
        let value = performance::value(performance, measure);
        value.map_or_else(|| "–".into(), performance::format(measure))
    };
    html! {
        section.panel #segment-performance aria-labelledby="segment-performance-title" {
            div.head {
                h2 #segment-performance-title { "Segments" }
                span.unit { "labelled rows since start" }
            }
            (scroll("segment-performance-table", "Performance by segment", &html! {
                table {
                    caption.unseen { "Performance of each segment since start" }
                    thead {
                        tr {
                            th scope="col" { "Segment" } th.n scope="col" { "Rows" }
                            @for name in &measures { th.n scope="col" { (performance::title(name)) } }
                            @if let Some(name) = measures.first() {
                                th.n scope="col" { (performance::title(name)) ", last window" }
                            }
                        }
                    }
                    tbody {
                        @for part in parts.iter().take(SHOWN) {
                            tr {
                                th scope="row" { (part.segment) }
                                td.n { (figure::count(part.rows)) }
                                @for name in &measures { td.n { (word(&part.performance, name)) } }
                                @if let Some(name) = measures.first() {
                                    td.n {
                                        (part.windows.last().map_or_else(
                                            || "–".into(),
                                            |window| word(&window.performance, name),
                                        ))
                                    }
                                }
                            }
                        }
                    }
                }
            }))
            @if parts.len() > SHOWN {
                p.note {
                    (parts.len() - SHOWN) " more are at " code { "/api/v1/performance" } "."
                }
            }
        }
    }
}

/// Nothing where no importance was given and no answer carries attributions.
pub(super) fn attribution(moment: &Moment<'_>) -> Markup {
    let windows = moment.latest_windows();
    let Some(window) = windows.into_iter().find(|window| has_weights(window)) else {
        return html! {};
    };
    let mut ranked: Vec<(usize, &FeatureReport)> =
        window.features.iter().filter_map(|f| Some((f.weight.as_ref()?.rank?, f))).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    html! {
        section.panel #attribution aria-labelledby="attribution-title" {
            div.head {
                h2 #attribution-title { "What matters to the model" }
                span.unit { "windows of " (window.window) }
            }
            @if let Some(drift) = &window.attribution { (ranking(drift)) }
            @if window.features.iter().any(|feature| feature.weight.is_some()) {
                @if ranked.is_empty() {
                    (empty(&html! { "No feature with an importance differs by more than chance." }))
                } @else {
                    (scroll("ranked", "Drift by importance", &by_importance(&ranked)))
                }
            }
        }
    }
}

fn has_weights(window: &WindowReport) -> bool {
    window.attribution.is_some() || window.features.iter().any(|feature| feature.weight.is_some())
}

fn by_importance(ranked: &[(usize, &FeatureReport)]) -> Markup {
    html! {
        table {
            caption.unseen { "Features by importance times distance" }
            thead {
                tr {
                    th.n scope="col" { "Rank" } th scope="col" { "Feature" }
                    th.n scope="col" { "Importance" } th.n scope="col" { "Jensen–Shannon" }
                    th scope="col" { "Drifts" }
                }
            }
            tbody {
                @for (rank, feature) in ranked.iter().take(SHOWN) {
                    tr {
                        td.n { (rank) }
                        th scope="row" { (feature.feature) }
                        td.n { (feature.weight.as_ref().map_or_else(|| "–".into(), |weight| figure::percent(weight.importance))) }
                        td.n { (feature.distances.jensen_shannon.map_or_else(|| "–".into(), figure::decimal)) }
                        td { (if feature.detected { "yes" } else { "too small to act on" }) }
                    }
                }
            }
        }
    }
}

fn ranking(drift: &AttributionDrift) -> Markup {
    let moved: Vec<_> =
        drift.features.iter().filter(|f| f.rank_before != f.rank_now).take(FEATURES).collect();
    html! {
        p {
            "Ranking of features by what answers attribute to them: NDCG "
            b { (figure::decimal(drift.ndcg)) }
            " against "
            (match drift.reference {
                AttributionReference::Baseline => "the baseline's",
                AttributionReference::Importance => "the importances given",
            })
            @if drift.detected { ", which is another ranking" } @else { ", which chance explains" }
            @for (index, feature) in moved.iter().enumerate() {
                @if index == 0 { ": " } @else { ", " }
                (feature.feature) " from " (feature.rank_before) " to " (feature.rank_now)
            }
            "."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Classification;

    #[test]
    fn performance_by_part_is_titled_and_written_as_elsewhere() {
        let performance = Performance::Classification(Classification {
            rows: 40,
            accuracy: 0.875,
            log_loss: Some(0.25),
            ..Classification::default()
        });
        let segment = "country=FR".into();
        let part = PartPerformance { segment, rows: 40, performance, windows: Vec::new() };
        let page = by_part(&[Arc::new(part)]).into_string();
        for shown in [
            "<th class=\"n\" scope=\"col\">Accuracy</th>",
            "<th class=\"n\" scope=\"col\">Accuracy, last window</th>",
            "<th scope=\"row\">country=FR</th>",
            "<td class=\"n\">87.5 %</td>",
            "<td class=\"n\">0.25</td>",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
    }
}
