//! A baseline's own rows of one segment.

use super::SegmentKey;
use super::registry::name;
use crate::drift::baseline::BaselineFeature;
use std::sync::Arc;

/// The rows of one segment among those of a baseline, on the edges and levels of the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedSegment {
    pub(super) key: SegmentKey,
    pub(super) value: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) rows: u64,
    /// One for each feature of the baseline, in its order.
    pub(super) features: Vec<BaselineFeature>,
}

impl RecordedSegment {
    pub(super) fn new(
        key: SegmentKey,
        value: Arc<str>,
        rows: u64,
        features: Vec<BaselineFeature>,
    ) -> Self {
        let name = name(&key, &value);
        Self { key, value, name, rows, features }
    }

    pub fn key(&self) -> &SegmentKey {
        &self.key
    }

    pub fn value(&self) -> &str {
        &self.value
    }

    /// `country=FR`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// One for each feature of the baseline, in its order.
    pub fn features(&self) -> &[BaselineFeature] {
        &self.features
    }
}
