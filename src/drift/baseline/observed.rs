//! One feature while a baseline is being built: cells in, a frozen reference out.
//!
//! Numbers and texts are both kept, within bounds, until it is known which of them the feature has.

use super::QUANTILES;
use super::bins;
use super::feature::{CategoricalReference, Content, NumericReference, Repeated};
use crate::decode::{Cell, Column};
use crate::sketch::{
    self, Bounds, CategoricalCounts, Cells, Edges, EdgesError, Kind, Levels, NumericCounts, Repeats,
};
use datasketches::hash::value::raw_bytes;
use datasketches::hll::{HllSketch, HllType};
use std::collections::HashMap;
use std::sync::Arc;

/// Levels counted exactly while building; rows of later ones are counted together.
const MAX_COUNTED: usize = 8192;
/// Levels that a baseline keeps.
pub(super) const MAX_LEVELS: usize = 2048;
/// Levels that are reported each by its name.
pub(super) const MAX_SHOWN: usize = 63;

#[derive(Debug, Default)]
pub(super) struct Observed {
    cells: Cells,
    moments: Moments,
    repeats: Option<Repeats>,
    nans: u64,
    infinities: u64,
    zeros: u64,
    nulls: u64,
    levels: HashMap<Arc<str>, u64>,
    uncounted: Uncounted,
    texts: u64,
}

/// Welford's running mean and sum of squared offsets.
#[derive(Debug, Default)]
struct Moments {
    values: u64,
    mean: f64,
    squares: f64,
}

#[derive(Debug, Default)]
struct Uncounted {
    rows: u64,
    distinct: Option<HllSketch>,
}

impl Observed {
    pub(super) fn observe(&mut self, column: &Column) {
        for cell in column.cells() {
            match cell {
                Cell::Number(number) => self.observe_number(number),
                Cell::Text(text) => self.observe_level(text),
                Cell::Bool(true) => self.observe_level("true"),
                Cell::Bool(false) => self.observe_level("false"),
                Cell::Null => self.nulls += 1,
            }
        }
    }

    fn observe_number(&mut self, number: f64) {
        if number.is_finite() {
            self.cells.observe(number);
            let repeats = self.repeats.get_or_insert_with(Repeats::of_reference);
            repeats.observe(Repeats::key(number));
            self.moments.observe(number);
            self.zeros += u64::from(number == 0.0);
        } else if number.is_nan() {
            self.nans += 1;
        } else {
            self.infinities += 1;
        }
    }

    fn observe_level(&mut self, text: &str) {
        self.texts += 1;
        let level = Levels::bounded(text);
        if let Some(rows) = self.levels.get_mut(&*level) {
            *rows += 1;
        } else if self.levels.len() < MAX_COUNTED {
            self.levels.insert(level.into(), 1);
        } else {
            self.uncounted.observe(&level);
        }
    }

    /// What the feature mostly was decides; without any value it is numeric.
    pub(super) fn kind(&self) -> Kind {
        if self.numbers() >= self.texts { Kind::Numeric } else { Kind::Categorical }
    }

    fn numbers(&self) -> u64 {
        self.moments.values + self.nans + self.infinities
    }

    pub(super) fn rows(&self) -> u64 {
        self.numbers() + self.texts + self.nulls
    }

    /// As it will be counted: not-a-number is missing too. 0 before the first row.
    pub(super) fn null_ratio(&self) -> f64 {
        let missing = self.nulls + self.nans;
        if missing == 0 { 0.0 } else { missing as f64 / self.rows() as f64 }
    }

    pub(super) fn finish(self) -> Result<Content, EdgesError> {
        match self.kind() {
            Kind::Numeric => self.into_numeric(),
            Kind::Categorical => {
                let numbers = self.numbers();
                Ok(self.into_categorical(numbers))
            }
        }
    }

    fn into_numeric(self) -> Result<Content, EdgesError> {
        let cells = self.cells.finish();
        let bounds = Bounds {
            min: cells.first().map_or(f64::INFINITY, |cell| cell.low),
            max: cells.last().map_or(f64::NEG_INFINITY, |cell| cell.high),
            centre: self.moments.mean,
        };
        let edges = Arc::new(Edges::new(bins::cuts(&cells), bounds)?);
        let mut counts = NumericCounts::new(edges.clone());
        for cell in &cells {
            let bin = edges.bin(cell.low);
            counts.bins[bin] += cell.rows;
            counts.sums[bin] += cell.sum;
        }
        let sigma = self.moments.sigma();
        counts.squares = sigma * sigma * self.moments.values as f64;
        (counts.min, counts.max) = (bounds.min, bounds.max);
        (counts.zeros, counts.nulls) = (self.zeros, self.nulls);
        (counts.nans, counts.infinities) = (self.nans, self.infinities);
        counts.type_errors = self.texts;
        let whole = cells.len() == edges.bins() && cells.iter().all(sketch::Cell::is_point);
        let groups = bins::groups(counts.bins(), whole);
        let quantiles = quantiles(&cells);
        let repeated = self.repeats.as_ref().filter(|_| !whole).map(Repeated::of);
        Ok(Content::Numeric(NumericReference { counts, sigma, groups, quantiles, repeated }))
    }

    fn into_categorical(self, numbers: u64) -> Content {
        let singletons = self.levels.values().filter(|rows| **rows == 1).count() as u64;
        let distinct = self.levels.len() as u64 + self.uncounted.distinct();
        let mut levels: Vec<(Arc<str>, u64)> = self.levels.into_iter().collect();
        levels.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let beyond: u64 = levels.iter().skip(MAX_LEVELS).map(|(_, rows)| rows).sum();
        levels.truncate(MAX_LEVELS);
        let names = levels.iter().map(|(name, _)| name.clone()).collect();
        let mut counts = CategoricalCounts::new(Arc::new(Levels::new(names)));
        counts.rows = levels.iter().map(|(_, rows)| *rows).collect();
        counts.other = beyond + self.uncounted.rows;
        counts.nulls = self.nulls;
        counts.type_errors = numbers;
        let shown = levels.len().min(MAX_SHOWN);
        Content::Categorical(CategoricalReference { counts, shown, singletons, distinct })
    }
}

impl Moments {
    fn observe(&mut self, value: f64) {
        self.values += 1;
        let offset = value - self.mean;
        self.mean += offset / self.values as f64;
        self.squares += offset * (value - self.mean);
    }

    fn sigma(&self) -> f64 {
        (self.squares / self.values.max(1) as f64).sqrt()
    }
}

impl Uncounted {
    fn observe(&mut self, level: &str) {
        self.rows += 1;
        if self.distinct.is_none() {
            self.distinct = HllSketch::new(12, HllType::Hll4).ok();
        }
        if let Some(distinct) = &mut self.distinct {
            distinct.update(raw_bytes::from_str(level));
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of a count is positive and far below 2^53"
    )]
    fn distinct(&self) -> u64 {
        self.distinct.as_ref().map_or(0, |distinct| distinct.estimate().round() as u64)
    }
}

/// The value at each rank; within a cell of many values, between its ends.
pub(super) fn quantiles(cells: &[sketch::Cell]) -> Vec<f64> {
    let rows: u64 = cells.iter().map(|cell| cell.rows).sum();
    let at = |rank: f64| {
        let wanted = rank * rows as f64;
        let mut seen = 0.0;
        for cell in cells {
            let in_cell = cell.rows as f64;
            if seen + in_cell >= wanted {
                let within = (wanted - seen) / in_cell;
                return Some(cell.low + within * (cell.high - cell.low));
            }
            seen += in_cell;
        }
        cells.last().map(|cell| cell.high)
    };
    QUANTILES.iter().filter_map(|(_, rank)| at(*rank)).collect()
}
