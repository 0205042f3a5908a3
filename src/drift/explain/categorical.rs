//! Levels: which came, which went, which moved.

use super::{Case, Finding, Moved};
use crate::drift::baseline::CategoricalReference;
use crate::drift::effect::MIN_SHARE;
use crate::sketch::{CategoricalCounts, FeatureSketch};

/// New levels that are named.
const MAX_NEW: usize = 2;
/// A level that would have fewer rows may be absent by chance.
const MIN_EXPECTED: f64 = 10.0;
const MIN_VANISHED: f64 = 0.01;

pub(super) fn findings(
    case: &Case<'_>,
    reference: &CategoricalReference,
    counts: &CategoricalCounts,
    moved: &[Moved],
) -> Vec<Finding> {
    let mut findings = new_levels(case);
    let vanished = vanished_level(reference, counts);
    findings.extend(vanished.clone());
    let told = |moved: &&Moved| {
        let is_vanished = matches!(
            &vanished, Some(Finding::VanishedLevel { level, .. }) if *level == moved.bin
        );
        !is_vanished && !matches!(&*moved.bin, "null" | "other")
    };
    findings.extend(moved.iter().find(told).map(|moved| Finding::Bin {
        bin: moved.bin.clone(),
        share: moved.share.into(),
        baseline_share: moved.baseline_share.into(),
    }));
    findings
}

/// Of this window alone: what came before is not known by name any more.
fn new_levels(case: &Case<'_>) -> Vec<Finding> {
    let FeatureSketch::Categorical(sketch) = case.sketch else { return Vec::new() };
    let values = sketch.counts().values().max(1) as f64;
    let levels = sketch.frequent_unknown().into_iter();
    let levels = levels.map(|(level, rows)| (level, rows as f64 / values));
    levels
        .filter(|(_, share)| *share >= MIN_SHARE)
        .take(MAX_NEW)
        .map(|(level, share)| Finding::NewLevel { level: level.into(), share })
        .collect()
}

/// The most frequent of those that no row has.
fn vanished_level(reference: &CategoricalReference, counts: &CategoricalCounts) -> Option<Finding> {
    let values = reference.counts.values().max(1) as f64;
    let known = reference.counts.levels().names().iter();
    let rows = reference.counts.level_rows().iter().zip(counts.level_rows());
    // Levels with more rows come first.
    let mut absent = known.zip(rows).filter(|(_, (_, now))| **now == 0);
    let (level, (before, _)) = absent.next()?;
    let baseline_share = *before as f64 / values;
    let is_told =
        baseline_share >= MIN_VANISHED && baseline_share * counts.values() as f64 >= MIN_EXPECTED;
    is_told.then(|| Finding::VanishedLevel { level: level.clone(), baseline_share })
}
