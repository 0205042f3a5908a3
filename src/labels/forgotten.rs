//! The ids of requests whose predictions are forgotten: a label for one is late, and not unknown.

use std::collections::{HashSet, VecDeque};

/// By hash, the newest; eight bytes twice an id.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    hashes: HashSet<u64>,
    oldest_first: VecDeque<u64>,
}

impl Forgotten {
    pub(super) fn insert(&mut self, id: &str, max: usize) {
        let hash = hash(id);
        if self.hashes.insert(hash) {
            self.oldest_first.push_back(hash);
        }
        while self.oldest_first.len() > max {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.hashes.remove(&oldest);
            }
        }
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.hashes.contains(&hash(id))
    }
}

fn hash(id: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(id.as_bytes())
}
