//! How much a reference varies from hour to hour and from day to day, and whether hours have a cycle.
//!
//! One-way analysis of variance with random effects (Searle, Casella and `McCulloch`, *Variance
//! Components*, 1992): what the means of blocks of time vary by, less what rows within a block explain.

use super::rows::{LOCATION, MISSING, ODD, SCALE, SHARES};
use super::scores::Scored;
use statrs::distribution::{ContinuousCDF, FisherSnedecor};
use std::collections::{HashMap, HashSet};

/// Blocks of a span that are kept: further ones are left out.
const MAX_BLOCKS: usize = 2048;
/// Fewer blocks tell nothing of how blocks vary.
const MIN_BLOCKS: usize = 5;
pub(super) const HOUR: i64 = 3600;
pub(super) const DAY: i64 = 24 * HOUR;
/// A cycle is one if chance would show it in one feature of so many.
const CYCLE: f64 = 1e-4;
const LEANING: f64 = 0.05;
/// Hours of the day that must be seen, and blocks that each must have, in the mean.
const MIN_HOURS: usize = 6;
const MIN_DAYS: usize = 3;
/// What a cycle is looked for in.
const CYCLIC: [usize; 3] = [LOCATION, SCALE, MISSING];

/// Blocks of one length of time.
#[derive(Debug)]
pub(super) struct Spans {
    seconds: i64,
    index: HashMap<i64, usize>,
    blocks: Vec<Block>,
    /// Of the rows that are in blocks, by sum.
    squares: Vec<f64>,
    /// Neighbours mostly share a block.
    last: Option<(i64, usize)>,
}

#[derive(Debug)]
struct Block {
    number: i64,
    rows: f64,
    sums: Box<[f64]>,
}

/// What is known of rows beside the blocks of time that they are in.
pub(super) struct Rows<'a> {
    /// The design effect of neighbours, by sum.
    pub(super) short: &'a [f64],
    /// Hours of one day are alike, so that it is days that tell.
    pub(super) days_differ: bool,
}

impl Spans {
    pub(super) fn new(seconds: i64) -> Self {
        let (blocks, squares) = (Vec::new(), Vec::new());
        Self { seconds, index: HashMap::new(), blocks, squares, last: None }
    }

    pub(super) fn observe(&mut self, at: i64, scored: &Scored, sums: usize) {
        let number = at.div_euclid(self.seconds);
        let Some(place) = self.place(number, sums) else { return };
        let block = &mut self.blocks[place];
        block.rows += 1.0;
        self.squares.resize(sums, 0.0);
        let mut add = |sum: usize, score: f64| {
            block.sums[sum] += score;
            self.squares[sum] += score * score;
        };
        add(LOCATION, scored.scores[0]);
        add(SCALE, scored.scores[1]);
        if scored.missing {
            add(MISSING, 1.0);
        } else if scored.odd {
            add(ODD, 1.0);
        }
        if let Some(group) = scored.group {
            add(SHARES + group, 1.0);
        }
    }

    fn place(&mut self, number: i64, sums: usize) -> Option<usize> {
        if let Some((last, place)) = self.last
            && last == number
        {
            return Some(place);
        }
        let next = self.blocks.len();
        let place = match self.index.get(&number) {
            Some(place) => *place,
            None if next == MAX_BLOCKS => return None,
            None => {
                self.index.insert(number, next);
                self.blocks.push(Block { number, rows: 0.0, sums: vec![0.0; sums].into() });
                next
            }
        };
        self.last = Some((number, place));
        Some(place)
    }

    /// How blocks vary around the mean of all; `None` with too few blocks to tell.
    pub(super) fn between(&self, rows: &Rows<'_>) -> Option<Components> {
        let all = Block::sum_of(&self.blocks, 0);
        (self.blocks.len() >= MIN_BLOCKS).then(|| self.components(&[all], |_| 0, rows))
    }

    /// How hours vary beside a cycle by hour of the day; `None` where there is no cycle.
    pub(super) fn beside_cycle(&self, rows: &Rows<'_>) -> Option<Components> {
        let of_day =
            |hour| self.blocks.iter().filter(move |block| block.number.rem_euclid(24) == hour);
        let hours: Vec<Block> = (0..24).map(|hour| Block::sum_of(of_day(hour), hour)).collect();
        let seen = hours.iter().filter(|hour| hour.rows > 0.0).count();
        if self.seconds != HOUR || seen < MIN_HOURS || self.blocks.len() < MIN_DAYS * seen {
            return None;
        }
        let all = Block::sum_of(&hours, 0);
        let beside = self.components(&hours, |number| number.rem_euclid(24), rows);
        let freedom = (seen as f64 - 1.0, (self.blocks.len() - seen) as f64);
        let is_cyclic = CYCLIC.iter().any(|sum| {
            let explained = Block::between(&hours, *sum) - Block::between([&all], *sum);
            let rest = Block::between(&self.blocks, *sum) - Block::between(&hours, *sum);
            let ratio = explained / freedom.0 / (rest / freedom.1);
            fisher(ratio, freedom.0, freedom.1) < CYCLE / CYCLIC.len() as f64
        });
        is_cyclic.then_some(beside)
    }

    fn days_apart(&self) -> f64 {
        let days = self.blocks.iter().map(|block| (block.number * self.seconds).div_euclid(DAY));
        let days: HashSet<i64> = days.collect();
        if days.len() >= MIN_DAYS { days.len() as f64 - 1.0 } else { f64::INFINITY }
    }

    /// By blocks within `parents`, which hold all rows.
    fn components(
        &self,
        parents: &[Block],
        parent_of: impl Fn(i64) -> i64,
        rows: &Rows<'_>,
    ) -> Components {
        let seen = parents.iter().filter(|parent| parent.rows > 0.0).count();
        let freedom = (self.blocks.len() - seen) as f64;
        let all: f64 = parents.iter().map(|parent| parent.rows).sum();
        let of_parent = |block: &Block| {
            let parent = usize::try_from(parent_of(block.number)).ok();
            let rows = parent.and_then(|parent| parents.get(parent)).map_or(all, |p| p.rows);
            block.rows * block.rows / rows
        };
        let length = (all - self.blocks.iter().map(of_parent).sum::<f64>()) / freedom;
        let component = |sum: usize| {
            let blocks = Block::between(&self.blocks, sum);
            let within = (self.squares[sum] - blocks) / (all - self.blocks.len() as f64);
            let between = (blocks - Block::between(parents, sum)) / freedom;
            let ratio = between / within;
            if within <= 0.0 || !ratio.is_finite() {
                return (0.0, 1.0);
            }
            let p_value = fisher(ratio / rows.short[sum], freedom, all - self.blocks.len() as f64);
            ((ratio - rows.short[sum]).max(0.0) / length, p_value)
        };
        let found: Vec<(f64, f64)> = (0..self.squares.len()).map(component).collect();
        let (variances, p_values) = found.into_iter().unzip();
        let most = if rows.days_differ { self.days_apart() } else { f64::INFINITY };
        Components { freedom: freedom.min(most), variances, p_values }
    }
}

/// How blocks of time vary, by sum.
pub(super) struct Components {
    /// Blocks less what they vary around.
    pub(super) freedom: f64,
    /// Of blocks' means, over the variance of a row.
    pub(super) variances: Vec<f64>,
    /// That blocks do not vary but by their rows.
    pub(super) p_values: Vec<f64>,
}

impl Components {
    /// Whether blocks differ, or lean to.
    pub(super) fn differ(&self) -> bool {
        [LOCATION, SCALE].iter().any(|sum| self.p_values[*sum] < LEANING)
    }
}

impl Block {
    fn sum_of<'a>(blocks: impl IntoIterator<Item = &'a Self>, number: i64) -> Self {
        let empty = Self { number, rows: 0.0, sums: Box::default() };
        blocks.into_iter().fold(empty, |mut all, block| {
            if all.sums.is_empty() {
                all.sums = vec![0.0; block.sums.len()].into();
            }
            all.rows += block.rows;
            all.sums.iter_mut().zip(&block.sums).for_each(|(sum, part)| *sum += part);
            all
        })
    }

    /// Σ (sum² / rows): what is between blocks, before the mean of all is taken off.
    fn between<'a>(blocks: impl IntoIterator<Item = &'a Self>, sum: usize) -> f64 {
        let filled = blocks.into_iter().filter(|block| block.rows > 0.0);
        filled.map(|block| block.sums[sum] * block.sums[sum] / block.rows).sum()
    }
}

/// The chance of a ratio of variances as large.
fn fisher(ratio: f64, between: f64, within: f64) -> f64 {
    match FisherSnedecor::new(between, within) {
        Ok(distribution) if ratio > 0.0 && ratio.is_finite() => distribution.sf(ratio),
        _ => 1.0,
    }
}
