//! The words of a verdict, in the shape that `taffrail drift --format json` and `/api/v1/drift` print.

use super::JointReport;
use super::explain::Explanation;
use super::provenance::Provenance;
use super::quality::{Checks, ExtraFeatures};
use super::references::References;
use super::segments::SegmentReport;
use crate::sketch::{Kind, Role};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Stable,
    Drifting,
    /// Fewer rows than `drift.min_rows`: neither stable nor drifting was shown.
    #[default]
    InsufficientData,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Drifting => "drifting",
            Self::InsufficientData => "insufficient_data",
        }
    }

    /// Where drift was found beside: it takes enough rows to say so.
    pub(super) const fn or_drifting(self) -> Self {
        match self {
            Self::Stable | Self::Drifting => Self::Drifting,
            Self::InsufficientData => self,
        }
    }
}

/// The verdict on one window, feature by feature.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct WindowReport {
    /// The window's length as configured: `5m`, `1d`, `500` for rows.
    pub window: Arc<str>,
    /// `None` where rows carry no time.
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub rows: u64,
    /// Share of the window's exchanges that analysis received, in [0, 1].
    pub coverage: f64,
    pub verdict: Verdict,
    pub features: Vec<FeatureReport>,
    /// Each with the features that have something to say; `/api/v1/features?segment=` has them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentReport>,
    /// Where answers carry attributions and there is something to compare them with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Box<AttributionDrift>>,
    /// Features of requests that the baseline lacks, by role; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_features: Option<Box<[ExtraFeatures]>>,
    pub provenance: Option<Box<Provenance>>,
    /// Of a window that went on after a restart: the time in which no process watched, or none that
    /// was saved. Its coverage is less by that share of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unwatched_seconds: Option<f64>,
    /// How inputs go together; null where the baseline does not say, or there were too few rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joint: Option<Box<JointReport>>,
}

impl WindowReport {
    /// Of how features go together: what changed, if it is worth acting on.
    pub fn joint_in_words(&self) -> Option<String> {
        self.joint.as_ref()?.in_words()
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct FeatureReport {
    pub feature: Arc<str>,
    pub role: Role,
    pub kind: Kind,
    pub rows: u64,
    pub distances: Distances,
    /// Of this window's tests against the baseline together, before the correction for many features;
    /// `None` with too few rows.
    pub p_value: Option<f64>,
    /// Not chance, at `drift.false_discovery_rate` over all features of the window: of this window alone
    /// or of it merged with the few before it.
    pub significant: bool,
    /// Significant and of a size worth acting on, in as many of the last windows as `drift.persistence`
    /// asks for.
    pub detected: bool,
    /// How large the difference is: PSI less what chance alone would give at this number of rows; not
    /// below 0.
    pub effect: Option<f64>,
    /// By so many the rows of the window are more than independent ones that would tell as much, for its
    /// comparison with the baseline; 1 where rows are independent.
    pub design_effect: f64,
    /// Differs from the baseline as a whole, but not from the baseline at the same hours of the day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seasonal: bool,
    pub quality: Quality,
    /// Where it drifts: requests of the window, in the bins whose share of rows grew most. None where
    /// rows have no request.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub examples: Box<[Example]>,
    /// Apart from the report that is printed: a page and `/api/v1/features/{name}` show it.
    #[serde(skip)]
    pub shape: Shape,
    /// Where an importance was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Box<Weight>>,
    /// What is not in order with its rows, check by check; absent where no check found any, now or in
    /// the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Box<Checks>>,
    /// Where it is significant or a check fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
    /// Against earlier windows, where `drift.references` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Box<References>>,
}

/// What a feature's drift means for the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Weight {
    /// Of all importances given, in [0, 1].
    pub importance: f64,
    /// The importance times the Jensen–Shannon distance, in [0, 1].
    pub weighted_distance: f64,
    /// From 1, among features that differ by more than chance; null for others.
    pub rank: Option<usize>,
}

/// How far the ranking of features by what answers attribute to them is from the reference's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttributionDrift {
    /// Of the window's ranking against the reference's importances, in [0, 1]; 1 is the same ranking.
    pub ndcg: f64,
    /// As near to 1 as chance leaves open, at `drift.false_discovery_rate`.
    pub ndcg_at_most: f64,
    /// `ndcg_at_most` is below 0.9.
    pub detected: bool,
    pub reference: AttributionReference,
    /// The first twenty of either ranking.
    pub features: Vec<AttributionRank>,
}

/// Where the importances come from that a window's are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttributionReference {
    /// Attributions that the baseline has.
    Baseline,
    /// `features.importance`.
    Importance,
}

/// Mean absolute attributions to a feature, and its places, from 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttributionRank {
    pub feature: Arc<str>,
    pub before: f64,
    pub now: f64,
    pub rank_before: usize,
    pub rank_now: usize,
}

/// A row of a request, and the bin that its value falls in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    pub request_id: Arc<str>,
    /// From 0: labels join on `request_id#row`.
    pub row: usize,
    pub bin: Arc<str>,
}

/// Where the rows of one window lay, in a few numbers, so that many windows can be kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// Share of rows in each bin of the baseline, in its order, in [0, 1]; empty without rows.
    pub shares: Box<[f32]>,
    /// Values at the ranks 0.05, 0.25, 0.5, 0.75 and 0.95; null for categories and without values.
    pub quantiles: Option<[f64; 5]>,
}

impl Shape {
    pub const RANKS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
}

/// Definitions and sources: see `drift::distance`. `None` where a distance has no meaning for the kind
/// of feature, or there were no rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distances {
    pub psi: Option<f64>,
    pub jensen_shannon: Option<f64>,
    pub ks: Option<f64>,
    pub wasserstein: Option<f64>,
    pub hellinger: Option<f64>,
    pub chi_squared: Option<f64>,
    pub l_infinity: Option<f64>,
}

impl Distances {
    /// Every distance that has a value, under the name users see.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> {
        [
            ("psi", self.psi),
            ("jensen_shannon", self.jensen_shannon),
            ("ks", self.ks),
            ("wasserstein", self.wasserstein),
            ("hellinger", self.hellinger),
            ("chi_squared", self.chi_squared),
            ("l_infinity", self.l_infinity),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Shares of rows, in [0, 1].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quality {
    pub null_ratio: f64,
    /// A text where the baseline has numbers, or the reverse.
    pub type_error_ratio: f64,
    /// Outside the baseline's [min, max]; 0 for categories.
    pub out_of_bounds_ratio: f64,
    /// A level the baseline never saw; 0 for numbers.
    pub new_category_ratio: f64,
}

/// One feature's live distribution beside its baseline, for pages and for `taffrail.feature.rows`.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct FeatureView {
    pub feature: Arc<str>,
    pub role: Role,
    pub kind: Kind,
    /// On the baseline's bins, in order; every bin of the baseline is there, empty ones too.
    pub bins: Vec<Bin>,
    /// Rows seen since start, and their quality.
    pub rows_total: u64,
    pub quality: Quality,
    /// `None` while the baseline is being learnt.
    pub baseline: Option<Arc<Expected>>,
}

/// What the baseline has of a feature, beside its bins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Expected {
    pub rows: u64,
    /// Values at the ranks of [`Shape::RANKS`]; null for categories and without values.
    pub quantiles: Option<[f64; 5]>,
    pub quality: Quality,
}

#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Bin {
    /// `[2.5,7.1)`, or the level; `other` for levels beyond those kept, `null` for nulls.
    pub label: Arc<str>,
    /// The interval, for numbers.
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    /// The baseline's share of rows, in [0, 1].
    pub baseline_share: f64,
    /// Rows in the current (finest, still open, and last closed) windows: what a page draws.
    pub recent_rows: u64,
    /// Rows since the process started: what a counter exports.
    pub total_rows: u64,
}
