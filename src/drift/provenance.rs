//! What a verdict was made of, so that another run over the same rows can be held against it.
//!
//! Hashes of baseline, settings and counts, of a window and of those before it that it was merged with,
//! are equal where a run sees the same rows under the same settings. The tests read two things more:
//! how live rows before them depended on each other, and which values came again. A run that begins
//! with the same rows and has the same windows knows both alike, and gives equal p-values; one that
//! begins later, or has other windows, may differ a little at equal hashes.

use super::Settings;
use super::baseline::BaselineFeature;
use crate::sketch::{FeatureCounts, FrameError, Packer, Unpacker};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// As `taffrail baseline show` has it.
    pub baseline_hash: Arc<str>,
    /// Of the settings that a verdict on windows of this length depends on, whatever file or flag they
    /// came from.
    pub config_hash: Arc<str>,
    /// Of all counts of the window, in whatever order its rows came; of rows sampled at different rates
    /// what they are worth.
    pub sketch_hash: Arc<str>,
    pub weights: Weights,
    /// The version that judged.
    pub engine: Arc<str>,
}

/// How the exchanges of the window were sampled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Weights {
    /// The lowest and the highest share of exchanges that were kept while the window was open.
    pub min_rate: f64,
    pub max_rate: f64,
    /// (Σ w)² / Σ w² with a row's weight w = 1 / rate (Kish 1965): the rows, where all rates are one.
    pub effective_rows: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Sampled::default().weights()
    }
}

/// Rates of one open window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sampled {
    rates: Option<(f64, f64)>,
    sum: f64,
    squares: f64,
}

impl Sampled {
    /// All rows were kept at one rate.
    pub(super) fn is_even(&self) -> bool {
        self.rates.is_none_or(|(least, most)| most - least < 1e-9)
    }

    /// A rate that is none counts as 1.
    pub(super) fn add(&mut self, rate: f64, rows: u64) {
        if rows == 0 {
            return;
        }
        let rate = if rate > 0.0 && rate <= 1.0 { rate } else { 1.0 };
        let (min, max) = self.rates.unwrap_or((rate, rate));
        self.rates = Some((min.min(rate), max.max(rate)));
        self.sum += rows as f64 / rate;
        self.squares += rows as f64 / (rate * rate);
    }

    pub(super) fn save(&self, packer: &mut Packer) {
        let Self { rates, sum, squares } = self;
        packer.flag(rates.is_some());
        let (min, max) = rates.unwrap_or_default();
        for float in [min, max, *sum, *squares] {
            packer.float(float);
        }
    }

    pub(super) fn restored(saved: &mut Unpacker<'_>) -> Result<Self, FrameError> {
        let has_rates = saved.flag()?;
        let mut next = || match saved.float()? {
            float if float.is_finite() && float >= 0.0 => Ok(float),
            _ => Err(FrameError::Content),
        };
        let (rates, sum, squares) = ((next()?, next()?), next()?, next()?);
        Ok(Self { rates: has_rates.then_some(rates), sum, squares })
    }

    pub(super) fn append(&mut self, later: &Self) {
        self.rates = match (self.rates, later.rates) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        self.sum += later.sum;
        self.squares += later.squares;
    }

    pub(super) fn weights(&self) -> Weights {
        let (min_rate, max_rate) = self.rates.unwrap_or((1.0, 1.0));
        let effective_rows =
            if self.squares > 0.0 { self.sum * self.sum / self.squares } else { 0.0 };
        Weights { min_rate, max_rate, effective_rows }
    }
}

pub(super) fn engine() -> Arc<str> {
    env!("CARGO_PKG_VERSION").into()
}

/// Of what is decided by settings alone. Features beyond `max_features` show in the counts: they have none.
pub(super) fn config_hash(settings: &Settings, window: &str) -> Arc<str> {
    let mut hash = Hash::default();
    hash.number(settings.min_rows);
    hash.number(settings.false_discovery_rate.to_bits());
    for number in settings.persistence.numbers() {
        hash.number(number as u64);
    }
    for globs in settings.filter.globs() {
        hash.number(globs.len() as u64);
        for glob in globs {
            hash.text(glob);
        }
    }
    hash.text(window);
    hash.finish()
}

/// Sums and squares are left out: they depend, in their last digit, on the order of rows.
#[derive(Default)]
pub(super) struct Hash(Xxh3);

impl Hash {
    pub(super) fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    pub(super) fn feature(&mut self, feature: &BaselineFeature, counts: &FeatureCounts) {
        let key = feature.key();
        self.text(key.role.as_str());
        self.text(&key.name);
        match counts {
            FeatureCounts::Numeric(counts) => {
                self.number(counts.edges().hash());
                for rows in counts.bins() {
                    self.number(*rows);
                }
                for value in [counts.min(), counts.max()] {
                    self.number(value.map_or(u64::MAX, f64::to_bits));
                }
                for count in [
                    counts.zeros(),
                    counts.missing(),
                    counts.infinities,
                    counts.below,
                    counts.above,
                    counts.type_errors(),
                ] {
                    self.number(count);
                }
            }
            FeatureCounts::Categorical(counts) => {
                self.number(counts.levels().hash());
                for rows in counts.level_rows() {
                    self.number(*rows);
                }
                for count in [counts.other(), counts.nulls(), counts.type_errors()] {
                    self.number(count);
                }
            }
        }
    }

    pub(super) fn finish(self) -> Arc<str> {
        format!("{:016x}", self.0.digest()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Column, Rows};
    use crate::drift::{
        Baseline, BaselineBuilder, BaselineSettings, FeatureFilter, Monitor, Persistence,
        Reference, WindowSpan,
    };
    use crate::sketch::Role;

    fn rows(values: impl Iterator<Item = u32>) -> Rows {
        let mut column = Column::new("x");
        values.for_each(|value| column.push_number(f64::from(value) / 7.0));
        let mut rows = Rows::new();
        rows.push(column);
        rows
    }

    fn baseline() -> Arc<Baseline> {
        let mut builder = BaselineBuilder::new(BaselineSettings::default());
        builder.observe(Role::Input, &rows(0..1000));
        Arc::new(builder.finish().unwrap())
    }

    fn provenance(settings: &Settings, rates: &[(f64, Rows)]) -> Provenance {
        let mut monitor = Monitor::new(settings.clone(), Reference::Baseline(baseline()));
        for (rate, rows) in rates {
            monitor.observe_sampled(rows, &Rows::new(), *rate);
        }
        let span = WindowSpan { level: 0, start: None, end: None, coverage: 1.0 };
        *monitor.close(span).unwrap().provenance.unwrap()
    }

    #[test]
    fn the_same_rows_in_any_order_have_one_hash_and_others_another() {
        let settings = Settings::default();
        let one = provenance(&settings, &[(1.0, rows(100..300))]);
        let backwards = provenance(&settings, &[(1.0, rows((100..300).rev()))]);
        let parts = provenance(&settings, &[(1.0, rows(200..300)), (1.0, rows(100..200))]);
        assert_eq!((&one, &one), (&backwards, &parts));
        let other = provenance(&settings, &[(1.0, rows(100..301))]);
        assert_ne!(one.sketch_hash, other.sketch_hash);
        assert_eq!(one.config_hash, other.config_hash);
        assert_eq!(*one.baseline_hash, *baseline().hash());
    }

    fn persistence(least: usize, of: usize) -> Persistence {
        Persistence::new(least.try_into().unwrap(), of.try_into().unwrap()).unwrap()
    }

    #[test]
    fn each_setting_that_a_verdict_depends_on_is_in_the_hash() {
        let usual = Settings::default();
        let hash = |settings: &Settings| config_hash(settings, "5m");
        for other in [
            Settings { min_rows: 51, ..usual.clone() },
            Settings { false_discovery_rate: 0.02, ..usual.clone() },
            Settings { persistence: persistence(1, 2), ..usual.clone() },
            Settings { persistence: persistence(2, 2), ..usual.clone() },
            Settings { filter: FeatureFilter::new(["a*", "b"], [""; 0]), ..usual.clone() },
            Settings { filter: FeatureFilter::new(["*"], ["b"]), ..usual.clone() },
        ] {
            assert_ne!(hash(&other), hash(&usual), "{other:?}");
        }
        assert_ne!(config_hash(&usual, "1h"), hash(&usual));
    }

    #[test]
    fn weights_are_those_of_the_rates_that_rows_were_kept_at() {
        let settings = Settings::default();
        let all = provenance(&settings, &[(1.0, rows(0..100))]).weights;
        assert_eq!(all, Weights { min_rate: 1.0, max_rate: 1.0, effective_rows: 100.0 });
        let some = provenance(&settings, &[(0.5, rows(0..50)), (1.0, rows(0..50))]).weights;
        // (50 · 2 + 50)² / (50 · 4 + 50)
        assert_eq!(some, Weights { min_rate: 0.5, max_rate: 1.0, effective_rows: 90.0 });
    }
}
