//! When a row was: RFC 3339, a date, a date and time without zone (UTC), or a number since 1970.

use crate::decode::Cell;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// `None` if the cell is no time.
pub(in crate::cli) fn parse_time(cell: Cell<'_>) -> Option<Timestamp> {
    match cell {
        Cell::Number(number) => from_number(number),
        Cell::Text(text) => from_text(text.trim()),
        Cell::Null | Cell::Bool(_) => None,
    }
}

fn from_text(text: &str) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    let civil: DateTime = text.parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// The unit is told by the size: seconds reach 1e11 in the year 5138, milliseconds 1e11 in 1973.
fn from_number(number: f64) -> Option<Timestamp> {
    let nanos_per_unit = match number.abs() {
        size if size < 1e11 => 1e9,
        size if size < 1e14 => 1e6,
        size if size < 1e17 => 1e3,
        _ => 1.0,
    };
    let whole = number.trunc();
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and jiff refuses the extremes")]
    let nanos = (whole as i128) * (nanos_per_unit as i128)
        + ((number - whole) * nanos_per_unit).round() as i128;
    number.is_finite().then(|| Timestamp::from_nanosecond(nanos).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_spellings_of_a_time_are_one_time() {
        let new_year: Timestamp = "2012-01-01T00:00:00Z".parse().unwrap();
        for cell in [
            Cell::Text("2012-01-01"),
            Cell::Text("2012-01-01 00:00:00"),
            Cell::Text("2012-01-01T01:00:00+01:00"),
            Cell::Number(1_325_376_000.0),
            Cell::Number(1_325_376_000_000.0),
            Cell::Number(1_325_376_000_000_000.0),
        ] {
            assert_eq!(parse_time(cell), Some(new_year), "{cell:?}");
        }
    }

    #[test]
    fn other_cells_are_no_time() {
        for cell in [
            Cell::Text("soon"),
            Cell::Text(""),
            Cell::Null,
            Cell::Bool(true),
            Cell::Number(f64::NAN),
        ] {
            assert_eq!(parse_time(cell), None, "{cell:?}");
        }
    }
}
