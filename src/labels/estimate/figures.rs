//! What a window's scores say of performance, through a calibration.
//!
//! Confidence-based performance estimation (Białek et al. 2024, *Estimating Model Performance Under
//! Covariate Shift Without Labels*): every row counts as its calibrated probability of each class, which
//! gives the expected confusion matrix, and each figure is computed of that. Figures are means over
//! classes, as those of labelled rows are.
//!
//! The interval is the one in which the realised figure should lie, 95 times of 100, if the concept stays:
//! the delta method on the share of each cell, for the chance of the window's own labels and for what
//! the reference leaves unknown. What no row of the reference was like is added whole.
//!
//! A model of more than two classes has its probabilities brought to add up to 1 over the window, not row
//! by row: counts of one class at a time do not know a row's other classes.

use super::super::interval::Z;
use super::calibration::{Calibration, Curve};
use super::cells::CELLS;
use super::counts::{Cells, Histogram};
use super::matrix::{self, ClassFigures, Sloped};

/// Rows of a class below which its own figure may be anything.
const MIN_SUPPORT: f64 = 5.0;

/// A figure and how far the realised one may lie from it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Estimated {
    pub(super) value: f64,
    /// Variance of the realised figure if calibration were perfect: of the window's own labels.
    pub(super) sampling: f64,
    /// Variance by the reference's rows being so many.
    pub(super) calibration: f64,
    /// Distance that is added for scores the reference does not have.
    pub(super) unknown: f64,
}

impl Estimated {
    /// Half the width of the interval for the figure realised on a `share` of the window's rows.
    pub(super) fn margin(&self, share: f64) -> f64 {
        let sampling = self.sampling / share.clamp(1e-9, 1.0);
        Z * (sampling + self.calibration).sqrt() + self.unknown
    }

    pub(super) fn interval(&self) -> (f64, f64) {
        let margin = self.margin(1.0);
        ((self.value - margin).max(0.0), (self.value + margin).min(1.0))
    }

    fn times(self, factor: f64) -> Self {
        Self { sampling: self.sampling * factor, calibration: self.calibration * factor, ..self }
    }

    /// Of a mean of which a share of the parts may be anything in [0, 1].
    fn or_any(self, share: f64) -> Self {
        Self { unknown: self.unknown + share, ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    pub(super) accuracy: Estimated,
    pub(super) precision: Estimated,
    pub(super) recall: Estimated,
    pub(super) f1: Estimated,
    /// `None` where hardly a row of a class is expected.
    pub(super) auroc: Option<Estimated>,
}

/// `None` if the window has no rows, or other classes than the calibration.
pub(super) fn figures(window: &Histogram, calibration: &Calibration) -> Option<Figures> {
    if window.rows == 0 || window.classes.len() != calibration.classes.len() {
        return None;
    }
    let classes = classes(window, calibration);
    let kept: Vec<_> = classes.iter().map(|class| class.figures).collect();
    let all = matrix::all(&kept);
    let mean = |pick: fn(&ClassFigures) -> Sloped| matrix::mean(&all, kept.len(), pick);
    let of = |(value, slopes): (f64, Vec<[f64; 2]>)| {
        let entangled = entanglement(&kept, &slopes);
        let each = classes.iter().zip(slopes);
        spread(value, each.map(|(class, slopes)| (class, move |_: usize| slopes))).times(entangled)
    };
    // Of two classes the reference has both, or there is nothing to be calibrated.
    let known = |place: &usize| classes.get(*place).is_none_or(|class| class.curve.occurs);
    let known: Vec<_> = (0..all.len()).filter(known).map(|place| all[place]).collect();
    let rare = |support: fn(&ClassFigures) -> f64| {
        let rare = known.iter().filter(|class| support(class) < MIN_SUPPORT);
        rare.count() as f64 / known.len().max(1) as f64
    };
    Some(Figures {
        accuracy: of(matrix::accuracy(&kept, window.rows as f64)),
        precision: of(mean(|class| class.precision)).or_any(rare(|class| class.predicted)),
        recall: of(mean(|class| class.recall)).or_any(rare(ClassFigures::labelled)),
        f1: of(mean(|class| class.f1)).or_any(rare(ClassFigures::labelled)),
        auroc: auroc(&classes),
    })
}

/// One class of the window: its rows, what their scores mean, and what is expected.
struct Class<'a> {
    cells: &'a Cells<u32>,
    curve: &'a Curve,
    scale: f64,
    figures: ClassFigures,
}

fn classes<'a>(window: &'a Histogram, calibration: &'a Calibration) -> Vec<Class<'a>> {
    let curves = calibration.classes.iter();
    let mut classes: Vec<_> =
        window.classes.iter().zip(curves).map(|(cells, curve)| Class::new(cells, curve)).collect();
    if classes.len() > 1 {
        let expected: f64 = classes.iter().map(|class| class.figures.labelled()).sum();
        let scale = window.rows as f64 / expected.max(f64::MIN_POSITIVE);
        for class in &mut classes {
            class.rescale(scale);
        }
    }
    classes
}

impl<'a> Class<'a> {
    fn new(cells: &'a Cells<u32>, curve: &'a Curve) -> Self {
        let (mut rows, mut expected) = ([0.0; 2], [0.0; 2]);
        for (counts, probability) in cells.0.iter().zip(curve.probability.iter()) {
            for side in 0..2 {
                rows[side] += f64::from(counts[side]);
                expected[side] += f64::from(counts[side]) * probability;
            }
        }
        let figures = ClassFigures::new(expected[1], expected[0], rows[1], rows[0]);
        Self { cells, curve, scale: 1.0, figures }
    }

    fn rescale(&mut self, scale: f64) {
        let ClassFigures { own, rest, predicted, others, .. } = self.figures;
        let (own, rest) = ((own * scale).min(predicted), (rest * scale).min(others));
        self.scale = scale;
        self.figures = ClassFigures::new(own, rest, predicted, others);
    }

    fn probability(&self, cell: usize) -> f64 {
        (self.curve.probability[cell] * self.scale).min(1.0)
    }

    /// Rows of the class and of others that are expected in a cell.
    fn expected(&self, cell: usize) -> (f64, f64) {
        let rows: f64 = self.cells.0[cell].iter().map(|rows| f64::from(*rows)).sum();
        let positive = rows * self.probability(cell);
        (positive, rows - positive)
    }
}

/// By how much the variance is more than that of classes that are independent, which they are not: a row
/// that is not of the class predicted is of another. Computed as if all rows of a predicted class were
/// alike, and the wrong ones were spread over the other classes as these have them.
fn entanglement(classes: &[ClassFigures], slopes: &[[f64; 2]]) -> f64 {
    if classes.len() < 2 {
        return 1.0;
    }
    let missed: f64 = classes.iter().map(|class| class.rest).sum();
    let alike = |part: f64, whole: f64| if whole > 0.0 { part - part * part / whole } else { 0.0 };
    let (mut alone, mut together) = (0.0, 0.0);
    for (place, (class, [if_missed, if_right])) in classes.iter().zip(slopes).enumerate() {
        alone += if_right * if_right * alike(class.own, class.predicted)
            + if_missed * if_missed * alike(class.rest, class.others);
        let wrong = class.predicted - class.own;
        let (mut mean, mut square) = (0.0, 0.0);
        for (at, (other, [if_missed, _])) in classes.iter().zip(slopes).enumerate() {
            if at != place {
                let part = wrong * other.rest / (missed - class.rest).max(f64::MIN_POSITIVE);
                let change = if_missed - if_right;
                mean += part * change;
                square += part * change * change;
            }
        }
        together += square - mean * mean / class.predicted.max(1.0);
    }
    if alone > 0.0 { (together / alone).max(1.0) } else { 1.0 }
}

/// The variances of a figure, of the slopes of each cell of each class, which are taken as independent.
fn spread<'a, 'b: 'a, F: Fn(usize) -> [f64; 2]>(
    value: f64,
    classes: impl Iterator<Item = (&'a Class<'b>, F)>,
) -> Estimated {
    let mut estimated = Estimated { value, ..Estimated::default() };
    for (class, slopes) in classes {
        let curve = class.curve;
        let mut blocks = vec![0.0; curve.variances.len()];
        for (cell, counts) in class.cells.0.iter().enumerate() {
            if *counts == [0, 0] {
                continue;
            }
            let slopes = slopes(cell);
            let probability = class.probability(cell);
            let mut weight = 0.0;
            for (slope, rows) in slopes.iter().zip(counts) {
                let rows = f64::from(*rows);
                estimated.sampling += slope * slope * rows * probability * (1.0 - probability);
                weight += slope * rows;
            }
            estimated.unknown += weight.abs() * curve.unknown[cell];
            for (block, part) in curve.parts[cell] {
                blocks[block] += weight * part;
            }
        }
        let by_block = blocks.iter().zip(&curve.variances);
        estimated.calibration += by_block.map(|(weight, var)| weight * weight * var).sum::<f64>();
    }
    estimated
}

/// The mean over classes.
fn auroc(classes: &[Class<'_>]) -> Option<Estimated> {
    let mut sum = Estimated::default();
    for class in classes {
        let one = auroc_of(class, classes.len() > 1)?;
        sum.value += one.value;
        sum.sampling += one.sampling;
        sum.calibration += one.calibration;
        sum.unknown += one.unknown;
    }
    let share = 1.0 / classes.len() as f64;
    let mean = Estimated { value: sum.value * share, unknown: sum.unknown * share, ..sum };
    Some(mean.times(share * share))
}

fn auroc_of(class: &Class<'_>, is_one_of_several: bool) -> Option<Estimated> {
    let expected: Vec<_> = (0..CELLS).map(|cell| class.expected(cell)).collect();
    let (value, slopes) = matrix::auroc(&expected, MIN_SUPPORT)?;
    let estimated = spread(value, std::iter::once((class, |cell: usize| [slopes[cell]; 2])));
    if !is_one_of_several || estimated.sampling <= 0.0 {
        return Some(estimated);
    }
    // At most the mean square, whatever a row's other classes are.
    let square: f64 =
        slopes.iter().zip(&expected).map(|(slope, rows)| slope * slope * rows.0).sum();
    Some(estimated.times(square / estimated.sampling))
}
