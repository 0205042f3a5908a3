//! What became of everything that was to be exported, by exporter and signal.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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
    /// The receiver took the request but not these items (OTLP partial success).
    Rejected,
    /// The receiver refused the request in a way that no retry mends.
    Refused,
    /// Not delivered before the process ended.
    Shutdown,
}

impl Loss {
    pub const ALL: [Self; 4] = [Self::QueueFull, Self::Rejected, Self::Refused, Self::Shutdown];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Of all exporters; shared between them and whoever collects metrics.
#[derive(Debug, Default)]
pub struct Counters {
    otlp: [SignalCounters; Signal::ALL.len()],
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
    lost: [AtomicU64; Loss::ALL.len()],
}

impl Counters {
    pub fn otlp(&self, signal: Signal) -> &SignalCounters {
        &self.otlp[signal as usize]
    }

    /// Every exporter and signal, by the names users see.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Signal, &SignalCounters)> {
        Signal::ALL.into_iter().map(|signal| ("otlp", signal, self.otlp(signal)))
    }
}

impl SignalCounters {
    pub fn lose(&self, loss: Loss, items: u64) {
        self.lost[loss as usize].fetch_add(items, Relaxed);
    }

    pub fn lost(&self, loss: Loss) -> u64 {
        self.lost[loss as usize].load(Relaxed)
    }
}
