//! Everything analysis knows at one moment, published whole: readers never lock analysis.

use super::spoken::RouteDialect;
use super::state::StateReport;
use crate::archive;
use crate::drift::{
    EarlyWarnings, FeatureView, HeldReferences, ReferenceState, SegmentWindow, WindowReport,
};
use crate::labels;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// Plain data; every reader holds the one it loaded for as long as it likes.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub model_name: Arc<str>,
    pub model_version: Arc<str>,
    pub reference: ReferenceState,
    /// Every watched feature, inputs first, in the order first seen.
    pub features: Vec<FeatureView>,
    /// When their rows began to be counted: with the baseline in use, or `None` with the process.
    pub counted_since: Option<Timestamp>,
    /// Features that were seen but are over `features.max`, and so not watched.
    pub features_over_limit: u64,
    /// Features that requests carry and the baseline does not have: counted, not judged.
    pub extra_features: u64,
    /// Closed windows of every length, oldest first, bounded.
    pub windows: VecDeque<Arc<WindowReport>>,
    /// The last closed window of each length, part by part.
    pub segments: Vec<Arc<SegmentWindow>>,
    /// `None` where it is off, and while the baseline is learned.
    pub early: Option<Arc<EarlyWarnings>>,
    pub labels: labels::Report,
    /// Exchanges that were decoded, and the rows they held.
    pub decoded_exchanges: u64,
    pub input_rows: u64,
    pub output_rows: u64,
    /// Why payloads could not be decoded, most frequent first.
    pub problems: Vec<Problem>,
    /// What each route was heard to speak.
    pub dialects: Vec<RouteDialect>,
    /// `None` where nothing is recorded.
    pub archive: Option<archive::State>,
    /// `None` where nothing is saved.
    pub state: Option<Arc<StateReport>>,
    /// Earlier windows that are held to be compared with.
    pub held_references: HeldReferences,
}

/// A kind of payload that could not be decoded, and how often. Never payload bytes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Problem {
    pub reason: &'static str,
    pub count: u64,
}
