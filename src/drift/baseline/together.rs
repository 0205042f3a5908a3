//! The section of a baseline's file on how inputs go together.

use super::{BaselineError, BaselineFeature};
use crate::drift::joint::{Coordinate, Joint, MAX_COORDINATES, pairs_of};
use crate::sketch::Role;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Together {
    /// It was learnt from.
    rows: u64,
    features: Vec<Member>,
    /// Of normal scores, each with those before it: of the second with the first, of the third with
    /// the first and the second, and so on.
    correlations: Vec<f64>,
    /// σ of each, times the root of the rows.
    spreads: Vec<f64>,
    reconstruction_spread: f64,
    /// By how much that error is greater over rows that did not give the components.
    reconstruction_optimism: f64,
}

/// A numeric input, or a level of a categorical one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    feature: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<Arc<str>>,
}

impl Together {
    pub(super) fn of(joint: &Joint, features: &[BaselineFeature]) -> Self {
        let member = |coordinate: &Coordinate| {
            let feature = &features[coordinate.feature];
            let levels = feature.categorical().map(|counts| counts.levels().names());
            let level = coordinate.level.and_then(|level| levels?.get(level).cloned());
            Member { feature: Arc::clone(&feature.key().name), level }
        };
        Self {
            rows: joint.rows,
            features: joint.coordinates.iter().map(member).collect(),
            correlations: joint.correlations.clone(),
            spreads: joint.spreads.clone(),
            reconstruction_spread: joint.reconstruction_spread,
            reconstruction_optimism: joint.reconstruction_optimism,
        }
    }

    pub(super) fn check(self, features: &[BaselineFeature]) -> Result<Joint, BaselineError> {
        self.check_numbers()?;
        let mut coordinates = Vec::with_capacity(self.features.len());
        for member in self.features {
            let found = member.find(features).filter(|found| !coordinates.contains(found));
            let problem = "must name numeric inputs of this file, or levels of others, each once";
            coordinates.push(found.ok_or_else(|| wrong("features", problem))?);
        }
        Ok(Joint {
            rows: self.rows,
            coordinates,
            correlations: self.correlations,
            spreads: self.spreads,
            reconstruction_spread: self.reconstruction_spread,
            reconstruction_optimism: self.reconstruction_optimism,
        })
    }

    fn check_numbers(&self) -> Result<(), BaselineError> {
        let members = self.features.len();
        let is_share = |value: &f64| value.is_finite() && value.abs() <= 1.0;
        let is_size = |value: &f64| value.is_finite() && *value >= 0.0;
        let as_many = |values: &[f64]| values.len() == pairs_of(members);
        let correlations = as_many(&self.correlations) && self.correlations.iter().all(is_share);
        let spreads = as_many(&self.spreads) && self.spreads.iter().all(is_size);
        let [spread, optimism] =
            [self.reconstruction_spread, self.reconstruction_optimism].map(|size| is_size(&size));
        for (right, field, problem) in [
            ((2..=MAX_COORDINATES).contains(&members), "features", "must be 2 to 32"),
            (self.rows > 0, "rows", "must not be 0"),
            (correlations, "correlations", "must be one for each pair of features, from -1 to 1"),
            (spreads, "spreads", "must be one for each pair of features, and not negative"),
            (spread, "reconstruction_spread", "must be a finite number and not negative"),
            (optimism, "reconstruction_optimism", "must be a finite number and not negative"),
        ] {
            if !right {
                return Err(wrong(field, problem));
            }
        }
        Ok(())
    }
}

fn wrong(field: &'static str, problem: &str) -> BaselineError {
    BaselineError::Joint { field, problem: problem.to_owned() }
}

impl Member {
    fn find(&self, features: &[BaselineFeature]) -> Option<Coordinate> {
        let is_it = |feature: &BaselineFeature| {
            feature.key().role == Role::Input && feature.key().name == self.feature
        };
        let place = features.iter().position(is_it)?;
        let level = match (features[place].categorical(), &self.level) {
            (None, None) => None,
            (Some(counts), Some(level)) => Some(counts.levels().index(level)?),
            _ => return None,
        };
        Some(Coordinate { feature: place, level })
    }
}
