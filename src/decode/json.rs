//! JSON text in, calls of a serde visitor out: a reader for [`serde::Deserializer`]'s callers that
//! want columns.
//!
//! It accepts what RFC 8259 does, and `NaN`, `Infinity` and `-Infinity`, which Python's `json` writes.
//! Numbers reach the visitor as `f64` alone. A property test holds it to `serde_json`'s verdict on
//! every document.
//!
//! What it costs beside `serde_json::Value` is measured in `benches/decode.rs`.

use super::number::number;
use super::word::{plain_bytes, word};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Why a document was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonError {
    /// The text ends before its value does.
    Truncated,
    Syntax,
    TooDeep,
    /// The visitor refused what it met.
    Refused,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the text ends before its value does",
            Self::Syntax => "not JSON",
            Self::TooDeep => "nested too deep",
            Self::Refused => "a value of another shape was expected",
        })
    }
}

impl std::error::Error for JsonError {}

impl de::Error for JsonError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Refused
    }
}

type Read<T> = Result<T, JsonError>;

pub(super) struct Reader<'de, 's> {
    text: &'de str,
    bytes: &'de [u8],
    at: usize,
    /// Levels of nesting still allowed.
    depth_left: usize,
    /// Where strings with escapes are unescaped; the caller's, so that it is allocated once.
    unescaped: &'s mut String,
}

impl<'de, 's> Reader<'de, 's> {
    pub(super) fn new(text: &'de str, max_depth: usize, unescaped: &'s mut String) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth_left: max_depth, unescaped }
    }

    /// Reads one value that fills the whole text.
    pub(super) fn read<S: DeserializeSeed<'de>>(mut self, seed: S) -> Read<S::Value> {
        let value = seed.deserialize(&mut self)?;
        match self.next_byte() {
            Err(JsonError::Truncated) => Ok(value),
            _ => Err(JsonError::Syntax),
        }
    }

    /// The next byte that is no white space, not consumed.
    #[inline]
    fn next_byte(&mut self) -> Read<u8> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte > b' ' => Ok(*byte),
            _ => self.after_white_space(),
        }
    }

    #[inline(never)]
    fn after_white_space(&mut self) -> Read<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(JsonError::Truncated),
            }
        }
    }

    fn literal(&mut self, word: &str) -> Read<()> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.as_bytes().starts_with(rest) {
            JsonError::Truncated
        } else {
            JsonError::Syntax
        })
    }

    #[expect(clippy::inline_always, reason = "as for `number` itself")]
    #[inline(always)]
    fn number(&mut self) -> Read<f64> {
        match number(&self.bytes[self.at..]) {
            Some((value, len)) => {
                self.at += len;
                Ok(value)
            }
            None => self.no_number(),
        }
    }

    #[cold]
    fn no_number(&mut self) -> Read<f64> {
        let rest = &self.bytes[self.at..];
        let digits = rest.strip_prefix(b"-").unwrap_or(rest);
        if let [b'I', ..] = digits {
            return self.literal("-Infinity").map(|()| f64::NEG_INFINITY);
        }
        let zero_leads = matches!(digits, [b'0', b'0'..=b'9', ..]);
        let cut =
            rest.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        Err(if cut && !zero_leads { JsonError::Truncated } else { JsonError::Syntax })
    }

    /// Consumes the opening quote and what follows up to the closing one; says whether it was escaped.
    #[inline]
    fn string(&mut self) -> Read<Text<'de>> {
        self.at += 1;
        let start = self.at;
        if self.end_of_plain()? == b'\\' {
            return self.escaped_string(start);
        }
        let text = self.text.get(start..self.at).ok_or(JsonError::Syntax)?;
        self.at += 1;
        Ok(Text::Borrowed(text))
    }

    /// Goes to the quote or the backslash that comes next, and does not consume it.
    #[inline]
    fn end_of_plain(&mut self) -> Read<u8> {
        loop {
            let count = plain_bytes(word(self.bytes, self.at));
            self.at += count;
            if count < 8 {
                break;
            }
        }
        match self.bytes.get(self.at) {
            Some(byte @ (b'"' | b'\\')) => Ok(*byte),
            Some(_) => Err(JsonError::Syntax),
            None => Err(JsonError::Truncated),
        }
    }

    #[cold]
    fn escaped_string(&mut self, mut start: usize) -> Read<Text<'de>> {
        self.unescaped.clear();
        loop {
            let end = self.end_of_plain()?;
            self.unescaped.push_str(self.text.get(start..self.at).ok_or(JsonError::Syntax)?);
            self.at += 1;
            if end == b'"' {
                return Ok(Text::Unescaped);
            }
            let character = self.escape()?;
            self.unescaped.push(character);
            start = self.at;
        }
    }

    fn escape(&mut self) -> Read<char> {
        let byte = *self.bytes.get(self.at).ok_or(JsonError::Truncated)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(JsonError::Syntax),
        })
    }

    fn unicode_escape(&mut self) -> Read<char> {
        let unit = self.hex4()?;
        let code = if (0xD800..0xDC00).contains(&unit) {
            self.literal("\\u")?;
            let low = self.hex4()?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err(JsonError::Syntax);
            }
            0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
        } else {
            unit
        };
        char::from_u32(code).ok_or(JsonError::Syntax)
    }

    fn hex4(&mut self) -> Read<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let byte = *self.bytes.get(self.at).ok_or(JsonError::Truncated)?;
            value = value << 4 | char::from(byte).to_digit(16).ok_or(JsonError::Syntax)?;
            self.at += 1;
        }
        Ok(value)
    }

    fn enter(&mut self) -> Read<()> {
        self.at += 1;
        self.depth_left = self.depth_left.checked_sub(1).ok_or(JsonError::TooDeep)?;
        Ok(())
    }

    /// Before an element: consumes a comma, or the closing byte, which ends the list.
    #[inline]
    fn more(&mut self, close: u8, first: bool) -> Read<bool> {
        let byte = self.next_byte()?;
        if byte == close {
            self.at += 1;
            self.depth_left += 1;
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        if byte != b',' {
            return Err(JsonError::Syntax);
        }
        // That the list does not end here is for the element to find: no value starts with `close`.
        self.at += 1;
        Ok(true)
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.next_byte()? == byte { Ok(()) } else { Err(JsonError::Syntax) }
    }

    #[inline]
    fn colon(&mut self) -> Read<()> {
        self.expect(b':')?;
        self.at += 1;
        Ok(())
    }

    /// Checks a value and forgets it: nothing is converted or copied.
    fn skip(&mut self) -> Read<()> {
        match self.next_byte()? {
            b'{' => self.skip_list(b'}'),
            b'[' => self.skip_list(b']'),
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            _ => self.word().map(drop),
        }
    }

    fn skip_list(&mut self, close: u8) -> Read<()> {
        self.enter()?;
        let mut first = true;
        while self.more(close, first)? {
            first = false;
            if close == b'}' {
                self.expect(b'"')?;
                self.string()?;
                self.colon()?;
            }
            self.skip()?;
        }
        Ok(())
    }

    /// A value that is spelled as a word.
    fn word(&mut self) -> Read<Word> {
        Ok(match self.next_byte()? {
            b't' => self.literal("true").map(|()| Word::Bool(true))?,
            b'f' => self.literal("false").map(|()| Word::Bool(false))?,
            b'n' => self.literal("null").map(|()| Word::Null)?,
            b'N' => self.literal("NaN").map(|()| Word::Number(f64::NAN))?,
            b'I' => self.literal("Infinity").map(|()| Word::Number(f64::INFINITY))?,
            _ => return Err(JsonError::Syntax),
        })
    }
}

impl<'de> Reader<'de, '_> {
    #[inline(never)]
    fn visit_other<V: Visitor<'de>>(&mut self, byte: u8, visitor: V) -> Read<V::Value> {
        match byte {
            b'[' => {
                self.enter()?;
                let mut list = List { reader: self, first: true, done: false };
                let value = visitor.visit_seq(&mut list)?;
                if list.done { Ok(value) } else { Err(JsonError::Refused) }
            }
            b'{' => {
                self.enter()?;
                let mut list = List { reader: self, first: true, done: false };
                let value = visitor.visit_map(&mut list)?;
                if list.done { Ok(value) } else { Err(JsonError::Refused) }
            }
            b'"' => self.read_string(visitor),
            _ => match self.word()? {
                Word::Number(number) => visitor.visit_f64(number),
                Word::Bool(value) => visitor.visit_bool(value),
                Word::Null => visitor.visit_unit(),
            },
        }
    }

    #[inline]
    fn read_string<V: Visitor<'de>>(&mut self, visitor: V) -> Read<V::Value> {
        match self.string()? {
            Text::Borrowed(text) => visitor.visit_borrowed_str(text),
            Text::Unescaped => visitor.visit_str(self.unescaped),
        }
    }
}

enum Text<'de> {
    Borrowed(&'de str),
    /// In the reader's `unescaped`.
    Unescaped,
}

enum Word {
    Null,
    Bool(bool),
    Number(f64),
}

impl<'de> Deserializer<'de> for &mut Reader<'de, '_> {
    type Error = JsonError;

    /// Small enough to be a part of every loop over elements; what is no number is called.
    #[expect(clippy::inline_always, reason = "a part of the loop over elements, as `number` is")]
    #[inline(always)]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.next_byte()? {
            b'-' | b'0'..=b'9' => visitor.visit_f64(self.number()?),
            byte => self.visit_other(byte, visitor),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.next_byte()? {
            b'"' => self.read_string(visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// The elements of an array or the members of an object.
struct List<'r, 'de, 's> {
    reader: &'r mut Reader<'de, 's>,
    first: bool,
    done: bool,
}

impl List<'_, '_, '_> {
    #[inline]
    fn more(&mut self, close: u8) -> Read<bool> {
        let more = self.reader.more(close, self.first)?;
        self.first = false;
        self.done = !more;
        Ok(more)
    }
}

impl<'de> SeqAccess<'de> for &mut List<'_, 'de, '_> {
    type Error = JsonError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        if self.more(b']')? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for &mut List<'_, 'de, '_> {
    type Error = JsonError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        if !self.more(b'}')? {
            return Ok(None);
        }
        self.reader.expect(b'"')?;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        self.reader.colon()?;
        seed.deserialize(&mut *self.reader)
    }
}

#[cfg(test)]
mod tests;
