//! Figures of a confusion matrix whose counts need not be whole, and how each changes with a row.

use super::cells::CELLS;
use super::counts::{Labelled, LabelledCounts};

/// One class against the rest: its figures, and by how much each grows with a row more of its label,
/// where another class was predicted and where it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassFigures {
    /// Rows of its label, where it was predicted and where not.
    pub(super) own: f64,
    pub(super) rest: f64,
    /// Rows for which it was predicted, and for which another was.
    pub(super) predicted: f64,
    pub(super) others: f64,
    pub(super) precision: Sloped,
    pub(super) recall: Sloped,
    pub(super) f1: Sloped,
}

/// A value and its slopes.
pub(super) type Sloped = (f64, [f64; 2]);

impl ClassFigures {
    pub(super) fn new(own: f64, rest: f64, predicted: f64, others: f64) -> Self {
        // A ratio over nothing counts as 0, as it does for labelled rows.
        let inverse = |value: f64| if value > 0.0 { 1.0 / value } else { 0.0 };
        let (by_predicted, by_labelled) = (inverse(predicted), inverse(own + rest));
        let by_both = inverse(predicted + own + rest);
        let squared = by_labelled * by_labelled;
        let f1 = 2.0 * own * by_both;
        Self {
            own,
            rest,
            predicted,
            others,
            precision: (own * by_predicted, [0.0, by_predicted]),
            recall: (own * by_labelled, [-own * squared, rest * squared]),
            f1: (f1, [-f1 * by_both, (2.0 - f1) * by_both]),
        }
    }

    /// The other one of two classes, by rows of this one.
    pub(super) fn complement(&self) -> Self {
        let (own, rest) = (self.others - self.rest, self.predicted - self.own);
        let mut other = Self::new(own, rest, self.others, self.predicted);
        // A row more of this class where it was not predicted is one less of the other where that was.
        for (_, slopes) in [&mut other.precision, &mut other.recall, &mut other.f1] {
            *slopes = [-slopes[1], -slopes[0]];
        }
        other
    }

    pub(super) fn labelled(&self) -> f64 {
        self.own + self.rest
    }

    /// Whether it would be among the classes of labelled rows.
    pub(super) fn occurs(&self) -> bool {
        self.predicted > 0.0 || self.labelled() >= 0.5
    }
}

/// Every class there is: of two classes one is kept.
pub(super) fn all(kept: &[ClassFigures]) -> Vec<ClassFigures> {
    match kept {
        [one] => vec![one.complement(), *one],
        kept => kept.to_vec(),
    }
}

/// The mean over the classes that occur, and its slopes for each class that is kept: of two, one.
pub(super) fn mean(
    all: &[ClassFigures],
    kept: usize,
    pick: fn(&ClassFigures) -> Sloped,
) -> (f64, Vec<[f64; 2]>) {
    let share = 1.0 / all.iter().filter(|class| class.occurs()).count().max(1) as f64;
    let (mut value, mut slopes) = (0.0, vec![[0.0; 2]; kept]);
    for (place, class) in all.iter().enumerate().filter(|(_, class)| class.occurs()) {
        let (figure, of_class) = pick(class);
        value += share * figure;
        let slopes = &mut slopes[place.min(kept - 1)];
        *slopes = [slopes[0] + share * of_class[0], slopes[1] + share * of_class[1]];
    }
    (value, slopes)
}

/// The share of rows that are right, with its slopes.
pub(super) fn accuracy(kept: &[ClassFigures], rows: f64) -> (f64, Vec<[f64; 2]>) {
    if let [class] = kept {
        // A row of class 1 is right where that was predicted, and wrong where it was not.
        let right = class.own + class.others - class.rest;
        return (right / rows, vec![[-1.0 / rows, 1.0 / rows]]);
    }
    let right: f64 = kept.iter().map(|class| class.own).sum();
    (right / rows, vec![[0.0, 1.0 / rows]; kept.len()])
}

/// The chance that a row of a class scores higher than another row, ties counting half; and its slope in
/// each cell. In: rows of the class and others, by ascending cell. `None` below `min` rows of either.
pub(super) fn auroc(cells: &[(f64, f64)], min: f64) -> Option<(f64, Vec<f64>)> {
    let sum = cells.iter().fold((0.0, 0.0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
    let (positives, negatives) = sum;
    if positives < min || negatives < min {
        return None;
    }
    let (mut above, mut below, mut won) = (positives, 0.0, 0.0);
    let mut ranks = Vec::with_capacity(cells.len());
    for (positive, negative) in cells {
        above -= positive;
        won += positive * (below + negative / 2.0);
        ranks.push(below + negative / 2.0 - above - positive / 2.0);
        below += negative;
    }
    let pairs = positives * negatives;
    let value = won / pairs;
    // A row more of the class is one less of the rest.
    let change = value * (1.0 / positives - 1.0 / negatives);
    ranks.iter_mut().for_each(|rank| *rank = *rank / pairs - change);
    Some((value, ranks))
}

/// The figures that a reference had, its labels being known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Had {
    pub(super) accuracy: f64,
    pub(super) precision: f64,
    pub(super) recall: f64,
    pub(super) f1: f64,
    pub(super) auroc: Option<f64>,
}

/// `None` without rows.
pub(super) fn had(counts: &LabelledCounts) -> Option<Had> {
    if counts.rows == 0 {
        return None;
    }
    let kept: Vec<_> = counts.classes.iter().map(of_labelled).collect();
    let all = all(&kept);
    let mean = |pick: fn(&ClassFigures) -> Sloped| mean(&all, kept.len(), pick).0;
    let auroc = counts.classes.iter().map(|class| Some(auroc(&by_cell(class), 1.0)?.0));
    let auroc: Option<Vec<f64>> = auroc.collect();
    Some(Had {
        accuracy: accuracy(&kept, counts.rows as f64).0,
        precision: mean(|class| class.precision),
        recall: mean(|class| class.recall),
        f1: mean(|class| class.f1),
        auroc: auroc.map(|each| each.iter().sum::<f64>() / each.len() as f64),
    })
}

fn of_labelled(class: &Labelled) -> ClassFigures {
    let sum = |cells: &[[u64; 2]; CELLS], side: usize| {
        cells.iter().map(|cell| cell[side]).sum::<u64>() as f64
    };
    let (all, positive) = (&class.all.0, &class.positive.0);
    ClassFigures::new(sum(positive, 1), sum(positive, 0), sum(all, 1), sum(all, 0))
}

fn by_cell(class: &Labelled) -> Vec<(f64, f64)> {
    let cells = class.all.0.iter().zip(class.positive.0.iter());
    let count = |(all, positive): (&[u64; 2], &[u64; 2])| {
        let (all, positive) = (all[0] + all[1], positive[0] + positive[1]);
        (positive as f64, all.saturating_sub(positive) as f64)
    };
    cells.map(count).collect()
}
