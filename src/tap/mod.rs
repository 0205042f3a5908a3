//! The tap: sees every frame of both bodies pass, and keeps what the settings allow.
//!
//! In: heads and frames on their way between client and model. Out: one latency record an exchange,
//! and for those sampled an [`crate::capture::Exchange`] offered to the queue. The promise: the
//! peers get the same frames at the same time as without it; nothing here waits or fails.

mod body;
#[cfg(fuzzing)]
pub mod fuzzing;
mod identity;
mod open;
mod sample;
mod trace;

pub use body::{Body, Side};
pub use open::OpenExchange;
pub use sample::Settings;
pub use trace::Tracing;

use crate::capture::{Fault, Queue, Room, RouteId, RouteTable, Timing};
use crate::latency::{Observation, Outcome, Recorder};
use http::{Method, StatusCode};
use identity::RequestIds;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// What every exchange of one serving thread shares.
pub struct Tap {
    settings: RefCell<Settings>,
    routes: Arc<RouteTable>,
    queue: Arc<Queue>,
    /// For bodies of all exchanges under way; one for which there is none is counted, not kept.
    room: Arc<Room>,
    recorder: RefCell<Recorder>,
    tracing: Cell<Tracing>,
    ids: RequestIds,
}

impl Tap {
    pub fn new(
        settings: Settings,
        routes: Arc<RouteTable>,
        queue: Arc<Queue>,
        room: Arc<Room>,
        recorder: Recorder,
        tracing: Tracing,
    ) -> Self {
        let recorder = RefCell::new(recorder);
        let (settings, tracing) = (RefCell::new(settings), Cell::new(tracing));
        Self { settings, routes, queue, room, recorder, tracing, ids: RequestIds::default() }
    }

    /// For exchanges that begin from now on.
    pub fn follow(&self, settings: Settings, tracing: Tracing) {
        self.settings.replace(settings);
        self.tracing.set(tracing);
    }

    /// Hands latency over to the collector; for about once a second.
    pub fn flush(&self) {
        self.recorder.borrow_mut().flush();
    }

    /// A client was turned away before an exchange could begin, with `status` if it was told one. It
    /// is recorded without a route.
    pub fn refused(&self, status: Option<StatusCode>, fault: Fault) {
        self.recorder.borrow_mut().record(&Observation {
            route: RouteId::OTHER,
            method: &Method::from_bytes(b"_OTHER").unwrap_or_default(),
            outcome: Outcome { status, fault: Some(fault) },
            timing: Timing::default(),
            request_bytes: 0,
            response_bytes: 0,
        });
    }

    pub fn connection_opened(&self) {
        self.recorder.borrow().connection_opened();
    }

    pub fn connection_closed(&self) {
        self.recorder.borrow().connection_closed();
    }
}
