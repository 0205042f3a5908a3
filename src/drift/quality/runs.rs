//! How long a feature kept one value: requests in their order in, the longest run out.
//!
//! A run is counted in requests and not in rows: that all rows of one request share a value (a shop, a
//! day) says nothing of whether the feature still moves. Rows of a table are a request each.

use crate::decode::{Cell, Column};
use crate::sketch::{FrameError, Packer, Unpacker};
use xxhash_rust::xxh3::xxh3_64;

/// Of one feature and window. Windows are joined in the order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::drift) struct Runs {
    /// Requests that had a value.
    requests: u64,
    /// Of them, those with the value of the one before.
    repeats: u64,
    /// From the first request on, and up to the last.
    head: Run,
    tail: Run,
    longest: Run,
}

/// Requests one after the other with one value; none where a request had several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) value: Option<Value>,
    pub(super) requests: u64,
}

/// A number by its bits, a text by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    Level(u64),
}

/// What one call to [`Runs::observe`] brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::drift) enum Grouping {
    /// The rows of one request.
    Request,
    /// Rows of a table, each for itself.
    Rows,
}

impl Runs {
    pub(in crate::drift) fn observe(&mut self, column: &Column, grouping: Grouping) {
        match (grouping, column.as_numbers()) {
            (Grouping::Rows, Some(numbers)) => {
                for number in numbers.iter().copied().filter(|number| !number.is_nan()) {
                    self.push(Some(Value::of_number(number)));
                }
            }
            (Grouping::Rows, None) => {
                column.cells().filter_map(Value::of).for_each(|value| self.push(Some(value)));
            }
            (Grouping::Request, _) => {
                let mut values = column.cells().filter_map(Value::of);
                if let Some(first) = values.next() {
                    self.push(values.all(|value| value == first).then_some(first));
                }
            }
        }
    }

    fn push(&mut self, value: Option<Value>) {
        if value.is_some() && value == self.tail.value {
            self.tail.requests += 1;
            self.repeats += 1;
        } else {
            self.tail = Run { value, requests: 1 };
        }
        self.requests += 1;
        if self.tail.requests == self.requests {
            self.head = self.tail;
        }
        self.longest = self.longest.longer(self.tail);
    }

    /// Adds the requests that came right after.
    pub(in crate::drift) fn append(&mut self, later: &Self) {
        if later.requests == 0 {
            return;
        }
        if self.requests == 0 {
            self.clone_from(later);
            return;
        }
        let joins = self.tail.value.is_some() && self.tail.value == later.head.value;
        let joined = Run { requests: self.tail.requests + later.head.requests, ..self.tail };
        if joins {
            self.repeats += 1;
            self.longest = self.longest.longer(joined);
            if self.head.requests == self.requests {
                self.head = joined;
            }
        }
        self.longest = self.longest.longer(later.longest);
        let is_one_run = later.head.requests == later.requests;
        self.tail = if joins && is_one_run { joined } else { later.tail };
        self.requests += later.requests;
        self.repeats += later.repeats;
    }

    pub(in crate::drift) fn save(&self, packer: &mut Packer) {
        packer.counts(&[self.requests, self.repeats]);
        for run in [self.head, self.tail, self.longest] {
            run.save(packer);
        }
    }

    pub(in crate::drift) fn restored(saved: &mut Unpacker<'_>) -> Result<Self, FrameError> {
        let mut counts = [0; 2];
        saved.counts(&mut counts)?;
        let [requests, repeats] = counts;
        let mut run = || Run::restored(saved);
        let (head, tail, longest) = (run()?, run()?, run()?);
        let mut parts = [repeats, head.requests, tail.requests, longest.requests].into_iter();
        if parts.any(|part| part > requests) {
            return Err(FrameError::Content);
        }
        Ok(Self { requests, repeats, head, tail, longest })
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    pub(super) fn longest(&self) -> Run {
        self.longest
    }

    /// How often a request outside the longest run has the value of the one before, in (0, 1): what
    /// clustered requests do of themselves (Laplace's rule, for want of many).
    pub(super) fn repeat_rate(&self) -> f64 {
        let within = self.longest.requests.saturating_sub(1);
        let repeats = self.repeats.saturating_sub(within);
        let pairs = self.requests.saturating_sub(1).saturating_sub(within);
        (repeats + 1) as f64 / (pairs + 2) as f64
    }
}

impl Run {
    fn longer(self, other: Self) -> Self {
        if other.value.is_some() && other.requests > self.requests { other } else { self }
    }

    fn save(self, packer: &mut Packer) {
        let (kind, value) = match self.value {
            None => (0, None),
            Some(Value::Number(bits)) => (1, Some(bits)),
            Some(Value::Level(hash)) => (2, Some(hash)),
        };
        packer.word(kind);
        if let Some(value) = value {
            packer.hash(value);
        }
        packer.word(self.requests);
    }

    fn restored(saved: &mut Unpacker<'_>) -> Result<Self, FrameError> {
        let value = match saved.word()? {
            0 => None,
            1 => Some(Value::Number(saved.hash()?)),
            2 => Some(Value::Level(saved.hash()?)),
            _ => return Err(FrameError::Content),
        };
        Ok(Self { value, requests: saved.count()? })
    }
}

impl Value {
    /// None of what is missing.
    fn of(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => None,
            Cell::Number(number) => (!number.is_nan()).then(|| Self::of_number(number)),
            Cell::Bool(true) => Some(Self::of_level("true")),
            Cell::Bool(false) => Some(Self::of_level("false")),
            Cell::Text(text) => Some(Self::of_level(text)),
        }
    }

    /// -0 is 0.
    fn of_number(number: f64) -> Self {
        Self::Number((number + 0.0).to_bits())
    }

    pub(super) fn of_level(level: &str) -> Self {
        Self::Level(xxh3_64(level.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(values: &[f64]) -> Column {
        let mut column = Column::new("x");
        for value in values {
            column.push_number(*value);
        }
        column
    }

    fn of_rows(values: &[f64]) -> Runs {
        let mut runs = Runs::default();
        runs.observe(&numbers(values), Grouping::Rows);
        runs
    }

    #[test]
    fn the_longest_run_is_found_and_nulls_do_not_break_it() {
        let mut column = Column::new("x");
        for cell in [1.0, 2.0, 2.0].map(Cell::Number).into_iter().chain([Cell::Null]) {
            column.push(cell);
        }
        column.push(Cell::Number(2.0));
        column.push(Cell::Number(1.0));
        let mut runs = Runs::default();
        runs.observe(&column, Grouping::Rows);
        let two = Some(Value::of_number(2.0));
        assert_eq!((runs.longest(), runs.requests()), (Run { value: two, requests: 3 }, 5));
    }

    #[test]
    fn rows_of_one_request_are_no_run_and_requests_of_one_value_are() {
        let mut runs = Runs::default();
        runs.observe(&numbers(&[7.0; 500]), Grouping::Request);
        assert_eq!(runs.longest().requests, 1);
        runs.observe(&numbers(&[7.0]), Grouping::Request);
        assert_eq!(runs.longest().requests, 2);
        runs.observe(&numbers(&[7.0, 8.0]), Grouping::Request);
        runs.observe(&numbers(&[7.0]), Grouping::Request);
        assert_eq!((runs.longest().requests, runs.requests()), (2, 4));
    }

    #[test]
    fn what_repeats_outside_the_longest_run_is_the_rate() {
        let pairs: Vec<f64> = (0..100).flat_map(|n| [f64::from(n), f64::from(n)]).collect();
        let frozen = [pairs.clone(), vec![-1.0; 50], pairs].concat();
        let rate = of_rows(&frozen).repeat_rate();
        assert!((rate - 0.5).abs() < 0.01, "{rate}");
    }

    proptest! {
        #[test]
        fn a_run_is_read_as_it_was_saved_and_none_is_longer_than_all_requests(
            values in proptest::collection::vec(0_i32..3, 0..40), more in 1_u64..9,
        ) {
            let mut runs = of_rows(&values.into_iter().map(f64::from).collect::<Vec<_>>());
            let mut level = Column::new("x");
            level.push(Cell::Text("a"));
            runs.observe(&level, Grouping::Request);
            let saved = |runs: &Runs| {
                let mut packer = Packer::default();
                runs.save(&mut packer);
                packer.into_bytes()
            };
            let bytes = saved(&runs);
            let mut reader = Unpacker::new(&bytes);
            prop_assert_eq!(Runs::restored(&mut reader), Ok(runs.clone()));
            prop_assert_eq!(reader.end(), Ok(()));
            runs.longest.requests = runs.requests + more;
            let restored = Runs::restored(&mut Unpacker::new(&saved(&runs)));
            prop_assert_eq!(restored, Err(FrameError::Content));
        }

        #[test]
        fn windows_joined_in_order_are_as_if_they_had_been_one(
            values in proptest::collection::vec(0_i32..3, 0..40), cuts in (0_usize..40, 0_usize..40),
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let at = |cut: usize| cut.min(values.len());
            let (low, high) = (at(cuts.0.min(cuts.1)), at(cuts.0.max(cuts.1)));
            let mut joined = of_rows(&values[..low]);
            joined.append(&of_rows(&values[low..high]));
            joined.append(&of_rows(&values[high..]));
            prop_assert_eq!(joined, of_rows(&values));
        }
    }
}
