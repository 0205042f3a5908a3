//! One feature of a baseline: its frozen bins or levels, and what the reference had in each.

use super::{QUANTILES, bins};
use crate::drift::dependence::Variation;
use crate::drift::report::{Bin, Expected, Shape};
use crate::drift::verdict::quality_of_reference;
use crate::sketch::{
    CategoricalCounts, CategoricalSketch, FeatureCounts, FeatureKey, FeatureSketch, Kind,
    NumericCounts, NumericSketch, Repeats, ValueKey,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq)]
pub struct BaselineFeature {
    pub(crate) key: FeatureKey,
    pub(crate) content: Content,
    /// What reports show, in order; the last is nulls.
    pub(crate) labels: Vec<Label>,
    /// How the reference varies in blocks, where that is more than chance.
    pub(crate) variation: Option<Arc<Variation>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Numeric(NumericReference),
    Categorical(CategoricalReference),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NumericReference {
    pub(crate) counts: NumericCounts,
    /// Of the population; 0 without values.
    pub(crate) sigma: f64,
    /// The stored bins at which reported ones begin.
    pub(crate) groups: Vec<usize>,
    /// At the ranks of [`super::QUANTILES`]; empty without values.
    pub(crate) quantiles: Vec<f64>,
    /// `None` where each value has a bin of its own, or nothing is known.
    pub(crate) repeated: Option<Repeated>,
}

/// How often the reference had one value again: what the mass of a point is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repeated {
    /// Most rows first; rows may be a few too many, never too few.
    pub(crate) values: Vec<RepeatedValue>,
    /// No other value had more rows than this.
    pub(crate) beyond: u64,
    /// Values that came five times or more, those that are not kept included.
    pub(crate) distinct: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RepeatedValue {
    pub(crate) value: f64,
    pub(crate) rows: u64,
}

impl Repeated {
    const MOST: usize = 256;
    const OFTEN: u32 = 5;

    pub(super) fn of(repeats: &Repeats) -> Self {
        let often = repeats.frequent(Self::OFTEN, usize::MAX);
        let rows = |count: u32| u64::from(count) + repeats.missed();
        let next = often.get(Self::MOST).map_or(Self::OFTEN - 1, |(_, count)| *count);
        let all = || repeats.frequent(1, 1).first().map_or(0, |(_, count)| *count);
        let value = |(key, count): &(u64, u32)| RepeatedValue {
            value: f64::from_bits(*key),
            rows: rows(*count),
        };
        Self {
            values: often.iter().take(Self::MOST).map(value).collect(),
            beyond: rows(next.min(if often.is_empty() { all() } else { next })),
            distinct: often.len() as u64,
        }
    }

    /// At most so many rows of the reference had the value of that key.
    pub(crate) fn rows(&self, key: ValueKey) -> u64 {
        let known = self.values.iter().find(|known| Repeats::key(known.value) == key);
        known.map_or(self.beyond, |known| known.rows)
    }

    pub(super) fn is_valid(&self) -> bool {
        self.values.len() <= Self::MOST && self.values.iter().all(|known| known.value.is_finite())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CategoricalReference {
    /// Levels with more rows come first.
    pub(crate) counts: CategoricalCounts,
    /// The first so many levels are reported; the rest are `other`.
    pub(crate) shown: usize,
    /// Levels with one row: they tell how often a level is new (Good and Turing).
    pub(crate) singletons: u64,
    /// Estimated beyond the levels that are kept.
    pub(crate) distinct: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Label {
    text: Arc<str>,
    lower: Option<f64>,
    upper: Option<f64>,
}

impl BaselineFeature {
    pub(crate) fn new(key: FeatureKey, content: Content) -> Self {
        let labels = content.labels();
        Self { key, content, labels, variation: None }
    }

    pub(crate) fn with_variation(self, variation: Variation) -> Self {
        let variation = (!variation.is_empty()).then(|| Arc::new(variation));
        Self { variation, ..self }
    }

    /// Of its stored bins or levels; of levels one more, for others.
    pub(crate) fn cells(&self) -> usize {
        match &self.content {
            Content::Numeric(numeric) => numeric.counts.bins().len(),
            Content::Categorical(levels) => levels.counts.levels().len() + 1,
        }
    }

    pub fn key(&self) -> &FeatureKey {
        &self.key
    }

    pub fn kind(&self) -> Kind {
        match self.content {
            Content::Numeric(_) => Kind::Numeric,
            Content::Categorical(_) => Kind::Categorical,
        }
    }

    pub fn rows(&self) -> u64 {
        self.content.rows()
    }

    /// Counts, bounds and moments, if the feature is numeric.
    pub fn numeric(&self) -> Option<&NumericCounts> {
        match &self.content {
            Content::Numeric(numeric) => Some(&numeric.counts),
            Content::Categorical(_) => None,
        }
    }

    /// Counts by level, if the feature is categorical.
    pub fn categorical(&self) -> Option<&CategoricalCounts> {
        match &self.content {
            Content::Categorical(categorical) => Some(&categorical.counts),
            Content::Numeric(_) => None,
        }
    }

    /// How many levels the reference had; `None` for numbers.
    pub fn distinct_levels(&self) -> Option<u64> {
        match &self.content {
            Content::Categorical(categorical) => Some(categorical.distinct),
            Content::Numeric(_) => None,
        }
    }

    /// The reference's values at the ranks that the file names, `0.01` to `0.99`; none for levels.
    pub fn quantiles(&self) -> Vec<(&'static str, f64)> {
        match &self.content {
            Content::Numeric(numeric) => {
                let values = numeric.quantiles.iter().copied();
                QUANTILES.iter().map(|(name, _)| *name).zip(values).collect()
            }
            Content::Categorical(_) => Vec::new(),
        }
    }

    /// The same feature as if the rows of a window had been its reference. Bins and levels stay: none
    /// of them was chosen by those rows, so none is new or out of bounds for being beyond them.
    /// Two windows differ by nature by what each of them varies; `same_hour` says that a cycle of the
    /// day is in both.
    pub(crate) fn of_window(&self, counts: FeatureCounts, same_hour: bool) -> Option<Self> {
        let content = match (&self.content, counts) {
            (Content::Numeric(reference), FeatureCounts::Numeric(counts)) => {
                Content::Numeric(NumericReference {
                    sigma: counts.sigma().unwrap_or_default(),
                    groups: reference.groups.clone(),
                    quantiles: Vec::new(),
                    repeated: None,
                    counts,
                })
            }
            (Content::Categorical(reference), FeatureCounts::Categorical(counts)) => {
                Content::Categorical(CategoricalReference { counts, singletons: 0, ..*reference })
            }
            _ => return None,
        };
        let variation = self.variation.as_ref().map(|known| Arc::new(known.between_two(same_hour)));
        Some(Self { key: self.key.clone(), content, labels: self.labels.clone(), variation })
    }

    /// What live rows are drawn beside.
    pub(crate) fn expected(&self) -> Expected {
        let at = |rank: f64| {
            let mut names = QUANTILES.iter().zip(self.quantiles());
            names.find(|((_, known), _)| (known - rank).abs() < 1e-9).map(|(_, (_, value))| value)
        };
        let values: Vec<f64> = Shape::RANKS.iter().filter_map(|rank| at(*rank)).collect();
        Expected {
            rows: self.rows(),
            quantiles: values.try_into().ok(),
            quality: quality_of_reference(&self.content),
        }
    }

    /// What is reported, in order: bins or levels, `other` for levels, and `null`. `recent` and
    /// `total` count the same bins and are 0 where they are shorter.
    pub fn bins(&self, recent: &[u64], total: &[u64]) -> Vec<Bin> {
        let reference = self.content.reported();
        let rows: u64 = reference.iter().sum();
        let at = |counts: &[u64], bin: usize| counts.get(bin).copied().unwrap_or(0);
        let bin = |(bin, (label, count)): (usize, (&Label, &u64))| Bin {
            label: label.text.clone(),
            lower: label.lower,
            upper: label.upper,
            baseline_share: if rows == 0 { 0.0 } else { *count as f64 / rows as f64 },
            recent_rows: at(recent, bin),
            total_rows: at(total, bin),
        };
        self.labels.iter().zip(&reference).enumerate().map(bin).collect()
    }
}

impl Content {
    /// What the reference counted, as a window counts.
    pub(crate) fn counts(&self) -> FeatureCounts {
        match self {
            Self::Numeric(numeric) => FeatureCounts::Numeric(numeric.counts.clone()),
            Self::Categorical(levels) => FeatureCounts::Categorical(levels.counts.clone()),
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        match self {
            Self::Numeric(numeric) => numeric.counts.rows(),
            Self::Categorical(categorical) => categorical.counts.rows(),
        }
    }

    /// The reference's rows in each reported bin, nulls last.
    pub(crate) fn reported(&self) -> Vec<u64> {
        match self {
            Self::Numeric(numeric) => numeric.reported(&numeric.counts),
            Self::Categorical(categorical) => categorical.reported(&categorical.counts),
        }
    }

    /// A window's rows in the same bins; none if it was made for another kind of feature.
    pub(crate) fn reported_of(&self, window: &FeatureCounts) -> Vec<u64> {
        match (self, window) {
            (Self::Numeric(numeric), FeatureCounts::Numeric(counts)) => numeric.reported(counts),
            (Self::Categorical(levels), FeatureCounts::Categorical(counts)) => {
                levels.reported(counts)
            }
            _ => Vec::new(),
        }
    }

    /// Whether values share bins, so that one that comes again and again does not show in them.
    pub(crate) fn hides_values(&self) -> bool {
        matches!(self, Self::Numeric(numeric) if numeric.repeated.is_some())
    }

    /// An empty window on the reference's edges or levels.
    pub(crate) fn window(&self) -> FeatureSketch {
        match self {
            Self::Numeric(numeric) => {
                FeatureSketch::Numeric(NumericSketch::new(numeric.counts.edges().clone()))
            }
            Self::Categorical(categorical) => FeatureSketch::Categorical(CategoricalSketch::new(
                categorical.counts.levels().clone(),
            )),
        }
    }

    /// Of a window without rows.
    pub(crate) fn no_counts(&self) -> FeatureCounts {
        match self {
            Self::Numeric(numeric) => {
                FeatureCounts::Numeric(NumericCounts::new(numeric.counts.edges().clone()))
            }
            Self::Categorical(categorical) => FeatureCounts::Categorical(CategoricalCounts::new(
                categorical.counts.levels().clone(),
            )),
        }
    }

    fn labels(&self) -> Vec<Label> {
        let mut labels = match self {
            Self::Numeric(numeric) => numeric.labels(),
            Self::Categorical(categorical) => categorical.labels(),
        };
        labels.push(Label { text: "null".into(), lower: None, upper: None });
        labels
    }
}

impl NumericReference {
    /// Rank and value, as the file has them.
    pub(crate) fn ranked_quantiles(&self) -> Vec<(f64, f64)> {
        QUANTILES.iter().map(|(_, rank)| *rank).zip(self.quantiles.iter().copied()).collect()
    }

    /// The reference's or a window's rows in each reported bin, nulls last.
    pub(crate) fn reported(&self, counts: &NumericCounts) -> Vec<u64> {
        let ends = self.groups.iter().skip(1).copied().chain([counts.bins().len()]);
        let groups = self.groups.iter().zip(ends);
        let rows = groups.map(|(start, end)| counts.bins()[*start..end].iter().sum());
        rows.chain([counts.missing()]).collect()
    }

    fn labels(&self) -> Vec<Label> {
        let cuts = self.counts.edges().cuts();
        let cut_before = |bin: usize| bin.checked_sub(1).map(|cut| cuts[cut]);
        let ends = self.groups.iter().skip(1).map(|bin| cut_before(*bin)).chain([None]);
        let intervals = self.groups.iter().map(|bin| cut_before(*bin)).zip(ends);
        let label = |(lower, upper)| Label { text: bins::label(lower, upper).into(), lower, upper };
        intervals.map(label).collect()
    }
}

impl CategoricalReference {
    /// The reference's or a window's rows in each reported level, then others, nulls last.
    pub(crate) fn reported(&self, counts: &CategoricalCounts) -> Vec<u64> {
        let (shown, rest) = counts.level_rows().split_at(self.shown);
        let other = rest.iter().sum::<u64>() + counts.other();
        shown.iter().copied().chain([other, counts.nulls()]).collect()
    }

    fn labels(&self) -> Vec<Label> {
        let names = &self.counts.levels().names()[..self.shown];
        let texts = names.iter().cloned().chain(["other".into()]);
        texts.map(|text| Label { text, lower: None, upper: None }).collect()
    }
}
