//! The last ten minutes, second by second: what the charts over time are drawn from.
//!
//! In: a cumulative latency snapshot and capture totals, once a second. Out: [`Slot`]s, each a whole
//! number of seconds. The promise: bounded memory (600 seconds, a few hundred latency bands each at
//! most), and quantiles of a slot come from all its requests, never from averaged quantiles.

use crate::capture::Totals;
use crate::latency::{Phase, Snapshot};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(test)]
mod tests;

/// Seconds kept.
const CAPACITY: usize = 600;

/// Latency bands an octave: 4.4 % wide, so that a quantile is within 2.2 % of a request's time.
const BANDS_PER_OCTAVE: f64 = 16.0;

/// From 1 ns to 2^40 ns, which is 18 minutes.
const BANDS: usize = 40 * 16;

#[derive(Default)]
pub struct History {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    ticks: VecDeque<Tick>,
    /// Ticks ever pushed: aligns slots, so that a finished slot never changes.
    pushed: u64,
    last: Option<Cumulative>,
}

/// Since the process started, at the last push.
struct Cumulative {
    at: Timestamp,
    requests: u64,
    errors: u64,
    bands: Vec<u64>,
    capture: Totals,
}

/// What happened between two pushes.
struct Tick {
    at: Timestamp,
    seconds: f64,
    requests: u64,
    errors: u64,
    seen: u64,
    analysed: u64,
    /// Bands that were hit, ascending.
    latencies: Vec<(u16, u32)>,
}

/// A stretch of time on a chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slot {
    /// Its end.
    pub at: Timestamp,
    pub seconds: f64,
    pub requests: u64,
    pub errors: u64,
    /// Exchanges that a tap saw, and those of them that analysis received.
    pub seen: u64,
    pub analysed: u64,
    /// Seconds; `None` without requests.
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
}

impl Slot {
    /// Requests a second.
    pub fn throughput(&self) -> f64 {
        self.requests as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// In [0, 1]; `None` without requests.
    pub fn error_ratio(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// In [0, 1]; `None` if no exchange was seen.
    pub fn coverage(&self) -> Option<f64> {
        (self.seen > 0).then(|| self.analysed as f64 / self.seen as f64)
    }
}

impl History {
    /// Takes the totals of this moment; the first call only sets the point of departure.
    pub fn push(&self, now: Timestamp, latency: &Snapshot, capture: Totals) {
        self.lock().push(Cumulative::of(now, latency, capture));
    }

    /// The last `seconds`, in slots of `per_slot` seconds, oldest first.
    pub fn slots(&self, seconds: usize, per_slot: usize) -> Vec<Slot> {
        self.lock().slots(seconds, per_slot.max(1))
    }

    /// Seconds held.
    pub fn len(&self) -> usize {
        self.lock().ticks.len()
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
            if self.ticks.len() == CAPACITY {
                self.ticks.pop_front();
            }
            self.ticks.push_back(now.since(last));
            self.pushed += 1;
        }
        self.last = Some(now);
    }

    fn slots(&self, seconds: usize, per_slot: usize) -> Vec<Slot> {
        let oldest = self.pushed - self.ticks.len() as u64;
        let slot_of = |index: usize| (oldest + index as u64) / per_slot as u64;
        let skipped = self.ticks.len().saturating_sub(seconds);
        let ticks: Vec<_> = self.ticks.iter().enumerate().skip(skipped).collect();
        ticks
            .chunk_by(|(a, _), (b, _)| slot_of(*a) == slot_of(*b))
            .map(|chunk| slot(chunk.iter().map(|(_, tick)| *tick)))
            .collect()
    }
}

impl Cumulative {
    fn of(at: Timestamp, latency: &Snapshot, capture: Totals) -> Self {
        let mut bands = vec![0; BANDS];
        let totals = latency.phases.iter().filter(|times| times.phase == Phase::Total);
        for (seconds, count) in totals.flat_map(|times| times.all.buckets()) {
            bands[band(seconds)] += count;
        }
        let count = |errors_only: bool| {
            let series = latency.requests.iter();
            let series = series.filter(|series| !errors_only || series.outcome.is_error());
            series.map(|series| series.duration.count()).sum()
        };
        Self { at, requests: count(false), errors: count(true), bands, capture }
    }

    fn since(&self, earlier: &Self) -> Tick {
        let elapsed = self.at.duration_since(earlier.at).as_secs_f64();
        let hit = self.bands.iter().zip(&earlier.bands).enumerate();
        let hit = hit.filter(|(_, (now, before))| now > before).map(|(band, (now, before))| {
            let count = u32::try_from(now - before).unwrap_or(u32::MAX);
            (u16::try_from(band).unwrap_or(u16::MAX), count)
        });
        Tick {
            at: self.at,
            // The wall clock may be set back; a tick is nominally a second.
            seconds: if elapsed > 0.0 { elapsed } else { 1.0 },
            requests: self.requests.saturating_sub(earlier.requests),
            errors: self.errors.saturating_sub(earlier.errors),
            seen: self.capture.seen().saturating_sub(earlier.capture.seen()),
            analysed: self.capture.kept.saturating_sub(earlier.capture.kept),
            latencies: hit.collect(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the bands there are; a float too large or NaN saturates"
)]
fn band(seconds: f64) -> usize {
    let band = ((seconds * 1e9).max(1.0).log2() * BANDS_PER_OCTAVE) as usize;
    band.min(BANDS - 1)
}

/// The geometric middle of a band, in seconds.
fn middle(band: usize) -> f64 {
    ((band as f64 + 0.5) / BANDS_PER_OCTAVE).exp2() * 1e-9
}

fn slot<'a>(ticks: impl Iterator<Item = &'a Tick>) -> Slot {
    let mut bands = vec![0u64; BANDS];
    let mut sum = Slot {
        at: Timestamp::UNIX_EPOCH,
        seconds: 0.0,
        requests: 0,
        errors: 0,
        seen: 0,
        analysed: 0,
        p50: None,
        p95: None,
        p99: None,
    };
    for tick in ticks {
        sum.at = tick.at;
        sum.seconds += tick.seconds;
        sum.requests += tick.requests;
        sum.errors += tick.errors;
        sum.seen += tick.seen;
        sum.analysed += tick.analysed;
        for (band, count) in &tick.latencies {
            bands[usize::from(*band)] += u64::from(*count);
        }
    }
    let total = bands.iter().sum();
    Slot {
        p50: quantile(&bands, total, 0.5),
        p95: quantile(&bands, total, 0.95),
        p99: quantile(&bands, total, 0.99),
        ..sum
    }
}

/// The nearest-rank quantile: the smallest band that at least `quantile` of the values reach.
fn quantile(bands: &[u64], total: u64, quantile: f64) -> Option<f64> {
    let rank = (quantile * total as f64).ceil().max(1.0);
    let mut ranked = 0.0;
    let holds_rank = |count: &u64| {
        ranked += *count as f64;
        ranked >= rank
    };
    (total > 0).then(|| bands.iter().position(holds_rank)).flatten().map(middle)
}
