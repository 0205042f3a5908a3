//! Everything analysis knows at one moment, published whole: readers never lock analysis.

use crate::drift::{FeatureView, WindowReport};
use crate::labels;
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
    /// Features that were seen but are over `features.max`, and so not watched.
    pub features_over_limit: u64,
    /// Closed windows of every length, oldest first, bounded.
    pub windows: VecDeque<Arc<WindowReport>>,
    pub labels: labels::Report,
    /// Exchanges that were decoded, and the rows they held.
    pub decoded_exchanges: u64,
    pub input_rows: u64,
    pub output_rows: u64,
    /// Why payloads could not be decoded, most frequent first.
    pub problems: Vec<Problem>,
    pub archive: Option<ArchiveState>,
}

/// What live rows are compared with.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ReferenceState {
    /// No baseline was given: the first rows become it.
    Learning { rows: u64, needed: u64 },
    /// The first rows of live traffic, which may themselves not look like training data.
    Learned { rows: u64, hash: String },
    /// A file built from training data.
    Given { rows: u64, hash: String },
}

impl ReferenceState {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Learning { .. } => "learning",
            Self::Learned { .. } => "learned",
            Self::Given { .. } => "given",
        }
    }
}

/// A kind of payload that could not be decoded, and how often. Never payload bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    pub reason: &'static str,
    pub count: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct ArchiveState {
    pub exchanges: u64,
    /// Not written: the disk failed, or the writer was behind.
    pub lost_exchanges: u64,
    pub bytes: u64,
    pub files: u64,
    /// Removed to stay under `archive.max_bytes`.
    pub expired_files: u64,
    /// The last failure of the disk, until a write succeeds.
    pub last_error: Option<String>,
}
