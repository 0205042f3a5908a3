//! Rows in, a baseline out.

use super::{Baseline, BaselineError};
use crate::decode::Rows;
use crate::drift::FeatureFilter;
use crate::sketch::Role;

#[derive(Debug, Clone)]
pub struct BaselineSettings {
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
    rows: [u64; 2],
}

impl BaselineBuilder {
    pub fn new(settings: BaselineSettings) -> Self {
        Self { settings, rows: [0; 2] }
    }

    pub fn observe(&mut self, role: Role, rows: &Rows) {
        if self.settings.max_features > 0 {
            self.rows[role as usize] += rows.len() as u64;
        }
    }

    /// Rows observed: of inputs or of outputs, whichever has more.
    pub fn rows(&self) -> u64 {
        self.rows[0].max(self.rows[1])
    }

    /// Features that were seen but are over `max_features`.
    pub fn features_over_limit(&self) -> u64 {
        0
    }

    pub fn finish(self) -> Result<Baseline, BaselineError> {
        Err(BaselineError::Empty)
    }
}
