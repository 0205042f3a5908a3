//! Windows of sketches against a baseline: distances, tests, verdicts.
//!
//! Pure: no clock, no IO; time comes in with each call. Rows enter a [`Monitor`]; [`Tumbling`] says
//! when its windows end; each gives a [`WindowReport`]. What live rows are compared with is a
//! [`Baseline`], built beforehand or learnt from the first rows.

mod baseline;
mod dependence;
pub mod distance;
mod early;
mod effect;
mod examples;
mod joint;
mod monitor;
mod report;
mod settings;
mod shift;
mod significance;
mod tumbling;
mod verdict;
mod watch;

#[cfg(test)]
mod tests;

pub use baseline::{
    Baseline, BaselineBuilder, BaselineError, BaselineFeature, BaselineSettings,
    PerformanceBuilder, ReferencePerformance,
};
pub use dependence::VariationBuilder;
pub use early::{Change, EarlySettings, EarlyWarning, EarlyWarnings, WarningChange, WarningState};
pub use joint::{JointReport, PairChange};
pub use monitor::{Monitor, Referred};
pub use report::{
    Bin, Distances, Example, Expected, FeatureReport, FeatureView, Quality, Shape, Verdict,
    WindowReport,
};
pub use settings::{FeatureFilter, Persistence, Reference, ReferenceState, Settings};
pub use shift::{Shift, shifts};
pub use tumbling::{Tumbling, WindowSpan};
