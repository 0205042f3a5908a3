//! Rows in, verdicts on windows out.

use super::{
    Baseline, BaselineBuilder, BaselineSettings, FeatureView, Reference, ReferenceState, Settings,
    WindowReport, WindowSpan,
};
use crate::decode::Rows;
use crate::sketch::Role;
use std::sync::Arc;

#[derive(Debug)]
pub struct Monitor {
    settings: Settings,
    reference: Reference,
    learning: BaselineBuilder,
}

impl Monitor {
    pub fn new(settings: Settings, reference: Reference) -> Self {
        let learning = BaselineBuilder::new(BaselineSettings {
            max_features: settings.max_features,
            filter: settings.filter.clone(),
        });
        Self { settings, reference, learning }
    }

    pub fn observe(&mut self, inputs: &Rows, outputs: &Rows) {
        self.learning.observe(Role::Input, inputs);
        self.learning.observe(Role::Output, outputs);
    }

    /// Ends a window. `None` while the baseline is being learnt, or for a level that does not exist.
    pub fn close(&mut self, span: WindowSpan) -> Option<WindowReport> {
        self.settings.windows.get(span.level)?;
        None
    }

    /// Every watched feature, inputs first.
    pub fn views(&self) -> Vec<FeatureView> {
        Vec::new()
    }

    pub fn reference_state(&self) -> ReferenceState {
        match &self.reference {
            Reference::Baseline(baseline) => {
                ReferenceState::Given { rows: baseline.rows(), hash: baseline.hash().to_owned() }
            }
            Reference::Learn { rows } => {
                ReferenceState::Learning { rows: self.learning.rows(), needed: rows.get() }
            }
        }
    }

    /// Features that were seen but are over `max_features`.
    pub fn features_over_limit(&self) -> u64 {
        self.learning.features_over_limit()
    }

    /// Features that were seen but that the baseline does not have: counted, not judged.
    pub fn extra_features(&self) -> u64 {
        0
    }

    /// The baseline given or learnt.
    pub fn baseline(&self) -> Option<&Arc<Baseline>> {
        match &self.reference {
            Reference::Baseline(baseline) => Some(baseline),
            Reference::Learn { .. } => None,
        }
    }
}
