//! A cell as the few numbers whose variation between blocks is learnt.
//!
//! Numbers: the middle rank of their bin in the reference (where they lie) and its square (how far out).
//! Levels: two fixed projections, each level a constant in (-1, 1), so that the mean of their design
//! effects is near the mean over all levels. Both: whether the cell is missing, whether it is of another
//! type, and which reported bin it falls in.

use crate::decode::{Cell, Column};
use crate::drift::baseline::Content;
use crate::sketch::Levels;

/// Of one feature, from its reference.
#[derive(Debug, Clone)]
pub(in crate::drift) struct Scores {
    /// By stored bin: location and scale. Empty for levels, whose projections need no table.
    by_bin: Vec<[f64; 2]>,
    /// By stored bin: the reported one.
    group_of: Vec<usize>,
    /// Reported bins or levels, `other` among them and nulls not.
    pub(super) groups: usize,
    /// Stored bins or levels, `other` among the latter.
    pub(super) cells: usize,
}

/// One cell. What is missing or of another type has neutral scores and no bin.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::drift) struct Scored {
    pub(super) scores: [f64; 2],
    pub(super) missing: bool,
    pub(super) odd: bool,
    pub(super) group: Option<usize>,
    pub(super) cell: Option<usize>,
}

impl Scored {
    const MISSING: Self =
        Self { scores: [0.0; 2], missing: true, odd: false, group: None, cell: None };
    const ODD: Self = Self { scores: [0.0; 2], missing: false, odd: true, group: None, cell: None };
}

impl Scores {
    pub(in crate::drift) fn of(content: &Content) -> Self {
        match content {
            Content::Numeric(numeric) => {
                let bins = numeric.counts.bins();
                let group = |bin| numeric.groups.partition_point(|start| *start <= bin) - 1;
                Self {
                    by_bin: ranks(bins),
                    group_of: (0..bins.len()).map(group).collect(),
                    groups: numeric.groups.len(),
                    cells: bins.len(),
                }
            }
            Content::Categorical(levels) => Self {
                by_bin: Vec::new(),
                group_of: Vec::new(),
                groups: levels.shown + 1,
                cells: levels.counts.levels().len() + 1,
            },
        }
    }

    /// Every cell of a column, in the order of its rows.
    pub(in crate::drift) fn each(
        &self,
        content: &Content,
        column: &Column,
        mut take: impl FnMut(Scored),
    ) {
        match (column.as_numbers(), content) {
            (Some(numbers), Content::Numeric(_)) => {
                for number in numbers {
                    take(self.score(content, Cell::Number(*number)));
                }
            }
            _ => column.cells().for_each(|cell| take(self.score(content, cell))),
        }
    }

    #[inline]
    fn score(&self, content: &Content, cell: Cell<'_>) -> Scored {
        match (content, cell) {
            (_, Cell::Null) => Scored::MISSING,
            (Content::Numeric(_), Cell::Number(number)) if number.is_nan() => Scored::MISSING,
            (Content::Numeric(numeric), Cell::Number(number)) if number.is_finite() => {
                let bin = numeric.counts.edges().bin(number);
                let scored =
                    Scored { scores: self.by_bin[bin], cell: Some(bin), ..Scored::default() };
                Scored { group: Some(self.group_of[bin]), ..scored }
            }
            (Content::Categorical(_), Cell::Text(text)) => self.level(content, text),
            (Content::Categorical(_), Cell::Bool(true)) => self.level(content, "true"),
            (Content::Categorical(_), Cell::Bool(false)) => self.level(content, "false"),
            _ => Scored::ODD,
        }
    }

    fn level(&self, content: &Content, text: &str) -> Scored {
        let Content::Categorical(levels) = content else { return Scored::ODD };
        let known = levels.counts.levels();
        let index = known.index(text).or_else(|| known.index(&Levels::bounded(text)));
        let cell = index.unwrap_or(self.cells - 1);
        Scored {
            scores: [projection(cell, 0), projection(cell, 1)],
            cell: Some(cell),
            group: Some(cell.min(self.groups - 1)),
            ..Scored::default()
        }
    }
}

/// By bin, around 0: the middle rank less ½, and its square less the mean of squares.
fn ranks(bins: &[u64]) -> Vec<[f64; 2]> {
    let all = bins.iter().sum::<u64>().max(1) as f64;
    let mut below = 0.0;
    let middle = |rows: &u64| {
        let rank = (below + *rows as f64 / 2.0) / all - 0.5;
        below += *rows as f64;
        rank
    };
    let ranks: Vec<f64> = bins.iter().map(middle).collect();
    let squares = bins.iter().zip(&ranks).map(|(rows, rank)| *rows as f64 * rank * rank);
    let mean = squares.sum::<f64>() / all;
    ranks.into_iter().map(|rank| [rank, rank * rank - mean]).collect()
}

/// A constant of the level in (-1, 1): its bits mixed (Steele, Lea and Flood 2014).
fn projection(level: usize, which: u64) -> f64 {
    let mut bits = (level as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(which << 32);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}
