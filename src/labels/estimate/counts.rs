//! Rows by score: of a window, and of a reference whose labels are known. Both add up exactly.

use super::super::value::Value;
use super::cells::CELLS;
use super::scores::RowScores;
use crate::decode::Cell;
use crate::labels::Scores;

/// Classes that are told apart, at most; models of more are not estimated.
pub const MAX_CLASSES: usize = 32;

/// Rows of a window by score, for each class whether it was predicted or not.
///
/// A model of two classes is kept as its class 1 alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Histogram {
    pub(super) rows: u64,
    pub(super) classes: Vec<Cells<u32>>,
}

/// Rows of a reference by score and by label.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelledCounts {
    pub(super) rows: u64,
    pub(super) classes: Vec<Labelled>,
}

/// One class: all rows, and those whose label it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Labelled {
    pub(super) all: Cells<u64>,
    pub(super) positive: Cells<u64>,
}

/// By cell of the class's score: rows for which another class was predicted, and for which it was.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cells<T>(pub(super) Box<[[T; 2]; CELLS]>);

impl<T: Copy + Default> Default for Cells<T> {
    fn default() -> Self {
        Self(Box::new([[T::default(); 2]; CELLS]))
    }
}

/// Which of a model's scores are kept: all, but of two classes only the second.
fn kept(classes: usize) -> std::ops::Range<usize> {
    if classes == 2 { 1..2 } else { 0..classes }
}

impl Histogram {
    /// False if the row is of a model with another number of classes.
    pub(super) fn add(&mut self, row: &RowScores) -> bool {
        let classes = kept(row.classes());
        if self.classes.is_empty() {
            self.classes.resize_with(classes.len(), Cells::default);
        }
        if self.classes.len() != classes.len() {
            return false;
        }
        self.rows += 1;
        for (cells, class) in self.classes.iter_mut().zip(classes) {
            let count =
                &mut cells.0[usize::from(row.cell(class))][usize::from(row.predicts(class))];
            *count = count.saturating_add(1);
        }
        true
    }

    /// Undoes [`Self::add`].
    pub(super) fn remove(&mut self, row: &RowScores) -> bool {
        let classes = kept(row.classes());
        if self.classes.len() != classes.len() || self.rows == 0 {
            return false;
        }
        self.rows -= 1;
        for (cells, class) in self.classes.iter_mut().zip(classes) {
            let count =
                &mut cells.0[usize::from(row.cell(class))][usize::from(row.predicts(class))];
            *count = count.saturating_sub(1);
        }
        true
    }
}

impl LabelledCounts {
    /// Rows below which nothing is learnt of what scores mean, and rows that two classes must have.
    pub const MIN_ROWS: u64 = 200;
    pub const MIN_OF_CLASS: u64 = 10;

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Classes that the model tells apart.
    pub fn classes(&self) -> usize {
        if self.classes.len() == 1 { 2 } else { self.classes.len() }
    }

    /// Whether there is enough to learn from what scores mean.
    pub fn is_enough(&self) -> bool {
        self.suffices(Self::MIN_ROWS, Self::MIN_OF_CLASS)
    }

    /// Whether there are so many rows, and so many of two classes at least.
    fn suffices(&self, rows: u64, of_class: u64) -> bool {
        let positives = |class: &Labelled| class.positive.0.as_flattened().iter().sum::<u64>();
        let counts = self.classes.iter().map(positives);
        let other = (self.classes.len() == 1).then(|| self.rows - positives(&self.classes[0]));
        let of_two = counts.chain(other).filter(|count| *count >= of_class).count() >= 2;
        self.rows >= rows && of_two
    }

    /// Takes a row whose label is the class of that number, or none of the model's. False if it was
    /// not counted: a label of two classes must be one of them, and a model has as many scores in
    /// every row.
    pub fn add(&mut self, row: &RowScores, label: Option<usize>) -> bool {
        self.change(row, label, |count| *count += 1)
    }

    /// The same of cells: what was predicted, its probabilities, and the label. False if they are none.
    pub fn add_said(&mut self, prediction: Cell<'_>, scores: &Scores, label: Cell<'_>) -> bool {
        let (Some(said), Some(truth)) = (Value::of(prediction), Value::of(label)) else {
            return false;
        };
        let row = RowScores::of(scores, said.class_number(), said.number());
        row.is_some_and(|row| self.add(&row, truth.class_number()))
    }

    /// Undoes [`Self::add`]. False, and nothing taken out, if there is no such row.
    pub fn remove(&mut self, row: &RowScores, label: Option<usize>) -> bool {
        self.has(row, label) && self.change(row, label, |count| *count = count.saturating_sub(1))
    }

    fn has(&self, row: &RowScores, label: Option<usize>) -> bool {
        let mut classes = self.classes.iter().zip(kept(row.classes()));
        self.rows > 0
            && classes.all(|(counts, class)| {
                let (cell, own) = (usize::from(row.cell(class)), usize::from(row.predicts(class)));
                let is_labelled = label != Some(class) || counts.positive.0[cell][own] > 0;
                counts.all.0[cell][own] > 0 && is_labelled
            })
    }

    fn change(&mut self, row: &RowScores, label: Option<usize>, change: impl Fn(&mut u64)) -> bool {
        let classes = kept(row.classes());
        if self.classes.is_empty() {
            self.classes.resize_with(classes.len(), Labelled::default);
        }
        let known = label.is_some_and(|label| label < row.classes());
        if self.classes.len() != classes.len() || (row.classes() == 2 && !known) {
            return false;
        }
        change(&mut self.rows);
        for (counts, class) in self.classes.iter_mut().zip(classes) {
            let (cell, own) = (usize::from(row.cell(class)), usize::from(row.predicts(class)));
            change(&mut counts.all.0[cell][own]);
            if label == Some(class) {
                change(&mut counts.positive.0[cell][own]);
            }
        }
        true
    }

    /// Adds what another part of the reference counted; false, and nothing, if its model has other
    /// classes.
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.classes.is_empty() {
            self.clone_from(other);
            return true;
        }
        if self.classes.len() != other.classes.len() {
            return other.classes.is_empty();
        }
        self.rows += other.rows;
        for (counts, other) in self.classes.iter_mut().zip(&other.classes) {
            counts.all.merge(&other.all);
            counts.positive.merge(&other.positive);
        }
        true
    }
}

impl Cells<u64> {
    fn merge(&mut self, other: &Self) {
        let counts = self.0.as_flattened_mut().iter_mut().zip(other.0.as_flattened());
        counts.for_each(|(count, other)| *count = count.saturating_add(*other));
    }
}
