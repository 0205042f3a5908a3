//! One feature's window, of either kind.

use super::{CategoricalCounts, CategoricalSketch, EdgesDiffer, NumericCounts, NumericSketch};
use crate::decode::Column;

/// What one window holds of one feature.
#[derive(Debug, Clone)]
pub enum FeatureSketch {
    Numeric(NumericSketch),
    Categorical(CategoricalSketch),
}

/// The exactly mergeable part of a window.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureCounts {
    Numeric(NumericCounts),
    Categorical(CategoricalCounts),
}

impl FeatureSketch {
    /// Rows that were kept at `rate`, in (0, 1]: each stands for 1 / rate.
    pub fn observe_sampled(&mut self, column: &Column, rate: f64) {
        match self {
            Self::Numeric(sketch) => sketch.observe_sampled(column, rate),
            Self::Categorical(sketch) => sketch.observe_sampled(column, rate),
        }
    }

    pub fn observe(&mut self, column: &Column) {
        match self {
            Self::Numeric(sketch) => sketch.observe(column),
            Self::Categorical(sketch) => sketch.observe(column),
        }
    }

    pub fn merge(&mut self, other: &Self) -> Result<(), EdgesDiffer> {
        match (self, other) {
            (Self::Numeric(sketch), Self::Numeric(other)) => sketch.merge(other),
            (Self::Categorical(sketch), Self::Categorical(other)) => sketch.merge(other),
            _ => Err(EdgesDiffer),
        }
    }

    pub fn counts(&self) -> FeatureCounts {
        match self {
            Self::Numeric(sketch) => FeatureCounts::Numeric(sketch.counts().clone()),
            Self::Categorical(sketch) => FeatureCounts::Categorical(sketch.counts().clone()),
        }
    }
}

impl FeatureCounts {
    /// Counts without the sketches beside them: of quantiles, and of levels that are not known. Rows that
    /// were kept at `rate`, in (0, 1], each stand for 1 / rate.
    pub fn observe_sampled(&mut self, column: &Column, rate: f64) {
        match self {
            Self::Numeric(counts) => counts.observe_sampled(column, rate),
            Self::Categorical(counts) => counts.observe_sampled(column, rate),
        }
    }

    pub fn merge(&mut self, other: &Self) -> Result<(), EdgesDiffer> {
        match (self, other) {
            (Self::Numeric(counts), Self::Numeric(other)) => counts.merge(other),
            (Self::Categorical(counts), Self::Categorical(other)) => counts.merge(other),
            _ => Err(EdgesDiffer),
        }
    }

    /// Counts of nothing, on the same edges or levels.
    #[must_use]
    pub fn emptied(&self) -> Self {
        match self {
            Self::Numeric(counts) => Self::Numeric(NumericCounts::new(counts.edges().clone())),
            Self::Categorical(counts) => {
                Self::Categorical(CategoricalCounts::new(counts.levels().clone()))
            }
        }
    }

    /// Whether rows were sampled at different rates, so that they are worth more or less than others.
    pub fn is_weighted(&self) -> bool {
        match self {
            Self::Numeric(counts) => counts.is_weighted(),
            Self::Categorical(counts) => counts.is_weighted(),
        }
    }

    /// What sampled rows are worth; as they are where all were sampled at one rate.
    #[must_use]
    pub fn effective(self) -> Self {
        let effective = match &self {
            Self::Numeric(counts) => counts.effective().map(Self::Numeric),
            Self::Categorical(counts) => counts.effective().map(Self::Categorical),
        };
        effective.unwrap_or(self)
    }

    pub fn rows(&self) -> u64 {
        match self {
            Self::Numeric(counts) => counts.rows(),
            Self::Categorical(counts) => counts.rows(),
        }
    }
}
