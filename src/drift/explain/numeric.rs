//! Numbers: where they went, how wide they lie, what their tails do.

use super::{Finding, Moved, Side};
use crate::drift::baseline::NumericReference;
use crate::drift::effect::MIN_SHARE;
use crate::drift::report::Shape;
use crate::sketch::NumericCounts;

/// A median that moved by fewer standard deviations is not what is to be told.
const MIN_SIGMAS: f64 = 0.1;
/// So much wider, or that much narrower, is a change of spread.
const MIN_TIMES: f64 = 1.2;
/// A single value that gained or lost this share of the rows is told beside.
const MIN_POINT: f32 = 0.05;

pub(super) fn findings(
    reference: &NumericReference,
    counts: &NumericCounts,
    shape: &Shape,
    moved: &[Moved],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let location = location(reference, shape);
    let shifted = location.is_some();
    findings.extend(location.or_else(|| spread(reference, shape)));
    if shifted || findings.is_empty() {
        findings.extend(furthest(reference, counts));
    }
    if !shifted {
        findings.extend(tail(reference, counts, Side::Low));
        findings.extend(tail(reference, counts, Side::High));
    }
    let is_point = |moved: &&Moved| !moved.bin.starts_with(['[', '(']) && &*moved.bin != "null";
    let point = moved.iter().filter(is_point).find(|it| it.difference.abs() >= MIN_POINT);
    findings.extend(point.map(|moved| Finding::Bin {
        bin: moved.bin.clone(),
        share: moved.share.into(),
        baseline_share: moved.baseline_share.into(),
    }));
    findings
}

fn at(reference: &NumericReference, wanted: f64) -> Option<f64> {
    let mut quantiles = reference.ranked_quantiles().into_iter();
    quantiles.find(|(rank, _)| (rank - wanted).abs() < 1e-9).map(|(_, value)| value)
}

fn location(reference: &NumericReference, shape: &Shape) -> Option<Finding> {
    let ([.., median, _, _], baseline_median) = (shape.quantiles?, at(reference, 0.5)?);
    let sigmas = (median - baseline_median) / reference.sigma;
    (sigmas.is_finite() && sigmas.abs() >= MIN_SIGMAS).then_some(Finding::Location {
        sigmas,
        median,
        baseline_median,
    })
}

fn spread(reference: &NumericReference, shape: &Shape) -> Option<Finding> {
    let [_, from, _, to, _] = shape.quantiles?;
    let (baseline_from, baseline_to) = (at(reference, 0.25)?, at(reference, 0.75)?);
    let times = (to - from) / (baseline_to - baseline_from);
    let is_change = times.is_finite() && !(1.0 / MIN_TIMES..MIN_TIMES).contains(&times);
    is_change.then_some(Finding::Spread { times, from, to, baseline_from, baseline_to })
}

/// The cut at which the two distribution functions differ most.
fn furthest(reference: &NumericReference, counts: &NumericCounts) -> Option<Finding> {
    let before = &reference.counts;
    let (m, n) = (before.values() as f64, counts.values() as f64);
    let (mut f, mut g) = (0, 0);
    let cuts = before.edges().cuts().iter().zip(before.bins().iter().zip(counts.bins()));
    let below = cuts.map(|(cut, (before, now))| {
        (f, g) = (f + before, g + now);
        (*cut, g as f64 / n, f as f64 / m)
    });
    let distance = |(_, share, baseline): &(f64, f64, f64)| (share - baseline).abs();
    let furthest = below.max_by(|a, b| distance(a).total_cmp(&distance(b)));
    furthest.filter(|it| distance(it) >= MIN_SHARE).map(|(cut, share, baseline_share)| {
        let (value, included) = of_cut(cut);
        Finding::Below { value, included, share, baseline_share }
    })
}

/// A cut right above a value that repeats is said as that value.
fn of_cut(cut: f64) -> (f64, bool) {
    let value = cut.next_down();
    let digits = |value: f64| format!("{value:e}").len();
    if digits(value) < digits(cut) { (value, true) } else { (cut, false) }
}

fn tail(reference: &NumericReference, counts: &NumericCounts, side: Side) -> Option<Finding> {
    let before = &reference.counts;
    let cuts = before.edges().cuts();
    let last = before.bins().len().checked_sub(1)?;
    let (bin, value) = match side {
        Side::Low => (0, *cuts.first()?),
        Side::High => (last, *cuts.last()?),
    };
    let share = counts.bins()[bin] as f64 / counts.values().max(1) as f64;
    let baseline_share = before.bins()[bin] as f64 / before.values().max(1) as f64;
    // Fewer in a tail that is small anyway tell nothing.
    (share - baseline_share >= MIN_SHARE).then_some(Finding::Tail {
        side,
        value,
        share,
        baseline_share,
    })
}
