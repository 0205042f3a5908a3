//! Counts and sums from which performance is computed, exact under taking rows back out.
//!
//! Measures are those of scikit-learn: macro averages over the classes that occur among labels or
//! predictions, with a ratio over nothing counted as 0 (`zero_division=0`).

use std::collections::BTreeMap;

use super::report::{Classification, Performance, Regression};
use super::value::{ClassId, Classes, Value};

/// How predictions are compared with labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// By what was joined so far, of the whole stream:
    ///
    /// 1. a text on either side: classification;
    /// 2. whole numbers below 1000 (or booleans) on both sides: classification;
    /// 3. labels all 0 or 1 and predictions all in [0, 1]: classification, a prediction of 0.5 or
    ///    more being a 1;
    /// 4. else regression.
    #[default]
    Auto,
    /// Rule 3 applies where it fits; else values are compared as they are.
    Classification,
    /// Rows without a number on both sides are left out.
    Regression,
}

/// A joined row: what was said, what was true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub(super) prediction: Value,
    pub(super) label: Value,
}

/// How a [`Task::Auto`] was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measured {
    Classes,
    /// Predictions are probabilities of class 1.
    Probabilities,
    Numbers,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    rows: u64,
    /// Rows with a text on either side.
    texts: u64,
    /// Rows with two numbers of which one is no class number.
    continuous: u64,
    /// Rows with a label of 0 or 1 and a prediction in [0, 1].
    probable: u64,
    equal: u64,
    classes: BTreeMap<ClassId, ClassCounts>,
    /// Of the `probable` rows: by label, by thresholded prediction.
    thresholded: [[u64; 2]; 2],
    moments: Moments,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ClassCounts {
    both: u64,
    predicted: u64,
    labelled: u64,
}

impl Tally {
    pub(super) fn add(&mut self, pair: Pair, classes: &mut Classes) {
        self.count(pair, classes, |count| *count += 1);
        self.moments.update(pair, 1.0);
    }

    /// Undoes [`Self::add`].
    pub(super) fn remove(&mut self, pair: Pair, classes: &mut Classes) {
        self.count(pair, classes, |count| *count -= 1);
        self.moments.update(pair, -1.0);
    }

    fn count(&mut self, pair: Pair, classes: &mut Classes, change: impl Fn(&mut u64)) {
        let Pair { prediction, label } = pair;
        change(&mut self.rows);
        match (prediction.number(), label.number()) {
            (Some(predicted), Some(actual)) => {
                if !(prediction.is_class_number() && label.is_class_number()) {
                    change(&mut self.continuous);
                }
                if let Some(label) = zero_or_one(actual)
                    && (0.0..=1.0).contains(&predicted)
                {
                    change(&mut self.probable);
                    change(&mut self.thresholded[label][usize::from(predicted >= 0.5)]);
                }
            }
            _ => change(&mut self.texts),
        }
        let (predicted, labelled) = (classes.number(prediction), classes.number(label));
        change(&mut self.classes.entry(predicted).or_default().predicted);
        change(&mut self.classes.entry(labelled).or_default().labelled);
        if prediction == label {
            change(&mut self.equal);
            change(&mut self.classes.entry(predicted).or_default().both);
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn measured(&self, task: Task) -> Measured {
        let probabilities = self.probable == self.rows && self.continuous > 0;
        match task {
            Task::Regression => Measured::Numbers,
            Task::Classification | Task::Auto if probabilities => Measured::Probabilities,
            Task::Auto if self.texts == 0 && self.continuous > 0 => Measured::Numbers,
            Task::Classification | Task::Auto => Measured::Classes,
        }
    }

    /// `None` without rows.
    pub(super) fn performance(&self, measured: Measured) -> Option<Performance> {
        if self.rows == 0 {
            return None;
        }
        match measured {
            Measured::Classes => {
                let counts = self.classes.values().copied();
                Some(Performance::Classification(classification(self.rows, self.equal, counts)))
            }
            Measured::Probabilities => Some(Performance::Classification(self.binary())),
            Measured::Numbers => self.moments.regression().map(Performance::Regression),
        }
    }

    fn binary(&self) -> Classification {
        let counts = self.thresholded;
        let class = |class: usize| ClassCounts {
            both: counts[class][class],
            predicted: counts[0][class] + counts[1][class],
            labelled: counts[class].iter().sum(),
        };
        let rows = counts.as_flattened().iter().sum();
        classification(rows, counts[0][0] + counts[1][1], [class(0), class(1)].into_iter())
    }
}

fn classification(
    rows: u64,
    equal: u64,
    counts: impl Iterator<Item = ClassCounts>,
) -> Classification {
    let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let mut classes = 0.0;
    let (mut precision, mut recall, mut f1) = (0.0, 0.0, 0.0);
    for class in counts.filter(|class| class.predicted + class.labelled > 0) {
        classes += 1.0;
        precision += ratio(class.both, class.predicted);
        recall += ratio(class.both, class.labelled);
        f1 += ratio(2 * class.both, class.predicted + class.labelled);
    }
    Classification {
        rows,
        accuracy: ratio(equal, rows),
        precision: precision / classes,
        recall: recall / classes,
        f1: f1 / classes,
    }
}

#[expect(clippy::float_cmp, reason = "a label is 0 or 1 exactly, or it is something else")]
fn zero_or_one(label: f64) -> Option<usize> {
    [0.0, 1.0].iter().position(|class| label == *class)
}

/// Sums over the rows with two numbers.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    rows: f64,
    absolute_error: Sum,
    squared_error: Sum,
    /// Labels are summed from the first one on, as their squares would otherwise drown their spread.
    origin: Option<f64>,
    label: Sum,
    squared_label: Sum,
}

impl Moments {
    fn update(&mut self, pair: Pair, sign: f64) {
        let (Some(predicted), Some(actual)) = (pair.prediction.number(), pair.label.number())
        else {
            return;
        };
        let error = predicted - actual;
        let shifted = actual - *self.origin.get_or_insert(actual);
        self.rows += sign;
        self.absolute_error.add(sign * error.abs());
        self.squared_error.add(sign * error * error);
        self.label.add(sign * shifted);
        self.squared_label.add(sign * shifted * shifted);
    }

    fn regression(&self) -> Option<Regression> {
        if self.rows < 1.0 {
            return None;
        }
        let mse = (self.squared_error.value() / self.rows).max(0.0);
        let mean = self.label.value() / self.rows;
        let variance = self.squared_label.value() / self.rows - mean * mean;
        // Below the rounding of the two terms there is no spread to be explained.
        let spread = variance > 1e-12 * self.squared_label.value() / self.rows;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let rows = self.rows as u64;
        Some(Regression {
            rows,
            mae: (self.absolute_error.value() / self.rows).max(0.0),
            mse,
            rmse: mse.sqrt(),
            r2: spread.then(|| 1.0 - mse / variance),
        })
    }
}

/// A sum that keeps what rounding would lose (Neumaier 1974), so that the order of additions does not
/// show and a value that is taken out again leaves nothing behind.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    total: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let total = self.total + value;
        self.lost += if self.total.abs() >= value.abs() {
            (self.total - total) + value
        } else {
            (value - total) + self.total
        };
        self.total = total;
    }

    fn value(self) -> f64 {
        self.total + self.lost
    }
}
