//! How right the model was on the reference's own rows: what live performance is held against, and what
//! tells, before labels come, what a score means.

use crate::labels::Summary;
use crate::labels::estimate::LabelledCounts;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Of the rows of a reference whose labels are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferencePerformance {
    pub summary: Arc<Summary>,
    /// Rows by score and label, where the model says probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Arc<LabelledCounts>>,
    /// The outputs that are scores, if they were named: one of class 1, or one a class, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub score_columns: Vec<Arc<str>>,
}
