//! The last window of a feature against earlier ones, where `drift.references` asks for it.

use super::{badge, scroll, trend};
use crate::admin::figure;
use crate::drift::{Earlier, FeatureReport, ReferenceReport, Verdict, WindowReport};
use maud::{Markup, html};

/// Nothing where the last window has no such comparison.
pub(super) fn section(over: &trend::Over<'_>) -> Markup {
    let Some((window, Some(report))) = over.last() else { return html! {} };
    let Some(references) = &report.references else { return html! {} };
    let table = table(report, &references.0);
    html! {
        section.panel #earlier aria-labelledby="earlier-title" {
            div.head {
                h2 #earlier-title { "Against earlier windows" }
                span.unit { (trend::span(window)) ", beside the baseline" }
            }
            (scroll("earlier-scroll", "Against earlier windows", &table))
        }
    }
}

fn table(report: &FeatureReport, references: &[ReferenceReport]) -> Markup {
    html! {
        table {
            caption.unseen { "The last window against the baseline and earlier windows" }
            thead {
                tr {
                    th scope="col" { "Reference" } th scope="col" { "Window" } th.n scope="col" { "Rows" }
                    th.n scope="col" { "PSI" } th.n scope="col" { "Jensen–Shannon" }
                    th.n scope="col" { "p" } th scope="col" { "Verdict" }
                }
            }
            tbody {
                tr {
                    th scope="row" { "baseline" } td { "–" } td.n { "–" }
                    (figures(report.distances.psi, report.distances.jensen_shannon, report.p_value))
                    td { (verdict(report.p_value, report.detected)) }
                }
                @for beside in references {
                    tr {
                        th scope="row" { (name(beside.reference)) }
                        td { (span(beside)) }
                        td.n { (figure::count(beside.rows)) }
                        (figures(beside.distances.psi, beside.distances.jensen_shannon,
                            beside.p_value))
                        td { (verdict(beside.p_value, beside.detected)) }
                    }
                }
            }
        }
    }
}

fn figures(psi: Option<f64>, jensen_shannon: Option<f64>, p_value: Option<f64>) -> Markup {
    let decimal = |value: Option<f64>| value.map_or_else(|| "–".into(), figure::decimal);
    html! {
        td.n { (decimal(psi)) } td.n { (decimal(jensen_shannon)) }
        td.n { (p_value.map_or_else(|| "–".into(), figure::p_value)) }
    }
}

fn verdict(p_value: Option<f64>, detected: bool) -> Markup {
    badge::of_verdict(Some(match (p_value, detected) {
        (None, _) => Verdict::InsufficientData,
        (Some(_), true) => Verdict::Drifting,
        (Some(_), false) => Verdict::Stable,
    }))
}

const fn name(earlier: Earlier) -> &'static str {
    match earlier {
        Earlier::Previous => "window before",
        Earlier::SameHourYesterday => "same hour yesterday",
        Earlier::SameHourLastWeek => "same hour last week",
    }
}

fn span(beside: &ReferenceReport) -> String {
    trend::span(&WindowReport {
        window: beside.window.clone(),
        start: beside.start,
        end: beside.end,
        ..WindowReport::default()
    })
}
