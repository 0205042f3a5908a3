//! Do features still go together as they did? For shifts that no feature shows by itself.
//!
//! In: rows, scored by the baseline's bins, as sums of fixed size a window. Out: one p-value a window, with
//! the pairs whose correlation changed most. The promise: a change of features one by one does not count as
//! one of how they go together, as far as they go together as normal variables do; and windows in which
//! nothing changes are called changed no more often than the share of the error rate that is set apart for
//! it.
//!
//! Every feature counts by the normal score of its rank in the baseline, so that neither tails nor units
//! matter. Two tests share one p-value: the largest change of any correlation (after Cai and Zhang,
//! "Inference for high-dimensional differential correlation matrices", 2016; with Fisher's z and
//! Bonferroni), for few pairs that change much; and the part of the variance that the baseline's first
//! principal components leave (the reconstruction error of PCA), for many that change a little. Standard
//! errors are those of the baseline's own rows, not of a normal distribution.

mod eigen;
mod judge;
mod moments;
mod reservoir;
mod scores;
mod watch;

#[cfg(test)]
mod simulations;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(super) use reservoir::Reservoir;
pub(super) use watch::JointWatch;

/// Features, or levels of features, that are looked at together, at most.
pub(super) const MAX_COORDINATES: usize = 32;

/// The part of `drift.false_discovery_rate` that is set apart for the joint test, where there is one.
pub(super) const ERROR_SHARE: f64 = 0.1;

/// What a baseline has of how its inputs go together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Joint {
    /// Rows it was learnt from: of a sample, where there were many.
    pub(crate) rows: u64,
    pub(crate) coordinates: Vec<Coordinate>,
    /// Of scores, pair by pair: (1, 0), (2, 0), (2, 1), (3, 0) and so on.
    pub(crate) correlations: Vec<f64>,
    /// σ of each correlation, times the root of the rows.
    pub(crate) spreads: Vec<f64>,
    /// The same of the reconstruction error.
    pub(crate) reconstruction_spread: f64,
    /// By how much that error is greater over other rows than over those that gave the components.
    pub(crate) reconstruction_optimism: f64,
}

/// A numeric feature, or whether a categorical one has a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coordinate {
    /// Its place in the baseline.
    pub(crate) feature: usize,
    pub(crate) level: Option<usize>,
}

/// How the features of one window go together, against the baseline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JointReport {
    pub p_value: f64,
    /// Not chance, at a tenth of `drift.false_discovery_rate`, which is set apart for this test.
    pub significant: bool,
    /// Significant, and of a size worth acting on.
    pub detected: bool,
    /// The larger of the two tests' statistics, in standard errors.
    pub statistic: f64,
    /// The pairs that changed most, most first; none where nothing is significant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<PairChange>,
    /// The share of the variance that the first principal components of the baseline leave; and the share
    /// that they leave of the baseline's, had its features by themselves been as the window's are.
    pub reconstruction_error: f64,
    pub baseline_reconstruction_error: f64,
}

impl JointReport {
    /// What changed most; `None` where nothing worth acting on did.
    pub fn in_words(&self) -> Option<String> {
        let found = "features go together in another way";
        let name = |name: &Arc<str>, level: &Option<Arc<str>>| match level {
            Some(level) => format!("{name} ({level})"),
            None => name.to_string(),
        };
        self.detected.then(|| match self.pairs.first() {
            None => found.to_owned(),
            Some(pair) => {
                let first = name(&pair.first, &pair.first_level);
                let second = name(&pair.second, &pair.second_level);
                let (before, after) = (pair.before, pair.after);
                format!(
                    "{found}: {first} and {second}, correlation {before:.2} before, {after:.2} now"
                )
            }
        })
    }
}

/// Two features, or levels of features, and their correlation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairChange {
    pub first: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_level: Option<Arc<str>>,
    pub second: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_level: Option<Arc<str>>,
    /// Of normal scores, in [-1, 1].
    pub before: f64,
    pub after: f64,
}

/// The pairs of so many, in the order in which they are kept.
pub(super) fn pairs(coordinates: usize) -> impl Iterator<Item = (usize, usize)> {
    (1..coordinates).flat_map(|second| (0..second).map(move |first| (second, first)))
}

/// How many pairs there are.
pub(crate) const fn pairs_of(coordinates: usize) -> usize {
    coordinates * coordinates.saturating_sub(1) / 2
}
