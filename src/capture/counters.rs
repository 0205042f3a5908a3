//! What became of every exchange that a tap saw.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Shared by serving and analysis threads; each event is one relaxed addition.
#[derive(Debug, Default)]
pub struct Counters {
    pub kept: AtomicU64,
    pub sampled_out: AtomicU64,
    pub dropped_items: AtomicU64,
    pub dropped_bytes: AtomicU64,
    /// Kept, but a body was longer than `capture.max_body_bytes`. Counted within `kept` too.
    pub truncated: AtomicU64,
}

/// [`Counters`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Totals {
    pub kept: u64,
    pub sampled_out: u64,
    /// The queue held as many exchanges as it may.
    pub dropped_items: u64,
    /// The queue held as many bytes as it may.
    pub dropped_bytes: u64,
    pub truncated: u64,
}

impl Counters {
    pub fn totals(&self) -> Totals {
        Totals {
            kept: self.kept.load(Relaxed),
            sampled_out: self.sampled_out.load(Relaxed),
            dropped_items: self.dropped_items.load(Relaxed),
            dropped_bytes: self.dropped_bytes.load(Relaxed),
            truncated: self.truncated.load(Relaxed),
        }
    }
}

impl Totals {
    pub fn seen(&self) -> u64 {
        self.kept + self.sampled_out + self.dropped()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped_items + self.dropped_bytes
    }

    /// The share of exchanges that analysis received; 1 when there were none.
    pub fn coverage(&self) -> f64 {
        match self.seen() {
            0 => 1.0,
            seen => self.kept as f64 / seen as f64,
        }
    }

    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            kept: self.kept + other.kept,
            sampled_out: self.sampled_out + other.sampled_out,
            dropped_items: self.dropped_items + other.dropped_items,
            dropped_bytes: self.dropped_bytes + other.dropped_bytes,
            truncated: self.truncated + other.truncated,
        }
    }

    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            kept: self.kept - earlier.kept,
            sampled_out: self.sampled_out - earlier.sampled_out,
            dropped_items: self.dropped_items - earlier.dropped_items,
            dropped_bytes: self.dropped_bytes - earlier.dropped_bytes,
            truncated: self.truncated - earlier.truncated,
        }
    }
}
