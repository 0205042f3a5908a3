//! Windows of sketches against a baseline: distances, tests, verdicts.
//!
//! Pure: no clock, no IO; time comes in with each call.

mod report;

pub use report::{Bin, Distances, FeatureReport, FeatureView, Quality, Verdict, WindowReport};
