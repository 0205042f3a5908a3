//! The report for a terminal: a line a window, and for a single window a line a feature.

use super::Report;
use crate::cli::layout::{Align, Grid, elided};
use crate::cli::style::{Colour, Palette};
use crate::drift::{FeatureReport, Settings, Verdict, WindowReport};
use jiff::civil::Time;
use jiff::tz::TimeZone;

/// Characters a line: what a terminal beside an editor has.
const WIDTH: usize = 100;
/// Over the names of windows that have times.
const HEAD: &str = "window (UTC)";
/// Of a feature in the table of one window, whose other columns leave this.
const NAME_WIDTH: usize = 30;

pub(super) fn text(report: &Report, settings: &Settings, palette: Palette) -> String {
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
    let [head, legend] =
        [head, legend(report, settings)].map(|text| palette.paint(Colour::Dim, text));
    format!("{head}\n\n{body}\n\n{legend}\n\n{}", palette.paint(colour, foot))
}

/// What the table's words mean, in lines of at most [`WIDTH`].
fn legend(report: &Report, settings: &Settings) -> String {
    let figures = match &report.windows[..] {
        [_] => "JS is the Jensen–Shannon distance, 0 to 1; Wasserstein is in standard deviations.",
        _ => {
            "The number behind a feature is its Jensen–Shannon distance from the baseline, 0 to 1."
        }
    };
    format!(
        "A window drifts if a feature, or how features go together,\n\
         differs by more than chance (false discovery rate {}) and by enough to act on.\n\
         With fewer than {} rows it has no verdict.\n\
         {figures}",
        settings.false_discovery_rate, settings.min_rows
    )
}

pub(super) fn count(drifting: usize, total: usize) -> String {
    let verb = if drifting == 1 { "drifts" } else { "drift" };
    let noun = if total == 1 { "window" } else { "windows" };
    format!("{drifting} of {total} {noun} {verb}")
}

/// When a window was, in UTC; its number where rows carry no time.
pub(super) fn name(window: &WindowReport, index: usize) -> String {
    let (Some(start), Some(end)) = (window.start, window.end) else {
        return format!("#{}", index + 1);
    };
    let [start, end] = [start, end].map(|time| time.to_zoned(TimeZone::UTC).datetime());
    let midnight = Time::midnight();
    if (start.time(), end.time()) == (midnight, midnight) {
        return format!("{} – {}", start.date(), end.date());
    }
    let whole_minutes = (start.second(), end.second()) == (0, 0);
    let clock = if whole_minutes { "%H:%M" } else { "%H:%M:%S" };
    let from = format!("{} {}", start.date(), start.strftime(clock));
    if start.date() == end.date() {
        format!("{from} – {}", end.strftime(clock))
    } else {
        format!("{from} – {} {}", end.date(), end.strftime(clock))
    }
}

fn lines(windows: &[WindowReport], palette: Palette) -> String {
    let names: Vec<_> = windows.iter().enumerate().map(|(i, window)| name(window, i)).collect();
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
    let before = widest(&mut names.iter().map(|name| name.chars().count())).max(HEAD.len())
        + widest(&mut windows.iter().map(|window| window.rows.to_string().len())).max("rows".len())
        + widest(&mut windows.iter().map(|window| window.verdict.as_str().len()));
    let left = WIDTH.saturating_sub(before + 3 * "  ".len());
    let has_times = windows.iter().any(|window| window.start.is_some());
    let mut grid = Grid::new(&[
        (if has_times { HEAD } else { "window" }, Align::Left),
        ("rows", Align::Right),
        ("verdict", Align::Left),
        ("drifting features", Align::Left),
    ]);
    for (name, window) in names.into_iter().zip(windows) {
        let cells = vec![
            name,
            window.rows.to_string(),
            window.verdict.as_str().to_owned(),
            drifting_features(window, left),
        ];
        match window.verdict {
            Verdict::Drifting => grid.coloured_row(cells, Colour::Red),
            Verdict::InsufficientData => grid.coloured_row(cells, Colour::Dim),
            Verdict::Stable => grid.row(cells),
        }
    }
    grid.text(palette)
}

/// The furthest first, as many as there is room for, and how many more.
fn drifting_features(window: &WindowReport, width: usize) -> String {
    let distance = |feature: &FeatureReport| feature.distances.jensen_shannon.unwrap_or_default();
    let mut drifting: Vec<_> = window.features.iter().filter(|feature| feature.detected).collect();
    drifting.sort_by(|a, b| distance(b).total_cmp(&distance(a)));
    let named = |feature: &&FeatureReport| format!("{} {:.2}", feature.feature, distance(feature));
    let joint = window.joint_in_words().map(|_| "their correlations".to_owned());
    let named: Vec<_> = drifting.iter().map(named).chain(joint).collect();
    let listed = |count: usize| match named.len() - count {
        0 => named.join(", "),
        more => format!("{} and {more} more", named[..count].join(", ")),
    };
    let fits = |text: &String| text.chars().count() <= width;
    let longest = (1..=named.len()).rev().map(listed).find(fits);
    longest.unwrap_or_else(|| elided(&listed(named.len().min(1)), width))
}

fn single(window: &WindowReport, palette: Palette) -> String {
    let mut grid = Grid::new(&[
        ("feature", Align::Left),
        ("role", Align::Left),
        ("JS", Align::Right),
        ("PSI", Align::Right),
        ("KS", Align::Right),
        ("Wasserstein", Align::Right),
        ("p-value", Align::Right),
        ("nulls", Align::Right),
        ("drifts", Align::Left),
    ]);
    for feature in &window.features {
        let distances = &feature.distances;
        let cells = vec![
            elided(&feature.feature, NAME_WIDTH),
            feature.role.to_string(),
            number(distances.jensen_shannon),
            number(distances.psi),
            number(distances.ks),
            number(distances.wasserstein),
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
    let rows = window.rows;
    let head = match window.start {
        Some(_) => format!("window {} (UTC), {rows} rows", name(window, 0)),
        None => format!("{rows} rows"),
    };
    let joint = window.joint_in_words().map(|words| format!("\n\n{words}")).unwrap_or_default();
    format!("{head}\n\n{}{}", grid.text(palette), palette.paint(Colour::Red, joint))
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

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn window(start: &str, end: &str) -> WindowReport {
        let time = |text: &str| text.parse::<Timestamp>().ok();
        WindowReport {
            window: "1h".into(),
            start: time(start),
            end: time(end),
            rows: 60,
            coverage: 1.0,
            verdict: Verdict::Stable,
            ..WindowReport::default()
        }
    }

    #[test]
    fn a_window_is_named_by_what_a_person_needs_of_its_times() {
        for (start, end, named) in [
            ("2014-01-01T00:00:00Z", "2014-02-01T00:00:00Z", "2014-01-01 – 2014-02-01"),
            ("2014-01-01T06:00:00Z", "2014-01-01T12:00:00Z", "2014-01-01 06:00 – 12:00"),
            ("2014-01-01T23:00:00Z", "2014-01-02T00:00:00Z", "2014-01-01 23:00 – 2014-01-02 00:00"),
            ("2014-01-01T23:00:50Z", "2014-01-01T23:01:00Z", "2014-01-01 23:00:50 – 23:01:00"),
            ("", "", "#3"),
        ] {
            assert_eq!(name(&window(start, end), 2), named);
        }
    }
}
