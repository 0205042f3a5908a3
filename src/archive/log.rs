//! The archive's directory as a log: records in, row groups and rotated files out, oldest files deleted.
//!
//! Time comes in with each call. A failing disk is met by keeping the current row group, retrying it
//! after a pause that grows, and counting what does not fit meanwhile.

use jiff::Timestamp;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::Cells;
use super::file::OpenFile;
use super::writer::{Bounds, Counters, Settings};
use super::{ArchiveError, Record, catalogue, chain};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Footers and page heads: what a file takes beside its row groups.
const FILE_OVERHEAD_BYTES: u64 = 32 * 1024;

pub(super) struct Log {
    /// As given; those in use are made of them.
    asked: Settings,
    settings: Settings,
    counters: Arc<Counters>,
    group: RowGroup,
    open: Option<OpenFile>,
    sequence: u64,
    retry: Option<Retry>,
}

/// The records that are not yet in a file.
struct RowGroup {
    cells: Vec<Cells>,
    rows: u64,
    held_bytes: usize,
    begun: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Retry {
    at: Instant,
    pause: Duration,
}

impl Log {
    pub(super) fn open(settings: Settings, counters: Arc<Counters>, now: Instant) -> Self {
        let mut log = Self {
            settings: settings.clone().within_bounds(),
            asked: settings,
            counters,
            group: RowGroup::empty(),
            open: None,
            sequence: 0,
            retry: None,
        };
        if let Err(error) = log.prepare() {
            log.failed(&error, now);
        }
        log
    }

    /// What is over the new bounds goes at once.
    pub(super) fn keep_within(&mut self, bounds: Bounds, now: Instant) {
        self.asked = self.asked.clone().bounded_by(bounds);
        self.settings = self.asked.clone().within_bounds();
        self.rotate_if_full(now);
        let open_bytes = self.open.as_ref().map_or(0, OpenFile::bytes_written);
        if let Err(error) = self.make_room(open_bytes) {
            self.failed(&error, now);
        }
    }

    /// Makes the directory, and clears away what killed writers left in it.
    fn prepare(&mut self) -> Result<(), ArchiveError> {
        let directory = &self.settings.directory;
        let disk =
            |action| move |source| ArchiveError::Disk { action, path: directory.clone(), source };
        fs::create_dir_all(directory).map_err(disk("creating"))?;
        let removed = catalogue::remove_abandoned(directory).map_err(disk("listing"))?;
        self.counters.abandoned(removed);
        self.make_room(0)
    }

    pub(super) fn push(&mut self, record: Record, now: Instant) {
        let bytes = record.held_bytes();
        if self.group.rows > 0 && self.group.held_bytes + bytes > self.settings.row_group_bytes {
            self.flush(now);
            if self.group.rows > 0 {
                self.counters.lost(1);
                return;
            }
        }
        self.group.push(record, bytes, now);
        if self.group.held_bytes >= self.settings.row_group_bytes {
            self.flush(now);
        }
    }

    /// Closes a file whose age has come.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.rotate(now);
        }
    }

    /// When [`Self::tick`] has something to do; `None` while nothing is held.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let open = self.open.as_ref().map(|open| open.opened);
        let begun = [open, self.group.begun].into_iter().flatten().min()?;
        let due = begun + self.settings.rotate_interval;
        Some(self.retry.map_or(due, |retry| due.max(retry.at)))
    }

    /// Writes what is held and closes the file; what cannot be written now is lost.
    pub(super) fn close(mut self, now: Instant) {
        self.retry = None;
        self.rotate(now);
        self.counters.lost(self.group.rows);
    }

    fn rotate(&mut self, now: Instant) {
        self.flush(now);
        if let Some(open) = self.open.take() {
            let rows = open.rows;
            let finished = open.finish();
            match &finished {
                Ok(()) => self.counters.written(rows),
                Err(_) => self.counters.lost(rows),
            }
            if let Err(error) = finished.and_then(|()| self.make_room(0)) {
                self.failed(&error, now);
            }
        }
    }

    /// Writes the row group that is held, unless a retry is not due yet.
    fn flush(&mut self, now: Instant) {
        let waiting = self.retry.is_some_and(|retry| retry.at > now);
        if self.group.rows == 0 || waiting {
            return;
        }
        match self.write_group(now) {
            Ok(()) => {
                self.group = RowGroup::empty();
                self.retry = None;
                self.counters.recovered();
                self.rotate_if_full(now);
            }
            Err(error) => {
                if let Some(open) = self.open.take() {
                    self.counters.lost(open.rows);
                    open.abandon();
                }
                self.failed(&error, now);
            }
        }
    }

    fn rotate_if_full(&mut self, now: Instant) {
        let full = |open: &OpenFile| open.bytes_written() >= self.settings.rotate_bytes;
        if self.open.as_ref().is_some_and(full) {
            self.rotate(now);
        }
    }

    fn write_group(&mut self, now: Instant) -> Result<(), ArchiveError> {
        if let Some(gone) = self.open.take_if(|open| !open.is_there()) {
            self.counters.lost(gone.rows);
            gone.abandon();
        }
        if self.open.is_none() {
            fs::create_dir_all(&self.settings.directory).map_err(|source| ArchiveError::Disk {
                action: "creating",
                path: self.settings.directory.clone(),
                source,
            })?;
        }
        let open_bytes = self.open.as_ref().map_or(0, OpenFile::bytes_written);
        self.make_room(open_bytes + self.group.held_bytes as u64 + FILE_OVERHEAD_BYTES)?;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create(now)?,
        };
        let written = open.write(&self.group.cells, self.group.rows);
        self.open = Some(open);
        written
    }

    fn create(&mut self, now: Instant) -> Result<OpenFile, ArchiveError> {
        self.sequence += 1;
        let instance = catalogue::file_safe(&self.settings.instance);
        let name = catalogue::file_name(Timestamp::now(), self.sequence, &instance);
        OpenFile::create(self.settings.directory.join(name), now)
    }

    /// Deletes the oldest files until `needed` bytes more fit under the bound.
    fn make_room(&mut self, needed: u64) -> Result<(), ArchiveError> {
        let files = catalogue::whole_files(&self.settings.directory)?;
        let mut held: u64 = files.iter().map(|file| file.bytes).sum();
        let mut count = files.len() as u64;
        for file in &files {
            if held + needed <= self.settings.max_bytes {
                break;
            }
            match fs::remove_file(&file.path) {
                Ok(()) => self.counters.expired(1),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => {
                    let path = file.path.clone();
                    return Err(ArchiveError::Disk { action: "deleting", path, source });
                }
            }
            held -= file.bytes;
            count -= 1;
        }
        self.counters.holds(count, held);
        Ok(())
    }

    fn failed(&mut self, error: &ArchiveError, now: Instant) {
        let text = chain(error);
        let pause = self.retry.map_or(FIRST_RETRY, |retry| (retry.pause * 2).min(LONGEST_RETRY));
        if self.retry.is_none() {
            tracing::warn!(error = %text, "the archive cannot be written; it is retried");
        }
        self.retry = Some(Retry { at: now + pause, pause });
        self.counters.failed(text);
    }
}

impl RowGroup {
    fn empty() -> Self {
        Self { cells: Cells::all(), rows: 0, held_bytes: 0, begun: None }
    }

    fn push(&mut self, record: Record, bytes: usize, now: Instant) {
        for (cells, field) in self.cells.iter_mut().zip(record.into_fields()) {
            cells.push(field);
        }
        self.rows += 1;
        self.held_bytes += bytes;
        self.begun.get_or_insert(now);
    }
}
