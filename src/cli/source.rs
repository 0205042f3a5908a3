//! What `--from` names: a table in a file, or an archive of exchanges. Batches of rows out, by role.
//!
//! A table's columns are given their roles by name. An archive knows them of its own: inputs and
//! outputs as they were recorded, and as time of a row when its exchange began.

use super::columns::{self, Batch};
use super::input::BadInput;
use super::recording::Recording;
use super::table::{TableError, TableReader};
use crate::archive;
use std::path::{Path, PathBuf};

pub(super) enum Source {
    Table(Box<TableReader>),
    Archive(Recording),
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, BadInput> {
        if path.is_dir() {
            let reader = archive::Reader::open(path).map_err(BadInput::new)?;
            if reader.files().is_empty() {
                return Err(BadInput::new(TableError::Directory(path.to_owned())));
            }
            return Ok(Self::Archive(Recording::new(&reader)));
        }
        // What is wrong with a file that cannot be read, the table's reader tells.
        if TableReader::is_parquet(path) && archive::holds_exchanges(path).unwrap_or(false) {
            let reader = archive::Reader::open(path).map_err(BadInput::new)?;
            return Ok(Self::Archive(Recording::new(&reader)));
        }
        TableReader::open(path).map(Box::new).map(Self::Table).map_err(BadInput::new)
    }

    pub(super) fn is_archive(&self) -> bool {
        matches!(self, Self::Archive(_))
    }

    /// The next rows; `None` at the end. An archive heeds neither argument.
    pub(super) fn next_batch(
        &mut self,
        time_column: &str,
        is_output: impl Fn(&str) -> bool,
    ) -> Result<Option<Batch>, BadInput> {
        match self {
            Self::Table(reader) => {
                let columns = reader.next_batch().map_err(BadInput::new)?;
                Ok(columns.map(|columns| columns::split(columns, time_column, is_output)))
            }
            Self::Archive(recording) => recording.next_batch().map_err(BadInput::new),
        }
    }

    /// Columns that no cell can be made of, with the reason: known once all is read.
    pub(super) fn left_out(&self) -> Vec<String> {
        match self {
            Self::Table(reader) => reader.left_out(),
            Self::Archive(_) => Vec::new(),
        }
    }

    /// Why there was no row at all.
    pub(super) fn empty(&self, path: PathBuf) -> BadInput {
        BadInput::new(match self {
            Self::Table(_) => TableError::Empty(path),
            Self::Archive(_) => TableError::NothingDecoded(path),
        })
    }
}
