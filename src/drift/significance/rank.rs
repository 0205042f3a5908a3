//! Do ordered values differ? Tests on the ranks that a histogram gives its values.

use statrs::function::erf::erfc;
use std::f64::consts::SQRT_2;

/// Both samples on the same bins, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binned<'a> {
    pub(super) window: &'a [u64],
    pub(super) reference: &'a [u64],
}

/// What a bin's values score, given their middle rank less the middle of all ranks, as a share of all.
pub(super) type Score = fn(f64) -> f64;

/// Wilcoxon, Mann and Whitney: sees a shift.
pub(super) const LOCATION: Score = |rank| rank;
/// Mood 1954: sees a change of spread.
pub(super) const SCALE: Score = |rank| rank * rank;

impl Binned<'_> {
    fn rows(&self) -> impl Iterator<Item = (f64, f64)> {
        self.window.iter().zip(self.reference).map(|(n, m)| (*n as f64, *m as f64))
    }

    fn sizes(&self) -> (f64, f64) {
        (self.window.iter().sum::<u64>() as f64, self.reference.iter().sum::<u64>() as f64)
    }

    /// A linear rank statistic with ties, two-sided: its mean and variance over all ways to deal the
    /// pooled values to both samples (Hájek and Šidák 1967), and the normal approximation.
    pub(super) fn linear(&self, score: Score, design_effect: f64) -> f64 {
        let (n, m) = self.sizes();
        let all = n + m;
        if n < 1.0 || m < 1.0 {
            return 1.0;
        }
        let (mut below, mut in_window, mut sum, mut squares) = (0.0, 0.0, 0.0, 0.0);
        for (window, reference) in self.rows() {
            let rows = window + reference;
            let score = score((below + rows / 2.0) / all - 0.5);
            in_window += window * score;
            sum += rows * score;
            squares += rows * score * score;
            below += rows;
        }
        let mean = sum / all;
        let variance = n * m / (all * (all - 1.0)) * (squares - all * mean * mean);
        if variance <= 0.0 {
            return 1.0;
        }
        erfc((in_window - n * mean).abs() / (variance * design_effect).sqrt() / SQRT_2)
    }

    /// Kolmogorov and Smirnov with Stephens' correction (1970) for small samples. Where values tie
    /// within bins it errs towards no difference.
    pub(super) fn kolmogorov_smirnov(&self, design_effect: f64) -> f64 {
        let (n, m) = self.sizes();
        if n < 1.0 || m < 1.0 {
            return 1.0;
        }
        let (mut f, mut g, mut furthest) = (0.0, 0.0, 0.0_f64);
        for (window, reference) in self.rows() {
            (f, g) = (f + window / n, g + reference / m);
            furthest = furthest.max((f - g).abs());
        }
        let size = (n * m / (n + m) / design_effect).sqrt();
        kolmogorov((size + 0.12 + 0.11 / size) * furthest)
    }
}

/// The chance that Kolmogorov's variable exceeds `x`: 2 Σ (−1)^(k−1) exp(−2 k² x²).
fn kolmogorov(x: f64) -> f64 {
    if x < 0.3 {
        // Above 0.99999, where the sum would need many terms.
        return 1.0;
    }
    let term = |k: i32| {
        let sign = if k % 2 == 0 { -1.0 } else { 1.0 };
        sign * (-2.0 * f64::from(k * k) * x * x).exp()
    };
    (2.0 * (1..=20).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kolmogorov_agrees_with_its_table() {
        for (x, expected) in [(1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)] {
            assert!((kolmogorov(x) / expected - 1.0).abs() < 1e-3, "{x}");
        }
    }

    #[test]
    fn a_shift_is_location_and_a_spread_is_scale() {
        let reference = [100_u64; 10];
        let shifted =
            Binned { window: &[5, 5, 5, 5, 10, 10, 15, 15, 15, 15], reference: &reference };
        assert!(shifted.linear(LOCATION, 1.0) < 1e-4 && shifted.linear(SCALE, 1.0) > 0.1);
        let spread =
            Binned { window: &[20, 15, 10, 3, 2, 2, 3, 10, 15, 20], reference: &reference };
        assert!(spread.linear(SCALE, 1.0) < 1e-6 && spread.linear(LOCATION, 1.0) > 0.5);
    }

    #[test]
    fn equal_shares_are_no_evidence() {
        let same = Binned { window: &[10, 20, 30], reference: &[100, 200, 300] };
        for p in [same.linear(LOCATION, 1.0), same.linear(SCALE, 1.0), same.kolmogorov_smirnov(1.0)]
        {
            assert!(p > 0.99);
        }
    }
}
