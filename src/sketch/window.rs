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

    pub fn rows(&self) -> u64 {
        match self {
            Self::Numeric(counts) => counts.rows(),
            Self::Categorical(counts) => counts.rows(),
        }
    }
}
