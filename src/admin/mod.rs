//! The admin address: health, metrics, the API, and a page that shows how the model does.
//!
//! In: handles to what the other stages publish ([`State`]). Out: HTTP on an address of its own. The
//! promise: nothing here waits for, or slows, the data path; payloads are shown only to a caller with
//! the admin token; the page loads nothing from elsewhere and works without script.

mod api;
mod assets;
mod chart;
mod figure;
mod history;
mod moment;
mod page;
mod quantiles;
mod recent;
mod refusal;
mod router;
mod state;
mod token;

pub use history::{History, Slot};
pub use recent::{Recent, Recorded};
pub use router::{router, serve};
pub use state::{
    ExporterState, ExporterStates, LabelsAccepted, LabelsRefused, LabelsSink, MetricsText,
    Readiness, ReadinessProbe, RejectedLabel, Reload, Reloading, Setting, State,
};
