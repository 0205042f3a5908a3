//! Figures as people say them.

/// `62 %`, `1.4 %`, `0.03 %`: as many digits as matter.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        0.0 => "0 %".to_owned(),
        size if size < 0.005 => "under 0.01 %".to_owned(),
        size if size < 0.995 => format!("{} %", trimmed(percent, 2)),
        size if size < 9.95 || (size > 99.0 && size < 100.0) => {
            format!("{} %", trimmed(percent, 1))
        }
        _ => format!("{percent:.0} %"),
    }
}

/// To three digits; very large and very small ones by powers of ten.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return format!("{}", value + 0.0);
    }
    if !(1e-3..1e6).contains(&size) {
        let text = format!("{value:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{power}", without_zeros(digits));
    }
    match size {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => trimmed(value, 1),
        size if size >= 1.0 => trimmed(value, 2),
        size if size >= 0.1 => trimmed(value, 3),
        size if size >= 0.01 => trimmed(value, 4),
        _ => trimmed(value, 5),
    }
}

fn trimmed(value: f64, decimals: usize) -> String {
    without_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_the_digits_that_matter() {
        for (share, said) in [
            (0.0, "0 %"),
            (1.0, "100 %"),
            (0.999, "99.9 %"),
            (0.623, "62 %"),
            (0.0949, "9.5 %"),
            (0.09, "9 %"),
            (0.001, "0.1 %"),
            (0.00034, "0.03 %"),
            (0.00001, "under 0.01 %"),
        ] {
            assert_eq!(percent(share), said, "{share}");
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, said) in [
            (0.0, "0"),
            (-0.0, "0"),
            (7.1, "7.1"),
            (22.84, "22.8"),
            (1234.5, "1234"),
            (0.012_345, "0.0123"),
            (-3.0, "-3"),
            (2.5e9, "2.5e9"),
            (1.0e-7, "1e-7"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(number(value), said, "{value}");
        }
    }
}
