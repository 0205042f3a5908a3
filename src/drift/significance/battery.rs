//! The tests that one feature is put to.

use super::hypergeometric::{Part, more, two_sided};
use super::rank::{Binned, LOCATION, SCALE};
use crate::drift::baseline::{CategoricalReference, Content, NumericReference};
use crate::drift::dependence::DesignEffects;
use crate::sketch::{CategoricalCounts, FeatureCounts, NumericCounts, ValueKey};
use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::beta::checked_beta_reg;
use statrs::function::gamma::checked_gamma_ur;

/// The share of the pooled values, per mille, that is a tail.
const TAIL_PER_MILLE: u64 = 5;
/// Bins and levels with fewer pooled rows cannot tell anything.
const MIN_POOLED: u64 = 5;
/// χ² is near its distribution where each expected count is at least this.
const MIN_EXPECTED: f64 = 8.0;

/// The p-value of a window against its reference; `None` for counts of another kind of feature.
/// `repeated` are values of the window that came again, and levels that are not among the reference's.
pub(in crate::drift) fn p_value(
    reference: &Content,
    window: &FeatureCounts,
    repeated: &[(ValueKey, u32)],
    effects: &DesignEffects,
) -> Option<f64> {
    let tests = match (reference, window) {
        (Content::Numeric(reference), FeatureCounts::Numeric(window)) => {
            numeric(reference, window, repeated, effects)
        }
        (Content::Categorical(reference), FeatureCounts::Categorical(window)) => {
            categorical(reference, window, repeated, effects)
        }
        _ => return None,
    };
    Some(smallest(&tests))
}

/// Bonferroni: valid however the tests depend on each other.
fn smallest(p_values: &[f64]) -> f64 {
    let smallest = p_values.iter().copied().fold(1.0, f64::min);
    (smallest * p_values.len() as f64).min(1.0)
}

impl DesignEffects {
    /// A p-value is as if the variance by which its test was widened were known. It is estimated, so that
    /// Student's t takes the place of the normal distribution. To be asked before a p-value is multiplied
    /// by a number of tests: each has an estimate of its own.
    fn estimated(&self, p_value: f64) -> f64 {
        if !self.freedom.is_finite() || p_value >= 1.0 {
            return p_value;
        }
        let z = Normal::standard().inverse_cdf((p_value / 2.0).max(f64::MIN_POSITIVE));
        let share = self.freedom / (self.freedom + z * z);
        checked_beta_reg(self.freedom / 2.0, 0.5, share).unwrap_or(1.0)
    }
}

fn numeric(
    reference: &NumericReference,
    window: &NumericCounts,
    repeated: &[(ValueKey, u32)],
    effects: &DesignEffects,
) -> Vec<f64> {
    let points = point_masses(reference, window, repeated, effects);
    let groups = &reference.groups;
    let reference = &reference.counts;
    let binned = Binned { window: window.bins(), reference: reference.bins() };
    let rows = (window.rows(), reference.rows());
    let wrong = |counts: &NumericCounts| counts.type_errors() + counts.infinities;
    let group = |bin: usize| groups.partition_point(|start| *start <= bin).saturating_sub(1);
    let share_of = |bin: usize| effects.share(group(bin));
    let (low, high) = (effects.share(0), effects.share(groups.len().saturating_sub(1)));
    let once = [
        binned.kolmogorov_smirnov(effects.values()),
        binned.linear(LOCATION, effects.location()),
        binned.linear(SCALE, effects.scale()),
        tail(window.bins().iter().zip(reference.bins()), low),
        tail(window.bins().iter().zip(reference.bins()).rev(), high),
        beyond(window.below, window.values(), reference.values(), low),
        beyond(window.above, window.values(), reference.values(), high),
        share((window.missing(), rows.0), (reference.missing(), rows.1), effects.missing()),
        share((wrong(window), rows.0), (wrong(reference), rows.1), effects.odd()),
    ];
    let shares = furthest_share(
        (window.bins(), window.values()),
        (reference.bins(), reference.values()),
        effects,
        share_of,
    );
    let mut tests = once.map(|p| effects.estimated(p)).to_vec();
    tests.extend([shares, points]);
    tests
}

/// Does one value come more often than it did? Bins hold many values, so each that is frequent in both
/// samples together is asked for by itself.
fn point_masses(
    reference: &NumericReference,
    window: &NumericCounts,
    repeated: &[(ValueKey, u32)],
    effects: &DesignEffects,
) -> f64 {
    let design_effect = effects.values();
    let Some(known) = &reference.repeated else { return 1.0 };
    let tested = || {
        let pairs = repeated.iter().map(|(key, count)| (u64::from(*count), known.rows(*key)));
        pairs.filter(|(now, before)| now + before >= MIN_POOLED)
    };
    let p_value = |(now, before)| {
        let now = Part::of(now, window.values(), design_effect);
        effects.estimated(more(now, Part::of(before, reference.counts.values(), design_effect)))
    };
    let tests = tested().count() as f64 + known.distinct as f64;
    (tested().map(p_value).fold(1.0, f64::min) * tests.max(1.0)).min(1.0)
}

fn categorical(
    reference: &CategoricalReference,
    window: &CategoricalCounts,
    repeated: &[(ValueKey, u32)],
    effects: &DesignEffects,
) -> Vec<f64> {
    let counts = &reference.counts;
    let rows = (window.rows(), counts.rows());
    let share_of = |level: usize| effects.share(level.min(reference.shown));
    let other = effects.share(reference.shown);
    // Good and Turing: a row is of a new level as often as one of the reference was alone in its.
    let new = Part::of(window.other(), window.values(), other);
    let alone = Part::of(counts.other() + reference.singletons, counts.values(), other);
    let once = [
        homogeneity(window.level_rows(), counts.level_rows(), share_of),
        more(new, alone),
        share((window.nulls(), rows.0), (counts.nulls(), rows.1), effects.missing()),
        share((window.type_errors(), rows.0), (counts.type_errors(), rows.1), effects.odd()),
    ];
    let shares = furthest_share(
        (window.level_rows(), window.values()),
        (counts.level_rows(), counts.values()),
        effects,
        share_of,
    );
    let mut tests = once.map(|p| effects.estimated(p)).to_vec();
    tests.extend([shares, new_levels(reference, window, repeated, effects)]);
    tests
}

/// Does one level that the reference does not have come again and again? A reference that has left
/// levels out had none of them more often than the rarest that it keeps.
fn new_levels(
    reference: &CategoricalReference,
    window: &CategoricalCounts,
    repeated: &[(ValueKey, u32)],
    effects: &DesignEffects,
) -> f64 {
    let design_effect = effects.share(reference.shown);
    let counts = &reference.counts;
    let beyond =
        if counts.other() == 0 { 0 } else { counts.level_rows().last().copied().unwrap_or(0) };
    let often = |count: &&(ValueKey, u32)| u64::from(count.1) + beyond >= MIN_POOLED;
    let p_value = |(_, count): &(ValueKey, u32)| {
        let now = Part::of(u64::from(*count), window.values(), design_effect);
        effects.estimated(more(now, Part::of(beyond, counts.values(), design_effect)))
    };
    let pooled = window.level_rows().iter().zip(counts.level_rows());
    let known = pooled.filter(|(n, m)| **n + **m >= MIN_POOLED).count();
    let tests = repeated.iter().filter(often).count() + known;
    (repeated.iter().filter(often).map(p_value).fold(1.0, f64::min) * tests.max(1) as f64).min(1.0)
}

fn share(window: (u64, u64), reference: (u64, u64), design_effect: f64) -> f64 {
    let part = |(marked, rows)| Part::of(marked, rows, design_effect);
    two_sided(part(window), part(reference))
}

/// The share beyond the pooled cut of the outermost bins, from the side where `bins` begins.
fn tail<'a>(bins: impl Iterator<Item = (&'a u64, &'a u64)> + Clone, design_effect: f64) -> f64 {
    let sizes = bins.clone().fold((0, 0), |sum, (n, m)| (sum.0 + n, sum.1 + m));
    let wanted = ((sizes.0 + sizes.1) * TAIL_PER_MILLE).div_ceil(1000).max(MIN_POOLED);
    let mut seen = (0, 0);
    for (n, m) in bins {
        seen = (seen.0 + n, seen.1 + m);
        if seen.0 + seen.1 >= wanted {
            break;
        }
    }
    share((seen.0, sizes.0), (seen.1, sizes.1), design_effect)
}

/// The chance that the `outside` outermost of all values are all the window's: exact, without ties. Of
/// rows that come in runs as many as there are runs.
fn beyond(outside: u64, window: u64, reference: u64, design_effect: f64) -> f64 {
    let mut chance = 1.0;
    let (outside, window, all) = (
        (outside as f64 / design_effect).ceil(),
        window as f64 / design_effect,
        (window + reference) as f64 / design_effect,
    );
    let mut drawn = 0.0;
    while drawn < outside && drawn < window {
        chance *= (window - drawn) / (all - drawn);
        drawn += 1.0;
        if chance < 1e-300 {
            return 0.0;
        }
    }
    chance
}

/// The smallest of the exact tests on each bin's or level's share of all values, for as many as were
/// tested.
fn furthest_share(
    window: (&[u64], u64),
    reference: (&[u64], u64),
    effects: &DesignEffects,
    design_effect: impl Fn(usize) -> f64,
) -> f64 {
    let pairs = window.0.iter().zip(reference.0).enumerate();
    let tested = || pairs.clone().filter(|(_, (n, m))| **n + **m >= MIN_POOLED);
    let p_values = tested().map(|(cell, (n, m))| {
        effects.estimated(share((*n, window.1), (*m, reference.1), design_effect(cell)))
    });
    (p_values.fold(1.0, f64::min) * tested().count() as f64).min(1.0)
}

/// Pearson's χ² of two samples, among the levels that both together have often; divided by the mean of
/// the levels' design effects, weighted as Rao and Scott (Annals of Statistics 12, 1984) do.
///
/// The rest is left out and not taken as one cell: that the reference has seen a rare level is how it
/// comes to be known, so its share of the rest differs by construction.
fn homogeneity(window: &[u64], reference: &[u64], design_effect: impl Fn(usize) -> f64) -> f64 {
    let total = |rows: &[u64]| rows.iter().sum::<u64>() as f64;
    let (n, m) = (total(window), total(reference));
    let smaller = n.min(m) / (n + m);
    let pairs = window.iter().zip(reference).map(|(a, b)| (*a as f64, *b as f64)).enumerate();
    let effects = pairs.map(|(level, (a, b))| (a, b, design_effect(level)));
    let often: Vec<(f64, f64, f64)> =
        effects.filter(|(a, b, effect)| (a + b) * smaller / effect >= MIN_EXPECTED).collect();
    let (n, m) = often.iter().fold((0.0, 0.0), |sum, (a, b, _)| (sum.0 + a, sum.1 + b));
    if often.len() < 2 || n <= 0.0 || m <= 0.0 {
        return 1.0;
    }
    let term = |(a, b, _): &(f64, f64, f64)| {
        let (for_a, for_b) = ((a + b) * n / (n + m), (a + b) * m / (n + m));
        (a - for_a).powi(2) / for_a + (b - for_b).powi(2) / for_b
    };
    let freedom = (often.len() - 1) as f64;
    let weighted = |(a, b, effect): &(f64, f64, f64)| (1.0 - (a + b) / (n + m)) * effect;
    let effect = often.iter().map(weighted).sum::<f64>() / freedom;
    let statistic = often.iter().map(term).sum::<f64>() / effect;
    // Refused only where the statistic is 0: equal shares.
    checked_gamma_ur(freedom / 2.0, statistic / 2.0).unwrap_or(1.0)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these results are exact")]
mod tests {
    use super::*;

    #[test]
    fn homogeneity_agrees_with_scipy_chi2_contingency() {
        // scipy.stats.chi2_contingency([[20, 30, 50], [300, 300, 400]]).pvalue
        let p = homogeneity(&[20, 30, 50], &[300, 300, 400], |_| 1.0);
        assert!((p / 0.069_002_598_814_829_55 - 1.0).abs() < 1e-9, "{p}");
    }

    #[test]
    fn homogeneity_of_rows_in_runs_of_ten_is_that_of_a_tenth_of_them() {
        let runs = homogeneity(&[200, 300, 500], &[3000, 3000, 4000], |_| 10.0);
        assert!((runs / 0.069_002_598_814_829_55 - 1.0).abs() < 1e-9, "{runs}");
    }

    #[test]
    fn all_outermost_values_in_one_window_are_evidence() {
        assert!((beyond(1, 100, 900, 1.0) - 0.1).abs() < 1e-12);
        assert!((beyond(2, 100, 900, 1.0) - 0.1 * 99.0 / 999.0).abs() < 1e-12);
        assert!((beyond(10, 1000, 9000, 10.0) - 0.1).abs() < 1e-12);
        assert_eq!(beyond(0, 100, 900, 1.0), 1.0);
    }

    #[test]
    fn an_estimated_variance_makes_student_of_the_normal() {
        // 2 * scipy.stats.t.sf(scipy.stats.norm.isf(1e-4 / 2), 20)
        let estimated = |freedom| {
            let mut effects = DesignEffects::independent();
            effects.freedom = freedom;
            effects
        };
        let p = estimated(20.0).estimated(1e-4);
        assert!((p / 9.085_220_489e-4 - 1.0).abs() < 1e-6, "{p}");
        assert_eq!(estimated(f64::INFINITY).estimated(1e-4), 1e-4);
    }
}
