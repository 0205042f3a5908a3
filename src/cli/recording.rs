//! Recorded exchanges in, batches of their rows out: one an exchange.
//!
//! So every row keeps its time, which is when analysis counted it or, in older files, when its exchange
//! began. No cell is made up, and the engine counts what it counted when the
//! exchange passed, in the same window, rows of one request together.

use super::columns::{Batch, Times};
use crate::archive::{ArchiveError, DecodedExchange, Reader};

type Exchanges = Box<dyn Iterator<Item = Result<DecodedExchange, ArchiveError>>>;

pub(super) struct Recording {
    exchanges: Exchanges,
}

impl Recording {
    pub(super) fn new(reader: &Reader) -> Self {
        Self::of(Box::new(reader.rows()))
    }

    fn of(exchanges: Exchanges) -> Self {
        Self { exchanges }
    }

    /// At least one row; `None` at the end.
    pub(super) fn next_batch(&mut self) -> Result<Option<Batch>, ArchiveError> {
        let exchange = self.exchanges.next().transpose()?;
        Ok(exchange.map(|exchange| {
            let DecodedExchange { started_at, counted_at, sample_rate, inputs, outputs, .. } =
                exchange;
            let rows = inputs.len().max(outputs.len());
            let times = Times::Known(vec![counted_at.unwrap_or(started_at); rows]);
            Batch { inputs, outputs, times, sample_rate }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Cell, Column, Rows};
    use jiff::Timestamp;

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
        let id = "a".into();
        DecodedExchange { id, started_at, counted_at: None, sample_rate: 1.0, inputs, outputs }
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
    fn each_exchange_is_a_batch_and_each_row_has_its_time() {
        let (x, y) = (|numbers: &[f64]| rows("x", numbers), |numbers: &[f64]| rows("y", numbers));
        let found = batches(vec![
            exchange(1, x(&[1.0, 2.0]), y(&[0.0, 1.0])),
            // The model refused: no outputs, and no nulls in their stead.
            exchange(3, x(&[4.0]), Rows::new()),
            // One answer for two rows.
            exchange(5, x(&[6.0, 7.0]), y(&[1.0])),
            exchange(5, rows("z", &[8.0]), y(&[1.0])),
        ]);
        let expected = [(2, 2, vec![1, 1]), (1, 0, vec![3]), (2, 1, vec![5, 5]), (1, 1, vec![5])];
        assert_eq!(found, expected);
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
