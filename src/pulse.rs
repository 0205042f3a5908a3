//! Whether the threads of this process still do their rounds: what a liveness probe may ask.
//!
//! In: a beat from each thread, about once a second. Out: which of them have been silent for longer
//! than a thread at work ever is, or have ended unasked. The promise: a beat is a store to memory of
//! the thread's own; nobody else's trouble, the model's for one, shows here.

use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A thread's own side. A panic that takes it along counts as a failure, any other end as wished.
#[derive(Debug)]
pub struct Pulse(Arc<Beat>);

#[derive(Debug)]
struct Beat {
    epoch: Instant,
    /// Milliseconds from `epoch` to the last beat.
    last_ms: AtomicU64,
    phase: AtomicU8,
}

const BEATING: u8 = 0;
const ENDED: u8 = 1;
const FAILED: u8 = 2;

impl Pulse {
    pub fn beat(&self) {
        self.beat_at(Instant::now());
    }

    fn beat_at(&self, now: Instant) {
        let since = now.saturating_duration_since(self.0.epoch);
        self.0.last_ms.store(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The thread ends, and should not.
    pub fn fail(self) {
        self.0.phase.store(FAILED, Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let phase = if std::thread::panicking() { FAILED } else { ENDED };
        let _ = self.0.phase.compare_exchange(BEATING, phase, Relaxed, Relaxed);
    }
}

/// The other side of all pulses.
#[derive(Debug, Default)]
pub struct Pulses(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    thread: String,
    patience: Duration,
    beat: Arc<Beat>,
}

/// A thread that does not do its rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stalled {
    pub thread: String,
    #[serde(flatten)]
    pub fault: Fault,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Fault {
    Silent { seconds: u64, patience_seconds: u64 },
    Ended,
}

impl Pulses {
    /// A thread that begins now and is stalled once `patience` has passed without a beat.
    pub fn add(&mut self, thread: impl Into<String>, patience: Duration) -> Pulse {
        let (epoch, last_ms, phase) = (Instant::now(), AtomicU64::new(0), AtomicU8::new(BEATING));
        let beat = Arc::new(Beat { epoch, last_ms, phase });
        self.0.push(Watched { thread: thread.into(), patience, beat: Arc::clone(&beat) });
        Pulse(beat)
    }

    /// Those that are in trouble; none is as it should be.
    pub fn stalled(&self) -> Vec<Stalled> {
        self.stalled_at(Instant::now())
    }

    fn stalled_at(&self, now: Instant) -> Vec<Stalled> {
        let stalled = |watched: &Watched| {
            let fault = watched.fault(now)?;
            Some(Stalled { thread: watched.thread.clone(), fault })
        };
        self.0.iter().filter_map(stalled).collect()
    }
}

impl Watched {
    fn fault(&self, now: Instant) -> Option<Fault> {
        match self.beat.phase.load(Relaxed) {
            ENDED => return None,
            FAILED => return Some(Fault::Ended),
            _ => {}
        }
        let last = self.beat.epoch + Duration::from_millis(self.beat.last_ms.load(Relaxed));
        let silent = now.saturating_duration_since(last);
        (silent > self.patience).then_some(Fault::Silent {
            seconds: silent.as_secs(),
            patience_seconds: self.patience.as_secs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    const NEARLY: Duration = Duration::from_secs(29);

    #[test]
    fn a_thread_is_stalled_once_its_patience_has_passed_and_well_after_its_next_beat() {
        let mut pulses = Pulses::default();
        let (one, _other) = (pulses.add("serving-0", PATIENCE), pulses.add("slow", 4 * PATIENCE));
        let start = Instant::now();
        assert_eq!(pulses.stalled_at(start + NEARLY), []);
        let late = start + PATIENCE + Duration::from_secs(5);
        let fault = Fault::Silent { seconds: 35, patience_seconds: 30 };
        assert_eq!(pulses.stalled_at(late), [Stalled { thread: "serving-0".into(), fault }]);
        one.beat_at(late);
        assert_eq!(pulses.stalled_at(late + NEARLY), []);
    }

    #[test]
    fn an_end_is_a_fault_only_if_nobody_asked_for_it() {
        let mut pulses = Pulses::default();
        let (ended, failed, panicked) =
            (pulses.add("a", PATIENCE), pulses.add("b", PATIENCE), pulses.add("c", PATIENCE));
        drop(ended);
        failed.fail();
        let panic = move || {
            let _pulse = panicked;
            std::panic::resume_unwind(Box::new("on purpose"));
        };
        assert!(std::thread::spawn(panic).join().is_err());
        let stalled: Vec<_> = pulses.stalled().into_iter().map(|s| (s.thread, s.fault)).collect();
        assert_eq!(stalled, [("b".into(), Fault::Ended), ("c".into(), Fault::Ended)]);
    }
}
