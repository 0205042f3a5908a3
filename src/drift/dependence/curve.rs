//! From sums over blocks of rows to the design effect of a window of n rows.

use super::rows::{LENGTHS, LOCATION, MISSING, RowBlocks, SCALE};
use super::variation::{Effects, RowScale};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Fewer pairs of blocks are too few for a variance.
const MIN_PAIRS: f64 = 8.0;
/// Independent rows are taken for dependent in one feature of a thousand.
const SHOWN: f64 = 1e-3;
/// Where so many features lean towards dependence, all are taken by their estimate: what groups rows
/// (a user, a request) groups them for every feature.
const LEANING: f64 = 0.05;
const MANY: f64 = 0.25;
/// Standard errors above what is expected.
const CLEARLY: f64 = 1.65;
/// Growth of the effect over one scale from which it is taken to grow on: blocks of a finite run of
/// alike rows come near their limit.
const GROWING: f64 = 2.0;
/// Up to blocks of 256.
const LIVE_SCALES: usize = 4;
/// From this length on.
const LONG: f64 = 64.0;

/// How sure it is that rows are dependent: p-values, against independent ones.
#[derive(Debug, Clone, Copy)]
pub(in crate::drift) struct Evidence {
    values: f64,
    missing: f64,
}

/// Whose dependence is shown: of its values, and of which rows are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::drift) struct Shown {
    pub(super) values: bool,
    pub(super) missing: bool,
}

impl Shown {
    pub(in crate::drift) fn any(self) -> bool {
        self.values || self.missing
    }
}

pub(in crate::drift) fn evidence(blocks: &RowBlocks) -> Evidence {
    Evidence { values: smallest(blocks, &[LOCATION, SCALE]), missing: smallest(blocks, &[MISSING]) }
}

/// Of all features together, so that those which show little lean on those which show much.
pub(in crate::drift) fn shown(evidence: &[Evidence]) -> Vec<Shown> {
    let many = |of: fn(&Evidence) -> f64| {
        let leaning = evidence.iter().filter(|e| of(e) < LEANING).count();
        evidence.len() >= 4 && leaning as f64 >= MANY * evidence.len() as f64
    };
    let (values, missing) = (many(|e| e.values), many(|e| e.missing));
    let show = |e: &Evidence| Shown {
        values: e.values < if values { 1.0 } else { SHOWN },
        missing: e.missing < if missing { 1.0 } else { SHOWN },
    };
    evidence.iter().map(show).collect()
}

/// The smallest p-value over scales, times their number.
fn smallest(blocks: &RowBlocks, sums: &[usize]) -> f64 {
    let scales = usable(blocks);
    let tests = scales.len() * sums.len();
    let p_values = scales.into_iter().flat_map(|scale| {
        sums.iter().filter_map(move |sum| {
            // Of rare events a block holds none or one, and its variance is no χ².
            let varies = LENGTHS[scale] as f64 * blocks.variance(*sum);
            let effect = blocks.effect(scale, *sum).filter(|_| *sum != MISSING || varies >= 1.0)?;
            let freedom = blocks.freedom(scale, *sum);
            Some(ChiSquared::new(freedom).map_or(1.0, |chi| chi.sf(effect * freedom)))
        })
    });
    (p_values.fold(1.0, f64::min) * tests as f64).min(1.0)
}

/// Of live rows no long blocks: what changes there may be drift.
fn usable(blocks: &RowBlocks) -> Vec<usize> {
    let scales = if blocks.has_shares() { LENGTHS.len() } else { LIVE_SCALES };
    (0..scales).filter(|scale| blocks.pairs(*scale) >= MIN_PAIRS).collect()
}

/// By scale, never falling from one to the next, and never under 1. What is not shown is 1.
pub(in crate::drift) fn curve(blocks: &RowBlocks, shown: Shown) -> Vec<RowScale> {
    let scales = usable(blocks);
    let weights: Vec<f64> = scales.iter().map(|scale| blocks.pairs(*scale)).collect();
    let by_sum: Vec<Vec<f64>> = (0..blocks.sums())
        .map(|sum| {
            let is_shown = if sum == MISSING { shown.missing } else { shown.values };
            let effect = |scale: &usize| blocks.effect(*scale, sum).unwrap_or(1.0);
            let mut effects: Vec<f64> = scales.iter().map(effect).collect();
            never_falling(&mut effects, &weights);
            steady(&mut effects, &weights);
            for e in &mut effects {
                *e = if is_shown { e.max(1.0) } else { 1.0 };
            }
            effects
        })
        .collect();
    let row_scale = |(place, scale): (usize, &usize)| RowScale {
        length: LENGTHS[*scale],
        pairs: whole(blocks.pairs(*scale)),
        effects: Effects::from_sums(by_sum.iter().map(|effects| effects[place])),
    };
    scales.iter().enumerate().map(row_scale).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(pairs: f64) -> u64 {
    pairs.round() as u64
}

/// Isotonic regression by pooling neighbours that fall (Barlow et al. 1972).
fn never_falling(values: &mut [f64], weights: &[f64]) {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (value, weight) in values.iter().zip(weights) {
        pools.push((*value, *weight, 1));
        while let [.., (a, u, n), (b, w, m)] = pools[..]
            && a > b
        {
            pools.truncate(pools.len() - 2);
            pools.push(((a * u + b * w) / (u + w), u + w, n + m));
        }
    }
    let pooled = pools.iter().flat_map(|(value, _, count)| std::iter::repeat_n(*value, *count));
    values.iter_mut().zip(pooled).for_each(|(value, pooled)| *value = pooled);
}

/// Of long blocks there are few: an effect that is not clearly above what the shorter ones, of which there
/// are four times as many, lead to is drawn to that.
fn steady(effects: &mut [f64], pairs: &[f64]) {
    for last in 2..effects.len() {
        let (before, is) = (effects[last - 1], effects[last]);
        let expected = before + (before - effects[last - 2]) / 3.0;
        let clearly = 1.0 + CLEARLY * (2.0 / pairs[last]).sqrt();
        if is < expected * clearly {
            effects[last] = (is + 4.0 * expected) / 5.0;
        }
    }
}

/// The effect for a window of `rows`, and the pairs of blocks that it comes from.
pub(super) fn effect_at(scales: &[RowScale], rows: f64, sum: usize) -> (f64, f64) {
    let of = |scale: &RowScale| f64::from(scale.effects.of(sum));
    let Some(above) = scales.iter().position(|scale| scale.length as f64 >= rows) else {
        return beyond(scales, rows, sum);
    };
    let upper = &scales[above];
    let Some(lower) = above.checked_sub(1).map(|below| &scales[below]) else {
        return (of(upper), upper.pairs as f64);
    };
    let span = (upper.length as f64 / lower.length as f64).ln();
    let along = (rows / lower.length as f64).ln() / span;
    (of(lower) + along * (of(upper) - of(lower)), lower.pairs as f64)
}

/// Of a window longer than all blocks. Where rows are alike in runs of finite length, an effect lacks a
/// part of its limit that halves with each doubling of the block: Richardson's step adds it.
fn beyond(scales: &[RowScale], rows: f64, sum: usize) -> (f64, f64) {
    let of = |scale: &RowScale| f64::from(scale.effects.of(sum));
    match scales {
        [] => (1.0, f64::INFINITY),
        [only] => (of(only), only.pairs as f64),
        [.., before, last] => {
            let (was, is) = (of(before), of(last));
            let length = last.length as f64;
            if length >= LONG && is > GROWING * was {
                let slope = (is / was).ln() / (length / before.length as f64).ln();
                return (is * (rows / length).powf(slope.min(1.0)), last.pairs as f64);
            }
            // Drawn to what the scale before led to, it is as sure as that.
            (is + (is - was) / 3.0, before.pairs as f64)
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these results are exact")]
mod tests {
    use super::*;

    #[test]
    fn values_that_fall_are_pooled_by_weight() {
        let mut values = [1.0, 3.0, 2.0, 5.0];
        never_falling(&mut values, &[1.0, 1.0, 3.0, 1.0]);
        assert_eq!(values, [1.0, 2.25, 2.25, 5.0]);
    }

    #[test]
    fn an_effect_is_interpolated_between_lengths_and_led_to_its_limit_beyond() {
        let scale = |length, effect| RowScale {
            length,
            pairs: 100,
            effects: Effects::from_sums([effect; 4]),
        };
        let scales = [scale(4, 2.0), scale(16, 4.0), scale(64, 5.5)];
        assert_eq!(effect_at(&scales, 4.0, LOCATION).0, 2.0);
        assert!((effect_at(&scales, 8.0, LOCATION).0 - 3.0).abs() < 1e-12);
        assert_eq!(effect_at(&scales, 1000.0, LOCATION).0, 6.0);
        assert_eq!(effect_at(&[], 1000.0, LOCATION).0, 1.0);
    }
}
