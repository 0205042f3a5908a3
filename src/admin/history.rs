//! The last ten minutes second by second, and the last day minute by minute: what charts over time are
//! drawn from.
//!
//! In: a cumulative latency snapshot and capture totals, once a second. Out: [`Slot`]s, each a whole
//! number of seconds or minutes, and the [`Heat`] map of their latencies. The promise: bounded memory
//! (600 seconds and 1,440 minutes of at most 640 latency bands of 8 bytes: never over 10.5 MB, and under
//! 2 MB where latencies of a minute span three decades), and quantiles of a slot come from all its
//! requests, never from averaged quantiles.

mod heat;
mod tick;

pub use heat::{Band, Heat};
pub use tick::Slot;

use crate::capture::Totals;
use crate::latency::Snapshot;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tick::{Cumulative, Tick, slot};

#[cfg(test)]
mod tests;

/// Seconds kept.
const SECONDS: usize = 600;
/// Minutes kept.
const MINUTES: usize = 24 * 60;
const TICKS_PER_MINUTE: u32 = 60;

#[derive(Default)]
pub struct History {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    seconds: Ring,
    minutes: Ring,
    /// The minute that is not over, and of how many ticks it is.
    open_minute: Option<(Tick, u32)>,
    last: Option<Cumulative>,
}

#[derive(Default)]
struct Ring {
    ticks: VecDeque<Tick>,
    /// Ticks ever pushed: aligns slots, so that a finished slot never changes.
    pushed: u64,
}

/// How far back a chart over time goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Range {
    #[default]
    #[serde(rename = "10m")]
    TenMinutes,
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "24h")]
    Day,
}

impl Range {
    pub const ALL: [Self; 3] = [Self::TenMinutes, Self::Hour, Self::Day];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TenMinutes => "10m",
            Self::Hour => "1h",
            Self::Day => "24h",
        }
    }

    pub const fn seconds(self) -> usize {
        match self {
            Self::TenMinutes => 600,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// Seconds of one slot.
    pub const fn step(self) -> usize {
        match self {
            Self::TenMinutes => 10,
            Self::Hour => 60,
            Self::Day => 900,
        }
    }
}

/// Slots, oldest first, and the heat map of the same slots.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stretch {
    pub slots: Vec<Slot>,
    pub heat: Heat,
}

impl History {
    /// Takes the totals of this moment; the first call only sets the point of departure.
    pub fn push(&self, now: Timestamp, latency: &Snapshot, capture: Totals) {
        self.lock().push(Cumulative::of(now, latency, capture));
    }

    /// The last `seconds`, of at most ten minutes, in slots of `per_slot` seconds.
    pub fn recent(&self, seconds: usize, per_slot: usize) -> Stretch {
        self.lock().seconds.stretch(None, seconds, per_slot)
    }

    pub fn stretch(&self, range: Range) -> Stretch {
        let (length, step) = (range.seconds(), range.step());
        if length <= SECONDS {
            return self.recent(length, step);
        }
        let inner = self.lock();
        let open = inner.open_minute.as_ref().map(|(tick, _)| tick);
        inner.minutes.stretch(open, length / 60, step / 60)
    }

    /// Seconds held.
    pub fn len(&self) -> usize {
        self.lock().seconds.ticks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push(&mut self, now: Cumulative) {
        if let Some(last) = &self.last {
            let tick = now.since(last);
            self.fill_minute(&tick);
            self.seconds.push(tick, SECONDS);
        }
        self.last = Some(now);
    }

    fn fill_minute(&mut self, tick: &Tick) {
        let (minute, ticks) = match self.open_minute.take() {
            None => (tick.clone(), 1),
            Some((mut minute, ticks)) => {
                minute.merge(tick);
                (minute, ticks + 1)
            }
        };
        if ticks == TICKS_PER_MINUTE {
            self.minutes.push(minute, MINUTES);
        } else {
            self.open_minute = Some((minute, ticks));
        }
    }
}

impl Ring {
    fn push(&mut self, tick: Tick, capacity: usize) {
        if self.ticks.len() == capacity {
            self.ticks.pop_front();
        }
        self.ticks.push_back(tick);
        self.pushed += 1;
    }

    /// The last `length` ticks, `open` being the newest where there is one.
    fn stretch(&self, open: Option<&Tick>, length: usize, per_slot: usize) -> Stretch {
        let oldest = self.pushed - self.ticks.len() as u64;
        let slot_of = |index: usize| (oldest + index as u64) / per_slot.max(1) as u64;
        let held = self.ticks.len() + usize::from(open.is_some());
        let skipped = held.saturating_sub(length);
        let ticks: Vec<_> = self.ticks.iter().chain(open).enumerate().skip(skipped).collect();
        let (slots, bands): (Vec<_>, Vec<_>) = ticks
            .chunk_by(|(a, _), (b, _)| slot_of(*a) == slot_of(*b))
            .map(|chunk| slot(chunk.iter().map(|(_, tick)| *tick)))
            .unzip();
        Stretch { slots, heat: Heat::of(&bands) }
    }
}
