//! How far a window is from its reference: two lots of counts on the same bins in, distances out.
//!
//! With p the reference's and q the window's share of rows in a bin:
//!
//! | distance | definition | source |
//! |---|---|---|
//! | PSI | Σ (q − p) ln(q / p), shares under 1e-4 taken as 1e-4 | Siddiqi, *Credit Risk Scorecards*, 2006 |
//! | Jensen–Shannon | √(½ KL₂(p‖m) + ½ KL₂(q‖m)), m = ½(p + q); in [0, 1] | Endres and Schindelin, IEEE Trans. Inf. Theory 49, 2003; `scipy.spatial.distance.jensenshannon(base=2)` |
//! | Hellinger | √(½ Σ (√p − √q)²); in [0, 1] | Le Cam and Yang, *Asymptotics in Statistics*, 2000 |
//! | χ² | Σ (O − E)² / E with O the window's rows in a bin and E = p n, a p of 0 taken as 1e-4 | Pearson 1900; `scipy.stats.chisquare` where no p is 0 |
//! | L∞ | max \|p − q\|; in [0, 1] | |
//! | KS | max \|F − G\|, F and G the distribution functions | Smirnov 1948; `scipy.stats.ks_2samp` |
//! | Wasserstein | ∫ \|F − G\| ÷ σ of the reference | Vallender 1974; `scipy.stats.wasserstein_distance` |
//!
//! The first five are on reported bins, `null` among them, so that whoever has the exported counts
//! gets the same figures. KS and Wasserstein are on stored bins, of numbers alone.
//!
//! What binning costs those two: F − G is known at every edge, so KS is never above the true one and
//! falls short by at most the share that the fuller of the two has inside one bin. Wasserstein takes
//! the integral of F − G over each bin, which is exact by the bins' sums, and only errs, downwards,
//! in a bin where F − G changes its sign.

use super::baseline::{Content, NumericReference};
use super::report::Distances;
use crate::sketch::{FeatureCounts, NumericCounts};

/// Shares below it count as this much in PSI, and shares of 0 in χ².
pub(super) const FLOOR: f64 = 1e-4;

/// Between the reported bins of a reference and a window; none if either has no rows.
pub(super) fn by_share(reference: &[u64], window: &[u64]) -> Distances {
    let (m, n) = (total(reference), total(window));
    if m <= 0.0 || n <= 0.0 {
        return Distances::default();
    }
    let shares = || reference.iter().zip(window).map(|(p, q)| (*p as f64 / m, *q as f64 / n));
    Distances {
        psi: Some(shares().map(|(p, q)| psi_term(p, q)).sum()),
        jensen_shannon: Some(jensen_shannon(shares())),
        hellinger: Some(hellinger(shares())),
        chi_squared: Some(shares().map(|(p, q)| chi_squared_term(p, q, n)).sum()),
        l_infinity: Some(shares().map(|(p, q)| (p - q).abs()).fold(0.0, f64::max)),
        ks: None,
        wasserstein: None,
    }
}

/// All distances that the kind of feature has.
pub(super) fn distances(reference: &Content, window: &FeatureCounts) -> Distances {
    let shares = by_share(&reference.reported(), &reference.reported_of(window));
    match (reference, window) {
        (Content::Numeric(reference), FeatureCounts::Numeric(window)) => Distances {
            ks: ks(&reference.counts, window),
            wasserstein: wasserstein(reference, window),
            ..shares
        },
        _ => shares,
    }
}

fn total(rows: &[u64]) -> f64 {
    rows.iter().sum::<u64>() as f64
}

/// What one bin adds to PSI.
pub(super) fn psi_term(p: f64, q: f64) -> f64 {
    let (p, q) = (p.max(FLOOR), q.max(FLOOR));
    (q - p) * (q / p).ln()
}

fn chi_squared_term(p: f64, q: f64, rows: f64) -> f64 {
    let expected = if p > 0.0 { p } else { FLOOR } * rows;
    (q * rows - expected).powi(2) / expected
}

fn jensen_shannon(shares: impl Iterator<Item = (f64, f64)>) -> f64 {
    let divergence = |x: f64, middle: f64| if x > 0.0 { x * (x / middle).log2() } else { 0.0 };
    let term = |(p, q)| {
        let middle = f64::midpoint(p, q);
        f64::midpoint(divergence(p, middle), divergence(q, middle))
    };
    shares.map(term).sum::<f64>().max(0.0).sqrt()
}

fn hellinger(shares: impl Iterator<Item = (f64, f64)>) -> f64 {
    let squares: f64 = shares.map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2)).sum();
    (squares / 2.0).sqrt()
}

/// F − G at the upper edge of each bin.
fn differences(f: &NumericCounts, g: &NumericCounts) -> Option<Vec<f64>> {
    let (m, n) = (f.values(), g.values());
    let cumulated = |(below_f, below_g): &mut (u64, u64), (f, g): (&u64, &u64)| {
        (*below_f, *below_g) = (*below_f + f, *below_g + g);
        Some(*below_f as f64 / m as f64 - *below_g as f64 / n as f64)
    };
    let rows = f.bins().iter().zip(g.bins());
    (m > 0 && n > 0).then(|| rows.scan((0, 0), cumulated).collect())
}

pub(super) fn ks(reference: &NumericCounts, window: &NumericCounts) -> Option<f64> {
    let differences = differences(reference, window)?;
    Some(differences.iter().map(|difference| difference.abs()).fold(0.0, f64::max))
}

/// By parts: over a bin, ∫ (F − G) dx = Δ(e·(F − G)) − Δ(sum / n), with e the bin's edges and sum / n
/// the sum of its values divided by the number of all. At both ends of the line F − G is 0.
fn wasserstein(reference: &NumericReference, window: &NumericCounts) -> Option<f64> {
    let counts = &reference.counts;
    let differences = differences(counts, window)?;
    let (m, n) = (counts.values() as f64, window.values() as f64);
    let cuts = counts.edges().cuts();
    let mut area = 0.0;
    let mut lower = 0.0;
    for (bin, difference) in differences.iter().enumerate() {
        let upper = cuts.get(bin).map_or(0.0, |edge| edge * difference);
        let sums = counts.sums()[bin] / m - window.sums()[bin] / n;
        area += (upper - lower - sums).abs();
        lower = upper;
    }
    (reference.sigma > 0.0).then(|| area / reference.sigma)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn disjoint_shares_are_as_far_as_distances_go() {
        let far = by_share(&[10, 0], &[0, 20]);
        assert_eq!(far.jensen_shannon, Some(1.0));
        assert_eq!(far.hellinger, Some(1.0));
        assert_eq!(far.l_infinity, Some(1.0));
        let psi = 2.0 * (1.0 - FLOOR) * (1.0 / FLOOR).ln();
        assert!((far.psi.unwrap() - psi).abs() < 1e-12);
    }

    #[test]
    fn no_rows_have_no_distance() {
        assert_eq!(by_share(&[1, 2], &[0, 0]), Distances::default());
    }

    #[test]
    fn a_bin_rarer_than_the_floor_is_no_distance_by_itself() {
        let rows = [537, 438, 9_000, 1];
        let distances = by_share(&rows, &rows);
        assert!(distances.iter().all(|(_, distance)| distance.abs() < 1e-12), "{distances:?}");
    }

    proptest! {
        #[test]
        fn equal_shares_have_no_distance_and_others_stay_in_bounds(
            p in proptest::collection::vec(1_u64..1000, 2..20), scale in 1_u64..50,
            q in proptest::collection::vec(0_u64..1000, 20),
        ) {
            let scaled: Vec<u64> = p.iter().map(|rows| rows * scale).collect();
            let rows = scaled.iter().sum::<u64>() as f64;
            for (name, distance) in by_share(&p, &scaled).iter() {
                // The statistic grows with the rows, and so does what rounding leaves of it.
                let bound = if name == "chi_squared" { rows * 1e-10 } else { 1e-6 };
                prop_assert!(distance.abs() < bound, "{name} {distance}");
            }
            let other = by_share(&p, &q[..p.len()]);
            for distance in [other.jensen_shannon, other.hellinger, other.l_infinity] {
                prop_assert!(distance.is_none_or(|d| (0.0..=1.0 + 1e-12).contains(&d)));
            }
        }
    }
}
