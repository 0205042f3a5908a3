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

/// Weighted totals of rows up to where the weight last changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Totals {
    weighted: Cells,
    squares: f64,
    /// Counts there.
    folded: Cells,
    /// Of rows since.
    weight: f64,
}

/// Every count in a fixed order; the first `of_rows` of them make up all rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cells {
    pub(super) each: Box<[f64]>,
    pub(super) of_rows: usize,
}

impl Cells {
    fn none_like(other: &Self) -> Self {
        Self { each: vec![0.0; other.each.len()].into(), of_rows: other.of_rows }
    }

    fn rows(&self) -> f64 {
        self.each[..self.of_rows].iter().sum()
    }

    fn add(&mut self, part: &Self) {
        self.each.iter_mut().zip(&part.each).for_each(|(sum, part)| *sum += part);
    }
}

/// Counts that add up, and how their rows were sampled.
pub(super) trait Weighed: Sized {
    fn weighting(&mut self) -> &mut Weighting;

    fn cells(&self) -> Cells;

    /// The rows that are counted next were kept at `rate`, in (0, 1]: each stands for 1 / rate.
    fn sampled_at(&mut self, rate: f64) {
        let mut weighting = std::mem::take(self.weighting());
        weighting.next(1.0 / rate, || self.cells());
        *self.weighting() = weighting;
    }

    /// Of counts on the same edges or levels, before their rows are added up.
    fn merge_weighting(&mut self, other: &Self, of_other: &Weighting) {
        let mut weighting = std::mem::take(self.weighting());
        weighting.merge(of_other, || self.cells(), || other.cells());
        *self.weighting() = weighting;
    }
}

impl Totals {
    /// Of rows that all have one weight.
    fn new(weight: f64, counted: Cells) -> Self {
        let none = Cells::none_like(&counted);
        let mut totals = Self { weighted: none.clone(), squares: 0.0, folded: none, weight };
        totals.fold(counted);
        totals
    }

    fn fold(&mut self, counted: Cells) {
        let since = counted.each.iter().zip(&self.folded.each).map(|(now, before)| now - before);
        let weighted = self.weighted.each.iter_mut();
        weighted.zip(since).for_each(|(sum, rows)| *sum += rows * self.weight);
        self.squares += (counted.rows() - self.folded.rows()) * self.weight * self.weight;
        self.folded = counted;
    }

    fn add(&mut self, part: &Self) {
        self.weighted.add(&part.weighted);
        self.folded.add(&part.folded);
        self.squares += part.squares;
    }
}

fn are_equal(one: f64, other: f64) -> bool {
    (one / other - 1.0).abs() < 1e-9
}

impl Weighting {
    /// Rows of `weight` come next; `counted` are the counts until now.
    fn next(&mut self, weight: f64, counted: impl FnOnce() -> Cells) {
        match self {
            Self::None => *self = Self::Even(weight),
            Self::Even(before) if are_equal(*before, weight) => {}
            Self::Even(before) => {
                let totals = Totals::new(*before, counted());
                *self = Self::Varied(Box::new(Totals { weight, ..totals }));
            }
            Self::Varied(totals) if are_equal(totals.weight, weight) => {}
            Self::Varied(totals) => {
                totals.fold(counted());
                totals.weight = weight;
            }
        }
    }

    /// `mine` and `its` are counts until now.
    fn merge(&mut self, other: &Self, mine: impl FnOnce() -> Cells, its: impl FnOnce() -> Cells) {
        match (&*self, other) {
            (_, Self::None) => return,
            (Self::None, _) => {
                *self = other.clone();
                return;
            }
            (Self::Even(a), Self::Even(b)) if are_equal(*a, *b) => return,
            _ => {}
        }
        if let (Some(mut sum), Some(part)) = (self.totals(mine), other.totals(its)) {
            sum.add(&part);
            *self = Self::Varied(Box::new(sum));
        }
    }

    /// Up to now.
    fn totals(&self, counted: impl FnOnce() -> Cells) -> Option<Totals> {
        match self {
            Self::None => None,
            Self::Even(weight) => Some(Totals::new(*weight, counted())),
            Self::Varied(totals) => {
                let mut totals = Totals::clone(totals);
                totals.fold(counted());
                Some(totals)
            }
        }
    }

    pub(super) fn pack(&self, packer: &mut Packer, counted: impl FnOnce() -> Cells) {
        match self {
            Self::None => packer.word(0),
            Self::Even(weight) => {
                packer.word(1);
                packer.float(*weight);
            }
            Self::Varied(_) => {
                let Some(totals) = self.totals(counted) else { return };
                packer.word(2);
                totals.weighted.each.iter().for_each(|cell| packer.float(*cell));
                packer.float(totals.squares);
            }
        }
    }

    /// Of what is `counted` already.
    pub(super) fn unpack(reader: &mut Unpacker<'_>, counted: Cells) -> Result<Self, FrameError> {
        let refused = Err(FrameError::Content);
        match reader.word()? {
            0 => Ok(Self::None),
            1 => match reader.float()? {
                weight if weight.is_normal() && weight > 0.0 => Ok(Self::Even(weight)),
                _ => refused,
            },
            2 => {
                let mut weighted = Cells::none_like(&counted);
                for total in &mut weighted.each {
                    *total = reader.float()?;
                }
                let squares = reader.float()?;
                let whole = |rows: &f64| rows.is_finite() && *rows >= 0.0;
                let all = weighted.rows();
                // Rows of unequal weights are never worth more than as many of one.
                let most = counted.rows() * (1.0 + 1e-6) + 1.0;
                let fits = squares == 0.0 || all * all / squares <= most;
                let are_counts = weighted.each[..weighted.of_rows].iter().all(whole);
                if are_counts && whole(&squares) && fits {
                    let totals = Totals { weighted, squares, folded: counted, weight: 1.0 };
                    Ok(Self::Varied(Box::new(totals)))
                } else {
                    refused
                }
            }
            _ => refused,
        }
    }

    /// Weighted counts brought to the number of rows that they are worth; `None` where weights are even.
    pub(super) fn scaled(&self, counted: impl FnOnce() -> Cells) -> Option<Vec<f64>> {
        let Self::Varied(_) = self else { return None };
        let totals = self.totals(counted)?;
        let all = totals.weighted.rows();
        let scale = if totals.squares > 0.0 { all / totals.squares } else { 0.0 };
        Some(totals.weighted.each.iter().map(|total| total * scale).collect())
    }
}

/// A weighted count as rows.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rows")]
pub(super) fn whole(rows: f64) -> u64 {
    rows.round().max(0.0) as u64
}
