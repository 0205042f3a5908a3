//! Findings as one sentence.

use super::{Finding, Moved, Side};
use crate::drift::words::{number, percent};
use jiff::Timestamp;
use std::fmt;

/// `temp_max fell by 1.9 σ, to a median of 7.1 from 22.8; 62 % of rows are below 9.4, where the baseline
/// has 10 %; since 2026-01-05 10:00 UTC.`
pub(super) fn sentence(
    feature: &str,
    findings: &[Finding],
    moved: &[Moved],
    since: Option<Timestamp>,
) -> String {
    let mut clauses: Vec<String> = findings.iter().map(ToString::to_string).collect();
    if let (true, Some(moved)) = (clauses.is_empty(), moved.first()) {
        clauses.push(bin(&moved.bin, moved.share.into(), moved.baseline_share.into()));
    }
    if clauses.is_empty() {
        clauses.push("differs in many bins, in each by little".to_owned());
    }
    clauses.extend(since.map(|since| format!("since {} UTC", clock(since))));
    // A verb goes on from the name.
    let goes_on =
        matches!(findings.first(), Some(Finding::Location { .. } | Finding::Spread { .. }));
    let joint = if goes_on { " " } else { ": " };
    format!("{feature}{joint}{}.", clauses.join("; "))
}

/// To the second where that matters.
fn clock(at: Timestamp) -> String {
    let at = at.to_zoned(jiff::tz::TimeZone::UTC);
    let format = if at.second() == 0 { "%F %H:%M" } else { "%F %H:%M:%S" };
    at.strftime(format).to_string()
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Location { sigmas, median, baseline_median } => {
                let verb = if *sigmas < 0.0 { "fell" } else { "rose" };
                let (by, to, from) =
                    (rounded(sigmas.abs()), number(*median), number(*baseline_median));
                write!(f, "{verb} by {by} σ, to a median of {to} from {from}")
            }
            Self::Spread { times, from, to, baseline_from, baseline_to } => {
                let verb = if *times < 1.0 { "narrowed" } else { "spread" };
                let times = format!("{} times as wide", rounded(*times));
                let [from, to, before_from, before_to] =
                    [from, to, baseline_from, baseline_to].map(|value| number(*value));
                write!(
                    f,
                    "{verb}, its middle half {times}: {from} to {to}, before {before_from} to {before_to}"
                )
            }
            Self::Below { value, included, share, baseline_share } => {
                let value = number(*value);
                let what = if *included {
                    format!("of rows are {value} or below")
                } else {
                    format!("of rows are below {value}")
                };
                compared(f, *share, &what, *baseline_share)
            }
            Self::Tail { side, value, share, baseline_share } => {
                let side = if *side == Side::Low { "below" } else { "at or above" };
                let what = format!("of rows are {side} {}", number(*value));
                compared(f, *share, &what, *baseline_share)
            }
            Self::Bin { bin: label, share, baseline_share } => {
                f.write_str(&bin(label, *share, *baseline_share))
            }
            Self::NewLevel { level, share } => {
                write!(f, "new level \"{level}\" in {} of rows", percent(*share))
            }
            Self::VanishedLevel { level, baseline_share } => write!(
                f,
                "no row is \"{level}\", where the baseline has {}",
                percent(*baseline_share)
            ),
            Self::Seasonal => {
                f.write_str("as much as the baseline has at these hours of the day: seasonal")
            }
            Self::Check(checked) => checked.fmt(f),
        }
    }
}

/// To two decimals: who reads it does not count hundredths.
fn rounded(value: f64) -> String {
    number((value * 100.0).round() / 100.0)
}

fn compared(f: &mut fmt::Formatter<'_>, share: f64, what: &str, before: f64) -> fmt::Result {
    write!(f, "{} {what}, where the baseline has {}", percent(share), percent(before))
}

fn bin(label: &str, share: f64, before: f64) -> String {
    let (share, before) = (percent(share), percent(before));
    let interval = label.starts_with(['[', '(']);
    let preposition = if interval { "in " } else { "" };
    format!("{share} of rows are {preposition}{label}, where the baseline has {before}")
}
