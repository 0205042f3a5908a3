//! Idle HTTP/1 connections of one serving thread, last used first.

use crate::config;
use crate::proxy::h1::Idle;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

pub(in crate::proxy) struct Pool {
    idle: RefCell<Vec<Rested>>,
    limits: Cell<Limits>,
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

impl Limits {
    pub(super) fn of(config: &config::Upstream) -> Self {
        Self {
            connections: config.max_idle_connections,
            idle: config.idle_timeout,
            age: config.max_connection_age,
        }
    }
}

struct Rested {
    connection: Idle,
    since: Instant,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Self {
        let limits = Cell::new(limits);
        Self { idle: RefCell::default(), limits, now: Cell::new(Instant::now()) }
    }

    /// For what is put back, and for what rests here already when it is next looked at.
    pub(super) fn limit_to(&self, limits: Limits) {
        self.limits.set(limits);
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
        if idle.len() < self.limits.get().connections && !self.is_old(&connection) {
            idle.push(Rested { connection, since: self.now.get() });
        }
    }

    /// Lets go of what is too old, was idle for too long, or was closed by the upstream.
    pub(super) fn tick(&self, now: Instant) {
        self.now.set(now);
        let limits = self.limits.get();
        let mut idle = self.idle.borrow_mut();
        idle.truncate(limits.connections);
        idle.retain(|Rested { connection, since }| {
            now.saturating_duration_since(*since) < limits.idle
                && !self.is_old(connection)
                && !connection.is_stale()
        });
    }

    pub(super) fn now(&self) -> Instant {
        self.now.get()
    }

    fn is_old(&self, connection: &Idle) -> bool {
        let age = self.now.get().saturating_duration_since(connection.opened);
        self.limits.get().age.is_some_and(|limit| age >= limit)
    }
}
