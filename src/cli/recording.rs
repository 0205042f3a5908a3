//! Recorded exchanges in, batches of their rows out.
//!
//! Exchanges of the same columns, kept at the same rate, are joined until a batch is large enough; one that has other columns,
//! or not as many outputs as inputs, begins or is a batch of its own. So every row keeps its time, no
//! cell is made up, and the engine counts what it counted when the exchange passed.

use super::columns::{Batch, Times};
use super::table::BATCH_ROWS;
use crate::archive::{ArchiveError, DecodedExchange, Reader};
use crate::decode::{Column, Rows};
use jiff::Timestamp;
use std::iter::Peekable;

type Exchanges = Box<dyn Iterator<Item = Result<DecodedExchange, ArchiveError>>>;

pub(super) struct Recording {
    exchanges: Peekable<Exchanges>,
}

impl Recording {
    pub(super) fn new(reader: &Reader) -> Self {
        Self::of(Box::new(reader.rows()))
    }

    fn of(exchanges: Exchanges) -> Self {
        Self { exchanges: exchanges.peekable() }
    }

    /// At least one row; `None` at the end.
    pub(super) fn next_batch(&mut self) -> Result<Option<Batch>, ArchiveError> {
        let Some(first) = self.exchanges.next().transpose()? else { return Ok(None) };
        let mut joined = Joined::new(first);
        while joined.times.len() < BATCH_ROWS {
            let next = self
                .exchanges
                .next_if(|next| matches!(next, Ok(exchange) if joined.fits(exchange)));
            match next.transpose()? {
                Some(exchange) => joined.add(&exchange),
                None => break,
            }
        }
        Ok(Some(joined.into_batch()))
    }
}

/// Rows of several exchanges. `times` has one for each row of whichever role has more.
struct Joined {
    inputs: Vec<Column>,
    outputs: Vec<Column>,
    times: Vec<Timestamp>,
    is_even: bool,
    sample_rate: f64,
}

impl Joined {
    fn new(first: DecodedExchange) -> Self {
        let is_even = is_even(&first);
        let times = vec![first.started_at; rows(&first)];
        let columns = |mut rows: Rows| rows.drain().collect();
        let (inputs, outputs) = (columns(first.inputs), columns(first.outputs));
        Self { inputs, outputs, times, is_even, sample_rate: first.sample_rate }
    }

    fn fits(&self, exchange: &DecodedExchange) -> bool {
        self.is_even
            && is_even(exchange)
            && self.sample_rate.to_bits() == exchange.sample_rate.to_bits()
            && same_names(&self.inputs, exchange.inputs.columns())
            && same_names(&self.outputs, exchange.outputs.columns())
    }

    fn add(&mut self, exchange: &DecodedExchange) {
        self.times.resize(self.times.len() + rows(exchange), exchange.started_at);
        append(&mut self.inputs, &exchange.inputs);
        append(&mut self.outputs, &exchange.outputs);
    }

    fn into_batch(self) -> Batch {
        let rows = |columns: Vec<Column>| {
            let mut rows = Rows::new();
            for column in columns {
                rows.push(column);
            }
            rows
        };
        Batch {
            inputs: rows(self.inputs),
            outputs: rows(self.outputs),
            times: Times::Known(self.times),
            sample_rate: self.sample_rate,
        }
    }
}

fn rows(exchange: &DecodedExchange) -> usize {
    exchange.inputs.len().max(exchange.outputs.len())
}

/// Whether each row has its inputs and its outputs, or all of them lack the same role.
fn is_even(exchange: &DecodedExchange) -> bool {
    let (inputs, outputs) = (exchange.inputs.len(), exchange.outputs.len());
    inputs == outputs || inputs == 0 || outputs == 0
}

fn same_names(some: &[Column], others: &[Column]) -> bool {
    some.len() == others.len() && some.iter().zip(others).all(|(a, b)| a.name() == b.name())
}

fn append(columns: &mut [Column], rows: &Rows) {
    for (column, more) in columns.iter_mut().zip(rows.columns()) {
        more.cells().for_each(|cell| column.push(cell));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Cell;

    fn rows(name: &str, numbers: &[f64]) -> Rows {
        let mut column = Column::new(name);
        for number in numbers {
            column.push(Cell::Number(*number));
        }
        let mut rows = Rows::new();
        rows.push(column);
        rows
    }

    fn exchange(second: i64, inputs: Rows, outputs: Rows) -> DecodedExchange {
        let started_at = Timestamp::from_second(second).unwrap();
        DecodedExchange { id: "a".into(), started_at, sample_rate: 1.0, inputs, outputs }
    }

    /// Rows of inputs, rows of outputs, and the second that each row was in, a batch.
    fn batches(exchanges: Vec<DecodedExchange>) -> Vec<(usize, usize, Vec<i64>)> {
        let mut recording = Recording::of(Box::new(exchanges.into_iter().map(Ok)));
        let mut batches = Vec::new();
        while let Some(batch) = recording.next_batch().unwrap() {
            let Times::Known(times) = &batch.times else { panic!("times are recorded") };
            let times = times.iter().map(|time| time.as_second()).collect();
            batches.push((batch.inputs.len(), batch.outputs.len(), times));
        }
        batches
    }

    #[test]
    fn exchanges_of_the_same_columns_are_joined_and_others_are_not() {
        let (x, y) = (|numbers: &[f64]| rows("x", numbers), |numbers: &[f64]| rows("y", numbers));
        let found = batches(vec![
            exchange(1, x(&[1.0, 2.0]), y(&[0.0, 1.0])),
            exchange(2, x(&[3.0]), y(&[1.0])),
            // The model refused: no outputs, and no nulls in their stead.
            exchange(3, x(&[4.0]), Rows::new()),
            exchange(4, x(&[5.0]), Rows::new()),
            // One answer for two rows.
            exchange(5, x(&[6.0, 7.0]), y(&[1.0])),
            exchange(6, x(&[8.0]), y(&[1.0])),
            exchange(7, rows("z", &[8.0]), y(&[1.0])),
        ]);
        let expected = [
            (3, 3, vec![1, 1, 2]),
            (2, 0, vec![3, 4]),
            (2, 1, vec![5, 5]),
            (1, 1, vec![6]),
            (1, 1, vec![7]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_batch_is_bounded() {
        let exchanges = vec![exchange(0, rows("x", &[0.0]), Rows::new()); BATCH_ROWS + 10];
        let found = batches(exchanges);
        assert_eq!(found.iter().map(|(rows, ..)| *rows).collect::<Vec<_>>(), [BATCH_ROWS, 10]);
    }

    #[test]
    fn a_fault_of_the_archive_ends_the_reading() {
        let fault = ArchiveError::NoChecksum { path: "a".into() };
        let exchanges = vec![Ok(exchange(1, rows("x", &[1.0]), Rows::new())), Err(fault)];
        let mut recording = Recording::of(Box::new(exchanges.into_iter()));
        assert!(recording.next_batch().unwrap().is_some());
        assert!(recording.next_batch().is_err());
    }
}
