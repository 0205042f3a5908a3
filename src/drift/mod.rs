//! Windows of sketches against a baseline: distances, tests, verdicts.
//!
//! Pure: no clock, no IO; time comes in with each call. Rows enter a [`Monitor`]; [`Tumbling`] says
//! when its windows end; each gives a [`WindowReport`]. What live rows are compared with is a
//! [`Baseline`], built beforehand or learnt from the first rows.

mod attribution;
mod baseline;
mod dependence;
pub mod distance;
mod early;
mod effect;
mod examples;
mod explain;
mod found;
mod history;
mod joint;
mod monitor;
mod provenance;
mod quality;
mod references;
mod report;
mod segments;
mod settings;
mod shift;
mod significance;
mod state;
mod tumbling;
mod verdict;
mod watch;
mod words;

#[cfg(test)]
mod tests;

pub use attribution::{AttributionSettings, ndcg};
pub use baseline::{
    Baseline, BaselineBuilder, BaselineError, BaselineFeature, BaselineSettings,
    PerformanceBuilder, ReferencePerformance,
};
pub use dependence::VariationBuilder;
pub use early::{Change, EarlySettings, EarlyWarning, EarlyWarnings, WarningChange, WarningState};
pub use explain::{Explanation, Finding, Moved, Side};
pub use joint::{JointReport, PairChange};
pub use monitor::{Monitor, Referred};
pub use provenance::{Provenance, Weights};
pub use quality::{Check, Checked, Checks, ExtraFeature, ExtraFeatures, Failure, UnitChange};
pub use references::{Earlier, HeldReferences, NotEarlier, ReferenceReport, References};
pub use report::{
    AttributionDrift, AttributionRank, AttributionReference, Bin, Distances, Example, Expected,
    FeatureReport, FeatureView, Quality, Shape, Verdict, Weight, WindowReport,
};
pub use segments::{
    Assigned, LearnedSegments, RecordedSegment, SegmentCounter, SegmentFeature, SegmentId,
    SegmentKey, SegmentKeyError, SegmentReference, SegmentReport, SegmentSettings, SegmentSurvey,
    SegmentWindow,
};
pub use settings::{FeatureFilter, Persistence, Reference, ReferenceState, Settings};
pub use shift::{Shift, shifts};
pub use state::{StateError, TakenMonitor, TakenPast};
pub use tumbling::{NotResumed, Tumbling, WindowSpan};
