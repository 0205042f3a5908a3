//! The handles that the admin address reads. Every one is shared with its owner; none is waited for.

use super::history::History;
use super::recent::Recent;
use crate::capture::{Queue, RouteTable};
use crate::config::{MemoryPlan, Outcome, Secret, Standing};
use crate::pulse::Stalled;
use crate::{latency, pipeline};
use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error;

/// What the admin address shows, and whom it hands what it is sent.
pub struct State {
    pub analysis: Arc<ArcSwap<pipeline::Snapshot>>,
    pub latency: Arc<ArcSwap<latency::Snapshot>>,
    /// For its counters and how full it is.
    pub queue: Arc<Queue>,
    pub routes: Arc<RouteTable>,
    pub history: Arc<History>,
    pub recent: Arc<Recent>,
    pub readiness: ReadinessProbe,
    pub liveness: LivenessProbe,
    pub metrics: MetricsText,
    pub labels: LabelsSink,
    pub drain: StartDrain,
    pub reload: Reload,
    pub exporters: ExporterStates,
    /// The configuration in force; secrets are already hidden.
    pub settings: Arc<ArcSwap<Vec<Setting>>>,
    /// How that came about.
    pub standing: Arc<ArcSwap<Standing>>,
    pub memory: MemoryPlan,
    /// Without one, payloads are shown to nobody.
    pub token: Arc<ArcSwapOption<Secret>>,
    /// Where clients send their requests, as a URL that works from this host.
    pub traffic_url: String,
    pub upstream_url: String,
    pub started_at: Timestamp,
    pub version: &'static str,
}

/// The threads of this process that do not do their rounds.
pub type LivenessProbe = Arc<dyn Fn() -> Vec<Stalled> + Send + Sync>;

pub type ReadinessProbe = Arc<dyn Fn() -> Readiness + Send + Sync>;

/// From the request's `Accept` to a content type and a body.
pub type MetricsText = Arc<dyn Fn(Option<&str>) -> (String, String) + Send + Sync>;

/// From a content type and a body to how many labels were taken.
pub type LabelsSink =
    Arc<dyn Fn(Option<&str>, &[u8]) -> Result<LabelsAccepted, LabelsRefused> + Send + Sync>;

/// From now on no new traffic should come here.
pub type StartDrain = Arc<dyn Fn() + Send + Sync>;

/// Puts a changed configuration in force, or says what is wrong with it; `None` from a process that is
/// ending, or has more to reload than it can remember.
pub type Reload = Arc<dyn Fn() -> Reloading + Send + Sync>;
pub type Reloading = Pin<Box<dyn Future<Output = Option<Outcome>> + Send>>;

pub type ExporterStates = Arc<dyn Fn() -> Vec<ExporterState> + Send + Sync>;

/// May traffic be sent here?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Readiness {
    Ready,
    UpstreamUnreachable { since: Timestamp, reason: String },
    Draining,
}

/// The answer to `POST /api/v1/labels`. A line that is wrong does not spoil the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LabelsAccepted {
    pub accepted: u64,
    pub rejected: Vec<RejectedLabel>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RejectedLabel {
    /// Counted from 1; for a JSON array, the element.
    pub line: u64,
    pub reason: String,
}

/// Why no label of a request was taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LabelsRefused {
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    UnsupportedType(String),
    /// Analysis is behind, or the process is draining: the same request may be sent again.
    #[error("{0}")]
    Busy(String),
}

/// One signal to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExporterState {
    /// Such as `otlp metrics`.
    pub name: String,
    pub sent: u64,
    pub failed: u64,
    /// Given up: the receiver was away for too long, or refused it.
    pub dropped: u64,
    /// The last failure, until a success.
    pub last_error: Option<String>,
}

/// One key of the configuration, as in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Setting {
    pub key: String,
    pub value: String,
    /// Where it came from: a file, a flag, a variable, the default.
    pub source: String,
}
