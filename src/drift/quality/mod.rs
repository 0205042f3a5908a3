//! Is the data in order? Apart from whether it drifts: each check of each feature, its share of rows in
//! the window and in the baseline, and whether that is more than chance.
//!
//! In: the counts of a window and its reference, the longest run of one value, features that came and
//! that stayed away. Out: what each check found, judged together by Benjamini and Hochberg over all
//! checks of the window. A check looks one way: fewer nulls than before are no fault. Of kinds that
//! formats exchange for one another, null and absent, neither is blamed where both together are as
//! before.

mod extras;
mod repeats;
mod runs;
mod units;
mod words;

#[cfg(test)]
mod tests;

use super::baseline::{BaselineFeature, Content};
use super::dependence::DesignEffects;
use super::effect::MIN_SHARE;
use super::report::WindowReport;
use super::significance::{Part, beyond, discoveries, more};
use crate::sketch::{FeatureCounts, FeatureSketch, Role};
use repeats::Expected;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

pub use extras::{ExtraFeature, ExtraFeatures};
pub use units::UnitChange;

pub(super) use extras::Extras;
pub(super) use runs::{Grouping, Runs};

/// A stop shorter than this share of a window's requests is not worth a word.
const MIN_RUN_SHARE: f64 = 0.05;
/// A value that is more than this share of the baseline comes in long runs wherever rows depend on one
/// another (dry days, requests of one country): that is no sign that it stands still.
const MAX_FROZEN_SHARE: f64 = 0.2;
/// A run that is likelier is left out.
const LIKELY: f64 = 0.05;

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Null or not a number.
    Null,
    /// A text where the baseline has numbers, or the reverse.
    TypeError,
    /// Outside what the baseline had.
    OutOfBounds,
    /// Of a level that the baseline never saw.
    NewCategory,
    /// Rows of requests that do not have the feature at all.
    MissingFeature,
    /// Rows of requests that have features unknown to the baseline.
    ExtraFeature,
    /// One value throughout: the share of rows that the baseline has of it is its ratio there.
    Constant,
    /// One value for long: the longest run's share of the window's requests.
    Frozen,
    /// The baseline's values in another unit; the ratio is the share of the distance that this explains.
    UnitChange,
}

impl Check {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::TypeError => "type_error",
            Self::OutOfBounds => "out_of_bounds",
            Self::NewCategory => "new_category",
            Self::MissingFeature => "missing_feature",
            Self::ExtraFeature => "extra_feature",
            Self::Constant => "constant",
            Self::Frozen => "frozen",
            Self::UnitChange => "unit_change",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        const ALL: [Check; 9] = [
            Check::Null,
            Check::TypeError,
            Check::OutOfBounds,
            Check::NewCategory,
            Check::MissingFeature,
            Check::ExtraFeature,
            Check::Constant,
            Check::Frozen,
            Check::UnitChange,
        ];
        ALL.into_iter().find(|check| check.as_str() == name)
    }
}

/// What one check found in a window. One that found nothing, there and in the baseline, is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    pub check: Check,
    /// Share of the window's rows, in [0, 1]; of new levels the baseline's is the chance of one by Good
    /// and Turing.
    pub ratio: f32,
    pub baseline_ratio: f32,
    /// Before the correction for many checks; `None` with too few rows. Of a unit change, the feature's.
    pub p_value: Option<f32>,
    /// Not chance, at `drift.false_discovery_rate` over all checks of the window.
    pub significant: bool,
    /// Significant, and of at least half a percent of the rows more than in the baseline.
    pub detected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_change: Option<Box<UnitChange>>,
}

/// Of one feature and window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Checks(Vec<Checked>);

impl From<Vec<Checked>> for Checks {
    fn from(checked: Vec<Checked>) -> Self {
        Self(checked)
    }
}

impl Checks {
    pub fn iter(&self) -> impl Iterator<Item = &Checked> {
        self.0.iter()
    }

    /// Whether something is detected.
    pub fn fail(&self) -> bool {
        self.iter().any(|checked| checked.detected)
    }

    pub fn get(&self, check: Check) -> Option<&Checked> {
        self.iter().find(|checked| checked.check == check)
    }
}

/// A check that something failed in a window; extra features have no name of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    pub role: Role,
    pub feature: Option<Arc<str>>,
    pub check: Check,
}

/// `null of age`, or `extra_feature of inputs`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.feature {
            Some(feature) => write!(f, "{} of {feature}", self.check.as_str()),
            None => write!(f, "{} of {}s", self.check.as_str(), self.role),
        }
    }
}

impl WindowReport {
    /// What is not in order, in a fixed order.
    pub fn failures(&self) -> Vec<Failure> {
        let of_features = self.features.iter().flat_map(|report| {
            let failed = report.checks.iter().flat_map(|checks| checks.iter());
            failed.filter(|checked| checked.detected).map(|checked| Failure {
                role: report.role,
                feature: Some(Arc::clone(&report.feature)),
                check: checked.check,
            })
        });
        let extra = self.extra_features.iter().flatten().filter(|extra| extra.checked.detected);
        let extra = extra.map(|extra| Failure {
            role: extra.role,
            feature: None,
            check: Check::ExtraFeature,
        });
        let mut failures: Vec<Failure> = of_features.chain(extra).collect();
        failures.sort();
        failures
    }
}

/// One feature of the window that ends.
pub(super) struct Subject<'a> {
    pub(super) feature: &'a BaselineFeature,
    /// Rows that have the feature.
    pub(super) rows: u64,
    /// What those rows are worth, where they were sampled at different rates.
    pub(super) counts: &'a FeatureCounts,
    pub(super) sketch: &'a FeatureSketch,
    pub(super) runs: &'a Runs,
    /// Rows of its role that the window had before the feature was watched.
    pub(super) rows_before: u64,
    /// By so many the rows are more than independent ones that tell as much.
    pub(super) effects: &'a DesignEffects,
    /// Whether the feature drifts, and by which p-value.
    pub(super) drifts: Option<f64>,
}

/// What stands around the features: by role, rows of the window and of the reference.
pub(super) struct Around<'a> {
    pub(super) rows: [u64; 2],
    pub(super) reference_rows: [u64; 2],
    /// `None` where it cannot be told which features are extra.
    pub(super) extras: Option<&'a Extras>,
}

pub(super) struct Judged {
    /// In the order of the subjects.
    pub(super) features: Vec<Option<Box<Checks>>>,
    pub(super) extra: Option<Box<[ExtraFeatures]>>,
}

/// What a check saw, before all are judged together.
#[derive(Debug)]
pub(super) struct Finding {
    check: Check,
    ratio: f64,
    baseline_ratio: f64,
    p_value: Option<f64>,
    floor: f64,
    unit_change: Option<Box<UnitChange>>,
}

impl Finding {
    fn new(check: Check, ratio: f64, baseline_ratio: f64, p_value: Option<f64>) -> Self {
        Self { check, ratio, baseline_ratio, p_value, floor: MIN_SHARE, unit_change: None }
    }

    #[expect(clippy::cast_possible_truncation, reason = "seven digits of a share are enough")]
    fn checked(self, significant: bool) -> Option<Checked> {
        let says_something = match self.check {
            // Some run is always the longest.
            Check::Frozen => self.p_value.is_some_and(|p_value| p_value < LIKELY),
            _ => self.ratio > 0.0 || self.baseline_ratio > 0.0,
        };
        says_something.then(|| Checked {
            check: self.check,
            ratio: self.ratio as f32,
            baseline_ratio: self.baseline_ratio as f32,
            p_value: self.p_value.map(|p_value| p_value as f32),
            significant,
            detected: significant && self.ratio - self.baseline_ratio >= self.floor,
            unit_change: self.unit_change,
        })
    }
}

pub(super) fn judge(
    subjects: &[Subject<'_>],
    around: &Around<'_>,
    min_rows: u64,
    rate: f64,
) -> Judged {
    let findings: Vec<_> = subjects.iter().map(|subject| subject.findings(around)).collect();
    let extra = [Role::Input, Role::Output].map(|role| {
        let (rows, reference) = (around.rows[role as usize], around.reference_rows[role as usize]);
        around.extras.and_then(|extras| extras.finding(role, rows, reference))
    });
    let enough = |rows: u64| rows >= min_rows.max(1);
    let of_features = findings.iter().zip(subjects).flat_map(|(findings, subject)| {
        // A feature that stays away has no rows: enough of the requests' will do.
        let rows = subject.rows(around);
        let enough = enough(rows.window) && enough(subject.feature.rows());
        findings.iter().map(move |finding| finding.p_value.filter(|_| enough))
    });
    let of_extra = extra.iter().zip(around.rows).flat_map(|(finding, rows)| {
        finding.iter().map(move |finding| finding.p_value.filter(|_| enough(rows)))
    });
    let p_values: Vec<Option<f64>> = of_features.chain(of_extra).collect();
    let mut significant = p_values.iter().copied().zip(discoveries(&p_values, rate));
    let mut checked = |finding: Finding| {
        let (p_value, significant) = significant.next()?;
        Finding { p_value, ..finding }.checked(significant)
    };
    let features = findings.into_iter().map(|findings| {
        let checked: Vec<Checked> = findings.into_iter().filter_map(&mut checked).collect();
        (!checked.is_empty()).then(|| Box::new(Checks(checked)))
    });
    let features = features.collect();
    let extra = extra.into_iter().zip([Role::Input, Role::Output]).filter_map(|(finding, role)| {
        let checked = checked(finding?)?;
        around.extras.map(|extras| extras.report(role, checked))
    });
    let extra: Box<[ExtraFeatures]> = extra.collect();
    Judged { features, extra: (!extra.is_empty()).then_some(extra) }
}

impl Subject<'_> {
    /// As far as the feature was watched.
    fn rows(&self, around: &Around<'_>) -> Rows {
        let role = self.feature.key().role as usize;
        let window = around.rows[role].saturating_sub(self.rows_before);
        Rows { window, reference: around.reference_rows[role] }
    }

    fn findings(&self, around: &Around<'_>) -> Vec<Finding> {
        let mut findings = self.absent_or_null(&self.rows(around));
        findings.extend(self.of_kind());
        findings.extend(self.repeated());
        findings.extend(self.in_another_unit());
        findings
    }

    /// Each of the two must be more than before, and so must both together: an intersection of tests,
    /// whose p-value is the larger one (Berger 1982).
    fn absent_or_null(&self, rows: &Rows) -> Vec<Finding> {
        let missing = |counts: &FeatureCounts| match counts {
            FeatureCounts::Numeric(counts) => counts.missing(),
            FeatureCounts::Categorical(counts) => counts.nulls(),
        };
        let (null, reference_null) = (missing(self.counts), self.feature.content.missing());
        let (window_rows, reference_rows) = (self.counts.rows(), self.feature.rows());
        // Worth as much as those that are there.
        let absent = rows.window.saturating_sub(self.rows);
        let absent = (absent * window_rows).checked_div(self.rows).unwrap_or(absent);
        let reference_absent = rows.reference.saturating_sub(reference_rows);
        let all = (window_rows + absent, reference_rows + reference_absent);
        let of_nulls = self.effects.missing().max(1.0);
        // How requests without the feature follow each other is not learnt: at least as values do.
        let of_absent = of_nulls.max(self.effects.values());
        let together = Shares::new(null + absent, all.0, reference_null + reference_absent, all.1)
            .more(of_nulls);
        let null = Shares::new(null, window_rows, reference_null, reference_rows);
        let absent = Shares::new(absent, all.0, reference_absent, all.1);
        vec![
            null.finding(Check::Null, null.more(of_nulls).max(together)),
            absent.finding(Check::MissingFeature, absent.more(of_absent).max(together)),
        ]
    }

    fn of_kind(&self) -> Vec<Finding> {
        let [odd, values] = [self.effects.odd(), self.effects.values()].map(|it| it.max(1.0));
        match (&self.feature.content, self.counts) {
            (Content::Numeric(reference), FeatureCounts::Numeric(window)) => {
                let reference = &reference.counts;
                let rows = (window.rows(), reference.rows());
                let types =
                    Shares::new(window.type_errors(), rows.0, reference.type_errors(), rows.1);
                let finite = (window.values(), reference.values());
                let infinite = Shares::new(window.infinities, rows.0, reference.infinities, rows.1);
                let sides = [window.below, window.above]
                    .map(|beyond_it| beyond((beyond_it, finite.0), (0, finite.1), values));
                let least = sides.into_iter().fold(infinite.more(values), f64::min);
                let bounds =
                    Shares::new(window.out_of_bounds(), rows.0, reference.infinities, rows.1);
                vec![
                    types.finding(Check::TypeError, types.more(odd)),
                    bounds.finding(Check::OutOfBounds, (3.0 * least).min(1.0)),
                ]
            }
            (Content::Categorical(reference), FeatureCounts::Categorical(window)) => {
                let counts = &reference.counts;
                let rows = (window.rows(), counts.rows());
                let types = Shares::new(window.type_errors(), rows.0, counts.type_errors(), rows.1);
                // Good and Turing: a row is of a new level as often as one of the reference was alone in
                // its.
                let alone = (counts.other() + reference.singletons).min(counts.values());
                let new = Shares::new(window.other(), window.values(), alone, counts.values());
                vec![
                    types.finding(Check::TypeError, types.more(odd)),
                    new.finding(Check::NewCategory, new.more(values)),
                ]
            }
            _ => Vec::new(),
        }
    }

    /// Constant or frozen: not both, for what is constant stood still all the time.
    fn repeated(&self) -> Option<Finding> {
        let (run, requests) = (self.runs.longest(), self.runs.requests());
        let expected = Expected::of(&self.feature.content, run).filter(Expected::varies)?;
        if repeats::is_constant(self.counts, self.runs) {
            let p_value = repeats::all_alike(requests, &expected);
            return Some(Finding::new(Check::Constant, 1.0, expected.share(), Some(p_value)));
        }
        if expected.share() > MAX_FROZEN_SHARE {
            return None;
        }
        let rate = expected.share().max(self.runs.repeat_rate());
        let p_value = repeats::run_as_long(run.requests, requests, rate);
        let ratio = run.requests as f64 / requests.max(1) as f64;
        let mut finding = Finding::new(Check::Frozen, ratio, 0.0, Some(p_value));
        finding.floor = MIN_RUN_SHARE;
        Some(finding)
    }

    fn in_another_unit(&self) -> Option<Finding> {
        let p_value = self.drifts?;
        let (Content::Numeric(reference), FeatureSketch::Numeric(window)) =
            (&self.feature.content, self.sketch)
        else {
            return None;
        };
        let change = units::unit_change(reference, window)?;
        let mut finding = Finding::new(Check::UnitChange, change.explained, 0.0, Some(p_value));
        finding.unit_change = Some(Box::new(change));
        Some(finding)
    }
}

/// Of one role, whatever features they have.
struct Rows {
    window: u64,
    reference: u64,
}

/// Marked rows and all, of the window and of the reference.
#[derive(Debug, Clone, Copy)]
struct Shares {
    window: (u64, u64),
    reference: (u64, u64),
}

impl Shares {
    fn new(marked: u64, rows: u64, reference_marked: u64, reference_rows: u64) -> Self {
        Self { window: (marked, rows), reference: (reference_marked, reference_rows) }
    }

    fn more(self, design_effect: f64) -> f64 {
        let part = |(marked, rows)| Part::of(marked, rows, design_effect);
        more(part(self.window), part(self.reference))
    }

    fn finding(self, check: Check, p_value: f64) -> Finding {
        let ratio = |(marked, rows): (u64, u64)| marked as f64 / rows.max(1) as f64;
        Finding::new(check, ratio(self.window), ratio(self.reference), Some(p_value))
    }
}

impl Content {
    fn missing(&self) -> u64 {
        match self {
            Self::Numeric(numeric) => numeric.counts.missing(),
            Self::Categorical(levels) => levels.counts.nulls(),
        }
    }
}
