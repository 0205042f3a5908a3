//! Early warning: a detector a feature that is valid at any moment, beside the verdicts on windows.
//!
//! In: what each feature's finest window has counted since the last look, and the time. Out: which
//! features have changed, how, and since when. The promise: where rows follow the baseline's own
//! distribution and each other only as far as their design effect says, false warnings of all features
//! together come at least `average_run_length` finest windows of traffic apart, on average, for all but
//! one in a hundred baselines that such rows could have given. For that it is an e-detector (Shin,
//! Ramdas and Rinaldo, "E-detectors", New England Journal of Statistics in Data Science 2, 2024), in the
//! form of Shiryaev and Roberts, on test martingales that leave room for the baseline's own error.
//!
//! It is for changes that are large and fast; small ones are found by windows, which wait for rows.

mod detector;
mod tilt;
mod watch;

#[cfg(test)]
mod simulations;

use crate::sketch::Role;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

pub(super) use watch::{EarlyWatch, Seen};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlySettings {
    /// In finest windows of traffic, over all features.
    pub average_run_length: NonZeroU64,
    /// Length of the finest window.
    pub window: Duration,
}

/// What is said of all features at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EarlyWarnings {
    /// False warnings come at least so many of the shortest windows of traffic apart, on average, over
    /// all features.
    pub average_run_length: u64,
    /// A feature is warned of when its `statistic` reaches this.
    pub threshold: f64,
    /// Every watched feature, inputs first.
    pub features: Vec<EarlyWarning>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EarlyWarning {
    pub feature: Arc<str>,
    pub role: Role,
    pub state: WarningState,
    /// When the change most likely began; null while quiet.
    pub since: Option<Timestamp>,
    /// When the warning was given; null while quiet.
    pub warned_at: Option<Timestamp>,
    /// What has changed; null while quiet.
    pub change: Option<Change>,
    /// The level that `more_of` or `less_of` is about.
    pub level: Option<Arc<str>>,
    /// Evidence against the baseline, as a logarithm with base 10; it begins anew with a warning. Null
    /// before the first row.
    pub statistic: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningState {
    #[default]
    Quiet,
    /// Until rows since some moment are a hundred times likelier without the change than with it.
    Warned,
}

impl WarningState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Warned => "warned",
        }
    }
}

/// In which way the rows of a feature have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Higher,
    Lower,
    /// Further from the middle.
    Wider,
    Narrower,
    Null,
    TypeError,
    OutOfBounds,
    NewCategory,
    MoreOf,
    LessOf,
}

impl Change {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::Wider => "wider",
            Self::Narrower => "narrower",
            Self::Null => "null",
            Self::TypeError => "type_error",
            Self::OutOfBounds => "out_of_bounds",
            Self::NewCategory => "new_category",
            Self::MoreOf => "more_of",
            Self::LessOf => "less_of",
        }
    }

    /// As said of rows: "values are higher".
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Higher => "values are higher",
            Self::Lower => "values are lower",
            Self::Wider => "values spread wider",
            Self::Narrower => "values spread less",
            Self::Null => "more nulls",
            Self::TypeError => "more values of another type",
            Self::OutOfBounds => "more values out of bounds",
            Self::NewCategory => "more levels never seen",
            Self::MoreOf => "more rows of a level",
            Self::LessOf => "fewer rows of a level",
        }
    }
}

/// A feature that is warned of, or is no more.
#[derive(Debug, Clone, PartialEq)]
pub struct WarningChange {
    /// As it is now.
    pub warning: EarlyWarning,
    /// Of a warning that ended: what it was about, and since when.
    pub ended: Option<(Change, Timestamp)>,
}
