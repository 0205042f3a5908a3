//! The thread that saves what analysis knows, so that a process to come goes on with it.
//!
//! It looks once a second: windows that closed are saved at once, all else every ten seconds, and
//! rarer where the disk is slow. The watch is held while sketches are copied, never while the disk is
//! waited for. A disk that fails costs what was not saved; it is counted, told once, and tried again.

use super::spawn;
use super::{StartError, control::chain};
use crate::drift::Reference;
use crate::pipeline::{Hub, Mark, StateReport, Store, StoreError, Watch};
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// Saving takes no more than one part of so many of the time.
const REST: u32 = 20;
/// How long the last save may hold up the end.
const GRACE: Duration = Duration::from_secs(5);

/// The state of the process before, and where this one's goes.
pub(super) struct Saver {
    store: Store,
    report: StateReport,
}

/// Dropped when the thread ends, by whatever.
type Ending = SyncSender<()>;

/// A saver at work.
pub(super) struct Saving {
    stop: SyncSender<Ending>,
    thread: JoinHandle<()>,
}

impl Saver {
    /// Goes on where the process before was, if it left anything that fits; `watch` is new.
    pub(super) fn resume(directory: PathBuf, watch: &mut Watch, reference: Reference) -> Self {
        let mut saver = Self { store: Store::new(directory), report: StateReport::default() };
        match saver.store.read() {
            Ok(None) => {}
            Ok(Some(stored)) => {
                let lots = (&*stored.open, stored.closed.as_deref());
                let now = Timestamp::now();
                match watch.restore(lots, reference, stored.touched, now) {
                    Ok(resumed) => {
                        let unwatched_seconds = resumed.unwatched.as_secs_f64();
                        let (saved_at, reports) = (resumed.saved_at, resumed.reports);
                        tracing::info!(%saved_at, unwatched_seconds, reports, "goes on with saved windows");
                        saver.report.resumed_from = Some(saved_at);
                        saver.report.unwatched_seconds = unwatched_seconds;
                    }
                    Err(refused) => saver.set_aside(&chain(&refused)),
                }
            }
            Err(error @ (StoreError::Damaged(_) | StoreError::Version { .. })) => {
                saver.set_aside(&chain(&error));
            }
            Err(error) => saver.failed(&error),
        }
        saver
    }

    fn set_aside(&mut self, why: &str) {
        tracing::warn!(why, "saved windows are set aside; all windows begin anew");
        self.report.rejected += 1;
        self.store.set_aside();
    }

    pub(super) fn start(self, hub: Arc<Hub>) -> Result<Saving, StartError> {
        let (stop, stopped) = sync_channel(1);
        let thread = spawn("state", move || self.run(&hub, &stopped))?;
        Ok(Saving { stop, thread })
    }

    fn run(mut self, hub: &Hub, stopped: &Receiver<Ending>) {
        hub.tell_of_state(self.report.clone());
        let mut known: Option<Mark> = None;
        let (mut next, mut rest_until) = (Instant::now(), Instant::now());
        loop {
            let told = stopped.recv_timeout(LOOK_EVERY);
            let is_over = !matches!(told, Err(RecvTimeoutError::Timeout));
            let now = Instant::now();
            let has_closed = || known.is_some_and(|mark| mark.is_before(hub.watch().closings()));
            if is_over || now >= next || (now >= rest_until && has_closed()) {
                let rest =
                    if self.save(hub, &mut known) { now.elapsed() * REST } else { SAVE_EVERY };
                rest_until = Instant::now() + rest;
                next = rest_until.max(now + SAVE_EVERY);
                hub.tell_of_state(self.report.clone());
            }
            if is_over {
                return;
            }
        }
    }

    fn save(&mut self, hub: &Hub, known: &mut Option<Mark>) -> bool {
        let at = Timestamp::now();
        let written = match hub.save(at, known.as_ref()) {
            Some(saved) => self.store.write(&saved).map(|bytes| {
                self.report.bytes = bytes;
                *known = Some(saved.mark);
            }),
            None => self.store.touch(at),
        };
        match &written {
            Ok(()) => {
                if self.report.last_error.take().is_some() {
                    tracing::info!("windows are saved again");
                }
                self.report.saves += 1;
                self.report.saved_at = Some(at);
            }
            Err(error) => self.failed(error),
        }
        written.is_ok()
    }

    fn failed(&mut self, error: &StoreError) {
        let told = chain(error);
        if self.report.last_error.is_none() {
            tracing::warn!(error = told, "windows cannot be saved; a restart would lose them");
        }
        self.report.failures += 1;
        self.report.last_error = Some(told);
    }
}

impl Saving {
    /// Saves once more, for when no exchange will come any more. A disk that hangs is not waited for.
    /// True if the thread had not panicked.
    pub(super) fn end(self) -> bool {
        let (ending, ended) = sync_channel(0);
        // A thread that has ended takes nothing, and so drops it at once.
        let _ = self.stop.try_send(ending);
        if ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the disk hangs: what came since the last save is lost");
            return true;
        }
        self.thread.join().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saving(run: impl FnOnce(Receiver<Ending>) + Send + 'static) -> Saving {
        let (stop, stopped) = sync_channel(1);
        Saving { stop, thread: std::thread::spawn(move || run(stopped)) }
    }

    #[test]
    fn an_end_waits_for_the_last_save_and_tells_of_a_panic() {
        let (saved, was_saved) = sync_channel(1);
        let works = saving(move |stopped| {
            let _ending = stopped.recv();
            saved.send(()).unwrap();
        });
        assert!(works.end());
        assert_eq!(was_saved.try_recv(), Ok(()));
        assert!(!saving(|stopped| panic!("told: {}", stopped.recv().is_ok())).end());
        let died = saving(|_| panic!("before it was told"));
        while !died.thread.is_finished() {
            std::thread::yield_now();
        }
        assert!(!died.end());
    }
}
