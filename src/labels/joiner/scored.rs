//! What is counted of joined rows: of all, of each window, of the reference, and of their scores.

use super::super::compare::Rule;
use super::super::estimate::Estimator;
use super::super::parts::{Parts, RowParts};
use super::super::probabilities::Scores;
use super::super::reference::Reference;
use super::super::report::Performance;
use super::super::summary::{Kind, Summary};
use super::super::tally::{Tally, Task};
use super::super::value::{Classes, Value};
use super::super::windows::{Emitted, Judging, Windows};
use super::{Known, Row, Settings};
use crate::distribution::Distribution;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// What is counted of joined rows.
#[derive(Debug)]
pub(super) struct Scored {
    pub(super) classes: Classes,
    pub(super) overall: Tally,
    /// As last reported, until something changes.
    pub(super) shown: Option<Performance>,
    /// What all rows so far are, as last looked at.
    pub(super) kind: Kind,
    pub(super) windows: Windows,
    pub(super) estimator: Estimator,
    pub(super) parts: Parts,
    pub(super) reference: Reference,
    /// It was said that the reference is of another kind.
    pub(super) told_alien: bool,
    pub(super) joined: u64,
    pub(super) duplicates: u64,
    pub(super) delay: Distribution,
}

impl Scored {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            classes: Classes::default(),
            overall: Tally::default(),
            shown: None,
            kind: Kind::default(),
            windows: Windows::new(&settings.windows, settings.bounds()),
            estimator: Estimator::new(settings.estimate()),
            parts: Parts::new(settings.finest(), settings.max_cells),
            reference: Reference::new(settings.reference.clone(), settings.reference_rows),
            told_alien: false,
            joined: 0,
            duplicates: 0,
            delay: Distribution::of_seconds(),
        }
    }

    /// `newest` is the latest prediction's time.
    pub(super) fn retune(&mut self, settings: &Settings, newest: Timestamp) {
        self.windows.retune(&settings.windows, settings.bounds(), newest);
        if self.reference.retune(settings.reference.clone(), settings.reference_rows) {
            self.windows.forget_verdicts();
            self.told_alien = false;
        }
        self.estimator.retune(settings.estimate(), newest);
        self.parts.retune(settings.finest(), settings.max_cells, newest);
    }

    /// The kind of all rows. Where it is another than before, every window is another too.
    pub(super) fn look(&mut self, task: Task) -> Kind {
        let kind = self.overall.kind(task);
        if kind != self.kind {
            (self.kind, self.shown) = (kind, None);
            self.windows.look_anew();
            self.parts.look_anew();
        }
        kind
    }

    pub(super) fn overall(&mut self, kind: Kind) -> Option<Performance> {
        if self.shown.is_none() {
            let summary = self.overall.summary(kind, &self.classes);
            self.shown = summary.as_ref().map(Performance::of);
        }
        self.shown.clone()
    }

    /// What windows are tested against. Says it once where a given one is of another kind than so many
    /// rows: no window would ever have a verdict.
    fn reference(&mut self, kind: Kind, min_rows: u64) -> Option<Arc<Summary>> {
        let reference = self.reference.summary(kind, &self.classes)?;
        let is_alien = !reference.kind.is_like(kind) && self.overall.rows() >= min_rows;
        if is_alien && !self.told_alien {
            self.told_alien = true;
            tracing::warn!(
                baseline = reference.kind.as_str(),
                live = kind.as_str(),
                "live labels cannot be compared with the performance in the baseline; build it anew \
                 from what the model answers now, with --prediction or --score"
            );
        }
        Some(reference)
    }

    pub(super) fn advance(
        &mut self,
        now: Timestamp,
        max_delay: Duration,
        rule: Rule,
        task: Task,
    ) -> Vec<Emitted> {
        let kind = self.look(task);
        let reference = self.reference(kind, rule.min_rows);
        let judging = Judging {
            kind,
            names: &self.classes,
            reference: reference.as_deref(),
            from: self.reference.from(),
            rule,
            max_delay,
        };
        self.estimator.advance(now);
        self.windows.advance(now, judging)
    }

    pub(super) fn predicted(&mut self, row: &Row) {
        self.windows.predicted(row.at);
        if let Some(scores) = row.scores() {
            self.estimator.predicted(&scores, row.at);
        }
    }

    pub(super) fn unpredicted(&mut self, row: &Row) {
        self.windows.unpredicted(row.at);
        if let Some(scores) = row.scores() {
            self.estimator.unpredicted(&scores, row.at);
        }
    }

    /// True if the row had a label before.
    pub(super) fn labelled(&mut self, row: &mut Row, known: Known) -> bool {
        let Some(earlier) = row.truth else {
            self.joined += 1;
            let delay = Duration::try_from(known.at.duration_since(row.at)).unwrap_or_default();
            self.delay.record_duration(delay);
            row.truth = Some(known);
            row.in_reference = self.reference.is_learning();
            self.add(row);
            return false;
        };
        self.duplicates += 1;
        self.remove(row);
        row.truth = Some(earlier.later(known));
        self.add(row);
        true
    }

    pub(super) fn predicted_again(
        &mut self,
        row: &mut Row,
        said: Value,
        scores: Scores,
        at: Timestamp,
    ) {
        self.remove(row);
        self.unpredicted(row);
        (row.prediction, row.scores, row.at) = (said, scores, at);
        self.predicted(row);
        self.add(row);
    }

    pub(super) fn add(&mut self, row: &mut Row) {
        let mut parts = std::mem::take(&mut row.parts);
        self.add_to(&mut parts, row);
        row.parts = parts;
    }

    fn add_to(&mut self, parts: &mut RowParts, row: &Row) {
        let Some(pair) = row.pair() else { return };
        self.shown = None;
        self.overall.add(pair, &mut self.classes);
        self.windows.add(row.at, pair, &mut self.classes);
        if let Some(scores) = row.scores() {
            self.estimator.labelled(&scores, pair.label.class_number(), row.at);
        }
        self.parts.add(parts, row.at, pair, &mut self.classes);
        if row.in_reference {
            self.reference.add(row.at, pair, &mut self.classes);
        }
    }

    pub(super) fn remove(&mut self, row: &Row) {
        let Some(pair) = row.pair() else { return };
        self.shown = None;
        self.overall.remove(pair, &mut self.classes);
        self.windows.remove(row.at, pair, &mut self.classes);
        if let Some(scores) = row.scores() {
            self.estimator.unlabelled(&scores, pair.label.class_number());
        }
        self.parts.remove(&row.parts, row.at, pair, &mut self.classes);
        if row.in_reference {
            self.reference.remove(pair, &mut self.classes);
        }
    }
}
