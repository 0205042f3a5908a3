//! What lies in an archive's directory, by name: whole files, and what killed writers left.

use jiff::Timestamp;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ArchiveError;

const PREFIX: &str = "exchanges-";
const SUFFIX: &str = ".parquet";
const OPEN_SUFFIX: &str = ".inprogress";
/// Where the sidecar keeps its archive within a data directory.
const DATA_DIR_SUBFOLDER: &str = "archive";

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchiveFile {
    /// Sorts by time, as the name begins with it.
    pub path: PathBuf,
    pub bytes: u64,
}

/// The whole files of `location`, oldest first. `location` is a file, an archive's directory, or a
/// data directory with an archive in it.
pub fn files(location: &Path) -> Result<Vec<ArchiveFile>, ArchiveError> {
    let metadata = fs::metadata(location).map_err(|source| ArchiveError::Disk {
        action: "reading",
        path: location.into(),
        source,
    })?;
    if metadata.is_file() {
        return Ok(vec![ArchiveFile { path: location.into(), bytes: metadata.len() }]);
    }
    let here = whole_files(location)?;
    let subfolder = location.join(DATA_DIR_SUBFOLDER);
    if here.is_empty() && subfolder.is_dir() {
        return whole_files(&subfolder);
    }
    Ok(here)
}

pub(super) fn whole_files(directory: &Path) -> Result<Vec<ArchiveFile>, ArchiveError> {
    let mut files: Vec<_> = named(directory, SUFFIX)
        .map_err(|source| ArchiveError::Disk { action: "listing", path: directory.into(), source })?
        .into_iter()
        .filter_map(|path| {
            // One that is gone by now was deleted by retention: it is no part of the archive.
            let bytes = fs::metadata(&path).ok()?.len();
            Some(ArchiveFile { path, bytes })
        })
        .collect();
    files.sort_unstable();
    Ok(files)
}

/// Removes the unfinished files of writers that are no more, and says how many there were.
pub(super) fn remove_abandoned(directory: &Path) -> io::Result<u64> {
    let mut removed = 0;
    for path in named(directory, OPEN_SUFFIX)? {
        let abandoned = fs::File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if abandoned && fs::remove_file(&path).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

pub(super) fn file_name(time: Timestamp, sequence: u64, instance: &str) -> String {
    let time = time.strftime("%Y%m%dT%H%M%S%.6fZ");
    format!("{PREFIX}{time}-{sequence:06}-{instance}{SUFFIX}")
}

/// The name of a file while it is being written.
pub(super) fn open_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(OPEN_SUFFIX);
    name.into()
}

/// An instance's name reduced to what a file name may hold anywhere.
pub(super) fn file_safe(instance: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = instance.chars().take(80).map(safe).collect();
    if name.is_empty() { "local".into() } else { name }
}

fn named(directory: &Path, suffix: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(suffix));
        if ours {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_hold_no_separator_of_the_caller() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let early = file_name(time("2026-01-02T03:04:05Z"), 7, &file_safe("pod/../a"));
        let late = file_name(time("2026-01-02T03:04:05.000001Z"), 1, "pod");
        assert_eq!(early, "exchanges-20260102T030405.000000Z-000007-pod----a.parquet");
        assert!(early < late);
    }
}
