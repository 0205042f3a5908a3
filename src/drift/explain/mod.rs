//! What moved, by how much, since when, and a sentence: for those who were woken by it.
//!
//! In: a feature whose window is significant or fails a check, with its counts. Out: an
//! [`Explanation`]. For reading, not for verdicts: nothing is decided here.

mod categorical;
mod numeric;
mod words;

#[cfg(test)]
mod tests;

use super::baseline::{BaselineFeature, Content};
use super::effect::MIN_SHARE;
use super::quality::{Check, Checked};
use super::report::{FeatureReport, Shape};
use crate::sketch::{FeatureCounts, FeatureSketch};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bins that are named.
const MAX_MOVED: usize = 3;
/// What one sentence says, at most.
const MAX_FINDINGS: usize = 4;

/// Why a feature is said to drift, or its rows not to be in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// Start of the first of the windows of this length that were found to drift or to fail, up to this
    /// one, without more between them that were not than `drift.persistence` looks back on; `None` where
    /// rows carry no time, or this window is not detected.
    pub since: Option<Timestamp>,
    /// In plain English.
    pub sentence: Box<str>,
    /// The bins or levels whose shares moved most, the furthest first.
    pub moved: Box<[Moved]>,
    /// What the sentence is made of.
    pub findings: Box<[Finding]>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moved {
    /// As in `/api/v1/features/{name}`.
    pub bin: Arc<str>,
    /// Share of rows, in [0, 1].
    pub share: f32,
    pub baseline_share: f32,
    /// The first less the second.
    pub difference: f32,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Finding {
    /// The median moved, by so many standard deviations of the baseline.
    Location { sigmas: f64, median: f64, baseline_median: f64 },
    /// The middle half is so many times as wide.
    Spread { times: f64, from: f64, to: f64, baseline_from: f64, baseline_to: f64 },
    /// Where both distributions are furthest apart: the shares of values below it.
    /// The value itself is counted in where it is one that repeats.
    Below { value: f64, included: bool, share: f64, baseline_share: f64 },
    /// More or fewer values beyond the baseline's outermost bin.
    Tail { side: Side, value: f64, share: f64, baseline_share: f64 },
    /// A bin or a level whose share moved.
    Bin { bin: Arc<str>, share: f64, baseline_share: f64 },
    /// A level that the baseline lacks.
    NewLevel { level: Arc<str>, share: f64 },
    /// A level of the baseline that no row has.
    VanishedLevel { level: Arc<str>, baseline_share: f64 },
    /// The baseline differs as much at the same hours of the day.
    Seasonal,
    /// A check of data quality that fails.
    Check(Checked),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Low,
    High,
}

/// What there is to explain.
pub(super) struct Case<'a> {
    pub(super) feature: &'a BaselineFeature,
    /// Of the window, or of it merged with those before where only they together are significant.
    pub(super) counts: &'a FeatureCounts,
    pub(super) sketch: &'a FeatureSketch,
    pub(super) shape: &'a Shape,
    pub(super) report: &'a FeatureReport,
    pub(super) since: Option<Timestamp>,
}

pub(super) fn explain(case: &Case<'_>) -> Explanation {
    let moved = moved(case);
    let mut findings = failed_checks(case);
    let has_other_unit = findings.iter().any(|finding| finding.is_of(Check::UnitChange));
    let differs = case.report.detected || case.report.significant || case.report.seasonal;
    if differs && !has_other_unit {
        findings.extend(match (&case.feature.content, case.counts) {
            (Content::Numeric(reference), FeatureCounts::Numeric(counts)) => {
                numeric::findings(reference, counts, case.shape, &moved)
            }
            (Content::Categorical(reference), FeatureCounts::Categorical(counts)) => {
                categorical::findings(case, reference, counts, &moved)
            }
            _ => Vec::new(),
        });
    }
    // What moved says more of where than that something is new or beyond.
    findings.sort_by_key(Finding::rank);
    findings.truncate(MAX_FINDINGS);
    if case.report.seasonal {
        findings.truncate(MAX_FINDINGS - 1);
        findings.push(Finding::Seasonal);
    }
    Explanation {
        since: case.since,
        sentence: words::sentence(&case.feature.key().name, &findings, &moved, case.since).into(),
        moved: moved.into(),
        findings: findings.into(),
    }
}

impl Finding {
    fn is_of(&self, check: Check) -> bool {
        matches!(self, Self::Check(checked) if checked.check == check)
    }

    /// What is said first: what says most.
    fn rank(&self) -> u8 {
        match self {
            Self::Check(checked) => match checked.check {
                Check::UnitChange | Check::MissingFeature | Check::Constant => 0,
                Check::Null | Check::TypeError | Check::Frozen => 1,
                Check::OutOfBounds | Check::NewCategory | Check::ExtraFeature => 5,
            },
            Self::Location { .. } | Self::Spread { .. } | Self::NewLevel { .. } => 2,
            Self::Below { .. } | Self::VanishedLevel { .. } => 3,
            Self::Tail { .. } | Self::Bin { .. } => 4,
            Self::Seasonal => 6,
        }
    }
}

fn failed_checks(case: &Case<'_>) -> Vec<Finding> {
    let checks = case.report.checks.iter().flat_map(|checks| checks.iter());
    checks.filter(|checked| checked.detected).cloned().map(Finding::Check).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits of a share are enough")]
fn moved(case: &Case<'_>) -> Vec<Moved> {
    let content = &case.feature.content;
    let (before, now) = (content.reported(), content.reported_of(case.counts));
    let total = |rows: &[u64]| rows.iter().sum::<u64>().max(1) as f64;
    let (m, n) = (total(&before), total(&now));
    let bins = case.feature.bins(&[], &[]);
    let moved = bins.into_iter().zip(before.iter().zip(&now)).map(|(bin, (before, now))| {
        let (share, baseline_share) = (*now as f64 / n, *before as f64 / m);
        Moved {
            bin: bin.label,
            share: share as f32,
            baseline_share: baseline_share as f32,
            difference: (share - baseline_share) as f32,
        }
    });
    let mut moved: Vec<Moved> =
        moved.filter(|moved| f64::from(moved.difference.abs()) >= MIN_SHARE).collect();
    moved.sort_by(|a, b| b.difference.abs().total_cmp(&a.difference.abs()));
    moved.truncate(MAX_MOVED);
    moved
}
