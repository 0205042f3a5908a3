//! Summaries of parts as one of the whole.
//!
//! What was counted adds up, and a mean is the mean of means by their rows; so every figure is the one of
//! all rows together. Those that cannot be had of the parts are left out: R², whose labels' spread is not
//! kept, the area under curves of several classes, and means over classes where a part kept only some.

use super::numbers::{of_moments, root};
use super::probabilities::{area_of, calibration_error_of};
use super::summary::{CalibrationBin, ClassCounts, Figure, Kind, Measure, ScoreCount, Summary};
use super::tally::{classification, with_classes};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

impl Summary {
    /// `None` without parts, and if they are not of one kind.
    pub fn merge(parts: &[&Self]) -> Option<Self> {
        let kind = parts.first()?.kind;
        if parts.iter().any(|part| part.kind != kind) {
            return None;
        }
        let rows = parts.iter().map(|part| part.rows).sum();
        let mut merged = Self { rows, kind, ..Self::default() };
        let mean = |measure| mean(measure, parts);
        if kind == Kind::Numbers {
            merged.figures.extend(mean(Measure::Mae));
            let mse = mean(Measure::Mse);
            merged.figures.extend(mse.into_iter().chain(mse.map(root)).chain(mean(Measure::Mape)));
            return Some(merged);
        }
        merged.scores = scores(parts);
        merged.calibration = calibration(parts);
        merged.figures = of_classes(rows, parts);
        merged.figures.extend(area_of(&merged.scores));
        merged.figures.extend(mean(Measure::LogLoss));
        if !merged.calibration.is_empty() {
            merged.figures.push(calibration_error_of(&merged.calibration));
        }
        Some(with_classes(merged, classes(parts)))
    }
}

/// Of a figure that is a mean over rows; `None` if a part lacks it.
fn mean(measure: Measure, parts: &[&Summary]) -> Option<Figure> {
    let figures: Option<Vec<_>> = parts.iter().map(|part| part.figure(measure)).collect();
    let figures = figures?;
    let rows: u64 = figures.iter().map(|figure| figure.rows).sum();
    let n = rows as f64;
    let value = figures.iter().map(|f| f.value * f.rows as f64).sum::<f64>() / n;
    // Squares within parts and between them: together those around the mean of all.
    let squares = figures.iter().map(|figure| {
        let rows = figure.rows as f64;
        let within = figure.variance.unwrap_or_default() * rows * (rows - 1.0).max(0.0);
        within + rows * (figure.value - value).powi(2)
    });
    let variance = (rows >= 2).then(|| squares.sum::<f64>() / (n - 1.0) / n);
    of_moments(measure, (n, value), variance)
}

/// Accuracy, and where all classes are known the means over them.
fn of_classes(rows: u64, parts: &[&Summary]) -> Vec<Figure> {
    let right = |part: &&Summary| {
        part.figure(Measure::Accuracy)
            .map_or(0, |accuracy| whole(accuracy.value * part.rows as f64))
    };
    let right: u64 = parts.iter().map(right).sum();
    let classes = classes(parts);
    let mistaken = |_: usize, _: usize| (classes.len() == 2).then_some(rows - right);
    let mut figures = classification(rows, right, &classes, mistaken);
    if parts.iter().any(|part| part.classes.len() >= Summary::MAX_CLASSES) {
        figures.truncate(1);
    }
    figures
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
fn whole(rows: f64) -> u64 {
    rows.round() as u64
}

/// By name, in the order first seen.
fn classes(parts: &[&Summary]) -> Vec<ClassCounts> {
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    let mut classes: Vec<ClassCounts> = Vec::new();
    for class in parts.iter().flat_map(|part| &part.classes) {
        let Some(place) = places.get(&class.class) else {
            places.insert(Arc::clone(&class.class), classes.len());
            classes.push(class.clone());
            continue;
        };
        let sum = &mut classes[*place];
        sum.labelled += class.labelled;
        sum.predicted += class.predicted;
        sum.right += class.right;
    }
    classes
}

/// Empty if a part has none.
fn scores(parts: &[&Summary]) -> Vec<ScoreCount> {
    if parts.iter().any(|part| part.scores.is_empty()) {
        return Vec::new();
    }
    let mut counts: BTreeMap<i16, [u64; 2]> = BTreeMap::new();
    for score in parts.iter().flat_map(|part| &part.scores) {
        let count = counts.entry(score.step).or_default();
        *count = [count[0] + score.negatives, count[1] + score.positives];
    }
    let score =
        |(step, [negatives, positives]): (i16, [u64; 2])| ScoreCount { step, negatives, positives };
    counts.into_iter().map(score).collect()
}

/// Empty if a part has none.
fn calibration(parts: &[&Summary]) -> Vec<CalibrationBin> {
    let bins = parts.iter().map(|part| part.calibration.len()).min().unwrap_or(0);
    (0..bins).map(|bin| one_bin(parts.iter().map(|part| part.calibration[bin]))).collect()
}

fn one_bin(parts: impl Iterator<Item = CalibrationBin> + Clone) -> CalibrationBin {
    let rows: u64 = parts.clone().map(|bin| bin.rows).sum();
    let right: u64 = parts.clone().map(|bin| bin.right).sum();
    if rows == 0 {
        return CalibrationBin::default();
    }
    let n = rows as f64;
    let mean_score = parts.clone().map(|bin| bin.mean_score * bin.rows as f64).sum::<f64>() / n;
    let gap = right as f64 / n - mean_score;
    let squares = parts.filter(|bin| bin.rows > 0).map(|bin| {
        let rows = bin.rows as f64;
        let own = bin.right as f64 / rows - bin.mean_score;
        bin.variance * (rows - 1.0) + rows * (own - gap).powi(2)
    });
    let variance = squares.sum::<f64>() / (n - 1.0).max(1.0);
    CalibrationBin { rows, right, mean_score, variance }
}

#[cfg(test)]
mod tests {
    use super::super::{Scorecard, Scores, Task};
    use super::*;
    use crate::decode::Cell;

    fn assert_as_one(rows: &[(f64, Scores, f64)], left_out: &[Measure]) {
        let summary = |rows: &[(f64, Scores, f64)]| {
            let mut card = Scorecard::new(Task::Auto);
            for (said, scores, label) in rows {
                assert!(card.add(Cell::Number(*said), scores, Cell::Number(*label)));
            }
            card.summary().unwrap()
        };
        let (first, second) = (summary(&rows[..300]), summary(&rows[300..]));
        let (merged, whole) = (Summary::merge(&[&first, &second]).unwrap(), summary(rows));
        assert_eq!((merged.rows, merged.kind), (whole.rows, whole.kind));
        assert_eq!((&merged.classes, &merged.scores), (&whole.classes, &whole.scores));
        for expected in &whole.figures {
            let measure = expected.measure;
            let Some(found) = merged.figure(measure) else {
                assert!(left_out.contains(&measure), "{measure:?}");
                continue;
            };
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1e-3);
            assert!(near(found.value, expected.value), "{found:?}, not {expected:?}");
            assert_eq!(found.rows, expected.rows);
            if measure != Measure::F1 {
                let (found, expected) = (found.variance.unwrap(), expected.variance.unwrap());
                assert!(near(found, expected), "{measure:?}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn figures_of_parts_are_those_of_all_rows() {
        let mut random = fastrand::Rng::with_seed(5);
        let binary = |random: &mut fastrand::Rng| {
            let score = random.f64();
            (score, Scores::Positive(score), f64::from(u8::from(random.f64() < score * score)))
        };
        let rows: Vec<_> = (0..1000).map(|_| binary(&mut random)).collect();
        assert_as_one(&rows, &[]);
        let classes = |random: &mut fastrand::Rng| {
            let said = random.usize(..3);
            let mut shares = [0.2; 3];
            shares[said] = 0.6;
            let label = if random.f64() < 0.7 { said } else { random.usize(..3) };
            (said as f64, Scores::of(&shares), label as f64)
        };
        let rows: Vec<_> = (0..1000).map(|_| classes(&mut random)).collect();
        assert_as_one(&rows, &[Measure::Auroc]);
        let numbers = |random: &mut fastrand::Rng| {
            let label = 100.0 * random.f64();
            (label + random.f64(), Scores::None, label)
        };
        let rows: Vec<_> = (0..1000).map(|_| numbers(&mut random)).collect();
        assert_as_one(&rows, &[Measure::R2]);
    }

    #[test]
    fn parts_of_different_kinds_are_no_whole() {
        let of = |kind| Summary { rows: 1, kind, ..Summary::default() };
        assert_eq!(Summary::merge(&[&of(Kind::Numbers), &of(Kind::Classes)]), None);
        assert_eq!(Summary::merge(&[]), None);
    }
}
