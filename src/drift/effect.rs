//! Is the difference of a size worth acting on? Apart from whether it is chance.
//!
//! The floors silence only what no one would act on: a shift of about 0.05 σ, or half a percent of the
//! rows. Each is compared after what chance alone would give is taken off.

use super::baseline::Content;
use super::dependence::DesignEffects;
use super::distance;
use crate::sketch::{FeatureCounts, ValueKey};

/// PSI of a shift by 0.05 σ of a normal distribution, which is its square.
const MIN_PSI: f64 = 0.05 * 0.05;
pub(super) const MIN_SHARE: f64 = 0.005;

pub(super) fn worth_acting_on(
    reference: &Content,
    window: &FeatureCounts,
    repeated: &[(ValueKey, u32)],
    effects: &DesignEffects,
) -> bool {
    let (before, now) = (reference.reported(), reference.reported_of(window));
    size(reference, window, effects).is_some_and(|size| size >= MIN_PSI)
        || share_moved(&before, &now, effects)
        || oddities(reference, window) >= MIN_SHARE
        || repeated_share(reference, window, repeated) >= MIN_SHARE
}

/// By how much the share of one value rose that has no bin of its own, or of a level that is not known.
fn repeated_share(
    reference: &Content,
    window: &FeatureCounts,
    repeated: &[(ValueKey, u32)],
) -> f64 {
    let share = |rows: u64, all: u64| rows as f64 / all.max(1) as f64;
    let risen = |(key, count): &(ValueKey, u32)| match (reference, window) {
        (Content::Numeric(reference), FeatureCounts::Numeric(window)) => {
            let before = reference.repeated.as_ref().map_or(u64::MAX, |known| known.rows(*key));
            share(u64::from(*count), window.values()) - share(before, reference.counts.values())
        }
        (Content::Categorical(_), FeatureCounts::Categorical(window)) => {
            share(u64::from(*count), window.values())
        }
        _ => 0.0,
    };
    repeated.iter().map(risen).fold(0.0, f64::max)
}

/// PSI less what chance alone would give; not below 0. `None` without rows.
pub(super) fn size(
    reference: &Content,
    window: &FeatureCounts,
    effects: &DesignEffects,
) -> Option<f64> {
    let (before, now) = (reference.reported(), reference.reported_of(window));
    let psi = distance::by_share(&before, &now).psi?;
    Some((psi - psi_of_chance(&before, &now, effects.values())).max(0.0))
}

/// E[PSI] ≈ (B − 1)(1/n + 1/m) where nothing differs, B being the bins that have rows (Yurdakul and
/// Naranjo, J. Risk Model Validation 14, 2020), and n and m what rows are worth.
fn psi_of_chance(reference: &[u64], window: &[u64], design_effect: f64) -> f64 {
    let bins = reference.iter().zip(window).filter(|(m, n)| **m + **n > 0).count();
    let size = |rows: &[u64]| rows.iter().sum::<u64>().max(1) as f64 / design_effect;
    bins.saturating_sub(1) as f64 * (1.0 / size(window) + 1.0 / size(reference))
}

/// Some bin's share moved by more than the floor and a standard error.
fn share_moved(reference: &[u64], window: &[u64], effects: &DesignEffects) -> bool {
    let total = |rows: &[u64]| rows.iter().sum::<u64>().max(1) as f64;
    let (m, n) = (total(reference), total(window));
    reference.iter().zip(window).enumerate().any(|(bin, (before, now))| {
        let pooled = (before + now) as f64 / (m + n);
        let effect = effects.share(bin);
        let error = (pooled * (1.0 - pooled) * (1.0 / m + 1.0 / n) * effect).sqrt();
        (*now as f64 / n - *before as f64 / m).abs() >= MIN_SHARE + error
    })
}

/// By how much the share of rows rose that no bin shows: of another type, out of bounds, or new.
fn oddities(reference: &Content, window: &FeatureCounts) -> f64 {
    let share = |odd: u64, rows: u64| odd as f64 / rows.max(1) as f64;
    match (reference, window) {
        (Content::Numeric(reference), FeatureCounts::Numeric(window)) => {
            let before = &reference.counts;
            let wrong = share(window.type_errors(), window.rows())
                - share(before.type_errors(), before.rows());
            wrong.abs().max(share(window.out_of_bounds(), window.rows()))
        }
        (Content::Categorical(reference), FeatureCounts::Categorical(window)) => {
            let before = &reference.counts;
            let wrong = share(window.type_errors(), window.rows())
                - share(before.type_errors(), before.rows());
            let new = share(window.other(), window.rows())
                - share(before.other() + reference.singletons, before.rows());
            wrong.abs().max(new)
        }
        _ => 0.0,
    }
}
