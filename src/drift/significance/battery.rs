//! The tests that one feature is put to.

use super::hypergeometric::{Part, more, two_sided};
use super::rank::{Binned, LOCATION, SCALE};
use crate::drift::baseline::{CategoricalReference, Content};
use crate::sketch::{CategoricalCounts, FeatureCounts, NumericCounts};
use statrs::function::gamma::checked_gamma_ur;

/// The share of the pooled values, per mille, that is a tail.
const TAIL_PER_MILLE: u64 = 5;
/// Bins and levels with fewer pooled rows cannot tell anything.
const MIN_POOLED: u64 = 5;
/// χ² is near its distribution where each expected count is at least this.
const MIN_EXPECTED: f64 = 8.0;

/// The p-value of a window against its reference; `None` for counts of another kind of feature.
pub(in crate::drift) fn p_value(reference: &Content, window: &FeatureCounts) -> Option<f64> {
    match (reference, window) {
        (Content::Numeric(reference), FeatureCounts::Numeric(window)) => {
            Some(smallest(&numeric(&reference.counts, window)))
        }
        (Content::Categorical(reference), FeatureCounts::Categorical(window)) => {
            Some(smallest(&categorical(reference, window)))
        }
        _ => None,
    }
}

/// Bonferroni: valid however the tests depend on each other.
fn smallest(p_values: &[f64]) -> f64 {
    let smallest = p_values.iter().copied().fold(1.0, f64::min);
    (smallest * p_values.len() as f64).min(1.0)
}

fn numeric(reference: &NumericCounts, window: &NumericCounts) -> [f64; 10] {
    let binned = Binned { window: window.bins(), reference: reference.bins() };
    let rows = (window.rows(), reference.rows());
    let wrong = |counts: &NumericCounts| counts.type_errors() + counts.infinities;
    [
        binned.kolmogorov_smirnov(),
        binned.linear(LOCATION),
        binned.linear(SCALE),
        tail(window.bins().iter().zip(reference.bins())),
        tail(window.bins().iter().zip(reference.bins()).rev()),
        beyond((window.below, window.values()), (reference.below, reference.values())),
        beyond((window.above, window.values()), (reference.above, reference.values())),
        furthest_share((window.bins(), window.values()), (reference.bins(), reference.values())),
        share((window.missing(), rows.0), (reference.missing(), rows.1)),
        share((wrong(window), rows.0), (wrong(reference), rows.1)),
    ]
}

fn categorical(reference: &CategoricalReference, window: &CategoricalCounts) -> [f64; 5] {
    let counts = &reference.counts;
    let rows = (window.rows(), counts.rows());
    // Good and Turing: a row is of a new level as often as one of the reference was alone in its.
    let new = Part { marked: window.other(), rows: window.values() };
    let alone = Part { marked: counts.other() + reference.singletons, rows: counts.values() };
    [
        homogeneity(window.level_rows(), counts.level_rows()),
        furthest_share(
            (window.level_rows(), window.values()),
            (counts.level_rows(), counts.values()),
        ),
        more(new, alone.within()),
        share((window.nulls(), rows.0), (counts.nulls(), rows.1)),
        share((window.type_errors(), rows.0), (counts.type_errors(), rows.1)),
    ]
}

impl Part {
    fn within(self) -> Self {
        Self { marked: self.marked.min(self.rows), ..self }
    }
}

fn share(window: (u64, u64), reference: (u64, u64)) -> f64 {
    let part = |(marked, rows)| Part { marked, rows };
    two_sided(part(window), part(reference))
}

/// The share beyond the pooled cut of the outermost bins, from the side where `bins` begins.
fn tail<'a>(bins: impl Iterator<Item = (&'a u64, &'a u64)> + Clone) -> f64 {
    let sizes = bins.clone().fold((0, 0), |sum, (n, m)| (sum.0 + n, sum.1 + m));
    let wanted = ((sizes.0 + sizes.1) * TAIL_PER_MILLE).div_ceil(1000).max(MIN_POOLED);
    let mut seen = (0, 0);
    for (n, m) in bins {
        seen = (seen.0 + n, seen.1 + m);
        if seen.0 + seen.1 >= wanted {
            break;
        }
    }
    share((seen.0, sizes.0), (seen.1, sizes.1))
}

/// The chance that the outermost of all values, so many as are outside, are all the window's: exact,
/// without ties. A reference that has some there, as only an earlier window does, is tested as a share.
fn beyond((outside, window): (u64, u64), (outside_before, reference): (u64, u64)) -> f64 {
    if outside_before > 0 {
        let part = |marked, rows| Part { marked, rows };
        return more(part(outside, window), part(outside_before, reference));
    }
    let mut chance = 1.0;
    for drawn in 0..outside {
        chance *= (window - drawn) as f64 / (window + reference - drawn) as f64;
        if chance < 1e-300 {
            return 0.0;
        }
    }
    chance
}

/// The smallest of the exact tests on each bin's or level's share of all values, for as many as were
/// tested.
fn furthest_share(window: (&[u64], u64), reference: (&[u64], u64)) -> f64 {
    let tested = || window.0.iter().zip(reference.0).filter(|(n, m)| **n + **m >= MIN_POOLED);
    let p_values = tested().map(|(n, m)| share((*n, window.1), (*m, reference.1)));
    (p_values.fold(1.0, f64::min) * tested().count() as f64).min(1.0)
}

/// Pearson's χ² of two samples, among the levels that both together have often.
///
/// The rest is left out and not taken as one cell: that the reference has seen a rare level is how it
/// comes to be known, so its share of the rest differs by construction.
fn homogeneity(window: &[u64], reference: &[u64]) -> f64 {
    let total = |rows: &[u64]| rows.iter().sum::<u64>() as f64;
    let (n, m) = (total(window), total(reference));
    let smaller = n.min(m) / (n + m);
    let pairs = window.iter().zip(reference).map(|(a, b)| (*a as f64, *b as f64));
    let often: Vec<(f64, f64)> = pairs.filter(|(a, b)| (a + b) * smaller >= MIN_EXPECTED).collect();
    let (n, m) = often.iter().fold((0.0, 0.0), |sum, (a, b)| (sum.0 + a, sum.1 + b));
    if often.len() < 2 || n <= 0.0 || m <= 0.0 {
        return 1.0;
    }
    let term = |(a, b): &(f64, f64)| {
        let (for_a, for_b) = ((a + b) * n / (n + m), (a + b) * m / (n + m));
        (a - for_a).powi(2) / for_a + (b - for_b).powi(2) / for_b
    };
    let statistic: f64 = often.iter().map(term).sum();
    // Refused only where the statistic is 0: equal shares.
    checked_gamma_ur((often.len() - 1) as f64 / 2.0, statistic / 2.0).unwrap_or(1.0)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these results are exact")]
mod tests {
    use super::*;

    #[test]
    fn homogeneity_agrees_with_scipy_chi2_contingency() {
        // scipy.stats.chi2_contingency([[20, 30, 50], [300, 300, 400]]).pvalue
        let p = homogeneity(&[20, 30, 50], &[300, 300, 400]);
        assert!((p / 0.069_002_598_814_829_55 - 1.0).abs() < 1e-9, "{p}");
    }

    #[test]
    fn all_outermost_values_in_one_window_are_evidence() {
        let none_before = (0, 900);
        assert!((beyond((1, 100), none_before) - 0.1).abs() < 1e-12);
        assert!((beyond((2, 100), none_before) - 0.1 * 99.0 / 999.0).abs() < 1e-12);
        assert_eq!(beyond((0, 100), none_before), 1.0);
    }

    #[test]
    fn values_outside_are_no_evidence_where_the_reference_has_as_many() {
        assert_eq!(beyond((20, 100), (20, 100)), 1.0);
        assert!(beyond((20, 100), (2, 100)) < 1e-3);
    }
}
