//! The levels a reference had, frozen: which of them a text is.

use std::borrow::Cow;
use std::sync::Arc;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Known levels in an order that never changes, found by hash.
#[derive(Debug, Clone)]
pub struct Levels {
    names: Vec<Arc<str>>,
    /// Open addressing over at least twice as many slots; [`Self::FREE`] where none is.
    slots: Box<[u32]>,
    hash: u64,
}

impl Levels {
    const FREE: u32 = u32::MAX;
    /// Longer texts are told apart by their hash, so that a level is bounded.
    const MAX_LEVEL_BYTES: usize = 128;

    /// `names` are distinct.
    pub fn new(names: Vec<Arc<str>>) -> Self {
        let slots = vec![Self::FREE; (2 * names.len().max(4)).next_power_of_two()];
        let mut levels = Self { names, slots: slots.into(), hash: 0 };
        let mut hash = Xxh3::new();
        for (index, name) in levels.names.iter().enumerate() {
            hash.update(&(name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            let mask = levels.slots.len() - 1;
            let mut slot = Self::slot_of(name, mask);
            while levels.slots[slot] != Self::FREE {
                slot = (slot + 1) & mask;
            }
            levels.slots[slot] = u32::try_from(index).unwrap_or(Self::FREE);
        }
        levels.hash = hash.digest();
        levels
    }

    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Equal hashes are equal levels in equal order.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Where `name` stands, if it is known.
    #[inline]
    pub fn index(&self, name: &str) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut slot = Self::slot_of(name, mask);
        loop {
            let index = self.slots[slot];
            if index == Self::FREE {
                return None;
            }
            if *self.names[index as usize] == *name {
                return Some(index as usize);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// A text as a level: itself, or the start of a long one with its hash.
    pub fn bounded(text: &str) -> Cow<'_, str> {
        if text.len() <= Self::MAX_LEVEL_BYTES {
            return Cow::Borrowed(text);
        }
        let end = (0..=Self::MAX_LEVEL_BYTES - 20).rev().find(|end| text.is_char_boundary(*end));
        let start = &text[..end.unwrap_or(0)];
        Cow::Owned(format!("{start}…{:016x}", xxh3_64(text.as_bytes())))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the mask keeps the low bits only")]
    fn slot_of(name: &str, mask: usize) -> usize {
        xxh3_64(name.as_bytes()) as usize & mask
    }
}

impl PartialEq for Levels {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_found_where_it_stands_and_no_other() {
        let names: Vec<Arc<str>> = (0..1000).map(|n| format!("level {n}").into()).collect();
        let levels = Levels::new(names.clone());
        for (index, name) in names.iter().enumerate() {
            assert_eq!(levels.index(name), Some(index));
        }
        assert_eq!(levels.index("level 1000"), None);
        assert_eq!(Levels::new(Vec::new()).index(""), None);
    }

    #[test]
    fn long_texts_are_bounded_and_stay_distinct() {
        let (a, b) = ("é".repeat(200) + "a", "é".repeat(200) + "b");
        let (a, b) = (Levels::bounded(&a), Levels::bounded(&b));
        assert!(a.len() <= Levels::MAX_LEVEL_BYTES + 4 && a != b);
        assert_eq!(Levels::bounded("short"), "short");
    }
}
