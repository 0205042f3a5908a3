//! What matters to the model: drift ranked by importance, and whether importance itself has moved.
//!
//! Importances are given: nothing here asks a model for them. With them each feature that differs is
//! ranked by its importance times its distance. Where answers carry attributions of their own, outputs
//! such as `shap_temp_max`, the mean of their absolute values over a window is the importance in
//! production, and NDCG says how far its ranking is from that of the reference. Without attributions
//! there is no ranking of production to compare: distances say where inputs moved and not what the model
//! makes of it, so no NDCG is made of them.

mod ndcg;
mod rank;

pub use ndcg::ndcg;
pub(super) use rank::rank;

use super::baseline::Baseline;
use super::report::{AttributionDrift, AttributionRank, AttributionReference};
use super::settings::Settings;
use crate::decode::{Cell, Column, Rows};
use crate::sketch::{FrameError, NumericCounts, Packer, Role, Unpacker};
use statrs::function::erf::erfc_inv;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Below it the ranking is another: the alert of Amazon SageMaker Clarify, "If the score is less than 0.9,
/// then a violation is logged".
const FLOOR: f64 = 0.9;
/// Features that a report names.
const NAMED: usize = 20;

#[derive(Debug, Clone, PartialEq)]
pub struct AttributionSettings {
    /// By feature; not negative.
    pub importance: BTreeMap<Arc<str>, f64>,
    /// An output whose name begins so is the attribution to the feature that the rest names.
    pub prefixes: Vec<Arc<str>>,
}

impl Default for AttributionSettings {
    fn default() -> Self {
        Self { importance: BTreeMap::new(), prefixes: vec!["shap_".into(), "attribution.".into()] }
    }
}

impl AttributionSettings {
    fn feature_of<'n>(&self, output: &'n str) -> Option<&'n str> {
        let rest = self.prefixes.iter().find_map(|prefix| output.strip_prefix(&**prefix));
        rest.filter(|feature| !feature.is_empty())
    }
}

/// The attributions of open windows. Bounded by features and levels of windows.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributions {
    /// By the name of the output, then by level.
    outputs: BTreeMap<Arc<str>, Vec<Moments>>,
}

/// Of absolute values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Moments {
    values: u64,
    /// Each value weighs as much as the exchanges that it stands for.
    weight: f64,
    weight_squares: f64,
    sum: f64,
    squares: f64,
}

/// A mean of absolute values, and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Importance {
    mean: f64,
    error: f64,
}

impl Attributions {
    /// `rate` is the share of exchanges that were kept when this one was, in (0, 1].
    pub(super) fn observe(&mut self, settings: &Settings, outputs: &Rows, rate: f64) {
        for column in outputs.columns() {
            if settings.attribution.feature_of(column.name()).is_none() {
                continue;
            }
            if let Some(levels) = self.outputs.get_mut(column.name()) {
                levels.iter_mut().take(1).for_each(|finest| finest.observe(column, 1.0 / rate));
            } else if self.outputs.len() < settings.max_features {
                let mut levels = vec![Moments::default(); settings.windows.len()];
                levels.iter_mut().take(1).for_each(|finest| finest.observe(column, 1.0 / rate));
                self.outputs.insert(Arc::clone(column.name()), levels);
            }
        }
    }

    /// Ends the window of a level. `None` where fewer than two features have both a reference and enough
    /// rows.
    pub(super) fn close(
        &mut self,
        settings: &Settings,
        baseline: Option<&Baseline>,
        level: usize,
    ) -> Option<Box<AttributionDrift>> {
        let mut production = Vec::new();
        for (output, levels) in &mut self.outputs {
            let moments = levels.get_mut(level).map(std::mem::take).unwrap_or_default();
            if level == 0 {
                levels.iter_mut().skip(1).for_each(|longer| longer.add(moments));
            }
            let feature = settings.attribution.feature_of(output);
            if let Some(feature) = feature.filter(|_| moments.values >= settings.min_rows) {
                production
                    .extend(moments.importance().map(|now| (Arc::clone(output), feature, now)));
            }
        }
        let measured = |output: &str| of_baseline(baseline?, output);
        let given = |feature: &str| {
            let mean = *settings.attribution.importance.get(feature)?;
            Some(Importance { mean, error: 0.0 })
        };
        let with = |of: &dyn Fn(&str, &str) -> Option<Importance>| {
            let known = production.iter().filter_map(|(output, feature, now)| {
                Some(Pair { feature: (*feature).into(), before: of(output, feature)?, now: *now })
            });
            Some(known.collect::<Vec<Pair>>()).filter(|pairs| pairs.len() >= 2)
        };
        let (pairs, reference) = match with(&|output, _| measured(output)) {
            Some(pairs) => (pairs, AttributionReference::Baseline),
            None => (with(&|_, feature| given(feature))?, AttributionReference::Importance),
        };
        drift(&pairs, settings.false_discovery_rate, reference).map(Box::new)
    }

    pub(super) fn save(&self, packer: &mut Packer) {
        packer.size(self.outputs.len());
        for (output, levels) in &self.outputs {
            packer.text(output);
            packer.size(levels.len());
            for moments in levels {
                moments.save(packer);
            }
        }
    }

    /// Outputs that are no attributions any more are left out, and so are those of another number of
    /// levels.
    pub(super) fn restore(
        &mut self,
        settings: &Settings,
        saved: &mut Unpacker<'_>,
    ) -> Result<(), FrameError> {
        for _ in 0..saved.size(usize::MAX)? {
            let output = saved.text()?;
            let mut levels = Vec::new();
            for _ in 0..saved.size(usize::MAX)? {
                levels.push(Moments::restored(saved)?);
            }
            let is_watched = settings.attribution.feature_of(output).is_some()
                && levels.len() == settings.windows.len();
            if is_watched && self.outputs.len() < settings.max_features {
                self.outputs.insert(output.into(), levels);
            }
        }
        Ok(())
    }

    /// Windows begin anew.
    pub(super) fn clear(&mut self) {
        self.outputs.clear();
    }
}

struct Pair {
    feature: Arc<str>,
    before: Importance,
    now: Importance,
}

fn drift(pairs: &[Pair], rate: f64, reference: AttributionReference) -> Option<AttributionDrift> {
    let before: Vec<f64> = pairs.iter().map(|pair| pair.before.mean).collect();
    let now: Vec<f64> = pairs.iter().map(|pair| pair.now.mean).collect();
    let score = ndcg(&before, &now)?;
    let at_most = ndcg(&before, &closest(pairs, rate))?.max(score);
    let (rank_before, rank_now) = (ranks(&before), ranks(&now));
    let mut features: Vec<AttributionRank> = pairs
        .iter()
        .zip(rank_before.iter().zip(&rank_now))
        .map(|(pair, (rank_before, rank_now))| AttributionRank {
            feature: Arc::clone(&pair.feature),
            before: pair.before.mean,
            now: pair.now.mean,
            rank_before: *rank_before,
            rank_now: *rank_now,
        })
        .collect();
    features.sort_by_key(|feature| feature.rank_before.min(feature.rank_now));
    features.truncate(NAMED);
    Some(AttributionDrift {
        ndcg: score,
        ndcg_at_most: at_most,
        detected: at_most < FLOOR,
        reference,
        features,
    })
}

/// The importances nearest to the reference's, brought to one scale, that lie within what chance leaves
/// open: a normal interval of each mean, at the error rate over all features (Bonferroni).
fn closest(pairs: &[Pair], rate: f64) -> Vec<f64> {
    let total = |of: fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>();
    let scale = total(|pair| pair.now.mean) / total(|pair| pair.before.mean);
    let errors = std::f64::consts::SQRT_2 * erfc_inv(rate / pairs.len() as f64);
    let score = |pair: &Pair| {
        let half = errors * pair.now.error.hypot(scale * pair.before.error);
        // Unlike `clamp`, of a scale that is beyond all numbers too.
        (scale * pair.before.mean).max(pair.now.mean - half).min(pair.now.mean + half)
    };
    pairs.iter().map(score).collect()
}

/// From 1 for the greatest; equals have the same.
fn ranks(values: &[f64]) -> Vec<usize> {
    let above = |value: &f64| values.iter().filter(|other| *other > value).count();
    values.iter().map(|value| 1 + above(value)).collect()
}

impl Moments {
    fn observe(&mut self, column: &Column, weight: f64) {
        match column.as_numbers() {
            Some(numbers) => numbers.iter().for_each(|number| self.add_value(*number, weight)),
            None => column.cells().for_each(|cell| {
                if let Cell::Number(number) = cell {
                    self.add_value(number, weight);
                }
            }),
        }
    }

    fn add_value(&mut self, value: f64, weight: f64) {
        if value.is_finite() {
            self.values += 1;
            self.weight += weight;
            self.weight_squares += weight * weight;
            self.sum += weight * value.abs();
            self.squares += weight * value * value;
        }
    }

    fn add(&mut self, other: Self) {
        self.values += other.values;
        self.weight += other.weight;
        self.weight_squares += other.weight_squares;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    fn save(self, packer: &mut Packer) {
        packer.word(self.values);
        for sum in [self.weight, self.weight_squares, self.sum, self.squares] {
            packer.float(sum);
        }
    }

    fn restored(saved: &mut Unpacker<'_>) -> Result<Self, FrameError> {
        let values = saved.count()?;
        let mut sum = || match saved.float()? {
            sum if sum.is_finite() && sum >= 0.0 => Ok(sum),
            _ => Err(FrameError::Content),
        };
        let (weight, weight_squares, sum_of, squares) = (sum()?, sum()?, sum()?, sum()?);
        Ok(Self { values, weight, weight_squares, sum: sum_of, squares })
    }

    /// Values of different weights tell as much as (Σw)² / Σw² of one (Kish, *Survey Sampling*, 1965).
    /// `None` without values, and where their sums are beyond what a number holds.
    fn importance(self) -> Option<Importance> {
        let mean = self.sum / self.weight;
        let variance = (self.squares / self.weight - mean * mean).max(0.0);
        let error = (variance * self.weight_squares).sqrt() / self.weight;
        (mean.is_finite() && self.squares.is_finite()).then_some(Importance { mean, error })
    }
}

/// Exact but for the bin that holds zero in its inside, where positive and negative values cancel.
fn of_baseline(baseline: &Baseline, output: &str) -> Option<Importance> {
    let mut features = baseline.features().iter();
    let feature = features.find(|f| f.key().role == Role::Output && *f.key().name == *output)?;
    of_counts(feature.numeric()?)
}

fn of_counts(counts: &NumericCounts) -> Option<Importance> {
    let (mean, sigma) = (counts.mean()?, counts.sigma()?);
    let (values, weight) = (counts.values(), counts.values() as f64);
    let sum: f64 = counts.sums().iter().map(|sum| sum.abs()).sum();
    let squares = (sigma * sigma + mean * mean) * weight;
    Moments { values, weight, weight_squares: weight, sum, squares }.importance()
}

#[cfg(test)]
mod tests;
