//! What became of everything that was to be exported, by exporter and signal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Who pushes telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExporterName {
    Otlp,
    ApplicationInsights,
}

impl ExporterName {
    pub const ALL: [Self; 2] = [Self::Otlp, Self::ApplicationInsights];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::ApplicationInsights => "application_insights",
        }
    }

    /// How this exporter can lose an item.
    pub const fn losses(self) -> &'static [Loss] {
        match self {
            Self::Otlp => &[Loss::QueueFull, Loss::Rejected, Loss::Refused, Loss::Shutdown],
            Self::ApplicationInsights => &Loss::ALL,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Metrics,
    Traces,
    Logs,
}

impl Signal {
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }
}

/// Why telemetry was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The queue held as many as it may: the newest was dropped.
    QueueFull,
    /// What waits for an absent receiver was over its bound: the oldest was dropped.
    BufferFull,
    /// It had waited for longer than the receiver takes.
    Expired,
    /// A file of the buffer was cut short, or is not what was written.
    Damaged,
    /// There were more series than may be pushed.
    OverLimit,
    /// Not a finite number, or more than the receiver takes in one item.
    Unfit,
    /// The receiver took the request but not these items (OTLP partial success).
    Rejected,
    /// The receiver refused the request in a way that no retry mends.
    Refused,
    /// Not delivered before the exporter ended: with the process, or replaced by a reload.
    Shutdown,
}

impl Loss {
    pub const ALL: [Self; 9] = [
        Self::QueueFull,
        Self::BufferFull,
        Self::Expired,
        Self::Damaged,
        Self::OverLimit,
        Self::Unfit,
        Self::Rejected,
        Self::Refused,
        Self::Shutdown,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::BufferFull => "buffer_full",
            Self::Expired => "expired",
            Self::Damaged => "damaged",
            Self::OverLimit => "over_limit",
            Self::Unfit => "unfit",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Of all exporters; shared between them and whoever collects metrics.
#[derive(Debug)]
pub struct Counters {
    by_exporter: [[SignalCounters; Signal::ALL.len()]; ExporterName::ALL.len()],
    listed: Vec<ExporterName>,
    buffer: BufferState,
}

impl Default for Counters {
    fn default() -> Self {
        Self::listing([ExporterName::Otlp])
    }
}

/// Of one exporter and signal.
#[derive(Debug, Default)]
pub struct SignalCounters {
    pub requests_ok: AtomicU64,
    pub requests_failed: AtomicU64,
    /// Items: spans, events, metric points.
    pub sent: AtomicU64,
    /// Items waiting, or being sent.
    pub queued: AtomicU64,
    /// Texts cut, and properties left out, to fit what the receiver takes.
    pub cut: AtomicU64,
    lost: [AtomicU64; Loss::ALL.len()],
    /// Items among the lost, by the status that the receiver gave each.
    by_status: Mutex<BTreeMap<u16, u64>>,
    last_error: Mutex<Option<String>>,
}

/// What waits on disk for a receiver that is away.
#[derive(Debug, Default)]
pub struct BufferState {
    /// Items, without those that are being sent.
    pub items: AtomicU64,
    pub bytes: AtomicU64,
    pub limit_bytes: AtomicU64,
    /// From a failed write until one succeeds.
    pub is_failing: AtomicBool,
}

impl Counters {
    /// Counts all exporters, and tells of those that are at work.
    pub fn listing(exporters: impl IntoIterator<Item = ExporterName>) -> Self {
        let listed = exporters.into_iter().collect();
        Self { by_exporter: Default::default(), listed, buffer: BufferState::default() }
    }

    pub fn of(&self, exporter: ExporterName, signal: Signal) -> &SignalCounters {
        &self.by_exporter[exporter as usize][signal as usize]
    }

    pub fn otlp(&self, signal: Signal) -> &SignalCounters {
        self.of(ExporterName::Otlp, signal)
    }

    /// The buffer of the exporter to Application Insights; `None` if that is off.
    pub fn buffer(&self) -> Option<&BufferState> {
        self.listed.contains(&ExporterName::ApplicationInsights).then_some(&self.buffer)
    }

    /// Every exporter that is told of, and each of its signals.
    pub fn iter(&self) -> impl Iterator<Item = (ExporterName, Signal, &SignalCounters)> {
        let signals = move |exporter| {
            Signal::ALL.into_iter().map(move |signal| (exporter, signal, self.of(exporter, signal)))
        };
        self.listed.iter().copied().flat_map(signals)
    }
}

impl Counters {
    pub(super) fn listed(&self) -> &[ExporterName] {
        &self.listed
    }

    pub(super) fn forget_errors(&self) {
        self.by_exporter.iter().flatten().for_each(|counts| counts.set_last_error(None));
        self.buffer.is_failing.store(false, Relaxed);
        self.buffer.bytes.store(0, Relaxed);
        self.buffer.limit_bytes.store(0, Relaxed);
    }

    /// Adds all that `other` has counted.
    pub(super) fn add(&self, other: &Self) {
        for exporter in ExporterName::ALL {
            for signal in Signal::ALL {
                self.of(exporter, signal).add(other.of(exporter, signal));
            }
        }
        self.buffer.bytes.fetch_add(other.buffer.bytes.load(Relaxed), Relaxed);
        self.buffer.limit_bytes.fetch_add(other.buffer.limit_bytes.load(Relaxed), Relaxed);
        self.buffer.is_failing.fetch_or(other.buffer.is_failing.load(Relaxed), Relaxed);
    }
}

impl SignalCounters {
    fn add(&self, other: &Self) {
        for (sum, more) in self.counts().into_iter().zip(other.counts()) {
            sum.fetch_add(more.load(Relaxed), Relaxed);
        }
        for (status, items) in other.by_status() {
            self.refused_with(status, items);
        }
        if let Some(error) = other.last_error() {
            self.set_last_error(Some(error));
        }
    }

    fn counts(&self) -> impl IntoIterator<Item = &AtomicU64> {
        let own = [&self.requests_ok, &self.requests_failed, &self.sent, &self.queued, &self.cut];
        own.into_iter().chain(&self.lost)
    }

    pub fn lose(&self, loss: Loss, items: u64) {
        self.lost[loss as usize].fetch_add(items, Relaxed);
    }

    pub fn lost(&self, loss: Loss) -> u64 {
        self.lost[loss as usize].load(Relaxed)
    }

    /// Counts items that the receiver refused with `status`, beside counting them as lost.
    pub fn refused_with(&self, status: u16, items: u64) {
        let mut by_status = self.by_status.lock().unwrap_or_else(PoisonError::into_inner);
        *by_status.entry(status).or_default() += items;
    }

    pub fn by_status(&self) -> Vec<(u16, u64)> {
        let by_status = self.by_status.lock().unwrap_or_else(PoisonError::into_inner);
        by_status.iter().map(|(status, items)| (*status, *items)).collect()
    }

    /// `None` once the receiver takes telemetry again.
    pub fn set_last_error(&self, error: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
