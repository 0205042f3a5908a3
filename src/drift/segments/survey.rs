//! For a baseline: which values there are, and then the rows of the most frequent, counted on its edges.

use super::reference::Part;
use super::registry::{Registry, value_of};
use super::{RecordedSegment, SegmentId, SegmentKey};
use crate::decode::Rows;
use crate::drift::Baseline;
use crate::sketch::{FeatureCounts, Levels, Role};
use std::collections::HashMap;
use std::sync::Arc;

/// Values of a key that are counted; later ones are not recorded.
const MAX_VALUES: usize = 8192;

/// First pass: how often each value is.
#[derive(Debug)]
pub struct SegmentSurvey {
    keys: Vec<(SegmentKey, HashMap<Arc<str>, u64>)>,
}

/// Second pass: rows of the recorded segments, on the edges and levels of a baseline.
#[derive(Debug)]
pub struct SegmentCounter {
    registry: Registry,
    keys: usize,
    /// Most rows first, a key after the other.
    values: Vec<(SegmentKey, Arc<str>)>,
    index: [HashMap<Arc<str>, usize>; 2],
    /// By value, then by feature.
    counts: Vec<(u64, Vec<FeatureCounts>)>,
}

impl SegmentSurvey {
    /// Of inputs: a table knows no headers.
    pub fn new(keys: impl IntoIterator<Item = SegmentKey>) -> Self {
        Self { keys: keys.into_iter().map(|key| (key, HashMap::new())).collect() }
    }

    pub fn observe(&mut self, inputs: &Rows) {
        for (key, values) in &mut self.keys {
            let SegmentKey::Feature(name) = key else { continue };
            let Some(column) = inputs.column(name) else { continue };
            for value in column.cells().filter_map(value_of) {
                let value = Levels::bounded(&value);
                if let Some(rows) = values.get_mut(&*value) {
                    *rows += 1;
                } else if values.len() < MAX_VALUES {
                    values.insert(value.into(), 1);
                }
            }
        }
    }

    /// Keys that no row had.
    pub fn without_values(&self) -> impl Iterator<Item = &SegmentKey> {
        self.keys.iter().filter(|(_, values)| values.is_empty()).map(|(key, _)| key)
    }

    /// Keys with more values than `max_values`, and how many they have.
    pub fn over(&self, max_values: usize) -> impl Iterator<Item = (&SegmentKey, usize)> {
        let keys = self.keys.iter().map(|(key, values)| (key, values.len()));
        keys.filter(move |(_, values)| *values > max_values)
    }

    /// Goes on to the second pass, over the same rows.
    pub fn count(self, baseline: &Baseline, max_values: usize) -> SegmentCounter {
        let keys: Vec<SegmentKey> = self.keys.iter().map(|(key, _)| key.clone()).collect();
        let mut values = Vec::new();
        for (key, rows) in self.keys {
            let mut ordered: Vec<(Arc<str>, u64)> = rows.into_iter().collect();
            ordered.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            ordered.truncate(max_values);
            values.extend(ordered.into_iter().map(|(value, _)| (key.clone(), value)));
        }
        let mut registry = Registry::new(&keys, max_values);
        for (key, value) in &values {
            registry.expect_value(key, value);
        }
        let mut index = [HashMap::new(), HashMap::new()];
        for (place, feature) in baseline.features().iter().enumerate() {
            index[feature.key().role as usize].insert(feature.key().name.clone(), place);
        }
        let empty = || baseline.features().iter().map(|f| f.content.window().counts()).collect();
        let counts = values.iter().map(|_| (0, empty())).collect();
        SegmentCounter { registry, keys: keys.len(), values, index, counts }
    }
}

impl SegmentCounter {
    pub fn observe(&mut self, inputs: &Rows, outputs: &Rows) {
        let assigned = self.registry.assign(inputs, |_| None);
        assigned.each(inputs, outputs, |id, inputs, outputs| self.count(id, inputs, outputs));
    }

    fn count(&mut self, id: SegmentId, inputs: &Rows, outputs: &Rows) {
        // Ids begin with one for the other values of each key.
        let place = usize::from(id).checked_sub(self.keys);
        let Some((rows, counts)) = place.and_then(|place| self.counts.get_mut(place)) else {
            return;
        };
        *rows += inputs.len().max(outputs.len()) as u64;
        for (role, part) in [(Role::Input, inputs), (Role::Output, outputs)] {
            for column in part.columns() {
                if let Some(feature) = self.index[role as usize].get(column.name()) {
                    counts[*feature].observe_sampled(column, 1.0);
                }
            }
        }
    }

    /// The same baseline with the rows of its segments; its hash tells them too.
    pub fn finish(self, baseline: Baseline) -> Baseline {
        let values = self.values.into_iter().zip(self.counts);
        let recorded =
            values.filter(|(_, (rows, _))| *rows > 0).map(|((key, value), (rows, counts))| {
                let features = baseline.features().iter().zip(counts);
                let features = features.map(|(whole, counts)| whole.with_counts(counts, Part::Of));
                RecordedSegment::new(key, value, rows, features.collect())
            });
        let recorded = recorded.collect();
        baseline.with_segments(recorded)
    }
}
