//! `features.*`: which are watched, by which parts of the traffic, and how much each weighs.

use super::checked::{Features, Segment};
use super::reader::Reader;
use http::HeaderName;
use std::collections::BTreeMap;

/// Keys that rows are told apart by, and values of each, at most.
const MOST_KEYS: usize = 8;
const MOST_VALUES: usize = 1000;

pub(super) fn features(reader: &mut Reader<'_>) -> Option<Features> {
    let segments = segments(reader);
    let max_segments = max_segments(reader);
    let importance = importance(reader);
    let prefixes = reader.list("features.attribution_prefix");
    if prefixes.iter().any(String::is_empty) {
        let message = "has an empty prefix, which every output begins with; leave it out";
        reader.problem("features.attribution_prefix", message);
        return None;
    }
    Some(Features {
        include: reader.list("features.include"),
        exclude: reader.list("features.exclude"),
        segments: segments?,
        max_segments: max_segments?,
        importance: importance?,
        attribution_prefixes: prefixes,
    })
}

fn segments(reader: &mut Reader<'_>) -> Option<Vec<Segment>> {
    const KEY: &str = "features.segments";
    let texts = reader.list(KEY);
    let problems_before = reader.problems.len();
    let mut segments = Vec::new();
    for text in &texts {
        match segment(text) {
            Ok(segment) if segments.contains(&segment) => {
                reader.problem(KEY, format!("{text:?} stands there twice"));
            }
            Ok(segment) => segments.push(segment),
            Err(why) => reader.problem(KEY, format!("{text:?} {why}")),
        }
    }
    if texts.len() > MOST_KEYS {
        let message = format!("has {} names; {MOST_KEYS} is the most", texts.len());
        reader.problem(KEY, message);
    }
    (reader.problems.len() == problems_before).then_some(segments)
}

fn segment(text: &str) -> Result<Segment, &'static str> {
    match text.strip_prefix("header:") {
        None if text.is_empty() => Err("is no name; write that of an input, or header:NAME"),
        None => Ok(Segment::Feature(text.to_owned())),
        Some(name) => {
            let name = name.parse::<HeaderName>();
            name.map(Segment::Header).map_err(|_| "names no header; write header:x-tenant")
        }
    }
}

fn max_segments(reader: &mut Reader<'_>) -> Option<usize> {
    const KEY: &str = "features.max_segments";
    let count = reader.count::<usize>(KEY, 1)?;
    if count > MOST_VALUES {
        let message = format!("{count} is more than {MOST_VALUES}, which is the most");
        reader.problem(KEY, message);
        return None;
    }
    Some(count)
}

/// Of the file, and over it those of the map.
fn importance(reader: &mut Reader<'_>) -> Option<Vec<(String, f64)>> {
    const KEY: &str = "features.importance";
    let of_file = importance_file(reader);
    let mut all = of_file.unwrap_or_default();
    let problems_before = reader.problems.len();
    for (feature, text) in reader.pairs(KEY) {
        match text.parse::<f64>() {
            Ok(weight) if is_weight(weight) => {
                all.insert(feature, weight);
            }
            _ => {
                let message = format!("{feature}: {text:?} is not a number of at least 0");
                reader.problem(KEY, message);
            }
        }
    }
    (reader.problems.len() == problems_before).then(|| all.into_iter().collect())
}

fn is_weight(weight: f64) -> bool {
    weight.is_finite() && weight >= 0.0
}

fn importance_file(reader: &mut Reader<'_>) -> Option<BTreeMap<String, f64>> {
    const KEY: &str = "features.importance_file";
    let path = reader.file(KEY)??;
    let shown = path.display().to_string();
    let read = std::fs::read(&path).map_err(|error| format!("{shown:?} cannot be read: {error}"));
    let parsed =
        read.and_then(|bytes| parse_importance(&bytes).map_err(|why| format!("{shown:?} {why}")));
    match parsed {
        Ok(weights) => Some(weights),
        Err(message) => {
            reader.problem(KEY, message);
            None
        }
    }
}

/// A JSON object of weights by feature. A refusal continues the sentence that begins with the file.
pub fn parse_importance(bytes: &[u8]) -> Result<BTreeMap<String, f64>, String> {
    let weights: BTreeMap<String, f64> = serde_json::from_slice(bytes).map_err(|error| {
        format!("is no JSON object of numbers, such as {{\"temp_max\": 0.4}}: {error}")
    })?;
    match weights.iter().find(|(_, weight)| !is_weight(**weight)) {
        Some((feature, weight)) => {
            Err(format!("gives {feature:?} the weight {weight}, which is less than 0"))
        }
        None => Ok(weights),
    }
}
