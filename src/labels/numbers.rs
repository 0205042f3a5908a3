//! Numbers against numbers: the errors of a regression.

use super::interval::{self, Interval};
use super::summary::{Figure, Measure};
use super::sums::{Mean, Sum, whole};

/// Sums over the rows with two numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbers {
    absolute: Mean,
    squared: Mean,
    /// Relative to the label, over labels that are not 0.
    relative: Mean,
    /// Labels are summed from the first one on, as their powers would otherwise drown their spread.
    origin: Option<f64>,
    /// Of the label's powers, from the first to the fourth.
    powers: [Sum; 4],
    /// Of the squared error times the label, and times its square.
    crossed: [Sum; 2],
}

impl Numbers {
    /// `sign` is 1 for a row that comes, −1 for one that is taken out.
    pub(super) fn add(&mut self, predicted: f64, actual: f64, sign: f64) {
        let error = predicted - actual;
        let squared = error * error;
        let shifted = actual - *self.origin.get_or_insert(actual);
        self.absolute.add(error.abs(), sign);
        self.squared.add(squared, sign);
        if actual != 0.0 {
            self.relative.add((error / actual).abs(), sign);
        }
        let mut power = sign;
        for sum in &mut self.powers {
            power *= shifted;
            sum.add(power);
        }
        self.crossed[0].add(sign * squared * shifted);
        self.crossed[1].add(sign * squared * shifted * shifted);
    }

    /// With two numbers.
    pub(super) fn rows(&self) -> u64 {
        whole(self.absolute.rows())
    }

    /// Those that can be had: none without rows, and none of errors whose sum no float can hold.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let mse = mean(Measure::Mse, self.squared);
        let mut figures: Vec<_> = mean(Measure::Mae, self.absolute).into_iter().collect();
        figures.extend(mse.into_iter().chain(mse.map(root)));
        figures.extend(mean(Measure::Mape, self.relative));
        figures.extend(mse.and_then(|mse| self.determination(self.absolute.rows(), mse.value)));
        figures
    }

    /// R², its standard error from the influence of a row on it: −e²/V + M/V² (y − ȳ)², with M the mean
    /// squared error and V the variance of labels (delta method).
    fn determination(&self, rows: f64, mse: f64) -> Option<Figure> {
        let [first, second, third, fourth] = self.powers.map(|sum| sum.value() / rows);
        let variance = second - first * first;
        // Below the rounding of the two terms there is no spread to be explained.
        if variance <= 1e-12 * second {
            return None;
        }
        let kurtosis =
            fourth - 4.0 * first * third + 6.0 * first.powi(2) * second - 3.0 * first.powi(4);
        let [by_label, by_square] = self.crossed.map(|sum| sum.value() / rows);
        let crossed = by_square - 2.0 * first * by_label + first * first * mse;
        let quartic = self.squared.variance() * (rows - 1.0) / rows + mse * mse;
        let unexplained = mse / variance;
        let influence = (quartic - 2.0 * unexplained * crossed + unexplained.powi(2) * kurtosis)
            / variance.powi(2);
        let value = Some(1.0 - unexplained).filter(|value| value.is_finite())?;
        let squared_error = influence.is_finite().then(|| influence.max(0.0) / rows);
        let interval = squared_error.and_then(|error| interval::student(value, error, rows));
        let interval = interval.map(|i| Interval { high: i.high.min(1.0), ..i });
        Some(figure(Measure::R2, value, interval, squared_error, whole(rows)))
    }
}

/// Of what is never below 0. `None` without rows, and where the sum is more than a float can hold: 0, which
/// would be the best of all, is what rounding makes of a small one alone.
pub(super) fn mean(measure: Measure, mean: Mean) -> Option<Figure> {
    let (rows, value) = (mean.rows(), mean.value());
    let variance = (rows >= 2.0).then(|| mean.variance() / rows);
    of_moments(measure, (rows, value), variance)
}

/// From rows, their mean, and the square of its standard error.
pub(super) fn of_moments(
    measure: Measure,
    (rows, value): (f64, f64),
    variance: Option<f64>,
) -> Option<Figure> {
    let value = Some(value).filter(|value| value.is_finite())?.max(0.0);
    let variance = variance.filter(|variance| variance.is_finite());
    let interval = variance.and_then(|variance| interval::student(value, variance, rows));
    let positive = interval.map(|i| Interval { low: i.low.max(0.0), ..i });
    Some(figure(measure, value, positive, variance, whole(rows)))
}

pub(super) fn root(mse: Figure) -> Figure {
    Figure {
        measure: Measure::Rmse,
        value: mse.value.sqrt(),
        low: mse.low.map(f64::sqrt),
        high: mse.high.map(f64::sqrt),
        variance: mse.variance.filter(|_| mse.value > 0.0).map(|v| v / (4.0 * mse.value)),
        rows: mse.rows,
    }
}

pub(super) fn figure(
    measure: Measure,
    value: f64,
    interval: Option<Interval>,
    variance: Option<f64>,
    rows: u64,
) -> Figure {
    let (low, high) = interval.map(|i| (i.low, i.high)).unzip();
    Figure { measure, value, low, high, variance, rows }
}
