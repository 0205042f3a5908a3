//! A bounded queue in front of a slow receiver: producers never wait, what does not fit is counted.

use super::counters::{Counters, ExporterName, Loss, Signal, SignalCounters};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How many entries go out in one request, at most.
const BATCH: usize = 512;

/// An entry of a queue, and how many items it is counted as.
pub(in crate::export) trait Entry: Send + 'static {
    fn items(&self) -> u64;
}

/// Where batches end: sent, kept for later, or given up. Whichever it is, the sink counts it, and takes
/// the items off [`SignalCounters::queued`].
pub(in crate::export) trait Sink: Send {
    type Entry: Entry;

    fn take(&self, batch: Vec<Self::Entry>) -> impl Future<Output = ()> + Send;
}

/// The producers' end; cheap to clone.
pub(in crate::export) struct Outbox<T> {
    sender: mpsc::Sender<T>,
    counters: Arc<Counters>,
    exporter: ExporterName,
    signal: Signal,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        let (sender, counters) = (self.sender.clone(), Arc::clone(&self.counters));
        Self { sender, counters, exporter: self.exporter, signal: self.signal }
    }
}

impl<T> Outbox<T> {
    fn counts(&self) -> &SignalCounters {
        self.counters.of(self.exporter, self.signal)
    }
}

impl<T: Entry> Outbox<T> {
    /// Queues an entry, or counts it as lost. Never waits.
    pub(in crate::export) fn offer(&self, entry: T) {
        let (items, counts) = (entry.items(), self.counts());
        // Counted before it can be taken out again, so that the count never goes below zero.
        counts.queued.fetch_add(items, Relaxed);
        let loss = match self.sender.try_send(entry) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => Loss::QueueFull,
            Err(TrySendError::Closed(_)) => Loss::Shutdown,
        };
        counts.queued.fetch_sub(items, Relaxed);
        counts.lose(loss, items);
    }
}

pub(in crate::export) struct Batcher<S: Sink> {
    entries: mpsc::Receiver<S::Entry>,
    sink: S,
    /// How long the first entry of a batch waits for company.
    delay: Duration,
}

pub(in crate::export) fn queue<S: Sink>(
    capacity: NonZeroUsize,
    delay: Duration,
    sink: S,
    counters: Arc<Counters>,
    (exporter, signal): (ExporterName, Signal),
) -> (Outbox<S::Entry>, Batcher<S>) {
    let (sender, entries) = mpsc::channel(capacity.get());
    (Outbox { sender, counters, exporter, signal }, Batcher { entries, sink, delay })
}

impl<S: Sink> Batcher<S> {
    /// Sends batches until told to stop, then what is left.
    pub(in crate::export) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        while let Some(batch) = self.fill(&mut stopping).await {
            self.sink.take(batch).await;
        }
    }

    /// The next batch: full, or as old as `delay`, or whatever is left at the end; `None` after that.
    async fn fill(&mut self, stopping: &mut watch::Receiver<bool>) -> Option<Vec<S::Entry>> {
        let mut batch = Vec::new();
        let mut deadline = None;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop), if !self.entries.is_closed() => {
                    self.entries.close();
                }
                received = self.entries.recv_many(&mut batch, room) => {
                    if received == 0 {
                        break;
                    }
                    deadline.get_or_insert_with(|| Instant::now() + self.delay);
                }
                () = until(deadline) => break,
            }
        }
        (!batch.is_empty()).then_some(batch)
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
