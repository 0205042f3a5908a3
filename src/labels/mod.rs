//! Late ground truth joined to predictions, and what it says of the model.
//!
//! In: predictions as they are decoded, labels as they come, in any order. Out: a [`Report`]. The
//! promise: the report is the same in whatever order labels and predictions came, as long as neither
//! is forgotten, and memory is bounded by [`Settings`], with what was forgotten counted.
//! Pure: no clock, no IO; time comes in with each call.
//!
//! A label's id is the request's id for a request of one row, or with an array of labels for all of its
//! rows; `id#k` is row `k`. See [`prediction`] for which output is the prediction, and [`Task`] for how it
//! is compared with the label.

pub mod grid;
pub mod estimate;
mod joiner;
mod parse;
mod pending;
mod prediction;
mod report;
mod summary;
mod tally;
mod value;
mod windows;

pub use joiner::{Joined, Joiner, Settings};
pub use parse::{BadLabel, Fault, LabelsError, Parsed, Place, parse};
pub use prediction::{Prediction, prediction};
pub use report::{Classification, LabelWindow, Performance, Regression, Report};
pub use summary::{CalibrationBin, ClassCounts, Figure, Kind, Measure, ScoreCount, Summary};
pub use tally::Task;
pub use value::{Label, LabelValue, Truth};
