//! A histogram with the sum it would otherwise forget.

use hdrhistogram::Histogram;

/// Whole numbers of some unit in HDR buckets, with their exact sum.
#[derive(Debug, Clone)]
pub struct Distribution {
    counts: Histogram<u64>,
    sum: u128,
    /// How many of the recorded unit make one of the exported unit: 1e9 for nanoseconds to seconds.
    per_unit: f64,
}

impl Distribution {
    /// Relative error of a quantile: below 1 %.
    const SIGNIFICANT_DIGITS: u8 = 2;

    /// For durations, recorded in nanoseconds and exported in seconds.
    pub fn of_seconds() -> Self {
        Self::with_unit(1e9)
    }

    /// For plain counts such as bytes.
    pub fn of_counts() -> Self {
        Self::with_unit(1.0)
    }

    #[expect(clippy::expect_used, reason = "2 digits are within what the library takes")]
    fn with_unit(per_unit: f64) -> Self {
        let counts = Histogram::new(Self::SIGNIFICANT_DIGITS).expect("2 significant digits");
        Self { counts, sum: 0, per_unit }
    }

    /// Adds one value in the recorded unit. The histogram grows as it must, so nothing is refused.
    pub fn record(&mut self, value: u64) {
        if self.counts.record(value).is_ok() {
            self.sum += u128::from(value);
        }
    }

    pub fn record_duration(&mut self, duration: std::time::Duration) {
        self.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2));
    }

    pub fn merge(&mut self, other: &Self) {
        if self.counts.add(&other.counts).is_ok() {
            self.sum += other.sum;
        }
    }

    /// What was recorded after `earlier`, which is an older state of this distribution. After a
    /// restart there is no such state, and everything is new.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts.clone();
        match (counts.subtract(&earlier.counts), self.sum.checked_sub(earlier.sum)) {
            (Ok(()), Some(sum)) => Self { counts, sum, per_unit: self.per_unit },
            _ => self.clone(),
        }
    }

    pub fn clear(&mut self) {
        self.counts.reset();
        self.sum = 0;
    }

    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// Sum, in the exported unit.
    pub fn sum(&self) -> f64 {
        self.sum as f64 / self.per_unit
    }

    /// Largest value seen, in the exported unit; `None` if there was none.
    pub fn max(&self) -> Option<f64> {
        (!self.counts.is_empty()).then(|| self.counts.max() as f64 / self.per_unit)
    }

    pub fn min(&self) -> Option<f64> {
        (!self.counts.is_empty()).then(|| self.counts.min() as f64 / self.per_unit)
    }

    /// The value at `quantile` in [0, 1], in the exported unit; `None` if there was none.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let value = || self.counts.value_at_quantile(quantile) as f64 / self.per_unit;
        (!self.counts.is_empty()).then(value)
    }

    /// How many values were at or below `bound`, which is in the exported unit.
    pub fn count_at_most(&self, bound: f64) -> u64 {
        self.buckets().take_while(|(value, _)| *value <= bound).map(|(_, count)| count).sum()
    }

    /// Non-empty buckets in ascending order: the middle of each, in the exported unit, and its count.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.counts.iter_recorded().map(|bucket| {
            let middle = self.counts.median_equivalent(bucket.value_iterated_to());
            (middle as f64 / self.per_unit, bucket.count_at_value())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn quantiles_are_within_one_percent_and_the_sum_is_exact() {
        let mut distribution = Distribution::of_seconds();
        (1..=1000).for_each(|ms| distribution.record_duration(Duration::from_millis(ms)));
        let p99 = distribution.quantile(0.99).unwrap();
        assert!((p99 / 0.990 - 1.0).abs() < 0.01, "{p99}");
        assert!((distribution.sum() - 500.5).abs() < 1e-9);
        assert_eq!(distribution.count_at_most(10.0), 1000);
    }

    #[test]
    fn what_came_since_an_older_state_and_that_state_make_the_whole() {
        let mut distribution = Distribution::of_counts();
        distribution.record(3);
        let earlier = distribution.clone();
        (0..5).for_each(|_| distribution.record(70));
        let since = distribution.since(&earlier);
        assert_eq!((since.count(), since.sum(), since.min()), (5, 350.0, Some(70.0)));
        assert_eq!(earlier.since(&distribution).count(), 1, "a restart: everything is new");
    }
}
