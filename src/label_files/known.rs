//! Which files were seen before, under whatever name, and how far each was read.

use super::look::{MAX_FILES, Seen};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::SystemTime;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// Those seen last are last.
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// For whoever reads the file; it is known by what follows.
    path: PathBuf,
    device: u64,
    inode: u64,
    bytes: u64,
    modified: SystemTime,
    beginning: Option<u64>,
    place: Place,
}

/// How far a file was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) lines: u64,
    /// Of CSV.
    pub(super) header: Option<String>,
    /// The line at the offset has begun before it, and is given up.
    pub(super) in_long_line: bool,
}

impl Entry {
    fn is_at(&self, seen: &Seen) -> bool {
        (self.device, self.inode) == (seen.device, seen.inode)
    }

    fn become_seen(&mut self, seen: &Seen) {
        self.path.clone_from(&seen.path);
        (self.device, self.inode) = (seen.device, seen.inode);
        (self.bytes, self.modified) = (seen.bytes, seen.modified);
        self.beginning = seen.beginning.or(self.beginning);
    }
}

impl Known {
    /// Of a file that is as it was when it was last seen.
    pub(super) fn beginning_of(&self, seen: &Seen) -> Option<u64> {
        let same = |entry: &&Entry| {
            entry.is_at(seen) && entry.bytes == seen.bytes && entry.modified == seen.modified
        };
        self.files.iter().find(same)?.beginning
    }

    pub(super) fn place(&mut self, seen: &Seen) -> Option<&mut Place> {
        let entry = self.files.iter_mut().find(|entry| entry.is_at(seen))?;
        Some(&mut entry.place)
    }

    /// Finds each file among those that are known. The surest sign goes first: the same inode with the
    /// same first lines; then the same first lines, of a file that is not where it was: it was moved
    /// over file systems, or copied and then cut, as by logrotate's `copytruncate`; then the same inode
    /// of a file whose first line was not whole, if it has not shrunk. True if anything is new.
    pub(super) fn recognise(&mut self, seen: &[Seen]) -> bool {
        let mut left: Vec<_> = std::mem::take(&mut self.files).into_iter().map(Some).collect();
        let mut found: Vec<Option<Entry>> = seen.iter().map(|_| None).collect();
        let signs: [fn(&Entry, &Seen) -> bool; 3] = [
            |entry, seen| {
                let same = entry.beginning.is_some() && entry.beginning == seen.beginning;
                entry.is_at(seen) && same && seen.bytes >= entry.place.offset
            },
            |entry, seen| {
                let same = entry.beginning.is_some() && entry.beginning == seen.beginning;
                same && seen.bytes >= entry.place.offset
            },
            |entry, seen| {
                let unknown = entry.beginning.is_none() || seen.beginning.is_none();
                entry.is_at(seen) && unknown && seen.bytes >= entry.place.offset
            },
        ];
        for sign in signs {
            for (file, place) in seen.iter().zip(&mut found).filter(|(_, place)| place.is_none()) {
                let is_it = |entry: &Option<Entry>| entry.as_ref().is_some_and(|e| sign(e, file));
                *place = left.iter().position(is_it).and_then(|index| left[index].take());
            }
        }
        let is_new = found.iter().any(Option::is_none);
        // An inode that another file has now says nothing any more.
        left.retain(|entry| entry.as_ref().is_some_and(|e| !seen.iter().any(|file| e.is_at(file))));
        self.files = left.into_iter().flatten().collect();
        self.files.extend(seen.iter().zip(found).map(|(file, entry)| {
            let mut entry = entry.unwrap_or_else(|| Entry::new(file));
            entry.become_seen(file);
            entry
        }));
        self.files.drain(..self.files.len().saturating_sub(2 * MAX_FILES));
        is_new
    }
}

impl Entry {
    fn new(seen: &Seen) -> Self {
        Self {
            path: seen.path.clone(),
            device: seen.device,
            inode: seen.inode,
            bytes: seen.bytes,
            modified: seen.modified,
            beginning: seen.beginning,
            place: Place::default(),
        }
    }
}
