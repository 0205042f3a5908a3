//! The parts of the rows for a terminal: a line a segment that drifts, over all windows.

use super::overview::{count, number};
use crate::cli::layout::{Align, Grid, elided};
use crate::cli::style::{Colour, Palette};
use crate::drift::{SegmentReport, Verdict, WindowReport};

const NAME_WIDTH: usize = 40;
const FEATURES_WIDTH: usize = 44;

/// One segment over all windows that had rows of it.
struct Line<'a> {
    /// Of the window that it was furthest in, or the last.
    shown: &'a SegmentReport,
    rows: u64,
    windows: usize,
    drifting: usize,
    unjudged: usize,
}

/// Empty without segments.
pub(super) fn text(windows: &[WindowReport], palette: Palette) -> String {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for report in windows.iter().flat_map(|window| &window.segments) {
        match lines.iter_mut().find(|line| line.shown.segment == report.segment) {
            Some(line) => line.add(report),
            None => lines.push(Line::new(report)),
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    lines.sort_by_key(|line| std::cmp::Reverse((line.drifting, line.rows)));
    let mut grid = Grid::new(&[
        ("segment", Align::Left),
        ("rows", Align::Right),
        ("compared with", Align::Left),
        ("verdict", Align::Left),
        ("furthest features", Align::Left),
    ]);
    for line in &lines {
        let cells = vec![
            elided(&line.shown.segment, NAME_WIDTH),
            line.rows.to_string(),
            line.shown.reference.as_str().to_owned(),
            line.verdict(),
            elided(&line.features(), FEATURES_WIDTH),
        ];
        match (line.drifting, line.windows - line.unjudged) {
            (0, 0) => grid.coloured_row(cells, Colour::Dim),
            (0, _) => grid.row(cells),
            _ => grid.coloured_row(cells, Colour::Red),
        }
    }
    grid.text(palette)
}

impl<'a> Line<'a> {
    fn new(report: &'a SegmentReport) -> Self {
        let mut line = Self { shown: report, rows: 0, windows: 0, drifting: 0, unjudged: 0 };
        line.add(report);
        line
    }

    fn add(&mut self, report: &'a SegmentReport) {
        self.rows += report.rows;
        self.windows += 1;
        self.drifting += usize::from(report.is_drifting());
        self.unjudged += usize::from(report.verdict == Verdict::InsufficientData);
        if report.features_detected >= self.shown.features_detected {
            self.shown = report;
        }
    }

    fn verdict(&self) -> String {
        match self.windows {
            1 => self.shown.verdict.as_str().to_owned(),
            windows if self.unjudged == windows => Verdict::InsufficientData.as_str().to_owned(),
            windows => count(self.drifting, windows),
        }
    }

    fn features(&self) -> String {
        let drifting = self.shown.features.iter().filter(|feature| feature.detected);
        let named = drifting.map(|feature| {
            format!("{} {}", feature.feature, number(feature.distances.jensen_shannon))
        });
        named.collect::<Vec<_>>().join(", ")
    }
}
