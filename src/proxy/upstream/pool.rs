//! Idle HTTP/1 connections of one serving thread, last used first.

use crate::proxy::body::RequestBody;
use hyper::client::conn::http1::SendRequest;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub(super) struct Pool {
    idle: RefCell<Vec<Idle>>,
    max_idle: usize,
    idle_timeout: Duration,
    /// Told about once a second: close enough for idle times, and cheaper than asking.
    now: Cell<Instant>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(max_idle: usize, idle_timeout: Duration) -> Self {
        let now = Cell::new(Instant::now());
        Self { idle: RefCell::default(), max_idle, idle_timeout, now }
    }

    /// The connection used last, which is the least likely to have been closed.
    pub(super) fn take(&self) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(last) = idle.pop() {
            if !last.sender.is_closed() {
                return Some(last.sender);
            }
        }
        None
    }

    pub(super) fn tick(&self, now: Instant) {
        self.now.set(now);
        let is_fresh = |idle: &Idle| {
            !idle.sender.is_closed()
                && now.saturating_duration_since(idle.since) < self.idle_timeout
        };
        self.idle.borrow_mut().retain(is_fresh);
    }

    fn put(&self, sender: SendRequest<RequestBody>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.max_idle && !sender.is_closed() {
            idle.push(Idle { sender, since: self.now.get() });
        }
    }
}

/// A connection in use. Dropping it instead of giving it back closes the connection.
pub(in crate::proxy) struct Lease {
    pool: Rc<Pool>,
    sender: SendRequest<RequestBody>,
}

impl Lease {
    pub(super) fn new(pool: Rc<Pool>, sender: SendRequest<RequestBody>) -> Self {
        Self { pool, sender }
    }

    /// The response was read to its end: another exchange may have the connection.
    pub(in crate::proxy) fn give_back(self) {
        self.pool.put(self.sender);
    }
}
