//! From the counts of a window to its verdict: tests, discoveries over all features, sizes.
//!
//! Every feature is asked twice: of this window, and of this window merged with the few before it,
//! which finds shifts too small for one window. Each question gets half of the error rate. Tests are as
//! wide as rows that are not independent, and blocks that vary by nature, make them; a feature with a
//! daily cycle is compared with the reference at the same hours.

use super::baseline::{BaselineFeature, Content};
use super::dependence::{DesignEffects, HoursOfDay, Question, RowScale, design_effects};
use super::report::{FeatureReport, Quality, Verdict};
use super::significance::{discoveries, p_value};
use super::{WindowSpan, distance, effect};
use crate::sketch::{FeatureCounts, ValueKey};
use std::borrow::Cow;

/// Before the correction for many features: a window with a larger p-value does not itself lean away
/// from the reference, so evidence of earlier windows that did is not counted against it.
const LEANING: f64 = 0.01;

/// One feature of the window that ends.
pub(super) struct Case<'a> {
    pub(super) feature: &'a BaselineFeature,
    pub(super) window: FeatureCounts,
    /// What the window's rows are worth, where they were sampled at different rates.
    pub(super) weighed: FeatureCounts,
    /// The window and those kept before it, where there are any.
    pub(super) merged: Option<Merged>,
    pub(super) repeated: Vec<(ValueKey, u32)>,
    /// What live rows show of their dependence.
    pub(super) live: Vec<RowScale>,
    pub(super) time: WindowTime,
}

/// When a window was; all `None` where rows carry no time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WindowTime {
    pub(super) seconds: Option<f64>,
    pub(super) hours: Option<HoursOfDay>,
}

impl WindowTime {
    /// Without its hours of the day, which only the whole is compared by.
    pub(super) fn of(span: WindowSpan) -> Self {
        let length =
            span.start.zip(span.end).map(|(start, end)| end.as_second() - start.as_second());
        Self {
            seconds: length.filter(|length| *length > 0).map(|length| length as f64),
            hours: None,
        }
    }
}

pub(super) struct Merged {
    pub(super) counts: FeatureCounts,
    pub(super) repeated: Vec<(ValueKey, u32)>,
    /// A window before was significant by itself.
    pub(super) tainted: bool,
    /// Of each window; empty where one has none.
    pub(super) hours: Vec<HoursOfDay>,
    pub(super) windows: usize,
}

/// A feature's report, and whether this window was significant by itself.
pub(super) struct Judged {
    pub(super) report: FeatureReport,
    /// Of this window alone.
    pub(super) effects: DesignEffects,
    pub(super) significant_alone: bool,
    /// No lean of its own after windows that were significant: their evidence is spent.
    pub(super) recovered: bool,
}

impl Judged {
    /// Whether it is found to drift; `None` where it could not be judged.
    pub(super) fn found(&self) -> Option<bool> {
        self.report.p_value.map(|_| self.report.detected)
    }
}

/// Counts beside what they are compared with.
struct Comparison<'a> {
    reference: Cow<'a, Content>,
    counts: &'a FeatureCounts,
    repeated: &'a [(ValueKey, u32)],
    effects: DesignEffects,
    p_value: Option<f64>,
    /// Against the reference at the same hours of the day.
    same_hours: bool,
}

pub(super) fn judge(cases: &[Case<'_>], min_rows: u64, rate: f64) -> Vec<Judged> {
    let alone: Vec<Comparison<'_>> = cases.iter().map(Case::alone).collect();
    let enough = |case: &Case<'_>| {
        case.window.rows() >= min_rows.max(1) && case.feature.rows() >= min_rows.max(1)
    };
    let p_value =
        |(case, alone): (&Case<'_>, &Comparison<'_>)| alone.p_value.filter(|_| enough(case));
    let p_values: Vec<Option<f64>> = cases.iter().zip(&alone).map(p_value).collect();
    let merged = cases.iter().zip(&p_values).map(|(case, alone)| case.merged((*alone)?));
    let merged: Vec<Option<Comparison<'_>>> = merged.collect();
    let merged_p = |merged: &Option<Comparison<'_>>| merged.as_ref().and_then(|m| m.p_value);
    let merged_p: Vec<Option<f64>> = merged.iter().map(merged_p).collect();
    let rate = if merged_p.iter().any(Option::is_some) { rate / 2.0 } else { rate };
    let by_clock = cases.iter().zip(&alone).map(|(case, alone)| case.without_season(alone));
    let by_clock: Vec<Option<f64>> = by_clock.collect();
    let found = discoveries(&p_values, rate).into_iter().zip(discoveries(&merged_p, rate));
    let found = found.zip(discoveries(&by_clock, rate));
    let found = alone.into_iter().zip(found).enumerate();
    found
        .map(|(place, (alone, ((significant_alone, significant_merged), by_clock)))| {
            let (case, p_value) = (&cases[place], p_values[place]);
            let merged = merged[place].as_ref().filter(|_| significant_merged);
            let mut report = report(case, &alone, merged, significant_alone);
            report.p_value = p_value;
            report.seasonal = by_clock && !report.significant && p_value.is_some();
            let recovered = !significant_alone && p_value.is_some_and(|p| p > LEANING);
            Judged { report, effects: alone.effects, significant_alone, recovered }
        })
        .collect()
}

impl Case<'_> {
    /// By so many the rows are more than as many of one weight that would tell as much.
    fn unequal_weights(&self) -> f64 {
        self.window.rows().max(1) as f64 / self.weighed.rows().max(1) as f64
    }

    fn alone(&self) -> Comparison<'_> {
        self.compare((&self.weighed, &self.repeated), 1, self.time.hours.as_slice())
    }

    fn merged(&self, alone: f64) -> Option<Comparison<'_>> {
        let merged = self.merged.as_ref().filter(|merged| !merged.tainted || alone <= LEANING)?;
        Some(self.compare((&merged.counts, &merged.repeated), merged.windows, &merged.hours))
    }

    fn compare<'a>(
        &'a self,
        (counts, repeated): (&'a FeatureCounts, &'a [(ValueKey, u32)]),
        windows: usize,
        hours: &[HoursOfDay],
    ) -> Comparison<'a> {
        let season = self.feature.variation.as_deref().and_then(|variation| variation.season());
        let season = season.filter(|_| !hours.is_empty());
        let at_hours = season.and_then(|season| season.reference(&self.feature.content, hours));
        let same_hours = at_hours.is_some();
        let reference = at_hours.map_or(Cow::Borrowed(&self.feature.content), Cow::Owned);
        let question = Question {
            rows: counts.rows() as f64,
            reference_rows: reference.rows() as f64,
            seconds: self.time.seconds,
            windows: windows as f64,
            same_hours,
        };
        let effects = self.effects(question);
        let p_value = p_value(&reference, counts, repeated, &effects);
        Comparison { reference, counts, repeated, effects, p_value, same_hours }
    }

    fn effects(&self, question: Question) -> DesignEffects {
        let groups = self.feature.labels.len() - 1;
        design_effects(self.feature.variation.as_deref(), &self.live, question, groups)
    }

    /// The p-value that a feature with a daily cycle would have were the cycle not known.
    fn without_season(&self, alone: &Comparison<'_>) -> Option<f64> {
        let content = &self.feature.content;
        let question = Question {
            rows: self.window.rows() as f64,
            reference_rows: content.rows() as f64,
            seconds: None,
            windows: 1.0,
            same_hours: false,
        };
        let effects = self.effects(question);
        let p_value = || p_value(content, &self.weighed, &self.repeated, &effects);
        alone.same_hours.then(p_value).flatten()
    }
}

impl Comparison<'_> {
    fn is_worth_acting_on(&self) -> bool {
        effect::worth_acting_on(&self.reference, self.counts, self.repeated, &self.effects)
    }
}

fn report(
    case: &Case<'_>,
    alone: &Comparison<'_>,
    merged: Option<&Comparison<'_>>,
    significant_alone: bool,
) -> FeatureReport {
    let detected = (significant_alone && alone.is_worth_acting_on())
        || merged.is_some_and(Comparison::is_worth_acting_on);
    FeatureReport {
        feature: case.feature.key().name.clone(),
        role: case.feature.key().role,
        kind: case.feature.kind(),
        rows: case.window.rows(),
        distances: distance::distances(&case.feature.content, &case.weighed),
        effect: effect::size(&alone.reference, alone.counts, &alone.effects),
        design_effect: alone.effects.values() * case.unequal_weights(),
        significant: significant_alone || merged.is_some(),
        detected,
        quality: quality(&case.weighed),
        ..FeatureReport::default()
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
