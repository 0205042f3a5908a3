//! Rows in, a baseline out. Memory is bounded by features, not by rows.

use super::observed::Observed;
use super::{Baseline, BaselineError, BaselineFeature};
use crate::decode::Rows;
use crate::drift::joint::Reservoir;
use crate::drift::{FeatureFilter, FeatureView, Quality};
use crate::sketch::{FeatureKey, Role};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

#[derive(Debug, Clone)]
pub struct BaselineSettings {
    /// Features kept, inputs and outputs together; the rest are counted.
    pub max_features: usize,
    pub filter: FeatureFilter,
}

impl Default for BaselineSettings {
    fn default() -> Self {
        Self { max_features: 1000, filter: FeatureFilter::default() }
    }
}

#[derive(Debug)]
pub struct BaselineBuilder {
    settings: BaselineSettings,
    /// Of inputs and of outputs.
    rows: [u64; 2],
    index: [HashMap<Arc<str>, Slot>; 2],
    features: Vec<(FeatureKey, Observed)>,
    over_limit: NameCount,
    together: Reservoir,
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    Kept(usize),
    Filtered,
}

impl BaselineBuilder {
    pub fn new(settings: BaselineSettings) -> Self {
        Self {
            settings,
            rows: [0; 2],
            index: [HashMap::new(), HashMap::new()],
            features: Vec::new(),
            over_limit: NameCount::default(),
            together: Reservoir::default(),
        }
    }

    pub fn observe(&mut self, role: Role, rows: &Rows) {
        self.rows[role as usize] += rows.len() as u64;
        if role == Role::Input {
            self.together.observe(rows, |name| self.settings.filter.admits(name));
        }
        for column in rows.columns() {
            if let Some(Slot::Kept(feature)) = self.slot(role, column.name()) {
                self.features[feature].1.observe(column);
            }
        }
    }

    fn slot(&mut self, role: Role, name: &Arc<str>) -> Option<Slot> {
        let index = &mut self.index[role as usize];
        if let Some(slot) = index.get(name) {
            return Some(*slot);
        }
        // Filtered names are remembered too, within the same bound.
        if !self.settings.filter.admits(name) {
            if index.len() < 2 * self.settings.max_features {
                index.insert(name.clone(), Slot::Filtered);
            }
            return Some(Slot::Filtered);
        }
        if self.features.len() >= self.settings.max_features {
            self.over_limit.count(role, name);
            return None;
        }
        let slot = Slot::Kept(self.features.len());
        index.insert(name.clone(), slot);
        self.features.push((FeatureKey { role, name: name.clone() }, Observed::default()));
        Some(slot)
    }

    /// Rows observed: of inputs or of outputs, whichever has more.
    pub fn rows(&self) -> u64 {
        self.rows[0].max(self.rows[1])
    }

    /// Features that were seen but are over `max_features`.
    pub fn features_over_limit(&self) -> u64 {
        self.over_limit.names()
    }

    /// What was found so far, inputs first. There are no bins before they are fixed.
    pub fn views(&self) -> Vec<FeatureView> {
        let view = |(key, observed): &(FeatureKey, Observed)| FeatureView {
            feature: key.name.clone(),
            role: key.role,
            kind: observed.kind(),
            bins: Vec::new(),
            rows_total: observed.rows(),
            quality: Quality { null_ratio: observed.null_ratio(), ..Quality::default() },
            baseline: None,
        };
        let mut views: Vec<_> = self.features.iter().map(view).collect();
        views.sort_by_key(|view| view.role);
        views
    }

    /// Fixes bins and levels: what was observed is the reference from here on.
    pub fn finish(self) -> Result<Baseline, BaselineError> {
        let rows = self.rows();
        if self.features.is_empty() || rows == 0 {
            return Err(BaselineError::Empty);
        }
        let finish = |(key, observed): (FeatureKey, Observed)| {
            let content = observed.finish().map_err(|problem| BaselineError::Field {
                feature: key.name.to_string(),
                role: key.role,
                field: "bins",
                problem: problem.to_string(),
            })?;
            Ok(BaselineFeature::new(key, content))
        };
        let features = self.features.into_iter().map(finish);
        let features = features.collect::<Result<_, BaselineError>>()?;
        Ok(Baseline::new(rows, features, Some(self.together)))
    }
}

/// How many different names were refused: exact up to a bound on memory, and not above it.
#[derive(Debug, Default)]
pub(crate) struct NameCount {
    hashes: HashSet<u64>,
}

impl NameCount {
    const MAX: usize = 65_536;

    pub(crate) fn count(&mut self, role: Role, name: &str) {
        if self.hashes.len() < Self::MAX {
            self.hashes.insert(xxh3_64(name.as_bytes()).wrapping_add(role as u64));
        }
    }

    pub(crate) fn names(&self) -> u64 {
        self.hashes.len() as u64
    }
}
