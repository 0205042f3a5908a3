//! `--window`: by rows, by a length aligned to the clock, by whole months, or the file as one.

use crate::config::{format_duration, parse_duration};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use std::fmt;
use std::num::{NonZeroI16, NonZeroI128, NonZeroU64};
use std::str::FromStr;

/// How the rows of a file are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// The whole file.
    All,
    Rows(NonZeroU64),
    Time(TimeWindow),
}

/// Aligned to UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeWindow {
    Nanoseconds(NonZeroI128),
    Months(NonZeroI16),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a number of rows (500), a duration (30m, 1h, 1d) or months (1mo)")]
pub(super) struct NotAWindow;

impl FromStr for Window {
    type Err = NotAWindow;

    fn from_str(text: &str) -> Result<Self, NotAWindow> {
        if let Ok(rows) = text.parse() {
            return Ok(Self::Rows(rows));
        }
        if let Some(months) = text.strip_suffix("mo") {
            let months = months.parse().ok().filter(|months: &NonZeroI16| months.get() > 0);
            return months.map(|months| Self::Time(TimeWindow::Months(months))).ok_or(NotAWindow);
        }
        let nanos =
            parse_duration(text).ok().and_then(|length| i128::try_from(length.as_nanos()).ok());
        let nanos = nanos.and_then(NonZeroI128::new).ok_or(NotAWindow)?;
        Ok(Self::Time(TimeWindow::Nanoseconds(nanos)))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Rows(rows) => write!(f, "{rows}"),
            Self::Time(TimeWindow::Months(months)) => write!(f, "{months}mo"),
            Self::Time(TimeWindow::Nanoseconds(nanos)) => {
                let nanos = u64::try_from(nanos.get()).unwrap_or(u64::MAX);
                f.write_str(&format_duration(std::time::Duration::from_nanos(nanos)))
            }
        }
    }
}

impl TimeWindow {
    /// Start and end of the window that holds `at`; `None` at the ends of time.
    pub(super) fn around(self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Nanoseconds(length) => {
                let at = at.as_nanosecond();
                let start = at - at.rem_euclid(length.get());
                let end = Timestamp::from_nanosecond(start + length.get()).ok()?;
                Some((Timestamp::from_nanosecond(start).ok()?, end))
            }
            Self::Months(months) => {
                let date = at.to_zoned(TimeZone::UTC).date();
                // Counted from the year 0, so that 3mo are the quarters and 12mo the years.
                let index = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
                let first = index - index.rem_euclid(i32::from(months.get()));
                let year = i16::try_from(first.div_euclid(12)).ok()?;
                let month = i8::try_from(first.rem_euclid(12) + 1).ok()?;
                let start = Date::new(year, month, 1).ok()?;
                let end = start.checked_add(Span::new().try_months(months.get()).ok()?).ok()?;
                let midnight =
                    |date: Date| date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).ok();
                Some((midnight(start)?, midnight(end)?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(window: &str, at: &str) -> (String, String) {
        let Ok(Window::Time(window)) = window.parse() else { panic!("{window}") };
        let (start, end) = window.around(at.parse().unwrap()).unwrap();
        (start.to_string(), end.to_string())
    }

    #[test]
    fn months_are_real_months() {
        let found = around("1mo", "2012-02-29T23:00:00Z");
        assert_eq!(found, ("2012-02-01T00:00:00Z".into(), "2012-03-01T00:00:00Z".into()));
        let found = around("3mo", "2012-12-31T23:59:59Z");
        assert_eq!(found, ("2012-10-01T00:00:00Z".into(), "2013-01-01T00:00:00Z".into()));
    }

    #[test]
    fn lengths_are_aligned_to_the_clock() {
        let found = around("1h", "1969-12-31T23:30:00Z");
        assert_eq!(found, ("1969-12-31T23:00:00Z".into(), "1970-01-01T00:00:00Z".into()));
    }

    #[test]
    fn a_window_is_printed_as_it_was_typed() {
        for text in ["500", "1h", "30m", "1d", "1mo"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
        for text in ["0", "-5", "1y", "", "0s", "0mo", "mo", "1 fortnight"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }
}
