//! How sure a figure is: the interval that holds the true value in 95 of 100 cases.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// Of 97.5 % of a normal distribution, for two sides of 95 %: `scipy.stats.norm.ppf(0.975)`.
pub(super) const Z: f64 = 1.959_963_984_540_054;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    fn of_share(center: f64, half: f64) -> Self {
        Self { low: (center - half).max(0.0), high: (center + half).min(1.0) }
    }
}

/// Of a share: the score interval (Wilson, JASA 22, 1927). `None` without rows.
pub(super) fn wilson(part: u64, rows: u64) -> Option<Interval> {
    if rows == 0 {
        return None;
    }
    let (n, share) = (rows as f64, part as f64 / rows as f64);
    let widened = 1.0 + Z * Z / n;
    let center = (share + Z * Z / (2.0 * n)) / widened;
    let half = Z / widened * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At the ends rounding would leave the share itself outside.
    let mut interval = Interval::of_share(center, half);
    interval.low = interval.low.min(share);
    interval.high = interval.high.max(share);
    Some(interval)
}

/// Of F1: it is 2J / (1 + J), with J the share of right rows among all that are or were said to be of
/// the class, so the score interval of J is one of F1. To first order it is the delta method's
/// (Takahashi and others, Applied Intelligence 52, 2022), and it has a width at 0 and at 1 too.
pub(super) fn f1(right: u64, either: u64) -> Option<Interval> {
    let f1 = |share: f64| 2.0 * share / (1.0 + share);
    let Interval { low, high } = wilson(right, either)?;
    Some(Interval { low: f1(low), high: f1(high) })
}

/// Of a mean, or of what is one to first order, from the square of its standard error: Student 1908.
pub(super) fn student(value: f64, variance: f64, rows: f64) -> Option<Interval> {
    let t = StudentsT::new(0.0, 1.0, rows - 1.0).ok().filter(|_| rows >= 2.0)?;
    let half = t.inverse_cdf(0.975) * variance.max(0.0).sqrt();
    half.is_finite().then_some(Interval { low: value - half, high: value + half })
}

/// Of a value in (0, 1), symmetrical on the logit scale, so that it stays within (Pepe, The Statistical
/// Evaluation of Medical Tests, 2003, section 5.2.3).
pub(super) fn logit(value: f64, variance: f64) -> Interval {
    let logit = (value / (1.0 - value)).ln();
    let half = Z * variance.max(0.0).sqrt() / (value * (1.0 - value));
    let back = |logit: f64| 1.0 / (1.0 + (-logit).exp());
    Interval { low: back(logit - half), high: back(logit + half) }
}

/// Of an area under the ROC curve of 0 or 1, where no pair of rows says how it varies: the values that
/// are not refused with the variance of Hanley and `McNeil` (Radiology 143, 1982) at them (method 5 of
/// Newcombe, Statistics in Medicine 25, 2006).
pub(super) fn extreme_area(area: f64, negatives: u64, positives: u64) -> Interval {
    let (m, n) = (negatives as f64, positives as f64);
    let size = f64::midpoint(m, n);
    let refused = |theta: f64| {
        let spread = (1.0 - theta) / (2.0 - theta) + theta / (1.0 + theta);
        let variance = theta * (1.0 - theta) * (1.0 + (size - 1.0) * spread) / (m * n);
        (area - theta).powi(2) > Z * Z * variance
    };
    // Refused from the far end up to the bound: halve the way.
    let (mut far, mut near) = (1.0 - area, area);
    for _ in 0..60 {
        let middle = f64::midpoint(far, near);
        if refused(middle) {
            far = middle;
        } else {
            near = middle;
        }
    }
    Interval { low: near.min(area), high: near.max(area) }
}

/// Of an area under the ROC curve, where one kind has too few rows to show how they vary: the variance
/// of Hanley and `McNeil` (Radiology 143, 1982).
pub(super) fn area_of_few(area: f64, negatives: u64, positives: u64) -> f64 {
    let (m, n) = (negatives as f64, positives as f64);
    let (above, below) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let square = area * area;
    (area * (1.0 - area) + (n - 1.0) * (above - square) + (m - 1.0) * (below - square)) / (m * n)
}

/// Of a mean of `values` with weights of one over their number, from the interval of each (Zou and
/// Donner, Statistics in Medicine 27, 2008). `correlation` is asked for each pair.
pub(super) fn of_mean(
    parts: &[(f64, Interval)],
    correlation: impl Fn(usize, usize) -> f64,
) -> Interval {
    let count = parts.len() as f64;
    let mean = parts.iter().map(|(value, _)| value).sum::<f64>() / count;
    let arm = |arms: &dyn Fn(usize) -> f64| {
        let mut sum = 0.0;
        for one in 0..parts.len() {
            sum += arms(one).powi(2);
            for other in 0..one {
                sum += 2.0 * correlation(one, other) * arms(one) * arms(other);
            }
        }
        sum.max(0.0).sqrt() / count
    };
    let below = arm(&|part| parts[part].0 - parts[part].1.low);
    let above = arm(&|part| parts[part].1.high - parts[part].0);
    Interval { low: (mean - below).max(0.0), high: (mean + above).min(1.0) }
}
