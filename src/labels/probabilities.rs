//! Probabilities against what came true: how well they order rows, and how far they can be believed.

use std::collections::BTreeMap;

use super::grid;
use super::interval::{self, Interval};
use super::numbers::{figure, mean};
use super::summary::{CalibrationBin, Figure, Measure, ScoreCount};
use super::sums::{Mean, Sum, whole};
use crate::decode::Cell;

/// What a model said of the classes of a row, beside its prediction.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Scores {
    #[default]
    None,
    /// The probability of class 1, against class 0.
    Positive(f64),
    /// Of each class, by its number; three or more.
    Classes(Box<[f32]>),
}

impl Scores {
    /// With more classes, areas under curves are not computed: each class takes a histogram a window.
    pub const MAX_CLASSES: usize = 20;

    /// From the probabilities of all classes, in order.
    pub fn of(shares: &[f64]) -> Self {
        match shares {
            [_, positive] => Self::Positive(*positive),
            [_, _, _, ..] if shares.len() <= Self::MAX_CLASSES => {
                #[expect(clippy::cast_possible_truncation, reason = "finer than the grid")]
                let shares = shares.iter().map(|share| *share as f32).collect();
                Self::Classes(shares)
            }
            _ => Self::None,
        }
    }

    /// The prediction that they stand for: of two classes the probability of class 1, of several the number
    /// of the likeliest.
    pub fn likeliest(&self) -> Option<Cell<'static>> {
        match self {
            Self::None => None,
            Self::Positive(score) => Some(Cell::Number(*score)),
            Self::Classes(shares) => Some(Cell::Number(greatest(shares) as f64)),
        }
    }
}

/// Where the greatest is, the first of equals; 0 of none.
pub(super) fn greatest<T: PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}

/// Counts by score, by whether the class was true.
#[derive(Debug, Clone, Default)]
struct Histogram {
    counts: BTreeMap<i16, [u64; 2]>,
}

impl Histogram {
    fn add(&mut self, step: i16, is_true: bool, sign: f64) {
        let counts = self.counts.entry(step).or_default();
        let count = &mut counts[usize::from(is_true)];
        *count = if sign > 0.0 { *count + 1 } else { count.saturating_sub(1) };
        if *counts == [0, 0] {
            self.counts.remove(&step);
        }
    }

    fn totals(&self) -> [u64; 2] {
        self.counts.values().fold([0, 0], |[m, n], counts| [m + counts[0], n + counts[1]])
    }

    /// The chance that a row of the class has a higher score than one that is not, rows of one step
    /// counting half, and its variance (`DeLong` and others, Biometrics 44, 1988; both from placements,
    /// as Sun and Xu, IEEE Signal Processing Letters 21, 2014). `None` if either kind is missing.
    fn area(&self) -> Option<Area> {
        let [negatives, positives] = self.totals();
        if negatives == 0 || positives == 0 {
            return None;
        }
        let (m, n) = (negatives as f64, positives as f64);
        let (mut below, mut seen) = ([0.0, 0.0], Placements::default());
        for counts in self.counts.values().map(|counts| counts.map(|count| count as f64)) {
            seen.positives.add(counts[1], (below[0] + counts[0] / 2.0) / m);
            seen.negatives.add(counts[0], 1.0 - (below[1] + counts[1] / 2.0) / n);
            below = [below[0] + counts[0], below[1] + counts[1]];
        }
        let mut variance = seen.positives.variance(n) / n + seen.negatives.variance(m) / m;
        let value = seen.positives.sum / n;
        // One row of a kind has no variance, and a handful has too little.
        if negatives.min(positives) < FEW {
            variance = variance.max(interval::area_of_few(value, negatives, positives));
        }
        Some(Area { value, variance, negatives, positives })
    }
}

/// With fewer rows of a kind their placements are not relied on.
const FEW: u64 = 50;

/// Where the rows of each kind stand among those of the other.
#[derive(Debug, Default)]
struct Placements {
    negatives: Placed,
    positives: Placed,
}

#[derive(Debug, Default)]
struct Placed {
    sum: f64,
    squares: f64,
}

impl Placed {
    fn add(&mut self, rows: f64, placement: f64) {
        self.sum += rows * placement;
        self.squares += rows * placement * placement;
    }

    fn variance(&self, rows: f64) -> f64 {
        (self.squares - self.sum * self.sum / rows).max(0.0) / (rows - 1.0).max(1.0)
    }
}

#[derive(Debug, Clone, Copy)]
struct Area {
    value: f64,
    variance: f64,
    negatives: u64,
    positives: u64,
}

impl Area {
    fn interval(self) -> Interval {
        // What is left of rounding is no spread.
        if self.value <= 0.0 || self.value >= 1.0 || self.variance < 1e-14 {
            return interval::extreme_area(self.value.round(), self.negatives, self.positives);
        }
        interval::logit(self.value, self.variance)
    }
}

/// Sums over the rows whose probabilities are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Probabilities {
    rows: u64,
    /// One class against the other, or each of several against the rest.
    by_class: Vec<Histogram>,
    loss: Mean,
    calibration: [Calibration; 10],
}

#[derive(Debug, Clone, Copy, Default)]
struct Calibration {
    right: u64,
    scores: Sum,
    /// Of the outcome less the score.
    residual: Mean,
}

/// `log_loss` of scikit-learn clips to the rounding of a float, so that a sure error costs 36.
fn loss(said_of_the_truth: f64) -> f64 {
    -said_of_the_truth.clamp(f64::EPSILON, 1.0).ln()
}

impl Probabilities {
    /// A probability of class 1, and whether that was true.
    pub(super) fn add_positive(&mut self, score: f64, is_true: bool, sign: f64) {
        self.count(sign);
        self.histogram(0).add(grid::step(score), is_true, sign);
        self.loss.add(loss(if is_true { score } else { 1.0 - score }), sign);
        self.calibrate(score, is_true, sign);
    }

    /// Probabilities of several classes, and which was true.
    pub(super) fn add_classes(&mut self, shares: &[f32], truth: usize, sign: f64) {
        let Some(said) = shares.get(truth) else { return };
        self.count(sign);
        let likeliest = greatest(shares);
        for (class, share) in shares.iter().enumerate() {
            // Eight steps in one: there may be twenty classes a window.
            let step = grid::step(f64::from(*share)).div_euclid(Self::COARSER) * Self::COARSER;
            self.histogram(class).add(step, class == truth, sign);
        }
        self.loss.add(loss(f64::from(*said)), sign);
        self.calibrate(f64::from(shares[likeliest]), likeliest == truth, sign);
    }

    const COARSER: i16 = 8;

    fn count(&mut self, sign: f64) {
        self.rows = if sign > 0.0 { self.rows + 1 } else { self.rows.saturating_sub(1) };
    }

    fn histogram(&mut self, class: usize) -> &mut Histogram {
        if self.by_class.len() <= class {
            self.by_class.resize_with(class + 1, Histogram::default);
        }
        &mut self.by_class[class]
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    fn calibrate(&mut self, score: f64, is_true: bool, sign: f64) {
        let bin = &mut self.calibration[(score * 10.0).clamp(0.0, 9.0) as usize];
        if is_true {
            bin.right = if sign > 0.0 { bin.right + 1 } else { bin.right.saturating_sub(1) };
        }
        bin.scores.add(sign * score);
        bin.residual.add(f64::from(u8::from(is_true)) - score, sign);
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// What is held in memory, in entries of histograms.
    pub(super) fn cells(&self) -> usize {
        self.by_class.iter().map(|histogram| histogram.counts.len()).sum()
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        if self.rows == 0 {
            return Vec::new();
        }
        let mut figures: Vec<_> = self.area().into_iter().collect();
        figures.extend(mean(Measure::LogLoss, self.loss));
        figures.push(calibration_error_of(&self.calibration()));
        figures
    }

    /// Over classes the unweighted mean (`multi_class="ovr"` of scikit-learn), over those that have rows
    /// and lack some. Its standard error is at most the mean of theirs, which is what is given.
    fn area(&self) -> Option<Figure> {
        let areas: Vec<_> = self.by_class.iter().filter_map(Histogram::area).collect();
        let count = areas.len() as f64;
        let value = areas.iter().map(|area| area.value).sum::<f64>() / count;
        let error = areas.iter().map(|area| area.variance.sqrt()).sum::<f64>() / count;
        let interval = match areas.as_slice() {
            [] => return None,
            [one] => one.interval(),
            _ => {
                let parts: Vec<_> = areas.iter().map(|a| (a.value, a.interval())).collect();
                interval::of_mean(&parts, |_, _| 1.0)
            }
        };
        Some(figure(Measure::Auroc, value, Some(interval), Some(error * error), self.rows))
    }

    pub(super) fn calibration(&self) -> Vec<CalibrationBin> {
        if self.rows == 0 {
            return Vec::new();
        }
        let bin = |bin: &Calibration| {
            let rows = whole(bin.residual.rows());
            CalibrationBin {
                rows,
                right: bin.right,
                mean_score: if rows == 0 { 0.0 } else { bin.scores.value() / rows as f64 },
                variance: bin.residual.variance(),
            }
        };
        self.calibration.iter().map(bin).collect()
    }

    /// Of class 1 where there are two.
    pub(super) fn counts(&self) -> Vec<ScoreCount> {
        let [histogram] = self.by_class.as_slice() else { return Vec::new() };
        let count = |(step, [negatives, positives]): (&i16, &[u64; 2])| ScoreCount {
            step: *step,
            negatives: *negatives,
            positives: *positives,
        };
        histogram.counts.iter().map(count).collect()
    }
}

/// The area of counts by score of class 1.
pub(super) fn area_of(scores: &[ScoreCount]) -> Option<Figure> {
    let mut histogram = Histogram::default();
    for score in scores {
        histogram.counts.insert(score.step, [score.negatives, score.positives]);
    }
    let area = histogram.area()?;
    let rows = area.negatives + area.positives;
    Some(figure(Measure::Auroc, area.value, Some(area.interval()), Some(area.variance), rows))
}

/// Expected calibration error over ten bins (Naeini and others, AAAI 2015; of several classes with the
/// likeliest, Guo and others, ICML 2017). A small sample overstates it: where nothing is wrong, a bin's gap
/// of standard error s is √(2/π) s on average. So its interval reaches down by that much more.
pub(super) fn calibration_error_of(bins: &[CalibrationBin]) -> Figure {
    let total: u64 = bins.iter().map(|bin| bin.rows).sum();
    let (mut error, mut variance, mut overstated) = (0.0, 0.0, 0.0);
    for bin in bins.iter().filter(|bin| bin.rows > 0) {
        let (count, score) = (bin.rows as f64, bin.mean_score);
        let share = count / total as f64;
        let of_row = bin.variance.max(score * (1.0 - score));
        error += share * (bin.right as f64 / count - score).abs();
        variance += share * share * of_row / count;
        overstated += share * (of_row / count * std::f64::consts::FRAC_2_PI).sqrt();
    }
    let spread = interval::Z * variance.max(0.0).sqrt();
    let low = (error - overstated - spread).max(0.0);
    let within = Interval { low, high: (error + spread).min(1.0) };
    figure(Measure::CalibrationError, error, Some(within), Some(variance), total)
}
