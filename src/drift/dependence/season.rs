//! The reference at the same hours of the day.

use super::variation::{Hour, Season};
use crate::drift::baseline::{CategoricalReference, Content, NumericReference};
use crate::sketch::{CategoricalCounts, NumericCounts};

/// A window and the hours of the day, in UTC, that it covers.
#[derive(Debug, Clone, Copy)]
pub(in crate::drift) struct HoursOfDay {
    pub(in crate::drift) first: usize,
    pub(in crate::drift) count: usize,
    /// The window's rows: several windows are mixed as they have rows.
    pub(in crate::drift) rows: f64,
}

/// Longer windows cover too much of a day for a cycle to show.
const MOST_HOURS: usize = 6;

impl HoursOfDay {
    /// `None` for windows that are long beside a day.
    pub(in crate::drift) fn of(start: i64, end: i64, rows: f64) -> Option<Self> {
        let (first, last) = (start.div_euclid(3600), (end - 1).max(start).div_euclid(3600));
        let count = usize::try_from(last - first + 1).ok()?;
        let first = usize::try_from(first.rem_euclid(24)).ok()?;
        (count <= MOST_HOURS).then_some(Self { first, count, rows })
    }

    fn each(self) -> impl Iterator<Item = usize> {
        (self.first..self.first + self.count).map(|hour| hour % 24)
    }
}

impl Season {
    /// `content` with the reference's rows at those hours in place of all its rows; `None` where it has
    /// none there.
    pub(in crate::drift) fn reference(
        &self,
        content: &Content,
        windows: &[HoursOfDay],
    ) -> Option<Content> {
        let hour = self.mixed(windows)?;
        Some(match content {
            Content::Numeric(numeric) => Content::Numeric(numeric_of(numeric, hour)),
            Content::Categorical(levels) => Content::Categorical(levels_of(levels, hour)),
        })
    }

    /// The hours of each window, mixed as the windows have rows; together as many rows as the
    /// reference has in all those hours.
    fn mixed(&self, windows: &[HoursOfDay]) -> Option<Hour> {
        let all: f64 = windows.iter().map(|window| window.rows).sum();
        let mut used: Vec<usize> = windows.iter().flat_map(|window| window.each()).collect();
        used.sort_unstable();
        used.dedup();
        let reference: u64 = used.iter().map(|hour| self.hours[*hour].rows()).sum();
        let cells = self.hours.first().map_or(0, |hour| hour.cells.len());
        let mut mixed = vec![0.0; cells + 2];
        for window in windows {
            let rows: u64 = window.each().map(|hour| self.hours[hour].rows()).sum();
            if rows == 0 {
                return None;
            }
            let weight = window.rows / all * reference as f64 / rows as f64;
            for hour in window.each().map(|hour| &self.hours[hour]) {
                let counts = hour.cells.iter().chain([&hour.missing, &hour.odd]);
                mixed.iter_mut().zip(counts).for_each(|(sum, rows)| *sum += weight * *rows as f64);
            }
        }
        let mut counts: Vec<u64> = mixed.into_iter().map(whole).collect();
        let (odd, missing) = (counts.pop()?, counts.pop()?);
        Some(Hour { cells: counts, missing, odd })
    }
}

impl Hour {
    pub(super) fn rows(&self) -> u64 {
        self.cells.iter().sum::<u64>() + self.missing + self.odd
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rows")]
fn whole(rows: f64) -> u64 {
    rows.round() as u64
}

/// Sums within bins are those of the reference, by the rows that are there.
fn numeric_of(numeric: &NumericReference, hour: Hour) -> NumericReference {
    let mut counts = NumericCounts::new(numeric.counts.edges().clone());
    let before = numeric.counts.bins().iter().zip(numeric.counts.sums());
    let sums = before.zip(&hour.cells).map(|((rows, sum), here)| match rows {
        0 => 0.0,
        rows => sum * *here as f64 / *rows as f64,
    });
    counts.sums = sums.collect();
    counts.bins = hour.cells.into();
    counts.squares = numeric.sigma * numeric.sigma * counts.values() as f64;
    (counts.min, counts.max) = (numeric.counts.min, numeric.counts.max);
    (counts.nulls, counts.type_errors) = (hour.missing, hour.odd);
    NumericReference { counts, ..numeric.clone() }
}

/// A level that was seen at another hour is not a new one, so what is rare is told by the whole
/// reference.
fn levels_of(levels: &CategoricalReference, mut hour: Hour) -> CategoricalReference {
    let mut counts = CategoricalCounts::new(levels.counts.levels().clone());
    let other = hour.cells.pop().unwrap_or(0);
    let share = counts_share(&hour, levels);
    counts.rows = hour.cells.into();
    (counts.other, counts.nulls, counts.type_errors) = (other, hour.missing, hour.odd);
    let singletons = whole(levels.singletons as f64 * share);
    CategoricalReference { counts, singletons, ..levels.clone() }
}

fn counts_share(hour: &Hour, levels: &CategoricalReference) -> f64 {
    hour.rows() as f64 / levels.counts.rows().max(1) as f64
}
