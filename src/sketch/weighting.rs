//! Rows that stand for others: counts of sampled rows as what they are worth.
//!
//! A row that was kept at rate π stands for 1 / π rows (Horvitz and Thompson 1952). As long as all rows of
//! a window were kept at one rate their shares are right as they are, and nothing is kept beside the
//! counts. Where rates differ, totals are weighted, and n rows tell as much as (Σw)² / Σw² rows of one
//! weight (Kish 1965): [`Weighting::scale`] brings totals to that size.

use super::{FrameError, Packer, Unpacker};

/// Of the rows of one window.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Weighting {
    /// No row yet.
    #[default]
    None,
    /// All rows have this weight.
    Even(f64),
    Varied(Box<Totals>),
}

/// Weighted totals, in an order that the counts know.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Totals {
    pub(super) cells: Box<[f64]>,
    squares: f64,
}

/// Counts that add up, and how their rows were sampled.
pub(super) trait Weighed: Sized {
    fn weighting(&mut self) -> &mut Weighting;

    /// Every count in a fixed order, those that make up all rows first; and all rows.
    fn weighable(&self) -> (Box<[f64]>, f64);

    /// Counts rows that were kept at `rate`, in (0, 1]: each stands for 1 / rate.
    fn observe_at(&mut self, rate: f64, observe: impl FnOnce(&mut Self)) {
        let weight = 1.0 / rate;
        let mut weighting = std::mem::take(self.weighting());
        if weighting.next(weight, || self.weighable()) {
            let (before, rows) = self.weighable();
            observe(self);
            let (after, all) = self.weighable();
            let counted = after.iter().zip(&before).map(|(after, before)| after - before);
            weighting.add(weight, counted, all - rows);
        } else {
            observe(self);
        }
        *self.weighting() = weighting;
    }

    /// Of counts on the same edges or levels, before their rows are added up.
    fn merge_weighting(&mut self, other: &Self, of_other: &Weighting) {
        let mut weighting = std::mem::take(self.weighting());
        weighting.merge(of_other, || self.weighable(), || other.weighable());
        *self.weighting() = weighting;
    }
}

impl Weighting {
    /// Rows of `weight` come next; `cells` are the counts until now. Whether weights must be added up.
    pub(super) fn next(&mut self, weight: f64, cells: impl FnOnce() -> (Box<[f64]>, f64)) -> bool {
        match self {
            Self::None => *self = Self::Even(weight),
            Self::Even(before) if (*before / weight - 1.0).abs() < 1e-9 => {}
            Self::Even(before) => {
                let (cells, rows) = cells();
                *self = Self::varied(*before, cells, rows);
            }
            Self::Varied(_) => {}
        }
        matches!(self, Self::Varied(_))
    }

    fn varied(weight: f64, mut cells: Box<[f64]>, rows: f64) -> Self {
        cells.iter_mut().for_each(|rows| *rows *= weight);
        Self::Varied(Box::new(Totals { cells, squares: rows * weight * weight }))
    }

    /// What was counted since: the counts after less those before, all of one weight.
    pub(super) fn add(&mut self, weight: f64, counted: impl Iterator<Item = f64>, rows: f64) {
        if let Self::Varied(totals) = self {
            totals.cells.iter_mut().zip(counted).for_each(|(sum, rows)| *sum += rows * weight);
            totals.squares += rows * weight * weight;
        }
    }

    /// `mine` and `its` are counts and rows until now.
    pub(super) fn merge(
        &mut self,
        other: &Self,
        mine: impl FnOnce() -> (Box<[f64]>, f64),
        its: impl FnOnce() -> (Box<[f64]>, f64),
    ) {
        let mut theirs = other.clone();
        match (&mut *self, &mut theirs) {
            (_, Self::None) => return,
            (Self::None, _) => {
                *self = theirs;
                return;
            }
            (Self::Even(a), Self::Even(b)) if (*a / *b - 1.0).abs() < 1e-9 => return,
            _ => {}
        }
        let (before, after) = (std::mem::take(self).totals(mine), theirs.totals(its));
        if let (Self::Varied(mut sum), Self::Varied(part)) = (before, after) {
            sum.cells.iter_mut().zip(&part.cells).for_each(|(sum, part)| *sum += part);
            sum.squares += part.squares;
            *self = Self::Varied(sum);
        }
    }

    fn totals(self, cells: impl FnOnce() -> (Box<[f64]>, f64)) -> Self {
        match self {
            Self::Even(weight) => {
                let (cells, rows) = cells();
                Self::varied(weight, cells, rows)
            }
            other => other,
        }
    }

    pub(super) fn pack(&self, packer: &mut Packer) {
        match self {
            Self::None => packer.word(0),
            Self::Even(weight) => {
                packer.word(1);
                packer.float(*weight);
            }
            Self::Varied(totals) => {
                let Totals { cells, squares } = &**totals;
                packer.word(2);
                cells.iter().for_each(|cell| packer.float(*cell));
                packer.float(*squares);
            }
        }
    }

    /// Of so many cells, of which the first `rows` make up all rows: as many as are `counted`.
    pub(super) fn unpack(
        reader: &mut Unpacker<'_>,
        cells: usize,
        rows: usize,
        counted: u64,
    ) -> Result<Self, FrameError> {
        let refused = Err(FrameError::Content);
        match reader.word()? {
            0 => Ok(Self::None),
            1 => match reader.float()? {
                weight if weight.is_normal() && weight > 0.0 => Ok(Self::Even(weight)),
                _ => refused,
            },
            2 => {
                let mut totals = vec![0.0; cells].into_boxed_slice();
                for total in &mut totals {
                    *total = reader.float()?;
                }
                let squares = reader.float()?;
                let whole = |rows: &f64| rows.is_finite() && *rows >= 0.0;
                let all: f64 = totals[..rows].iter().sum();
                // Rows of unequal weights are never worth more than as many of one.
                let most = counted as f64 * (1.0 + 1e-6) + 1.0;
                let fits = squares == 0.0 || all * all / squares <= most;
                if totals[..rows].iter().all(whole) && whole(&squares) && fits {
                    Ok(Self::Varied(Box::new(Totals { cells: totals, squares })))
                } else {
                    refused
                }
            }
            _ => refused,
        }
    }

    /// Weighted counts brought to the number of rows that they are worth; `None` where weights are even.
    /// `rows` of the cells make up all rows.
    pub(super) fn scaled(&self, rows: usize) -> Option<Vec<f64>> {
        let Self::Varied(totals) = self else { return None };
        let all: f64 = totals.cells[..rows].iter().sum();
        let scale = if totals.squares > 0.0 { all / totals.squares } else { 0.0 };
        Some(totals.cells.iter().map(|total| total * scale).collect())
    }
}

/// A weighted count as rows.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rows")]
pub(super) fn whole(rows: f64) -> u64 {
    rows.round().max(0.0) as u64
}
