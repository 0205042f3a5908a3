//! Shares side by side: what is live beside what the baseline has.

use super::{Axis, at};
use maud::{Markup, html};

/// Shares of one bin, in [0, 1], and both in words.
pub(crate) struct Pair {
    pub(crate) label: String,
    pub(crate) baseline: f64,
    pub(crate) live: f64,
    /// By more than chance: marked by a shape as well as by colour.
    pub(crate) moved: bool,
    pub(crate) tip: String,
}

const HEIGHT: f64 = 100.0;
const SLOT: f64 = 20.0;

/// Upright bars, for bins in order. `ticks` stand at even distances under them.
pub(crate) fn columns(pairs: &[Pair], axis: &Axis, ticks: &[String], summary: &str) -> Markup {
    let width = SLOT * pairs.len().max(1) as f64;
    let height = |share: f64| HEIGHT * axis.place(share);
    let gridlines = axis.intervals();
    html! {
        div.plot.small {
            div.y-axis aria-hidden="true" {
                @for label in axis.labels() { span { (label) } }
            }
            svg.marks viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label=(summary)
            {
                @for index in 0..=gridlines {
                    @let y = at(HEIGHT * index as f64 / gridlines as f64);
                    line.grid x1="0" x2=(width) y1=(y) y2=(y) {}
                }
                @for (index, pair) in pairs.iter().enumerate() {
                    @let x = SLOT * index as f64;
                    @let (baseline, live) = (height(pair.baseline), height(pair.live));
                    rect.baseline x=(at(x + 1.5)) width="17"
                        y=(at(HEIGHT - baseline)) height=(at(baseline)) {}
                    rect class=(live_class(pair)) x=(at(x + 5.0)) width="10" y=(at(HEIGHT - live))
                        height=(at(live)) {}
                    @if pair.moved {
                        rect.moved-mark x=(at(x + 1.5)) width="17" height="1.2"
                            y=(at(HEIGHT - baseline.max(live) - 3.0)) {}
                    }
                    rect.target x=(at(x)) y="0" width=(SLOT) height=(HEIGHT) {
                        title { (pair.tip) }
                    }
                }
            }
            div.x-axis aria-hidden="true" {
                @for tick in ticks { span { (tick) } }
            }
        }
    }
}

/// Lying bars with a name each, for levels of a category.
pub(crate) fn rows(pairs: &[Pair], summary: &str) -> Markup {
    let max = pairs.iter().map(|pair| pair.baseline.max(pair.live)).fold(0.0, f64::max);
    let width = |share: f64| at(100.0 * share / max.max(f64::MIN_POSITIVE));
    html! {
        div.levels role="img" aria-label=(summary) {
            @for pair in pairs {
                span.level title=(pair.label) { (pair.label) }
                svg.level-bar viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true" {
                    rect.baseline x="0" y="1" height="18" width=(width(pair.baseline)) {}
                    rect class=(live_class(pair)) x="0" y="6" height="8" width=(width(pair.live)) {}
                    rect.target x="0" y="0" width="100" height="20" { title { (pair.tip) } }
                }
                span.share { (crate::admin::figure::percent(pair.live)) }
            }
        }
    }
}

fn live_class(pair: &Pair) -> &'static str {
    if pair.moved { "live moved" } else { "live" }
}

/// A part of the largest of its column.
pub(crate) fn contribution(value: f64, max: f64, class: &str) -> Markup {
    let width = 100.0 * (value / max.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    html! {
        svg class={ "part " (class) } viewBox="0 0 100 10" preserveAspectRatio="none"
            aria-hidden="true" { rect x="0" y="0" width=(at(width)) height="10" {} }
    }
}

/// How full something is; being over half full stands out.
pub(crate) fn meter(share: f64, summary: &str) -> Markup {
    filled(if share >= 0.5 { "meter high" } else { "meter" }, share, summary)
}

/// How far something has come.
pub(crate) fn progress_bar(share: f64, summary: &str) -> Markup {
    filled("meter", share, summary)
}

fn filled(class: &str, share: f64, summary: &str) -> Markup {
    html! {
        svg class=(class) viewBox="0 0 100 6" preserveAspectRatio="none" role="img"
            aria-label=(summary)
        {
            rect.track x="0" y="0" width="100" height="6" {}
            rect.level x="0" y="0" width=(at(100.0 * share.clamp(0.0, 1.0))) height="6" {}
        }
    }
}
