//! Rows of a reference in; how their scores go together out, once its bins are fixed.
//!
//! Bins are known only at the end, so a sample of whole rows is kept until then: all of them up to a
//! bound, and from there on each with equal chance (Vitter's algorithm R, 1985), by a coin whose seed is
//! fixed, so that the same rows give the same baseline.

use super::eigen::Square;
use super::moments::Moments;
use super::scores::{SHARES, Scores};
use super::{Coordinate, Joint, MAX_COORDINATES, pairs, pairs_of};
use crate::decode::{Cell, Column, Rows};
use crate::drift::baseline::{BaselineFeature, Content};
use crate::sketch::{Levels, Role};
use fastrand::Rng;
use std::collections::HashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Rows that are kept: correlations are known to 0.011 then.
const MAX_ROWS: u64 = 8192;
const MAX_NUMERIC: usize = MAX_COORDINATES;
const MAX_CATEGORICAL: usize = 16;
const WIDTH: usize = MAX_NUMERIC + MAX_CATEGORICAL;
/// Of numbers, so that levels have a place beside many of them.
const NUMERIC_BESIDE_LEVELS: usize = 24;
const LEVELS_OF_A_FEATURE: usize = 3;
/// Fewer rows tell no correlation.
const MIN_ROWS: usize = 100;
/// A number that is not one.
const MISSING: u64 = u64::MAX;

#[derive(Debug)]
pub(in crate::drift) struct Reservoir {
    random: Rng,
    seen: u64,
    columns: HashMap<Arc<str>, Kept>,
    of_kind: [usize; 2],
    /// [`WIDTH`] cells a row: numbers as their bits, levels as their hash.
    cells: Vec<u64>,
    /// Where the rows of the payload at hand go.
    places: Vec<Option<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Number(usize),
    Level(usize),
    Not,
}

impl Default for Reservoir {
    fn default() -> Self {
        Self {
            random: Rng::with_seed(0x7461_6666_7261_696c),
            seen: 0,
            columns: HashMap::new(),
            of_kind: [0; 2],
            cells: Vec::new(),
            places: Vec::new(),
        }
    }
}

impl Reservoir {
    pub(in crate::drift) fn observe(&mut self, rows: &Rows, admits: impl Fn(&str) -> bool) {
        self.place(rows.len());
        if self.places.iter().all(Option::is_none) {
            return;
        }
        for column in rows.columns() {
            let kept = match self.columns.get(column.name()) {
                Some(kept) => *kept,
                None => self.admit(column, &admits),
            };
            let filled = column.cells().zip(&self.places);
            let filled = filled.filter_map(|(cell, place)| Some((cell, (*place)?)));
            for (cell, row) in filled {
                let (at, bits) = match (kept, cell) {
                    (Kept::Number(at), Cell::Number(number)) if number.is_finite() => {
                        (at, number.to_bits())
                    }
                    (Kept::Level(at), Cell::Text(text)) => (at, hash(text)),
                    (Kept::Level(at), Cell::Bool(true)) => (at, hash("true")),
                    (Kept::Level(at), Cell::Bool(false)) => (at, hash("false")),
                    _ => continue,
                };
                self.cells[row * WIDTH + at] = bits;
            }
        }
    }

    fn place(&mut self, rows: usize) {
        self.places.clear();
        for _ in 0..rows {
            let place = if self.seen < MAX_ROWS {
                self.cells.resize(self.cells.len() + WIDTH, MISSING);
                Some(self.seen)
            } else {
                Some(self.random.u64(0..=self.seen)).filter(|place| *place < MAX_ROWS)
            };
            self.seen += 1;
            let place = place.and_then(|place| usize::try_from(place).ok());
            if let Some(row) = place {
                self.cells[row * WIDTH..][..WIDTH].fill(MISSING);
            }
            self.places.push(place);
        }
    }

    /// What a column's first value is, it is taken for; one without any is asked again.
    fn admit(&mut self, column: &Column, admits: impl Fn(&str) -> bool) -> Kept {
        let first = column.cells().find(|cell| !matches!(cell, Cell::Null));
        let kind = match first {
            None => return Kept::Not,
            Some(Cell::Number(_)) => 0,
            Some(_) => 1,
        };
        let taken = &mut self.of_kind[kind];
        let kept = match (kind, admits(column.name())) {
            (0, true) if *taken < MAX_NUMERIC => Kept::Number(*taken),
            (1, true) if *taken < MAX_CATEGORICAL => Kept::Level(MAX_NUMERIC + *taken),
            _ => Kept::Not,
        };
        *taken += usize::from(kept != Kept::Not);
        if self.columns.len() < 8 * WIDTH {
            self.columns.insert(Arc::clone(column.name()), kept);
        }
        kept
    }

    /// By the bins of the finished features. `None` with too few rows, or fewer than two features whose
    /// values vary.
    pub(in crate::drift) fn finish(self, features: &[BaselineFeature]) -> Option<Joint> {
        let rows = self.cells.len() / WIDTH;
        if rows < MIN_ROWS {
            return None;
        }
        let (coordinates, scores): (Vec<_>, Vec<_>) = self
            .coordinates(features)
            .into_iter()
            .filter_map(|coordinate| {
                let scores = Scores::new(&features[coordinate.feature], &coordinate)?;
                Some((coordinate, scores))
            })
            .unzip();
        if coordinates.len() < 2 {
            return None;
        }
        let each = coordinates.iter().zip(&scores);
        let matrix: Vec<f64> = each
            .flat_map(|(coordinate, scores)| {
                let kept = self.columns.get(&features[coordinate.feature].key().name);
                let kept = kept.copied().unwrap_or(Kept::Not);
                self.cells.chunks_exact(WIDTH).map(move |row| score(row, kept, scores))
            })
            .collect();
        Some(Joint::of(coordinates, &matrix, rows))
    }

    fn coordinates(&self, features: &[BaselineFeature]) -> Vec<Coordinate> {
        let (mut numbers, mut levels) = (Vec::new(), Vec::new());
        for (place, feature) in features.iter().enumerate() {
            if feature.key().role != Role::Input {
                continue;
            }
            match (self.columns.get(&feature.key().name), &feature.content) {
                (Some(Kept::Number(_)), Content::Numeric(_)) => {
                    numbers.push(Coordinate { feature: place, level: None });
                }
                (Some(Kept::Level(_)), Content::Categorical(reference)) => {
                    let counts = &reference.counts;
                    let all = counts.values().max(1) as f64;
                    let often = counts.level_rows().iter().enumerate();
                    let often = often.filter(|(_, rows)| SHARES.contains(&(**rows as f64 / all)));
                    // Of two levels, each says what the other does.
                    let most = LEVELS_OF_A_FEATURE.min(counts.levels().len().saturating_sub(1));
                    let level = |(level, _)| Coordinate { feature: place, level: Some(level) };
                    levels.extend(often.take(most).map(level));
                }
                _ => {}
            }
        }
        let beside = MAX_COORDINATES - levels.len().min(MAX_COORDINATES - NUMERIC_BESIDE_LEVELS);
        numbers.truncate(beside);
        levels.truncate(MAX_COORDINATES - numbers.len());
        numbers.into_iter().chain(levels).collect()
    }
}

fn hash(text: &str) -> u64 {
    // That one of all hashes stands for a missing value is no matter.
    xxh3_64(Levels::bounded(text).as_bytes())
}

fn score(row: &[u64], kept: Kept, scores: &Scores) -> f64 {
    match (kept, scores) {
        (Kept::Number(at), Scores::Bins { .. }) if row[at] != MISSING => {
            scores.of_number(f64::from_bits(row[at]))
        }
        (Kept::Level(at), Scores::Level { name, no, yes, .. }) if row[at] != MISSING => {
            if row[at] == hash(name) { *yes } else { *no }
        }
        _ => 0.0,
    }
}

impl Joint {
    /// Of scores, `rows` of each coordinate one after another.
    fn of(coordinates: Vec<Coordinate>, scores: &[f64], rows: usize) -> Self {
        let size = coordinates.len();
        let mut moments = Moments::new(size);
        moments.add(scores, rows);
        let correlations = moments.correlations();
        let square = Square::of_pairs(size, &correlations);
        let components = square.components(rows as f64);
        let left = square.left_over(components);
        let standard: Vec<Vec<f64>> = scores.chunks_exact(rows).map(standardised).collect();
        let mut influence = vec![0.0; rows];
        let mut spreads = Vec::with_capacity(pairs_of(size));
        for ((second, first), correlation) in pairs(size).zip(&correlations) {
            let weight = 2.0 * left.at(second, first);
            let (a, b) = (&standard[second], &standard[first]);
            let mut squares = 0.0;
            for ((a, b), influence) in a.iter().zip(b).zip(&mut influence) {
                // A row's part in the error of a correlation whose means and σ are estimated too.
                let part = a * b - correlation * f64::midpoint(a * a, b * b);
                squares += part * part;
                *influence += weight * part;
            }
            spreads.push((squares / rows as f64).sqrt());
        }
        let squares: f64 = influence.iter().map(|part| part * part).sum();
        let reconstruction_spread = (squares / rows as f64).sqrt() / size as f64;
        let own = left.share_of(pairs(size).zip(correlations.iter().copied()));
        Self {
            rows: rows as u64,
            coordinates,
            spreads,
            reconstruction_spread,
            reconstruction_optimism: optimism(scores, rows, size, components, own),
            correlations,
        }
    }
}

/// Components of one half of the rows leave more of the other half than components of all leave of all.
/// What chance adds is in proportion to one over the rows, on either side: two thirds of that is what the
/// components of all leave more of rows that they have not seen.
fn optimism(scores: &[f64], rows: usize, size: usize, components: usize, own: f64) -> f64 {
    let half = |which: usize| {
        let of = |scores: &[f64]| scores.iter().skip(which).step_by(2).copied().collect::<Vec<_>>();
        let scores: Vec<f64> = scores.chunks_exact(rows).flat_map(of).collect();
        let mut moments = Moments::new(size);
        moments.add(&scores, (rows - which).div_ceil(2));
        moments.correlations()
    };
    let (even, odd) = (half(0), half(1));
    let left = |by: &[f64], of: &[f64]| {
        let left = Square::of_pairs(size, by).left_over(components);
        left.share_of(pairs(size).zip(of.iter().copied()))
    };
    let crossed = f64::midpoint(left(&even, &odd), left(&odd, &even));
    (2.0 / 3.0 * (crossed - own)).max(0.0)
}

fn standardised(scores: &[f64]) -> Vec<f64> {
    let rows = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / rows;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / rows;
    let sigma = variance.sqrt().max(1e-9);
    scores.iter().map(|score| (score - mean) / sigma).collect()
}
