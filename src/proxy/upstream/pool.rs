//! Idle HTTP/1 connections of one serving thread, last used first.

use crate::proxy::h1::Idle;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

pub(in crate::proxy) struct Pool {
    idle: RefCell<Vec<Rested>>,
    limits: Limits,
    /// Told about once a second: close enough for these limits, and cheaper than asking.
    now: Cell<Instant>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) idle: Duration,
    /// Since it was made; so a name's new addresses are found. `None` keeps one for good.
    pub(super) age: Option<Duration>,
}

struct Rested {
    connection: Idle,
    since: Instant,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Self {
        Self { idle: RefCell::default(), limits, now: Cell::new(Instant::now()) }
    }

    /// The connection used last, which is the least likely to have been closed.
    pub(super) fn take(&self) -> Option<Idle> {
        let idle = &mut *self.idle.borrow_mut();
        std::iter::from_fn(|| idle.pop())
            .map(|rested| rested.connection)
            .find(|connection| !connection.is_stale())
    }

    pub(in crate::proxy) fn put(&self, connection: Idle) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.limits.connections && !self.is_old(&connection) {
            idle.push(Rested { connection, since: self.now.get() });
        }
    }

    /// Lets go of what is too old, was idle for too long, or was closed by the upstream.
    pub(super) fn tick(&self, now: Instant) {
        self.now.set(now);
        self.idle.borrow_mut().retain(|Rested { connection, since }| {
            now.saturating_duration_since(*since) < self.limits.idle
                && !self.is_old(connection)
                && !connection.is_stale()
        });
    }

    pub(super) fn now(&self) -> Instant {
        self.now.get()
    }

    fn is_old(&self, connection: &Idle) -> bool {
        let age = self.now.get().saturating_duration_since(connection.opened);
        self.limits.age.is_some_and(|limit| age >= limit)
    }
}
