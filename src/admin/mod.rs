//! The admin address: health, metrics, the API, and pages that show how the model does.
//!
//! In: handles to what the other stages publish ([`State`]). Out: HTTP on an address of its own. The
//! promise: nothing here waits for, or slows, the data path; payloads are shown only to a caller with
//! the admin token; the page loads nothing from elsewhere and works without script.

mod api;
mod assets;
mod chart;
mod figure;
mod filter;
mod history;
mod moment;
mod page;
mod pages;
mod peer;
mod quantiles;
mod query;
mod recent;
mod refusal;
mod router;
mod session;
mod state;
mod token;
mod visit;

pub use history::{Band, Heat, History, Range, Slot, Stretch};
pub use recent::{Recent, Recorded};
pub use router::{router, serve};
pub use state::{
    ExporterState, ExporterStates, LabelsAccepted, LabelsRefused, LabelsSink, LivenessProbe,
    MetricsText, Readiness, ReadinessProbe, RejectedLabel, Reload, Reloading, Setting, StartDrain,
    State,
};
