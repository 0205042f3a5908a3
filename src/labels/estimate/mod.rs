//! How right a model probably is before its labels come, from how sure it is.
//!
//! Rows' scores in, a window at a time; estimated figures with their interval out, by confidence-based
//! performance estimation (CBPE; see [`figures`]). What a score means is learnt from a reference whose labels
//! are known: the baseline's, or the labels seen so far. The promise: an estimate never saw a label of
//! its own window, so that comparing it with the realised figure is fair; and its interval says what the
//! reference leaves open. What it cannot see is a change of the concept: the same scores being right
//! less often. [`compare`] finds that out, once labels come.
//!
//! For classes only. Of numbers nothing like it can be had from the output alone: estimating the error
//! of a regression needs a second model of the inputs.

mod calibration;
mod cells;
mod compare;
mod counts;
mod estimator;
mod figures;
mod file;
mod isotonic;
mod matrix;
mod report;
mod scores;

#[cfg(test)]
mod tests;

pub use compare::Known;
pub use counts::{LabelledCounts, MAX_CLASSES};
pub use estimator::{Estimator, Settings};
pub use report::{
    Estimate, EstimatedFigure, Estimates, LearntFrom, Realised, State, TrackRecord, Trust,
};
pub use scores::RowScores;
