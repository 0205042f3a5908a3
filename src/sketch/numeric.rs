//! Numbers in; counts and sums a bin of frozen edges, their bounds, and a quantile sketch, out.

use super::weighting::{Cells, Weighed, Weighting, whole};
use super::{Bounds, Edges};
use crate::decode::{Cell, Column};
use datasketches::common::SearchCriteria;
use datasketches::kll::{KllFloat, KllSketch};
use std::sync::Arc;

/// Only sketches on the same edges or levels can be added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sketches were made on different edges or levels")]
pub struct EdgesDiffer;

/// What is counted of a numeric feature. Merging is exact, in any order (sums but for rounding).
#[derive(Debug, Clone, PartialEq)]
pub struct NumericCounts {
    pub(crate) edges: Arc<Edges>,
    pub(crate) bins: Box<[u64]>,
    pub(crate) sums: Box<[f64]>,
    /// Around `Bounds::centre`.
    pub(crate) squares: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) zeros: u64,
    pub(crate) nulls: u64,
    pub(crate) nans: u64,
    /// Counted as out of bounds, not in bins: a sum could not hold them.
    pub(crate) infinities: u64,
    /// Below and above what the reference had.
    pub(crate) below: u64,
    pub(crate) above: u64,
    /// Texts and booleans.
    pub(crate) type_errors: u64,
    pub(super) weighting: Weighting,
}

impl NumericCounts {
    pub fn new(edges: Arc<Edges>) -> Self {
        let bins = edges.bins();
        Self {
            edges,
            bins: vec![0; bins].into(),
            sums: vec![0.0; bins].into(),
            squares: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zeros: 0,
            nulls: 0,
            nans: 0,
            infinities: 0,
            below: 0,
            above: 0,
            type_errors: 0,
            weighting: Weighting::default(),
        }
    }

    const BESIDE_BINS: usize = 4;

    pub fn is_weighted(&self) -> bool {
        matches!(self.weighting, Weighting::Varied(_))
    }

    /// What sampled rows are worth, where they were sampled at different rates; `None` where counts are
    /// right as they are.
    pub fn effective(&self) -> Option<Self> {
        let bins = self.bins.len();
        let scaled = self.weighting.scaled(|| self.cells())?;
        let (counts, moments) = scaled.split_at(bins + Self::BESIDE_BINS + 3);
        let rows: Vec<u64> = counts.iter().map(|rows| whole(*rows)).collect();
        let mut counts = Self::new(Arc::clone(&self.edges));
        counts.bins = rows[..bins].into();
        let beside = &rows[bins..];
        (counts.nulls, counts.nans, counts.infinities) = (beside[0], beside[1], beside[2]);
        (counts.type_errors, counts.below, counts.above) = (beside[3], beside[4], beside[5]);
        counts.zeros = beside[6];
        (counts.squares, counts.sums) = (moments[0], moments[1..].into());
        (counts.min, counts.max) = (self.min, self.max);
        Some(counts)
    }

    /// Rows that were kept at `rate`, in (0, 1]: each stands for 1 / rate.
    pub(super) fn observe_sampled(&mut self, column: &Column, rate: f64) {
        self.sampled_at(rate);
        self.observe(column);
    }

    fn observe(&mut self, column: &Column) {
        if let Some(numbers) = column.as_numbers() {
            self.observe_numbers(numbers);
            return;
        }
        for cell in column.cells() {
            match cell {
                Cell::Number(number) => self.observe_numbers(&[number]),
                Cell::Null => self.nulls += 1,
                Cell::Bool(_) | Cell::Text(_) => self.type_errors += 1,
            }
        }
    }

    /// What is counted of all values is kept in locals: in one loop over a payload's numbers that is
    /// half the cost.
    fn observe_numbers(&mut self, numbers: &[f64]) {
        let Bounds { min: lowest, max: highest, centre } = self.edges.bounds();
        let (mut squares, mut min, mut max) = (0.0, self.min, self.max);
        let (mut zeros, mut below, mut above) = (0, 0, 0);
        for number in numbers.iter().copied() {
            if !number.is_finite() {
                self.observe_not_finite(number);
                continue;
            }
            let bin = self.edges.bin(number);
            self.bins[bin] += 1;
            self.sums[bin] += number;
            squares += (number - centre) * (number - centre);
            min = min.min(number);
            max = max.max(number);
            zeros += u64::from(number == 0.0);
            below += u64::from(number < lowest);
            above += u64::from(number > highest);
        }
        self.squares += squares;
        (self.min, self.max) = (min, max);
        self.zeros += zeros;
        self.below += below;
        self.above += above;
    }

    fn observe_not_finite(&mut self, value: f64) {
        if value.is_nan() {
            self.nans += 1;
        } else {
            self.infinities += 1;
        }
    }

    pub fn merge(&mut self, other: &Self) -> Result<(), EdgesDiffer> {
        if self.edges.hash() != other.edges.hash() {
            return Err(EdgesDiffer);
        }
        self.merge_weighting(other, &other.weighting);
        self.bins.iter_mut().zip(&other.bins).for_each(|(sum, bin)| *sum += bin);
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, part)| *sum += part);
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.zeros += other.zeros;
        self.nulls += other.nulls;
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.below += other.below;
        self.above += other.above;
        self.type_errors += other.type_errors;
        Ok(())
    }

    pub fn edges(&self) -> &Arc<Edges> {
        &self.edges
    }

    /// Finite numbers in each bin of the edges.
    pub fn bins(&self) -> &[u64] {
        &self.bins
    }

    /// The sum of the numbers in each bin.
    pub fn sums(&self) -> &[f64] {
        &self.sums
    }

    /// Finite numbers.
    pub fn values(&self) -> u64 {
        self.bins.iter().sum()
    }

    /// Null or NaN.
    pub fn missing(&self) -> u64 {
        self.nulls + self.nans
    }

    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    pub fn type_errors(&self) -> u64 {
        self.type_errors
    }

    /// Below or above what the reference had, or infinite.
    pub fn out_of_bounds(&self) -> u64 {
        self.below + self.above + self.infinities
    }

    pub fn rows(&self) -> u64 {
        self.values() + self.missing() + self.infinities + self.type_errors
    }

    pub fn min(&self) -> Option<f64> {
        (self.values() > 0).then_some(self.min)
    }

    pub fn max(&self) -> Option<f64> {
        (self.values() > 0).then_some(self.max)
    }

    pub fn mean(&self) -> Option<f64> {
        let values = self.values();
        (values > 0).then(|| self.sums.iter().sum::<f64>() / values as f64)
    }

    /// Of the population (divided by n), as `numpy.std` has it.
    pub fn sigma(&self) -> Option<f64> {
        let offset = self.mean()? - self.edges.bounds().centre;
        let variance = self.squares / self.values() as f64 - offset * offset;
        Some(variance.max(0.0).sqrt())
    }
}

impl Weighed for NumericCounts {
    fn weighting(&mut self) -> &mut Weighting {
        &mut self.weighting
    }

    /// Bins and [`Self::BESIDE_BINS`] counts are all rows.
    fn cells(&self) -> Cells {
        let beside = [self.nulls, self.nans, self.infinities, self.type_errors];
        let within = [self.below, self.above, self.zeros];
        let rows = self.bins.iter().chain(&beside).chain(&within).map(|rows| *rows as f64);
        let each = rows.chain([self.squares]).chain(self.sums.iter().copied()).collect();
        Cells { each, of_rows: self.bins.len() + Self::BESIDE_BINS }
    }
}

/// [`NumericCounts`] and a KLL sketch beside, for quantiles that no edge knows.
#[derive(Debug, Clone)]
pub struct NumericSketch {
    pub(crate) counts: NumericCounts,
    pub(crate) quantiles: KllSketch<KllFloat<f64>>,
}

impl NumericSketch {
    pub fn new(edges: Arc<Edges>) -> Self {
        // The crate's default k is 200: a rank error of 1.33 % at 99 % confidence.
        Self { counts: NumericCounts::new(edges), quantiles: KllSketch::default() }
    }

    /// Rows that were kept at `rate`, in (0, 1]: each stands for 1 / rate.
    pub fn observe_sampled(&mut self, column: &Column, rate: f64) {
        self.counts.observe_sampled(column, rate);
        self.observe_quantiles(column);
    }

    pub fn observe(&mut self, column: &Column) {
        self.counts.observe(column);
        self.observe_quantiles(column);
    }

    fn observe_quantiles(&mut self, column: &Column) {
        let mut update = |number: f64| {
            if number.is_finite()
                && let Ok(value) = KllFloat::<f64>::new(number)
            {
                self.quantiles.update(value);
            }
        };
        match column.as_numbers() {
            Some(numbers) => numbers.iter().for_each(|number| update(*number)),
            None => column.cells().for_each(|cell| {
                if let Cell::Number(number) = cell {
                    update(number);
                }
            }),
        }
    }

    pub fn merge(&mut self, other: &Self) -> Result<(), EdgesDiffer> {
        self.counts.merge(&other.counts)?;
        // Fails only where 2^64 values would be exceeded.
        self.quantiles.merge(&other.quantiles).map_err(|_| EdgesDiffer)
    }

    pub fn counts(&self) -> &NumericCounts {
        &self.counts
    }

    /// The share of values below `value`, in [0, 1]; `None` without values.
    pub fn rank(&self, value: f64) -> Option<f64> {
        self.quantiles.rank(&KllFloat::<f64>::new(value).ok()?, SearchCriteria::Exclusive)
    }

    /// By how much ranks and quantiles may be off together, at 99 % confidence.
    pub fn rank_error(&self) -> f64 {
        if self.quantiles.is_estimation_mode() {
            self.quantiles.normalized_pmf_error()
        } else {
            0.0
        }
    }

    /// `rank` in [0, 1]; `None` without values.
    pub fn quantile(&self, rank: f64) -> Option<f64> {
        let value = self.quantiles.quantile(rank, SearchCriteria::Inclusive).ok()??;
        Some(value.into_inner())
    }
}
