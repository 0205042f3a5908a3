//! Which files there are that a pattern names, and how each is known again.

use super::known::Known;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file as it is now.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) bytes: u64,
    pub(super) modified: SystemTime,
    /// A hash of its first lines; `None` while they are not whole.
    pub(super) beginning: Option<u64>,
}

/// Files that are followed at a time: those that were last written to.
pub(super) const MAX_FILES: usize = 1000;
/// The first lines are looked for in so much.
const HEAD_BYTES: u64 = 16 * 1024;

/// Regular files, each once, oldest first. A file that is as it was is not opened.
pub(super) fn look(patterns: &[PathBuf], known: &Known) -> Vec<Seen> {
    let mut files: Vec<(PathBuf, Metadata)> = Vec::new();
    for pattern in patterns {
        for path in paths(pattern) {
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let is_new = files
                .iter()
                .all(|(_, other)| other.ino() != metadata.ino() || other.dev() != metadata.dev());
            if metadata.is_file() && is_new {
                files.push((path, metadata));
            }
        }
    }
    files.sort_by_key(|(path, metadata)| (metadata.modified().ok(), path.clone()));
    files.drain(..files.len().saturating_sub(MAX_FILES));
    files.into_iter().map(|(path, metadata)| seen(path, &metadata, known)).collect()
}

fn seen(path: PathBuf, metadata: &Metadata, known: &Known) -> Seen {
    let mut seen = Seen {
        path,
        device: metadata.dev(),
        inode: metadata.ino(),
        bytes: metadata.len(),
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        beginning: None,
    };
    seen.beginning = known.beginning_of(&seen).or_else(|| beginning(&seen.path));
    seen
}

/// Of the first line, and in CSV, whose header many files share, of the second too.
fn beginning(path: &Path) -> Option<u64> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    let lines = if head.starts_with(b"{") { 1 } else { 2 };
    let mut ends = head.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let (end, _) = ends.nth(lines - 1)?;
    Some(xxhash_rust::xxh3::xxh3_64(&head[..end]))
}

fn paths(pattern: &Path) -> Vec<PathBuf> {
    let Some(name) = pattern.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    if !name.contains('*') {
        return vec![pattern.to_owned()];
    }
    let directory = pattern.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(entries) = std::fs::read_dir(directory.unwrap_or(Path::new("."))) else {
        return Vec::new();
    };
    let found = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let matches_name = |path: &PathBuf| {
        path.file_name().and_then(|found| found.to_str()).is_some_and(|found| matches(name, found))
    };
    found.filter(matches_name).collect()
}

/// `*` stands for any run of characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let parts: Vec<_> = rest.split('*').collect();
    let Some((last, between)) = parts.split_last() else { return true };
    for part in between {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, name) in
            [("a*", "a"), ("*.jsonl", "x.jsonl"), ("a*b*c", "a-b-b-c"), ("*", "x"), ("x", "x")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a*", "b"), ("*.jsonl", "x.jsonl.1"), ("ab*ba", "aba"), ("x", "y")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
