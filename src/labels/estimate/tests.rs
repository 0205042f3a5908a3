//! Against `NannyML`'s estimates, and against what came true in simulations. Seeds are fixed.

use super::calibration::Calibration;
use super::counts::{Histogram, LabelledCounts, MAX_CLASSES};
use super::figures::{Estimated, Figures, figures};
use super::matrix;
use super::scores::RowScores;
use fastrand::Rng;
use serde_json::Value as Json;

/// A scored row and its label.
type Row = (RowScores, usize);

fn reference(rows: &[Row]) -> Calibration {
    let mut counts = LabelledCounts::default();
    assert!(rows.iter().all(|(scores, label)| counts.add(scores, Some(*label))));
    Calibration::fit(&counts).unwrap()
}

fn estimate(rows: &[Row], calibration: &Calibration) -> Figures {
    let mut window = Histogram::default();
    assert!(rows.iter().all(|(scores, _)| window.add(scores)));
    figures(&window, calibration).unwrap()
}

fn likeliest(scores: &[f64]) -> usize {
    let better =
        |best: usize, class: usize| if scores[class] > scores[best] { class } else { best };
    (0..scores.len()).reduce(better).unwrap()
}

/// Rows of a fixture by part: the reference and windows `w0`, `w1`, `w2`.
fn fixture(text: &str, part: &str) -> Vec<Row> {
    let rows = text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    let of_part = rows.filter(|cells| cells[0] == part);
    let row = |cells: Vec<&str>| {
        let (label, scores) = cells[1..].split_last().unwrap();
        let scores: Vec<f64> = scores.iter().map(|score| score.parse().unwrap()).collect();
        let row = match *scores {
            [score] => RowScores::binary(score, None),
            _ => RowScores::of_classes(&scores, likeliest(&scores)),
        };
        (row.unwrap(), label.parse().unwrap())
    };
    of_part.map(row).collect()
}

/// `tests/fixtures/estimate/make.py` has the expressions. The tolerances are an eighth and a quarter of the
/// standard error of a window's accuracy, 0.02: counts by cell are a little less keen than rows, and probabilities of several
/// classes add up to 1 over the window.
fn assert_as_nannyml(name: &str, text: &str, tolerance: f64) {
    let expected = include_str!("../../../tests/fixtures/estimate/expected.json");
    let expected: Json = serde_json::from_str(expected).unwrap();
    let calibration = reference(&fixture(text, "reference"));
    for window in 0..3 {
        let rows = fixture(text, &format!("w{window}"));
        assert_eq!(rows.len(), 500);
        let found = estimate(&rows, &calibration);
        let expected = &expected[name][window];
        for (measure, found) in named(&found) {
            let (expected, found) = (expected[measure].as_f64().unwrap(), found.unwrap().value);
            let difference = (found - expected).abs();
            assert!(difference < tolerance, "{name} {window} {measure}: {found}, not {expected}");
        }
    }
}

fn named(figures: &Figures) -> [(&'static str, Option<Estimated>); 5] {
    [
        ("accuracy", Some(figures.accuracy)),
        ("precision", Some(figures.precision)),
        ("recall", Some(figures.recall)),
        ("f1", Some(figures.f1)),
        ("roc_auc", figures.auroc),
    ]
}

#[test]
fn estimates_of_two_classes_are_those_of_nannyml() {
    let text = include_str!("../../../tests/fixtures/estimate/binary.csv");
    assert_as_nannyml("binary", text, 0.0025);
}

#[test]
fn estimates_of_three_classes_are_those_of_nannyml() {
    let text = include_str!("../../../tests/fixtures/estimate/classes.csv");
    assert_as_nannyml("classes", text, 0.005);
}

/// A stream whose scores are not probabilities, of rows that may move while the concept stays.
#[derive(Debug, Clone, Copy)]
struct Stream {
    classes: usize,
    /// Of log-odds: what a score claims, over what is so.
    claimed: f64,
    base: f64,
}

fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

fn sigmoid(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

impl Stream {
    fn row(&self, random: &mut Rng, (shift, scale): (f64, f64)) -> Row {
        if self.classes == 2 {
            let odds = 2.0 * (shift + scale * normal(random)) + self.base;
            let scores = RowScores::binary(sigmoid(odds * self.claimed), None);
            return (scores.unwrap(), usize::from(random.f64() < sigmoid(odds)));
        }
        let mut odds: Vec<f64> = (0..self.classes).map(|_| 1.5 * normal(random)).collect();
        odds[0] += shift;
        let softmax = |sharpness: f64| {
            let raw: Vec<f64> = odds.iter().map(|odds| (sharpness * odds).exp()).collect();
            let sum: f64 = raw.iter().sum();
            raw.into_iter().map(|raw| raw / sum).collect::<Vec<_>>()
        };
        let (truth, scores) = (softmax(1.0), softmax(self.claimed));
        let mut left = random.f64();
        let label = truth.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        let row = RowScores::of_classes(&scores, likeliest(&scores));
        (row.unwrap(), label.unwrap_or(self.classes - 1))
    }

    fn rows(&self, random: &mut Rng, rows: usize, moved: (f64, f64)) -> Vec<Row> {
        (0..rows).map(|_| self.row(random, moved)).collect()
    }
}

fn realised(rows: &[Row]) -> [Option<f64>; 5] {
    let mut counts = LabelledCounts::default();
    for (scores, label) in rows {
        assert!(counts.add(scores, Some(*label)));
    }
    let had = matrix::had(&counts).unwrap();
    [Some(had.accuracy), Some(had.precision), Some(had.recall), Some(had.f1), had.auroc]
}

/// Of each figure, how many of the windows could be compared and in how many the interval held it.
fn held(
    stream: Stream,
    reference_rows: usize,
    window: usize,
    moved: (f64, f64),
) -> [(u32, u32); 5] {
    let mut held = [(0, 0); 5];
    for seed in 0..40 {
        let mut random = Rng::with_seed(seed);
        let calibration = reference(&stream.rows(&mut random, reference_rows, (0.0, 1.0)));
        let rows = stream.rows(&mut random, window, moved);
        let estimated = named(&estimate(&rows, &calibration));
        for ((held, (_, estimated)), realised) in
            held.iter_mut().zip(estimated).zip(realised(&rows))
        {
            if let (Some(estimated), Some(realised)) = (estimated, realised) {
                let (low, high) = estimated.interval();
                held.0 += 1;
                held.1 += u32::from((low - 1e-9..=high + 1e-9).contains(&realised));
            }
        }
    }
    held
}

/// Of the windows of each stream together; and in no corner of it is it less than eight of ten.
#[test]
fn nine_realised_figures_of_ten_lie_in_the_interval_wherever_the_rows_move() {
    for (classes, claimed, base) in [(2, 1.0, 0.0), (2, 0.4, 0.0), (2, 2.0, -3.0), (4, 2.0, 0.0)] {
        let stream = Stream { classes, claimed, base };
        let mut all = [(0, 0); 5];
        for moved in [(0.0, 1.0), (0.8, 1.0), (-1.0, 0.7), (2.5, 0.5)] {
            for (reference_rows, window) in [(306, 200), (3000, 1000)] {
                let held = held(stream, reference_rows, window, moved);
                for (all, (windows, inside)) in all.iter_mut().zip(held) {
                    let rows = (reference_rows, window);
                    let told = format!("{stream:?} moved {moved:?}, {rows:?} rows: {held:?}");
                    assert!(10 * inside >= 8 * windows, "{told}");
                    *all = (all.0 + windows, all.1 + inside);
                }
            }
        }
        for (windows, inside) in all {
            assert!(windows > 200 && 10 * inside >= 9 * windows, "{stream:?}: {all:?}");
        }
    }
}

#[test]
fn estimates_are_nearer_than_assuming_no_change() {
    let stream = Stream { classes: 2, claimed: 2.0, base: 0.0 };
    let (mut estimated_error, mut unchanged_error) = (0.0, 0.0);
    for seed in 0..20 {
        let mut random = Rng::with_seed(seed);
        let before = stream.rows(&mut random, 5000, (0.0, 1.0));
        let calibration = reference(&before);
        let rows = stream.rows(&mut random, 1000, (1.0, 1.0));
        let realised = realised(&rows)[0].unwrap();
        estimated_error += (estimate(&rows, &calibration).accuracy.value - realised).abs();
        unchanged_error += (self::realised(&before)[0].unwrap() - realised).abs();
    }
    assert!(estimated_error < 0.25 * unchanged_error, "{estimated_error} of {unchanged_error}");
}

#[test]
fn a_small_reference_and_unseen_scores_widen_the_interval() {
    let stream = Stream { classes: 2, claimed: 1.0, base: 0.0 };
    let mut random = Rng::with_seed(1);
    let rows = stream.rows(&mut random, 1000, (0.0, 1.0));
    let width = |reference_rows: &[Row], rows: &[Row]| {
        let (low, high) = estimate(rows, &reference(reference_rows)).accuracy.interval();
        high - low
    };
    let large = stream.rows(&mut random, 20_000, (0.0, 1.0));
    let usual = width(&large, &rows);
    assert!(width(&large[..306], &rows) > 1.5 * usual);
    // The reference knows scores below a half only.
    let below: Vec<Row> =
        large.iter().filter(|(scores, _)| scores.predicted() == 0).cloned().collect();
    assert!(width(&below, &rows) > 4.0 * usual);
}

#[test]
fn counts_of_parts_add_up_and_rows_can_be_taken_out() {
    let stream = Stream { classes: 4, claimed: 2.0, base: 0.0 };
    let rows = stream.rows(&mut Rng::with_seed(3), 500, (0.0, 1.0));
    let count = |rows: &[Row]| {
        let mut counts = LabelledCounts::default();
        for (scores, label) in rows {
            assert!(counts.add(scores, Some(*label)));
        }
        counts
    };
    let whole = count(&rows);
    let mut merged = count(&rows[..200]);
    assert!(merged.merge(&count(&rows[200..])));
    assert_eq!(merged, whole);
    for (scores, label) in &rows[200..] {
        assert!(merged.remove(scores, Some(*label)));
    }
    assert_eq!(merged, count(&rows[..200]));
}

#[test]
fn a_model_that_only_says_0_or_1_has_no_scores_to_go_by() {
    let mut counts = LabelledCounts::default();
    for row in 0..1000_usize {
        let said = (row % 2) as f64;
        assert!(counts.add(&RowScores::binary(said, None).unwrap(), Some(row % 2)));
    }
    assert!(Calibration::fit(&counts).is_none());
}

#[test]
fn what_is_no_probability_is_no_score() {
    assert_eq!(RowScores::binary(1.5, None), None);
    assert_eq!(RowScores::binary(f64::NAN, None), None);
    assert_eq!(RowScores::binary(0.5, Some(2)), None);
    assert_eq!(RowScores::of_classes(&[0.5, 0.2, 0.3], 3), None);
    assert_eq!(RowScores::of_classes(&[0.2; MAX_CLASSES + 1], 0), None);
    let mut counts = LabelledCounts::default();
    let row = RowScores::binary(0.7, None).unwrap();
    assert!(!counts.add(&row, None) && !counts.add(&row, Some(2)) && counts.rows() == 0);
}
