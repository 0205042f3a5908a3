//! Figures as people read them: grouped, rounded, with their unit.

use jiff::Timestamp;

/// `1234567` as `1,234,567`.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    let groups = groups.iter().map(|group| String::from_utf8_lossy(group));
    groups.collect::<Vec<_>>().join(",")
}

/// Three significant digits; very large and very small ones with an exponent.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        return if value.is_nan() { "–".into() } else { format!("{value}") };
    }
    match magnitude {
        m if !(1e-4..1e6).contains(&m) => format!("{value:.1e}"),
        m if m >= 100.0 => format!("{value:.0}"),
        m if m >= 10.0 => trimmed(&format!("{value:.1}")),
        m if m >= 1.0 => trimmed(&format!("{value:.2}")),
        m if m >= 0.1 => trimmed(&format!("{value:.3}")),
        _ => trimmed(&format!("{value:.4}")),
    }
}

/// A distance or another figure that stands in a column: always three decimals.
pub(super) fn decimal(value: f64) -> String {
    format!("{value:.3}")
}

/// `0.0312` as `3.12 %`; never rounds a loss away to `0 %`, or a rest away to `100 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".into(),
        p if p < 0.01 => "< 0.01 %".into(),
        p if p < 10.0 => format!("{} %", trimmed(&format!("{p:.2}"))),
        p if p > 99.99 && p < 100.0 => "> 99.99 %".into(),
        p if p > 99.0 => format!("{} %", trimmed(&format!("{p:.2}"))),
        p => format!("{} %", trimmed(&format!("{p:.1}"))),
    }
}

/// `0.00123` as `1.23 ms`.
pub(super) fn seconds(value: f64) -> String {
    match value {
        v if v < 1e-6 => format!("{} ns", number(v * 1e9)),
        v if v < 1e-3 => format!("{} µs", number(v * 1e6)),
        v if v < 1.0 => format!("{} ms", number(v * 1e3)),
        v if v < 120.0 => format!("{} s", number(v)),
        v if v < 7200.0 => format!("{} min", number(v / 60.0)),
        v if v < 172_800.0 => format!("{} h", number(v / 3600.0)),
        v => format!("{} d", number(v / 86_400.0)),
    }
}

pub(super) fn bytes(value: u64) -> String {
    let value = value as f64;
    match value {
        v if v < 1024.0 => format!("{v} B"),
        v if v < 1024.0 * 1024.0 => format!("{} KiB", number(v / 1024.0)),
        v if v < 1024.0 * 1024.0 * 1024.0 => format!("{} MiB", number(v / 1024.0 / 1024.0)),
        v => format!("{} GiB", number(v / 1024.0 / 1024.0 / 1024.0)),
    }
}

/// Below 1e-4 the figure itself says nothing more.
pub(super) fn p_value(value: f64) -> String {
    if value < 1e-4 { "< 0.0001".into() } else { format!("{value:.4}") }
}

/// Of the day, in UTC.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

pub(super) fn date_and_clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

pub(super) fn date_and_second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// One decimal and always a sign.
pub(super) fn signed(value: f64) -> String {
    let text = format!("{:.1}", value.abs());
    match value {
        _ if text == "0.0" => "0.0".into(),
        v if v < 0.0 => format!("−{text}"),
        _ => format!("+{text}"),
    }
}

/// `90061` seconds as `1 d 1 h`.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        s if s < 60 => format!("{s} s"),
        s if s < 3600 => format!("{} min {} s", s / 60, s % 60),
        s if s < 86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

fn trimmed(decimal: &str) -> String {
    decimal.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_rounded_and_carry_their_unit() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(number(0.031_26), "0.0313");
        assert_eq!(number(1234.5), "1234");
        assert_eq!(number(-2.50), "-2.5");
        assert_eq!(seconds(0.001_234), "1.23 ms");
        assert_eq!(seconds(0.000_25), "250 µs");
        assert_eq!(seconds(7200.0), "2 h");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(age(90_061), "1 d 1 h");
    }

    #[test]
    fn a_share_is_never_rounded_to_none_or_to_all() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.000_01), "< 0.01 %");
        assert_eq!(percent(0.999_99), "> 99.99 %");
        assert_eq!(percent(0.9995), "99.95 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.5), "50 %");
    }
}
