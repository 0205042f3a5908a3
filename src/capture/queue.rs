//! The capture queue: many serving threads offer, few analysis threads drain.
//!
//! Bounded by items and by bytes, because a bound by count alone can pin gigabytes. A full queue
//! refuses the newest. Offering is lock-free and wakes nobody unless the queue is filling up: a
//! wake-up a request costs half as much again as the request, so analysis drains on a timer.

use crossbeam_queue::ArrayQueue;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use super::{Counters, Exchange};

/// Memory an exchange takes beside its payload: itself, its allocation, its header values.
const EXCHANGE_OVERHEAD_BYTES: usize = 1024;

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub items: NonZeroUsize,
    pub bytes: NonZeroUsize,
}

/// What became of an exchange that was offered.
#[must_use = "a refused exchange is a loss; it was counted, the caller may want to know"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    Taken,
    QueueFullOfItems,
    QueueFullOfBytes,
}

pub struct Queue {
    // Boxed, so that a slot of the ring is one pointer and handing over moves nothing.
    ring: ArrayQueue<Box<Exchange>>,
    held_bytes: AtomicUsize,
    limits: Limits,
    counters: Arc<Counters>,
    /// The analysis thread that waited first: whom to wake when the queue is filling up.
    waiter: OnceLock<Thread>,
}

impl Queue {
    pub fn new(limits: Limits, counters: Arc<Counters>) -> Self {
        Self {
            ring: ArrayQueue::new(limits.items.get()),
            held_bytes: AtomicUsize::new(0),
            limits,
            counters,
            waiter: OnceLock::new(),
        }
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Hands an exchange to analysis, or counts it as dropped. Never waits.
    pub fn offer(&self, exchange: Box<Exchange>) -> Offer {
        let cost = cost(&exchange);
        let held = self.held_bytes.fetch_add(cost, Ordering::Relaxed) + cost;
        if held > self.limits.bytes.get() {
            self.held_bytes.fetch_sub(cost, Ordering::Relaxed);
            self.counters.dropped_bytes.fetch_add(1, Ordering::Relaxed);
            return Offer::QueueFullOfBytes;
        }
        let truncated =
            exchange.request.body.is_truncated() || exchange.response.body.is_truncated();
        if self.ring.push(exchange).is_err() {
            self.held_bytes.fetch_sub(cost, Ordering::Relaxed);
            self.counters.dropped_items.fetch_add(1, Ordering::Relaxed);
            return Offer::QueueFullOfItems;
        }
        self.counters.kept.fetch_add(1, Ordering::Relaxed);
        if truncated {
            self.counters.truncated.fetch_add(1, Ordering::Relaxed);
        }
        if self.is_filling(held, cost)
            && let Some(waiter) = self.waiter.get()
        {
            waiter.unpark();
        }
        Offer::Taken
    }

    /// True for the one offer that crosses half of either bound.
    fn is_filling(&self, held: usize, cost: usize) -> bool {
        let half = self.limits.bytes.get() / 2;
        (held > half && held - cost <= half) || self.ring.len() == self.ring.capacity() / 2
    }

    /// Moves up to `max` exchanges into `batch`, oldest first, and no more once they hold `max_bytes`.
    pub fn drain(&self, batch: &mut Vec<Box<Exchange>>, max: usize, max_bytes: usize) {
        let mut bytes = 0;
        while batch.len() < max && bytes < max_bytes {
            let Some(exchange) = self.ring.pop() else { break };
            let cost = cost(&exchange);
            self.held_bytes.fetch_sub(cost, Ordering::Relaxed);
            bytes += cost;
            batch.push(exchange);
        }
    }

    /// Waits until `timeout` has passed or the queue is half full, whichever is first. Of several
    /// threads, only the first one to have waited is woken early.
    pub fn wait(&self, timeout: Duration) {
        self.waiter.get_or_init(std::thread::current);
        std::thread::park_timeout(timeout);
    }

    pub fn len(&self) -> usize {
        self.ring.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    pub fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }
}

fn cost(exchange: &Exchange) -> usize {
    exchange.kept_bytes() + EXCHANGE_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests;
