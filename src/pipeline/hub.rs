//! Where analysis meets its readers: one lock over what is watched, and a snapshot published whole.
//!
//! Analysis threads and the label endpoint take the lock for a batch; exporters and pages read the
//! snapshot and never the lock. Serving threads know neither.

use super::failures::QualityChange;
use super::snapshot::Snapshot;
use super::spoken::{FirstHeard, Spoken};
use super::state::StateReport;
use super::watch::{Mark, Retune, Saved, Taken, VerdictChange, Watch};
use crate::archive::{self, Entry};
use crate::capture::{Counters, RouteId, RouteTable};
use crate::decode::Decoded;
use crate::drift::WarningChange;
use crate::labels;
use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct Hub {
    watch: Mutex<Watch>,
    published: Arc<ArcSwap<Snapshot>>,
    routes: Arc<RouteTable>,
    counters: Arc<Counters>,
    outlets: Outlets,
    spoken: Mutex<Spoken>,
    /// As the thread that saves it last said.
    state: ArcSwapOption<StateReport>,
}

pub type Outlet<T> = Box<dyn Fn(&T) + Send + Sync>;

/// Where analysed exchanges, emitted windows and what changed go on to. None of them may wait.
pub struct Outlets {
    pub archive: Option<archive::Writer>,
    pub on_entry: Outlet<Arc<Entry>>,
    pub on_verdict: Outlet<VerdictChange>,
    pub on_warning: Outlet<WarningChange>,
    /// A window of labelled rows that was emitted, or emitted again.
    pub on_performance: Outlet<labels::Emitted>,
    pub on_quality: Outlet<QualityChange>,
}

impl Hub {
    /// Publishes into `published`, which readers hold already, and does so at once.
    pub fn new(
        mut watch: Watch,
        published: &Arc<ArcSwap<Snapshot>>,
        routes: &Arc<RouteTable>,
        counters: &Arc<Counters>,
        outlets: Outlets,
    ) -> Self {
        let first = watch.snapshot();
        let hub = Self {
            watch: Mutex::new(watch),
            published: Arc::clone(published),
            routes: Arc::clone(routes),
            counters: Arc::clone(counters),
            outlets,
            spoken: Mutex::default(),
            state: ArcSwapOption::empty(),
        };
        hub.publish(first);
        hub
    }

    /// A panic under the lock loses the batch it happened in, not the watch.
    pub fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells once of each route what it speaks, and how that is known.
    pub(super) fn hear(&self, route: RouteId, decoded: &Decoded, at: Timestamp) {
        let first = self.spoken().hear(route, decoded, at);
        if let Some(FirstHeard { route, dialect, because }) = first {
            let (route, dialect) = (self.routes.template(route), dialect.as_str());
            let because = because.map(|because| because.to_string());
            tracing::info!(route, dialect, because, "payloads are read");
        }
    }

    fn spoken(&self) -> MutexGuard<'_, Spoken> {
        self.spoken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn routes(&self) -> &RouteTable {
        &self.routes
    }

    pub(super) fn model_name(&self) -> Arc<str> {
        Arc::clone(&self.published.load().model_name)
    }

    pub(super) fn model_version(&self) -> Arc<str> {
        Arc::clone(&self.published.load().model_version)
    }

    pub(super) fn hand_on(&self, entry: Entry) {
        let entry = Arc::new(entry);
        (self.outlets.on_entry)(&entry);
        if let Some(archive) = &self.outlets.archive {
            archive.offer(entry);
        }
    }

    /// Goes on as `retune` says, and publishes what is left of what was known. Waits for a batch.
    pub fn retune(&self, retune: Retune, now: Timestamp) {
        let totals = self.counters.totals();
        let snapshot = {
            let mut watch = self.watch();
            watch.retune(retune, now, totals);
            watch.snapshot()
        };
        self.publish(snapshot);
    }

    /// What a process to come needs to go on; `None` if that is as it was at `known`.
    pub fn save(&self, now: Timestamp, known: Option<&Mark>) -> Option<Saved> {
        let taken = self.watch().take(now, self.counters.totals(), known);
        taken.map(Taken::packed)
    }

    /// Shown with the next snapshot.
    pub fn tell_of_state(&self, report: StateReport) {
        self.state.store(Some(Arc::new(report)));
    }

    /// Other bounds for the archive, if there is one.
    pub fn bound_archive(&self, bounds: archive::Bounds) {
        if let Some(archive) = &self.outlets.archive {
            archive.keep_within(bounds);
        }
    }

    /// Ends the archive's file; for when no exchange will come any more.
    pub fn close_archive(&self) {
        if let Some(archive) = &self.outlets.archive {
            archive.close();
        }
    }

    /// Closes due windows, tells what changed, and publishes.
    pub(super) fn tick(&self, now: Timestamp) {
        let totals = self.counters.totals();
        let (warnings, changes, emitted, snapshot) = {
            let mut watch = self.watch();
            let warnings = watch.warn(now);
            let emitted = watch.advance_labels(now);
            (warnings, watch.advance(now, totals), emitted, watch.snapshot())
        };
        self.publish(snapshot);
        for change in &warnings {
            (self.outlets.on_warning)(change);
        }
        for window in &emitted {
            (self.outlets.on_performance)(window);
        }
        for change in &changes.verdicts {
            (self.outlets.on_verdict)(change);
        }
        for change in &changes.quality {
            (self.outlets.on_quality)(change);
        }
    }

    fn publish(&self, mut snapshot: Snapshot) {
        snapshot.dialects = self.spoken().report(&self.routes);
        snapshot.archive = self.outlets.archive.as_ref().map(archive::Writer::state);
        snapshot.state = self.state.load_full();
        self.published.store(Arc::new(snapshot));
    }
}
