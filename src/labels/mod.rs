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

mod aligned;
mod compare;
pub mod estimate;
mod forgotten;
pub mod grid;
mod header;
mod interval;
mod joiner;
mod merged;
mod numbers;
mod parse;
mod parts;
mod pending;
mod prediction;
mod probabilities;
mod reference;
mod report;
mod scorecard;
mod sources;
mod summary;
mod sums;
mod tally;
mod value;
mod windows;

pub use compare::{Change, Concept, ConceptVerdict, Rule};
pub use header::parse_header;
pub use joiner::{Joined, Joiner, Settings};
pub use parse::{BadLabel, Fault, LabelsError, Parsed, Place, parse, parse_lines};
pub use parts::RowParts;
pub use prediction::{Prediction, named_prediction, named_scores, prediction, scores};
pub use probabilities::Scores;
pub use reference::LearnedPerformance;
pub use report::{
    Bounds, ClassPerformance, Classification, LabelWindow, PartPerformance, PartWindow,
    Performance, PerformanceReference, Regression, Report, Standing,
};
pub use scorecard::Scorecard;
pub use sources::{LabelFault, Source, SourceCounts};
pub use summary::{CalibrationBin, ClassCounts, Figure, Kind, Measure, ScoreCount, Summary};
pub use tally::Task;
pub use value::{Label, LabelValue, Truth};
pub use windows::{Emitted, WindowLength};

#[cfg(test)]
mod simulations;
#[cfg(test)]
mod tests;
