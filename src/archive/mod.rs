//! The record of what was asked and answered, in files that other tools read.
//!
//! In: captured exchanges with their decoded rows, as [`Entry`]. Out: Parquet files under one
//! directory, and a [`Reader`] over them. The promise: offering an entry never waits; a failing or
//! full disk costs entries, each of them counted, and never anything else; a reader only ever meets
//! whole files.
//!
//! # Files
//! `exchanges-<UTC time>-<sequence>-<instance>.parquet`, zstd, one row an exchange. A file is written
//! under the same name with `.inprogress` added and renamed when its footer is on the disk. The lock
//! on such a file tells a live writer's from a killed one's; the latter has no footer, cannot be read
//! by anything, and is removed and counted at the next start.
//!
//! # Columns
//! See `schema.rs` for names and types. Durations are nanoseconds, `started_at` is microseconds
//! UTC. Headers are one JSON object as text, `{"x-tenant":"a"}`, repeated headers joined with `", "`
//! as RFC 9110 section 5.3 allows. `inputs` and `outputs` are the decoded rows as text, one JSON object
//! a row: `[{"temp":1.5,"city":"Oslo"}]`. JSON has no word for three numbers, which are written
//! as the texts `"NaN"`, `"Infinity"` and `"-Infinity"` and read back as numbers; texts of these words are
//! written with their first character escaped. `counted_at` is when the rows were counted, within the
//! window of drift that they are in: judged again by it, windows are the same. Text was chosen over
//! typed columns because rows of different models share a file; `DuckDB` reads it with `->>` and
//! `from_json`, pandas with `json.loads`. Bodies stand as they crossed the wire, encoded if they were.

mod batch;
mod catalogue;
mod entry;
mod file;
mod log;
mod reader;
mod record;
mod row_text;
mod schema;
mod verify;
mod writer;

pub use catalogue::{ArchiveFile, files};
pub use entry::Entry;
pub use reader::{DecodedExchange, Part, Reader, Records, Summary, holds_exchanges};
pub use record::{Body, Record};
pub use verify::{Checked, verify};
pub use writer::{Bounds, Settings, State, Writer};

use std::path::PathBuf;
use thiserror::Error;

/// Why the archive could not be opened, written or read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error("the archive's thread could not be started")]
    Thread(#[source] std::io::Error),
    #[error("{action} {path:?} failed")]
    Disk {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path:?} cannot be read as Parquet")]
    Parquet {
        path: PathBuf,
        #[source]
        source: parquet::errors::ParquetError,
    },
    #[error("{path:?}, column `{column}`: {fault}")]
    Column { path: PathBuf, column: &'static str, fault: &'static str },
    #[error("{path:?} carries no checksum of its data; it was not written by this archive")]
    NoChecksum { path: PathBuf },
    #[error("{path:?}, exchange {id}: `{column}` is no JSON rows")]
    Rows {
        path: PathBuf,
        id: String,
        column: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("{path:?} was changed after it was written: its checksum does not fit its data")]
    Checksum { path: PathBuf },
    #[error("{path:?} holds {found} rows of column `{column}`, its footer says {stated}")]
    RowCount { path: PathBuf, column: &'static str, stated: u64, found: u64 },
}

/// An error with its causes on one line, for a state that is shown.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
