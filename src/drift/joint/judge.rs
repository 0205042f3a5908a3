//! One window's sums against the baseline's: is what goes together another?

use super::eigen::Square;
use super::moments::Moments;
use super::scores::{Scores, Shape};
use super::{Coordinate, Joint, JointReport, PairChange, pairs};
use crate::drift::baseline::Baseline;
use crate::sketch::FeatureCounts;
use statrs::function::erf::erfc;
use std::f64::consts::SQRT_2;
use std::sync::Arc;

/// Fewer rows tell no correlation.
const MIN_ROWS: f64 = 100.0;
/// A feature whose scores go along with their own ranks so much less than in the baseline has changed by
/// itself so far that what it does together with others cannot be told.
const MIN_ALONG: f64 = 0.8;
/// Beyond it Fisher's z is of rounding.
const MOST: f64 = 0.9999;
/// Least σ of Fisher's z times the root of the rows: for normal variables it is 1.
const MIN_SPREAD: f64 = 0.7;
/// A sum of products that is more skewed, or heavier in its tails, than this is too far from normal to be
/// told anything of.
const MAX_SKEWNESS: f64 = 0.5;
const MAX_KURTOSIS: f64 = 1.0;
/// Smaller changes of a correlation are not worth acting on; nor of the variance that is left.
const MIN_CHANGE: f64 = 0.1;
const MIN_RECONSTRUCTION: f64 = 0.02;
const MAX_PAIRS: usize = 5;

/// What is derived of a baseline's section, once.
#[derive(Debug)]
pub(super) struct Against {
    pub(super) joint: Joint,
    pub(super) scores: Vec<Scores>,
    /// By coordinate: see [`Scores::along`].
    along: Vec<f64>,
    shapes: Vec<Shape>,
    /// By coordinate, whether its feature has a daily cycle.
    cyclic: Vec<bool>,
    components: usize,
    left: Square,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Below it a p-value is significant.
    pub(super) level: f64,
    pub(super) min_rows: u64,
    /// Rows that count as one: of the baseline, and of the window.
    pub(super) design_effects: (f64, f64),
    /// The window is of whole days, as far as is known.
    pub(super) holds_days: bool,
}

/// One pair of a window: its correlation, what it would be without a change, and the distance in
/// standard errors.
#[derive(Clone, Copy)]
struct Pair {
    place: (usize, usize),
    before: f64,
    after: f64,
    distance: f64,
}

impl Against {
    /// `None` if a coordinate does not fit its feature.
    pub(super) fn new(joint: &Joint, baseline: &Baseline) -> Option<Self> {
        let features = baseline.features();
        let scores = joint.coordinates.iter();
        let scores =
            scores.map(|coordinate| Scores::new(features.get(coordinate.feature)?, coordinate));
        let scores: Vec<Scores> = scores.collect::<Option<_>>()?;
        let each = joint.coordinates.iter().zip(&scores);
        let along = each.map(|(coordinate, scores)| {
            let feature = &features[coordinate.feature];
            scores.along(&feature.content.counts(), feature.rows() as f64)
        });
        let along = along.collect::<Option<_>>()?;
        let each = joint.coordinates.iter().zip(&scores);
        let shapes = each.map(|(coordinate, scores)| {
            scores.shape(&features[coordinate.feature].content.counts())
        });
        let shapes = shapes.collect::<Option<_>>()?;
        let square = Square::of_pairs(scores.len(), &joint.correlations);
        let components = square.components(joint.rows as f64);
        let left = square.left_over(components);
        let is_cyclic = |coordinate: &Coordinate| {
            let variation = features[coordinate.feature].variation.as_deref();
            variation.is_some_and(|variation| variation.season().is_some())
        };
        let cyclic = joint.coordinates.iter().map(is_cyclic).collect();
        Some(Self { joint: joint.clone(), scores, along, shapes, cyclic, components, left })
    }

    pub(super) fn has_enough(rows: f64, min_rows: u64) -> bool {
        rows >= MIN_ROWS.max(min_rows as f64)
    }

    /// Whether there is a pair that a window, of whole days or not, can be told of.
    pub(super) fn tells_of_pairs(&self, holds_days: bool) -> bool {
        pairs(self.scores.len()).any(|place| self.is_told(place, holds_days))
    }

    /// Of two levels of one feature, each says what the other does. And two that follow the hours of the
    /// day go together over days, which within an hour they need not.
    fn is_told(&self, (second, first): (usize, usize), holds_days: bool) -> bool {
        let coordinates = &self.joint.coordinates;
        let follow_hours = self.cyclic[second] && self.cyclic[first] && !holds_days;
        coordinates[second].feature != coordinates[first].feature && !follow_hours
    }

    /// `counts` are the window's, by coordinate. `None` with too few rows.
    pub(super) fn judge(
        &self,
        baseline: &Baseline,
        moments: &Moments,
        counts: &[Option<&FeatureCounts>],
        rules: Rules,
    ) -> Option<JointReport> {
        let rows = moments.rows as f64;
        let effective = rows / rules.design_effects.1.max(1.0);
        if !Self::has_enough(effective, rules.min_rows) {
            return None;
        }
        let reference = self.joint.rows as f64 / rules.design_effects.0.max(1.0);
        let error = (1.0 / effective + 1.0 / reference).sqrt();
        let told: Vec<Option<Told>> = self.told(counts, rows);
        let pairs = self.pairs(moments, &told, error, (effective.min(reference), rules.holds_days));
        if pairs.is_empty() {
            return None;
        }
        let furthest = pairs.iter().map(|pair| pair.distance.abs()).fold(0.0, f64::max);
        let (left_before, left_after) = self.left_over(&pairs);
        let rebuilt = self.rebuilt((left_before, left_after), error);
        let by_pairs = two_sided(furthest) * pairs.len() as f64;
        let p_value = (2.0 * by_pairs.min(two_sided(rebuilt))).min(1.0);
        let significant = p_value <= rules.level;
        let moved = |pair: &Pair| {
            let is_furthest = two_sided(pair.distance) * pairs.len() as f64 * 2.0 <= rules.level;
            is_furthest && (pair.after - pair.before).abs() >= MIN_CHANGE
        };
        let rebuilt_worse = 2.0 * two_sided(rebuilt) <= rules.level
            && (left_after - left_before).abs() >= MIN_RECONSTRUCTION;
        Some(JointReport {
            p_value,
            significant,
            detected: significant && (pairs.iter().any(moved) || rebuilt_worse),
            statistic: furthest.max(rebuilt),
            pairs: if significant { self.named(baseline, pairs) } else { Vec::new() },
            reconstruction_error: left_after,
            baseline_reconstruction_error: left_before,
        })
    }

    /// By coordinate, what of a window can be told; `None` where that is too little.
    fn told(&self, counts: &[Option<&FeatureCounts>], rows: f64) -> Vec<Option<Told>> {
        let before = self.along.iter().zip(&self.shapes);
        let each = self.scores.iter().zip(counts).zip(before);
        let told = each.map(|((scores, counts), (before, shape))| {
            let along = scores.along((*counts)?, rows)? / before;
            let shape = shape.or_worse(scores.shape((*counts)?)?);
            (along >= MIN_ALONG).then_some(Told { along, shape })
        });
        told.collect()
    }

    /// Those that can be told.
    fn pairs(
        &self,
        moments: &Moments,
        told: &[Option<Told>],
        error: f64,
        (fewest, holds_days): (f64, bool),
    ) -> Vec<Pair> {
        let reference = self.joint.correlations.iter().zip(&self.joint.spreads);
        let each = pairs(told.len()).zip(reference).zip(moments.correlations());
        let pair = |place: (usize, usize), before: f64, spread: f64, after: f64| {
            let (second, first) = (told[place.0]?, told[place.1]?);
            if !self.is_told(place, holds_days) {
                return None;
            }
            let before = before * second.along * first.along;
            let spread = (spread / (1.0 - before.clamp(-MOST, MOST).powi(2))).max(MIN_SPREAD);
            let z = |correlation: f64| correlation.clamp(-MOST, MOST).atanh();
            let distance =
                normal((z(after) - z(before)) / (spread * error), first, second, fewest)?;
            Some(Pair { place, before, after, distance })
        };
        each.filter_map(|((place, (before, spread)), after)| pair(place, *before, *spread, after))
            .collect()
    }

    /// The share of the variance that is left, by the pairs that can be told: before, and now.
    fn left_over(&self, pairs: &[Pair]) -> (f64, f64) {
        let share = |of: fn(&Pair) -> f64| {
            self.left.share_of(pairs.iter().map(|pair| (pair.place, of(pair))))
        };
        let before = share(|pair| pair.before) + self.joint.reconstruction_optimism;
        (before, share(|pair| pair.after))
    }

    /// How far that has moved, in standard errors; nowhere without components.
    fn rebuilt(&self, (before, after): (f64, f64), error: f64) -> f64 {
        if self.components == 0 {
            return 0.0;
        }
        (after - before).abs() / (self.joint.reconstruction_spread * error).max(f64::MIN_POSITIVE)
    }

    fn named(&self, baseline: &Baseline, mut pairs: Vec<Pair>) -> Vec<PairChange> {
        pairs.sort_by(|a, b| b.distance.abs().total_cmp(&a.distance.abs()));
        let name = |at: usize| {
            let coordinate = &self.joint.coordinates[at];
            let feature = &baseline.features()[coordinate.feature];
            let levels = feature.categorical().map(|counts| counts.levels().names());
            let level = coordinate.level.and_then(|level| levels?.get(level).cloned());
            (Arc::clone(&feature.key().name), level)
        };
        let change = |pair: Pair| {
            let ((first, first_level), (second, second_level)) =
                (name(pair.place.1), name(pair.place.0));
            let (before, after) = (pair.before, pair.after);
            PairChange { first, first_level, second, second_level, before, after }
        };
        pairs.into_iter().take(MAX_PAIRS).map(change).collect()
    }
}

/// What of a coordinate of a window can be told: see [`Scores::along`], against the baseline's.
#[derive(Debug, Clone, Copy)]
struct Told {
    along: f64,
    shape: Shape,
}

/// A distance as it would be of a normal variable, or less: its tail by Cornish and Fisher (1938), for a
/// sum of products of two scores that do not depend on each other, where those are skewed or have heavier
/// tails than normal ones. `None` where that is too far off.
fn normal(distance: f64, first: Told, second: Told, rows: f64) -> Option<f64> {
    let skewness = (first.shape.skewness * second.shape.skewness).abs() / rows.sqrt();
    let kurtosis = (first.shape.kurtosis * second.shape.kurtosis - 9.0).max(0.0) / rows;
    if skewness > MAX_SKEWNESS || kurtosis > MAX_KURTOSIS {
        return None;
    }
    let far = distance.abs();
    let less = skewness / 6.0 * (far * far - 1.0) + kurtosis / 24.0 * (far.powi(3) - 3.0 * far);
    // Beyond the middle the expansion turns back; what is so far is far in any case.
    let least = far / (1.0 + skewness + kurtosis);
    Some((far - less.max(0.0)).max(least.min(far)).copysign(distance))
}

fn two_sided(distance: f64) -> f64 {
    erfc(distance.abs() / SQRT_2)
}
