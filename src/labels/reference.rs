//! What windows are tested against: the performance in the baseline, or that of the first labelled rows.

use jiff::Timestamp;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::report::{Performance, PerformanceReference};
use super::summary::{Kind, Summary};
use super::tally::{Pair, Tally};
use super::value::Classes;

#[derive(Debug)]
pub(super) struct Reference {
    given: Option<Arc<Summary>>,
    /// Labelled rows that are learnt from.
    needed: NonZeroU64,
    first: Tally,
    /// The latest of their predictions.
    until: Timestamp,
    /// As last made, of which kind, and what is shown of it.
    made: Option<(Kind, Arc<Summary>, PerformanceReference)>,
}

impl Reference {
    pub(super) fn new(given: Option<Arc<Summary>>, needed: NonZeroU64) -> Self {
        Self { given, needed, first: Tally::default(), until: Timestamp::MIN, made: None }
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
        self.given.is_none() && self.first.rows() < self.needed.get()
    }

    pub(super) fn add(&mut self, at: Timestamp, pair: Pair<'_>, classes: &mut Classes) {
        self.first.add(pair, classes);
        (self.until, self.made) = (self.until.max(at), None);
    }

    /// A row of the reference that has another label, or another prediction.
    pub(super) fn remove(&mut self, pair: Pair<'_>, classes: &mut Classes) {
        self.first.remove(pair, classes);
        self.made = None;
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
            let summary = self.first.summary(kind, names)?;
            let performance = Arc::new(Performance::of(&summary));
            (Arc::new(summary), PerformanceReference::Learned { performance })
        };
        self.made = Some((kind, Arc::clone(&made.0), made.1.clone()));
        Some(made)
    }
}
