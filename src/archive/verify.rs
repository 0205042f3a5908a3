//! Whether a file is what was written, and can be read to its last cell.

use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

use super::reader::{group_rows, open, read_column};
use super::schema::{CHECKSUM_KEY, COLUMNS};
use super::{ArchiveError, ArchiveFile, Reader};

/// What was found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    pub exchanges: u64,
    /// Exchanges with decoded rows, which are readable too.
    pub decoded: u64,
}

/// Checks one file: its bytes against the checksum in its footer, every column of every row group
/// for its type and its row count, and every decoded row. The checksum shows accidents, not intent:
/// whoever can write the file can write the checksum.
pub fn verify(file: &ArchiveFile) -> Result<Checked, ArchiveError> {
    let reader = open(&file.path)?;
    check_bytes(&reader, &file.path)?;
    let mut exchanges = 0;
    for group in 0..reader.num_row_groups() {
        check_columns(&reader, &file.path, group)?;
        exchanges += group_rows(reader.metadata(), group) as u64;
    }
    let mut decoded = 0;
    for exchange in Reader::open(&file.path)?.rows() {
        exchange?;
        decoded += 1;
    }
    Ok(Checked { exchanges, decoded })
}

fn check_columns(
    reader: &SerializedFileReader<File>,
    path: &Path,
    group: usize,
) -> Result<(), ArchiveError> {
    let stated = group_rows(reader.metadata(), group) as u64;
    for (position, column) in COLUMNS.iter().enumerate() {
        let Some(cells) = read_column(reader, path, group, position)? else {
            // A later schema may have added it.
            if column.nullable && column.name == "counted_at" {
                continue;
            }
            let fault = "is missing";
            return Err(ArchiveError::Column { path: path.into(), column: column.name, fault });
        };
        let found = cells.len() as u64;
        if found != stated {
            let path = path.into();
            return Err(ArchiveError::RowCount { path, column: column.name, stated, found });
        }
    }
    Ok(())
}

fn check_bytes(reader: &SerializedFileReader<File>, path: &Path) -> Result<(), ArchiveError> {
    let no_checksum = || ArchiveError::NoChecksum { path: path.into() };
    let pairs = reader.metadata().file_metadata().key_value_metadata().ok_or_else(no_checksum)?;
    let value = pairs.iter().find(|pair| pair.key == CHECKSUM_KEY);
    let value = value.and_then(|pair| pair.value.as_deref()).ok_or_else(no_checksum)?;
    let (bytes, stated) = value.split_once(':').ok_or_else(no_checksum)?;
    let bytes = bytes.parse().map_err(|_| no_checksum())?;
    let found = hash_of_first(path, bytes).map_err(|source| ArchiveError::Disk {
        action: "reading",
        path: path.into(),
        source,
    })?;
    if format!("{found:016x}") == stated {
        Ok(())
    } else {
        Err(ArchiveError::Checksum { path: path.into() })
    }
}

fn hash_of_first(path: &Path, bytes: u64) -> io::Result<u64> {
    let mut file = File::open(path)?.take(bytes);
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.digest()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
