//! Performance on parts of the traffic: each row is in a few, and each part has a tally of its own, since
//! start and over its newest windows.
//!
//! Parts are told apart by small numbers that whoever counts rows gives, with a name for each. Bounded
//! by their number and by entries of all tallies: over that the oldest windows are forgotten, and then
//! parts that come later are not begun.

use super::aligned;
use super::report::{PartPerformance, PartWindow, Performance};
use super::summary::Kind;
use super::tally::{Pair, Tally};
use super::value::Classes;
use jiff::Timestamp;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Windows of a part that are kept, the newest.
const MAX_WINDOWS: usize = 6;
/// What a tally takes besides its entries, counted in those.
const TALLY: usize = 8;

/// The parts that a row is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowParts {
    /// Numbers of before mean nothing after [`Parts::begin_anew`].
    generation: u32,
    ids: SmallVec<[u16; 2]>,
}

#[derive(Debug, Default)]
pub(super) struct Parts {
    generation: u32,
    names: Vec<Arc<str>>,
    window: Duration,
    /// Windows that start before it are of another length's time.
    begin: Option<Timestamp>,
    max_cells: usize,
    by_id: Vec<Option<Box<Part>>>,
}

#[derive(Debug, Default)]
struct Part {
    overall: Tally,
    /// By start.
    windows: BTreeMap<Timestamp, Tally>,
    /// Labels of earlier windows count since start only.
    forgotten_before: Option<Timestamp>,
    /// Until something changes.
    shown: Option<Arc<PartPerformance>>,
}

impl Parts {
    pub(super) fn new(window: Duration, max_cells: usize) -> Self {
        Self { window, max_cells, ..Self::default() }
    }

    /// Windows of another length begin after the newest prediction, so that each has all of its rows.
    pub(super) fn retune(&mut self, window: Duration, max_cells: usize, newest: Timestamp) {
        if window != self.window {
            self.begin = Some(aligned::end(aligned::start(newest, window), window));
            for part in self.by_id.iter_mut().flatten() {
                part.windows.clear();
                (part.forgotten_before, part.shown) = (None, None);
            }
        }
        (self.window, self.max_cells) = (window, max_cells);
    }

    /// By number; those of before stay as they are.
    pub(super) fn name(&mut self, names: &[Arc<str>]) {
        let known = self.names.len();
        self.names.extend(names.iter().skip(known).cloned());
    }

    /// Forgets all parts: numbers mean others from here on.
    pub(super) fn begin_anew(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.names.clear();
        self.by_id.clear();
    }

    pub(super) fn of_row(&self, ids: impl Iterator<Item = u16>) -> RowParts {
        RowParts { generation: self.generation, ids: ids.collect() }
    }

    /// Leaves the row in the parts that counted it: what is over the bound has no part in it later either.
    pub(super) fn add(
        &mut self,
        parts: &mut RowParts,
        at: Timestamp,
        pair: Pair<'_>,
        names: &mut Classes,
    ) {
        if parts.generation == self.generation {
            parts.ids.retain(|id| self.begin_part(usize::from(*id)));
            self.change(parts, at, |tally| tally.add(pair, names));
        }
    }

    /// Undoes [`Self::add`].
    pub(super) fn remove(
        &mut self,
        parts: &RowParts,
        at: Timestamp,
        pair: Pair<'_>,
        names: &mut Classes,
    ) {
        if parts.generation == self.generation {
            self.change(parts, at, |tally| tally.remove(pair, names));
        }
    }

    /// False if there is no room for it.
    fn begin_part(&mut self, id: usize) -> bool {
        if self.by_id.len() <= id {
            self.by_id.resize_with(id + 1, || None);
        }
        if self.by_id[id].is_none() && self.cells() < self.max_cells {
            self.by_id[id] = Some(Box::default());
        }
        self.by_id[id].is_some()
    }

    fn change(&mut self, parts: &RowParts, at: Timestamp, mut change: impl FnMut(&mut Tally)) {
        let start = aligned::start(at, self.window);
        for id in parts.ids.iter().map(|id| usize::from(*id)) {
            let Some(part) = self.by_id.get_mut(id).and_then(Option::as_mut) else { continue };
            part.shown = None;
            change(&mut part.overall);
            let begin = self.begin.max(part.forgotten_before);
            if begin.is_none_or(|begin| start >= begin) {
                change(part.windows.entry(start).or_default());
                if part.windows.len() > MAX_WINDOWS {
                    part.forget_oldest();
                }
            }
        }
    }

    fn cells(&self) -> usize {
        self.by_id.iter().flatten().map(|part| part.cells()).sum()
    }

    /// Forgets the oldest windows of the largest parts, until all are within the bound.
    pub(super) fn keep_within(&mut self) {
        while self.cells() > self.max_cells {
            let parts = self.by_id.iter_mut().flatten().filter(|part| !part.windows.is_empty());
            let Some(largest) = parts.max_by_key(|part| part.cells()) else { return };
            largest.forget_oldest();
        }
    }

    /// Those with labelled rows, in the order of their numbers. All are made anew if `kind` is another.
    pub(super) fn report(&mut self, kind: Kind, names: &Classes) -> Vec<Arc<PartPerformance>> {
        let length = self.window;
        let parts = self.by_id.iter_mut().zip(&self.names);
        parts.filter_map(|(part, name)| part.as_mut()?.report(name, length, kind, names)).collect()
    }

    pub(super) fn look_anew(&mut self) {
        self.by_id.iter_mut().flatten().for_each(|part| part.shown = None);
    }
}

impl Part {
    fn cells(&self) -> usize {
        let tallies = std::iter::once(&self.overall).chain(self.windows.values());
        tallies.map(|tally| TALLY + tally.cells()).sum()
    }

    fn forget_oldest(&mut self) {
        if let Some((start, _)) = self.windows.pop_first() {
            // They do not come back half-filled.
            self.forgotten_before = start.checked_add(Duration::from_nanos(1)).ok();
            self.shown = None;
        }
    }

    fn report(
        &mut self,
        name: &Arc<str>,
        length: Duration,
        kind: Kind,
        names: &Classes,
    ) -> Option<Arc<PartPerformance>> {
        if self.shown.is_none() {
            let performance = Performance::of(&self.overall.summary(kind, names)?);
            let windows = self.windows.iter().filter_map(|(start, tally)| {
                let performance = Performance::of(&tally.summary(kind, names)?);
                let end = aligned::end(*start, length);
                Some(PartWindow { start: *start, end, rows: tally.rows(), performance })
            });
            self.shown = Some(Arc::new(PartPerformance {
                segment: Arc::clone(name),
                rows: self.overall.rows(),
                windows: windows.collect(),
                performance,
            }));
        }
        self.shown.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::joiner::{Joiner, Settings};
    use super::super::value::{Label, LabelValue, Truth};
    use super::super::windows::WindowLength;
    use super::*;
    use crate::decode::Cell;
    use crate::labels::Scores;

    fn settings() -> Settings {
        let windows = vec![WindowLength { name: "1m".into(), length: Duration::from_secs(60) }];
        Settings { windows, ..Settings::default() }
    }

    fn joiner(max_cells: usize) -> Joiner {
        let mut joiner = Joiner::new(Settings { max_cells, ..settings() });
        joiner.name_parts(&["a=x".into(), "a=y".into(), "b=z".into()]);
        joiner
    }

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn predict(joiner: &mut Joiner, id: &str, at: Timestamp, parts: &[u16]) {
        let (said, parts) = (Cell::Text("yes"), parts.iter().copied());
        joiner.predicted_in(id, (0, 1), said, Scores::None, at, parts);
    }

    fn label(joiner: &mut Joiner, id: &str, truth: &str, at: Timestamp) {
        let label = LabelValue::One(Truth::Text(truth.into()));
        let _ = joiner.labelled(Label { id: id.into(), label, at: None }, at);
    }

    fn accuracy(joiner: &mut Joiner, segment: &str) -> Option<(u64, f64)> {
        let parts = joiner.report().parts;
        let part = parts.iter().find(|part| *part.segment == *segment)?;
        let measures = part.performance.measures();
        let accuracy = measures.into_iter().find(|(name, _)| *name == "accuracy")?;
        Some((part.rows, accuracy.1))
    }

    #[test]
    fn each_part_has_the_accuracy_of_its_own_rows() {
        let mut joiner = joiner(500_000);
        for n in 0..10 {
            let id = n.to_string();
            let part = u16::from(n >= 6);
            predict(&mut joiner, &id, minute(n), &[part, 2]);
            label(&mut joiner, &id, if n == 0 || n >= 7 { "no" } else { "yes" }, minute(n));
        }
        assert_eq!(accuracy(&mut joiner, "a=x"), Some((6, 5.0 / 6.0)));
        assert_eq!(accuracy(&mut joiner, "a=y"), Some((4, 0.25)));
        assert_eq!(accuracy(&mut joiner, "b=z"), Some((10, 0.6)));
        // A second label takes the first one back.
        label(&mut joiner, "9", "yes", minute(20));
        assert_eq!(accuracy(&mut joiner, "a=y"), Some((4, 0.5)));
        let parts = joiner.report().parts;
        let windows = &parts[2].windows;
        assert_eq!(
            windows.iter().map(|w| w.start).collect::<Vec<_>>(),
            (4..10).map(minute).collect::<Vec<_>>()
        );
        assert!(windows.iter().all(|window| window.rows == 1));
    }

    #[test]
    fn numbers_of_before_are_no_part_of_what_comes_after() {
        let mut joiner = joiner(500_000);
        predict(&mut joiner, "old", minute(1), &[0]);
        joiner.begin_parts_anew();
        joiner.name_parts(&["c=w".into()]);
        label(&mut joiner, "old", "yes", minute(2));
        assert!(joiner.report().parts.is_empty());
        predict(&mut joiner, "new", minute(3), &[0]);
        label(&mut joiner, "new", "yes", minute(3));
        assert_eq!(accuracy(&mut joiner, "c=w"), Some((1, 1.0)));
    }

    #[test]
    fn over_the_bound_windows_go_first_and_later_parts_are_not_begun() {
        let mut joiner = joiner(60);
        for n in 0..6 {
            predict(&mut joiner, &n.to_string(), minute(n), &[0]);
            label(&mut joiner, &n.to_string(), "yes", minute(n));
        }
        predict(&mut joiner, "late", minute(7), &[1]);
        label(&mut joiner, "late", "yes", minute(7));
        assert_eq!(accuracy(&mut joiner, "a=y"), None);
        let _ = joiner.advance(minute(8));
        let parts = joiner.report().parts;
        assert!((1..6).contains(&parts[0].windows.len()), "{}", parts[0].windows.len());
        assert_eq!(parts[0].rows, 6);
        // A label of a window that is forgotten counts since start only.
        label(&mut joiner, "0", "no", minute(8));
        assert_eq!(accuracy(&mut joiner, "a=x"), Some((6, 5.0 / 6.0)));
        assert_eq!(joiner.report().parts[0].windows.len(), parts[0].windows.len());
    }

    #[test]
    fn a_row_that_found_no_room_is_not_taken_out_of_what_has_room_later() {
        let mut joiner = joiner(9);
        predict(&mut joiner, "full", minute(0), &[0]);
        label(&mut joiner, "full", "yes", minute(0));
        for id in ["none", "more"] {
            predict(&mut joiner, id, minute(0), &[1]);
        }
        label(&mut joiner, "none", "yes", minute(0));
        assert_eq!(accuracy(&mut joiner, "a=y"), None);
        let settings = |max_cells| Settings { max_cells, ..settings() };
        joiner.retune(settings(500));
        label(&mut joiner, "more", "no", minute(1));
        label(&mut joiner, "none", "no", minute(1));
        assert_eq!(accuracy(&mut joiner, "a=y"), Some((1, 0.0)));
        assert_eq!(joiner.report().parts[1].windows[0].rows, 1);
    }

    #[test]
    fn windows_of_another_length_have_no_rows_of_before() {
        let mut joiner = joiner(500_000);
        for (id, at) in [("before", 1), ("with", 2)] {
            predict(&mut joiner, id, minute(at), &[0]);
        }
        label(&mut joiner, "before", "yes", minute(2));
        let hour = WindowLength { name: "1h".into(), length: Duration::from_secs(3600) };
        joiner.retune(Settings { windows: vec![hour], ..settings() });
        label(&mut joiner, "before", "no", minute(3));
        label(&mut joiner, "with", "yes", minute(3));
        let part = joiner.report().parts[0].clone();
        assert_eq!((part.rows, part.windows.len()), (2, 0));
        predict(&mut joiner, "after", minute(60), &[0]);
        label(&mut joiner, "after", "yes", minute(61));
        let windows = joiner.report().parts[0].windows.clone();
        assert_eq!(
            windows.iter().map(|w| (w.start, w.rows)).collect::<Vec<_>>(),
            [(minute(60), 1)]
        );
    }
}
