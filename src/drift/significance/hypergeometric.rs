//! Does a share differ between two samples? Fisher's exact test, from the nearer tail outwards.

use statrs::function::gamma::ln_gamma;

/// `marked` of `rows`: whole numbers, or what they are worth where rows are not independent.
#[derive(Debug, Clone, Copy)]
pub(in crate::drift) struct Part {
    marked: f64,
    rows: f64,
}

impl Part {
    /// By so many the rows are more than independent ones that tell as much.
    pub(in crate::drift) fn of(marked: u64, rows: u64, design_effect: f64) -> Self {
        let marked = marked.min(rows) as f64;
        Self { marked: marked / design_effect, rows: rows as f64 / design_effect }
    }
}

/// Below this many standard deviations a share is not tested further: its p-value would be above
/// 0.04 and could not be the smallest that matters. It saves the sum for most bins of most windows.
const NEAR: f64 = 2.0;

/// Twice the nearer tail, at most 1. Exact given both sizes and the pooled number of marked rows.
pub(super) fn two_sided(window: Part, reference: Part) -> f64 {
    (2.0 * tail(window, reference)).min(1.0)
}

/// The chance of as many marked rows in the window, or more.
pub(in crate::drift) fn more(window: Part, reference: Part) -> f64 {
    let expected = expected(window, reference);
    if window.marked > expected { tail(window, reference) } else { 1.0 }
}

fn expected(window: Part, reference: Part) -> f64 {
    let all = window.rows + reference.rows;
    (window.marked + reference.marked) * window.rows / all
}

/// The tail on the side where the window lies of what is expected; 1 where it lies near.
fn tail(window: Part, reference: Part) -> f64 {
    if window.rows <= 0.0 || reference.rows <= 0.0 {
        return 1.0;
    }
    let (n, all) = (window.rows, window.rows + reference.rows);
    let marked = window.marked + reference.marked;
    let expected = expected(window, reference);
    let variance = expected * (1.0 - marked / all) * (all - n) / (all - 1.0).max(1.0);
    let seen = window.marked;
    if (seen - expected).powi(2) < NEAR * NEAR * variance || variance <= 0.0 {
        return 1.0;
    }
    let ln_choose = |n: f64, k: f64| ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    let first =
        (ln_choose(marked, seen) + ln_choose(all - marked, n - seen) - ln_choose(all, n)).exp();
    let up = |k: f64| (marked - k) * (n - k) / ((k + 1.0) * (all - marked - n + k + 1.0));
    let down = |k: f64| k * (all - marked - n + k) / ((marked - k + 1.0) * (n - k + 1.0));
    if seen > expected {
        sum_outwards(first, seen, 1.0, up)
    } else {
        sum_outwards(first, seen, -1.0, down)
    }
}

fn sum_outwards(first: f64, start: f64, step: f64, ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut term, mut k) = (first, first, start);
    loop {
        // Below 0 where a part of a row is left.
        term *= ratio(k);
        if term > sum * 1e-12 {
            sum += term;
            k += step;
        } else {
            return sum.min(1.0);
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these results are exact")]
mod tests {
    use super::*;

    #[test]
    fn tails_agree_with_scipy_hypergeom() {
        // scipy.stats.hypergeom(all, marked, drawn), sf(seen - 1) above the expected, else cdf(seen).
        let expected = [
            ((10, 100), (20, 1000), 1.589_747_797_759_585_8e-4),
            ((0, 100), (100, 1000), 4.487_138_783_656_831e-5),
            ((5, 25_000), (0, 100_000), 3.198_976_090_119_807e-4),
            ((40, 200), (100, 1000), 1.160_294_229_323_492_7e-4),
            ((300, 1000), (2000, 10_000), 6.736_954_541_828_848e-13),
        ];
        let of = |marked, rows| Part::of(marked, rows, 1.0);
        for (window, reference, expected) in expected {
            let p = tail(of(window.0, window.1), of(reference.0, reference.1));
            assert!((p / expected - 1.0).abs() < 1e-9, "{window:?} {reference:?}: {p}");
        }
    }

    #[test]
    fn rows_that_come_in_runs_tell_less() {
        let p = |effect| two_sided(Part::of(100, 1000, effect), Part::of(500, 10_000, effect));
        assert!(p(1.0) < 1e-8 && p(10.0) > 0.02, "{} {}", p(1.0), p(10.0));
        let whole = two_sided(Part::of(10, 100, 1.0), Part::of(50, 1000, 1.0));
        assert!((p(10.0) / whole - 1.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_marked_or_near_the_expected_is_no_evidence() {
        let of = |marked, rows| Part::of(marked, rows, 1.0);
        assert_eq!(two_sided(of(0, 100), of(0, 100)), 1.0);
        assert_eq!(two_sided(of(10, 100), of(98, 1000)), 1.0);
        assert_eq!(two_sided(of(100, 100), of(1000, 1000)), 1.0);
    }
}
