//! The tap: sees every frame of both bodies pass, and keeps what the settings allow.
//!
//! In: heads and frames on their way between client and model. Out: one latency record an exchange,
//! and for those sampled an [`crate::capture::Exchange`] offered to the queue. The promise: the
//! peers get the same frames at the same time as without it; nothing here waits or fails.

mod body;
mod identity;
mod open;
mod sample;
mod trace;

pub use body::{Body, Side};
pub use open::OpenExchange;
pub use sample::Settings;
pub use trace::Tracing;

use crate::capture::{Queue, RouteTable};
use crate::latency::Recorder;
use identity::RequestIds;
use std::cell::RefCell;
use std::sync::Arc;

/// What every exchange of one serving thread shares.
pub struct Tap {
    settings: Settings,
    routes: Arc<RouteTable>,
    queue: Arc<Queue>,
    recorder: RefCell<Recorder>,
    tracing: Tracing,
    ids: RequestIds,
}

impl Tap {
    pub fn new(
        settings: Settings,
        routes: Arc<RouteTable>,
        queue: Arc<Queue>,
        recorder: Recorder,
        tracing: Tracing,
    ) -> Self {
        let recorder = RefCell::new(recorder);
        Self { settings, routes, queue, recorder, tracing, ids: RequestIds::default() }
    }

    /// Hands latency over to the collector; for about once a second.
    pub fn flush(&self) {
        self.recorder.borrow_mut().flush();
    }

    pub fn connection_opened(&self) {
        self.recorder.borrow().connection_opened();
    }

    pub fn connection_closed(&self) {
        self.recorder.borrow().connection_closed();
    }
}
