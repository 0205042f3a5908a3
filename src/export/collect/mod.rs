//! Everything this process knows, as families of points. In: the snapshots of each stage. Out: one
//! list that every exporter writes in its own format. The promise: each loss has a counter here, and
//! counters are there from the start, at 0, so that a rate over them is right from the first one.

mod analysis;
mod estimates;
mod operation;
mod traffic;

pub(crate) use traffic::method;

use super::{Counters, Exemplars, Family};
use crate::config::Standing;
use crate::{capture, latency, pipeline};
use http::uri::Authority;

/// What is collected from; all at one moment, as near as it can be had.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    pub snapshot: &'a pipeline::Snapshot,
    pub latency: &'a latency::Snapshot,
    pub capture: capture::Totals,
    pub queue: QueueState,
    pub routes: &'a capture::RouteTable,
    pub exporters: &'a Counters,
    pub exemplars: &'a Exemplars,
    /// How the configuration in force came about.
    pub config: &'a Standing,
    /// What clients speak, `http` or `https`.
    pub scheme: &'static str,
    /// The model server that calls go to.
    pub upstream: &'a Authority,
    pub upstream_scheme: &'static str,
}

/// The capture queue at one moment.
#[derive(Debug, Clone, Copy)]
pub struct QueueState {
    pub items: usize,
    pub bytes: usize,
    pub limits: capture::Limits,
}

impl From<&capture::Queue> for QueueState {
    fn from(queue: &capture::Queue) -> Self {
        Self { items: queue.len(), bytes: queue.held_bytes(), limits: queue.limits() }
    }
}

/// Every family that has a point: traffic, then what analysis found, then the sidecar itself.
pub fn collect(sources: &Sources<'_>) -> Vec<Family> {
    let mut families = traffic::families(sources);
    families.extend(analysis::families(sources.snapshot));
    families.extend(estimates::families(&sources.snapshot.labels.estimates));
    families.extend(operation::families(sources));
    families.retain(|family| !family.points.is_empty());
    families
}

#[cfg(test)]
pub(crate) mod tests;
