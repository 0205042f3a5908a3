//! What a segment's windows are compared with.

use super::SegmentReference;
use crate::drift::baseline::{
    Baseline, BaselineFeature, CategoricalReference, Content, NumericReference,
};
use crate::sketch::{EdgesDiffer, FeatureCounts};
use std::sync::Arc;

/// Of one segment, for all watched features in their order.
#[derive(Debug)]
pub(super) enum Basis {
    /// The place among the segments that the baseline has recorded.
    Recorded(usize),
    Learned(Arc<[BaselineFeature]>),
    Learning {
        counts: Vec<FeatureCounts>,
        rows: u64,
    },
    Whole,
    Nothing,
}

impl Basis {
    pub(super) fn word(&self) -> SegmentReference {
        match self {
            Self::Recorded(_) => SegmentReference::Segment,
            Self::Learned(_) => SegmentReference::Learned,
            Self::Learning { .. } => SegmentReference::Learning,
            Self::Whole => SegmentReference::Whole,
            Self::Nothing => SegmentReference::None,
        }
    }
}

impl Basis {
    /// Whether there is anything to compare with.
    pub(super) fn is_known(&self) -> bool {
        matches!(self, Self::Recorded(_) | Self::Learned(_) | Self::Whole)
    }

    /// Of the watched feature that has that `place` in the baseline.
    pub(super) fn feature<'a>(
        &'a self,
        baseline: &'a Baseline,
        watched: usize,
        place: usize,
    ) -> Option<&'a BaselineFeature> {
        match self {
            Self::Recorded(segment) => baseline.segments().get(*segment)?.features().get(place),
            Self::Learned(features) => features.get(watched),
            Self::Whole => baseline.features().get(place),
            Self::Learning { .. } | Self::Nothing => None,
        }
    }

    /// A window's counts, while they are to become the reference.
    pub(super) fn learn<'a>(&mut self, window: impl Iterator<Item = &'a FeatureCounts>) {
        let Self::Learning { counts, rows } = self else { return };
        let mut most = 0;
        for (sum, part) in counts.iter_mut().zip(window) {
            most = most.max(part.rows());
            add(sum, part);
        }
        *rows += most;
    }

    /// What was learnt is the reference from here on, if there are `enough` rows.
    pub(super) fn settle(&mut self, baseline: &Baseline, watched: &[usize], enough: u64) {
        let Self::Learning { counts, rows } = self else { return };
        if *rows < enough {
            return;
        }
        let counts = std::mem::take(counts).into_iter().zip(watched);
        let features = baseline.features();
        let learned = counts
            .map(|(counts, place)| features[*place].with_counts(counts.effective(), Part::Beside));
        *self = Self::Learned(learned.collect());
    }
}

/// Whether the rows of a part are among those of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::drift) enum Part {
    Of,
    Beside,
}

impl BaselineFeature {
    /// The same feature with the counts of some rows only, on the same edges or levels. Counts of
    /// another kind change nothing.
    pub(in crate::drift) fn with_counts(&self, counts: FeatureCounts, part: Part) -> Self {
        let content = match (&self.content, counts) {
            (Content::Numeric(whole), FeatureCounts::Numeric(counts)) => {
                let sigma = counts.sigma().unwrap_or_default();
                let groups = whole.groups.clone();
                Content::Numeric(NumericReference {
                    sigma,
                    groups,
                    quantiles: Vec::new(),
                    // Not counted in parts: no test looks for values that come again.
                    repeated: None,
                    counts,
                })
            }
            (Content::Categorical(whole), FeatureCounts::Categorical(counts)) => {
                let both = whole.counts.level_rows().iter().zip(counts.level_rows());
                let alone = both.filter(|(whole, part)| (**whole, **part) == (1, 1)).count() as u64;
                let seen = counts.level_rows().iter().filter(|rows| **rows > 0).count() as u64;
                Content::Categorical(CategoricalReference {
                    shown: whole.shown,
                    // Beside the whole, levels that it did not have are counted as such: nothing is
                    // left to be estimated.
                    singletons: if part == Part::Of { alone } else { 0 },
                    distinct: seen,
                    counts,
                })
            }
            (content, _) => content.clone(),
        };
        // Rows of a part hang together as those of the whole do.
        let variation = self.variation.clone();
        Self { key: self.key.clone(), content, labels: self.labels.clone(), variation }
    }
}

/// Both stand on the same edges: merging cannot be refused.
pub(super) fn add(sum: &mut FeatureCounts, part: &FeatureCounts) {
    let _: Result<(), EdgesDiffer> = sum.merge(part);
}
