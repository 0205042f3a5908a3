//! What waits on disk while the endpoint is away: chunks in, the oldest out, each until it is settled.
//!
//! Chunks are frames of numbered segment files (see `frame`). A frame that is settled is marked so in
//! place, by one byte; a segment without a frame left is removed. So a process that is killed loses
//! what it had not written yet, and nothing else: of a frame cut short the next process counts the
//! items. No call waits for the disk itself to write (`fsync`): a machine that fails takes the last
//! seconds with it. Over the bound the oldest segment goes; its items, and those that are older than
//! the endpoint takes, are counted. One process has the directory, by a lock.

use super::chunk::Chunk;
use super::frame::{self, Frame, State};
use crate::export::counters::{Counters, ExporterName, Loss, Signal};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

/// The endpoint refuses what is older.
const MAX_AGE: Duration = Duration::from_secs(48 * 3600);
const EXTENSION: &str = "frames";
const MAX_SEGMENT_BYTES: u64 = 1 << 20;

pub(super) struct Spool {
    directory: PathBuf,
    limit_bytes: u64,
    counters: Arc<Counters>,
    /// Oldest first.
    segments: VecDeque<Segment>,
    bytes: u64,
    /// Appends to the last segment; `None` starts a new one.
    writing: Option<File>,
    next_number: u64,
    /// Where in the oldest segment the next frame begins.
    cursor: u64,
    _lock: File,
}

struct Segment {
    number: u64,
    bytes: u64,
    /// Items that are neither settled nor lent, by signal.
    waiting: [u64; Signal::ALL.len()],
}

/// Where a chunk that was lent stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    segment: u64,
    offset: u64,
    length: u64,
}

impl Spool {
    /// Takes over what an earlier process left: its items are counted as queued again.
    pub(super) fn open(
        directory: &Path,
        limit_bytes: u64,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("lock"))?;
        lock.try_lock().map_err(|_| {
            let held = format!("{} is another process's", directory.display());
            io::Error::new(io::ErrorKind::ResourceBusy, held)
        })?;
        let mut spool = Self {
            directory: directory.to_owned(),
            limit_bytes,
            counters,
            segments: VecDeque::new(),
            bytes: 0,
            writing: None,
            next_number: 0,
            cursor: 0,
            _lock: lock,
        };
        for number in numbers(directory)? {
            spool.take_over(number)?;
        }
        Ok(spool)
    }

    fn take_over(&mut self, number: u64) -> io::Result<()> {
        self.next_number = number + 1;
        let path = self.path(number);
        let found = frame::scan(&File::open(&path)?)?;
        if found.damaged_items > 0 {
            let (path, items) = (path.display(), found.damaged_items);
            tracing::warn!(%path, items, "a file of the buffer was cut short");
            self.lose(found.damaged_signal, Loss::Damaged, found.damaged_items);
        }
        if found.waiting.iter().sum::<u64>() == 0 {
            return fs::remove_file(&path);
        }
        for signal in Signal::ALL {
            let waiting = found.waiting[signal as usize];
            self.counts(signal).queued.fetch_add(waiting, Relaxed);
        }
        self.bytes += found.bytes;
        let (bytes, waiting) = (found.bytes, found.waiting);
        self.segments.push_back(Segment { number, bytes, waiting });
        Ok(())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Items that nobody was lent.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting_by_signal().iter().sum()
    }

    pub(super) fn waiting_by_signal(&self) -> [u64; Signal::ALL.len()] {
        let mut waiting = [0; Signal::ALL.len()];
        for segment in &self.segments {
            waiting.iter_mut().zip(segment.waiting).for_each(|(sum, items)| *sum += items);
        }
        waiting
    }

    /// Keeps a chunk; on an error nothing of it is kept.
    pub(super) fn append(&mut self, chunk: &Chunk) -> io::Result<()> {
        let frame = frame::encode(chunk);
        let length = frame.len() as u64;
        self.make_room(length);
        let segment_bytes = (self.limit_bytes / 8).clamp(1, MAX_SEGMENT_BYTES);
        if self.segments.back().is_some_and(|last| last.bytes + length > segment_bytes) {
            self.writing = None;
        }
        let file = match &mut self.writing {
            Some(file) => file,
            none => {
                let number = self.next_number;
                let path = self.directory.join(name(number));
                // A directory that was removed meanwhile is made again.
                fs::create_dir_all(&self.directory)?;
                let file = OpenOptions::new().append(true).create_new(true).open(path)?;
                self.next_number += 1;
                self.segments.push_back(Segment { number, bytes: 0, waiting: [0; 3] });
                none.insert(file)
            }
        };
        let Some(last) = self.segments.back_mut() else { return Ok(()) };
        if let Err(error) = file.write_all(&frame) {
            // What was written of it is taken back; where even that fails, the segment ends before it.
            let _ = file.set_len(last.bytes);
            self.writing = None;
            return Err(error);
        }
        last.bytes += length;
        last.waiting[chunk.signal as usize] += u64::from(chunk.items);
        self.bytes += length;
        Ok(())
    }

    fn make_room(&mut self, length: u64) {
        while self.bytes + length > self.limit_bytes && !self.segments.is_empty() {
            let lost = self.remove_oldest();
            for signal in Signal::ALL {
                self.lose_queued(signal, Loss::BufferFull, lost[signal as usize]);
            }
        }
    }

    /// Gives what was waiting in it.
    fn remove_oldest(&mut self) -> [u64; Signal::ALL.len()] {
        self.cursor = 0;
        if self.segments.len() == 1 {
            self.writing = None;
        }
        let Some(oldest) = self.segments.pop_front() else { return [0; 3] };
        self.bytes -= oldest.bytes;
        // One that cannot be removed has only frames that are settled, or was over the bound.
        let _ = fs::remove_file(self.path(oldest.number));
        oldest.waiting
    }

    /// The oldest chunk, on loan: it stays where it is until it is settled.
    pub(super) fn lend(&mut self, now: SystemTime) -> io::Result<Option<(Chunk, Place)>> {
        while let Some(oldest) = self.segments.front() {
            if self.cursor >= oldest.bytes {
                self.remove_oldest();
                continue;
            }
            let file = match File::open(self.path(oldest.number)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.skip_damaged_rest();
                    continue;
                }
                file => file?,
            };
            let Some(frame) = Frame::read(&file, self.cursor, oldest.bytes)? else {
                self.skip_damaged_rest();
                continue;
            };
            let place =
                Place { segment: oldest.number, offset: self.cursor, length: frame.length() };
            if frame.state == State::Settled {
                self.cursor += place.length;
                continue;
            }
            let age = now.duration_since(frame.created).unwrap_or_default();
            let chunk =
                if age > MAX_AGE { Err(Loss::Expired) } else { frame.chunk(&file, place.offset) };
            self.take(frame.signal, frame.items);
            match chunk {
                Ok(chunk) => return Ok(Some((chunk, place))),
                Err(loss) => {
                    self.lose_queued(frame.signal, loss, u64::from(frame.items));
                    self.settle(place)?;
                }
            }
        }
        Ok(None)
    }

    fn take(&mut self, signal: Signal, items: u32) {
        if let Some(oldest) = self.segments.front_mut() {
            let waiting = &mut oldest.waiting[signal as usize];
            *waiting = waiting.saturating_sub(u64::from(items));
        }
    }

    /// The file is not what was written: all that should have been in it is lost.
    fn skip_damaged_rest(&mut self) {
        let lost = self.remove_oldest();
        for signal in Signal::ALL {
            self.lose_queued(signal, Loss::Damaged, lost[signal as usize]);
        }
    }

    /// A chunk that was lent is done with, whatever became of it.
    pub(super) fn settle(&mut self, place: Place) -> io::Result<()> {
        let Some(oldest) = self.segments.front().filter(|s| s.number == place.segment) else {
            return Ok(());
        };
        // In memory first: a disk that cannot be written must not have it sent again and again.
        self.cursor = place.offset + place.length;
        let is_over = self.cursor >= oldest.bytes;
        if is_over {
            self.remove_oldest();
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(self.path(place.segment))?;
        file.write_all_at(&[State::Settled as u8], place.offset + frame::STATE_AT)
    }

    /// A chunk that was lent waits again. If its segment had to go meanwhile, it is lost.
    pub(super) fn give_back(&mut self, chunk: &Chunk, place: Place) {
        match self.segments.front_mut().filter(|oldest| oldest.number == place.segment) {
            Some(oldest) => oldest.waiting[chunk.signal as usize] += u64::from(chunk.items),
            None => self.lose_queued(chunk.signal, Loss::BufferFull, u64::from(chunk.items)),
        }
    }

    fn counts(&self, signal: Signal) -> &crate::export::SignalCounters {
        self.counters.of(ExporterName::ApplicationInsights, signal)
    }

    fn lose(&self, signal: Signal, loss: Loss, items: u64) {
        self.counts(signal).lose(loss, items);
    }

    fn lose_queued(&self, signal: Signal, loss: Loss, items: u64) {
        self.counts(signal).queued.fetch_sub(items, Relaxed);
        self.lose(signal, loss, items);
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(name(number))
    }
}

fn name(number: u64) -> String {
    format!("{number:020}.{EXTENSION}")
}

/// Of the segments there are, ascending.
fn numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests;
