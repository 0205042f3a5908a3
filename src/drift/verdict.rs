//! From the counts of a window to its verdict: tests, discoveries over all features, sizes.
//!
//! Every feature is asked twice: of this window, and of this window merged with the few before it,
//! which finds shifts too small for one window. Each question gets half of the error rate.

use super::baseline::{BaselineFeature, Content};
use super::report::{FeatureReport, Quality, Shape, Verdict};
use super::significance::{discoveries, p_value};
use super::{distance, effect};
use crate::sketch::FeatureCounts;

/// Before the correction for many features: a window with a larger p-value does not itself lean away
/// from the reference, so evidence of earlier windows that did is not counted against it.
const LEANING: f64 = 0.01;

/// One feature of the window that ends.
pub(super) struct Case<'a> {
    pub(super) feature: &'a BaselineFeature,
    pub(super) window: FeatureCounts,
    /// The window and those kept before it, where there are any.
    pub(super) merged: Option<Merged>,
}

pub(super) struct Merged {
    pub(super) counts: FeatureCounts,
    /// A window before was significant by itself.
    pub(super) tainted: bool,
}

/// A feature's report, and whether this window was significant by itself.
pub(super) struct Judged {
    pub(super) report: FeatureReport,
    pub(super) significant_alone: bool,
    /// No lean of its own after windows that were significant: their evidence is spent.
    pub(super) recovered: bool,
}

pub(super) fn judge(cases: &[Case<'_>], min_rows: u64, rate: f64) -> Vec<Judged> {
    let enough = |case: &Case<'_>| {
        case.window.rows() >= min_rows.max(1) && case.feature.rows() >= min_rows.max(1)
    };
    let alone = |case: &Case<'_>| {
        enough(case).then(|| p_value(&case.feature.content, &case.window)).flatten()
    };
    let alone: Vec<Option<f64>> = cases.iter().map(alone).collect();
    let merged = cases.iter().zip(&alone).map(|(case, alone)| merged_p_value(case, *alone));
    let merged: Vec<Option<f64>> = merged.collect();
    let rate = if merged.iter().any(Option::is_some) { rate / 2.0 } else { rate };
    let found = discoveries(&alone, rate).into_iter().zip(discoveries(&merged, rate));
    let judged = cases.iter().zip(&alone).zip(found);
    judged
        .map(|((case, p_value), (alone, merged))| Judged {
            report: report(case, *p_value, alone, merged),
            significant_alone: alone,
            recovered: !alone && p_value.is_some_and(|p| p > LEANING),
        })
        .collect()
}

fn merged_p_value(case: &Case<'_>, alone: Option<f64>) -> Option<f64> {
    let (alone, merged) = (alone?, case.merged.as_ref()?);
    let counts = !merged.tainted || alone <= LEANING;
    counts.then(|| p_value(&case.feature.content, &merged.counts)).flatten()
}

fn report(case: &Case<'_>, p_value: Option<f64>, alone: bool, merged: bool) -> FeatureReport {
    let content = &case.feature.content;
    let before = case.merged.as_ref().filter(|_| merged);
    let detected = (alone && effect::worth_acting_on(content, &case.window))
        || before.is_some_and(|merged| effect::worth_acting_on(content, &merged.counts));
    FeatureReport {
        feature: case.feature.key().name.clone(),
        role: case.feature.key().role,
        kind: case.feature.kind(),
        rows: case.window.rows(),
        distances: distance::distances(content, &case.window),
        p_value,
        significant: alone || merged,
        detected,
        quality: quality(&case.window),
        examples: Vec::new(),
        shape: Shape::default(),
        references: None,
    }
}

pub(super) fn quality(counts: &FeatureCounts) -> Quality {
    let rows = counts.rows().max(1) as f64;
    let share = |count: u64| count as f64 / rows;
    match counts {
        FeatureCounts::Numeric(counts) => Quality {
            null_ratio: share(counts.missing()),
            type_error_ratio: share(counts.type_errors()),
            out_of_bounds_ratio: share(counts.out_of_bounds()),
            new_category_ratio: 0.0,
        },
        FeatureCounts::Categorical(counts) => Quality {
            null_ratio: share(counts.nulls()),
            type_error_ratio: share(counts.type_errors()),
            out_of_bounds_ratio: 0.0,
            new_category_ratio: share(counts.other()),
        },
    }
}

/// Nothing that the reference has is out of its bounds. A level beyond those it keeps was new to it.
pub(super) fn quality_of_reference(content: &Content) -> Quality {
    match content {
        Content::Numeric(numeric) => quality(&FeatureCounts::Numeric(numeric.counts.clone())),
        Content::Categorical(categorical) => {
            quality(&FeatureCounts::Categorical(categorical.counts.clone()))
        }
    }
}

/// Of the window as a whole.
pub(super) fn verdict(rows: u64, min_rows: u64, features: &[FeatureReport]) -> Verdict {
    if rows < min_rows || features.iter().all(|feature| feature.p_value.is_none()) {
        Verdict::InsufficientData
    } else if features.iter().any(|feature| feature.detected) {
        Verdict::Drifting
    } else {
        Verdict::Stable
    }
}
