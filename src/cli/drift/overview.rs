//! The report for a terminal: a line a window, and for a single window a line a feature.

use super::{Report, segments_table};
use crate::cli::layout::{Align, Grid, elided};
use crate::cli::style::{Colour, Palette};
use crate::drift::{Earlier, FeatureReport, Settings, Verdict, WindowReport};
use jiff::civil::Time;
use jiff::tz::TimeZone;

/// Characters a line: what a terminal beside an editor has.
const WIDTH: usize = 100;
/// Over the names of windows that have times.
const HEAD: &str = "window (UTC)";
/// Features that are explained.
const MAX_SENTENCES: usize = 8;
/// Of a feature in the table of one window, whose other columns leave this.
const NAME_WIDTH: usize = 30;

pub(super) fn text(report: &Report, settings: &Settings, palette: Palette) -> String {
    let body = match &report.windows[..] {
        [window] => single(window, palette),
        windows => lines(windows, &settings.references, palette),
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
    let parts = segments_table::text(&report.windows, palette);
    let parts = if parts.is_empty() { parts } else { format!("{parts}\n\n") };
    let head = format!("compared with a baseline of {} rows", report.baseline.rows);
    let [head, legend] =
        [head, legend(report, settings)].map(|text| palette.paint(Colour::Dim, text));
    let quality = quality(&report.windows, palette);
    let why = why(&report.windows, palette);
    format!("{head}\n\n{body}\n\n{why}{quality}{parts}{legend}\n\n{}", palette.paint(colour, foot))
}

/// Why the features of the only window, or of the last that drifts, do so.
fn why(windows: &[WindowReport], palette: Palette) -> String {
    let drifting = |window: &WindowReport| window.verdict == Verdict::Drifting;
    let Some(index) = windows.iter().rposition(drifting) else { return String::new() };
    let window = &windows[index];
    let explained = window.features.iter().filter(|feature| feature.detected);
    let sentences = explained.filter_map(|it| it.explanation.as_ref()).map(|it| &*it.sentence);
    let lines: String = sentences.take(MAX_SENTENCES).map(|text| wrapped(text, WIDTH)).collect();
    let head = match windows {
        [_] => "Why:".to_owned(),
        _ => format!("Why, of the last that drifts ({}):", name(window, index)),
    };
    format!("{}\n{lines}\n", palette.paint(Colour::Red, head))
}

/// In lines of at most `width`, those after the first further in.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec!["  ".to_owned()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line + word.chars().count() >= width && line > 4 {
            lines.push("    ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if !line.trim().is_empty() {
                line.push(' ');
            }
            line.push_str(&elided(word, width - 4));
        }
    }
    lines.join("\n") + "\n"
}

/// What is not in order with the rows, in the words of one window or by window; empty where all is.
fn quality(windows: &[WindowReport], palette: Palette) -> String {
    let lines: Vec<String> = match windows {
        [window] => said_of(window),
        windows => {
            let named = windows.iter().enumerate().filter_map(|(index, window)| {
                let failures = window.failures();
                let failures: Vec<_> = failures.iter().map(ToString::to_string).collect();
                let line = format!("{}: {}", name(window, index), failures.join(", "));
                (!failures.is_empty()).then(|| elided(&line, WIDTH - 2))
            });
            named.collect()
        }
    };
    if lines.is_empty() {
        return String::new();
    }
    let lines = lines.join("\n  ");
    format!("{}\n  {lines}\n\n", palette.paint(Colour::Red, "Data quality:"))
}

/// Each failure of a window with its figures.
pub(super) fn said_of(window: &WindowReport) -> Vec<String> {
    let of_features = window.features.iter().flat_map(|report| {
        let failed = report.checks.iter().flat_map(|checks| checks.iter());
        let failed = failed.filter(|checked| checked.detected);
        failed.map(|checked| format!("{} ({}): {checked}", report.feature, report.role))
    });
    let extra = window.extra_features.iter().flatten().filter(|extra| extra.checked.detected);
    let extra = extra.map(|extra| {
        let names: Vec<_> = extra.features.iter().take(5).map(|extra| &*extra.feature).collect();
        let more = if extra.features_total > names.len() as u64 { ", …" } else { "" };
        format!("{}s: {}: {}{more}", extra.role, extra.checked, names.join(", "))
    });
    of_features.chain(extra).collect()
}

/// What the table's words mean, in lines of at most [`WIDTH`].
fn legend(report: &Report, settings: &Settings) -> String {
    let figures = match &report.windows[..] {
        [_] => "JS is the Jensen–Shannon distance, 0 to 1; Wasserstein is in standard deviations.",
        _ => {
            "The number behind a feature is its Jensen–Shannon distance from the baseline, 0 to 1."
        }
    };
    let beside = if settings.references.is_empty() {
        ""
    } else {
        "\nUnder vs. stands how many features differ from an earlier window by the same rule."
    };
    format!(
        "A window drifts if a feature, or how features go together,\n\
         differs by more than chance (false discovery rate {}) and by enough to act on.\n\
         With fewer than {} rows it has no verdict.\n\
         {figures}{beside}",
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

fn lines(windows: &[WindowReport], references: &[Earlier], palette: Palette) -> String {
    let names: Vec<_> = windows.iter().enumerate().map(|(i, window)| name(window, i)).collect();
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
    let before = widest(&mut names.iter().map(|name| name.chars().count())).max(HEAD.len())
        + widest(&mut windows.iter().map(|window| window.rows.to_string().len())).max("rows".len())
        + widest(&mut windows.iter().map(|window| window.verdict.as_str().len()));
    let beside: usize = references.iter().map(|earlier| "  ".len() + column(*earlier).len()).sum();
    let left = WIDTH.saturating_sub(before + beside + 3 * "  ".len());
    let has_times = windows.iter().any(|window| window.start.is_some());
    let mut columns = vec![
        (if has_times { HEAD } else { "window" }, Align::Left),
        ("rows", Align::Right),
        ("verdict", Align::Left),
    ];
    columns.extend(references.iter().map(|earlier| (column(*earlier), Align::Right)));
    columns.push(("drifting features", Align::Left));
    let mut grid = Grid::new(&columns);
    for (name, window) in names.into_iter().zip(windows) {
        let mut cells = vec![name, window.rows.to_string(), window.verdict.as_str().to_owned()];
        cells.extend(references.iter().map(|earlier| differing(window, *earlier)));
        cells.push(drifting_features(window, left));
        match window.verdict {
            Verdict::Drifting => grid.coloured_row(cells, Colour::Red),
            Verdict::InsufficientData => grid.coloured_row(cells, Colour::Dim),
            Verdict::Stable => grid.row(cells),
        }
    }
    grid.text(palette)
}

const fn column(earlier: Earlier) -> &'static str {
    match earlier {
        Earlier::Previous => "vs. previous",
        Earlier::SameHourYesterday => "vs. yesterday",
        Earlier::SameHourLastWeek => "vs. last week",
    }
}

/// Features that differ from the earlier window, of those that were compared with it.
fn differing(window: &WindowReport, earlier: Earlier) -> String {
    let reports = window.features.iter().flat_map(|feature| &feature.references);
    let reports = reports.flat_map(|references| &references.0);
    let judged = reports.filter(|report| report.reference == earlier && report.p_value.is_some());
    let (compared, differ) = judged.fold((0, 0), |(compared, differ), report| {
        (compared + 1, differ + u32::from(report.detected))
    });
    if compared == 0 { "–".to_owned() } else { format!("{differ} of {compared}") }
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
        ("effect", Align::Right),
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
            number(feature.effect),
            format!("{:.1} %", feature.quality.null_ratio * 100.0),
            finding(feature).to_owned(),
        ];
        if feature.detected {
            grid.coloured_row(cells, Colour::Red);
        } else {
            grid.row(cells);
        }
    }
    let table = grid.text(palette);
    let table = match of_the_model(window) {
        Some(told) => format!("{table}\n\n{told}"),
        None => table,
    };
    let rows = window.rows;
    let head = match window.start {
        Some(_) => format!("window {} (UTC), {rows} rows", name(window, 0)),
        None => format!("{rows} rows"),
    };
    let joint = window.joint_in_words().map(|words| format!("\n\n{words}")).unwrap_or_default();
    format!("{head}\n\n{table}{}", palette.paint(Colour::Red, joint))
}

/// What importances and attributions say of a window.
fn of_the_model(window: &WindowReport) -> Option<String> {
    let ranked = window.features.iter().filter(|feature| feature.detected);
    let mut ranked: Vec<(usize, &str)> =
        ranked.filter_map(|f| Some((f.weight.as_ref()?.rank?, &*f.feature))).collect();
    ranked.sort_unstable();
    let names: Vec<_> = ranked.iter().take(5).map(|(_, name)| *name).collect();
    let ranked = (!names.is_empty()).then(|| format!("most important: {}", names.join(", ")));
    let attribution = window.attribution.as_ref().map(|drift| {
        let verdict = if drift.detected { "another ranking" } else { "as far as chance goes" };
        format!("attributions: NDCG {:.3}, {verdict}", drift.ndcg)
    });
    let told: Vec<_> = ranked.into_iter().chain(attribution).collect();
    (!told.is_empty()).then(|| told.join("\n"))
}

/// What a person wants to know first of a feature.
pub(super) fn finding(feature: &FeatureReport) -> &'static str {
    match feature {
        FeatureReport { detected: true, .. } => "yes",
        FeatureReport { seasonal: true, .. } => "no: seasonal",
        FeatureReport { significant: true, .. } => "no: too small to act on",
        _ => "no",
    }
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
