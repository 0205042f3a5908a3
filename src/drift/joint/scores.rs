//! A cell in, its normal score in the baseline out.

use super::Coordinate;
use crate::decode::{Cell, Column};
use crate::drift::baseline::{BaselineFeature, Content};
use crate::sketch::{Edges, FeatureCounts};
use statrs::function::erf::erfc_inv;
use std::f64::consts::{SQRT_2, TAU};
use std::sync::Arc;

/// Levels with a smaller share, or a greater one, tell little together with others.
pub(super) const SHARES: std::ops::RangeInclusive<f64> = 0.05..=0.95;

/// The score of each bin of a numeric feature, or of having a level or not: with mean 0 and variance 1
/// over the baseline.
#[derive(Debug, Clone)]
pub(super) enum Scores {
    Bins { edges: Arc<Edges>, scores: Box<[f64]> },
    Level { name: Arc<str>, level: usize, no: f64, yes: f64 },
}

/// Third and fourth moment of a standardised score: 0 and 3 for a normal one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub(super) skewness: f64,
    pub(super) kurtosis: f64,
}

impl Shape {
    fn of(cells: &[u64], scores: &[f64]) -> Option<Self> {
        let scores = standard(cells, scores)?;
        let rows = cells.iter().sum::<u64>() as f64;
        let moment = |power: i32| {
            let each =
                cells.iter().zip(&scores).map(|(cell, score)| *cell as f64 * score.powi(power));
            each.sum::<f64>() / rows
        };
        Some(Self { skewness: moment(3), kurtosis: moment(4) })
    }

    /// The larger of each.
    pub(super) fn or_worse(self, other: Self) -> Self {
        let is_worse = other.skewness.abs() > self.skewness.abs();
        let skewness = if is_worse { other.skewness } else { self.skewness };
        Self { skewness, kurtosis: self.kurtosis.max(other.kurtosis) }
    }
}

impl Scores {
    /// `None` where all rows score the same.
    pub(super) fn new(feature: &BaselineFeature, coordinate: &Coordinate) -> Option<Self> {
        match (&feature.content, coordinate.level) {
            (Content::Numeric(reference), None) => {
                let counts = &reference.counts;
                let scores = standard(counts.bins(), &normal_means(counts.bins()))?;
                Some(Self::Bins { edges: Arc::clone(counts.edges()), scores: scores.into() })
            }
            (Content::Categorical(reference), Some(level)) => {
                let counts = &reference.counts;
                let with = *counts.level_rows().get(level)?;
                let scores = standard(&[counts.values() - with, with], &[0.0, 1.0])?;
                let name = Arc::clone(&counts.levels().names()[level]);
                Some(Self::Level { name, level, no: scores[0], yes: scores[1] })
            }
            _ => None,
        }
    }

    /// Scores of a column's cells; 0, the mean, where there is no value of the feature's kind.
    pub(super) fn score(&self, column: &Column, into: &mut [f64]) {
        match self {
            Self::Bins { edges, scores } => {
                if let Some(numbers) = column.as_numbers() {
                    let of = |number: &f64| bin_score(edges, scores, *number);
                    into.iter_mut().zip(numbers).for_each(|(score, number)| *score = of(number));
                    return;
                }
                for (score, cell) in into.iter_mut().zip(column.cells()) {
                    if let Cell::Number(number) = cell {
                        *score = bin_score(edges, scores, number);
                    }
                }
            }
            Self::Level { name, no, yes, .. } => {
                for (score, cell) in into.iter_mut().zip(column.cells()) {
                    *score = match cell {
                        Cell::Text(text) if *text == **name => *yes,
                        Cell::Bool(true) if **name == *"true" => *yes,
                        Cell::Bool(false) if **name == *"false" => *yes,
                        Cell::Text(_) | Cell::Bool(_) => *no,
                        Cell::Number(_) | Cell::Null => 0.0,
                    };
                }
            }
        }
    }

    pub(super) fn of_number(&self, number: f64) -> f64 {
        match self {
            Self::Bins { edges, scores } => bin_score(edges, scores, number),
            Self::Level { .. } => 0.0,
        }
    }

    /// The skewness and the kurtosis of a window's scores; `None` where all rows score the same.
    pub(super) fn shape(&self, counts: &FeatureCounts) -> Option<Shape> {
        match (self, counts) {
            (Self::Bins { scores, .. }, FeatureCounts::Numeric(counts)) => {
                Shape::of(counts.bins(), scores)
            }
            (Self::Level { level, no, yes, .. }, FeatureCounts::Categorical(counts)) => {
                let with = *counts.level_rows().get(*level)?;
                Shape::of(&[counts.values() - with, with], &[*no, *yes])
            }
            _ => None,
        }
    }

    /// How far a window's scores go along with its own normal scores: the factor by which coarse bins,
    /// values beyond the baseline's and missing ones lessen a correlation. `rows` are those of the window,
    /// with the feature or without. `None` where all rows score the same.
    pub(super) fn along(&self, counts: &FeatureCounts, rows: f64) -> Option<f64> {
        match (self, counts) {
            (Self::Bins { scores, .. }, FeatureCounts::Numeric(counts)) => {
                along(counts.bins(), scores, rows)
            }
            (Self::Level { level, no, yes, .. }, FeatureCounts::Categorical(counts)) => {
                let with = *counts.level_rows().get(*level)?;
                along(&[counts.values() - with, with], &[*no, *yes], rows)
            }
            _ => None,
        }
    }
}

fn bin_score(edges: &Edges, scores: &[f64], number: f64) -> f64 {
    if number.is_finite() { scores[edges.bin(number)] } else { 0.0 }
}

/// The correlation of cells' scores with a normal variable that ranks all values, times the root of the
/// share that has a value: by that factor a correlation with another such variable is less than that of
/// the two normal ones (the first term of Mehler's formula).
fn along(cells: &[u64], scores: &[f64], rows: f64) -> Option<f64> {
    let values = cells.iter().sum::<u64>() as f64;
    let scores = standard(cells, scores)?;
    let means = normal_means(cells);
    let products = cells.iter().zip(scores.iter().zip(&means));
    let sum: f64 = products.map(|(cell, (score, mean))| *cell as f64 * score * mean).sum();
    Some(sum / values * (values / rows.max(values)).sqrt())
}

/// The mean, in each cell, of a normal variable that has the cells' shares in their order.
fn normal_means(cells: &[u64]) -> Vec<f64> {
    let all = cells.iter().sum::<u64>().max(1) as f64;
    let mut below = 0;
    let mut density_below = 0.0;
    let mean = |cell: &u64| {
        below += cell;
        let density = density_at(below as f64 / all);
        let mean = if *cell == 0 { 0.0 } else { (density_below - density) * all / *cell as f64 };
        density_below = density;
        mean
    };
    cells.iter().map(mean).collect()
}

/// Of the normal distribution, at the quantile of a share.
fn density_at(share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let quantile = SQRT_2 * erfc_inv(2.0 * share);
    (-quantile * quantile / 2.0).exp() / TAU.sqrt()
}

/// With mean 0 and variance 1 over the cells' rows. A cell that has none gets what follows from the
/// others' scale.
fn standard(cells: &[u64], scores: &[f64]) -> Option<Vec<f64>> {
    let rows = cells.iter().sum::<u64>() as f64;
    let mean_of = |of: &dyn Fn(f64) -> f64| {
        cells.iter().zip(scores).map(|(rows, score)| *rows as f64 * of(*score)).sum::<f64>() / rows
    };
    let mean = mean_of(&|score| score);
    let sigma = mean_of(&|score| (score - mean).powi(2)).sqrt();
    (sigma > 1e-9).then(|| scores.iter().map(|score| (score - mean) / sigma).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_normal_cells_agree_with_scipy() {
        // scipy.stats.norm.expect(lb=…, ub=…, conditional=True) for quarters: -1.271 106, -0.324 662
        let means = normal_means(&[25, 25, 0, 25, 25]);
        for (mean, expected) in
            means.iter().zip([-1.271_106, -0.324_662, 0.0, 0.324_662, 1.271_106])
        {
            assert!((mean - expected).abs() < 1e-5, "{mean}");
        }
    }

    #[test]
    fn coarse_bins_and_missing_values_lessen_what_goes_along() {
        let fine = along(&[10; 100], &normal_means(&[10; 100]), 1000.0).unwrap();
        assert!(fine > 0.995 && fine < 1.0, "{fine}");
        // A sign: the root of 2 / π.
        let sign = along(&[500, 500], &[-1.0, 1.0], 1000.0).unwrap();
        assert!((sign - 0.797_885).abs() < 1e-5, "{sign}");
        let half = along(&[250, 250], &[-1.0, 1.0], 1000.0).unwrap();
        assert!((half / sign - 0.5_f64.sqrt()).abs() < 1e-9);
        assert_eq!(along(&[0, 9], &[-1.0, 1.0], 9.0), None);
    }
}
