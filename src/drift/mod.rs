//! Windows of sketches against a baseline: distances, tests, verdicts.
//!
//! Pure: no clock, no IO; time comes in with each call.

mod baseline;
mod monitor;
mod report;
mod settings;
mod tumbling;

pub use baseline::{Baseline, BaselineBuilder, BaselineError, BaselineFeature, BaselineSettings};
pub use monitor::Monitor;
pub use report::{Bin, Distances, FeatureReport, FeatureView, Quality, Verdict, WindowReport};
pub use settings::{FeatureFilter, Reference, ReferenceState, Settings};
pub use tumbling::{Tumbling, WindowSpan};
