//! Which of a model's outputs is the prediction of a row.

use crate::decode::{Cell, Column, Rows};

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
    let stem = stem(first.name());
    let dimensions = match stem {
        Some(stem) => columns.iter().take_while(|c| self::stem(c.name()) == Some(stem)).count(),
        None => 1,
    };
    if dimensions > 1
        && let Some(class) = likeliest(&columns[..dimensions], row)
    {
        return Some(Prediction::Likeliest(class));
    }
    match cell(first, row)? {
        Cell::Null => None,
        Cell::Number(number) if !number.is_finite() => None,
        cell => Some(Prediction::Given(cell)),
    }
}

fn likeliest(columns: &[Column], row: usize) -> Option<usize> {
    let mut sum = 0.0;
    let mut best = (0, f64::NEG_INFINITY);
    for (index, column) in columns.iter().enumerate() {
        let Cell::Number(share) = cell(column, row)? else { return None };
        if !(0.0..=1.0).contains(&share) {
            return None;
        }
        sum += share;
        if share > best.1 {
            best = (index, share);
        }
    }
    ((sum - 1.0).abs() <= SUM_TOLERANCE).then_some(best.0)
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
    }
}
