//! What happened between two pushes, and what many such ticks make together.

use super::heat::Bands;
use crate::capture::Totals;
use crate::latency::{Phase, Snapshot};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// Latency bands an octave: 4.4 % wide, so that a quantile is within 2.2 % of a request's time.
pub(super) const BANDS_PER_OCTAVE: f64 = 16.0;

/// From 1 ns to 2^40 ns, which is 18 minutes.
pub(super) const BANDS: usize = 40 * 16;

/// Since the process started, at the last push.
pub(super) struct Cumulative {
    pub(super) at: Timestamp,
    requests: u64,
    errors: u64,
    bands: Vec<u64>,
    capture: Totals,
}

/// What happened between two pushes.
#[derive(Clone)]
pub(super) struct Tick {
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
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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

impl Cumulative {
    pub(super) fn of(at: Timestamp, latency: &Snapshot, capture: Totals) -> Self {
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

    pub(super) fn since(&self, earlier: &Self) -> Tick {
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

impl Tick {
    /// Both together, as one longer tick.
    pub(super) fn merge(&mut self, later: &Self) {
        self.at = later.at;
        self.seconds += later.seconds;
        self.requests += later.requests;
        self.errors += later.errors;
        self.seen += later.seen;
        self.analysed += later.analysed;
        for (band, count) in &later.latencies {
            match self.latencies.binary_search_by_key(band, |(band, _)| *band) {
                Ok(place) => {
                    let sum = &mut self.latencies[place].1;
                    *sum = sum.saturating_add(*count);
                }
                Err(place) => self.latencies.insert(place, (*band, *count)),
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the bands there are; a float too large or NaN saturates"
)]
pub(super) fn band(seconds: f64) -> usize {
    let band = ((seconds * 1e9).max(1.0).log2() * BANDS_PER_OCTAVE) as usize;
    band.min(BANDS - 1)
}

/// The geometric middle of a band, in seconds.
pub(super) fn middle(band: usize) -> f64 {
    ((band as f64 + 0.5) / BANDS_PER_OCTAVE).exp2() * 1e-9
}

/// All ticks as one slot, and how many of its requests fell into each band.
pub(super) fn slot<'a>(ticks: impl Iterator<Item = &'a Tick>) -> (Slot, Bands) {
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
    let slot = Slot {
        p50: quantile(&bands, total, 0.5),
        p95: quantile(&bands, total, 0.95),
        p99: quantile(&bands, total, 0.99),
        ..sum
    };
    (slot, bands)
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
