//! The cells that scores are counted in: the same for every model, so that any two counts add up.
//!
//! A cell is twelve steps of the [grid](crate::labels::grid) of scores: of equal width in log-odds, since
//! scores crowd at 0 and 1, and much of what matters happens there. 0.5 begins a cell: it is where a
//! probability becomes a prediction.

use crate::labels::grid;

const STEPS: i16 = 12;
/// Cells to either side of 0.5, besides the last one of each.
const HALF: i16 = 150;

/// At 0.5 a cell is 0.015 wide, at 0.01 and 0.99 it is 0.0006.
pub(super) const CELLS: usize = 2 * HALF as usize + 2;

/// The cell of a score in [0, 1].
#[expect(clippy::cast_sign_loss, reason = "the first cell is 0")]
pub(super) fn cell(score: f64) -> u16 {
    let cell = grid::step(score).div_euclid(STEPS).clamp(-HALF - 1, HALF);
    (cell + HALF + 1) as u16
}

/// The first of the grid's steps in a cell.
pub(super) fn first_step(cell: usize) -> i16 {
    i16::try_from(cell).map_or(i16::MAX, |cell| (cell - HALF - 1) * STEPS)
}

/// The cell that begins with a step; `None` if none does.
pub(super) fn at_step(step: i16) -> Option<usize> {
    let cell = usize::try_from(step / STEPS + HALF + 1).ok()?;
    (step % STEPS == 0 && cell < CELLS).then_some(cell)
}

/// A score in the middle of a cell.
pub(super) fn middle(cell: usize) -> f64 {
    let odds = (cell as f64 - f64::from(HALF) - 0.5) * f64::from(STEPS) * grid::WIDTH;
    1.0 / (1.0 + (-odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_has_a_cell_and_they_ascend() {
        let scores = [0.0, 1e-300, 1e-6, 0.01, 0.3, 0.499_999_999, 0.5, 0.51, 0.99, 1.0];
        let cells = scores.map(cell);
        assert!(cells.is_sorted());
        assert_eq!((cells[0], usize::from(cells[9])), (0, CELLS - 1));
        assert_eq!(cells[5] + 1, cells[6]);
    }

    #[test]
    fn a_middle_lies_in_its_cell() {
        for at in 0..CELLS {
            assert_eq!(usize::from(cell(middle(at))), at);
        }
    }
    #[test]
    fn a_cell_is_found_by_its_first_step() {
        assert!((0..CELLS).all(|cell| at_step(first_step(cell)) == Some(cell)));
        assert_eq!(
            (first_step(usize::from(cell(0.5))), at_step(13), at_step(-1900)),
            (0, None, None)
        );
    }
}
