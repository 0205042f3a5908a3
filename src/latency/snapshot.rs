//! What the recorders of all serving threads held at one moment, since the process started.

use super::change::Operation;
use crate::capture::{Fault, RouteId};
use crate::distribution::Distribution;
use http::{Method, StatusCode};

/// Cumulative since start, merged over serving threads.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub requests: Vec<RequestSeries>,
    pub phases: Vec<PhaseTimes>,
    /// Exchanges under way at this moment.
    pub active_requests: u64,
    /// Client connections open at this moment.
    pub open_connections: u64,
    /// Whether errors and latency are as usual; empty before anybody looked.
    pub operations: Vec<Operation>,
}

/// How an exchange ended, as the client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Outcome {
    pub status: Option<StatusCode>,
    pub fault: Option<Fault>,
}

impl Outcome {
    /// A fault on the way, no answer at all, or a 5xx of the model's own.
    pub fn is_error(&self) -> bool {
        self.fault.is_some() || self.status.is_none_or(|status| status.is_server_error())
    }
}

/// Exchanges of one route, method and outcome.
#[derive(Debug, Clone)]
pub struct RequestSeries {
    pub route: RouteId,
    pub method: Method,
    pub outcome: Outcome,
    /// `http.server.request.duration`, seconds.
    pub duration: Distribution,
    /// `http.client.request.duration`, seconds: the calls to the model.
    pub upstream_duration: Distribution,
    /// Bytes.
    pub request_size: Distribution,
    /// Bytes.
    pub response_size: Distribution,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    Total,
    Upstream,
    FirstByte,
    Overhead,
}

impl Phase {
    pub const ALL: [Self; 4] = [Self::Total, Self::Upstream, Self::FirstByte, Self::Overhead];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Upstream => "upstream",
            Self::FirstByte => "first_byte",
            Self::Overhead => "overhead",
        }
    }
}

/// Times of one phase on one route, over all methods and outcomes; seconds.
#[derive(Debug, Clone)]
pub struct PhaseTimes {
    pub route: RouteId,
    pub phase: Phase,
    /// Since start.
    pub all: Distribution,
    /// Over the last whole minute or so: what a gauge of quantiles should show.
    pub recent: Distribution,
}
