//! Which of a model's outputs is the prediction of a row.

use super::probabilities::{Scores, greatest};
use super::value::Value;
use crate::decode::{Cell, Column, Rows};
use smallvec::SmallVec;
use std::sync::Arc;

/// What the model said of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prediction<'a> {
    /// The cell of the first output.
    Given(Cell<'a>),
    /// The index of the greatest of the class probabilities in the first output.
    Likeliest(usize),
}

impl<'a> Prediction<'a> {
    pub fn as_cell(self) -> Cell<'a> {
        match self {
            Self::Given(cell) => cell,
            Self::Likeliest(class) => Cell::Number(class as f64),
        }
    }
}

/// How far from 1 the probabilities of a row may add up to: they may have been 16-bit floats.
const SUM_TOLERANCE: f64 = 0.01;

/// The prediction of row `row`, by these rules:
///
/// 1. The first output is the first column and those after it that are its further dimensions: the
///    same name but for a number at the end (`p_0`, `p_1`; `scores[0]`, `scores[1]`; `0`, `1`).
/// 2. If that is two columns or more, all of them numbers in [0, 1] in this row that add up to 1,
///    they are class probabilities, and the prediction is the index of the greatest (the first of
///    equals).
/// 3. Else the prediction is the cell of the first column.
///
/// `None` if that cell is null or not a finite number, and without outputs.
pub fn prediction(outputs: &Rows, row: usize) -> Option<Prediction<'_>> {
    let columns = outputs.columns();
    let first = columns.first()?;
    if let Some(shares) = shares(&columns[..dimensions(columns)], row) {
        return Some(Prediction::Likeliest(greatest(&shares)));
    }
    match cell(first, row)? {
        Cell::Null => None,
        Cell::Number(number) if !number.is_finite() => None,
        cell => Some(Prediction::Given(cell)),
    }
}

/// The class probabilities of row `row`: those of the first output that has any, whether it is the
/// prediction or stands beside it, as the probabilities beside the class that they speak for.
pub fn scores(outputs: &Rows, row: usize) -> Scores {
    let mut columns = outputs.columns();
    while !columns.is_empty() {
        let (output, others) = columns.split_at(dimensions(columns));
        if let Some(shares) = shares(output, row) {
            return Scores::of(&shares);
        }
        columns = others;
    }
    Scores::None
}

/// The class probabilities of row `row` in columns of these names: one of class 1, or one a class.
pub fn named_scores(outputs: &Rows, names: &[Arc<str>], row: usize) -> Scores {
    let share = |name: &Arc<str>| match cell(outputs.column(name)?, row)? {
        Cell::Number(share) if (0.0..=1.0).contains(&share) => Some(share),
        _ => None,
    };
    let shares: Option<SmallVec<[f64; 8]>> = names.iter().map(share).collect();
    match shares.as_deref() {
        Some([positive]) => Scores::Positive(*positive),
        Some(shares) => Scores::of(shares),
        None => Scores::None,
    }
}

/// The prediction of row `row` where outputs were named: the cell of the column `named`, or without one what
/// the named `scores` stand for: see [`Scores::likeliest`].
pub fn named_prediction<'a>(
    outputs: &'a Rows,
    named: Option<&str>,
    row: usize,
    scores: &Scores,
) -> Option<Cell<'a>> {
    match named {
        Some(name) => cell(outputs.column(name)?, row).filter(|cell| Value::of(*cell).is_some()),
        None => scores.likeliest(),
    }
}

/// How many columns the first output has.
fn dimensions(columns: &[Column]) -> usize {
    let Some(stem) = columns.first().and_then(|first| stem(first.name())) else { return 1 };
    columns.iter().take_while(|c| self::stem(c.name()) == Some(stem)).count()
}

/// A row of an output as class probabilities, if it is that.
fn shares(columns: &[Column], row: usize) -> Option<SmallVec<[f64; 8]>> {
    if columns.len() < 2 {
        return None;
    }
    let mut shares = SmallVec::new();
    let mut sum = 0.0;
    for column in columns {
        let Cell::Number(share) = cell(column, row)? else { return None };
        if !(0.0..=1.0).contains(&share) {
            return None;
        }
        sum += share;
        shares.push(share);
    }
    ((sum - 1.0).abs() <= SUM_TOLERANCE).then_some(shares)
}

/// Constant time for columns of numbers, which tensors are.
fn cell(column: &Column, row: usize) -> Option<Cell<'_>> {
    match column.as_numbers() {
        Some(numbers) => numbers.get(row).map(|number| Cell::Number(*number)),
        None => column.cells().nth(row),
    }
}

/// A name without the number at its end; `None` if there is no number.
fn stem(name: &str) -> Option<&str> {
    let name = name.strip_suffix([']', ')']).unwrap_or(name);
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem.len() < name.len()).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(columns: &[(&str, &[Cell<'_>])]) -> Rows {
        let mut rows = Rows::new();
        for (name, cells) in columns {
            let mut column = Column::new(*name);
            cells.iter().for_each(|cell| column.push(*cell));
            rows.push(column);
        }
        rows
    }

    #[test]
    fn the_first_output_is_the_prediction() {
        let rows = outputs(&[
            ("label", &[Cell::Text("cat"), Cell::Null]),
            ("score", &[Cell::Number(0.9), Cell::Number(0.1)]),
        ]);
        assert_eq!(prediction(&rows, 0), Some(Prediction::Given(Cell::Text("cat"))));
        assert_eq!(prediction(&rows, 1), None);
        assert_eq!(prediction(&rows, 2), None);
        assert_eq!(prediction(&Rows::new(), 0), None);
    }

    #[test]
    fn probabilities_name_their_greatest() {
        for names in [["p_0", "p_1", "p_2"], ["p[0]", "p[1]", "p[2]"], ["0", "1", "2"]] {
            let rows = outputs(&[
                (names[0], &[Cell::Number(0.2), Cell::Number(0.5)]),
                (names[1], &[Cell::Number(0.7), Cell::Number(0.5)]),
                (names[2], &[Cell::Number(0.1), Cell::Number(0.0)]),
            ]);
            assert_eq!(prediction(&rows, 0), Some(Prediction::Likeliest(1)));
            assert_eq!(prediction(&rows, 1), Some(Prediction::Likeliest(0)));
        }
    }

    #[test]
    fn several_numbers_that_are_no_probabilities_are_several_targets() {
        let rows = outputs(&[("y_0", &[Cell::Number(3.5)]), ("y_1", &[Cell::Number(0.5)])]);
        assert_eq!(prediction(&rows, 0), Some(Prediction::Given(Cell::Number(3.5))));
    }

    #[test]
    fn a_class_beside_its_own_score_is_no_distribution() {
        let rows = outputs(&[("class", &[Cell::Number(0.0)]), ("score", &[Cell::Number(1.0)])]);
        assert_eq!(prediction(&rows, 0), Some(Prediction::Given(Cell::Number(0.0))));
        assert_eq!(scores(&rows, 0), Scores::None);
    }

    #[test]
    fn probabilities_beside_a_class_are_its_scores() {
        let rows = outputs(&[
            ("label", &[Cell::Text("cat")]),
            ("probability[0]", &[Cell::Number(0.25)]),
            ("probability[1]", &[Cell::Number(0.75)]),
        ]);
        assert_eq!(prediction(&rows, 0), Some(Prediction::Given(Cell::Text("cat"))));
        assert_eq!(scores(&rows, 0), Scores::Positive(0.75));
        let rows = outputs(&[
            ("p_0", &[Cell::Number(0.25)]),
            ("p_1", &[Cell::Number(0.25)]),
            ("p_2", &[Cell::Number(0.5)]),
        ]);
        assert_eq!(prediction(&rows, 0), Some(Prediction::Likeliest(2)));
        assert_eq!(scores(&rows, 0), Scores::Classes([0.25, 0.25, 0.5].into()));
    }
}
