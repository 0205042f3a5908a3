//! Digits in, the nearest `f64` out: exactly what `str::parse` gives.
//!
//! Numbers are most of a tensor's bytes, so they decide what decoding costs. Three roads, each
//! correctly rounded: small mantissas by one exact multiplication or division (Clinger 1990), longer
//! ones by a 64-bit reciprocal whose error is bounded and checked, the rest by the standard library.

/// A JSON number (RFC 8259 §6) at the start of `bytes`: its value, and how many bytes it takes.
#[inline]
pub(super) fn number(bytes: &[u8]) -> Option<(f64, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let (mut mantissa, mut at) = (0u64, start);
    let below_one = bytes.get(at) == Some(&b'0');
    match bytes.get(at)? {
        b'0' => at += 1,
        b'1'..=b'9' => (mantissa, at) = digits(bytes, at, 0),
        _ => return None,
    }
    // Zeros in front are no digits of the mantissa; what overflows one is not looked at further on.
    let mut digit_count = if below_one { 0 } else { at - start };
    let mut exponent = 0i32;
    if bytes.get(at) == Some(&b'.') {
        let point = at + 1;
        let first = if below_one { after_zeros(bytes, point) } else { point };
        (mantissa, at) = fraction(bytes, first, mantissa);
        if at == point {
            return None;
        }
        digit_count += at - first;
        exponent = i32::try_from(at - point).ok()?.checked_neg()?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let (written, end) = written_exponent(bytes, at + 1)?;
        (exponent, at) = (exponent.saturating_add(written), end);
    }
    let value = if digit_count <= MAX_DIGITS { scaled(mantissa, exponent) } else { None };
    let magnitude = match value {
        Some(value) => value,
        None => std::str::from_utf8(&bytes[start..at]).ok()?.parse().ok()?,
    };
    Some((if negative { -magnitude } else { magnitude }, at))
}

/// As many decimal digits as a `u64` surely holds.
const MAX_DIGITS: usize = 19;

#[inline]
fn after_zeros(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at) == Some(&b'0') {
        at += 1;
    }
    at
}

#[inline]
fn digits(bytes: &[u8], mut at: usize, mut mantissa: u64) -> (u64, usize) {
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (mantissa, at)
}

/// Digits after the point come in long runs: eight at a time while they last.
#[inline]
fn fraction(bytes: &[u8], mut at: usize, mut mantissa: u64) -> (u64, usize) {
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let Some(value) = eight_digits(u64::from_le_bytes(*eight)) else { break };
        mantissa = mantissa.wrapping_mul(100_000_000).wrapping_add(value);
        at += 8;
    }
    digits(bytes, at, mantissa)
}

/// Eight ASCII digits, the first in the lowest byte: pairs, then fours, then all, in one word.
#[inline]
fn eight_digits(word: u64) -> Option<u64> {
    const HIGH: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    const PAIRS: u64 = 0x0000_00FF_0000_00FF;
    let overflow = word.wrapping_add(0x0606_0606_0606_0606) & HIGH;
    if (word & HIGH) | (overflow >> 4) != 0x3333_3333_3333_3333 {
        return None;
    }
    let word = word.wrapping_sub(0x3030_3030_3030_3030);
    let word = word.wrapping_mul(10).wrapping_add(word >> 8);
    let upper = (word & PAIRS).wrapping_mul(0x000F_4240_0000_0064);
    let lower = ((word >> 16) & PAIRS).wrapping_mul(0x0000_2710_0000_0001);
    Some(upper.wrapping_add(lower) >> 32)
}

fn written_exponent(bytes: &[u8], mut at: usize) -> Option<(i32, usize)> {
    let negative = bytes.get(at) == Some(&b'-');
    at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
    let first = at;
    let mut exponent = 0i32;
    while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
        exponent = exponent.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
        at += 1;
    }
    (at > first).then_some((if negative { -exponent } else { exponent }, at))
}

const EXACT: u64 = 1 << 53;
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// `mantissa · 10^exponent`, where one of the quick roads is certain of the last bit.
#[inline]
fn scaled(mantissa: u64, exponent: i32) -> Option<f64> {
    if mantissa == 0 || exponent == 0 {
        return Some(mantissa as f64);
    }
    let power = usize::try_from(exponent.unsigned_abs()).ok()?;
    match POWERS.get(power) {
        Some(scale) if mantissa <= EXACT && exponent < 0 => Some(mantissa as f64 / scale),
        Some(scale) if mantissa <= EXACT => Some(mantissa as f64 * scale),
        _ if exponent < 0 => by_reciprocal(mantissa, RECIPROCALS.get(power)?),
        _ => None,
    }
}

/// `floor(2^(63 + bits) / 10^k)`, which has its top bit set; `bits` is the length of `10^k`.
#[derive(Clone, Copy)]
struct Reciprocal {
    factor: u64,
    bits: i32,
}

static RECIPROCALS: [Reciprocal; 28] = reciprocals();

const fn reciprocals() -> [Reciprocal; 28] {
    let mut table = [Reciprocal { factor: 0, bits: 0 }; 28];
    let (mut power, mut divisor) = (1, 10u128);
    while power < table.len() {
        let bits = 128 - divisor.leading_zeros();
        let (mut rest, mut factor, mut step) = (1u128 << (bits - 1), 0u64, 0);
        while step < 64 {
            rest <<= 1;
            factor <<= 1;
            if rest >= divisor {
                rest -= divisor;
                factor |= 1;
            }
            step += 1;
        }
        #[expect(
            clippy::cast_possible_wrap,
            reason = "at most 90; no fallible conversion is const"
        )]
        let bits = bits as i32;
        table[power] = Reciprocal { factor, bits };
        power += 1;
        divisor *= 10;
    }
    table
}

/// `mantissa / 10^k`. The factor is short by less than 1, the product's low word is dropped, so the
/// true quotient lies in `[high, high + 2)`: it rounds as `high` does unless that straddles a half.
fn by_reciprocal(mantissa: u64, reciprocal: &Reciprocal) -> Option<f64> {
    let zeros = mantissa.leading_zeros();
    let product = u128::from(mantissa << zeros) * u128::from(reciprocal.factor);
    let high = u64::try_from(product >> 64).ok()?;
    let dropped_bits = 11 - high.leading_zeros();
    let half = 1u64 << (dropped_bits - 1);
    let dropped = high & ((1 << dropped_bits) - 1);
    if dropped == half || dropped == half - 1 {
        return None;
    }
    let rounded = (high >> dropped_bits) + u64::from(dropped > half);
    let exponent =
        i32::try_from(dropped_bits).ok()? + 1 - reciprocal.bits - i32::try_from(zeros).ok()?;
    let scale = f64::from_bits(u64::try_from(1023 + exponent).ok()? << 52);
    Some(rounded as f64 * scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agrees_with_std(text: &str) {
        let expected: f64 = text.parse().unwrap();
        let (value, len) = number(text.as_bytes()).unwrap();
        assert_eq!(value.to_bits(), expected.to_bits(), "{text}");
        assert_eq!(len, text.len(), "{text}");
    }

    #[test]
    fn awkward_numbers_are_exact() {
        for text in [
            "0",
            "-0",
            "-0.0",
            "0.1",
            "1e22",
            "1e23",
            "9007199254740993",
            "5e-324",
            "2.5e-324",
            "1.7976931348623157e308",
            "1e999",
            "123456789012345678901234567890",
            "0.30000000000000004",
            "9007199254740992.5",
            "4503599627370497.5",
            "18446744073709551615e-1",
            "0.000000000000000000000000000123456789",
            "1.0E+2",
            "0e5",
            "1e-400",
        ] {
            agrees_with_std(text);
        }
    }

    #[test]
    fn what_json_does_not_allow_is_no_number() {
        for text in ["", "-", ".5", "1.", "1.e3", "1e", "1e+", "+1", "x", "-x", "NaN"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
        assert_eq!(number(b"01"), Some((0.0, 1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_double_round_trips(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            agrees_with_std(&format!("{value}"));
            agrees_with_std(&format!("{value:e}"));
        }

        #[test]
        fn any_decimal_is_rounded_as_std_does(digits in "(0|[1-9][0-9]{0,19})", point in "(\\.[0-9]{1,24})?", exponent in proptest::option::of(-40i32..40)) {
            let exponent = exponent.map_or(String::new(), |exponent| format!("e{exponent}"));
            agrees_with_std(&format!("{digits}{point}{exponent}"));
        }
    }
}
