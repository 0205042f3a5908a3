//! What windows are tested against: the performance in the baseline, or that of the first labelled rows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;
use std::sync::Arc;

use super::report::{Performance, PerformanceReference};
use super::summary::{Kind, Summary};
use super::tally::{Pair, Tally};
use super::value::Classes;

/// What a process learnt from its first labelled rows, for the next to go on with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnedPerformance {
    pub summary: Arc<Summary>,
    /// The latest prediction among the rows.
    pub until: Timestamp,
}

#[derive(Debug)]
pub(super) struct Reference {
    given: Option<Arc<Summary>>,
    /// By a process before this one.
    learned: Option<Arc<Summary>>,
    /// Labelled rows that are learnt from.
    needed: NonZeroU64,
    first: Tally,
    /// The latest of their predictions.
    until: Timestamp,
    /// As last made, of which kind, and what is shown of it.
    made: Option<(Kind, Arc<Summary>, PerformanceReference)>,
    /// How often the rows changed.
    changes: u64,
}

impl Reference {
    pub(super) fn new(given: Option<Arc<Summary>>, needed: NonZeroU64) -> Self {
        let (first, until) = (Tally::default(), Timestamp::MIN);
        Self { given, learned: None, needed, first, until, made: None, changes: 0 }
    }

    /// Whether another is given, or none any more.
    pub(super) fn retune(&mut self, given: Option<Arc<Summary>>, needed: NonZeroU64) -> bool {
        // What was learnt stays so, though fewer rows were asked for then.
        if self.first.rows() < self.needed.get() {
            self.needed = needed;
        }
        let is_another = self.given != given;
        if is_another {
            (self.given, self.made) = (given, None);
        }
        is_another
    }

    /// Whether the next labelled row is one of those that are learnt from.
    pub(super) fn is_learning(&self) -> bool {
        let is_known = self.given.is_some() || self.learned.is_some();
        !is_known && self.first.rows() < self.needed.get()
    }

    /// `None` where nothing is learnt, or not all of it; else equal numbers are equal references.
    pub(super) fn learned_at(&self) -> Option<u64> {
        (self.given.is_none() && !self.is_learning()).then_some(self.changes)
    }

    pub(super) fn learned(&self, kind: Kind, names: &Classes) -> Option<LearnedPerformance> {
        self.learned_at()?;
        let summary = match &self.learned {
            Some(learned) => Arc::clone(learned),
            None => Arc::new(self.first.summary(kind, names)?),
        };
        Some(LearnedPerformance { summary, until: self.until })
    }

    /// Goes on with what a process before this one has learnt.
    pub(super) fn resume(&mut self, learned: LearnedPerformance) {
        (self.learned, self.until) = (Some(learned.summary), learned.until);
        (self.first, self.made) = (Tally::default(), None);
    }

    pub(super) fn add(&mut self, at: Timestamp, pair: Pair<'_>, classes: &mut Classes) {
        self.first.add(pair, classes);
        (self.until, self.made) = (self.until.max(at), None);
        self.changes += 1;
    }

    /// A row of the reference that has another label, or another prediction.
    pub(super) fn remove(&mut self, pair: Pair<'_>, classes: &mut Classes) {
        self.first.remove(pair, classes);
        self.made = None;
        self.changes += 1;
    }

    /// Windows that start earlier share rows with it.
    pub(super) fn from(&self) -> Timestamp {
        let next = || self.until.checked_add(jiff::SignedDuration::from_nanos(1));
        if self.given.is_some() { Timestamp::MIN } else { next().unwrap_or(Timestamp::MAX) }
    }

    /// `None` while it is learnt.
    pub(super) fn summary(&mut self, kind: Kind, names: &Classes) -> Option<Arc<Summary>> {
        self.make(kind, names).map(|(summary, _)| summary)
    }

    pub(super) fn report(&mut self, kind: Kind, names: &Classes) -> PerformanceReference {
        match self.make(kind, names) {
            Some((_, shown)) => shown,
            None if self.first.rows() == 0 => PerformanceReference::None,
            None => PerformanceReference::Learning {
                rows: self.first.rows(),
                needed: self.needed.get(),
            },
        }
    }

    fn make(
        &mut self,
        kind: Kind,
        names: &Classes,
    ) -> Option<(Arc<Summary>, PerformanceReference)> {
        if self.is_learning() {
            return None;
        }
        if let Some((of, summary, shown)) = &self.made
            && *of == kind
        {
            return Some((Arc::clone(summary), shown.clone()));
        }
        let made = if let Some(given) = &self.given {
            let performance = Arc::new(Performance::of(given));
            (Arc::clone(given), PerformanceReference::Given { performance })
        } else {
            let summary = self.learned(kind, names)?.summary;
            let performance = Arc::new(Performance::of(&summary));
            (summary, PerformanceReference::Learned { performance })
        };
        self.made = Some((kind, Arc::clone(&made.0), made.1.clone()));
        Some(made)
    }
}
