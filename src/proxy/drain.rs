//! How far the shutdown of one serving thread has come, and which connections are still open.
//!
//! Every connection looks at the phase whenever it is polled, which costs the read of a cell; a
//! change of phase wakes them all.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use tokio::sync::Notify;

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
}

#[derive(Default)]
struct Connections {
    /// The waker of each open connection's task, once it was polled.
    slots: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Drain {
    pub(super) fn new() -> Self {
        let open = RefCell::default();
        Self { phase: Cell::new(Phase::Serving), open, all_closed: Notify::new() }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Goes forward only.
    pub(super) fn enter(&self, phase: Phase) {
        if phase > self.phase.get() {
            self.phase.set(phase);
            self.open.borrow().slots.iter().flatten().for_each(Waker::wake_by_ref);
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
            open.slots.push(None);
            open.slots.len() - 1
        });
        drop(open);
        Self { drain, slot }
    }

    pub(super) fn phase(&self) -> Phase {
        self.drain.phase()
    }

    /// `waker` is woken when the phase changes.
    pub(super) fn wake_by(&self, waker: &Waker) {
        let slot = &mut self.drain.open.borrow_mut().slots[self.slot];
        match slot {
            Some(known) => known.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut open = self.drain.open.borrow_mut();
        open.slots[self.slot] = None;
        open.free.push(self.slot);
        if open.is_empty() {
            self.drain.all_closed.notify_one();
        }
    }
}
