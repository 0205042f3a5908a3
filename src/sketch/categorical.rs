//! Texts and booleans in; counts a known level out, and of unknown ones the frequent and the number.

use super::weighting::{Weighed, Weighting, whole};
use super::{EdgesDiffer, Levels, ValueKey};
use crate::decode::{Cell, Column};
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::hash::value::raw_bytes;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// What is counted of a categorical feature. Merging is exact, in any order.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoricalCounts {
    pub(crate) levels: Arc<Levels>,
    pub(crate) rows: Box<[u64]>,
    /// Of levels that are not among `levels`.
    pub(crate) other: u64,
    pub(crate) nulls: u64,
    /// Numbers.
    pub(crate) type_errors: u64,
    pub(super) weighting: Weighting,
}

impl CategoricalCounts {
    pub fn new(levels: Arc<Levels>) -> Self {
        let rows = vec![0; levels.len()].into();
        let weighting = Weighting::default();
        Self { levels, rows, other: 0, nulls: 0, type_errors: 0, weighting }
    }

    /// Weighted totals that there are: all make up all rows.
    pub(super) fn weighed_cells(&self) -> (usize, usize) {
        let cells = self.rows.len() + 3;
        (cells, cells)
    }

    pub fn is_weighted(&self) -> bool {
        matches!(self.weighting, Weighting::Varied(_))
    }

    /// What sampled rows are worth, where they were sampled at different rates; `None` where counts are
    /// right as they are.
    pub fn effective(&self) -> Option<Self> {
        let levels = self.rows.len();
        let scaled = self.weighting.scaled(levels + 3)?;
        let rows: Vec<u64> = scaled.into_iter().map(whole).collect();
        let mut counts = Self::new(Arc::clone(&self.levels));
        counts.rows = rows[..levels].into();
        (counts.other, counts.nulls, counts.type_errors) =
            (rows[levels], rows[levels + 1], rows[levels + 2]);
        Some(counts)
    }

    pub fn merge(&mut self, other: &Self) -> Result<(), EdgesDiffer> {
        if self.levels.hash() != other.levels.hash() {
            return Err(EdgesDiffer);
        }
        self.merge_weighting(other, &other.weighting);
        self.rows.iter_mut().zip(&other.rows).for_each(|(sum, rows)| *sum += rows);
        self.other += other.other;
        self.nulls += other.nulls;
        self.type_errors += other.type_errors;
        Ok(())
    }

    /// Rows that were kept at `rate`, in (0, 1]: each stands for 1 / rate.
    pub(super) fn observe_sampled(&mut self, column: &Column, rate: f64) {
        self.observe_at(rate, |counts| counts.observe_each(column, |_| {}));
    }

    /// Hands on every level that is not known, bounded.
    fn observe_each(&mut self, column: &Column, mut unknown: impl FnMut(&str)) {
        for cell in column.cells() {
            match cell {
                Cell::Text(text) => self.observe_level(text, &mut unknown),
                Cell::Bool(true) => self.observe_level("true", &mut unknown),
                Cell::Bool(false) => self.observe_level("false", &mut unknown),
                Cell::Null => self.nulls += 1,
                Cell::Number(_) => self.type_errors += 1,
            }
        }
    }

    #[inline]
    fn observe_level(&mut self, text: &str, unknown: &mut impl FnMut(&str)) {
        match self.levels.index(text) {
            Some(level) => self.rows[level] += 1,
            None => self.observe_unfamiliar(text, unknown),
        }
    }

    /// Long levels are known by their bounded form.
    fn observe_unfamiliar(&mut self, text: &str, unknown: &mut impl FnMut(&str)) {
        let level = Levels::bounded(text);
        if let Some(known) = self.levels.index(&level) {
            self.rows[known] += 1;
        } else {
            self.other += 1;
            unknown(&level);
        }
    }

    pub fn levels(&self) -> &Arc<Levels> {
        &self.levels
    }

    /// Rows of each level, in the order of the levels.
    pub fn level_rows(&self) -> &[u64] {
        &self.rows
    }

    pub fn other(&self) -> u64 {
        self.other
    }

    pub fn nulls(&self) -> u64 {
        self.nulls
    }

    pub fn type_errors(&self) -> u64 {
        self.type_errors
    }

    /// Rows with a level, known or not.
    pub fn values(&self) -> u64 {
        self.rows.iter().sum::<u64>() + self.other
    }

    pub fn rows(&self) -> u64 {
        self.values() + self.nulls + self.type_errors
    }
}

impl Weighed for CategoricalCounts {
    fn weighting(&mut self) -> &mut Weighting {
        &mut self.weighting
    }

    fn weighable(&self) -> (Box<[f64]>, f64) {
        let beside = [self.other, self.nulls, self.type_errors];
        let cells = self.rows.iter().chain(&beside).map(|rows| *rows as f64).collect();
        (cells, self.rows() as f64)
    }
}

/// [`CategoricalCounts`], and Apache sketches of the levels they do not know.
///
/// Known levels are counted exactly and enter the Apache sketches only when those are read: that
/// spares the hot path both of their updates.
#[derive(Debug, Clone)]
pub struct CategoricalSketch {
    pub(crate) counts: CategoricalCounts,
    pub(crate) frequent: FrequentItemsSketch<String>,
    pub(crate) distinct: HllSketch,
}

impl CategoricalSketch {
    pub(crate) const FREQUENT_MAP: usize = 256;
    pub(crate) const DISTINCT_LG_K: u8 = 12;

    #[expect(clippy::expect_used, reason = "both constants are within what the library takes")]
    pub fn new(levels: Arc<Levels>) -> Self {
        Self {
            counts: CategoricalCounts::new(levels),
            frequent: FrequentItemsSketch::new(Self::FREQUENT_MAP).expect("a power of two"),
            distinct: HllSketch::new(Self::DISTINCT_LG_K, HllType::Hll4).expect("4 to 21"),
        }
    }

    /// Rows that were kept at `rate`, in (0, 1]: each stands for 1 / rate.
    pub fn observe_sampled(&mut self, column: &Column, rate: f64) {
        let Self { counts, frequent, distinct } = self;
        counts.observe_at(rate, |counts| {
            counts.observe_each(column, |level| Self::observe_unknown(frequent, distinct, level));
        });
    }

    pub fn observe(&mut self, column: &Column) {
        let Self { counts, frequent, distinct } = self;
        counts.observe_each(column, |level| Self::observe_unknown(frequent, distinct, level));
    }

    fn observe_unknown(
        frequent: &mut FrequentItemsSketch<String>,
        distinct: &mut HllSketch,
        level: &str,
    ) {
        frequent.update_ref(level);
        Self::count_distinct(distinct, level);
    }

    /// As Java and C++ do: the bytes alone are hashed, and an empty text is not.
    fn count_distinct(distinct: &mut HllSketch, level: &str) {
        if !level.is_empty() {
            distinct.update(raw_bytes::from_str(level));
        }
    }

    #[expect(clippy::expect_used, reason = "the constant is within what the library takes")]
    pub fn merge(&mut self, other: &Self) -> Result<(), EdgesDiffer> {
        self.counts.merge(&other.counts)?;
        self.frequent.merge(&other.frequent);
        let mut union = HllUnion::new(Self::DISTINCT_LG_K).expect("4 to 21");
        union.update(&self.distinct);
        union.update(&other.distinct);
        self.distinct = union.to_sketch(HllType::Hll4);
        Ok(())
    }

    pub fn counts(&self) -> &CategoricalCounts {
        &self.counts
    }

    /// Frequent levels that the reference did not have, with at least so many rows each, most first.
    pub fn frequent_unknown(&self) -> Vec<(String, u64)> {
        let rows = self.frequent.frequent_items(ErrorType::NoFalsePositives);
        rows.iter().map(|row| (row.item().clone(), row.lower_bound())).collect()
    }

    /// The same, by a hash of the level.
    pub fn repeated_unknown(&self, least: u32, most: usize) -> Vec<(ValueKey, u32)> {
        let rows = self.frequent.frequent_items(ErrorType::NoFalsePositives);
        let count = |rows: u64| u32::try_from(rows).unwrap_or(u32::MAX);
        let repeated =
            rows.iter().map(|row| (xxh3_64(row.item().as_bytes()), count(row.lower_bound())));
        repeated.filter(|(_, count)| *count >= least).take(most).collect()
    }

    /// An Apache frequent-items sketch of all levels, known ones too.
    pub fn frequent_items(&self) -> FrequentItemsSketch<String> {
        let mut all = self.frequent.clone();
        for (name, rows) in self.seen() {
            all.update_with_count_ref(name, rows);
        }
        all
    }

    /// An Apache HLL sketch of all levels, known ones too.
    pub fn distinct_levels(&self) -> HllSketch {
        let mut all = self.distinct.clone();
        self.seen().for_each(|(name, _)| Self::count_distinct(&mut all, name));
        all
    }

    fn seen(&self) -> impl Iterator<Item = (&str, u64)> {
        let rows = self.counts.rows.iter().copied();
        let levels = self.counts.levels.names().iter().map(|name| &**name);
        levels.zip(rows).filter(|(_, rows)| *rows > 0)
    }
}
