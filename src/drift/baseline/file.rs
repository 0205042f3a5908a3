//! The baseline's file: JSON with a version and a hash of the content, every field checked on reading.

use super::bins::MAX_REPORTED;
use super::feature::{CategoricalReference, Content, NumericReference, Repeated};
use super::observed::{MAX_LEVELS, MAX_SHOWN};
use super::together::Together;
use super::{Baseline, BaselineError, BaselineFeature, QUANTILES, ReferencePerformance};
use crate::drift::dependence::Variation;
use crate::drift::segments::Section;
use crate::sketch::{
    Bounds, CategoricalCounts, Edges, FeatureKey, Kind, Levels, NumericCounts, Role,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    version: u64,
    rows: u64,
    hash: String,
    features: Vec<Feature>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    performance: Option<ReferencePerformance>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    segments: Vec<Section>,
    #[serde(skip_serializing_if = "Option::is_none")]
    joint: Option<Together>,
}

/// One shape for both kinds; which fields must be there depends on `kind`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    #[serde(rename = "feature")]
    name: Arc<str>,
    role: Role,
    kind: Kind,
    rows: u64,
    null: u64,
    type_error: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    numeric: Option<Numeric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    categorical: Option<Categorical>,
    /// Where it is more than chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variation: Option<Arc<Variation>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numeric {
    nan: u64,
    infinite: u64,
    zero: u64,
    /// These four and the quantiles are absent where the reference had no number.
    min: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    sigma: Option<f64>,
    quantiles: BTreeMap<String, f64>,
    bins: Vec<Bin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeated: Option<Repeated>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bin {
    /// Included; the first bin begins at minus infinity, and each ends where the next begins.
    from: Option<f64>,
    rows: u64,
    sum: f64,
    /// A reported bin begins here.
    reported: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Categorical {
    distinct: u64,
    singletons: u64,
    /// Rows of levels that are not kept.
    other: u64,
    /// The first so many levels are reported by name.
    reported: usize,
    levels: Vec<Level>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    level: Arc<str>,
    rows: u64,
}

pub(super) fn hash(baseline: &Baseline) -> String {
    let features: Vec<Feature> = baseline.features.iter().map(Feature::of).collect();
    let segments: Vec<Section> = baseline.segments.iter().map(Section::of).collect();
    let joint = baseline.joint.as_ref().map(|joint| Together::of(joint, &baseline.features));
    let performance = baseline.performance.as_ref();
    content_hash(baseline.rows, &features, joint.as_ref(), performance, &segments)
}

/// What a baseline does not have is not hashed: files from before there was such a thing keep their hash.
fn content_hash(
    rows: u64,
    features: &[Feature],
    joint: Option<&Together>,
    performance: Option<&ReferencePerformance>,
    segments: &[Section],
) -> String {
    // These types have no map keys but texts, so writing them cannot fail.
    let mut text = serde_json::to_string(&(VERSION, rows, features)).unwrap_or_default();
    if let Some(joint) = joint {
        text.push_str(&serde_json::to_string(joint).unwrap_or_default());
    }
    if let Some(performance) = performance {
        text.push_str(&serde_json::to_string(performance).unwrap_or_default());
    }
    if !segments.is_empty() {
        text.push_str(&serde_json::to_string(segments).unwrap_or_default());
    }
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

pub(super) fn write(baseline: &Baseline) -> String {
    let file = File {
        version: VERSION,
        rows: baseline.rows,
        hash: baseline.hash.clone(),
        features: baseline.features.iter().map(Feature::of).collect(),
        performance: baseline.performance.clone(),
        segments: baseline.segments.iter().map(Section::of).collect(),
        joint: baseline.joint.as_ref().map(|joint| Together::of(joint, &baseline.features)),
    };
    let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
    text.push('\n');
    text
}

pub(super) fn read(json: &[u8]) -> Result<Baseline, BaselineError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let Versioned { version } = serde_json::from_slice(json).map_err(BaselineError::Json)?;
    if version != VERSION {
        return Err(BaselineError::Version { found: version, supported: VERSION });
    }
    let file: File = serde_json::from_slice(json).map_err(BaselineError::Json)?;
    let (joint, performance) = (file.joint.as_ref(), file.performance.as_ref());
    let hash = content_hash(file.rows, &file.features, joint, performance, &file.segments);
    let mut names = HashSet::new();
    let mut features = Vec::with_capacity(file.features.len());
    for feature in file.features {
        if !names.insert((feature.role, feature.name.clone())) {
            let (role, feature) = (feature.role, feature.name.to_string());
            return Err(BaselineError::Duplicate { feature, role });
        }
        features.push(feature.check()?);
    }
    if features.is_empty() {
        return Err(BaselineError::Empty);
    }
    let segments = Section::check(file.segments, &features)
        .map_err(|(segment, problem)| BaselineError::Segment { segment, problem })?;
    let joint = file.joint.map(|joint| joint.check(&features)).transpose()?;
    // No mutation of a fuzz target would ever hit it.
    if hash != file.hash && !cfg!(fuzzing) {
        return Err(BaselineError::Hash { found: file.hash, computed: hash });
    }
    let performance = file.performance;
    Ok(Baseline { rows: file.rows, hash, features, joint, performance, segments })
}

impl Feature {
    fn of(feature: &BaselineFeature) -> Self {
        let (null, type_error, numeric, categorical) = match &feature.content {
            Content::Numeric(numeric) => {
                (numeric.counts.nulls, numeric.counts.type_errors, Some(Numeric::of(numeric)), None)
            }
            Content::Categorical(levels) => {
                let counts = &levels.counts;
                (counts.nulls, counts.type_errors, None, Some(Categorical::of(levels)))
            }
        };
        Self {
            name: feature.key.name.clone(),
            role: feature.key.role,
            kind: feature.kind(),
            rows: feature.rows(),
            null,
            type_error,
            numeric,
            categorical,
            variation: feature.variation.clone(),
        }
    }

    fn check(self) -> Result<BaselineFeature, BaselineError> {
        let key = FeatureKey { role: self.role, name: self.name };
        let (null, type_error) = (self.null, self.type_error);
        let variation = self.variation;
        let content = match (self.kind, self.numeric, self.categorical) {
            (Kind::Numeric, Some(numeric), None) => {
                numeric.check(null, type_error).map(Content::Numeric)
            }
            (Kind::Categorical, None, Some(categorical)) => {
                categorical.check(null, type_error).map(Content::Categorical)
            }
            _ => Err(Wrong { field: "kind", problem: "does not go with the fields given".into() }),
        };
        let feature = content.map(|content| BaselineFeature::new(key.clone(), content));
        let feature = feature.and_then(|feature| varying(feature, variation));
        let feature = feature.and_then(|feature| match feature.rows() {
            rows if rows == self.rows => Ok(feature),
            rows => Err(Wrong {
                field: "rows",
                problem: format!("is {}, but the counts add up to {rows}", self.rows),
            }),
        });
        feature.map_err(|Wrong { field, problem }| BaselineError::Field {
            feature: key.name.to_string(),
            role: key.role,
            field,
            problem,
        })
    }
}

fn varying(
    feature: BaselineFeature,
    variation: Option<Arc<Variation>>,
) -> Result<BaselineFeature, Wrong> {
    if let Some(variation) = &variation {
        let checked = variation.check(feature.labels.len() - 1, feature.cells());
        checked.map_err(|problem| Wrong { field: "variation", problem: problem.to_owned() })?;
    }
    Ok(BaselineFeature { variation, ..feature })
}

/// A field of some feature, and what is wrong with it.
struct Wrong {
    field: &'static str,
    problem: String,
}

impl Wrong {
    fn unless(right: bool, field: &'static str, problem: &str) -> Result<(), Self> {
        if right { Ok(()) } else { Err(Self { field, problem: problem.to_owned() }) }
    }
}

impl Numeric {
    fn of(numeric: &NumericReference) -> Self {
        let counts = &numeric.counts;
        let from = std::iter::once(None).chain(counts.edges().cuts().iter().copied().map(Some));
        let bins = from.zip(counts.bins()).zip(counts.sums()).enumerate();
        let quantiles = QUANTILES.iter().zip(&numeric.quantiles);
        Self {
            nan: counts.nans,
            infinite: counts.infinities,
            zero: counts.zeros,
            min: counts.min(),
            max: counts.max(),
            mean: counts.mean().map(|_| counts.edges().bounds().centre),
            sigma: counts.mean().map(|_| numeric.sigma),
            quantiles: quantiles.map(|((name, _), value)| ((*name).to_owned(), *value)).collect(),
            bins: bins
                .map(|(bin, ((from, rows), sum))| Bin {
                    from,
                    rows: *rows,
                    sum: *sum,
                    reported: numeric.groups.contains(&bin),
                })
                .collect(),
            repeated: numeric.repeated.clone(),
        }
    }

    fn check(self, nulls: u64, type_errors: u64) -> Result<NumericReference, Wrong> {
        let groups = self.groups()?;
        let (min, max, mean, sigma) = self.moments()?;
        Wrong::unless(
            self.bins.first().is_none_or(|first| first.from.is_none()),
            "bins.from",
            "must be null for the first bin, which begins at minus infinity",
        )?;
        let cuts = self.bins.iter().skip(1).map(|bin| bin.from.unwrap_or(f64::NAN)).collect();
        let edges = Edges::new(cuts, Bounds { min, max, centre: mean })
            .map_err(|problem| Wrong { field: "bins.from", problem: problem.to_string() })?;
        let values: u64 = self.values();
        let mut counts = NumericCounts::new(Arc::new(edges));
        counts.bins = self.bins.iter().map(|bin| bin.rows).collect();
        counts.sums = self.bins.iter().map(|bin| bin.sum).collect();
        counts.squares = sigma * sigma * values as f64;
        (counts.min, counts.max) = (min, max);
        (counts.nulls, counts.type_errors) = (nulls, type_errors);
        (counts.nans, counts.infinities, counts.zeros) = (self.nan, self.infinite, self.zero);
        let named = QUANTILES.iter().filter_map(|(name, _)| self.quantiles.get(*name));
        let quantiles: Vec<f64> = named.copied().collect();
        let expected = if values == 0 { 0 } else { QUANTILES.len() };
        Wrong::unless(
            quantiles.len() == expected
                && self.quantiles.len() == expected
                && quantiles.iter().all(|value| value.is_finite())
                && quantiles.is_sorted(),
            "quantiles",
            "must be the ascending values at ranks 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95 and \
             0.99, or none where there is no number",
        )?;
        Wrong::unless(
            self.repeated.as_ref().is_none_or(Repeated::is_valid),
            "repeated",
            "must hold finite values, 256 at most",
        )?;
        let repeated = self.repeated;
        Ok(NumericReference { counts, sigma, groups, quantiles, repeated })
    }

    fn values(&self) -> u64 {
        self.bins.iter().fold(0, |sum, bin| sum.saturating_add(bin.rows))
    }

    fn groups(&self) -> Result<Vec<usize>, Wrong> {
        let starts = self.bins.iter().enumerate().filter(|(_, bin)| bin.reported);
        let groups: Vec<usize> = starts.map(|(start, _)| start).collect();
        Wrong::unless(
            groups.first() == Some(&0) && groups.len() <= MAX_REPORTED,
            "bins.reported",
            "must be true for the first bin, and for 20 at most",
        )?;
        let sums = self.bins.iter().all(|bin| bin.sum.is_finite());
        Wrong::unless(sums, "bins.sum", "must be a finite number")?;
        Ok(groups)
    }

    fn moments(&self) -> Result<(f64, f64, f64, f64), Wrong> {
        match (self.min, self.max, self.mean, self.sigma) {
            (Some(min), Some(max), Some(mean), Some(sigma)) if self.values() > 0 => {
                Wrong::unless(min <= max, "min", "must not be above `max`")?;
                let finite = [min, max, mean, sigma].iter().all(|value| value.is_finite());
                Wrong::unless(finite && sigma >= 0.0, "sigma", "must be finite and not negative")?;
                Ok((min, max, mean, sigma))
            }
            (None, None, None, None) if self.values() == 0 => {
                Ok((f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.0))
            }
            _ => Err(Wrong {
                field: "min, max, mean, sigma",
                problem: "must be numbers where bins have rows, and null where none has".into(),
            }),
        }
    }
}

impl Categorical {
    fn of(categorical: &CategoricalReference) -> Self {
        let counts = &categorical.counts;
        let levels = counts.levels().names().iter().zip(counts.level_rows());
        Self {
            distinct: categorical.distinct,
            singletons: categorical.singletons,
            other: counts.other,
            reported: categorical.shown,
            levels: levels
                .map(|(level, rows)| Level { level: level.clone(), rows: *rows })
                .collect(),
        }
    }

    fn check(self, nulls: u64, type_errors: u64) -> Result<CategoricalReference, Wrong> {
        let names: Vec<Arc<str>> = self.levels.iter().map(|level| level.level.clone()).collect();
        let distinct: HashSet<&Arc<str>> = names.iter().collect();
        Wrong::unless(distinct.len() == names.len(), "levels.level", "must differ")?;
        Wrong::unless(names.len() <= MAX_LEVELS, "levels", "must be 2048 at most")?;
        Wrong::unless(
            self.reported <= names.len().min(MAX_SHOWN),
            "reported",
            "must not be above the number of levels, nor above 63",
        )?;
        Wrong::unless(
            self.distinct >= names.len() as u64,
            "distinct",
            "must not be below the number of levels",
        )?;
        Wrong::unless(
            self.singletons <= self.distinct,
            "singletons",
            "must not be above `distinct`",
        )?;
        let mut counts = CategoricalCounts::new(Arc::new(Levels::new(names)));
        counts.rows = self.levels.iter().map(|level| level.rows).collect();
        (counts.other, counts.nulls, counts.type_errors) = (self.other, nulls, type_errors);
        Ok(CategoricalReference {
            counts,
            shown: self.reported,
            singletons: self.singletons,
            distinct: self.distinct,
        })
    }
}
