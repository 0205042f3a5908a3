//! Aligned columns and small pictures for a terminal.

use super::style::{Colour, Palette};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows under heads; every column as wide as its widest cell.
pub(super) struct Grid {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<(Vec<String>, Option<Colour>)>,
}

impl Grid {
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push((cells, None));
    }

    pub(super) fn coloured_row(&mut self, cells: Vec<String>, colour: Colour) {
        self.rows.push((cells, Some(colour)));
    }

    pub(super) fn text(&self, palette: Palette) -> String {
        let width = |index: usize| {
            let cells = self.rows.iter().filter_map(|(cells, _)| cells.get(index));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(self.columns[index].0.len())
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded = cells.zip(&widths).zip(&self.columns).map(|((cell, width), column)| {
                match column.1 {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let head = line(&mut self.columns.iter().map(|(name, _)| *name));
        let mut lines = vec![palette.paint(Colour::Dim, head)];
        lines.extend(self.rows.iter().map(|(cells, colour)| {
            let line = line(&mut cells.iter().map(String::as_str));
            colour.map_or(line.clone(), |colour| palette.paint(colour, line))
        }));
        lines.join("\n")
    }
}

/// At most `width` characters: of a longer text the middle is left out, as names differ at their ends.
pub(super) fn elided(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let (head, tail) = (kept - kept / 2, kept / 2);
    let head: String = text.chars().take(head).collect();
    let tail: String = text.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A character a share, the largest the highest; of many bins only the first are drawn.
pub(super) fn sparkline(shares: &[f64]) -> String {
    const DRAWN: usize = 32;
    let largest = shares.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let spark = |share: &f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in [0, 7]")]
        let level = (share / largest * 7.0).round().clamp(0.0, 7.0) as usize;
        SPARKS[level]
    };
    let drawn: String = shares.iter().take(DRAWN).map(spark).collect();
    if shares.len() > DRAWN { format!("{drawn}…") } else { drawn }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(elided("temp_max", 8), "temp_max");
        assert_eq!(elided("address.city.name", 9), "addr…name");
        assert_eq!(elided("größer", 4), "gr…r");
    }
}
