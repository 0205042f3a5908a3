//! What live rows are compared with: per feature, frozen bins and what the reference had in each.
//!
//! Rows in, through [`BaselineBuilder`]; a [`Baseline`] out, which is written as JSON that a person
//! can read, checked when it is read back, and merged with others. The same rows give the same
//! file, byte for byte: for that reason quantiles are exact ones at given ranks and not a KLL sketch,
//! whose coin cannot be seeded.

mod bins;
mod builder;
mod error;
mod feature;
mod file;
mod merge;
mod observed;
mod performance;
mod together;

#[cfg(test)]
mod tests;

pub use builder::{BaselineBuilder, BaselineSettings};
pub use error::BaselineError;
pub use feature::BaselineFeature;
pub use performance::{PerformanceBuilder, ReferencePerformance};

use super::joint::{Joint, Reservoir};

pub(crate) use builder::NameCount;
pub(crate) use feature::{CategoricalReference, Content, NumericReference};

use super::dependence::Variation;
use super::segments::RecordedSegment;

/// Ranks at which a baseline keeps the reference's value, under the names its file has.
const QUANTILES: [(&str, f64); 9] = [
    ("0.01", 0.01),
    ("0.05", 0.05),
    ("0.1", 0.1),
    ("0.25", 0.25),
    ("0.5", 0.5),
    ("0.75", 0.75),
    ("0.9", 0.9),
    ("0.95", 0.95),
    ("0.99", 0.99),
];

/// The reference of every feature. Immutable; its hash names it in verdicts.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    rows: u64,
    hash: String,
    features: Vec<BaselineFeature>,
    performance: Option<ReferencePerformance>,
    segments: Vec<RecordedSegment>,
    joint: Option<Joint>,
}

impl Baseline {
    /// `rows_together` are rows of the inputs.
    fn new(
        rows: u64,
        mut features: Vec<BaselineFeature>,
        rows_together: Option<Reservoir>,
    ) -> Self {
        features.sort_by_key(|feature| feature.key.role);
        let joint = rows_together.and_then(|rows| rows.finish(&features));
        let (performance, segments) = (None, Vec::new());
        Self { rows, hash: String::new(), features, joint, performance, segments }.hashed()
    }

    fn hashed(mut self) -> Self {
        self.hash = file::hash(&self);
        self
    }

    /// With what labels said of its rows.
    #[must_use]
    pub fn with_performance(self, performance: ReferencePerformance) -> Self {
        Self { performance: Some(performance), ..self }.hashed()
    }

    /// What labels said of its rows, if they were known.
    pub fn performance(&self) -> Option<&ReferencePerformance> {
        self.performance.as_ref()
    }

    /// With how each feature varies, in their order.
    pub(crate) fn with_variation(self, variation: Vec<Variation>) -> Self {
        let features = self.features.into_iter().zip(variation);
        let features = features.map(|(feature, variation)| feature.with_variation(variation));
        Self { features: features.collect(), ..self }.hashed()
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Of the content, 16 hexadecimal digits: equal hashes are equal baselines.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Inputs first, in the order first seen.
    pub fn features(&self) -> &[BaselineFeature] {
        &self.features
    }

    /// The rows of parts of it, where they were recorded.
    pub fn segments(&self) -> &[RecordedSegment] {
        &self.segments
    }

    /// The same with the rows of parts of it, which its hash tells too.
    pub(super) fn with_segments(self, segments: Vec<RecordedSegment>) -> Self {
        Self { segments, ..self }.hashed()
    }

    /// How inputs go together; `None` in a file that does not say, with too few rows, and after a merge.
    pub(crate) fn joint(&self) -> Option<&Joint> {
        self.joint.as_ref()
    }

    /// The file's text; the same baseline always gives the same.
    pub fn to_json(&self) -> String {
        file::write(self)
    }

    /// Reads what [`Self::to_json`] wrote. Errors name the feature and the field.
    pub fn from_json(json: &[u8]) -> Result<Self, BaselineError> {
        file::read(json)
    }

    /// One baseline as if all rows had been observed together.
    ///
    /// Where bins or levels are equal, exact. Otherwise the bins of the baseline with most rows of the
    /// feature are kept and the others' rows are moved to them, a bin that is cut being taken as
    /// evenly filled: no share is off by more than the share of the bins that are cut (each is
    /// about 2 % of its baseline, so the error is far below that). Levels are united; a level that
    /// one baseline keeps and another has under `other` is undercounted by what is there. Segments, whose
    /// edges may have moved, are left out; so is how features go together, which cannot be told from parts
    /// whose bins differ.
    pub fn merge(baselines: Vec<Self>) -> Result<Self, BaselineError> {
        merge::merge(baselines)
    }
}
