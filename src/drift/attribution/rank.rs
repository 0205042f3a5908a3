//! Which of the features that differ matters most: importance times distance.

use super::AttributionSettings;
use crate::drift::report::{FeatureReport, Weight};
use crate::sketch::Role;

/// Gives inputs with an importance their share of all, and ranks those that differ by more than chance.
///
/// The distance is Jensen and Shannon's: in [0, 1] for both kinds of feature.
pub(in crate::drift) fn rank(features: &mut [FeatureReport], settings: &AttributionSettings) {
    let total: f64 = settings.importance.values().sum();
    if total <= 0.0 {
        return;
    }
    let mut ranked: Vec<(usize, f64)> = Vec::new();
    for (place, feature) in features.iter_mut().enumerate() {
        if feature.role != Role::Input {
            continue;
        }
        let Some(importance) = settings.importance.get(&feature.feature) else { continue };
        let importance = importance / total;
        let weighted = importance * feature.distances.jensen_shannon.unwrap_or_default();
        if feature.significant {
            ranked.push((place, weighted));
        }
        feature.weight =
            Some(Box::new(Weight { importance, weighted_distance: weighted, rank: None }));
    }
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (rank, (place, _)) in ranked.into_iter().enumerate() {
        if let Some(weight) = &mut features[place].weight {
            weight.rank = Some(rank + 1);
        }
    }
}
