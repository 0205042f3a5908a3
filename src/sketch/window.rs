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
    pub fn merge(&mut self, other: &Self) -> Result<(), EdgesDiffer> {
        match (self, other) {
            (Self::Numeric(counts), Self::Numeric(other)) => counts.merge(other),
            (Self::Categorical(counts), Self::Categorical(other)) => counts.merge(other),
            _ => Err(EdgesDiffer),
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
