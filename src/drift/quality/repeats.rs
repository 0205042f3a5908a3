//! How likely is it that a feature kept one value, all through a window or for a while?

use super::super::baseline::Content;
use super::runs::{Run, Runs, Value};
use crate::sketch::FeatureCounts;

/// The share of its rows that the reference has of a value, and how many rows it has with a value. Of a
/// number it is the share of its bin: never less.
pub(super) struct Expected {
    marked: u64,
    rows: u64,
}

impl Expected {
    pub(super) fn of(reference: &Content, run: Run) -> Option<Self> {
        let (marked, rows) = match (reference, run.value?) {
            (Content::Numeric(numeric), Value::Number(bits)) => {
                let (number, counts) = (f64::from_bits(bits), &numeric.counts);
                let bin = number.is_finite().then(|| counts.bins()[counts.edges().bin(number)]);
                (bin.unwrap_or(counts.infinities), counts.values())
            }
            (Content::Categorical(levels), value @ Value::Level(_)) => {
                let counts = &levels.counts;
                let mut named = counts.levels().names().iter().zip(counts.level_rows());
                let known = named.find(|(name, _)| Value::of_level(name) == value);
                (known.map_or(0, |(_, rows)| *rows), counts.values())
            }
            // Of the wrong type: another check.
            _ => return None,
        };
        (rows > 0).then_some(Self { marked: marked.min(rows), rows })
    }

    pub(super) fn share(&self) -> f64 {
        self.marked as f64 / self.rows as f64
    }

    /// Whether the reference knows other values.
    pub(super) fn varies(&self) -> bool {
        self.marked < self.rows
    }
}

/// Every value of the window is one.
pub(super) fn is_constant(window: &FeatureCounts, runs: &Runs) -> bool {
    let one = runs.longest().requests == runs.requests() && runs.requests() > 0;
    one && match window {
        FeatureCounts::Numeric(counts) => counts.min() == counts.max(),
        FeatureCounts::Categorical(_) => true,
    }
}

/// Given the first request's value, the chance that all others have it too, over all ways to deal the
/// pooled values to both sides: exact where they are independent. That the value was not chosen before
/// costs nothing: Σ p^n over values no more frequent than this one is at most p^(n−1).
pub(super) fn all_alike(requests: u64, expected: &Expected) -> f64 {
    let others = requests.saturating_sub(1);
    let mut chance = 1.0;
    for drawn in 0..others {
        let (marked, rows) = (expected.marked + others - drawn, expected.rows + others - drawn);
        chance *= marked as f64 / rows as f64;
        if chance < 1e-30 {
            return 0.0;
        }
    }
    chance
}

/// The chance of a run of so many requests somewhere among all of them, each repeating the one before
/// with the given chance: at most q^(L−1) (1 + (N−L) (1−q)), by where the run begins (de Moivre 1738;
/// the union bound of Feller, *An Introduction to Probability Theory*, XIII.7).
pub(super) fn run_as_long(length: u64, requests: u64, repeat_rate: f64) -> f64 {
    if length < 2 {
        return 1.0;
    }
    let starts = 1.0 + requests.saturating_sub(length) as f64 * (1.0 - repeat_rate);
    (starts * ((length - 1) as f64 * repeat_rate.ln()).exp()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_alike_is_the_hypergeometric_chance() {
        // scipy.stats.hypergeom(1000 + 9, 200 + 9, 9).pmf(9): nine others of the pooled values, all of
        // the marked ones.
        let p = all_alike(10, &Expected { marked: 200, rows: 1000 });
        assert!((p / 6.109_322_114_475_599e-7 - 1.0).abs() < 1e-9, "{p:e}");
        assert!((all_alike(1, &Expected { marked: 0, rows: 1000 }) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_run_is_no_likelier_than_the_bound_says() {
        let mut random = fastrand::Rng::with_seed(11);
        let (requests, length, rate, trials) = (200_u64, 8_u64, 0.4, 20_000);
        let mut found = 0;
        for _ in 0..trials {
            let (mut run, mut longest) = (1, 1);
            for _ in 1..requests {
                run = if random.f64() < rate { run + 1 } else { 1 };
                longest = longest.max(run);
            }
            found += u32::from(longest >= length);
        }
        let (seen, bound) =
            (f64::from(found) / f64::from(trials), run_as_long(length, requests, rate));
        assert!(seen <= bound && bound <= 1.3 * seen, "{seen} {bound}");
    }
}
