//! Digits in, the nearest `f64` out: exactly what `str::parse` gives.
//!
//! Numbers are most of a tensor's bytes, so they decide what decoding costs. Three roads, each
//! correctly rounded: small mantissas by one exact multiplication or division (Clinger 1990), longer
//! ones by a 64-bit reciprocal whose error is bounded and checked, the rest by the standard library.
//! Digits are read eight bytes at a time, and a number that ends within eight is read without a loop.

use super::word::word;

/// A JSON number (RFC 8259 §6) at the start of `bytes`: its value, and how many bytes it takes.
#[expect(clippy::inline_always, reason = "a part of the loop over elements, or a quarter slower")]
#[inline(always)]
pub(super) fn number(bytes: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let unsigned = &bytes[sign..];
    let (magnitude, len) = match unsigned.first_chunk().map_or(Start::Other, start) {
        Start::Whole { value, len } => (value, len),
        Start::Fraction { mantissa, point } => long_fraction(unsigned, mantissa, point)?,
        Start::Other => other(unsigned)?,
    };
    Some((f64::from_bits(magnitude.to_bits() ^ (sign as u64) << 63), len + sign))
}

/// What the first eight bytes of a number are.
enum Start {
    /// All of it, and it has no exponent.
    Whole { value: f64, len: usize },
    /// Seven digits and, before the one at `point`, the point. There may be more.
    Fraction { mantissa: u64, point: usize },
    /// Something else; it may be no number at all.
    Other,
}

#[expect(clippy::inline_always, reason = "as `number`, whose greater part it is")]
#[inline(always)]
fn start(eight: &[u8; 8]) -> Start {
    let word = u64::from_le_bytes(*eight);
    let values = word ^ ZEROS;
    let byte_at = |bits: u32| word >> bits & 0xFF;
    let is_exponent = |byte: u64| byte | 0x20 == u64::from(b'e');
    let Some(whole) = end_of_digits(values) else { return Start::Other };
    if whole == 0 || whole > 8 && eight[0] == b'0' || is_exponent(byte_at(whole)) {
        return Start::Other;
    }
    if byte_at(whole) != u64::from(b'.') {
        return Start::Whole { value: value(values << (64 - whole)) as f64, len: bytes_in(whole) };
    }
    // The point taken out, one run of digits is left; what is shifted in must not look like one.
    let below = (1 << whole) - 1;
    let joined = values & below | values >> 8 & !below | 1 << 63;
    let Some(digits) = end_of_digits(joined).filter(|digits| *digits > whole) else {
        return Start::Other;
    };
    let mantissa = value(joined << (64 - digits));
    if digits == 56 {
        return Start::Fraction { mantissa, point: bytes_in(whole) + 1 };
    }
    if is_exponent(byte_at(digits + 8)) {
        return Start::Other;
    }
    let scale = POWERS[bytes_in(digits - whole)];
    Start::Whole { value: mantissa as f64 / scale, len: bytes_in(digits) + 1 }
}

#[inline]
const fn bytes_in(bits: u32) -> usize {
    bits as usize / 8
}

#[inline(never)]
fn long_fraction(bytes: &[u8], mantissa: u64, point: usize) -> Option<(f64, usize)> {
    let (mantissa, at) = digits(bytes, 8, mantissa);
    finish(bytes, mantissa, point, at)
}

#[inline(never)]
fn other(bytes: &[u8]) -> Option<(f64, usize)> {
    let (mantissa, at) = digits(bytes, 0, 0);
    if at == 0 || at > 1 && bytes[0] == b'0' {
        return None;
    }
    if bytes.get(at) != Some(&b'.') {
        return finish(bytes, mantissa, at, at);
    }
    let point = at + 1;
    let (mantissa, at) = digits(bytes, point, mantissa);
    if at == point { None } else { finish(bytes, mantissa, point, at) }
}

/// The value of a decimal whose fraction starts at `point`, and which ends at `at` unless an exponent
/// follows. `mantissa` is its digits, wrapped if they are many.
#[expect(clippy::inline_always, reason = "it ends both of its callers")]
#[inline(always)]
fn finish(bytes: &[u8], mantissa: u64, point: usize, mut at: usize) -> Option<(f64, usize)> {
    let holds = at <= MAX_DIGITS || digit_count(&bytes[..at]) <= MAX_DIGITS;
    let mut exponent = i32::try_from(at - point).ok()?.checked_neg()?;
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let (written, end) = written_exponent(bytes, at + 1)?;
        (exponent, at) = (exponent.saturating_add(written), end);
    }
    match scaled(mantissa, exponent) {
        Some(value) if holds => Some((value, at)),
        _ => Some((std::str::from_utf8(&bytes[..at]).ok()?.parse().ok()?, at)),
    }
}

/// As many decimal digits as a `u64` surely holds.
const MAX_DIGITS: usize = 19;

/// Zeros in front do not count.
fn digit_count(decimal: &[u8]) -> usize {
    let significant = decimal.iter().skip_while(|byte| matches!(byte, b'0' | b'.'));
    significant.filter(|byte| **byte != b'.').count()
}

/// Appends the digits from `at` on to `mantissa`, which wraps; returns it with where they end. Eight
/// bytes at a time and without a branch a digit: how long numbers are cannot be predicted.
#[inline]
fn digits(bytes: &[u8], mut at: usize, mut mantissa: u64) -> (u64, usize) {
    const TEN_TO: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
    loop {
        let values = word(bytes, at) ^ ZEROS;
        let Some(end) = end_of_digits(values) else {
            mantissa = mantissa.wrapping_mul(100_000_000).wrapping_add(value(values));
            at += 8;
            continue;
        };
        if end > 0 {
            let count = bytes_in(end);
            let some = value(values << (64 - end));
            mantissa = mantissa.wrapping_mul(TEN_TO[count]).wrapping_add(some);
            at += count;
        }
        return (mantissa, at);
    }
}

/// Eight bytes without these bits are the values of eight digits, the first the lowest.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// At which bit the first byte starts that is no digit's value, if there is one.
#[inline]
fn end_of_digits(values: u64) -> Option<u32> {
    // What a byte that is no digit carries into the next does not matter: the first one counts.
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    (others != 0).then(|| others.trailing_zeros() & 0x38)
}

/// The number that eight digits are: pairs, then fours, then all, in one word.
#[inline]
fn value(values: u64) -> u64 {
    const PAIRS: u64 = 0x0000_00FF_0000_00FF;
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let upper = (pairs & PAIRS).wrapping_mul(0x000F_4240_0000_0064);
    let lower = ((pairs >> 16) & PAIRS).wrapping_mul(0x0000_2710_0000_0001);
    upper.wrapping_add(lower) >> 32
}

#[cold]
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
    let power = usize::try_from(exponent.unsigned_abs()).ok()?;
    match POWERS.get(power) {
        Some(scale) if mantissa <= EXACT && exponent <= 0 => Some(mantissa as f64 / scale),
        Some(scale) if mantissa <= EXACT => Some(mantissa as f64 * scale),
        _ if mantissa == 0 || exponent == 0 => Some(mantissa as f64),
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
        for text in
            ["", "-", ".5", "1.", "1.e3", "1e", "1e+", "+1", "x", "-x", "NaN", "01", "-00", "00.5"]
        {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
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
