//! What waits to be sent: in memory while the endpoint is well, on disk once it is not.
//!
//! Chunks come in from whoever makes them, who never waits for the network; the sender takes them out,
//! what is live first, then the oldest from disk. While all is well nothing touches the disk. Where the
//! disk fails, chunks stay in memory, up to a bound: the oldest beyond it are dropped and counted, and
//! the disk is tried again. Files are read and written on the runtime's threads for what blocks.

use super::chunk::Chunk;
use super::spool::{Place, Spool};
use crate::export::counters::{Counters, ExporterName, Loss, Signal, SignalCounters};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Of lines in memory, before they are compressed.
const MEMORY_BYTES: usize = 8 << 20;
/// A request that takes longer makes new chunks go to disk: a killed process loses no more than that.
const SLOW: Duration = Duration::from_secs(2);
/// Between two tries of a disk that failed.
const DISK_PAUSE: Duration = Duration::from_secs(5);

/// Where the buffer is, and how large it may be.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) directory: PathBuf,
    pub(super) limit_bytes: u64,
}

pub(super) struct Store {
    memory: Mutex<Memory>,
    disk: Arc<Disk>,
    counters: Arc<Counters>,
    /// Rung when there may be something to send.
    pub(super) bell: Notify,
    is_away: AtomicBool,
}

#[derive(Default)]
struct Memory {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// The live chunk that is being sent, and since when.
    sending: Option<(Chunk, Instant)>,
}

impl Memory {
    /// The chunk that is being sent waits again, before all others.
    fn unsend(&mut self) {
        if let Some((chunk, _)) = self.sending.take() {
            self.bytes += chunk.lines.len();
            self.chunks.push_front(chunk);
        }
    }
}

struct Disk {
    place: Room,
    counters: Arc<Counters>,
    spool: Mutex<Opened>,
    /// What the spool holds, to be read without waiting for it; `UNKNOWN` until it was opened.
    waiting: AtomicU64,
}

const UNKNOWN: u64 = u64::MAX;

enum Opened {
    Yes(Spool),
    /// Tried again from then on.
    No {
        retry_at: Instant,
    },
}

/// Which the sender wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    LiveFirst,
    LiveOnly,
    StoredFirst,
}

/// Something to send.
pub(super) enum Work {
    Live(Chunk),
    Stored(Chunk, Place),
}

impl Work {
    pub(super) fn chunk(&self) -> &Chunk {
        match self {
            Self::Live(chunk) | Self::Stored(chunk, _) => chunk,
        }
    }
}

impl Store {
    pub(super) fn new(place: Room, counters: Arc<Counters>) -> Self {
        if let Some(buffer) = counters.buffer() {
            buffer.limit_bytes.store(place.limit_bytes, Relaxed);
        }
        let disk = Disk {
            place,
            counters: Arc::clone(&counters),
            spool: Mutex::new(Opened::No { retry_at: Instant::now() }),
            waiting: AtomicU64::new(UNKNOWN),
        };
        Self {
            memory: Mutex::default(),
            disk: Arc::new(disk),
            counters,
            bell: Notify::new(),
            is_away: AtomicBool::new(false),
        }
    }

    /// Looks for what an earlier process left.
    pub(super) async fn open(&self) {
        let _ = self.on_disk(|_| Ok(())).await;
    }

    /// Takes a chunk in. Counts its items as queued.
    pub(super) async fn put(&self, chunk: Chunk) {
        self.counts(&chunk).queued.fetch_add(u64::from(chunk.items), Relaxed);
        self.keep(chunk).await;
    }

    /// Keeps a chunk whose items are queued already.
    pub(super) async fn keep(&self, chunk: Chunk) {
        let to_disk = {
            let mut memory = self.memory();
            memory.bytes += chunk.lines.len();
            memory.chunks.push_back(chunk);
            let is_slow = memory.sending.as_ref().is_some_and(|(_, at)| at.elapsed() > SLOW);
            is_slow || self.is_away.load(Relaxed) || memory.bytes > MEMORY_BYTES
        };
        if to_disk {
            self.spill().await;
        }
        self.bell.notify_one();
    }

    /// Keeps what is to be sent again, but not at once: on disk, if that can be.
    pub(super) async fn defer(&self, chunk: Chunk) {
        {
            let mut memory = self.memory();
            memory.bytes += chunk.lines.len();
            memory.chunks.push_back(chunk);
        }
        self.spill().await;
    }

    /// The endpoint took nothing, or takes telemetry again.
    pub(super) async fn set_away(&self, is_away: bool) {
        if self.is_away.swap(is_away, Relaxed) != is_away && is_away {
            self.spill().await;
        }
    }

    /// Whether something waits on disk, as far as the disk could be read yet.
    pub(super) fn has_stored(&self) -> bool {
        !matches!(self.disk.waiting.load(Relaxed), 0 | UNKNOWN)
    }

    /// How long nothing new means that there is nothing to do: what an earlier process left may only be
    /// found once the disk can be read.
    pub(super) fn patience(&self) -> Duration {
        let is_known = self.disk.waiting.load(Relaxed) != UNKNOWN;
        if is_known { Duration::from_secs(3600) } else { DISK_PAUSE }
    }

    pub(super) async fn next(&self, turn: Turn) -> Option<Work> {
        if turn == Turn::StoredFirst
            && let Some(work) = self.lend().await
        {
            return Some(work);
        }
        if let Some(chunk) = self.take_live() {
            return Some(Work::Live(chunk));
        }
        if turn == Turn::LiveOnly { None } else { self.lend().await }
    }

    fn take_live(&self) -> Option<Chunk> {
        let mut memory = self.memory();
        let chunk = memory.chunks.pop_front()?;
        memory.bytes -= chunk.lines.len();
        memory.sending = Some((chunk.clone(), Instant::now()));
        Some(chunk)
    }

    async fn lend(&self) -> Option<Work> {
        if self.disk.waiting.load(Relaxed) == 0 {
            return None;
        }
        let now = SystemTime::now();
        let lent = self.on_disk(move |spool| spool.lend(now)).await;
        lent.ok().flatten().map(|(chunk, place)| Work::Stored(chunk, place))
    }

    /// Done with, whatever became of it.
    pub(super) async fn settle(&self, work: Work) {
        match work {
            Work::Live(_) => self.memory().sending = None,
            Work::Stored(_, place) => {
                let _ = self.on_disk(move |spool| spool.settle(place)).await;
            }
        }
    }

    /// Not sent: it waits on, a live chunk on disk from now on.
    pub(super) async fn give_back(&self, work: Work) {
        match work {
            Work::Live(_) => self.memory().unsend(),
            Work::Stored(chunk, place) => {
                let given = self.on_disk(move |spool| {
                    spool.give_back(&chunk, place);
                    Ok(())
                });
                let _ = given.await;
            }
        }
        self.spill().await;
    }

    /// Moves everything in memory to disk, the oldest first; what cannot be stays, up to the bound.
    async fn spill(&self) {
        let chunks: Vec<Chunk> = {
            let mut memory = self.memory();
            memory.bytes = 0;
            memory.chunks.drain(..).collect()
        };
        if chunks.is_empty() {
            return;
        }
        let disk = Arc::clone(&self.disk);
        let written = tokio::task::spawn_blocking(move || disk.append_all(chunks)).await;
        if let Ok(left) = written {
            self.hold(left);
        }
    }

    /// Back in memory, before what came meanwhile.
    fn hold(&self, left: Vec<Chunk>) {
        let mut memory = self.memory();
        for chunk in left.into_iter().rev() {
            memory.bytes += chunk.lines.len();
            memory.chunks.push_front(chunk);
        }
        while memory.bytes > MEMORY_BYTES {
            let Some(oldest) = memory.chunks.pop_front() else { break };
            memory.bytes -= oldest.lines.len();
            let (counts, items) = (self.counts(&oldest), u64::from(oldest.items));
            counts.queued.fetch_sub(items, Relaxed);
            counts.lose(Loss::BufferFull, items);
        }
    }

    /// The end: what is in memory, or on its way, goes to disk for the next process. All that is not
    /// there then is lost. Gives how many items that were.
    pub(super) async fn close(&self) -> u64 {
        self.memory().unsend();
        self.spill().await;
        let on_disk = self.on_disk(|spool| Ok(spool.waiting_by_signal())).await;
        let on_disk = on_disk.unwrap_or_default();
        self.memory().chunks.clear();
        let lost = Signal::ALL.map(|signal| {
            let counts = self.counters.of(ExporterName::ApplicationInsights, signal);
            let waiting = on_disk[signal as usize];
            let lost = counts.queued.swap(waiting, Relaxed).saturating_sub(waiting);
            counts.lose(Loss::Shutdown, lost);
            lost
        });
        lost.iter().sum()
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Spool) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let disk = Arc::clone(&self.disk);
        let acted = tokio::task::spawn_blocking(move || disk.act(act)).await;
        acted.unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
    }

    fn counts(&self, chunk: &Chunk) -> &SignalCounters {
        self.counters.of(ExporterName::ApplicationInsights, chunk.signal)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Gives back what could not be written, in order.
    fn append_all(&self, chunks: Vec<Chunk>) -> Vec<Chunk> {
        let mut left = chunks.into_iter();
        let written = self.act(|spool| {
            while let Some(chunk) = left.as_slice().first() {
                spool.append(chunk)?;
                left.next();
            }
            Ok(())
        });
        // Logged, and shown by the buffer's state.
        let _ = written;
        left.collect()
    }

    /// Opens the spool if it is not, acts on it, and shows how it is now.
    fn act<T>(&self, act: impl FnOnce(&mut Spool) -> io::Result<T>) -> io::Result<T> {
        let mut opened = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Opened::No { retry_at } = &*opened {
            if Instant::now() < *retry_at {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            let place = &self.place;
            let counters = Arc::clone(&self.counters);
            match Spool::open(&place.directory, place.limit_bytes, counters) {
                Ok(spool) => *opened = Opened::Yes(spool),
                Err(error) => {
                    *opened = Opened::No { retry_at: Instant::now() + DISK_PAUSE };
                    return Err(self.failed(error));
                }
            }
        }
        let Opened::Yes(spool) = &mut *opened else { return Err(io::ErrorKind::Other.into()) };
        let acted = act(spool);
        let (bytes, waiting) = (spool.bytes(), spool.waiting());
        self.waiting.store(waiting, Relaxed);
        if let Some(buffer) = self.counters.buffer() {
            buffer.bytes.store(bytes, Relaxed);
            buffer.items.store(waiting, Relaxed);
        }
        match acted {
            Ok(done) => {
                self.works();
                Ok(done)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn works(&self) {
        let Some(buffer) = self.counters.buffer() else { return };
        if buffer.is_failing.swap(false, Relaxed) {
            tracing::info!("the buffer for Application Insights can be written again");
        }
    }

    fn failed(&self, error: io::Error) -> io::Error {
        let Some(buffer) = self.counters.buffer() else { return error };
        let directory = self.place.directory.display();
        if !buffer.is_failing.swap(true, Relaxed) {
            tracing::warn!(
                %directory,
                %error,
                "the buffer for Application Insights cannot be used; telemetry waits in memory"
            );
        }
        error
    }
}

#[cfg(test)]
mod tests;
