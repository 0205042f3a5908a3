//! Predictions and labels brought together by id, whichever comes first.

mod saved;
mod scored;

use jiff::{SignedDuration, Timestamp};
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use super::compare::Rule;
use super::estimate::{self, LabelledCounts, RowScores};
use super::forgotten::Forgotten;
use super::parts::RowParts;
use super::pending::{Keyed, Pending};
use super::prediction::{Prediction, named_prediction, named_scores, prediction, scores};
use super::probabilities::Scores;
use super::report::Report;
use super::sources::{LabelFault, Source, Sources};
use super::summary::Summary;
use super::tally::{Pair, Task};
use super::value::{Label, LabelValue, Truth, Value};
use super::windows::{Bounds, Emitted, WindowLength};
use crate::decode::{Cell, Rows};
use scored::Scored;

#[derive(Debug, Clone)]
pub struct Settings {
    /// A prediction is remembered for so long.
    pub max_delay: Duration,
    /// Rows remembered, at most; over it the oldest request is forgotten. As many labels are held.
    pub max_pending: NonZeroUsize,
    /// A label is held for so long before its prediction has come.
    pub max_early: Duration,
    /// The windows that performance is reported for, ascending.
    pub windows: Vec<WindowLength>,
    /// Windows of each length that are reported, at most: the newest.
    pub max_windows: NonZeroUsize,
    /// Entries of scores and classes that all windows hold; over it the oldest window is forgotten.
    pub max_cells: usize,
    pub task: Task,
    pub rule: Rule,
    /// The performance that windows are tested against; `None` learns it from the first labelled rows.
    pub reference: Option<Arc<Summary>>,
    /// How many of them.
    pub reference_rows: NonZeroU64,
    /// What scores meant in the reference; `None` learns it from labels.
    pub calibration: Option<Arc<LabelledCounts>>,
    /// The outputs that are scores: one of class 1, or one a class. Without any, see [`super::scores`].
    pub score_columns: Vec<Arc<str>>,
    /// The output that is the prediction, where one is named: see [`super::named_prediction`].
    pub prediction: Option<Arc<str>>,
}

impl Default for Settings {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        let at_least_one = |count| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        Self {
            max_delay: 7 * 24 * HOUR,
            max_pending: at_least_one(1_000_000),
            max_early: HOUR,
            windows: vec![WindowLength { name: "1h".into(), length: HOUR }],
            max_windows: at_least_one(288),
            max_cells: 500_000,
            task: Task::Auto,
            rule: Rule::default(),
            reference: None,
            reference_rows: NonZeroU64::MIN.saturating_add(999),
            calibration: None,
            score_columns: Vec::new(),
            prediction: None,
        }
    }
}

/// What became of the rows that one label speaks of.
#[must_use = "tells whoever sent the label what became of it; it was counted"]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Joined {
    pub joined: u64,
    /// Rows that had a label before: the last one counts.
    pub duplicates: u64,
    /// Rows whose prediction was not seen yet.
    pub held: u64,
    /// Labels whose prediction was seen, and is forgotten.
    pub late: u64,
    /// Rows that the request does not have, and a single label for a request of several rows.
    pub refused: u64,
}

/// Bounded by [`Settings`]; about 250 bytes a remembered row.
#[derive(Debug)]
pub struct Joiner {
    settings: Settings,
    predictions: Pending<Row>,
    early: Pending<EarlyLabel>,
    forgotten: Forgotten,
    scored: Scored,
    sources: Sources,
    /// The latest time of a prediction.
    newest: Timestamp,
    predicted: u64,
    unknown_ids: u64,
    late: u64,
    expired: u64,
}

/// A prediction, and its label if that has come.
#[derive(Debug)]
struct Row {
    index: usize,
    /// How many rows its request has.
    of: usize,
    prediction: Value,
    scores: Scores,
    parts: RowParts,
    at: Timestamp,
    truth: Option<Known>,
    /// The reference was learnt from it too.
    in_reference: bool,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    value: Value,
    at: Timestamp,
}

#[derive(Debug)]
struct EarlyLabel {
    target: Target,
    known: Known,
}

/// Which row of a request a label speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The only one.
    Only,
    Row(usize),
}

impl Keyed for Row {
    fn key(&self) -> usize {
        self.index
    }
}

impl Keyed for EarlyLabel {
    fn key(&self) -> usize {
        self.target.key()
    }
}

impl Target {
    fn key(self) -> usize {
        match self {
            Self::Only => 0,
            Self::Row(index) => index.saturating_add(1),
        }
    }
}

impl Joiner {
    pub fn new(settings: Settings) -> Self {
        Self {
            predictions: Pending::new(),
            early: Pending::new(),
            forgotten: Forgotten::default(),
            scored: Scored::new(&settings),
            sources: Sources::default(),
            newest: Timestamp::MIN,
            predicted: 0,
            unknown_ids: 0,
            late: 0,
            expired: 0,
            settings,
        }
    }

    /// Goes on with other settings. Windows of another length begin after the newest prediction, so that
    /// each has all of its rows; what waits is bounded by the new settings from the next call on.
    pub fn retune(&mut self, settings: Settings) {
        self.scored.retune(&settings, self.newest);
        self.settings = settings;
    }

    /// Takes the prediction for row `row` of the `rows` of request `id`, made at `at`. A null or NaN is no
    /// prediction. A row that is predicted again, as when a client retries, counts once, as last said.
    pub fn predicted(
        &mut self,
        id: &str,
        (row, rows): (usize, usize),
        cell: Cell<'_>,
        scores: Scores,
        at: Timestamp,
    ) {
        self.predicted_in(id, (row, rows), cell, scores, at, std::iter::empty());
    }

    /// As [`Self::predicted`], of a row that is in these parts of the traffic: see [`Self::name_parts`].
    pub fn predicted_in(
        &mut self,
        id: &str,
        (row, rows): (usize, usize),
        cell: Cell<'_>,
        scores: Scores,
        at: Timestamp,
        parts: impl Iterator<Item = u16>,
    ) {
        let Some(prediction) = Value::of(cell) else { return };
        self.scored.classes.learn(cell);
        self.newest = self.newest.max(at);
        if let Some(known) = self.predictions.get_mut(id, row) {
            self.scored.predicted_again(known, prediction, scores, at);
            return;
        }
        let (truth, in_reference) = (None, false);
        let parts = self.scored.parts.of_row(parts);
        let (index, of) = (row, rows);
        let mut known = Row { index, of, prediction, scores, parts, at, truth, in_reference };
        self.predicted += 1;
        self.scored.predicted(&known);
        while let Some(early) = self.take_early(id, row, rows) {
            let _ = self.scored.labelled(&mut known, early.known);
        }
        self.predictions.insert(id, at, known);
        self.forget_over_bound(Timestamp::MIN);
    }

    /// The class probabilities of row `row`, from the outputs that were named; by the rules of
    /// [`super::scores`] where none was, or the answer has none of those names.
    pub fn scores(&self, outputs: &Rows, row: usize) -> Scores {
        let named = &self.settings.score_columns;
        if has_any(outputs, named) {
            named_scores(outputs, named, row)
        } else {
            scores(outputs, row)
        }
    }

    /// The prediction of row `row`, likewise: see [`super::named_prediction`] and [`super::prediction`].
    pub fn prediction<'a>(
        &self,
        outputs: &'a Rows,
        row: usize,
        scores: &Scores,
    ) -> Option<Cell<'a>> {
        let Settings { prediction: named, score_columns, .. } = &self.settings;
        let columns = named.as_ref().map_or(&**score_columns, std::slice::from_ref);
        if has_any(outputs, columns) {
            return named_prediction(outputs, named.as_deref(), row, scores);
        }
        prediction(outputs, row).map(Prediction::as_cell)
    }

    /// Names parts of the traffic by their numbers; those of before stay as they are.
    pub fn name_parts(&mut self, names: &[Arc<str>]) {
        self.scored.parts.name(names);
    }

    /// Forgets what is known of parts: their numbers mean others from here on.
    pub fn begin_parts_anew(&mut self) {
        self.scored.parts.begin_anew();
    }

    fn take_early(&mut self, id: &str, row: usize, rows: usize) -> Option<EarlyLabel> {
        if self.early.len() == 0 {
            return None;
        }
        let by_row = self.early.take(id, Target::Row(row).key());
        if by_row.is_some() || rows != 1 {
            return by_row;
        }
        self.early.take(id, Target::Only.key()).or_else(|| {
            let (base, index) = split_row(id)?;
            self.early.take(base, Target::Row(index).key())
        })
    }

    /// Counts what came from a source, beside the labels in it.
    pub fn came_from(&mut self, source: Source, read: u64, unreadable: u64) {
        self.sources.count(source, read, unreadable);
    }

    /// Keeps why a label could not be read, for whoever looks; the newest few.
    pub fn note_fault(&mut self, fault: LabelFault) {
        self.sources.note(fault);
    }

    /// Takes a label that came at `now`. Of several labels for a row the one with the latest `at`
    /// counts, and of equals the last to come.
    pub fn labelled(&mut self, label: Label, now: Timestamp) -> Joined {
        let at = label.at.unwrap_or(now);
        let mut joined = Joined::default();
        match label.label {
            LabelValue::One(truth) => self.label_one(&label.id, &truth, at, now, &mut joined),
            LabelValue::Rows(truths) => {
                for (index, truth) in truths.iter().enumerate() {
                    let Some(truth) = truth else { continue };
                    let target = Target::Row(index);
                    self.label_target(&label.id, target, truth, at, now, &mut joined);
                }
            }
        }
        self.unknown_ids += joined.refused;
        self.late += joined.late;
        self.forget_over_bound(Timestamp::MIN);
        joined
    }

    fn label_one(
        &mut self,
        id: &str,
        truth: &Truth,
        at: Timestamp,
        now: Timestamp,
        joined: &mut Joined,
    ) {
        let (id, target) = match split_row(id) {
            Some((base, index)) if !self.predictions.contains(id) => (base, Target::Row(index)),
            _ => (id, Target::Only),
        };
        self.label_target(id, target, truth, at, now, joined);
    }

    fn label_target(
        &mut self,
        id: &str,
        target: Target,
        truth: &Truth,
        at: Timestamp,
        now: Timestamp,
        joined: &mut Joined,
    ) {
        let Some(value) = Value::of(truth.as_cell()) else {
            joined.refused += 1;
            return;
        };
        self.scored.classes.learn(truth.as_cell());
        let known = Known { value, at };
        let rows = self.predictions.first(id).map(|row| row.of);
        let index = match (target, rows) {
            (_, None) if self.forgotten.contains(id) => {
                joined.late += 1;
                return;
            }
            (_, None) => return self.hold(id, EarlyLabel { target, known }, now, joined),
            (Target::Only, Some(1)) => 0,
            (Target::Row(index), Some(rows)) if index < rows => index,
            _ => {
                joined.refused += 1;
                return;
            }
        };
        let Some(row) = self.predictions.get_mut(id, index) else {
            // The request's other rows are there: this one is on its way, or was no prediction.
            let target = Target::Row(index);
            return self.hold(id, EarlyLabel { target, known }, now, joined);
        };
        if self.scored.labelled(row, known) {
            joined.duplicates += 1;
        } else {
            joined.joined += 1;
        }
    }

    fn hold(&mut self, id: &str, early: EarlyLabel, now: Timestamp, joined: &mut Joined) {
        if let Some(held) = self.early.get_mut(id, early.key()) {
            held.known = held.known.later(early.known);
            self.scored.duplicates += 1;
            joined.duplicates += 1;
            return;
        }
        joined.held += 1;
        self.early.insert(id, now, early);
    }

    /// Forgets what has waited for too long, and says which windows are to be told of.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Emitted> {
        self.forget_over_bound(now);
        self.scored.parts.keep_within();
        let Settings { max_delay, rule, task, .. } = self.settings;
        self.scored.advance(now, max_delay, rule, task)
    }

    fn forget_over_bound(&mut self, now: Timestamp) {
        let max = self.settings.max_pending.get();
        let oldest_prediction = before(now, self.settings.max_delay);
        while let Some((id, rows)) = self.predictions.forget(max, oldest_prediction) {
            self.expired += rows.iter().filter(|row| row.truth.is_none()).count() as u64;
            self.forgotten.insert(&id, max);
        }
        let oldest_label = before(now, self.settings.max_early);
        while let Some((_, labels)) = self.early.forget(max, oldest_label) {
            self.unknown_ids += labels.len() as u64;
        }
    }

    /// Labels whose prediction has not come yet.
    pub fn held(&self) -> usize {
        self.early.len()
    }

    /// What did not change since the last report is not made anew.
    pub fn report(&mut self) -> Report {
        let scored = &mut self.scored;
        let kind = scored.look(self.settings.task);
        let windows = scored.windows.report(kind, &scored.classes);
        Report {
            predictions: self.predicted,
            joined: scored.joined,
            unknown_ids: self.unknown_ids,
            duplicates: scored.duplicates,
            late: self.late,
            expired: self.expired,
            delay: scored.delay.clone(),
            overall: scored.overall(kind),
            estimates: scored.estimator.beside(&windows),
            windows,
            parts: scored.parts.report(kind, &scored.classes),
            reference: scored.reference.report(kind, &scored.classes),
            revisions: scored.windows.revisions,
            forgotten_windows: scored.windows.forgotten,
            sources: self.sources.counts,
            faults: self.sources.faults.iter().cloned().collect(),
        }
    }
}

fn has_any(outputs: &Rows, names: &[Arc<str>]) -> bool {
    names.iter().any(|name| outputs.column(name).is_some())
}

impl Settings {
    fn estimate(&self) -> estimate::Settings {
        estimate::Settings {
            windows: self.windows.iter().map(|w| (Arc::clone(&w.name), w.length)).collect(),
            min_rows: self.rule.min_rows,
            reference: self.calibration.clone(),
        }
    }

    fn finest(&self) -> Duration {
        self.windows.first().map_or(Duration::from_secs(3600), |window| window.length)
    }

    fn bounds(&self) -> Bounds {
        Bounds { shown: self.max_windows.get(), cells: self.max_cells }
    }
}

impl Row {
    fn pair(&self) -> Option<Pair<'_>> {
        let label = self.truth?.value;
        Some(Pair { prediction: self.prediction, scores: &self.scores, label })
    }

    fn scores(&self) -> Option<RowScores> {
        let said = self.prediction;
        RowScores::of(&self.scores, said.class_number(), said.number())
    }
}

impl Known {
    fn later(self, other: Self) -> Self {
        if other.at >= self.at { other } else { self }
    }
}

/// `id#k` as `id` and `k`.
fn split_row(id: &str) -> Option<(&str, usize)> {
    let (base, index) = id.rsplit_once('#')?;
    let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| index.parse().ok()).flatten().map(|index| (base, index))
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
