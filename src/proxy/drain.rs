//! The open connections of one serving thread: how far its shutdown has come, and until when each
//! of them may wait.
//!
//! Every connection looks at the phase whenever it is polled, which costs the read of a cell; a
//! change of phase wakes them all. Limits are kept as one cell a connection and looked through once a
//! second: a timer a request would cost more than all limits are worth.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often [`Drain::tick`] is called; a limit is kept to within it, and never cut short by it.
pub(super) const TICK: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// New exchanges are served, and their connections asked to go elsewhere next time.
    Draining,
    /// Connections end with the exchanges they have.
    Closing,
}

pub(super) struct Drain {
    phase: Cell<Phase>,
    open: RefCell<Connections>,
    all_closed: Notify,
    /// As of the last tick.
    now: Cell<Instant>,
}

#[derive(Default)]
struct Connections {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

/// One open connection, or room for one.
#[derive(Default)]
struct Slot {
    /// Of its task, once that was polled.
    waker: Option<Waker>,
    /// Until when it may wait for what it waits for.
    deadline: Option<Instant>,
}

impl Drain {
    pub(super) fn new() -> Self {
        let open = RefCell::default();
        let now = Cell::new(Instant::now());
        Self { phase: Cell::new(Phase::Serving), open, all_closed: Notify::new(), now }
    }

    /// Wakes the connections that have waited for too long.
    pub(super) fn tick(&self, now: Instant) {
        self.now.set(now);
        let open = self.open.borrow();
        let overdue = open.slots.iter().filter(|slot| slot.deadline.is_some_and(|at| at <= now));
        overdue.filter_map(|slot| slot.waker.as_ref()).for_each(Waker::wake_by_ref);
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Goes forward only.
    pub(super) fn enter(&self, phase: Phase) {
        if phase > self.phase.get() {
            self.phase.set(phase);
            let open = self.open.borrow();
            open.slots.iter().filter_map(|slot| slot.waker.as_ref()).for_each(Waker::wake_by_ref);
        }
    }

    pub(super) async fn all_closed(&self) {
        while !self.open.borrow().is_empty() {
            self.all_closed.notified().await;
        }
    }
}

impl Connections {
    fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }
}

/// Membership of one connection, ended by dropping it.
pub(super) struct Member {
    drain: Rc<Drain>,
    slot: usize,
}

impl Member {
    pub(super) fn new(drain: Rc<Drain>) -> Self {
        let mut open = drain.open.borrow_mut();
        let slot = open.free.pop().unwrap_or_else(|| {
            open.slots.push(Slot::default());
            open.slots.len() - 1
        });
        drop(open);
        Self { drain, slot }
    }

    pub(super) fn phase(&self) -> Phase {
        self.drain.phase()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.phase() == Phase::Closing
    }

    /// The task that awaits this is woken from then on when the phase changes or a limit has passed.
    pub(super) async fn wake_this_task(&self) {
        poll_fn(|cx| {
            let slot = &mut self.drain.open.borrow_mut().slots[self.slot];
            slot.waker = Some(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
    }

    /// From now on the connection waits for at least `limit`, and at most two ticks longer.
    pub(super) fn arm(&self, limit: Duration) {
        let deadline = self.drain.now.get().checked_add(limit + TICK);
        self.drain.open.borrow_mut().slots[self.slot].deadline = deadline;
    }

    pub(super) fn disarm(&self) {
        self.drain.open.borrow_mut().slots[self.slot].deadline = None;
    }

    pub(super) fn is_overdue(&self) -> bool {
        let deadline = self.drain.open.borrow().slots[self.slot].deadline;
        deadline.is_some_and(|at| at <= self.drain.now.get())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut open = self.drain.open.borrow_mut();
        open.slots[self.slot] = Slot::default();
        open.free.push(self.slot);
        if open.is_empty() {
            self.drain.all_closed.notify_one();
        }
    }
}
