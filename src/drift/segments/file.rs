//! The segments of a baseline's file: an optional section, every field checked on reading.
//!
//! Edges and levels are those of the whole, so a feature has counts alone, each list as one text of
//! numbers with blanks between: thousands of them would else be as many lines.

use super::reference::Part;
use super::{RecordedSegment, SegmentKey};
use crate::drift::baseline::{BaselineFeature, Content};
use crate::sketch::{CategoricalCounts, FeatureCounts, NumericCounts, Role};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// One segment, as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::drift) struct Section {
    key: String,
    value: Arc<str>,
    rows: u64,
    features: Vec<Feature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    #[serde(rename = "feature")]
    name: Arc<str>,
    role: Role,
    null: u64,
    type_error: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    numeric: Option<Numeric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    categorical: Option<Categorical>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numeric {
    nan: u64,
    infinite: u64,
    zero: u64,
    /// Null where the segment has no number.
    min: Option<f64>,
    max: Option<f64>,
    /// The sum of squared offsets from the mean of the whole.
    squares: f64,
    /// Of each of the feature's bins.
    rows: String,
    sums: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Categorical {
    other: u64,
    /// Rows of each of the feature's levels.
    rows: String,
}

/// Segments of a file, at most, and features of them all.
const MAX_SEGMENTS: usize = 8192;

impl Section {
    pub(in crate::drift) fn of(segment: &RecordedSegment) -> Self {
        Self {
            key: segment.key.to_string(),
            value: segment.value.clone(),
            rows: segment.rows,
            features: segment.features.iter().map(Feature::of).collect(),
        }
    }

    /// `whole` are the features of the baseline. An error ends a sentence that names the segment.
    pub(in crate::drift) fn check(
        sections: Vec<Self>,
        whole: &[BaselineFeature],
    ) -> Result<Vec<RecordedSegment>, (String, String)> {
        if sections.len() > MAX_SEGMENTS {
            return Err((String::new(), format!("are more than {MAX_SEGMENTS}")));
        }
        let mut segments: Vec<RecordedSegment> = Vec::with_capacity(sections.len());
        for section in sections {
            let name = format!("{}={}", section.key, section.value);
            let segment = section.check_one(whole).map_err(|problem| (name.clone(), problem))?;
            if segments.iter().any(|known| *known.name == *name) {
                return Err((name, "stands there twice".to_owned()));
            }
            segments.push(segment);
        }
        Ok(segments)
    }

    fn check_one(self, whole: &[BaselineFeature]) -> Result<RecordedSegment, String> {
        let key: SegmentKey =
            self.key.parse().map_err(|fault| format!("has a `key` that {fault}"))?;
        let is_same = |(part, whole): (&Feature, &BaselineFeature)| {
            (part.role, &part.name) == (whole.key().role, &whole.key().name)
        };
        if self.features.len() != whole.len() || !self.features.iter().zip(whole).all(is_same) {
            return Err("must have the features of the baseline, in its order".to_owned());
        }
        let features = self.features.into_iter().zip(whole).map(|(part, whole)| {
            let counts = part.check(whole)?;
            Ok(whole.with_counts(counts, Part::Of))
        });
        let features = features.collect::<Result<_, String>>()?;
        Ok(RecordedSegment::new(key, self.value, self.rows, features))
    }
}

impl Feature {
    fn of(feature: &BaselineFeature) -> Self {
        let (null, type_error, numeric, categorical) = match &feature.content {
            Content::Numeric(numeric) => {
                let counts = &numeric.counts;
                (counts.nulls, counts.type_errors, Some(Numeric::of(counts)), None)
            }
            Content::Categorical(categorical) => {
                let counts = &categorical.counts;
                let part = Categorical { other: counts.other, rows: listed(&counts.rows) };
                (counts.nulls, counts.type_errors, None, Some(part))
            }
        };
        let key = feature.key();
        let (name, role) = (key.name.clone(), key.role);
        Self { name, role, null, type_error, numeric, categorical }
    }

    fn check(self, whole: &BaselineFeature) -> Result<FeatureCounts, String> {
        let name = &self.name;
        let counts = match (&whole.content, self.numeric, self.categorical) {
            (Content::Numeric(whole), Some(part), None) => {
                let counts = part.check(NumericCounts::new(whole.counts.edges().clone()));
                counts.map(|mut counts| {
                    (counts.nulls, counts.type_errors) = (self.null, self.type_error);
                    FeatureCounts::Numeric(counts)
                })
            }
            (Content::Categorical(whole), None, Some(part)) => {
                let mut counts = CategoricalCounts::new(whole.counts.levels().clone());
                let rows = read(&part.rows, counts.rows.len());
                rows.ok_or("rows").map(|rows| {
                    (counts.rows, counts.other) = (rows, part.other);
                    (counts.nulls, counts.type_errors) = (self.null, self.type_error);
                    FeatureCounts::Categorical(counts)
                })
            }
            _ => Err("kind"),
        };
        counts.map_err(|field| {
            format!("has a feature `{name}` whose `{field}` does not fit the whole")
        })
    }
}

impl Numeric {
    fn of(counts: &NumericCounts) -> Self {
        Self {
            nan: counts.nans,
            infinite: counts.infinities,
            zero: counts.zeros,
            min: counts.min(),
            max: counts.max(),
            squares: counts.squares,
            rows: listed(&counts.bins),
            sums: listed(&counts.sums),
        }
    }

    /// The name of a field that is wrong, else the counts.
    fn check(self, mut counts: NumericCounts) -> Result<NumericCounts, &'static str> {
        counts.bins = read(&self.rows, counts.bins.len()).ok_or("rows")?;
        counts.sums = read(&self.sums, counts.sums.len()).ok_or("sums")?;
        let is_finite = counts.sums.iter().all(|sum| sum.is_finite());
        if !is_finite || !self.squares.is_finite() || self.squares < 0.0 {
            return Err("sums");
        }
        (counts.min, counts.max) = match (self.min, self.max) {
            (Some(min), Some(max)) if min.is_finite() && max.is_finite() && min <= max => {
                (min, max)
            }
            (None, None) => (f64::INFINITY, f64::NEG_INFINITY),
            _ => return Err("min"),
        };
        counts.squares = self.squares;
        (counts.nans, counts.infinities, counts.zeros) = (self.nan, self.infinite, self.zero);
        Ok(counts)
    }
}

fn listed<T: Display>(numbers: &[T]) -> String {
    numbers.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

/// Exactly so many.
fn read<T: FromStr>(text: &str, wanted: usize) -> Option<Box<[T]>> {
    let numbers: Box<[T]> = text
        .split(' ')
        .filter(|text| !text.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    (numbers.len() == wanted).then_some(numbers)
}
