//! A feature's live rows beside its baseline, bin by bin or level by level, and which of them moved.

use super::{empty, scroll};
use crate::admin::chart::{Axis, Pair, columns, contribution, rows};
use crate::admin::figure;
use crate::drift::{Bin, FeatureView, Shift, shifts};
use crate::sketch::Kind;
use maud::{Markup, html};

/// Levels of a category that are drawn; the table has all.
const MAX_LEVELS: usize = 16;

/// A bin, its place, and how it moved.
type Row<'a> = (&'a Bin, Shift);

pub(super) fn distribution(view: &FeatureView) -> Markup {
    if view.bins.is_empty() {
        return empty(&html! { "Drawn once the baseline is learnt." });
    }
    let shifts = shifts(view);
    if shifts.is_empty() {
        return empty(&html! { "No row came in the open window and the one before it." });
    }
    let rows: Vec<Row<'_>> = view.bins.iter().zip(shifts).collect();
    html! {
        (drawn(view, &rows))
        (table(view, &rows))
    }
}

fn drawn(view: &FeatureView, bins: &[Row<'_>]) -> Markup {
    let moved = bins.iter().filter(|(_, shift)| shift.moved).count();
    let summary = format!(
        "{}: live distribution beside the baseline; {moved} of {} bins moved",
        view.feature,
        bins.len()
    );
    match view.kind {
        Kind::Numeric => {
            let pairs: Vec<_> = bins.iter().map(pair).collect();
            let max = pairs.iter().map(|pair| pair.baseline.max(pair.live)).fold(0.0, f64::max);
            let axis = Axis::from_zero(max, figure::percent);
            columns(&pairs, &axis, &edges(&view.bins), &summary)
        }
        Kind::Categorical => {
            let mut pairs: Vec<_> = bins.iter().map(pair).collect();
            pairs.sort_by(|a, b| b.baseline.max(b.live).total_cmp(&a.baseline.max(a.live)));
            let hidden = pairs.len().saturating_sub(MAX_LEVELS);
            pairs.truncate(MAX_LEVELS);
            html! {
                (rows(&pairs, &summary))
                @if hidden > 0 { p.note { (hidden) " rarer levels are in the table only" } }
            }
        }
    }
}

fn pair((bin, shift): &Row<'_>) -> Pair {
    let (live, baseline) = (figure::percent(shift.live_share), figure::percent(bin.baseline_share));
    let moved = if shift.moved { "\nmoved by more than chance" } else { "" };
    Pair {
        label: bin.label.to_string(),
        baseline: bin.baseline_share,
        live: shift.live_share,
        moved: shift.moved,
        tip: format!(
            "{}\nlive {live}\nbaseline {baseline}\nPSI {}{moved}",
            bin.label,
            figure::decimal(shift.psi)
        ),
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

/// The bins as they stand; levels by what they add to the distance.
fn table(view: &FeatureView, bins: &[Row<'_>]) -> Markup {
    let mut bins: Vec<&Row<'_>> = bins.iter().collect();
    if view.kind == Kind::Categorical {
        bins.sort_by(|a, b| b.1.psi.total_cmp(&a.1.psi));
    }
    let all: f64 = bins.iter().map(|(_, shift)| shift.psi).sum();
    let max = bins.iter().map(|(_, shift)| shift.psi).fold(0.0, f64::max);
    let table = html! {
        table.bins {
            caption {
                "Which " @if view.kind == Kind::Numeric { "bins" } @else { "categories" } " moved: PSI "
                (figure::decimal(all)) " of the recent rows"
            }
            thead {
                tr {
                    th scope="col" { @if view.kind == Kind::Numeric { "Bin" } @else { "Category" } }
                    th.n scope="col" { "Baseline" }
                    th.n scope="col" { "Live" }
                    th.n scope="col" { "Difference" }
                    th.n scope="col" { "PSI" }
                    th.part-head scope="col" { "Its part" }
                    th scope="col" { "Moved" }
                }
            }
            tbody { @for (bin, shift) in bins { (line(bin, shift, max)) } }
        }
    };
    scroll("bins-scroll", "Bins, live and baseline", &table)
}

fn line(bin: &Bin, shift: &Shift, max: f64) -> Markup {
    let points = shift.difference * 100.0;
    html! {
        tr class=[shift.moved.then_some("moved")] {
            th scope="row" { code title=(bin.label) { (bin.label) } }
            td.n { (figure::percent(bin.baseline_share)) }
            td.n { (figure::percent(shift.live_share)) }
            td.n { (figure::signed(points)) " pp" }
            td.n { (figure::decimal(shift.psi)) }
            td.part-cell { (contribution(shift.psi, max, if shift.moved { "moved" } else { "" })) }
            td {
                @if shift.moved { @if shift.difference > 0.0 { "▲ more" } @else { "▼ fewer" } }
            }
        }
    }
}
