//! At the top: which model, how it does, and the four figures that are asked for first.

use super::badge::{self, Tone, badge};
use crate::admin::chart::spark;
use crate::admin::figure;
use crate::admin::history::Slot;
use crate::admin::moment::Moment;
use crate::admin::state::Readiness;
use crate::drift::ReferenceState;
use crate::drift::Verdict;
use maud::{Markup, html};

pub(super) fn section(moment: &Moment<'_>) -> Markup {
    let analysis = &moment.analysis;
    html! {
        section #summary aria-label="Summary" {
            div.title {
                h1 {
                    (analysis.model_name)
                    @if !analysis.model_version.is_empty() {
                        " " span.version { "version " (analysis.model_version) }
                    }
                }
                div.badges { (badge::of_verdict(moment.verdict())) (readiness(moment)) }
            }
            p.lede { (in_words(moment)) }
            div.tiles { (tiles(moment)) }
        }
    }
}

pub(super) fn readiness(moment: &Moment<'_>) -> Markup {
    match &moment.readiness {
        Readiness::Ready => badge(Tone::Good, "Ready"),
        Readiness::Draining => badge(Tone::Neutral, "Draining"),
        Readiness::UpstreamUnreachable { since, reason } => html! {
            (badge(Tone::Bad, "Model unreachable"))
            span.why { "since " (figure::clock(*since)) ": " (reason) }
        },
    }
}

/// The verdicts, and what windows were compared with.
pub(super) fn in_words(moment: &Moment<'_>) -> Markup {
    html! { (verdict_in_words(moment)) " " (reference(&moment.analysis.reference)) }
}

fn verdict_in_words(moment: &Moment<'_>) -> Markup {
    let windows = moment.latest_windows();
    html! {
        @if windows.is_empty() {
            "No window has closed yet, so there is no verdict."
        } @else {
            "Last window of "
            @for (index, report) in windows.iter().enumerate() {
                @if index > 0 { ", " }
                (report.window) ": " b { (badge::word(report.verdict)) }
                @if report.verdict == Verdict::Drifting {
                    @let drifting = report.features.iter().filter(|f| f.detected).count();
                    " (" (drifting) " of " (report.features.len()) " features"
                    @if report.joint_in_words().is_some() { ", and how they go together" }
                    ")"
                }
            }
            "."
        }
    }
}

fn reference(reference: &ReferenceState) -> Markup {
    let short = |hash: &str| hash.chars().take(10).collect::<String>();
    html! {
        @match reference {
            ReferenceState::Learning { rows, needed } => {
                "Learning the baseline from live traffic: "
                b { (figure::count(*rows)) " of " (figure::count(*needed)) " rows" } "."
            }
            ReferenceState::Learned { rows, hash } => {
                "Compared with a baseline learnt from the first " b { (figure::count(*rows)) " rows" }
                " of live traffic " code title=(hash) { (short(hash)) } "."
            }
            ReferenceState::Given { rows, hash } => {
                "Compared with a baseline file of " b { (figure::count(*rows)) " rows" } " "
                code title=(hash) { (short(hash)) } "."
            }
        }
    }
}

fn tiles(moment: &Moment<'_>) -> Markup {
    // The last slot may just have begun; the one before is whole.
    let slot = moment.slots.iter().rev().nth(1).or(moment.slots.last());
    let values = |of: fn(&Slot) -> Option<f64>| moment.slots.iter().map(of).collect::<Vec<_>>();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let coverage = (moment.capture.seen() > 0).then(|| moment.capture.coverage());
    html! {
        (tile("Throughput", "requests a second",
            &or_dash(slot.map(|slot| figure::number(slot.throughput()))),
            &spark(&values(|slot| Some(slot.throughput())), moment.places, "accent")))
        (tile("Errors", "share of requests",
            &or_dash(slot.and_then(Slot::error_ratio).map(figure::percent)),
            &spark(&values(Slot::error_ratio), moment.places, "error")))
        (tile("Latency p99", "whole exchange",
            &or_dash(slot.and_then(|slot| slot.p99).map(figure::seconds)),
            &spark(&values(|slot| slot.p99), moment.places, "accent")))
        (tile("Coverage", "exchanges analysed",
            &or_dash(coverage.map(figure::percent)),
            &spark(&values(Slot::coverage), moment.places, "calm")))
    }
}

fn tile(title: &str, unit: &str, value: &str, spark: &Markup) -> Markup {
    html! {
        div.tile {
            div.name { (title) span.unit { (unit) } }
            div.value { (value) }
            (spark)
        }
    }
}
