//! A value axis: round labels at even distances, and where a value stands between them.

/// Labels are evenly spaced, the lowest value first.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    scale: Scale,
    intervals: usize,
    format: fn(f64) -> String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    /// `low` and `high` are powers of two of `unit`.
    Log,
}

impl Axis {
    /// From 0 to a round number that is at least `max`.
    pub(crate) fn from_zero(max: f64, format: fn(f64) -> String) -> Self {
        let (high, intervals) = round_up(max);
        Self { low: 0.0, high, scale: Scale::Linear, intervals, format }
    }

    /// Between the round numbers around `min` and `max`, of which the lesser need not be 0.
    pub(crate) fn around(min: f64, max: f64, format: fn(f64) -> String) -> Self {
        let spread = if max > min { max - min } else { max.abs().max(1.0) };
        let decade = 10f64.powf((spread / 4.0).log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * decade);
        let step = steps.into_iter().find(|step| spread / step <= 4.0).unwrap_or(10.0 * decade);
        let low = (min / step).floor() * step;
        let intervals = whole(((max - low) / step).ceil()).clamp(1, 8);
        Self { low, high: low + step * intervals as f64, scale: Scale::Linear, intervals, format }
    }

    /// Between the round shares around `min` and `max`, which are in [0, 1].
    pub(crate) fn of_shares(min: f64, max: f64, format: fn(f64) -> String) -> Self {
        let steps = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25];
        let step = steps.into_iter().find(|step| (max - min) / step <= 3.0).unwrap_or(0.25);
        let low = ((min / step).floor() * step).clamp(0.0, 1.0 - step);
        let high = ((max / step).ceil() * step).clamp(low + step, 1.0);
        let intervals = whole(((high - low) / step).round()).max(1);
        Self { low, high, scale: Scale::Linear, intervals, format }
    }

    /// Logarithmic, by doublings, around `min` and `max`, both of which are above 0. The labels are
    /// round in the decimal unit below `min`: 250 µs, 1 ms, 4 ms.
    pub(crate) fn doublings(min: f64, max: f64, format: fn(f64) -> String) -> Self {
        let origin = 1e-3;
        let (low, high) = ((min / origin).log2().floor(), (max / origin).log2().ceil());
        let high = high.max(low + 2.0);
        let intervals = whole(high - low);
        let stride = intervals.div_ceil(5);
        let intervals = intervals.div_ceil(stride);
        let high = low + (intervals * stride) as f64;
        let value = |power: f64| power.exp2() * origin;
        Self { low: value(low), high: value(high), scale: Scale::Log, intervals, format }
    }

    /// Where `value` stands: 0 at the bottom, 1 at the top.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).log2() / (self.high / self.low).log2(),
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    pub(crate) fn intervals(&self) -> usize {
        self.intervals
    }

    /// From the top to the bottom, one more than there are intervals.
    pub(crate) fn labels(&self) -> Vec<String> {
        let label = |index: usize| {
            let share = index as f64 / self.intervals as f64;
            (self.format)(match self.scale {
                Scale::Linear => self.low + share * (self.high - self.low),
                Scale::Log => self.low * (self.high / self.low).powf(share),
            })
        };
        (0..=self.intervals).rev().map(label).collect()
    }
}

/// The round number at or above `max`, and into how many round intervals it falls.
fn round_up(max: f64) -> (f64, usize) {
    if !max.is_finite() || max <= 0.0 {
        return (1.0, 2);
    }
    let decade = 10f64.powf(max.log10().floor());
    [(1.0, 4), (2.0, 4), (3.0, 3), (4.0, 4), (5.0, 5), (6.0, 3), (8.0, 4), (10.0, 4)]
        .into_iter()
        .map(|(step, intervals)| (step * decade, intervals))
        .find(|(high, _)| *high >= max * 0.999_999)
        .unwrap_or((10.0 * decade, 5))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of intervals: small, and negative or NaN saturates at 0"
)]
fn whole(value: f64) -> usize {
    value as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: f64) -> String {
        format!("{value:.5}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    #[test]
    fn labels_are_round_and_the_largest_value_is_within() {
        let axis = Axis::from_zero(730.0, plain);
        assert_eq!(axis.labels(), ["800", "600", "400", "200", "0"]);
        assert!((axis.place(400.0) - 0.5).abs() < 1e-9);
        assert_eq!(Axis::from_zero(0.0, plain).labels(), ["1", "0.5", "0"]);
    }

    #[test]
    fn an_axis_around_values_is_round_and_holds_them() {
        let axis = Axis::around(-3.7, 14.2, plain);
        assert_eq!(axis.labels(), ["15", "10", "5", "0", "-5"]);
        for (min, max) in [(1012.3, 1013.1), (7.0, 7.0), (0.0, 0.0), (-1e9, 0.0)] {
            let axis = Axis::around(min, max, plain);
            assert!(axis.low <= min && axis.high >= max && axis.intervals() <= 8, "{axis:?}");
        }
    }

    #[test]
    fn doublings_are_evenly_spaced() {
        let axis = Axis::doublings(0.000_3, 0.018, plain);
        assert_eq!(axis.labels(), ["0.064", "0.016", "0.004", "0.001", "0.00025"]);
        assert!((axis.place(0.004) - 0.5).abs() < 1e-9);
        assert!(axis.place(1e9) <= 1.0 && axis.place(0.0) >= 0.0);
    }

    #[test]
    fn shares_that_hardly_differ_still_have_an_axis() {
        for (min, max) in [(0.87, 0.87), (1.0, 1.0), (0.0, 0.0), (0.2, 0.9)] {
            let axis = Axis::of_shares(min, max, plain);
            assert!(axis.intervals() >= 1);
            assert!(axis.low <= min && axis.high >= max, "{min} {max} {axis:?}");
        }
    }
}
