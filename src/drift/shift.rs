//! Which bins moved, and how much of the distance is each one's doing.
//!
//! In: a feature's live rows on the baseline's bins. Out: one [`Shift`] a bin. For reading, not for
//! verdicts: those come from the tests over whole windows.

use super::distance::psi_term;
use super::effect::MIN_SHARE;
use super::report::FeatureView;
use schemars::JsonSchema;
use serde::Serialize;

/// A bin this many standard errors off is marked: with twenty bins, one in twenty pages of a feature
/// that has not changed would mark one.
const STANDARD_ERRORS: f64 = 3.0;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Shift {
    /// Share of the recent rows, in [0, 1].
    pub live_share: f64,
    /// Live share less the baseline's.
    pub difference: f64,
    /// What the bin adds to PSI.
    pub psi: f64,
    /// By at least half a percent of the rows, and more than chance would move it.
    pub moved: bool,
}

/// In the order of the bins; empty without recent rows or without a baseline.
pub fn shifts(view: &FeatureView) -> Vec<Shift> {
    let live: u64 = view.bins.iter().map(|bin| bin.recent_rows).sum();
    let baseline = view.baseline.as_ref().map_or(0, |baseline| baseline.rows);
    if live == 0 || baseline == 0 {
        return Vec::new();
    }
    let (live, baseline) = (live as f64, baseline as f64);
    let shift = |share: f64, expected: f64| {
        let pooled = (share * live + expected * baseline) / (live + baseline);
        let error = (pooled * (1.0 - pooled) * (1.0 / live + 1.0 / baseline)).sqrt();
        let difference = share - expected;
        Shift {
            live_share: share,
            difference,
            psi: psi_term(expected, share),
            moved: difference.abs() >= MIN_SHARE.max(STANDARD_ERRORS * error),
        }
    };
    view.bins.iter().map(|bin| shift(bin.recent_rows as f64 / live, bin.baseline_share)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{Bin, Expected, Quality};
    use crate::sketch::{Kind, Role};
    use std::sync::Arc;

    fn view(baseline: &[f64], recent: &[u64]) -> FeatureView {
        let bin = |(share, rows): (&f64, &u64)| Bin {
            label: "a".into(),
            lower: None,
            upper: None,
            baseline_share: *share,
            recent_rows: *rows,
            total_rows: *rows,
        };
        FeatureView {
            feature: "x".into(),
            role: Role::Input,
            kind: Kind::Numeric,
            bins: baseline.iter().zip(recent).map(bin).collect(),
            rows_total: 0,
            quality: Quality::default(),
            baseline: Some(Arc::new(Expected { rows: 1000, ..Expected::default() })),
        }
    }

    #[test]
    fn the_bins_that_moved_are_marked_and_their_terms_add_up_to_the_distance() {
        let shifts = shifts(&view(&[0.5, 0.3, 0.2], &[250, 302, 448]));
        assert_eq!(shifts.iter().map(|shift| shift.moved).collect::<Vec<_>>(), [true, false, true]);
        let sum: f64 = shifts.iter().map(|shift| shift.psi).sum();
        let whole = crate::drift::distance::by_share(&[500, 300, 200], &[250, 302, 448]);
        assert!((sum - whole.psi.unwrap()).abs() < 1e-12);
        assert!((shifts[0].difference + 0.25).abs() < 1e-12);
    }

    #[test]
    fn what_chance_explains_is_not_marked_and_no_rows_have_no_shift() {
        assert!(shifts(&view(&[0.5, 0.5], &[14, 6])).iter().all(|shift| !shift.moved));
        assert_eq!(shifts(&view(&[0.5, 0.5], &[0, 0])), []);
    }
}
