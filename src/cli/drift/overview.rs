//! The report for a terminal: a line a window, and for a single window a line a feature.

use super::Report;
use crate::cli::layout::{Align, Grid};
use crate::cli::style::{Colour, Palette};
use crate::drift::{FeatureReport, Verdict, WindowReport};
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(super) fn text(report: &Report, palette: Palette) -> String {
    let body = match &report.windows[..] {
        [window] => single(window, palette),
        windows => lines(windows, palette),
    };
    let total = report.windows.len();
    let drifting = report.drifting();
    let unjudged =
        report.windows.iter().filter(|window| window.verdict == Verdict::InsufficientData).count();
    let foot = match (&report.windows[..], unjudged) {
        ([window], _) => format!("verdict: {}", window.verdict.as_str()),
        (_, 0) => count(drifting, total),
        _ => format!("{}; {unjudged} had too few rows to judge", count(drifting, total)),
    };
    let colour = if drifting > 0 { Colour::Red } else { Colour::Green };
    let head = format!("compared with a baseline of {} rows", report.baseline.rows);
    format!("{}\n\n{body}\n\n{}", palette.paint(Colour::Dim, head), palette.paint(colour, foot))
}

pub(super) fn count(drifting: usize, total: usize) -> String {
    let verb = if drifting == 1 { "drifts" } else { "drift" };
    let noun = if total == 1 { "window" } else { "windows" };
    format!("{drifting} of {total} {noun} {verb}")
}

/// A day where the time is midnight, as it is for windows of days and months.
pub(super) fn shown(time: Timestamp) -> String {
    let civil = time.to_zoned(TimeZone::UTC).datetime();
    if civil.time() == jiff::civil::Time::midnight() {
        civil.date().to_string()
    } else {
        time.to_string()
    }
}

/// When a window was; its number where rows carry no time.
pub(super) fn name(window: &WindowReport, index: usize) -> String {
    match (window.start, window.end) {
        (Some(start), Some(end)) => format!("{} – {}", shown(start), shown(end)),
        _ => format!("#{}", index + 1),
    }
}

fn lines(windows: &[WindowReport], palette: Palette) -> String {
    let mut grid = Grid::new(&[
        ("window", Align::Left),
        ("rows", Align::Right),
        ("verdict", Align::Left),
        ("drifting features", Align::Left),
    ]);
    for (index, window) in windows.iter().enumerate() {
        let cells = vec![
            name(window, index),
            window.rows.to_string(),
            window.verdict.as_str().to_owned(),
            drifting_features(window),
        ];
        match window.verdict {
            Verdict::Drifting => grid.coloured_row(cells, Colour::Red),
            Verdict::InsufficientData => grid.coloured_row(cells, Colour::Dim),
            Verdict::Stable => grid.row(cells),
        }
    }
    grid.text(palette)
}

/// The furthest first, and how many more.
fn drifting_features(window: &WindowReport) -> String {
    const NAMED: usize = 4;
    let distance = |feature: &FeatureReport| feature.distances.jensen_shannon.unwrap_or_default();
    let mut drifting: Vec<_> = window.features.iter().filter(|feature| feature.detected).collect();
    drifting.sort_by(|a, b| distance(b).total_cmp(&distance(a)));
    let named = drifting.iter().take(NAMED);
    let named = named.map(|feature| format!("{} (JS {:.2})", feature.feature, distance(feature)));
    let named = named.collect::<Vec<_>>().join(", ");
    match drifting.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn single(window: &WindowReport, palette: Palette) -> String {
    let mut grid = Grid::new(&[
        ("feature", Align::Left),
        ("role", Align::Left),
        ("rows", Align::Right),
        ("psi", Align::Right),
        ("jensen_shannon", Align::Right),
        ("ks", Align::Right),
        ("wasserstein", Align::Right),
        ("hellinger", Align::Right),
        ("l_infinity", Align::Right),
        ("p_value", Align::Right),
        ("nulls", Align::Right),
        ("detected", Align::Left),
    ]);
    for feature in &window.features {
        let distances = &feature.distances;
        let cells = vec![
            feature.feature.to_string(),
            feature.role.to_string(),
            feature.rows.to_string(),
            number(distances.psi),
            number(distances.jensen_shannon),
            number(distances.ks),
            number(distances.wasserstein),
            number(distances.hellinger),
            number(distances.l_infinity),
            probability(feature.p_value),
            format!("{:.1} %", feature.quality.null_ratio * 100.0),
            if feature.detected { "yes" } else { "no" }.to_owned(),
        ];
        if feature.detected {
            grid.coloured_row(cells, Colour::Red);
        } else {
            grid.row(cells);
        }
    }
    format!("window {}, {} rows\n\n{}", name(window, 0), window.rows, grid.text(palette))
}

pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

pub(super) fn probability(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value < 1e-4 => "< 0.0001".to_owned(),
        Some(value) => format!("{value:.4}"),
    }
}
