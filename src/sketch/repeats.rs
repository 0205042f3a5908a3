//! Values that come again and again, which bins cannot tell from their neighbours: exact values in, the
//! frequent ones out.
//!
//! Misra and Gries 1982: a bounded number of counters. A count is never above the true one, and below it
//! by `missed` at most, which is about the number of values over the number of counters.

use super::{FrameError, Packer, Unpacker};

/// What tells values apart: the bits of a number, or a hash of a level.
pub type ValueKey = u64;

#[derive(Debug, Clone)]
pub struct Repeats {
    /// Slots of the table, a power of two; three of four may be filled.
    slots: usize,
    /// Open addressing; a count of 0 is a free slot. Both are empty until the first value.
    keys: Vec<ValueKey>,
    counts: Vec<u32>,
    filled: usize,
    missed: u64,
}

impl Repeats {
    /// 384 counters in 6 KB: of 1,000 values a count is at most 2 too low.
    const OF_WINDOW: usize = 512;
    /// 3,072 counters in 48 KB.
    const OF_REFERENCE: usize = 4096;

    pub fn of_window() -> Self {
        Self::with_slots(Self::OF_WINDOW)
    }

    pub fn of_reference() -> Self {
        Self::with_slots(Self::OF_REFERENCE)
    }

    fn with_slots(slots: usize) -> Self {
        Self { slots, keys: Vec::new(), counts: Vec::new(), filled: 0, missed: 0 }
    }

    fn counters(&self) -> usize {
        self.slots / 4 * 3
    }

    #[inline]
    pub fn observe(&mut self, key: ValueKey) {
        if self.counts.is_empty() {
            (self.keys, self.counts) = (vec![0; self.slots], vec![0; self.slots]);
        }
        let slot = self.slot_of(key);
        if self.counts[slot] > 0 {
            self.counts[slot] = self.counts[slot].saturating_add(1);
            return;
        }
        (self.keys[slot], self.counts[slot]) = (key, 1);
        self.filled += 1;
        if self.filled > self.counters() {
            self.lower();
        }
    }

    /// What a number is told apart by; -0 is 0.
    pub fn key(number: f64) -> ValueKey {
        (number + 0.0).to_bits()
    }

    /// The slot that holds the key, or the free one where it would be.
    fn slot_of(&self, key: ValueKey) -> usize {
        // The upper bits of a product depend on all bits of the key (Knuth, vol. 3, 6.4).
        let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        #[expect(clippy::cast_possible_truncation, reason = "as many bits as slots have are left")]
        let mut slot = (mixed >> (u64::BITS - self.slots.ilog2())) as usize;
        while self.counts[slot] > 0 && self.keys[slot] != key {
            slot = (slot + 1) & (self.slots - 1);
        }
        slot
    }

    /// Takes one off each count: what is left of those that came once is nothing.
    fn lower(&mut self) {
        self.missed += 1;
        self.filled = 0;
        let kept: Vec<_> = self.held().filter(|(_, count)| *count > 1).collect();
        self.counts.fill(0);
        for (key, count) in kept {
            let slot = self.slot_of(key);
            (self.keys[slot], self.counts[slot]) = (key, count - 1);
            self.filled += 1;
        }
        if self.filled > self.counters() {
            self.lower();
        }
    }

    /// By how many a count may be too low.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Values with at least `least` rows each, most first, at most `most`.
    pub fn frequent(&self, least: u32, most: usize) -> Vec<(ValueKey, u32)> {
        let mut frequent: Vec<_> = self.held().filter(|(_, count)| *count >= least).collect();
        frequent.sort_unstable_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
        frequent.truncate(most);
        frequent
    }

    fn held(&self) -> impl Iterator<Item = (ValueKey, u32)> {
        let held = self.keys.iter().copied().zip(self.counts.iter().copied());
        held.filter(|(_, count)| *count > 0)
    }

    pub fn pack(&self, packer: &mut Packer) {
        let Self { slots: _, keys: _, counts: _, filled, missed } = self;
        packer.word(*missed);
        packer.size(*filled);
        for (key, count) in self.held() {
            packer.hash(key);
            packer.word(count.into());
        }
    }

    /// Into a table that is empty.
    pub fn unpack(&mut self, reader: &mut Unpacker<'_>) -> Result<(), FrameError> {
        self.missed = reader.count()?;
        for _ in 0..reader.size(self.counters())? {
            let key = reader.hash()?;
            let count = u32::try_from(reader.word()?).map_err(|_| FrameError::Content)?;
            if count == 0 {
                return Err(FrameError::Content);
            }
            self.observe(key);
            let slot = self.slot_of(key);
            self.counts[slot] = count;
        }
        Ok(())
    }

    pub fn clear(&mut self) {
        self.counts.fill(0);
        (self.filled, self.missed) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_value_in_one_row_of_a_hundred_stands_out_among_values_that_never_come_again() {
        let mut repeats = Repeats::of_window();
        let mut random = fastrand::Rng::with_seed(1);
        for row in 0..5000 {
            let number = if row % 100 == 0 { 7.25 } else { random.f64() };
            repeats.observe(Repeats::key(number));
        }
        let frequent = repeats.frequent(5, 10);
        assert_eq!(frequent.len(), 1, "{frequent:?}");
        assert_eq!(frequent[0].0, 7.25_f64.to_bits());
        let missed = u32::try_from(repeats.missed()).unwrap();
        assert!(
            missed <= 14 && (50 - missed..=50).contains(&frequent[0].1),
            "{frequent:?} {missed}"
        );
    }

    proptest! {
        #[test]
        fn a_count_is_never_too_high_and_too_low_by_what_was_missed_at_most(
            values in proptest::collection::vec(0_u64..1500, 0..6000),
        ) {
            let mut repeats = Repeats::of_window();
            let mut exact: HashMap<u64, u64> = HashMap::new();
            for value in values {
                repeats.observe(value);
                *exact.entry(value).or_default() += 1;
            }
            let counted: HashMap<u64, u32> = repeats.frequent(1, usize::MAX).into_iter().collect();
            for (value, count) in exact {
                let counted = u64::from(counted.get(&value).copied().unwrap_or(0));
                prop_assert!(counted <= count && count <= counted + repeats.missed());
            }
        }
    }
}
