//! The last exchanges, for the page and `/api/v1/exchanges`.
//!
//! In: shared entries, from analysis. Out: the newest, or one by its id. The promise: bounded by count
//! and by bytes; the oldest go first, and one that alone is over the bound is not kept.

use crate::archive::Entry;
use crate::capture::Exchange;
use crate::decode::Rows;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An exchange that analysis has seen, and what it was decoded into.
pub trait Recorded: Send + Sync {
    fn exchange(&self) -> &Exchange;
    fn route(&self) -> &str;
    /// `None` if no dialect was recognized.
    fn dialect(&self) -> Option<&str>;
    fn inputs(&self) -> &Rows;
    fn outputs(&self) -> &Rows;
}

impl Recorded for Entry {
    fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    fn route(&self) -> &str {
        &self.route
    }

    fn dialect(&self) -> Option<&str> {
        self.dialect
    }

    fn inputs(&self) -> &Rows {
        &self.inputs
    }

    fn outputs(&self) -> &Rows {
        &self.outputs
    }
}

pub struct Recent {
    max_items: NonZeroUsize,
    max_bytes: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    entries: VecDeque<Arc<dyn Recorded>>,
    bytes: usize,
}

impl Recent {
    pub fn new(max_items: NonZeroUsize, max_bytes: usize) -> Self {
        Self { max_items, max_bytes, held: Mutex::default() }
    }

    pub fn push(&self, entry: Arc<dyn Recorded>) {
        let cost = cost(&*entry);
        if cost > self.max_bytes {
            return;
        }
        let mut held = self.lock();
        held.entries.push_back(entry);
        held.bytes += cost;
        while held.entries.len() > self.max_items.get() || held.bytes > self.max_bytes {
            let Some(oldest) = held.entries.pop_front() else { break };
            held.bytes -= self::cost(&*oldest);
        }
    }

    /// At most `limit` entries that `wanted` accepts, newest first.
    pub fn newest(
        &self,
        limit: usize,
        wanted: impl Fn(&dyn Recorded) -> bool,
    ) -> Vec<Arc<dyn Recorded>> {
        let held = self.lock();
        held.entries.iter().rev().filter(|entry| wanted(&***entry)).take(limit).cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn find(&self, id: &str) -> Option<Arc<dyn Recorded>> {
        self.newest(1, |entry| entry.exchange().id.text() == id).pop()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An estimate of the memory an entry holds: payload, cells at the size of a number and its tag, rest.
fn cost(entry: &dyn Recorded) -> usize {
    const CELL_BYTES: usize = 12;
    const ENTRY_BYTES: usize = 1024;
    let cells = |rows: &Rows| rows.columns().len() * rows.len();
    let cells = cells(entry.inputs()) + cells(entry.outputs());
    entry.exchange().kept_bytes() + cells * CELL_BYTES + ENTRY_BYTES
}
