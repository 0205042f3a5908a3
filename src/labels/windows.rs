//! The newest windows of prediction time, each with its own tally.

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::report::LabelWindow;
use super::tally::{Measured, Pair, Tally};
use super::value::Classes;

/// Aligned to the Unix epoch; the oldest is forgotten when there are too many.
#[derive(Debug)]
pub(super) struct Windows {
    length_nanos: i128,
    max: NonZeroUsize,
    by_start: BTreeMap<Timestamp, Window>,
    /// Windows that start before it were forgotten, and do not come back half-filled.
    forgotten_before: Timestamp,
}

#[derive(Debug, Default)]
struct Window {
    predictions: u64,
    tally: Tally,
}

impl Windows {
    pub(super) fn new(length: Duration, max: NonZeroUsize) -> Self {
        Self {
            length_nanos: i128::try_from(length.as_nanos()).unwrap_or(i128::MAX).max(1),
            max,
            by_start: BTreeMap::new(),
            forgotten_before: Timestamp::MIN,
        }
    }

    pub(super) fn predicted(&mut self, at: Timestamp) {
        if let Some(window) = self.window(at) {
            window.predictions += 1;
        }
    }

    pub(super) fn unpredicted(&mut self, at: Timestamp) {
        if let Some(window) = self.window(at) {
            window.predictions = window.predictions.saturating_sub(1);
        }
    }

    pub(super) fn add(&mut self, at: Timestamp, pair: Pair, classes: &mut Classes) {
        if let Some(window) = self.window(at) {
            window.tally.add(pair, classes);
        }
    }

    pub(super) fn remove(&mut self, at: Timestamp, pair: Pair, classes: &mut Classes) {
        if let Some(window) = self.window(at) {
            window.tally.remove(pair, classes);
        }
    }

    pub(super) fn report(&self, measured: Measured) -> Vec<LabelWindow> {
        let report = |(start, window): (&Timestamp, &Window)| LabelWindow {
            start: *start,
            end: self.end(*start),
            joined: window.tally.rows(),
            predictions: window.predictions,
            performance: window.tally.performance(measured),
        };
        self.by_start.iter().map(report).collect()
    }

    /// The window of a time; `None` if it was forgotten.
    fn window(&mut self, at: Timestamp) -> Option<&mut Window> {
        let start = self.start(at);
        if start < self.forgotten_before {
            return None;
        }
        self.by_start.entry(start).or_default();
        while self.by_start.len() > self.max.get() {
            let (oldest, _) = self.by_start.pop_first()?;
            self.forgotten_before = self.end(oldest);
        }
        self.by_start.get_mut(&start)
    }

    fn start(&self, at: Timestamp) -> Timestamp {
        let nanos = at.as_nanosecond().div_euclid(self.length_nanos) * self.length_nanos;
        Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::MIN)
    }

    fn end(&self, start: Timestamp) -> Timestamp {
        let nanos = start.as_nanosecond().saturating_add(self.length_nanos);
        Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::MAX)
    }
}
