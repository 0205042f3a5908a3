//! Eight bytes of text as one word, the first the lowest, so that they are looked at all at once.

/// The bytes from `at` on; behind the end of the text come zeros.
#[inline]
pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => last_word(rest),
    }
}

#[cold]
fn last_word(rest: &[u8]) -> u64 {
    rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// How many bytes come before one that a JSON string does not hold as it is: a quote, a backslash, a
/// control character.
#[inline]
pub(super) fn plain_bytes(word: u64) -> usize {
    // A byte is below n where `(byte - n) & !byte` has its top bit; what it borrows reaches later ones.
    let below = |word: u64, n: u8| word.wrapping_sub(ONES * u64::from(n)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let special = (is(b'"') | is(b'\\') | below(word, b' ')) & (ONES << 7);
    special.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn plain_bytes_are_counted_as_one_by_one(bytes: [u8; 8], at in 0usize..=8, special in "[\"\\\\\u{0}-\u{1f}]") {
            let mut bytes = bytes;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = special.as_bytes()[0];
            }
            let plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..=0x1F);
            let expected = bytes.iter().take_while(|byte| plain(byte)).count();
            prop_assert_eq!(plain_bytes(word(&bytes, 0)), expected);
        }
    }

    #[test]
    fn a_word_at_the_end_is_filled_with_zeros() {
        assert_eq!(word(b"0123", 1), u64::from_le_bytes(*b"123\0\0\0\0\0"));
        assert_eq!(word(b"0123", 4), 0);
    }
}
