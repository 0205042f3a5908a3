//! What live rows are compared with: per feature, frozen bins and what the reference had in each.

mod builder;
mod error;

pub use builder::{BaselineBuilder, BaselineSettings};
pub use error::BaselineError;

/// The reference of every feature. Immutable; its hash names it in verdicts.
#[derive(Debug, Clone)]
pub struct Baseline {
    rows: u64,
    hash: String,
    features: Vec<BaselineFeature>,
}

/// One feature of a baseline.
#[derive(Debug, Clone)]
pub struct BaselineFeature {
    key: crate::sketch::FeatureKey,
    kind: crate::sketch::Kind,
}

impl BaselineFeature {
    pub fn key(&self) -> &crate::sketch::FeatureKey {
        &self.key
    }

    pub fn kind(&self) -> crate::sketch::Kind {
        self.kind
    }
}

impl Baseline {
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Of the content, 16 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Inputs first, in the order first seen.
    pub fn features(&self) -> &[BaselineFeature] {
        &self.features
    }

    pub fn to_json(&self) -> String {
        String::new()
    }

    pub fn from_json(json: &[u8]) -> Result<Self, BaselineError> {
        let _: serde_json::Value = serde_json::from_slice(json).map_err(BaselineError::Json)?;
        Err(BaselineError::Empty)
    }

    pub fn merge(baselines: Vec<Self>) -> Result<Self, BaselineError> {
        baselines.into_iter().next().ok_or(BaselineError::Empty)
    }
}
