//! Page's test, as Hinkley has it, on ranks: one number after another in; whether they have risen or
//! fallen out.
//!
//! A number counts as the normal score of its rank among those of the reference, which is the recent
//! past: so its distribution does not matter, and the average run length is that of normal noise,
//! whatever the noise is, as long as the numbers follow each other independently.

use statrs::function::erf::erfc_inv;
use std::collections::VecDeque;
use std::f64::consts::SQRT_2;

/// What a number must be away from the usual, in σ, to count for a change. That is half of the shift for
/// which the test is quickest; a large one, so that noise which goes along with the noise before it
/// counts for none.
const TOLERATED: f64 = 1.0;
/// Numbers that make a usual.
const WARM_UP: usize = 30;
/// Numbers that are remembered of it.
const REMEMBERED: usize = 360;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

/// A statistic that has reached the threshold, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// It began so many numbers ago, this one counted.
    Change {
        direction: Direction,
        numbers: usize,
    },
}

#[derive(Debug)]
pub(super) struct PageHinkley {
    threshold: f64,
    reference: VecDeque<f64>,
    up: Sum,
    down: Sum,
}

/// Its excess over its least value so far, and how many numbers it took to get there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    excess: f64,
    numbers: usize,
}

impl Sum {
    pub(super) fn add(&mut self, score: f64) {
        self.excess += score - TOLERATED;
        self.numbers += 1;
        if self.excess <= 0.0 {
            *self = Self::default();
        }
    }

    /// As if what is added from here on were of no change at all; so a change is over.
    pub(super) fn add_usual(&mut self, score: f64) {
        self.excess = (self.excess + TOLERATED - score).max(0.0);
    }
}

impl PageHinkley {
    /// For a false alarm in so many numbers, on average, of each direction.
    pub(super) fn new(average_run_length: f64) -> Self {
        let threshold = threshold(average_run_length);
        let (up, down) = (Sum::default(), Sum::default());
        Self { threshold, reference: VecDeque::new(), up, down }
    }

    pub(super) fn is_warm(&self) -> bool {
        self.reference.len() >= WARM_UP
    }

    pub(super) fn is_over(&self, sum: &Sum) -> bool {
        sum.excess >= self.threshold
    }

    /// Takes a number in, as one of the usual as long as nothing is found.
    pub(super) fn observe(&mut self, number: f64) -> Found {
        let found = if self.is_warm() { self.test(number) } else { Found::Nothing };
        self.reference.push_back(number);
        if self.reference.len() > REMEMBERED {
            self.reference.pop_front();
        }
        found
    }

    fn test(&mut self, number: f64) -> Found {
        let score = self.score(number);
        self.up.add(score);
        self.down.add(-score);
        let found = [(self.up, Direction::Up), (self.down, Direction::Down)];
        let found = found.into_iter().find(|(sum, _)| self.is_over(sum));
        found.map_or(Found::Nothing, |(sum, direction)| {
            (self.up, self.down) = (Sum::default(), Sum::default());
            Found::Change { direction, numbers: sum.numbers }
        })
    }

    /// The normal score of the number's middle rank among those of the reference and itself.
    pub(super) fn score(&self, number: f64) -> f64 {
        let below = self.reference.iter().filter(|usual| **usual < number).count();
        let is_equal = |usual: &&f64| usual.total_cmp(&number).is_eq();
        let equal = self.reference.iter().filter(is_equal).count();
        // In the middle of its own place: of one number more than the reference has.
        let rank = below as f64 + f64::midpoint(equal as f64, 1.0);
        -SQRT_2 * erfc_inv(2.0 * rank / (self.reference.len() as f64 + 1.0))
    }

    /// Takes the last so many numbers out of the usual, and gives them.
    pub(super) fn withdraw(&mut self, numbers: usize) -> Vec<f64> {
        let usual = self.reference.len().saturating_sub(numbers);
        self.reference.split_off(usual).into()
    }

    /// Puts one back that was withdrawn.
    pub(super) fn recall(&mut self, number: f64) {
        self.reference.push_back(number);
    }

    /// The usual is what these are.
    pub(super) fn replace(&mut self, numbers: &[f64]) {
        self.reference = numbers.iter().copied().collect();
    }

    /// `None` before the first number.
    pub(super) fn median(&self) -> Option<f64> {
        median(self.reference.iter().copied())
    }
}

pub(super) fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

/// The threshold of an average run length, by Siegmund's approximation ("Sequential Analysis", 1985) for
/// unit normal scores: (exp(2νb) − 2νb − 1) / 2ν², b being the threshold and 1.166 over it.
fn threshold(average_run_length: f64) -> f64 {
    let run_length = |threshold: f64| {
        let exponent = 2.0 * TOLERATED * (threshold + 1.166);
        (exponent.exp() - exponent - 1.0) / (2.0 * TOLERATED * TOLERATED)
    };
    let (mut low, mut high) = (0.0, 50.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if run_length(middle) < average_run_length { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    fn normal(random: &mut Rng) -> f64 {
        let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * random.f64()).cos()
    }

    #[test]
    fn scores_are_normal_quantiles_of_ranks() {
        let mut test = PageHinkley::new(1e6);
        test.replace(&[1.0, 2.0, 2.0, 3.0]);
        // scipy.stats.norm.ppf([(1 + 1.5 - 0.5) / 5, 0.1, 0.7])
        for (number, expected) in [(2.0, 0.0), (0.0, -1.281_551_6), (2.5, 0.524_400_5)] {
            let score = test.score(number);
            assert!((score - expected).abs() < 1e-6, "{number}: {score}");
        }
    }

    /// Heavy tails and skew: exp of 1.5 normal.
    #[test]
    fn false_alarms_of_any_noise_are_as_far_apart_as_stated() {
        let (stated, numbers) = (2000.0, 200_000);
        let mut random = Rng::with_seed(5);
        let mut test = PageHinkley::new(stated);
        let alarms = (0..numbers)
            .filter(|_| test.observe((1.5 * normal(&mut random)).exp()) != Found::Nothing)
            .count();
        // Both directions together: half as far.
        let expected = f64::from(numbers) / stated * 2.0;
        assert!(alarms > 0 && (alarms as f64) < 1.3 * expected, "{alarms} of {expected}");
    }

    #[test]
    fn a_jump_is_found_within_a_few_numbers_and_where_it_began() {
        for seed in 0..20 {
            let mut random = Rng::with_seed(seed);
            let mut test = PageHinkley::new(1_555_200.0);
            (0..200).for_each(|_| assert_eq!(test.observe(normal(&mut random)), Found::Nothing));
            let found = (1..).map(|n| (n, test.observe(normal(&mut random) + 6.0)));
            let (after, found) =
                found.into_iter().find(|(_, found)| *found != Found::Nothing).unwrap();
            let Found::Change { direction, numbers } = found else { panic!() };
            assert_eq!(direction, Direction::Up);
            assert!(after <= 6 && numbers.abs_diff(after) <= 3, "{after} {numbers}");
        }
    }
}
