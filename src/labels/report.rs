//! How the model did on the rows whose truth is known.

use crate::distribution::Distribution;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// What labels said, since start and window by window.
#[derive(Debug, Clone)]
pub struct Report {
    /// Rows predicted since start: with a label, waiting for it, or expired without.
    pub predictions: u64,
    /// Labels that found their prediction.
    pub joined: u64,
    /// Labels that came before or without their prediction and were not joined in time.
    pub unknown_ids: u64,
    /// A second label for a row: the last one counts.
    pub duplicates: u64,
    /// Predictions that were forgotten, after `labels.max_delay` or over the bound, without a label.
    pub expired: u64,
    /// From prediction to label; seconds.
    pub delay: Distribution,
    /// Over all rows joined since start; `None` before the first.
    pub overall: Option<Performance>,
    /// By window of prediction time, oldest first, bounded.
    pub windows: Vec<LabelWindow>,
}

#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct LabelWindow {
    pub start: Timestamp,
    pub end: Timestamp,
    pub joined: u64,
    pub predictions: u64,
    pub performance: Option<Performance>,
}

impl Report {
    /// Share of predictions whose label has come, in [0, 1]; 0 before the first prediction.
    pub fn coverage(&self) -> f64 {
        if self.predictions == 0 { 0.0 } else { self.joined as f64 / self.predictions as f64 }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Performance {
    Classification(Classification),
    Regression(Regression),
}

impl Performance {
    /// Every measure under the name users see: `accuracy`, `mae`…
    pub fn measures(&self) -> Vec<(&'static str, f64)> {
        match self {
            Self::Classification(c) => vec![
                ("accuracy", c.accuracy),
                ("precision", c.precision),
                ("recall", c.recall),
                ("f1", c.f1),
            ],
            Self::Regression(r) => {
                let mut measures = vec![("mae", r.mae), ("mse", r.mse), ("rmse", r.rmse)];
                measures.extend(r.r2.map(|r2| ("r2", r2)));
                measures
            }
        }
    }
}

/// Precision, recall and F1 are unweighted means over classes (macro averages).
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Classification {
    pub rows: u64,
    pub accuracy: f64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Regression {
    pub rows: u64,
    /// In the label's unit, as is `rmse`; `mse` in its square.
    pub mae: f64,
    pub mse: f64,
    pub rmse: f64,
    /// `None` while all labels are equal.
    pub r2: Option<f64>,
}
