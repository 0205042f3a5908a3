//! CSV with a head line (RFC 4180): cells are typed one by one.

use super::{BATCH_ROWS, TableError, cell_of};
use crate::decode::{Cell, Column};
use ::csv::StringRecord;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(in crate::cli) struct Reader {
    path: PathBuf,
    records: csv::Reader<File>,
    names: Vec<Arc<str>>,
    record: StringRecord,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, TableError> {
        let file = File::open(path)
            .map_err(|source| TableError::Open { path: path.to_owned(), source })?;
        let mut records = csv::Reader::from_reader(file);
        let faulty = |source| TableError::Csv { path: path.to_owned(), source };
        let head = records.headers().map_err(faulty)?;
        let mut names: Vec<Arc<str>> = Vec::new();
        for name in head {
            // Spreadsheets begin a file with a byte order mark.
            let name = name.trim_start_matches('\u{feff}').trim();
            if names.iter().any(|known| &**known == name) {
                return Err(TableError::Duplicate { path: path.to_owned(), name: name.to_owned() });
            }
            names.push(name.into());
        }
        Ok(Self { path: path.to_owned(), records, names, record: StringRecord::new() })
    }

    pub(super) fn next_batch(&mut self) -> Result<Option<Vec<Column>>, TableError> {
        let mut columns: Vec<_> = self.names.iter().cloned().map(Column::new).collect();
        let mut rows = 0;
        while rows < BATCH_ROWS {
            let read = self.records.read_record(&mut self.record);
            if !read.map_err(|source| TableError::Csv { path: self.path.clone(), source })? {
                break;
            }
            for (column, text) in columns.iter_mut().zip(&self.record) {
                match cell_of(text) {
                    Cell::Number(number) => column.push_number(number),
                    cell => column.push(cell),
                }
            }
            rows += 1;
        }
        Ok((rows > 0).then_some(columns))
    }
}
