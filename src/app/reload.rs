//! The thread that takes over changed configurations, one after the other: asked by SIGHUP or by
//! `POST /api/v1/reload`, or by itself when a file has changed.
//!
//! A thread of its own, since reading waits for the disk and a baseline may take a while to read:
//! nobody else waits for that but who asked.

use super::live::Live;
use super::watcher::Watcher;
use crate::config::{Cause, Outcome};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Reloads that are asked for and not begun; who asks for more is told so.
const MOST_WAITING: usize = 16;
const LOOK_EVERY: Duration = Duration::from_secs(1);

enum Message {
    Reload { cause: Cause, answer: oneshot::Sender<Outcome> },
    Stop,
}

/// The end for those who ask; cheap to clone.
#[derive(Clone)]
pub(super) struct Reloads {
    asking: SyncSender<Message>,
    is_over: Arc<AtomicBool>,
}

/// The end that reloads.
pub(super) struct Asked {
    asked: Receiver<Message>,
    is_over: Arc<AtomicBool>,
}

impl Reloads {
    pub(super) fn new() -> (Self, Asked) {
        let (asking, asked) = sync_channel(MOST_WAITING);
        let is_over = Arc::new(AtomicBool::new(false));
        (Self { asking, is_over: Arc::clone(&is_over) }, Asked { asked, is_over })
    }

    /// Never waits. The answer does not come if the process ends before.
    pub(super) fn ask(&self, cause: Cause) -> Option<oneshot::Receiver<Outcome>> {
        if self.is_over.load(Acquire) {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.asking.try_send(Message::Reload { cause, answer }).ok()?;
        Some(answered)
    }

    /// A reload under way comes to its end, those that wait do not begin.
    pub(super) fn stop(&self) {
        self.is_over.store(true, Release);
        // Where there is no room the thread is awake, and will see the above.
        let _ = self.asking.try_send(Message::Stop);
    }
}

impl Asked {
    /// Until it is told to stop.
    pub(super) fn serve(self, live: &Live) {
        let mut watcher = Watcher::new(&live.config.load().watched_files());
        if !live.config.load().is_current() {
            // Something was written between the start's reading and this.
            watcher.doubt();
        }
        let mut next_look = Instant::now() + LOOK_EVERY;
        while !self.is_over.load(Acquire) {
            match self.asked.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
                Ok(Message::Reload { .. }) if self.is_over.load(Acquire) => return,
                Ok(Message::Reload { cause, answer }) => {
                    if let Some(outcome) = reload(live, &mut watcher, cause) {
                        // Who asked may be gone: what came of it was told to others too.
                        let _ = answer.send(outcome);
                    }
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= next_look {
                next_look = Instant::now() + LOOK_EVERY;
                if live.config.load().reload.watch && watcher.has_settled_news() {
                    let _ = reload(live, &mut watcher, Cause::File);
                }
            }
        }
    }
}

fn reload(live: &Live, watcher: &mut Watcher, cause: Cause) -> Option<Outcome> {
    // Before anything is read: what is written in between is news for the next look.
    watcher.take_note(&live.config.load().watched_files());
    let outcome = live.reload(cause);
    if let Some(Outcome::Reloaded(_)) = outcome {
        watcher.keep_only(&live.config.load().watched_files());
    }
    outcome
}
