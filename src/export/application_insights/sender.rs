//! Sends what the store holds, until it is taken or refused; one request at a time.
//!
//! Live chunks go first, since a chart of now is worth more than one of an hour ago, and stored ones in
//! turn with them, the oldest first, since those are the next to be too old. An endpoint that takes
//! nothing is asked again after a pause that grows, or when it says; until then all goes to disk.

use super::ingestion::{Ingestion, Judgement, Verdict};
use super::store::{Store, Turn, Work};
use crate::export::counters::{Counters, ExporterName, Loss, Signal, SignalCounters};
use crate::export::retry::Backoff;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub(super) struct Sender {
    ingestion: Ingestion,
    store: Arc<Store>,
    counters: Arc<Counters>,
    backoff: Backoff,
    pause: Option<Pause>,
    /// For items that are to be tried again while others are taken.
    item_backoff: Backoff,
    stored_from: Option<Instant>,
    turn: Turn,
    /// So that an outage is logged when it starts and when it ends, not at each attempt.
    has_complained: bool,
    /// Told to stop, an endpoint that was away was asked once more.
    last_try_made: bool,
}

#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    /// The endpoint itself said until when.
    asked: bool,
}

impl Sender {
    pub(super) fn new(ingestion: Ingestion, store: Arc<Store>, counters: Arc<Counters>) -> Self {
        Self {
            ingestion,
            store,
            counters,
            backoff: Backoff::default(),
            pause: None,
            item_backoff: Backoff::default(),
            stored_from: None,
            turn: Turn::StoredFirst,
            has_complained: false,
            last_try_made: false,
        }
    }

    /// Until `fed`, which says that nothing more will come, and all is sent that can be.
    pub(super) async fn run(
        mut self,
        mut stopping: watch::Receiver<bool>,
        mut fed: watch::Receiver<bool>,
    ) {
        self.store.open().await;
        while self.may_send(&mut stopping, &mut fed).await {
            let turn = self.turn();
            if let Some(work) = self.store.next(turn).await {
                self.send(work).await;
            } else if *fed.borrow() {
                return;
            } else {
                self.idle(&mut fed).await;
            }
        }
    }

    /// Waits for the pause to end; false if the end of the process comes first.
    async fn may_send(
        &mut self,
        stopping: &mut watch::Receiver<bool>,
        fed: &mut watch::Receiver<bool>,
    ) -> bool {
        let Some(pause) = self.pause else { return true };
        let may_try = !pause.asked && !self.last_try_made;
        tokio::select! {
            () = sleep_until(pause.until) => true,
            _ = stopping.wait_for(|stop| *stop), if may_try => {
                self.last_try_made = true;
                true
            }
            _ = fed.wait_for(|fed| *fed), if !may_try => false,
        }
    }

    /// Nothing to send: until there is, or the end.
    async fn idle(&mut self, fed: &mut watch::Receiver<bool>) {
        let patience = Instant::now() + self.store.patience();
        let until = self.stored_from.map_or(patience, |from| from.min(patience));
        tokio::select! {
            () = self.store.bell.notified() => {}
            () = sleep_until(until) => {}
            _ = fed.wait_for(|fed| *fed) => {}
        }
    }

    fn turn(&mut self) -> Turn {
        if self.pause.is_some() {
            // One try, and with what has waited longest.
            return Turn::StoredFirst;
        }
        self.stored_from = self.stored_from.filter(|from| *from > Instant::now());
        if self.stored_from.is_some() {
            return Turn::LiveOnly;
        }
        self.turn = match self.turn {
            Turn::LiveFirst => Turn::StoredFirst,
            Turn::StoredFirst | Turn::LiveOnly => Turn::LiveFirst,
        };
        self.turn
    }

    async fn send(&mut self, work: Work) {
        let (signal, items) = (work.chunk().signal, work.chunk().items);
        let verdict = self.ingestion.send(work.chunk()).await;
        let requests = match verdict {
            Verdict::Judged(_) => &self.counts(signal).requests_ok,
            Verdict::Refused { .. } | Verdict::Later { .. } => &self.counts(signal).requests_failed,
        };
        requests.fetch_add(1, Relaxed);
        match verdict {
            Verdict::Judged(judgement) => {
                self.is_back().await;
                self.settle(work, judgement).await;
            }
            Verdict::Refused { status, said } => {
                self.is_back().await;
                self.complain(signal, &said);
                self.lose(signal, Loss::Refused, u64::from(items), &[(status, items)]);
                self.store.settle(work).await;
            }
            Verdict::Later { retry_after, said } => {
                self.complain(signal, &said);
                let delay = self.backoff.next();
                let delay = retry_after.map_or(delay, |asked| asked + delay / 4);
                let until = Instant::now() + delay;
                self.pause = Some(Pause { until, asked: retry_after.is_some() });
                self.store.give_back(work).await;
                self.store.set_away(true).await;
            }
        }
    }

    /// The endpoint gave an answer that it is done with.
    async fn is_back(&mut self) {
        self.pause = None;
        self.backoff = Backoff::default();
        self.store.set_away(false).await;
    }

    async fn settle(&mut self, work: Work, judgement: Judgement) {
        let Judgement { later, rejected, said } = judgement;
        let (signal, items) = (work.chunk().signal, u64::from(work.chunk().items));
        let (kept, lost) = (later.len() as u64, rejected.len() as u64);
        match said {
            Some(said) => self.complain(signal, &said),
            None => self.rejoice(),
        }
        // First kept, then done with: killed in between, it sends an item twice rather than not at all.
        match work.chunk().only(|index| later.contains(&index)) {
            Some(chunk) => {
                let until = Instant::now() + self.item_backoff.next();
                self.stored_from = Some(until);
                self.store.defer(chunk).await;
                if !self.store.has_stored() {
                    // It is in memory, where only a pause keeps it from being sent at once.
                    self.pause = Some(Pause { until, asked: false });
                }
            }
            None => self.item_backoff = Backoff::default(),
        }
        self.lose(signal, Loss::Rejected, lost, &counted(&rejected));
        let sent = items.saturating_sub(kept + lost);
        let counts = self.counts(signal);
        counts.sent.fetch_add(sent, Relaxed);
        counts.queued.fetch_sub(sent, Relaxed);
        self.store.settle(work).await;
    }

    fn lose(&self, signal: Signal, loss: Loss, items: u64, by_status: &[(u16, u32)]) {
        let counts = self.counts(signal);
        counts.queued.fetch_sub(items, Relaxed);
        counts.lose(loss, items);
        for (status, items) in by_status {
            counts.refused_with(*status, u64::from(*items));
        }
    }

    fn complain(&mut self, signal: Signal, said: &str) {
        let (signal_name, url) = (signal.as_str(), self.ingestion.url());
        if self.has_complained {
            tracing::debug!(signal = signal_name, %url, said, "Application Insights still refuses");
        } else {
            tracing::warn!(
                signal = signal_name,
                %url,
                said,
                "Application Insights did not take everything"
            );
        }
        self.has_complained = true;
        self.counts(signal).set_last_error(Some(said.to_owned()));
    }

    fn rejoice(&mut self) {
        if !std::mem::take(&mut self.has_complained) {
            return;
        }
        tracing::info!("Application Insights takes telemetry again");
        for signal in Signal::ALL {
            self.counts(signal).set_last_error(None);
        }
    }

    fn counts(&self, signal: Signal) -> &SignalCounters {
        self.counters.of(ExporterName::ApplicationInsights, signal)
    }
}

fn counted(statuses: &[u16]) -> Vec<(u16, u32)> {
    let mut counted: Vec<(u16, u32)> = Vec::new();
    for status in statuses {
        match counted.iter_mut().find(|(known, _)| known == status) {
            Some((_, items)) => *items += 1,
            None => counted.push((*status, 1)),
        }
    }
    counted
}
