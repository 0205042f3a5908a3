//! How right the model was on the reference's own rows: what live performance is held against, and what
//! tells, before labels come, what a score means.

use crate::decode::Cell;
use crate::labels::estimate::LabelledCounts;
use crate::labels::{Kind, Scorecard, Scores, Summary};
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
    /// The output that is the prediction, if it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Arc<str>>,
}

impl ReferencePerformance {
    /// Of all parts together; scores only if all have them, of the same columns and classes. `None`
    /// if they are not of one kind, or of another prediction: live rows have but one.
    pub(super) fn merge(parts: &[Self]) -> Option<Self> {
        let summaries: Vec<_> = parts.iter().map(|part| &*part.summary).collect();
        let summary = Arc::new(Summary::merge(&summaries)?);
        let Self { score_columns, prediction, .. } = parts.first()?.clone();
        if parts.iter().any(|part| part.prediction != prediction) {
            return None;
        }
        let mut scores = LabelledCounts::default();
        let mut add = |part: &Self| {
            let same = part.score_columns == score_columns;
            part.scores.as_ref().is_some_and(|counts| same && scores.merge(counts))
        };
        let scores = parts.iter().all(&mut add).then(|| Arc::new(scores));
        Some(Self { summary, scores, score_columns, prediction })
    }
}

/// Rows whose label is known, one after the other.
#[derive(Debug, Default)]
pub struct PerformanceBuilder {
    card: Scorecard,
    scores: LabelledCounts,
    score_columns: Vec<Arc<str>>,
    prediction: Option<Arc<str>>,
    rows: u64,
    with_scores: u64,
}

impl PerformanceBuilder {
    /// Of the outputs that were named as scores and as the prediction, if any were.
    pub fn new(score_columns: Vec<Arc<str>>, prediction: Option<Arc<str>>) -> Self {
        Self { score_columns, prediction, ..Self::default() }
    }

    /// Takes what was said of a row and what was true; nothing if either is missing.
    pub fn add(&mut self, prediction: Cell<'_>, scores: &Scores, label: Cell<'_>) {
        if self.card.add(prediction, scores, label) {
            self.rows += 1;
            self.with_scores += u64::from(self.scores.add_said(prediction, scores, label));
        }
    }

    /// Rows that had a prediction and a label.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Those among them that had class probabilities, and a label to go with them.
    pub fn rows_with_scores(&self) -> u64 {
        self.with_scores
    }

    /// `None` without rows.
    pub fn finish(self) -> Option<ReferencePerformance> {
        let summary = Arc::new(self.card.summary()?);
        // Numbers that happen to lie in [0, 1] are no scores of classes.
        let is_of_classes = summary.kind != Kind::Numbers && self.with_scores == self.rows;
        let scores = is_of_classes.then(|| Arc::new(self.scores));
        let Self { score_columns, prediction, .. } = self;
        Some(ReferencePerformance { summary, scores, score_columns, prediction })
    }
}
