//! One serving thread's side of latency: it records, and hands whole intervals over.
//!
//! Two small rings of boxed intervals join a recorder with the collector: full ones go out, empty
//! ones come back. When the ring is full the interval simply goes on, so a slow collector costs
//! resolution in time and nothing else.

use super::Outcome;
use super::collector::Collector;
use super::interval::Interval;
use crate::capture::{RouteId, RouteTable, Timing};
use crossbeam_queue::ArrayQueue;
use http::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Intervals under way between a recorder and the collector, at most.
const IN_FLIGHT: usize = 4;

/// One finished exchange.
#[derive(Debug)]
pub struct Observation<'a> {
    pub route: RouteId,
    pub method: &'a Method,
    pub outcome: Outcome,
    pub timing: Timing,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

/// A recorder for each of `threads` serving threads, and the one reader of them all.
pub fn recorders(threads: usize, routes: Arc<RouteTable>) -> (Vec<Recorder>, Collector) {
    let links: Vec<_> = (0..threads).map(|_| Arc::new(Link::new())).collect();
    let recorders = links.iter().cloned().map(Recorder::new).collect();
    (recorders, Collector::new(links, routes))
}

/// Owned by one serving thread.
pub struct Recorder {
    current: Box<Interval>,
    link: Arc<Link>,
}

impl Recorder {
    fn new(link: Arc<Link>) -> Self {
        Self { current: Box::default(), link }
    }

    pub fn record(&mut self, observation: &Observation<'_>) {
        self.current.record(observation);
    }

    /// Hands over what was recorded since the last time, if the collector has kept up.
    pub fn flush(&mut self) {
        if self.current.is_empty() || self.link.full.is_full() {
            return;
        }
        let fresh = self.link.empty.pop().unwrap_or_default();
        let recorded = std::mem::replace(&mut self.current, fresh);
        // This thread is the only one that pushes, so there is still room.
        if let Err(refused) = self.link.full.push(recorded) {
            self.current.merge(&refused);
        }
    }

    pub fn request_started(&self) {
        add(&self.link.active_requests, 1);
    }

    pub fn request_ended(&self) {
        add(&self.link.active_requests, -1);
    }

    pub fn connection_opened(&self) {
        add(&self.link.open_connections, 1);
    }

    pub fn connection_closed(&self) {
        add(&self.link.open_connections, -1);
    }
}

impl Drop for Recorder {
    /// The last interval goes out even if the collector is behind: joined with one it has not read.
    fn drop(&mut self) {
        if self.link.full.is_full()
            && let Some(waiting) = self.link.full.pop()
        {
            self.current.merge(&waiting);
        }
        self.flush();
    }
}

/// A plain load and store: each gauge has one writer, so the locked addition would buy nothing.
fn add(gauge: &AtomicU64, change: i64) {
    gauge.store(gauge.load(Relaxed).saturating_add_signed(change), Relaxed);
}

/// What a recorder and the collector share.
pub(super) struct Link {
    pub(super) full: ArrayQueue<Box<Interval>>,
    pub(super) empty: ArrayQueue<Box<Interval>>,
    pub(super) active_requests: AtomicU64,
    pub(super) open_connections: AtomicU64,
}

impl Link {
    fn new() -> Self {
        Self {
            full: ArrayQueue::new(IN_FLIGHT),
            empty: ArrayQueue::new(IN_FLIGHT),
            active_requests: AtomicU64::new(0),
            open_connections: AtomicU64::new(0),
        }
    }
}
