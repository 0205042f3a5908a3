//! A file of rows in, batches of named columns out: CSV, JSON Lines and Parquet.
//!
//! Streamed: a batch is all that is held, however long the file. Cells keep their type; what a
//! format cannot say plainly (a list, a nested object) is refused by name or left out and told.

mod csv;
mod error;
mod json_lines;
mod parquet;
mod time;

pub(super) use error::TableError;
pub(super) use time::parse_time;

use crate::decode::{Cell, Column};
use std::path::Path;

/// Enough to make a batch's cost small, few enough to stay in the cache.
pub(super) const BATCH_ROWS: usize = 8192;

/// Reads one file from start to end.
pub(super) enum TableReader {
    Csv(csv::Reader),
    JsonLines(json_lines::Reader),
    Parquet(parquet::Reader),
}

impl TableReader {
    /// The ending of the name says the format.
    pub(super) fn open(path: &Path) -> Result<Self, TableError> {
        match &*ending(path) {
            "csv" => csv::Reader::open(path).map(Self::Csv),
            "jsonl" | "ndjson" => json_lines::Reader::open(path).map(Self::JsonLines),
            "parquet" => parquet::Reader::open(path).map(Self::Parquet),
            _ => Err(TableError::UnknownFormat(path.to_owned())),
        }
    }

    pub(super) fn is_parquet(path: &Path) -> bool {
        ending(path) == "parquet"
    }

    /// The next rows, columns of equal length; `None` at the end.
    pub(super) fn next_batch(&mut self) -> Result<Option<Vec<Column>>, TableError> {
        match self {
            Self::Csv(reader) => reader.next_batch(),
            Self::JsonLines(reader) => reader.next_batch(),
            Self::Parquet(reader) => reader.next_batch(),
        }
    }

    /// Columns that no cell can be made of, with the reason: known once all is read.
    pub(super) fn left_out(&self) -> Vec<String> {
        match self {
            Self::Csv(_) => Vec::new(),
            Self::JsonLines(reader) => reader.left_out(),
            Self::Parquet(reader) => reader.left_out(),
        }
    }
}

fn ending(path: &Path) -> String {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ending.to_ascii_lowercase()
}

/// A cell of a format that has only text.
fn cell_of(text: &str) -> Cell<'_> {
    match text.trim() {
        "" | "NaN" | "nan" | "NA" | "N/A" | "null" | "NULL" | "None" => Cell::Null,
        "true" | "True" | "TRUE" => Cell::Bool(true),
        "false" | "False" | "FALSE" => Cell::Bool(false),
        trimmed => number_of(trimmed).map_or(Cell::Text(text), Cell::Number),
    }
}

/// Not what `f64` would also read: `inf`, `infinity`.
fn number_of(text: &str) -> Option<f64> {
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    text.parse().ok().filter(|number: &f64| begins && number.is_finite())
}

#[cfg(test)]
mod tests;
