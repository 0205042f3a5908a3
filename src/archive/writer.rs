//! The archive's own thread and the bounded queue to it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::log::Log;
use super::{ArchiveError, Entry, Record};

#[derive(Debug, Clone)]
pub struct Settings {
    pub directory: PathBuf,
    /// Of all files together, the one being written included.
    pub max_bytes: u64,
    /// A file is closed, and so readable, at this size or age, whichever comes first.
    pub rotate_bytes: u64,
    pub rotate_interval: Duration,
    /// Part of each file's name; tells apart the sidecars that share a directory.
    pub instance: String,
    /// Entries waiting for the thread, at most, and the bytes they may hold.
    pub queue_items: usize,
    pub queue_bytes: usize,
    /// Payload that is gathered in memory before it is written.
    pub row_group_bytes: usize,
}

impl Settings {
    /// 1 GiB of files of up to 64 MiB or one minute.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            max_bytes: 1 << 30,
            rotate_bytes: 64 << 20,
            rotate_interval: Duration::from_secs(60),
            instance: "local".into(),
            queue_items: 4096,
            queue_bytes: 32 << 20,
            row_group_bytes: 8 << 20,
        }
    }

    /// The same within other bounds.
    pub(super) fn bounded_by(self, bounds: Bounds) -> Self {
        let Bounds { max_bytes, rotate_bytes, rotate_interval } = bounds;
        Self { max_bytes, rotate_bytes, rotate_interval, ..self }
    }

    /// Files small enough that deleting whole ones can keep the bound.
    pub(super) fn within_bounds(mut self) -> Self {
        self.rotate_bytes = self.rotate_bytes.min(self.max_bytes / 4);
        let group = self.rotate_bytes.min(self.row_group_bytes as u64);
        self.row_group_bytes = usize::try_from(group).unwrap_or(self.row_group_bytes);
        self
    }
}

/// How much is kept, and how it is cut into files: what may change while files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub max_bytes: u64,
    pub rotate_bytes: u64,
    pub rotate_interval: Duration,
}

/// Counts since the start, and what the directory holds now.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct State {
    /// In whole files.
    pub exchanges: u64,
    /// Accepted, and not yet in a whole file.
    pub open_exchanges: u64,
    /// Not written: the disk failed, or the writer was behind.
    pub lost_exchanges: u64,
    /// Of the whole files in the directory.
    pub bytes: u64,
    pub files: u64,
    /// Removed to stay under `archive.max_bytes`.
    pub expired_files: u64,
    /// Left unfinished by killed processes, found and removed at the start.
    pub abandoned_files: u64,
    /// The last failure of the disk, until a write succeeds.
    pub last_error: Option<String>,
}

/// Shared by whoever offers and the thread that writes.
#[derive(Debug, Default)]
pub(super) struct Counters {
    offered: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
    expired: AtomicU64,
    abandoned: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    queued_bytes: AtomicUsize,
    last_error: Mutex<Option<String>>,
}

impl Counters {
    pub(super) fn written(&self, exchanges: u64) {
        self.written.fetch_add(exchanges, Relaxed);
    }

    pub(super) fn lost(&self, exchanges: u64) {
        self.lost.fetch_add(exchanges, Relaxed);
    }

    pub(super) fn expired(&self, files: u64) {
        self.expired.fetch_add(files, Relaxed);
    }

    pub(super) fn abandoned(&self, files: u64) {
        self.abandoned.fetch_add(files, Relaxed);
    }

    pub(super) fn holds(&self, files: u64, bytes: u64) {
        self.files.store(files, Relaxed);
        self.bytes.store(bytes, Relaxed);
    }

    pub(super) fn failed(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(super) fn recovered(&self) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn state(&self) -> State {
        let (written, lost) = (self.written.load(Relaxed), self.lost.load(Relaxed));
        State {
            exchanges: written,
            open_exchanges: self.offered.load(Relaxed).saturating_sub(written + lost),
            lost_exchanges: lost,
            bytes: self.bytes.load(Relaxed),
            files: self.files.load(Relaxed),
            expired_files: self.expired.load(Relaxed),
            abandoned_files: self.abandoned.load(Relaxed),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

enum Message {
    Entry(Arc<Entry>),
    /// There are new bounds.
    Bounded,
    Close,
}

/// Hands entries to the archive's thread. Dropping it closes the archive.
pub struct Writer {
    sender: SyncSender<Message>,
    queue_bytes: usize,
    counters: Arc<Counters>,
    /// That the thread has not taken over yet.
    bounds: Arc<Mutex<Option<Bounds>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. A directory that cannot be written is no error here: it is in
    /// [`Self::state`], and is tried again.
    pub fn open(settings: Settings) -> Result<Self, ArchiveError> {
        let counters = Arc::new(Counters::default());
        let queue_bytes = settings.queue_bytes;
        let (sender, receiver) = sync_channel(settings.queue_items.max(1));
        let (shared, bounds) = (Arc::clone(&counters), Arc::new(Mutex::new(None)));
        let new_bounds = Arc::clone(&bounds);
        let thread = std::thread::Builder::new()
            .name("archive".into())
            .spawn(move || run(settings, &receiver, &shared, &new_bounds))
            .map_err(ArchiveError::Thread)?;
        Ok(Self { sender, queue_bytes, counters, bounds, thread: Mutex::new(Some(thread)) })
    }

    /// Files go on within other bounds; the oldest go at once if there is too much. Never waits.
    pub fn keep_within(&self, bounds: Bounds) {
        *self.bounds.lock().unwrap_or_else(PoisonError::into_inner) = Some(bounds);
        // Where the queue is full the thread is awake, and looks before it takes the next entry.
        let _ = self.sender.try_send(Message::Bounded);
    }

    /// Hands an entry over, or counts it as lost. Never waits.
    pub fn offer(&self, entry: Arc<Entry>) {
        self.counters.offered.fetch_add(1, Relaxed);
        let bytes = entry.held_bytes();
        let queued = self.counters.queued_bytes.fetch_add(bytes, Relaxed) + bytes;
        let refused = queued > self.queue_bytes || self.try_send(entry).is_err();
        if refused {
            self.counters.queued_bytes.fetch_sub(bytes, Relaxed);
            self.counters.lost(1);
        }
    }

    fn try_send(&self, entry: Arc<Entry>) -> Result<(), TrySendError<Message>> {
        self.sender.try_send(Message::Entry(entry))
    }

    pub fn state(&self) -> State {
        self.counters.state()
    }

    /// Writes what was accepted, closes the file, and ends the thread. Waits for the disk. What is
    /// offered afterwards is counted as lost.
    pub fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        // Neither fails but for a thread that has panicked, and then there is nothing to close.
        let _ = self.sender.send(Message::Close);
        if thread.join().is_err() {
            self.counters.failed("the archive's thread panicked".into());
        }
        // What was offered while the thread ended was neither refused nor written.
        self.counters.lost(self.counters.state().open_exchanges);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(
    settings: Settings,
    receiver: &Receiver<Message>,
    counters: &Arc<Counters>,
    new_bounds: &Mutex<Option<Bounds>>,
) {
    /// A thread with nothing to write sleeps until an entry comes.
    const IDLE: Duration = Duration::from_secs(3600);
    // On Linux this is the thread's own; serving goes first where cores are short.
    let _ = rustix::process::nice(10);
    let mut log = Log::open(settings, Arc::clone(counters), Instant::now());
    loop {
        let bounds = new_bounds.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(bounds) = bounds {
            log.keep_within(bounds, Instant::now());
        }
        let wait = log
            .deadline()
            .map_or(IDLE, |deadline| deadline.saturating_duration_since(Instant::now()));
        match receiver.recv_timeout(wait) {
            Ok(Message::Entry(entry)) => {
                counters.queued_bytes.fetch_sub(entry.held_bytes(), Relaxed);
                log.push(Record::from(&*entry), Instant::now());
            }
            Ok(Message::Bounded) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => break,
        }
        log.tick(Instant::now());
    }
    for message in receiver.try_iter() {
        if let Message::Entry(entry) = message {
            log.push(Record::from(&*entry), Instant::now());
        }
    }
    log.close(Instant::now());
}

#[cfg(test)]
mod tests;
