//! Late ground truth joined to predictions, and what it says of the model.
//!
//! Pure: no clock, no IO; time comes in with each call.

mod report;

pub use report::{Classification, LabelWindow, Performance, Regression, Report};
