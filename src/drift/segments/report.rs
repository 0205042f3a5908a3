//! The words of a verdict on a segment.

use crate::drift::report::{Distances, FeatureReport, Verdict};
use crate::sketch::{Kind, Role};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The verdict on one segment in one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentReport {
    /// `country=FR`, `header:x-tenant=acme`; `country=(other)` is all values over the bound, and
    /// `country=(null)` those rows that have none.
    pub segment: Arc<str>,
    pub rows: u64,
    pub verdict: Verdict,
    pub reference: SegmentReference,
    /// Features that drift, all of them.
    pub features_detected: usize,
    /// Those that drift or differ by more than chance first, then the furthest. In the report of a
    /// window, the first few.
    pub features: Vec<SegmentFeature>,
}

/// What a segment's rows were compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SegmentReference {
    /// The baseline's own rows of that segment.
    Segment,
    /// The segment's own first rows, which the baseline has not recorded.
    Learned,
    /// Nothing yet: the segment's first rows are becoming its reference.
    Learning,
    /// All rows of the baseline.
    Whole,
    /// Nothing: values over `features.max_segments` together.
    None,
}

impl SegmentReference {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Learned => "learned",
            Self::Learning => "learning",
            Self::Whole => "whole",
            Self::None => "none",
        }
    }
}

/// One feature in one segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentFeature {
    pub feature: Arc<str>,
    pub role: Role,
    pub kind: Kind,
    pub rows: u64,
    pub distances: Distances,
    pub p_value: Option<f64>,
    /// Not chance, at `drift.false_discovery_rate` over all features of all segments of the window.
    pub significant: bool,
    /// Significant, and of a size worth acting on.
    pub detected: bool,
}

/// All segments of one window, with all of their features.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SegmentWindow {
    pub window: Arc<str>,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub segments: Vec<SegmentReport>,
}

impl SegmentWindow {
    /// Features of a segment that the report of a window keeps.
    const KEPT: usize = 5;

    /// What the report of a window keeps of it.
    pub(in crate::drift) fn in_short(&self) -> Vec<SegmentReport> {
        let short = |report: &SegmentReport| SegmentReport {
            segment: Arc::clone(&report.segment),
            features: report.features.iter().take(Self::KEPT).cloned().collect(),
            ..*report
        };
        self.segments.iter().map(short).collect()
    }
}

impl From<FeatureReport> for SegmentFeature {
    fn from(report: FeatureReport) -> Self {
        Self {
            feature: report.feature,
            role: report.role,
            kind: report.kind,
            rows: report.rows,
            distances: report.distances,
            p_value: report.p_value,
            significant: report.significant,
            detected: report.detected,
        }
    }
}

impl SegmentReport {
    pub fn is_drifting(&self) -> bool {
        self.verdict == Verdict::Drifting
    }
}
