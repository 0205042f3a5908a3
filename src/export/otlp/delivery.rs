//! Hands encoded telemetry of one signal to a collector, until it is taken or refused.
//!
//! Retries what the OTLP specification calls retryable, and a collector that cannot be reached, with
//! exponential backoff and jitter; who was asked to come later does. Partial success counts what was
//! rejected and is final.

use super::transport::{Answer, Transport};
use crate::export::counters::{Counters, Loss, Signal, SignalCounters};
use crate::export::retry::Backoff;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;

pub(super) struct Delivery {
    transport: Transport,
    signal: Signal,
    counters: Arc<Counters>,
    stopping: watch::Receiver<bool>,
    /// So that an outage is logged when it starts and when it ends, not at each attempt.
    failing: AtomicBool,
}

/// What one attempt came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// But for the items that were rejected.
    Accepted { rejected: u64 },
    /// No retry would mend it.
    Refused,
    /// Not now; `retry_after` if the collector said when.
    Later { retry_after: Option<Duration> },
}

impl Delivery {
    pub(super) fn new(
        transport: Transport,
        signal: Signal,
        counters: Arc<Counters>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { transport, signal, counters, stopping, failing: AtomicBool::new(false) }
    }

    pub(super) fn counts(&self) -> &SignalCounters {
        self.counters.otlp(self.signal)
    }

    /// Tries for as long as it takes, and counts what became of the items of the message; without one
    /// they are lost.
    pub(super) async fn deliver(&self, message: Option<Bytes>, items: u64) {
        match message {
            Some(message) => self.try_on(&message, items).await,
            None => self.counts().lose(Loss::Refused, items),
        }
        self.counts().queued.fetch_sub(items, Relaxed);
    }

    async fn try_on(&self, message: &Bytes, items: u64) {
        let mut backoff = Backoff::default();
        loop {
            match self.attempt(message).await {
                Attempt::Accepted { rejected } => {
                    let sent = items.saturating_sub(rejected);
                    self.counts().sent.fetch_add(sent, Relaxed);
                    break;
                }
                Attempt::Refused => {
                    self.counts().lose(Loss::Refused, items);
                    break;
                }
                Attempt::Later { retry_after } => self.pause(&mut backoff, retry_after).await,
            }
        }
    }

    /// Tries once, and counts how it went.
    pub(super) async fn attempt(&self, message: &Bytes) -> Attempt {
        let attempt = match self.transport.send(message).await {
            Answer::Taken(answer) => {
                self.recovered();
                Attempt::Accepted { rejected: self.count_rejected(&answer) }
            }
            Answer::Later { retry_after, reason } => {
                self.failed(&reason);
                Attempt::Later { retry_after }
            }
            Answer::Refused { reason } => {
                self.failed(&reason);
                Attempt::Refused
            }
        };
        let counted = match attempt {
            Attempt::Accepted { .. } => &self.counts().requests_ok,
            Attempt::Refused | Attempt::Later { .. } => &self.counts().requests_failed,
        };
        counted.fetch_add(1, Relaxed);
        attempt
    }

    /// The answers of the three signals are the same on the wire: field 1 of field 1 is how many
    /// items were rejected, field 2 of it is why.
    fn count_rejected(&self, answer: &[u8]) -> u64 {
        let Ok(answer) = ExportTraceServiceResponse::decode(answer) else { return 0 };
        let Some(partial) = answer.partial_success else { return 0 };
        let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0);
        self.counts().lose(Loss::Rejected, rejected);
        if rejected > 0 || !partial.error_message.is_empty() {
            let (signal, said) = (self.signal.as_str(), partial.error_message);
            tracing::warn!(signal, rejected, said, "the OTLP collector took only a part");
        }
        rejected
    }

    fn failed(&self, reason: &str) {
        let (signal, url) = (self.signal.as_str(), self.transport.url());
        if self.failing.swap(true, Relaxed) {
            tracing::debug!(signal, %url, reason, "the OTLP collector still takes nothing");
        } else {
            tracing::warn!(signal, %url, reason, "the OTLP collector takes nothing; trying on");
        }
    }

    fn recovered(&self) {
        if self.failing.swap(false, Relaxed) {
            let signal = self.signal.as_str();
            tracing::info!(signal, "the OTLP collector takes telemetry again");
        }
    }

    /// Waits before the next attempt. Being told to stop ends the wait once, for a last try at
    /// once; but who was asked to come later does.
    pub(super) async fn pause(&self, backoff: &mut Backoff, retry_after: Option<Duration>) {
        let delay = backoff.next();
        let mut stopping = self.stopping.clone();
        if let Some(asked) = retry_after {
            tokio::time::sleep(asked + delay / 4).await;
        } else if *stopping.borrow() {
            tokio::time::sleep(delay).await;
        } else {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = stopping.wait_for(|stop| *stop) => *backoff = Backoff::default(),
            }
        }
    }
}

#[cfg(test)]
mod tests;
