//! Several baselines in, one out. What is exact and what is not: see [`Baseline::merge`].

use super::feature::{CategoricalReference, Content, NumericReference};
use super::observed::{MAX_LEVELS, MAX_SHOWN, quantiles};
use super::{Baseline, BaselineError, BaselineFeature, ReferencePerformance, bins};
use crate::sketch::{Bounds, CategoricalCounts, Cell, Edges, FeatureKey, Levels, NumericCounts};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) fn merge(mut baselines: Vec<Baseline>) -> Result<Baseline, BaselineError> {
    if baselines.len() == 1
        && let Some(only) = baselines.pop()
    {
        return Ok(only);
    }
    let rows = baselines.iter().map(|baseline| baseline.rows).sum();
    let performance = performance(&baselines)?;
    let mut order: Vec<FeatureKey> = Vec::new();
    let mut parts: HashMap<FeatureKey, Vec<Content>> = HashMap::new();
    for feature in baselines.into_iter().flat_map(|baseline| baseline.features) {
        let known = parts.entry(feature.key.clone()).or_default();
        if known.is_empty() {
            order.push(feature.key);
        }
        known.push(feature.content);
    }
    let mut features = Vec::with_capacity(order.len());
    for key in order {
        let parts = parts.remove(&key).unwrap_or_default();
        let content = merge_feature(&key, parts)?;
        features.push(BaselineFeature::new(key, content));
    }
    if features.is_empty() {
        return Err(BaselineError::Empty);
    }
    let merged = Baseline::new(rows, features, None);
    Ok(match performance {
        Some(performance) => merged.with_performance(performance),
        None => merged,
    })
}

/// Of those that have one.
fn performance(baselines: &[Baseline]) -> Result<Option<ReferencePerformance>, BaselineError> {
    let parts: Vec<_> = baselines.iter().filter_map(Baseline::performance).cloned().collect();
    if parts.is_empty() {
        return Ok(None);
    }
    ReferencePerformance::merge(&parts).map(Some).ok_or(BaselineError::Performance)
}

fn merge_feature(key: &FeatureKey, parts: Vec<Content>) -> Result<Content, BaselineError> {
    let (mut numeric, mut categorical) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Content::Numeric(part) => numeric.push(part),
            Content::Categorical(part) => categorical.push(part),
        }
    }
    let (feature, role) = (key.name.to_string(), key.role);
    match (numeric.is_empty(), categorical.is_empty()) {
        (false, true) => numbers(numeric).map(Content::Numeric).map_err(|problem| {
            BaselineError::Field { feature, role, field: "bins", problem: problem.to_string() }
        }),
        (true, false) => Ok(Content::Categorical(levels(&categorical))),
        _ => Err(BaselineError::Kinds { feature, role }),
    }
}

/// Bins are those of the part with most values; bounds and moments are those of all together.
fn numbers(
    mut parts: Vec<NumericReference>,
) -> Result<NumericReference, crate::sketch::EdgesError> {
    parts.sort_by_key(|part| std::cmp::Reverse(part.counts.values()));
    let cuts = parts[0].counts.edges().cuts().to_vec();
    let filled = parts.iter().filter(|part| part.counts.values() > 0);
    let min = filled.clone().map(|part| part.counts.min).fold(f64::INFINITY, f64::min);
    let max = filled.clone().map(|part| part.counts.max).fold(f64::NEG_INFINITY, f64::max);
    let values: u64 = parts.iter().map(|part| part.counts.values()).sum();
    let sum: f64 = parts.iter().flat_map(|part| part.counts.sums()).sum();
    let centre = if values == 0 { 0.0 } else { sum / values as f64 };
    let edges = Arc::new(Edges::new(cuts, Bounds { min, max, centre })?);
    let mut counts = NumericCounts::new(edges.clone());
    (counts.min, counts.max) = (min, max);
    for part in &parts {
        add(&mut counts, &part.counts, centre);
    }
    let whole = parts[0].groups.len() == edges.bins();
    let groups = bins::groups(counts.bins(), whole);
    let quantiles = quantiles(&cells(&counts));
    let sigma = counts.sigma().unwrap_or_default();
    // As the file will give them back.
    counts.squares = sigma * sigma * values as f64;
    // What a value had in each part is not known of all parts.
    Ok(NumericReference { counts, sigma, groups, quantiles, repeated: None })
}

fn add(counts: &mut NumericCounts, part: &NumericCounts, centre: f64) {
    counts.zeros += part.zeros;
    counts.nulls += part.nulls;
    counts.nans += part.nans;
    counts.infinities += part.infinities;
    counts.type_errors += part.type_errors;
    // Squares around another centre: the cross term is the sum of offsets from the part's own.
    let (from, values) = (part.edges().bounds().centre, part.values() as f64);
    let offsets = part.sums().iter().sum::<f64>() - values * from;
    let shift = from - centre;
    counts.squares += part.squares + 2.0 * shift * offsets + values * shift * shift;
    let cuts = counts.edges().cuts().to_vec();
    let same = part.edges().cuts() == cuts;
    for (bin, (rows, sum)) in part.bins().iter().zip(part.sums()).enumerate() {
        if same {
            counts.bins[bin] += rows;
            counts.sums[bin] += sum;
        } else if *rows > 0 {
            spread(counts, &cuts, interval(part, bin), *rows, *sum);
        }
    }
}

/// Where the values of a bin lie: its cuts, or the bounds at either end.
fn interval(part: &NumericCounts, bin: usize) -> (f64, f64) {
    let cuts = part.edges().cuts();
    let low = bin.checked_sub(1).map_or(part.min, |cut| cuts[cut].max(part.min));
    let high = cuts.get(bin).map_or(part.max, |cut| cut.next_down().min(part.max));
    (low, high.max(low))
}

/// Moves a bin's rows to the new bins that its interval meets, whole rows only, as if it were evenly
/// filled; sums go with the rows.
fn spread(counts: &mut NumericCounts, cuts: &[f64], (low, high): (f64, f64), rows: u64, sum: f64) {
    let (first, last) = (counts.edges().bin(low), counts.edges().bin(high));
    let (mut moved, mut moved_sum) = (0, 0.0);
    let mut start = low;
    for (bin, end) in cuts.iter().copied().enumerate().take(last).skip(first) {
        let up_to_here = round((end - low) / (high - low) * rows as f64).min(rows);
        let here = up_to_here - moved;
        let part = here as f64 * f64::midpoint(start, end);
        counts.bins[bin] += here;
        counts.sums[bin] += part;
        (moved, moved_sum, start) = (up_to_here, moved_sum + part, end);
    }
    counts.bins[last] += rows - moved;
    counts.sums[last] += sum - moved_sum;
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count of rows: not negative, and not above it"
)]
fn round(rows: f64) -> u64 {
    rows.round() as u64
}

/// Each bin as a cell of evenly spread values.
fn cells(counts: &NumericCounts) -> Vec<Cell> {
    let filled = counts.bins().iter().zip(counts.sums()).enumerate();
    let filled = filled.filter(|(_, (rows, _))| **rows > 0);
    let cell = |(bin, (rows, sum)): (usize, (&u64, &f64))| {
        let (low, high) = interval(counts, bin);
        Cell { low, high, rows: *rows, sum: *sum }
    };
    filled.map(cell).collect()
}

fn levels(parts: &[CategoricalReference]) -> CategoricalReference {
    let mut rows: HashMap<Arc<str>, u64> = HashMap::new();
    let (mut other, mut nulls, mut type_errors) = (0, 0, 0);
    for part in parts {
        let counted = part.counts.levels().names().iter().zip(part.counts.level_rows());
        counted.for_each(|(name, count)| *rows.entry(name.clone()).or_default() += count);
        other += part.counts.other;
        nulls += part.counts.nulls;
        type_errors += part.counts.type_errors;
    }
    let beyond = |part: &CategoricalReference| part.distinct - part.counts.levels().len() as u64;
    let distinct = rows.len() as u64 + parts.iter().map(beyond).max().unwrap_or(0);
    let united_singletons = rows.values().filter(|rows| **rows == 1).count() as u64;
    let kept_singletons = |part: &CategoricalReference| {
        part.counts.level_rows().iter().filter(|rows| **rows == 1).count() as u64
    };
    // Those that a part did not keep are taken as different from all others.
    let lost = parts.iter().map(|part| part.singletons.saturating_sub(kept_singletons(part)));
    let singletons = (united_singletons + lost.sum::<u64>()).min(distinct);
    let mut ordered: Vec<(Arc<str>, u64)> = rows.into_iter().collect();
    ordered.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    other += ordered.iter().skip(MAX_LEVELS).map(|(_, rows)| rows).sum::<u64>();
    ordered.truncate(MAX_LEVELS);
    let names: Vec<Arc<str>> = ordered.iter().map(|(name, _)| name.clone()).collect();
    let shown = names.len().min(MAX_SHOWN);
    let mut counts = CategoricalCounts::new(Arc::new(Levels::new(names)));
    counts.rows = ordered.iter().map(|(_, rows)| *rows).collect();
    (counts.other, counts.nulls, counts.type_errors) = (other, nulls, type_errors);
    CategoricalReference { counts, shown, singletons, distinct }
}
