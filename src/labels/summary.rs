//! What labelled rows say of a model, in a form that can be kept, shown, and compared with another:
//! a window of live rows, the rows of a baseline, a segment.
//!
//! It is small whatever the number of rows: figures with their standard errors, counts by class, and
//! counts by score on the [grid](super::grid).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How predictions were compared with labels.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Class against class.
    #[default]
    Classes,
    /// A probability of class 1 against 0 or 1, cut at a half.
    Probabilities,
    /// Number against number.
    Numbers,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Probabilities => "probabilities",
            Self::Numbers => "numbers",
        }
    }

    /// Whether figures, names of classes and bins of scores mean the same in both. A probability that is
    /// cut at a half is a class, so a baseline of scores can be held beside a model that answers classes.
    pub fn is_like(self, other: Self) -> bool {
        (self == Self::Numbers) == (other == Self::Numbers)
    }
}

/// A figure of performance. Its name is the one in metrics and in the API.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Accuracy,
    /// Precision, recall and F1 are unweighted means over classes (macro averages).
    Precision,
    Recall,
    F1,
    /// Of more than two classes the mean of each against the rest.
    Auroc,
    LogLoss,
    CalibrationError,
    Mae,
    Mse,
    Rmse,
    Mape,
    R2,
}

impl Measure {
    pub const ALL: [Self; 12] = [
        Self::Accuracy,
        Self::Precision,
        Self::Recall,
        Self::F1,
        Self::Auroc,
        Self::LogLoss,
        Self::CalibrationError,
        Self::Mae,
        Self::Mse,
        Self::Rmse,
        Self::Mape,
        Self::R2,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "f1",
            Self::Auroc => "auroc",
            Self::LogLoss => "log_loss",
            Self::CalibrationError => "calibration_error",
            Self::Mae => "mae",
            Self::Mse => "mse",
            Self::Rmse => "rmse",
            Self::Mape => "mape",
            Self::R2 => "r2",
        }
    }

    /// Whether more of it is better.
    pub fn is_gain(self) -> bool {
        matches!(
            self,
            Self::Accuracy | Self::Precision | Self::Recall | Self::F1 | Self::Auroc | Self::R2
        )
    }
}

/// A measure's value, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    pub measure: Measure,
    pub value: f64,
    /// The interval that holds the true value in 95 of 100 cases; `null` where it cannot be said.
    #[serde(default)]
    pub low: Option<f64>,
    #[serde(default)]
    pub high: Option<f64>,
    /// Of the value as an estimate: the square of its standard error.
    #[serde(default)]
    pub variance: Option<f64>,
    /// The rows it was made of.
    pub rows: u64,
}

/// One class, by how often it was said and true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassCounts {
    pub class: Arc<str>,
    /// Rows whose label it is: its support.
    pub labelled: u64,
    pub predicted: u64,
    /// Rows where both is so.
    pub right: u64,
}

/// Rows of one step of the [grid](super::grid), by their label of 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreCount {
    pub step: i16,
    pub negatives: u64,
    pub positives: u64,
}

/// Rows whose score lies in one tenth of [0, 1]: of class 1 where there are two classes, else of the
/// likeliest class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CalibrationBin {
    pub rows: u64,
    /// Rows where it came true.
    pub right: u64,
    pub mean_score: f64,
    /// Of the outcome less the score, over the rows of the bin.
    pub variance: f64,
}

/// See the head of this file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    pub rows: u64,
    pub kind: Kind,
    /// Those that can be had of these rows, in the order of [`Measure::ALL`].
    pub figures: Vec<Figure>,
    /// The classes with most rows, at most [`Summary::MAX_CLASSES`]; those of most labelled rows first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassCounts>,
    /// Where labels are 0 or 1 and a probability of 1 was said; by ascending step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<ScoreCount>,
    /// Ten, or none where no probabilities were said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibration: Vec<CalibrationBin>,
}

impl Summary {
    pub const MAX_CLASSES: usize = 20;

    pub fn figure(&self, measure: Measure) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.measure == measure)
    }
}
