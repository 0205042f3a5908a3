//! A reference's values in; where to cut them, and how to group the cuts for reports, out.
//!
//! Stored bins (at most 64) are fine: distances that depend on order use them. Reported bins (at most
//! 20) are whole groups of stored ones, each with enough of the reference to be compared by share.

use crate::sketch::{Cell, Edges};

/// Bins that reports show and shares are compared on: at most.
pub(super) const MAX_REPORTED: usize = 20;

/// Stored bins aimed at, leaving room for tails and for what precedes a frequent value.
const STORED: u64 = 56;
/// With no more distinct values than this, each has a bin of its own.
const MAX_VALUES: usize = 60;
/// The share of each tail that is cut off on its own, in thousandths, and its smallest count.
const TAIL_PER_MILLE: u64 = 5;
const MIN_TAIL_ROWS: u64 = 5;
const REPORTED: u64 = 10;

/// One bin while it is being filled.
#[derive(Debug, Clone, Copy, Default)]
struct Filling {
    rows: u64,
    /// The last value: the bin ends above it.
    high: f64,
}

/// Cuts between `cells`, which ascend. No bin is empty in the reference.
pub(super) fn cuts(cells: &[Cell]) -> Vec<f64> {
    let points = cells.iter().all(Cell::is_point);
    if points && cells.len() <= MAX_VALUES {
        return cells.iter().skip(1).map(|cell| cell.low).collect();
    }
    let rows: u64 = cells.iter().map(|cell| cell.rows).sum();
    let mut target = rows.div_ceil(STORED).max(1);
    loop {
        let cuts = quantile_cuts(cells, rows, target);
        if cuts.len() < Edges::MAX_BINS {
            return cuts;
        }
        target += target.div_ceil(4);
    }
}

/// Bins of about `target` rows; a value with twice that stands alone, and so do both tails.
fn quantile_cuts(cells: &[Cell], rows: u64, target: u64) -> Vec<f64> {
    let tail = rows * TAIL_PER_MILLE / 1000;
    let tail = if tail >= MIN_TAIL_ROWS { tail } else { target };
    let mut cuts = Vec::new();
    let mut bin = Filling::default();
    let mut seen = 0;
    for cell in cells {
        let frequent = cell.is_point() && cell.rows >= 2 * target;
        let enters_tail = seen + cell.rows > rows - tail.min(rows) && seen <= rows - tail.min(rows);
        let wanted = if cuts.is_empty() { tail } else { target };
        if bin.rows > 0 && (frequent || enters_tail || bin.rows >= wanted) {
            let near_empty = bin.rows < target.min(tail) / 4;
            if !near_empty || !frequent {
                cuts.push(if frequent { cell.low } else { shortest(bin.high, cell.low) });
                bin = Filling::default();
            }
        }
        bin.rows += cell.rows;
        bin.high = cell.high;
        seen += cell.rows;
        if frequent && seen < rows {
            cuts.push(cell.high.next_up());
            bin = Filling::default();
        }
    }
    cuts
}

/// The number with fewest digits above `low` and not above `high`: any cuts the reference alike there,
/// and people read this one.
fn shortest(low: f64, high: f64) -> f64 {
    let rounded = |value: f64, digits: usize| format!("{value:.digits$e}").parse::<f64>().ok();
    let candidates = (0..17).flat_map(|digits| {
        [rounded(f64::midpoint(low, high), digits), rounded(high, digits)].into_iter().flatten()
    });
    std::iter::once(0.0).chain(candidates).find(|cut| low < *cut && *cut <= high).unwrap_or(high)
}

/// The stored bins at which reported ones begin; the first is 0. `whole` says that each bin is one
/// value of few, which is then reported alone unless it is rare.
pub(super) fn groups(bins: &[u64], whole: bool) -> Vec<usize> {
    let rows: u64 = bins.iter().sum();
    let target = rows.div_ceil(REPORTED).max(1);
    let alone = if whole && bins.len() <= MAX_REPORTED { (rows / 200).max(5) } else { target };
    let mut starts = vec![0];
    let mut filled = 0;
    for (bin, rows) in bins.iter().enumerate() {
        let frequent = *rows >= alone;
        let full = filled >= target.min(alone) || (frequent && filled > target / 4);
        if bin > 0 && full {
            starts.push(bin);
            filled = 0;
        }
        filled += rows;
    }
    if starts.len() > 1 && filled < target.min(alone) / 4 {
        starts.pop();
    }
    starts
}

/// An interval as people read it: `[2.5,7.1)`, `(-inf,0]`, or the value where there is only one.
pub(super) fn label(lower: Option<f64>, upper: Option<f64>) -> String {
    // A cut just above a value reads as that value, excluded below and included above.
    let just_above = |cut: f64| {
        let below = cut.next_down();
        (digits(below) + 4 < digits(cut)).then_some(below)
    };
    let start = match lower.map(|cut| (cut, just_above(cut))) {
        None => "(-inf".to_owned(),
        Some((_, Some(value))) => format!("({value}"),
        Some((cut, None)) => format!("[{cut}"),
    };
    match upper.map(|cut| (cut, just_above(cut))) {
        None => format!("{start},inf)"),
        Some((_, Some(value))) if lower == Some(value) => format!("{value}"),
        Some((_, Some(value))) => format!("{start},{value}]"),
        Some((cut, None)) => format!("{start},{cut})"),
    }
}

fn digits(value: f64) -> usize {
    format!("{value}").len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::Cells;

    fn cells(values: impl IntoIterator<Item = f64>) -> Vec<Cell> {
        let mut cells = Cells::default();
        values.into_iter().for_each(|value| cells.observe(value));
        cells.finish()
    }

    fn counts(cells: &[Cell], cuts: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; cuts.len() + 1];
        for cell in cells {
            let bin = cuts.partition_point(|cut| *cut <= cell.low);
            assert_eq!(bin, cuts.partition_point(|cut| *cut <= cell.high), "no cell is cut");
            counts[bin] += cell.rows;
        }
        counts
    }

    #[test]
    fn few_integers_get_one_bin_a_value() {
        let cells = cells((0..1000).map(|n| f64::from(n % 12)));
        assert_eq!(cuts(&cells), (1..12).map(f64::from).collect::<Vec<_>>());
        assert_eq!(groups(&counts(&cells, &cuts(&cells)), true).len(), 12);
    }

    #[test]
    fn a_frequent_value_has_a_bin_of_its_own() {
        let mut random = fastrand::Rng::with_seed(1);
        let cells = cells((0..9000).map(|n| if n % 3 == 0 { 0.0 } else { random.f64() + 0.1 }));
        let cuts = cuts(&cells);
        assert_eq!(cuts[0], 0.0_f64.next_up());
        assert_eq!(counts(&cells, &cuts)[0], 3000);
        assert_eq!(label(None, Some(cuts[0])), "(-inf,0]");
    }

    #[test]
    fn continuous_values_fill_the_bins_evenly_and_tails_apart() {
        let mut random = fastrand::Rng::with_seed(2);
        for rows in [100_u32, 306, 2000, 60_000] {
            let cells = cells((0..rows).map(|_| random.f64().ln()));
            let counts = counts(&cells, &cuts(&cells));
            assert!((40..=64).contains(&counts.len()), "{rows}: {}", counts.len());
            assert!(counts.iter().all(|count| (1..=u64::from(rows) / 20).contains(count)));
            let groups = groups(&counts, false);
            assert!((8..=MAX_REPORTED).contains(&groups.len()), "{rows}: {groups:?}");
        }
    }

    #[test]
    fn many_frequent_values_stay_within_the_bins_allowed() {
        let mut random = fastrand::Rng::with_seed(3);
        let values = (0..50_000)
            .map(|n| if n % 2 == 0 { f64::from(random.i32(0..40)) } else { 40.0 * random.f64() });
        let cells = cells(values);
        let counts = counts(&cells, &cuts(&cells));
        assert!(counts.len() <= Edges::MAX_BINS);
        assert!(groups(&counts, false).len() <= MAX_REPORTED);
    }

    #[test]
    fn cuts_are_short_numbers_between_the_values() {
        assert_eq!(shortest(1.234_567, 1.391_111), 1.3);
        assert_eq!(shortest(-0.1, 0.2), 0.0);
        assert_eq!(shortest(99.0, 101.0), 100.0);
        let next = 1.0_f64.next_up();
        assert_eq!(shortest(1.0, next), next);
    }

    #[test]
    fn labels_read_as_intervals_or_values() {
        assert_eq!(label(Some(2.5), Some(7.1)), "[2.5,7.1)");
        assert_eq!(label(Some(3.0), Some(3.0_f64.next_up())), "3");
        assert_eq!(label(Some(0.0_f64.next_up()), None), "(0,inf)");
        assert_eq!(label(None, None), "(-inf,inf)");
    }
}
