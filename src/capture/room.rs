//! Memory for the bodies of exchanges under way, shared by all serving threads.
//!
//! Room is taken when a body is announced, or as it grows, and given back when its exchange is over.
//! Whoever gets none goes without: nothing waits. A part of a body is worth little to a decoder, so
//! of many that do not all fit, those that came first are kept whole.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[derive(Debug)]
pub struct Room {
    taken_bytes: AtomicUsize,
    max_bytes: usize,
}

impl Room {
    pub const fn new(max_bytes: usize) -> Self {
        Self { taken_bytes: AtomicUsize::new(0), max_bytes }
    }

    /// Whether there were as many bytes left; they are then the caller's, to be given back.
    #[must_use]
    pub fn take(&self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let taken = self.taken_bytes.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if taken > self.max_bytes {
            self.taken_bytes.fetch_sub(bytes, Relaxed);
            return false;
        }
        true
    }

    pub fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.taken_bytes.fetch_sub(bytes, Relaxed);
        }
    }

    pub fn taken_bytes(&self) -> usize {
        self.taken_bytes.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_can_be_taken_again_and_nothing_more() {
        let room = Room::new(10);
        assert!(room.take(6) && room.take(4) && room.take(0));
        assert!(!room.take(1));
        room.give_back(6);
        assert!(!room.take(7) && room.take(6));
        assert_eq!(room.taken_bytes(), 10);
    }
}
