//! One file while it is being written: locked, hashed, and under its real name only when whole.

use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use xxhash_rust::xxh3::Xxh3;

use super::batch::Cells;
use super::{ArchiveError, catalogue, schema};

pub(super) struct OpenFile {
    /// The name it will have.
    path: PathBuf,
    writer: SerializedFileWriter<Hashed>,
    pub(super) rows: u64,
    pub(super) opened: Instant,
}

impl OpenFile {
    pub(super) fn create(path: PathBuf, now: Instant) -> Result<Self, ArchiveError> {
        let open_path = catalogue::open_path(&path);
        let file = File::create_new(&open_path).map_err(|source| ArchiveError::Disk {
            action: "creating",
            path: open_path.clone(),
            source,
        })?;
        // A file system without locks leaves such files to whoever cleans it up; see `remove_abandoned`.
        let _ = file.try_lock();
        let start = || {
            let hashed = Hashed { file, hasher: Xxh3::new(), bytes: 0 };
            SerializedFileWriter::new(hashed, schema::parquet_type()?, schema::properties()?)
        };
        match start() {
            Ok(writer) => Ok(Self { path, writer, rows: 0, opened: now }),
            Err(source) => {
                remove(&open_path);
                Err(ArchiveError::Parquet { path: open_path, source })
            }
        }
    }

    /// Adds a row group.
    pub(super) fn write(&mut self, cells: &[Cells], rows: u64) -> Result<(), ArchiveError> {
        self.write_row_group(cells).map_err(|source| ArchiveError::Parquet {
            path: catalogue::open_path(&self.path),
            source,
        })?;
        self.rows += rows;
        Ok(())
    }

    fn write_row_group(&mut self, cells: &[Cells]) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for cells in cells {
            let Some(mut column) = group.next_column()? else { break };
            cells.write(column.untyped())?;
            column.close()?;
        }
        group.close()?;
        self.writer.flush()?;
        Ok(())
    }

    pub(super) fn bytes_written(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// Whether the file still has its name: a file that was removed takes writes, and keeps none.
    pub(super) fn is_there(&self) -> bool {
        catalogue::open_path(&self.path).exists()
    }

    /// Writes the footer and gives the file its name.
    pub(super) fn finish(self) -> Result<(), ArchiveError> {
        let open_path = catalogue::open_path(&self.path);
        let finished = finish(self.writer, &open_path, &self.path);
        if finished.is_err() {
            remove(&open_path);
        }
        finished
    }

    /// Gives the file up, and with it the rows in it.
    pub(super) fn abandon(self) {
        let open_path = catalogue::open_path(&self.path);
        drop(self.writer);
        remove(&open_path);
    }
}

fn finish(
    mut writer: SerializedFileWriter<Hashed>,
    open_path: &Path,
    path: &Path,
) -> Result<(), ArchiveError> {
    let disk = |action| move |source| ArchiveError::Disk { action, path: open_path.into(), source };
    writer.flush().map_err(disk("writing"))?;
    let checksum = format!("{}:{:016x}", writer.inner().bytes, writer.inner().hasher.digest());
    writer.append_key_value_metadata(KeyValue::new(schema::CHECKSUM_KEY.to_owned(), checksum));
    let hashed = writer
        .into_inner()
        .map_err(|source| ArchiveError::Parquet { path: open_path.into(), source })?;
    hashed.file.sync_all().map_err(disk("flushing"))?;
    fs::rename(open_path, path).map_err(disk("renaming"))
}

/// What cannot be removed now is removed at the next start.
fn remove(open_path: &Path) {
    let _ = fs::remove_file(open_path);
}

/// Hashes what it writes, so that a reader can tell that no byte was changed since.
struct Hashed {
    file: File,
    hasher: Xxh3,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
