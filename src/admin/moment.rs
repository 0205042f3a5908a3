//! Everything the admin address knows at one moment, loaded once, so that a page agrees with itself.

use super::history::Slot;
use super::state::{ExporterState, Readiness, Setting, State};
use crate::capture::Totals;
use crate::config::Standing;
use crate::drift::{FeatureReport, Verdict, WindowReport};
use crate::sketch::Role;
use crate::{latency, pipeline};
use jiff::Timestamp;
use std::sync::Arc;

pub(super) struct Moment<'a> {
    pub(super) state: &'a State,
    pub(super) now: Timestamp,
    pub(super) analysis: Arc<pipeline::Snapshot>,
    pub(super) latency: Arc<latency::Snapshot>,
    pub(super) capture: Totals,
    pub(super) readiness: Readiness,
    pub(super) exporters: Vec<ExporterState>,
    pub(super) settings: Arc<Vec<Setting>>,
    pub(super) standing: Arc<Standing>,
    /// Seconds that [`Self::slots`] may span; they grow with the age of the process.
    pub(super) span_seconds: usize,
    pub(super) slots: Vec<Slot>,
}

/// Slots on a chart over time.
pub(super) const SLOTS: usize = 60;

impl<'a> Moment<'a> {
    pub(super) fn now(state: &'a State) -> Self {
        let held = state.history.len();
        let span_seconds = [60, 120, 300].into_iter().find(|span| held <= *span).unwrap_or(600);
        Self {
            state,
            now: Timestamp::now(),
            analysis: state.analysis.load_full(),
            latency: state.latency.load_full(),
            capture: state.queue.counters().totals(),
            readiness: (state.readiness)(),
            exporters: (state.exporters)(),
            settings: state.settings.load_full(),
            standing: state.standing.load_full(),
            span_seconds,
            slots: state.history.slots(span_seconds, span_seconds / SLOTS),
        }
    }

    pub(super) fn uptime_seconds(&self) -> u64 {
        let age = self.now.duration_since(self.state.started_at).as_secs();
        u64::try_from(age).unwrap_or(0)
    }

    pub(super) fn requests(&self) -> u64 {
        self.latency.requests.iter().map(|series| series.duration.count()).sum()
    }

    pub(super) fn errors(&self) -> u64 {
        let failed = self.latency.requests.iter().filter(|series| series.outcome.is_error());
        failed.map(|series| series.duration.count()).sum()
    }

    /// Rows of the reference; while it is being learnt, those it has so far.
    pub(super) fn baseline_rows(&self) -> u64 {
        use crate::drift::ReferenceState::{Given, Learned, Learning};
        match &self.analysis.reference {
            Learning { rows, .. } | Learned { rows, .. } | Given { rows, .. } => *rows,
        }
    }

    /// The last closed window of each length, the shortest first.
    pub(super) fn latest_windows(&self) -> Vec<&Arc<WindowReport>> {
        let mut latest: Vec<&Arc<WindowReport>> = Vec::new();
        for report in self.analysis.windows.iter().rev() {
            if latest.iter().all(|known| known.window != report.window) {
                latest.push(report);
            }
        }
        latest.sort_by_key(|report| length(report));
        latest
    }

    /// Drifting if the last window of any length is; else stable if one of them is. `None` before the
    /// first window closed.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        let verdicts: Vec<_> = self.latest_windows().iter().map(|report| report.verdict).collect();
        [Verdict::Drifting, Verdict::Stable, Verdict::InsufficientData]
            .into_iter()
            .find(|verdict| verdicts.contains(verdict))
    }

    /// What the last window of the shortest length said of a feature.
    pub(super) fn latest_report(&self, role: Role, feature: &str) -> Option<&FeatureReport> {
        let window = self.latest_windows();
        let window =
            self.analysis.windows.iter().rfind(|report| {
                window.first().is_some_and(|finest| finest.window == report.window)
            })?;
        window.features.iter().find(|report| report.role == role && *report.feature == *feature)
    }
}

/// A window's length in seconds; windows by rows, which carry no time, by their rows.
pub(super) fn length(report: &WindowReport) -> i128 {
    match (report.start, report.end) {
        (Some(start), Some(end)) => end.duration_since(start).as_nanos(),
        _ => i128::from(report.rows),
    }
}

/// A verdict on one feature of one window: `insufficient_data` where there was nothing to test.
pub(super) fn feature_verdict(report: &FeatureReport) -> Verdict {
    match (report.detected, report.p_value) {
        (true, _) => Verdict::Drifting,
        (false, Some(_)) => Verdict::Stable,
        (false, None) => Verdict::InsufficientData,
    }
}
