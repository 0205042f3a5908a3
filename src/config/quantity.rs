//! Durations, sizes and shares as people write them: `200ms`, `7d`, `1MiB`, `0.2`.
//!
//! Text enters, a typed quantity leaves; a refusal says what may be written instead.

use std::time::Duration;

const DURATION_UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// `200ms`, `1s`, `1.5h`, `7d`: one number and its unit. The unit is required, save for 0.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refusal = || "is not a duration; write one such as 200ms, 1s, 5m, 1h or 7d".to_owned();
    let millis = in_units(text, DURATION_UNITS).ok_or_else(refusal)?;
    Ok(Duration::from_millis(millis))
}

/// `1MiB`, `64MB`, `4096`: bytes, with a binary or decimal unit if any.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let bytes = text.parse().ok().or_else(|| in_units(text, SIZE_UNITS));
    bytes.ok_or_else(|| "is not a size; write one such as 4096, 64KiB, 1MiB or 1GiB".to_owned())
}

/// The shortest exact spelling: `90s` stays `90s`, `3600s` becomes `1h`.
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    let fits = |(_, length): &&(&str, u64)| millis.is_multiple_of(u128::from(*length));
    match DURATION_UNITS.iter().rev().find(fits) {
        Some((unit, length)) => format!("{}{unit}", millis / u128::from(*length)),
        None => format!("{millis}ms"),
    }
}

fn in_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let number: f64 = number.parse().ok()?;
    let unit = unit.trim_start();
    if unit.is_empty() && number == 0.0 {
        return Some(0);
    }
    let (_, length) = units.iter().find(|(name, _)| *name == unit)?;
    let total = number * *length as f64;
    // 2^53: beyond it f64 no longer counts single units, and nobody means it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked here")]
    (total.is_finite() && total < 9e15).then(|| total.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, millis) in
            [("200ms", 200), ("1s", 1_000), ("1.5h", 5_400_000), ("7d", 604_800_000), ("0", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["5", "", "s", "-1s", "1 parsec", "1h30m", "1e400d", "999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_tell_binary_from_decimal() {
        for (text, bytes) in
            [("1MiB", 1 << 20), ("1MB", 1_000_000), ("4096", 4096), ("0.5 KiB", 512), ("0", 0)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "1XB", "-1", "MiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_is_printed_as_it_would_be_typed() {
        for text in ["200ms", "90s", "5m", "1h", "7d", "0s"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }
}
