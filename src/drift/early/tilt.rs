//! What a feature is tested for: the rows that its reference has in each cell in; ways in which live
//! ones may tilt, out.
//!
//! A tilt is a likelihood ratio: what one row, in each cell, says for a change of one kind and size.
//! Without a change its mean is at most 1, whatever the true shares are among those that the reference
//! makes credible, so the product over rows is at most a test martingale. Rows that go together in blocks
//! keep that if the ratio is taken to the power of one over the size of the block (Hölder).

use super::Change;
use std::ops::Range;

/// Tilts of a score, in its σ: for shifts of about so much.
const SHIFTS: [f64; 4] = [0.25, 0.5, 1.0, 2.5];
/// How far a share may rise from where the reference puts it, of the way to 1.
const RISES: [f64; 3] = [0.03, 0.15, 0.6];
/// What may be left of a share that falls.
const FALLS: [f64; 2] = [0.6, 0.1];
/// Shares outside of these cannot rise, or fall, by anything that could be told.
const MAX_RISING: f64 = 0.97;
const MIN_FALLING: f64 = 0.01;
/// Scores of a smaller σ are all the same.
const MIN_SIGMA: f64 = 1e-9;

/// For one change of one size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tilt {
    pub(super) change: Change,
    /// Which it is, where the change is of one level.
    pub(super) level: Option<usize>,
    /// Logarithm of its part of all that the feature is tested for.
    pub(super) prior: f64,
    /// Logarithm of the likelihood ratio of a row in each cell.
    pub(super) of_cell: Box<[f64]>,
}

/// How far the reference is to be believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belief {
    /// Rows that count as one: of them that go together. At least 1.
    pub(super) design_effect: f64,
    /// Standard errors by which the truth may credibly differ.
    pub(super) errors: f64,
}

/// Cells are the bins, then missing, then of a wrong type, then, counted a second time, out of bounds.
pub(super) fn numeric(bins: &[u64], missing: u64, wrong: u64, belief: Belief) -> Vec<Tilt> {
    let values: u64 = bins.iter().sum();
    let rows = values + missing + wrong;
    let mut families = Families::new(bins.len() + 3);
    let ranks = mid_ranks(bins);
    let squares: Vec<f64> = ranks.iter().map(|rank| rank * rank).collect();
    for (scores, up, down) in
        [(ranks, Change::Higher, Change::Lower), (squares, Change::Wider, Change::Narrower)]
    {
        let Some(scores) = standard(bins, &scores) else { continue };
        let tilted = |sign: f64| {
            let by = SHIFTS.iter().map(|shift| sign * shift);
            by.filter_map(|by| belief.exponential(bins, &scores, by)).collect()
        };
        families.push(up, None, tilted(1.0));
        families.push(down, None, tilted(-1.0));
    }
    let all = 0..bins.len() + 2;
    families.rise(Change::Null, None, belief.upper(missing, rows), &all, bins.len());
    families.rise(Change::TypeError, None, belief.upper(wrong, rows), &all, bins.len() + 1);
    // Of n values of one distribution, the next is expected beyond them in two of n + 1 cases.
    let beyond = belief.upper(2, values);
    families.rise(Change::OutOfBounds, None, beyond, &(0..bins.len()), bins.len() + 2);
    families.tilts()
}

/// What a reference has of a categorical feature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Categories<'a> {
    /// Rows of each level that is tested by itself.
    pub(super) levels: &'a [u64],
    /// Rows of any level.
    pub(super) values: u64,
    /// Rows of levels that would be new to the reference, had it not been they that made it.
    pub(super) unseen: u64,
    pub(super) missing: u64,
    pub(super) wrong: u64,
}

/// Cells are the levels, then all known ones beyond them, unseen ones, missing, and of a wrong type.
pub(super) fn categorical(reference: Categories<'_>, belief: Belief) -> Vec<Tilt> {
    let Categories { levels, values, unseen, missing, wrong } = reference;
    let (rows, shown) = (values + missing + wrong, levels.len());
    let mut families = Families::new(shown + 4);
    let (of_values, all) = (0..shown + 2, 0..shown + 4);
    for (level, count) in levels.iter().enumerate() {
        let (upper, lower) = (belief.upper(*count, values), belief.lower(*count, values));
        families.rise(Change::MoreOf, Some(level), upper, &of_values, level);
        families.fall(Change::LessOf, level, lower, &of_values);
    }
    let new = belief.upper(unseen.min(values), values);
    families.rise(Change::NewCategory, None, new, &of_values, shown + 1);
    families.rise(Change::Null, None, belief.upper(missing, rows), &all, shown + 2);
    families.rise(Change::TypeError, None, belief.upper(wrong, rows), &all, shown + 3);
    families.tilts()
}

impl Belief {
    /// The greatest credible share; `None` without rows. The quantile of a gamma distribution (Cornish
    /// and Fisher 1938) for one row more than was seen: for small shares the bound of Clopper and
    /// Pearson (1934).
    fn upper(self, marked: u64, rows: u64) -> Option<f64> {
        let (marked, rows) = self.effective(marked, rows)?;
        let spread = ((marked + 1.0) * (1.0 - marked / rows)).sqrt();
        Some((marked + 1.0 + self.errors * spread + self.errors * self.errors / 3.0) / rows)
    }

    /// The least.
    fn lower(self, marked: u64, rows: u64) -> Option<f64> {
        let (marked, rows) = self.effective(marked, rows)?;
        Some((marked - self.errors * (marked * (1.0 - marked / rows)).sqrt()) / rows)
    }

    fn effective(self, marked: u64, rows: u64) -> Option<(f64, f64)> {
        let size = |rows: u64| rows as f64 / self.design_effect;
        (rows > 0).then(|| (size(marked.min(rows)), size(rows)))
    }

    /// exp(`by` × score), over the greatest credible mean of that. `None` where no row could speak for a
    /// change, so doubtful is the reference.
    fn exponential(self, bins: &[u64], scores: &[f64], by: f64) -> Option<Sparse> {
        let ratios: Vec<f64> = scores.iter().map(|score| (by * score).exp()).collect();
        let (mean, sigma) = moments(bins, &ratios);
        let (_, rows) = self.effective(0, bins.iter().sum())?;
        let credible = (mean + self.errors * sigma / rows.sqrt()).ln();
        let ratios = scores.iter().map(|score| by * score - credible);
        let tilt: Sparse = ratios.enumerate().collect();
        tilt.iter().any(|(_, ratio)| *ratio > 0.0).then_some(tilt)
    }
}

/// Logarithms of ratios by cell; cells that are not named say nothing.
type Sparse = Vec<(usize, f64)>;

struct Families {
    cells: usize,
    families: Vec<(Change, Option<usize>, Vec<Sparse>)>,
}

impl Families {
    fn new(cells: usize) -> Self {
        Self { cells, families: Vec::new() }
    }

    fn push(&mut self, change: Change, level: Option<usize>, sizes: Vec<Sparse>) {
        if !sizes.is_empty() {
            self.families.push((change, level, sizes));
        }
    }

    /// The share of `cell` among the cells `of`, which is at most `upper`, rises.
    fn rise(
        &mut self,
        change: Change,
        level: Option<usize>,
        upper: Option<f64>,
        of: &Range<usize>,
        cell: usize,
    ) {
        let Some(upper) = upper.filter(|upper| *upper < MAX_RISING) else { return };
        let to = |rise: &f64| share_to(of, cell, upper, upper + rise * (1.0 - upper));
        self.push(change, level, RISES.iter().map(to).collect());
    }

    /// The share of a level, which is at least `lower`, falls.
    fn fall(&mut self, change: Change, level: usize, lower: Option<f64>, of: &Range<usize>) {
        let Some(lower) = lower.filter(|lower| *lower > MIN_FALLING) else { return };
        // A level that all rows of the reference have is not in all there are.
        let lower = lower.min(0.999);
        let to = |left: &f64| share_to(of, level, lower, left * lower);
        self.push(change, Some(level), FALLS.iter().map(to).collect());
    }

    /// Each change is as likely as any other, and each of its sizes too.
    fn tilts(self) -> Vec<Tilt> {
        let changes = self.families.len() as f64;
        let mut tilts = Vec::new();
        for (change, level, sizes) in self.families {
            let prior = -(changes * sizes.len() as f64).ln();
            for sparse in sizes {
                let mut of_cell = vec![0.0; self.cells].into_boxed_slice();
                for (cell, ratio) in sparse {
                    of_cell[cell] += ratio;
                }
                tilts.push(Tilt { change, level, prior, of_cell });
            }
        }
        tilts
    }
}

/// The likelihood ratio of a share of `after` against `before`, of one cell among others. A cell that is
/// not among them is counted beside one that is.
fn share_to(of: &Range<usize>, cell: usize, before: f64, after: f64) -> Sparse {
    let (marked, other) = ((after / before).ln(), ((1.0 - after) / (1.0 - before)).ln());
    let others = of.clone().filter(|each| *each != cell).map(|each| (each, other));
    let marked = if of.contains(&cell) { marked } else { marked - other };
    others.chain([(cell, marked)]).collect()
}

/// The middle rank of each bin's rows, as a share of all, less a half.
fn mid_ranks(bins: &[u64]) -> Vec<f64> {
    let all = bins.iter().sum::<u64>().max(1) as f64;
    let mut below = 0.0;
    let rank = |rows: &u64| {
        let rank = (below + *rows as f64 / 2.0) / all - 0.5;
        below += *rows as f64;
        rank
    };
    bins.iter().map(rank).collect()
}

/// With a mean of 0 and a variance of 1 over the reference; `None` if all its rows score the same.
fn standard(bins: &[u64], scores: &[f64]) -> Option<Vec<f64>> {
    let (mean, sigma) = moments(bins, scores);
    (sigma > MIN_SIGMA).then(|| scores.iter().map(|score| (score - mean) / sigma).collect())
}

/// Mean and σ over the reference's rows; 0 without rows.
fn moments(bins: &[u64], of: &[f64]) -> (f64, f64) {
    let rows = bins.iter().sum::<u64>().max(1) as f64;
    let mean_of = |each: &dyn Fn(f64) -> f64| {
        bins.iter().zip(of).map(|(rows, of)| *rows as f64 * each(*of)).sum::<f64>() / rows
    };
    let mean = mean_of(&|of| of);
    (mean, mean_of(&|of| (of - mean).powi(2)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELIEF: Belief = Belief { design_effect: 1.0, errors: 4.0 };

    fn mean_ratio(tilt: &Tilt, shares: &[f64]) -> f64 {
        tilt.of_cell.iter().zip(shares).map(|(ratio, share)| share * ratio.exp()).sum()
    }

    #[test]
    fn credible_shares_are_near_those_of_clopper_and_pearson() {
        // z = 4.0; p = scipy.stats.norm.sf(z)
        // [scipy.stats.beta.isf(p, c + 1, m - c) for c, m in ((0, 1000), (10, 1000), (300, 1000))]
        for (marked, exact) in [(0, 0.010_307), (10, 0.029_200), (300, 0.360_452)] {
            let upper = BELIEF.upper(marked, 1000).unwrap();
            assert!((upper / exact - 1.0).abs() < 0.03, "{marked}: {upper}");
        }
        // scipy.stats.beta.ppf(p, 300, 701): the bound errs to the safe side.
        let lower = BELIEF.lower(300, 1000).unwrap();
        assert!(lower < 0.243_979 && lower > 0.24, "{lower}");
    }

    #[test]
    fn without_a_change_no_ratio_is_above_one_on_average() {
        let bins = [5, 40, 300, 0, 300, 250, 90, 15];
        let rows = 1010.0;
        let cells = bins.iter().copied().chain([10, 0, 0]);
        let shares: Vec<f64> =
            cells.map(|rows: u64| rows as f64 / rows.max(1) as f64 * rows as f64).collect();
        let shares: Vec<f64> = shares.iter().map(|share| share / rows).collect();
        let tilts = numeric(&bins, 10, 0, BELIEF);
        assert!(tilts.len() > 20);
        for tilt in &tilts {
            let mean = mean_ratio(tilt, &shares);
            assert!(mean < 1.0 && mean > 0.3, "{:?}: {mean}", tilt.change);
        }
    }

    #[test]
    fn priors_add_up_to_one() {
        let levels = Categories {
            levels: &[500, 300, 150, 1],
            values: 960,
            unseen: 3,
            missing: 2,
            wrong: 0,
        };
        for tilts in [numeric(&[9, 9, 9], 3, 0, BELIEF), categorical(levels, BELIEF)] {
            let sum: f64 = tilts.iter().map(|tilt| tilt.prior.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }
    }

    #[test]
    fn a_feature_without_values_has_only_what_its_rows_can_tell() {
        let changes: Vec<Change> =
            numeric(&[0], 50, 0, BELIEF).iter().map(|tilt| tilt.change).collect();
        assert!(changes.iter().all(|change| *change == Change::TypeError), "{changes:?}");
        assert!(numeric(&[0], 0, 0, BELIEF).is_empty());
    }
}
