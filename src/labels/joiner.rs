//! Predictions and labels brought together by id, whichever comes first.

use jiff::{SignedDuration, Timestamp};
use std::num::NonZeroUsize;
use std::time::Duration;

use super::pending::{Keyed, Pending};
use super::report::Report;
use super::tally::{Pair, Tally, Task};
use super::value::{Classes, Label, LabelValue, Truth, Value};
use super::windows::Windows;
use crate::decode::Cell;
use crate::distribution::Distribution;

#[derive(Debug, Clone)]
pub struct Settings {
    /// A prediction is remembered for so long.
    pub max_delay: Duration,
    /// Rows remembered, at most; over it the oldest request is forgotten. As many labels are held.
    pub max_pending: NonZeroUsize,
    /// A label is held for so long before its prediction has come.
    pub max_early: Duration,
    /// Length of the windows that performance is reported for.
    pub window: Duration,
    /// Windows remembered, at most; the oldest is forgotten.
    pub max_windows: NonZeroUsize,
    pub task: Task,
}

impl Default for Settings {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        let at_least_one = |count| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        Self {
            max_delay: 7 * 24 * HOUR,
            max_pending: at_least_one(1_000_000),
            max_early: HOUR,
            window: HOUR,
            max_windows: at_least_one(256),
            task: Task::Auto,
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
    /// Rows that the request does not have, and a single label for a request of several rows.
    pub refused: u64,
}

/// Bounded by [`Settings`]; about 250 bytes a remembered row.
#[derive(Debug)]
pub struct Joiner {
    settings: Settings,
    predictions: Pending<Row>,
    early: Pending<EarlyLabel>,
    scores: Scores,
    predicted: u64,
    unknown_ids: u64,
    expired: u64,
}

/// A prediction, and its label if that has come.
#[derive(Debug)]
struct Row {
    index: usize,
    /// How many rows its request has.
    of: usize,
    prediction: Value,
    at: Timestamp,
    truth: Option<Known>,
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
            scores: Scores::new(&settings),
            predicted: 0,
            unknown_ids: 0,
            expired: 0,
            settings,
        }
    }

    /// Goes on with other settings. Windows of another length begin anew; what waits is bounded by the
    /// new settings from the next call on.
    pub fn retune(&mut self, settings: Settings) {
        if settings.window != self.settings.window {
            self.scores.windows = Windows::new(settings.window, settings.max_windows);
        }
        self.settings = settings;
    }

    /// Takes the prediction for row `row` of the `rows` of request `id`, made at `at`. A null or NaN is no
    /// prediction. A row that is predicted again, as when a client retries, counts once, as last said.
    pub fn predicted(&mut self, id: &str, row: usize, rows: usize, cell: Cell<'_>, at: Timestamp) {
        let Some(prediction) = Value::of(cell) else { return };
        if let Some(known) = self.predictions.get_mut(id, row) {
            self.scores.predicted_again(known, prediction, at);
            return;
        }
        let mut known = Row { index: row, of: rows, prediction, at, truth: None };
        self.predicted += 1;
        self.scores.windows.predicted(at);
        while let Some(early) = self.take_early(id, row, rows) {
            let _ = self.scores.labelled(&mut known, early.known);
        }
        self.predictions.insert(id, at, known);
        self.forget_over_bound(Timestamp::MIN);
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
        let known = Known { value, at };
        let rows = self.predictions.first(id).map(|row| row.of);
        let index = match (target, rows) {
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
        if self.scores.labelled(row, known) {
            joined.duplicates += 1;
        } else {
            joined.joined += 1;
        }
    }

    fn hold(&mut self, id: &str, early: EarlyLabel, now: Timestamp, joined: &mut Joined) {
        if let Some(held) = self.early.get_mut(id, early.key()) {
            held.known = held.known.later(early.known);
            self.scores.duplicates += 1;
            joined.duplicates += 1;
            return;
        }
        joined.held += 1;
        self.early.insert(id, now, early);
    }

    /// Forgets what has waited for too long.
    pub fn advance(&mut self, now: Timestamp) {
        self.forget_over_bound(now);
    }

    fn forget_over_bound(&mut self, now: Timestamp) {
        let max = self.settings.max_pending.get();
        let oldest_prediction = before(now, self.settings.max_delay);
        while let Some(rows) = self.predictions.forget(max, oldest_prediction) {
            self.expired += rows.iter().filter(|row| row.truth.is_none()).count() as u64;
        }
        let oldest_label = before(now, self.settings.max_early);
        while let Some(labels) = self.early.forget(max, oldest_label) {
            self.unknown_ids += labels.len() as u64;
        }
    }

    /// Labels whose prediction has not come yet.
    pub fn held(&self) -> usize {
        self.early.len()
    }

    pub fn report(&self) -> Report {
        let scores = &self.scores;
        let measured = scores.overall.measured(self.settings.task);
        Report {
            predictions: self.predicted,
            joined: scores.joined,
            unknown_ids: self.unknown_ids,
            duplicates: scores.duplicates,
            expired: self.expired,
            delay: scores.delay.clone(),
            overall: scores.overall.performance(measured),
            windows: scores.windows.report(measured),
        }
    }
}

/// What is counted of joined rows.
#[derive(Debug)]
struct Scores {
    classes: Classes,
    overall: Tally,
    windows: Windows,
    joined: u64,
    duplicates: u64,
    delay: Distribution,
}

impl Scores {
    fn new(settings: &Settings) -> Self {
        Self {
            classes: Classes::default(),
            overall: Tally::default(),
            windows: Windows::new(settings.window, settings.max_windows),
            joined: 0,
            duplicates: 0,
            delay: Distribution::of_seconds(),
        }
    }

    /// True if the row had a label before.
    fn labelled(&mut self, row: &mut Row, known: Known) -> bool {
        let Some(earlier) = row.truth else {
            self.joined += 1;
            let delay = Duration::try_from(known.at.duration_since(row.at)).unwrap_or_default();
            self.delay.record_duration(delay);
            row.truth = Some(known);
            self.add(row);
            return false;
        };
        self.duplicates += 1;
        self.remove(row);
        row.truth = Some(earlier.later(known));
        self.add(row);
        true
    }

    fn predicted_again(&mut self, row: &mut Row, prediction: Value, at: Timestamp) {
        self.remove(row);
        self.windows.unpredicted(row.at);
        row.prediction = prediction;
        row.at = at;
        self.windows.predicted(at);
        self.add(row);
    }

    fn add(&mut self, row: &Row) {
        if let Some(pair) = row.pair() {
            self.overall.add(pair, &mut self.classes);
            self.windows.add(row.at, pair, &mut self.classes);
        }
    }

    fn remove(&mut self, row: &Row) {
        if let Some(pair) = row.pair() {
            self.overall.remove(pair, &mut self.classes);
            self.windows.remove(row.at, pair, &mut self.classes);
        }
    }
}

impl Row {
    fn pair(&self) -> Option<Pair> {
        Some(Pair { prediction: self.prediction, label: self.truth?.value })
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
