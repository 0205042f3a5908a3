//! Everything the admin address knows at one moment, loaded once, so that a page agrees with itself.

use super::history::{Heat, Range, Slot, Stretch};
use super::state::{ExporterState, Readiness, Setting, State};
use crate::capture::Totals;
use crate::config::Standing;
use crate::drift::{FeatureReport, FeatureView, Verdict, WindowReport};
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
    pub(super) range: Range,
    /// Seconds that [`Self::slots`] may span. Of ten minutes, they grow with the age of the process.
    pub(super) span_seconds: usize,
    /// Places on the axis of time; fewer are filled while the process is young.
    pub(super) places: usize,
    pub(super) slots: Vec<Slot>,
    pub(super) heat: Heat,
}

/// Slots on a chart of ten minutes.
const SLOTS: usize = 60;

impl<'a> Moment<'a> {
    pub(super) fn now(state: &'a State) -> Self {
        Self::over(state, Range::default())
    }

    pub(super) fn over(state: &'a State, range: Range) -> Self {
        let held = state.history.len();
        let (span_seconds, Stretch { slots, heat }) = match range {
            Range::TenMinutes => {
                let span = [60, 120, 300].into_iter().find(|span| held <= *span).unwrap_or(600);
                (span, state.history.recent(span, span / SLOTS))
            }
            Range::Hour | Range::Day => (range.seconds(), state.history.stretch(range)),
        };
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
            range,
            span_seconds,
            places: if range == Range::TenMinutes { SLOTS } else { span_seconds / range.step() },
            slots,
            heat,
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

    /// Lengths of the windows that have closed, the shortest first.
    pub(super) fn lengths(&self) -> Vec<Arc<str>> {
        self.latest_windows().into_iter().map(|report| Arc::clone(&report.window)).collect()
    }

    /// Closed windows of one length, oldest first.
    pub(super) fn windows_of(&self, length: &str) -> Vec<&Arc<WindowReport>> {
        self.analysis.windows.iter().filter(|report| *report.window == *length).collect()
    }

    pub(super) fn feature(&self, role: Option<Role>, name: &str) -> Option<&FeatureView> {
        let mut features = self.analysis.features.iter();
        features.find(|view| *view.feature == *name && role.is_none_or(|role| role == view.role))
    }
}

/// What a window said of a feature, if it knew it.
pub(super) fn report_of<'a>(
    window: &'a WindowReport,
    role: Role,
    feature: &str,
) -> Option<&'a FeatureReport> {
    window.features.iter().find(|report| report.role == role && *report.feature == *feature)
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
