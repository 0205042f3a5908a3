//! What analysis keeps of the model it watches, between one batch and the next.
//!
//! In: decoded exchanges and labels. Out: at each tick the windows that closed, the verdicts that
//! changed, and a [`Snapshot`]. Time comes in with each call.

use super::failures::{Failures, QualityChange};
use super::kept::KeptWindows;
use super::snapshot::{Problem, Snapshot};
use crate::capture::{Headers, Totals};
use crate::decode::{Decoded, Rows};
use crate::drift::{
    self, Assigned, Monitor, Reference, ReferenceState, Referred, Tumbling, Verdict, WarningChange,
    WindowReport, WindowSpan,
};
use crate::labels::{self, Joiner, LabelFault, Parsed, Source};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

mod saved;

pub use saved::{Closed, Mark, NotRestored, Resumed, Saved, Taken};

/// One is kept for each bin of each feature: a longer id of a client's own is no example.
const MAX_EXAMPLE_ID_BYTES: usize = 128;

pub struct Watch {
    model_name: Arc<str>,
    model_version: Arc<str>,
    monitor: Monitor,
    tumbling: Tumbling,
    joiner: Joiner,
    /// What capture had counted when each window opened: a window's coverage is the difference.
    opened: BTreeMap<usize, Totals>,
    /// By level, what processes before this one saw of the window that is open.
    carried: Vec<Carried>,
    /// In which the last of them had ended, and this one had not begun.
    gap: Option<Gap>,
    last_verdicts: BTreeMap<Arc<str>, Verdict>,
    failures: Failures,
    windows: KeptWindows,
    /// Windows closed, and references come into use.
    closings: u64,
    counted_since: Option<Timestamp>,
    decoded_exchanges: u64,
    input_rows: u64,
    output_rows: u64,
    problems: BTreeMap<&'static str, u64>,
    /// Of the exchange that is being counted.
    assigned: Assigned,
    /// By window, the segments that drifted in the last.
    drifting_segments: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

/// A verdict that is not the one before it on windows of the same length, or other segments that drift. Before the first, nothing
/// was shown, which is what `insufficient_data` says.
#[derive(Debug, Clone)]
pub struct VerdictChange {
    pub before: Verdict,
    pub report: Arc<WindowReport>,
    /// What the window was compared with.
    pub reference: ReferenceState,
}

/// What the windows of one moment changed, in the order in which they closed.
#[derive(Debug, Default)]
pub struct Changes {
    pub verdicts: Vec<VerdictChange>,
    pub quality: Vec<QualityChange>,
}

/// What a watch is to go on with.
#[derive(Debug, Clone)]
pub struct Retune {
    pub drift: drift::Settings,
    /// Lengths of windows, ascending.
    pub windows: Vec<Duration>,
    pub labels: labels::Settings,
    pub reference: Reference,
}

/// Of an open window, when a process saved it.
#[derive(Debug, Clone, Copy, Default)]
struct Carried {
    totals: Totals,
    unwatched: SignedDuration,
}

/// From the last that one process saved to the start of the next.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from: Timestamp,
    to: Timestamp,
}

impl Gap {
    fn length(self) -> SignedDuration {
        self.to.duration_since(self.from)
    }

    /// How much of it lies in a window.
    fn within(self, (start, end): (Timestamp, Timestamp)) -> SignedDuration {
        let inside = self.to.min(end).duration_since(self.from.max(start));
        inside.max(SignedDuration::ZERO)
    }
}

impl Watch {
    pub fn new(
        model_name: Arc<str>,
        model_version: Arc<str>,
        monitor: Monitor,
        tumbling: Tumbling,
        joiner: Joiner,
        max_verdicts: usize,
    ) -> Self {
        Self {
            model_name,
            model_version,
            monitor,
            tumbling,
            joiner,
            opened: BTreeMap::new(),
            carried: Vec::new(),
            gap: None,
            last_verdicts: BTreeMap::new(),
            failures: Failures::default(),
            windows: KeptWindows::new(max_verdicts),
            closings: 0,
            counted_since: None,
            decoded_exchanges: 0,
            input_rows: 0,
            output_rows: 0,
            problems: BTreeMap::new(),
            assigned: Assigned::default(),
            drifting_segments: BTreeMap::new(),
        }
    }

    /// Takes over other settings. With windows of other lengths all windows begin anew, and with another
    /// baseline what was said of the one before is forgotten too: it is true no more.
    pub fn retune(&mut self, retune: Retune, now: Timestamp, totals: Totals) {
        let tumbling = Tumbling::new(&retune.windows, now);
        let lengths_stay = tumbling.has_lengths_of(&self.tumbling);
        let names = retune.drift.windows.clone();
        self.joiner.retune(retune.labels);
        if !retune.drift.segments.tells_as(self.monitor.segment_settings()) {
            self.joiner.begin_parts_anew();
        }
        self.monitor.retune(retune.drift);
        let reference = self.monitor.refer(retune.reference);
        if !lengths_stay {
            self.tumbling = tumbling;
            self.windows.retain(|report| names.contains(&report.window));
            self.last_verdicts.retain(|window, _| names.contains(window));
            self.drifting_segments.retain(|window, _| names.contains(window));
            self.failures.retain(|window| names.contains(window));
        }
        if reference == Referred::Anew {
            self.windows.clear();
            self.last_verdicts.clear();
            self.drifting_segments.clear();
            self.failures = Failures::default();
            self.counted_since = Some(now);
        }
        if !lengths_stay || reference == Referred::Anew {
            self.opened = (0..names.len()).map(|level| (level, totals)).collect();
            (self.carried, self.gap) = (Vec::new(), None);
        }
        self.closings += 1;
    }

    /// Says which parts of the traffic the rows of an exchange belong to, and counts them there; before
    /// [`Self::observe`] of the same.
    pub fn segment(&mut self, decoded: &Decoded, rate: f64, headers: &Headers) {
        let header = |name: &str| {
            let found = headers.iter().find(|(known, _)| known.as_str() == name);
            found.and_then(|(_, value)| value.to_str().ok())
        };
        self.assigned = if decoded.inputs.is_empty() && decoded.outputs.is_empty() {
            Assigned::default()
        } else {
            self.monitor.segment((&decoded.inputs, &decoded.outputs), rate, header)
        };
        self.joiner.name_parts(self.monitor.segment_names());
    }

    /// When an exchange that is observed now counts: within the window that is open.
    pub fn counts_at(&self, now: Timestamp) -> Timestamp {
        self.tumbling.within_open(now)
    }

    pub fn observe(&mut self, id: &str, decoded: &Decoded, at: Timestamp) {
        self.observe_sampled(id, decoded, 1.0, at);
    }

    /// `rate` is the share of exchanges that were kept when this one was, in (0, 1].
    pub fn observe_sampled(&mut self, id: &str, decoded: &Decoded, rate: f64, at: Timestamp) {
        for (_, problem) in &decoded.problems {
            self.count_problem(problem.as_str());
        }
        if decoded.inputs.is_empty() && decoded.outputs.is_empty() {
            return;
        }
        self.decoded_exchanges += 1;
        self.input_rows += decoded.inputs.len() as u64;
        self.output_rows += decoded.outputs.len() as u64;
        self.monitor.observe_sampled(&decoded.inputs, &decoded.outputs, rate);
        if id.len() <= MAX_EXAMPLE_ID_BYTES {
            self.monitor.exemplify(&id.into(), &decoded.inputs, &decoded.outputs);
        }
        self.remember_predictions(id, &decoded.outputs, at);
    }

    fn remember_predictions(&mut self, id: &str, outputs: &Rows, at: Timestamp) {
        for row in 0..outputs.len() {
            let (place, scores) = ((row, outputs.len()), self.joiner.scores(outputs, row));
            if let Some(cell) = self.joiner.prediction(outputs, row, &scores) {
                let parts = self.assigned.of_row(row);
                self.joiner.predicted_in(id, place, cell, scores, at, parts);
            }
        }
    }

    /// Takes what was read of a place, such as a file, and counts what could not be, for which alone the
    /// place is written out.
    pub fn take_labels(
        &mut self,
        source: Source,
        place: impl Display,
        parsed: Parsed,
        now: Timestamp,
    ) {
        self.joiner.came_from(source, parsed.labels.len() as u64, parsed.bad_total);
        for label in parsed.labels {
            let _ = self.joiner.labelled(label, now);
        }
        for bad in parsed.bad {
            let place = format!("{place} {} {}", bad.place, bad.number);
            let reason = bad.fault.to_string();
            self.joiner.note_fault(LabelFault { source, place, reason });
        }
    }

    pub fn count_problem(&mut self, reason: &'static str) {
        *self.problems.entry(reason).or_default() += 1;
    }

    /// What early warning says anew. To be asked before windows are closed.
    pub fn warn(&mut self, now: Timestamp) -> Vec<WarningChange> {
        self.monitor.warn(now)
    }

    /// Closes the windows that are due and says what changed.
    pub fn advance(&mut self, now: Timestamp, totals: Totals) -> Changes {
        let mut changes = Changes::default();
        for (level, start, end) in self.tumbling.due(now) {
            self.close(level, (start, end), totals, &mut changes);
        }
        changes
    }

    /// Forgets what has waited for too long, and says of which windows labels changed what is known.
    pub fn advance_labels(&mut self, now: Timestamp) -> Vec<labels::Emitted> {
        self.joiner.advance(now)
    }

    fn close(
        &mut self,
        level: usize,
        (start, end): (Timestamp, Timestamp),
        totals: Totals,
        changes: &mut Changes,
    ) {
        let Carried { totals: seen, unwatched } = self.of_window(level, (start, end), totals);
        self.opened.insert(level, totals);
        if let Some(carried) = self.carried.get_mut(level) {
            *carried = Carried::default();
        }
        let watched = 1.0 - unwatched.as_secs_f64() / end.duration_since(start).as_secs_f64();
        let coverage = seen.coverage() * watched.clamp(0.0, 1.0);
        let span = WindowSpan { level, start: Some(start), end: Some(end), coverage };
        let Some(mut report) = self.monitor.close(span) else { return };
        report.unwatched_seconds = unwatched.is_positive().then(|| unwatched.as_secs_f64());
        let report = Arc::new(report);
        self.closings += 1;
        self.windows.push(Arc::clone(&report));
        changes.quality.extend(self.failures.follow(&report));
        let before = self.last_verdicts.insert(Arc::clone(&report.window), report.verdict);
        let before = before.unwrap_or(Verdict::InsufficientData);
        let drifting = report.segments.iter().filter(|segment| segment.is_drifting());
        let drifting: Vec<Arc<str>> = drifting.map(|s| Arc::clone(&s.segment)).collect();
        let known = self.drifting_segments.insert(Arc::clone(&report.window), drifting.clone());
        if before != report.verdict || known.unwrap_or_default() != drifting {
            let reference = self.monitor.reference_state();
            changes.verdicts.push(VerdictChange { before, report, reference });
        }
    }

    /// Windows that closed, and references that came into use, so far.
    pub fn closings(&self) -> u64 {
        self.closings
    }

    fn of_open_window(&self, level: usize, totals: Totals) -> Carried {
        let span = self.tumbling.span(level);
        span.map(|span| self.of_window(level, span, totals)).unwrap_or_default()
    }

    /// What was seen, by this process and those before it, of the window of a level that is open.
    fn of_window(&self, level: usize, span: (Timestamp, Timestamp), totals: Totals) -> Carried {
        let opened = self.opened.get(&level).copied().unwrap_or_default();
        let carried = self.carried.get(level).copied().unwrap_or_default();
        let in_gap = self.gap.map(|gap| gap.within(span)).unwrap_or_default();
        Carried {
            totals: totals.since(&opened).plus(&carried.totals),
            unwatched: carried.unwatched.saturating_add(in_gap),
        }
    }

    pub fn snapshot(&mut self) -> Snapshot {
        let mut problems: Vec<_> =
            self.problems.iter().map(|(reason, count)| Problem { reason, count: *count }).collect();
        problems.sort_by_key(|problem| std::cmp::Reverse(problem.count));
        Snapshot {
            model_name: Arc::clone(&self.model_name),
            model_version: Arc::clone(&self.model_version),
            reference: self.monitor.reference_state(),
            features: self.monitor.views(),
            counted_since: self.counted_since,
            features_over_limit: self.monitor.features_over_limit(),
            extra_features: self.monitor.extra_features(),
            windows: self.windows.oldest_first(),
            segments: self.monitor.segment_windows(),
            early: self.monitor.warnings().map(Arc::new),
            labels: self.joiner.report(),
            decoded_exchanges: self.decoded_exchanges,
            input_rows: self.input_rows,
            output_rows: self.output_rows,
            problems,
            dialects: Vec::new(),
            archive: None,
            state: None,
            held_references: self.monitor.held_references(),
        }
    }
}
