//! Verdicts over time, one cell a window. Height and mark tell them apart as well as colour.

use super::at;
use crate::drift::Verdict;
use maud::{Markup, html};

const CELL: f64 = 10.0;
const HEIGHT: f64 = 24.0;

pub(crate) struct Cell {
    /// `None`: the window knows nothing of this feature.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) tip: String,
}

/// Cells from the oldest to the newest, at the right end of `columns`.
pub(crate) fn strip(cells: &[Cell], columns: usize, summary: &str) -> Markup {
    let columns = columns.max(cells.len()).max(1);
    let first = columns - cells.len();
    html! {
        svg.strip viewBox={ "0 0 " (CELL * columns as f64) " " (HEIGHT) }
            preserveAspectRatio="none" role="img" aria-label=(summary)
        {
            @for (index, cell) in cells.iter().enumerate() {
                (drawn(cell, CELL * (first + index) as f64))
            }
        }
    }
}

fn drawn(cell: &Cell, x: f64) -> Markup {
    // Drifting fills the strip, stable half of it, too few rows a hairline.
    let (class, height) = match cell.verdict {
        Some(Verdict::Drifting) => ("drifting", HEIGHT),
        Some(Verdict::Stable) => ("stable", 10.0),
        Some(Verdict::InsufficientData) => ("insufficient", 3.0),
        None => ("absent", 0.0),
    };
    html! {
        rect class=(class) x=(at(x + 0.75)) y=(at((HEIGHT - height) / 2.0)) width=(CELL - 1.5)
            height=(at(height)) {}
        rect.target x=(at(x)) y="0" width=(CELL) height=(HEIGHT) { title { (cell.tip) } }
    }
}
