//! Text in, in pieces; what can be said of it in any language out. None of the text itself is kept.
//!
//! Words are what white space parts, also where a script is written without it. Digits are all
//! numeric characters, punctuation is ASCII's (with its symbols) and that of the larger scripts, and
//! the script is a letter's by ranges of Unicode's blocks.

use super::rows::Cell;

/// How many columns [`TextStats::cells`] fills.
pub(super) const CELLS: usize = 7;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TextStats {
    characters: u64,
    words: u64,
    digits: u64,
    punctuation: u64,
    upper: u64,
    non_ascii: u64,
    letters: [u64; Script::ALL.len()],
    in_word: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Cyrillic,
    Greek,
    Han,
    Kana,
    Hangul,
    Arabic,
    Hebrew,
    Devanagari,
    Bengali,
    Tamil,
    Thai,
    Other,
}

impl TextStats {
    /// Takes the next piece; a word may go on from the last.
    pub(super) fn push(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let ascii = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
            let (run, behind) = rest.split_at(ascii);
            self.push_ascii(run.as_bytes());
            let wide = behind.find(|c: char| c.is_ascii()).unwrap_or(behind.len());
            behind[..wide].chars().for_each(|c| self.push_wide(c));
            rest = &behind[wide..];
        }
    }

    /// The next piece is another text: no word goes on into it.
    pub(super) fn end_text(&mut self) {
        self.in_word = false;
    }

    /// Whether the next piece may go on with a word.
    pub(super) fn in_word(&self) -> bool {
        self.in_word
    }

    pub(super) fn set_in_word(&mut self, in_word: bool) {
        self.in_word = in_word;
    }

    /// What was pushed into `other` now counts here too.
    pub(super) fn merge(&mut self, other: &Self) {
        self.characters += other.characters;
        self.words += other.words;
        self.digits += other.digits;
        self.punctuation += other.punctuation;
        self.upper += other.upper;
        self.non_ascii += other.non_ascii;
        for (own, others) in self.letters.iter_mut().zip(other.letters) {
            *own += others;
        }
        self.in_word = other.in_word;
    }

    pub(super) fn characters(&self) -> u64 {
        self.characters
    }

    /// Characters, words, shares of digits, punctuation, upper case and non-ASCII, and the script of
    /// most letters. Of no text there are no shares, and without letters there is no script.
    pub(super) fn cells(&self) -> [Cell<'static>; CELLS] {
        let share = |count: u64| match self.characters {
            0 => Cell::Null,
            all => Cell::Number(count as f64 / all as f64),
        };
        [
            Cell::Number(self.characters as f64),
            Cell::Number(self.words as f64),
            share(self.digits),
            share(self.punctuation),
            share(self.upper),
            share(self.non_ascii),
            self.script().map_or(Cell::Null, |script| Cell::Text(script.as_str())),
        ]
    }

    /// One loop a class, over bytes and without branches: so each becomes vector instructions.
    fn push_ascii(&mut self, run: &[u8]) {
        let Some(last) = run.last() else { return };
        let digits = count(run, |byte| byte.is_ascii_digit());
        let letters = count(run, |byte| byte.is_ascii_alphabetic());
        self.characters += run.len() as u64;
        self.digits += digits;
        self.letters[Script::Latin as usize] += letters;
        self.upper += count(run, |byte| byte.is_ascii_uppercase());
        self.punctuation += count(run, |byte| byte.is_ascii_graphic()) - digits - letters;
        self.words += u64::from(!self.in_word && !is_space(run[0])) + word_starts(run);
        self.in_word = !is_space(*last);
    }

    fn push_wide(&mut self, c: char) {
        self.characters += 1;
        self.non_ascii += 1;
        let is_space = c.is_whitespace();
        self.words += u64::from(!is_space && !self.in_word);
        self.in_word = !is_space;
        self.digits += u64::from(c.is_numeric());
        self.punctuation += u64::from(is_wide_punctuation(c));
        self.upper += u64::from(c.is_uppercase());
        if c.is_alphabetic() {
            self.letters[Script::of(c) as usize] += 1;
        }
    }

    /// The script of most letters; of equally many, the one that [`Script::ALL`] names first.
    fn script(&self) -> Option<Script> {
        let most = *self.letters.iter().max()?;
        let first = self.letters.iter().position(|count| *count == most)?;
        Script::ALL.get(first).copied().filter(|_| most > 0)
    }
}

/// Sums of bytes, so that many are added at once; none can overflow in so few.
fn count(run: &[u8], is_one: impl Fn(u8) -> bool) -> u64 {
    let sum = |part: &[u8]| part.iter().map(|byte| u8::from(is_one(*byte))).sum::<u8>();
    run.chunks(128).map(|part| u64::from(sum(part))).sum()
}

/// Words that start behind the first byte.
fn word_starts(run: &[u8]) -> u64 {
    let starts = |(before, byte): (&u8, &u8)| u8::from(is_space(*before) & !is_space(*byte));
    let pairs = run.chunks(128).zip(run[1..].chunks(128));
    pairs.map(|(before, at)| u64::from(before.iter().zip(at).map(starts).sum::<u8>())).sum()
}

/// As `char::is_whitespace` has it, of ASCII.
fn is_space(byte: u8) -> bool {
    (byte == b' ') | (byte.wrapping_sub(b'\t') < 5)
}

fn is_wide_punctuation(c: char) -> bool {
    matches!(c,
        '¡' | '§' | '«' | '¶' | '·' | '»' | '¿' | '\u{589}' | '\u{5be}' | '\u{60c}' | '\u{61b}'
        | '\u{61f}' | '\u{66a}'..='\u{66d}' | '\u{6d4}' | '\u{964}' | '\u{965}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}'
        | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{30fb}' | '\u{ff01}'..='\u{ff0f}'
        | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}')
}

impl Script {
    const ALL: [Self; 13] = [
        Self::Latin,
        Self::Cyrillic,
        Self::Greek,
        Self::Han,
        Self::Kana,
        Self::Hangul,
        Self::Arabic,
        Self::Hebrew,
        Self::Devanagari,
        Self::Bengali,
        Self::Tamil,
        Self::Thai,
        Self::Other,
    ];

    /// Of a letter.
    fn of(c: char) -> Self {
        match u32::from(c) {
            0..=0x24f | 0x1e00..=0x1eff | 0x2c60..=0x2c7f | 0xa720..=0xa7ff | 0xff21..=0xff5a => {
                Self::Latin
            }
            0x370..=0x3ff | 0x1f00..=0x1fff => Self::Greek,
            0x400..=0x52f | 0x1c80..=0x1c8f | 0x2de0..=0x2dff | 0xa640..=0xa69f => Self::Cyrillic,
            0x590..=0x5ff => Self::Hebrew,
            0x600..=0x6ff | 0x750..=0x77f | 0x8a0..=0x8ff | 0xfb50..=0xfdff | 0xfe70..=0xfeff => {
                Self::Arabic
            }
            0x900..=0x97f => Self::Devanagari,
            0x980..=0x9ff => Self::Bengali,
            0xb80..=0xbff => Self::Tamil,
            0xe00..=0xe7f => Self::Thai,
            0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7af => Self::Hangul,
            0x3040..=0x30ff | 0x31f0..=0x31ff | 0xff66..=0xff9f => Self::Kana,
            0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff => Self::Han,
            _ => Self::Other,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Latin => "latin",
            Self::Cyrillic => "cyrillic",
            Self::Greek => "greek",
            Self::Han => "han",
            Self::Kana => "kana",
            Self::Hangul => "hangul",
            Self::Arabic => "arabic",
            Self::Hebrew => "hebrew",
            Self::Devanagari => "devanagari",
            Self::Bengali => "bengali",
            Self::Tamil => "tamil",
            Self::Thai => "thai",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> TextStats {
        let mut stats = TextStats::default();
        stats.push(text);
        stats
    }

    fn counts(text: &str) -> [u64; 6] {
        let TextStats { characters, words, digits, punctuation, upper, non_ascii, .. } = of(text);
        [characters, words, digits, punctuation, upper, non_ascii]
    }

    fn script(text: &str) -> Option<&'static str> {
        of(text).script().map(Script::as_str)
    }

    #[test]
    fn counts_are_those_made_by_hand() {
        assert_eq!(counts(""), [0; 6]);
        assert_eq!(counts("Hello, World 42!"), [16, 3, 2, 2, 2, 0]);
        assert_eq!(counts("  a\t\u{b}b\n"), [7, 2, 0, 0, 0, 0]);
        // Ü is upper case, ß is not, “ and ” are punctuation, ² is numeric, 🦀 is none of these.
        assert_eq!(counts("Über “Maß” x² 🦀"), [15, 4, 1, 2, 2, 6]);
        assert_eq!(counts("你好，世界。２"), [7, 1, 1, 2, 0, 7]);
        // A no-break space parts words.
        assert_eq!(counts("a\u{a0}b"), [3, 2, 0, 0, 0, 1]);
    }

    #[test]
    fn shares_are_of_all_characters() {
        let cells = of("Ab1.").cells();
        let quarter = Cell::Number(0.25);
        assert_eq!(cells[..2], [Cell::Number(4.0), Cell::Number(1.0)]);
        assert_eq!(cells[2..5], [quarter; 3]);
        assert_eq!(cells[5..], [Cell::Number(0.0), Cell::Text("latin")]);
        let nothing = of("").cells();
        assert_eq!(nothing[..2], [Cell::Number(0.0); 2]);
        assert_eq!(nothing[2..], [Cell::Null; 5]);
    }

    #[test]
    fn the_script_is_that_of_most_letters() {
        for (text, expected) in [
            ("tax", "latin"),
            ("Řeka ß", "latin"),
            ("Привет, bot", "cyrillic"),
            ("αβγ x", "greek"),
            ("漢字かな交じり文", "han"),
            ("ひらがな", "kana"),
            ("안녕하세요", "hangul"),
            ("مرحبا", "arabic"),
            ("שלום", "hebrew"),
            ("नमस्ते", "devanagari"),
            ("বাংলা", "bengali"),
            ("தமிழ்", "tamil"),
            ("สวัสดี", "thai"),
            ("ქართული", "other"),
            ("aб", "latin"),
        ] {
            assert_eq!(script(text), Some(expected), "{text}");
        }
        assert_eq!(script("12 + 3 = 🦀"), None);
    }

    #[test]
    fn long_texts_do_not_overflow_the_sums() {
        let text = "A1. ".repeat(1000);
        assert_eq!(counts(&text), [4000, 1000, 1000, 1000, 1000, 0]);
    }

    proptest! {
        #[test]
        fn any_split_of_a_text_counts_the_same(pieces in prop::collection::vec("[ a-zA-Z0-9.,é中🦀\n]{0,200}", 0..6)) {
            let mut stats = TextStats::default();
            for piece in &pieces {
                stats.push(piece);
            }
            prop_assert_eq!(&stats, &of(&pieces.concat()));
            let mut merged = TextStats::default();
            for piece in &pieces {
                let mut part = TextStats::default();
                part.set_in_word(merged.in_word());
                part.push(piece);
                merged.merge(&part);
            }
            prop_assert_eq!(merged, stats);
        }

        #[test]
        fn counts_are_those_of_the_standard_library(text: String) {
            let is = |f: fn(char) -> bool| text.chars().filter(|c| f(*c)).count() as u64;
            let [characters, words, digits, _, upper, non_ascii] = counts(&text);
            prop_assert_eq!(characters, is(|_| true));
            prop_assert_eq!(words, text.split_whitespace().count() as u64);
            prop_assert_eq!(digits, is(char::is_numeric));
            prop_assert_eq!(upper, is(char::is_uppercase));
            prop_assert_eq!(non_ascii, is(|c| !c.is_ascii()));
        }
    }
}
