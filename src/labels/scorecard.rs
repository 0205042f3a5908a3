//! Labelled rows, one after the other, as a [`Summary`]: how the performance of a baseline is made.

use super::probabilities::Scores;
use super::summary::{Kind, Summary};
use super::tally::{Pair, Tally, Task};
use super::value::{Classes, Value};
use crate::decode::Cell;

/// ```
/// # use taffrail::{decode::Cell, labels::{Measure, Scorecard, Scores, Task}};
/// let mut card = Scorecard::new(Task::Auto);
/// card.add(Cell::Text("rain"), &Scores::None, Cell::Text("rain"));
/// card.add(Cell::Text("rain"), &Scores::None, Cell::Text("fog"));
/// let summary = card.summary().unwrap();
/// assert_eq!(summary.figure(Measure::Accuracy).unwrap().value, 0.5);
/// ```
#[derive(Debug, Default)]
pub struct Scorecard {
    task: Task,
    classes: Classes,
    tally: Tally,
}

impl Scorecard {
    pub fn new(task: Task) -> Self {
        Self { task, ..Self::default() }
    }

    /// False, and nothing counted, if either is null or not a finite number.
    pub fn add(&mut self, prediction: Cell<'_>, scores: &Scores, label: Cell<'_>) -> bool {
        let (Some(said), Some(truth)) = (Value::of(prediction), Value::of(label)) else {
            return false;
        };
        self.classes.learn(prediction);
        self.classes.learn(label);
        let pair = Pair { prediction: said, scores, label: truth };
        self.tally.add(pair, &mut self.classes);
        true
    }

    pub fn kind(&self) -> Kind {
        self.tally.kind(self.task)
    }

    /// `None` without rows.
    pub fn summary(&self) -> Option<Summary> {
        self.tally.summary(self.kind(), &self.classes)
    }
}
