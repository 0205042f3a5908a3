//! How often rows of a score turn out to be of a class, and how well that is known.
//!
//! In: the counts of a reference whose labels are known. Out: a probability for every cell. Calibrated by
//! isotonic regression, one class against the rest, as Białek et al. 2024 (*Estimating Model Performance
//! Under Covariate Shift Without Labels*) and NannyML do; between cells that the reference has, on the
//! straight line; beyond them, as at the last one.

use super::cells::{CELLS, middle};
use super::counts::{Cells, Labelled, LabelledCounts};
use super::isotonic::{self, Block};

/// How much more a block's probability varies than a share of as many rows, since blocks are chosen by the
/// labels they hold and hide what ascends within them. From simulations, of which this module's tests
/// hold some.
const POOLED: f64 = 1.6;

/// Scores with fewer rows of the reference beyond them are thought to be hardly known.
const TAIL_ROWS: f64 = 20.0;

/// Of every class that is kept.
#[derive(Debug, Clone)]
pub(super) struct Calibration {
    pub(super) classes: Vec<Curve>,
}

/// One class.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) probability: Box<[f64; CELLS]>,
    /// Which blocks a cell's probability is made of, and in what parts.
    pub(super) parts: Vec<[(usize, f64); 2]>,
    /// Variance of each block's probability.
    pub(super) variances: Vec<f64>,
    /// By how much a cell's probability may be wrong for want of rows like it.
    pub(super) unknown: Box<[f64; CELLS]>,
    /// Whether the reference had a row of the class.
    pub(super) occurs: bool,
}

impl Calibration {
    /// `None` without rows, and for a model that only ever said 0 or 1: that is no score.
    pub(super) fn fit(counts: &LabelledCounts) -> Option<Self> {
        let between =
            |cells: &Cells<u64>| cells.0[1..CELLS - 1].as_flattened().iter().any(|rows| *rows > 0);
        if !counts.classes.iter().any(|class| between(&class.all)) {
            return None;
        }
        let classes = counts.classes.iter().map(Curve::fit).collect::<Option<_>>()?;
        Some(Self { classes })
    }
}

impl Curve {
    fn fit(counts: &Labelled) -> Option<Self> {
        let point = |cell: usize| {
            let [all, positive] = [&counts.all, &counts.positive]
                .map(|cells| cells.0[cell].iter().sum::<u64>() as f64);
            (cell, all, positive / all)
        };
        let blocks = isotonic::fit((0..CELLS).map(point));
        blocks.first()?;
        let rows: f64 = blocks.iter().map(|block| block.weight).sum();
        let mut below = 0.0;
        let mut probability = Box::new([0.0; CELLS]);
        let mut unknown = Box::new([0.0; CELLS]);
        let mut parts = Vec::with_capacity(CELLS);
        for cell in 0..CELLS {
            let found = place(&blocks, cell);
            let value = |(block, part): (usize, f64)| blocks[block].value * part;
            probability[cell] = found.map(value).iter().sum();
            let here = counts.all.0[cell].iter().sum::<u64>() as f64;
            let value = probability[cell];
            unknown[cell] = thin(below + here, value).max(thin(rows - below, 1.0 - value));
            below += here;
            parts.push(found);
        }
        let variances = blocks.iter().map(variance).collect();
        let occurs = blocks.iter().any(|block| block.value > 0.0);
        Some(Self { probability, parts, variances, unknown, occurs })
    }
}

/// The block of a cell, or the two that it lies between.
fn place(blocks: &[Block], cell: usize) -> [(usize, f64); 2] {
    let next = blocks.partition_point(|block| block.last < cell);
    let within = |block: usize| [(block, 1.0), (block, 0.0)];
    match next.checked_sub(1) {
        None => within(0),
        Some(last) if next == blocks.len() => within(last),
        _ if blocks[next].first <= cell => within(next),
        Some(before) => {
            let (low, high) = (middle(blocks[before].last), middle(blocks[next].first));
            let part = (middle(cell) - low) / (high - low);
            [(before, 1.0 - part), (next, part)]
        }
    }
}

/// How wrong a probability may be that many rows are like or beyond, all on one side: up to `room`, and where
/// those few were all of one kind, as much as one more might have said.
fn thin(rows: f64, room: f64) -> f64 {
    (1.0 - rows / TAIL_ROWS).max(0.0) * room.max(1.0 / (rows + 2.0))
}

/// Of a share of so many rows, after Laplace: one that was never or always seen is not known for certain.
fn variance(block: &Block) -> f64 {
    let share = (block.value * block.weight + 1.0) / (block.weight + 2.0);
    POOLED * share * (1.0 - share) / (block.weight + 3.0)
}
