//! The columns of a batch by what they are: time, inputs, outputs.

use super::table::parse_time;
use crate::decode::{Cell, Column, Rows};
use crate::sketch::Role;
use jiff::Timestamp;

/// Rows as the engine takes them.
pub(super) struct Batch {
    pub inputs: Rows,
    pub outputs: Rows,
    pub times: Times,
    /// The share of exchanges that were kept when these were, in (0, 1]; 1 for a table.
    pub sample_rate: f64,
}

/// When each row was.
pub(super) enum Times {
    /// There is no column of times.
    Unknown,
    Column(Column),
    Known(Vec<Timestamp>),
}

impl Batch {
    pub(super) fn rows(&self) -> usize {
        self.inputs.len().max(self.outputs.len())
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = (Role, &Column)> {
        let inputs = self.inputs.columns().iter().map(|column| (Role::Input, column));
        inputs.chain(self.outputs.columns().iter().map(|column| (Role::Output, column)))
    }

    /// The names of its columns, for a person who sought another.
    pub(super) fn names(&self) -> String {
        self.columns().map(|(_, column)| &**column.name()).collect::<Vec<_>>().join(", ")
    }
}

/// A table's columns by their roles.
pub(super) fn split(
    columns: Vec<Column>,
    time_column: &str,
    is_output: impl Fn(&str) -> bool,
) -> Batch {
    let mut batch = Batch {
        inputs: Rows::new(),
        outputs: Rows::new(),
        times: Times::Unknown,
        sample_rate: 1.0,
    };
    for column in columns {
        match &**column.name() {
            name if name == time_column => batch.times = Times::Column(column),
            name if is_output(name) => batch.outputs.push(column),
            _ => batch.inputs.push(column),
        }
    }
    batch
}

/// The first cell of a column of times that is none.
#[derive(Debug)]
pub(super) struct NotATime {
    /// From 0, within the batch.
    pub row: usize,
    pub cell: String,
}

/// The time of each row. Rows of one day often repeat it, so the last one read is remembered.
pub(super) fn times(column: &Column) -> Result<Vec<Timestamp>, NotATime> {
    let mut last: Option<(Cell<'_>, Timestamp)> = None;
    let mut times = Vec::with_capacity(column.len());
    for (row, cell) in column.cells().enumerate() {
        let time = match last {
            Some((known, time)) if known == cell => time,
            _ => parse_time(cell).ok_or_else(|| NotATime { row, cell: shown(cell) })?,
        };
        last = Some((cell, time));
        times.push(time);
    }
    Ok(times)
}

/// A cell as a person would write it.
fn shown(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "an empty cell".to_owned(),
        Cell::Number(number) => number.to_string(),
        Cell::Bool(flag) => flag.to_string(),
        Cell::Text(text) => format!("{text:?}"),
    }
}

/// Whether every cell of a text column is a time: then it is hardly a feature.
pub(super) fn looks_like_times(column: &Column) -> bool {
    let texts = || column.cells().filter(|cell| *cell != Cell::Null);
    texts().next().is_some()
        && texts().all(|cell| matches!(cell, Cell::Text(_)) && parse_time(cell).is_some())
}
