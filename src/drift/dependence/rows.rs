//! How much rows that follow each other are alike: sums over blocks of 4, 16 … 4,096 rows.
//!
//! Were rows independent, a block's sum would vary as its length. The ratio of the two is the design
//! effect at that length (Kish, *Survey Sampling*, 1965): n rows tell as much as n / effect independent
//! ones. Blocks are compared with the block that follows and not with the mean of all (Allan 1966), so
//! that a level that changes once, or slowly, is not taken for dependence.

use super::scores::Scored;
use crate::sketch::{FrameError, Packer, Unpacker};

/// Rows in a block, by scale.
pub(super) const LENGTHS: [u64; 6] = [4, 16, 64, 256, 1024, 4096];
const FANOUT: usize = 4;
/// Which sum a score goes into; reported bins follow.
pub(super) const LOCATION: usize = 0;
pub(super) const SCALE: usize = 1;
pub(super) const MISSING: usize = 2;
pub(super) const ODD: usize = 3;
pub(super) const SHARES: usize = 4;
/// What a window still counts of the one before it: dependence is a trait of the traffic, but not for
/// ever.
const MEMORY: f64 = 0.98;
/// After so many pairs a square counts as this many times the mean at most: a step between the blocks of
/// one pair, as where drift begins, is no dependence.
const FEW_PAIRS: f64 = 4.0;
const MOST_OF_USUAL: f64 = 16.0;

#[derive(Debug, Clone)]
pub(in crate::drift) struct RowBlocks {
    /// Of the rows since the last [`Self::settle`].
    rows: f64,
    sums: Box<[f64]>,
    squares: Box<[f64]>,
    /// Squares around the mean of their window, of all windows settled.
    settled: Box<[f64]>,
    settled_rows: f64,
    scales: Vec<Scale>,
}

#[derive(Debug, Clone)]
struct Scale {
    /// Parts in the open pair of blocks: rows at the first scale, else blocks of the scale below.
    filled: usize,
    pair: [Box<[f64]>; 2],
    /// Pairs that are full.
    pairs: f64,
    /// Squared, summed over pairs.
    differences: Box<[f64]>,
    /// Of the scores and of what is missing, to the fourth power.
    fourths: [f64; ODD],
}

fn take((sum, part): (&mut f64, &mut f64)) {
    *sum += std::mem::take(part);
}

impl RowBlocks {
    /// With the sums of every reported bin, for a reference.
    pub(super) fn with_shares(groups: usize) -> Self {
        Self::new(SHARES + groups)
    }

    /// Without, for live rows: some 1,100 bytes.
    pub(in crate::drift) fn without_shares() -> Self {
        Self::new(ODD)
    }

    fn new(sums: usize) -> Self {
        let zeros = || vec![0.0; sums].into_boxed_slice();
        let scale = Scale {
            filled: 0,
            pair: [zeros(), zeros()],
            pairs: 0.0,
            differences: zeros(),
            fourths: [0.0; ODD],
        };
        Self {
            rows: 0.0,
            sums: zeros(),
            squares: zeros(),
            settled: zeros(),
            settled_rows: 0.0,
            scales: vec![scale; LENGTHS.len()],
        }
    }

    #[inline]
    pub(in crate::drift) fn observe(&mut self, scored: &Scored) {
        self.rows += 1.0;
        let rows = &mut self.scales[0];
        let open = &mut rows.pair[rows.filled / FANOUT];
        let mut add = |sum: usize, score: f64| {
            if sum < self.sums.len() {
                self.sums[sum] += score;
                self.squares[sum] += score * score;
                open[sum] += score;
            }
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
        rows.filled += 1;
        if rows.filled.is_multiple_of(FANOUT) {
            self.complete(0);
        }
    }

    /// A block of a scale is full: it goes into the next scale, and may be the second of a pair.
    fn complete(&mut self, scale: usize) {
        let (below, above) = self.scales.split_at_mut(scale + 1);
        let full = &mut below[scale];
        let block = full.filled / FANOUT - 1;
        if let Some(next) = above.first_mut() {
            let open = &mut next.pair[next.filled / FANOUT];
            open.iter_mut().zip(&full.pair[block]).for_each(|(sum, part)| *sum += part);
            next.filled += 1;
        }
        if block == 1 {
            full.count_pair();
        }
        if above.first().is_some_and(|next| next.filled > 0 && next.filled.is_multiple_of(FANOUT)) {
            self.complete(scale + 1);
        }
    }

    /// A window ends: what varies within windows is kept apart from how they differ.
    pub(in crate::drift) fn settle(&mut self) {
        if self.rows < 2.0 {
            return;
        }
        for ((settled, sum), squares) in
            self.settled.iter_mut().zip(&mut self.sums).zip(&mut self.squares)
        {
            *settled = *settled * MEMORY + around_mean(*squares, *sum, self.rows);
            (*sum, *squares) = (0.0, 0.0);
        }
        self.settled_rows = self.settled_rows * MEMORY + self.rows - 1.0;
        self.rows = 0.0;
        for scale in &mut self.scales {
            scale.pairs *= MEMORY;
            let sums = scale.differences.iter_mut().chain(&mut scale.fourths);
            sums.for_each(|sum| *sum *= MEMORY);
        }
    }

    pub(in crate::drift) fn save(&self, packer: &mut Packer) {
        let Self { rows, sums, squares, settled, settled_rows, scales } = self;
        let floats = [rows, settled_rows].into_iter().chain(sums).chain(squares).chain(settled);
        floats.for_each(|float| packer.float(*float));
        for Scale { filled, pair: [first, second], pairs, differences, fourths } in scales {
            packer.size(*filled);
            packer.float(*pairs);
            let floats = first.iter().chain(second).chain(differences).chain(fourths);
            floats.for_each(|sum| packer.float(*sum));
        }
    }

    /// Of as many sums; where it fails, `self` is not to be used.
    pub(in crate::drift) fn restore(&mut self, saved: &mut Unpacker<'_>) -> Result<(), FrameError> {
        let mut next = || match saved.float()? {
            float if float.is_finite() => Ok(float),
            _ => Err(FrameError::Content),
        };
        (self.rows, self.settled_rows) = (next()?, next()?);
        for sums in [&mut self.sums, &mut self.squares, &mut self.settled] {
            for sum in sums {
                *sum = next()?;
            }
        }
        for scale in &mut self.scales {
            scale.restore(saved)?;
        }
        Ok(())
    }

    /// Takes over what another has learnt, which then knows nothing.
    pub(in crate::drift) fn follow(&mut self, before: &mut Self) {
        self.settled.iter_mut().zip(&mut before.settled).for_each(take);
        take((&mut self.settled_rows, &mut before.settled_rows));
        for (scale, before) in self.scales.iter_mut().zip(&mut before.scales) {
            take((&mut scale.pairs, &mut before.pairs));
            scale.differences.iter_mut().zip(&mut before.differences).for_each(take);
            scale.fourths.iter_mut().zip(&mut before.fourths).for_each(take);
        }
    }

    pub(super) fn has_shares(&self) -> bool {
        self.sums.len() > ODD
    }

    pub(super) fn sums(&self) -> usize {
        self.sums.len()
    }

    pub(super) fn pairs(&self, scale: usize) -> f64 {
        self.scales[scale].pairs
    }

    /// For how many normal pairs the variance of blocks is as sure as it is here: fewer where sums are
    /// long-tailed, as those of rare events are.
    pub(super) fn freedom(&self, scale: usize, sum: usize) -> f64 {
        let Scale { pairs, differences, fourths, .. } = &self.scales[scale];
        let mean = differences[sum] / pairs;
        let spread = fourths[sum] / pairs - mean * mean;
        if spread > 0.0 { (2.0 * mean * mean / spread).min(1.0) * pairs } else { *pairs }
    }

    /// Of one row, around the mean of its window.
    pub(super) fn variance(&self, sum: usize) -> f64 {
        let open = around_mean(self.squares[sum], self.sums[sum], self.rows);
        let freedom = self.settled_rows + (self.rows - 1.0).max(0.0);
        if freedom < 1.0 { 0.0 } else { (self.settled[sum] + open) / freedom }
    }

    /// The design effect of blocks at a scale; `None` where nothing varies or no pair is there.
    pub(super) fn effect(&self, scale: usize, sum: usize) -> Option<f64> {
        let Scale { pairs, differences, .. } = &self.scales[scale];
        let independent = LENGTHS[scale] as f64 * self.variance(sum);
        (*pairs >= 1.0 && independent > 0.0).then(|| differences[sum] / (2.0 * pairs) / independent)
    }
}

/// What rounding leaves where all rows are equal is nothing.
fn around_mean(squares: f64, sum: f64, rows: f64) -> f64 {
    let around = if rows < 2.0 { 0.0 } else { squares - sum * sum / rows };
    if around > 1e-9 * squares { around } else { 0.0 }
}

impl Scale {
    fn restore(&mut self, saved: &mut Unpacker<'_>) -> Result<(), FrameError> {
        self.filled = saved.size(2 * FANOUT - 1)?;
        self.pairs = saved.float()?;
        let [first, second] = &mut self.pair;
        let floats = first.iter_mut().chain(second).chain(&mut self.differences);
        for float in floats.chain(&mut self.fourths) {
            *float = saved.float()?;
            if !float.is_finite() {
                return Err(FrameError::Content);
            }
        }
        if self.pairs >= 0.0 { Ok(()) } else { Err(FrameError::Content) }
    }

    fn count_pair(&mut self) {
        let [first, second] = &mut self.pair;
        let usual = (self.pairs >= FEW_PAIRS).then(|| MOST_OF_USUAL / self.pairs);
        for (sum, (a, b)) in first.iter_mut().zip(second).enumerate() {
            let square = (*a - *b) * (*a - *b);
            let square = match usual {
                Some(usual) if self.differences[sum] > 0.0 => {
                    square.min(usual * self.differences[sum])
                }
                _ => square,
            };
            self.differences[sum] += square;
            if let Some(fourth) = self.fourths.get_mut(sum) {
                *fourth += square * square;
            }
            (*a, *b) = (0.0, 0.0);
        }
        self.pairs += 1.0;
        self.filled = 0;
    }
}
