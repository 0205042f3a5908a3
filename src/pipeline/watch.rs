//! What analysis keeps of the model it watches, between one batch and the next.
//!
//! In: decoded exchanges and labels. Out: at each tick the windows that closed, the verdicts that
//! changed, and a [`Snapshot`]. Time comes in with each call.

use super::kept::KeptWindows;
use super::snapshot::{Problem, Snapshot};
use crate::capture::Totals;
use crate::decode::{Decoded, Rows};
use crate::drift::{
    self, Monitor, Reference, ReferenceState, Referred, Tumbling, Verdict, WarningChange,
    WindowReport, WindowSpan,
};
use crate::labels::{self, Joiner, LabelFault, Parsed, Source};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
    last_verdicts: BTreeMap<Arc<str>, Verdict>,
    windows: KeptWindows,
    counted_since: Option<Timestamp>,
    decoded_exchanges: u64,
    input_rows: u64,
    output_rows: u64,
    problems: BTreeMap<&'static str, u64>,
}

/// A verdict that is not the one before it on windows of the same length. Before the first, nothing
/// was shown, which is what `insufficient_data` says.
#[derive(Debug, Clone)]
pub struct VerdictChange {
    pub before: Verdict,
    pub report: Arc<WindowReport>,
    /// What the window was compared with.
    pub reference: ReferenceState,
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
            last_verdicts: BTreeMap::new(),
            windows: KeptWindows::new(max_verdicts),
            counted_since: None,
            decoded_exchanges: 0,
            input_rows: 0,
            output_rows: 0,
            problems: BTreeMap::new(),
        }
    }

    /// Takes over other settings. With windows of other lengths all windows begin anew, and with another
    /// baseline what was said of the one before is forgotten too: it is true no more.
    pub fn retune(&mut self, retune: Retune, now: Timestamp, totals: Totals) {
        let tumbling = Tumbling::new(&retune.windows, now);
        let lengths_stay = tumbling.has_lengths_of(&self.tumbling);
        let names = retune.drift.windows.clone();
        self.joiner.retune(retune.labels);
        self.monitor.retune(retune.drift);
        let reference = self.monitor.refer(retune.reference);
        if !lengths_stay {
            self.tumbling = tumbling;
            self.windows.retain(|report| names.contains(&report.window));
            self.last_verdicts.retain(|window, _| names.contains(window));
        }
        if reference == Referred::Anew {
            self.windows.clear();
            self.last_verdicts.clear();
            self.counted_since = Some(now);
        }
        if !lengths_stay || reference == Referred::Anew {
            self.opened = (0..names.len()).map(|level| (level, totals)).collect();
        }
    }

    pub fn observe(&mut self, id: &str, decoded: &Decoded, at: Timestamp) {
        for (_, problem) in &decoded.problems {
            self.count_problem(problem.as_str());
        }
        if decoded.inputs.is_empty() && decoded.outputs.is_empty() {
            return;
        }
        self.decoded_exchanges += 1;
        self.input_rows += decoded.inputs.len() as u64;
        self.output_rows += decoded.outputs.len() as u64;
        self.monitor.observe(&decoded.inputs, &decoded.outputs);
        if id.len() <= MAX_EXAMPLE_ID_BYTES {
            self.monitor.exemplify(&id.into(), &decoded.inputs, &decoded.outputs);
        }
        self.remember_predictions(id, &decoded.outputs, at);
    }

    fn remember_predictions(&mut self, id: &str, outputs: &Rows, at: Timestamp) {
        for row in 0..outputs.len() {
            if let Some(prediction) = labels::prediction(outputs, row) {
                let (place, scores) = ((row, outputs.len()), self.joiner.scores(outputs, row));
                self.joiner.predicted(id, place, prediction.as_cell(), scores, at);
            }
        }
    }

    /// Takes what was read of a place, such as a file, and counts what could not be.
    pub fn take_labels(&mut self, source: Source, place: &str, parsed: Parsed, now: Timestamp) {
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

    /// Closes the windows that are due and says which verdicts changed.
    pub fn advance(&mut self, now: Timestamp, totals: Totals) -> Vec<VerdictChange> {
        let due = self.tumbling.due(now);
        due.into_iter()
            .filter_map(|(level, start, end)| self.close(level, (start, end), totals))
            .collect()
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
    ) -> Option<VerdictChange> {
        let opened = self.opened.insert(level, totals).unwrap_or_default();
        let coverage = totals.since(&opened).coverage();
        let span = WindowSpan { level, start: Some(start), end: Some(end), coverage };
        let report = Arc::new(self.monitor.close(span)?);
        self.windows.push(Arc::clone(&report));
        let before = self.last_verdicts.insert(Arc::clone(&report.window), report.verdict);
        let before = before.unwrap_or(Verdict::InsufficientData);
        let reference = self.monitor.reference_state();
        (before != report.verdict).then_some(VerdictChange { before, report, reference })
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
            early: self.monitor.warnings().map(Arc::new),
            labels: self.joiner.report(),
            decoded_exchanges: self.decoded_exchanges,
            input_rows: self.input_rows,
            output_rows: self.output_rows,
            problems,
            archive: None,
        }
    }
}
