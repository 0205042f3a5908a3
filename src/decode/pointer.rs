//! JSON pointers (RFC 6901): which part of a document holds the rows.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Where the rows of requests and of responses stand, in JSON of no known dialect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pointers {
    pub inputs: Option<Pointer>,
    pub outputs: Option<Pointer>,
}

/// A JSON pointer (RFC 6901), such as `/payload/rows` or, for the whole document, the empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    tokens: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    #[error("the JSON pointer `{0}` must be empty or start with `/`, as in `/payload/rows`")]
    NoSlash(String),
    #[error("the JSON pointer `{0}` has a `~` that is neither `~0` (for `~`) nor `~1` (for `/`)")]
    Escape(String),
}

impl std::str::FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self { tokens: Vec::new() });
        }
        let rest = text.strip_prefix('/').ok_or_else(|| PointerError::NoSlash(text.to_owned()))?;
        let tokens =
            rest.split('/').map(|token| unescape(token, text)).collect::<Result<_, _>>()?;
        Ok(Self { tokens })
    }
}

fn unescape(token: &str, whole: &str) -> Result<String, PointerError> {
    let mut parts = token.split('~');
    let mut unescaped = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (character, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', &part[1..]),
            Some(b'1') => ('/', &part[1..]),
            _ => return Err(PointerError::Escape(whole.to_owned())),
        };
        unescaped.push(character);
        unescaped.push_str(rest);
    }
    Ok(unescaped)
}

impl Pointer {
    /// Reads `seed` at the place the pointer leads to, skipping all else; `None` if it leads nowhere.
    pub(super) fn seed<S>(&self, seed: S) -> PointerSeed<'_, S> {
        PointerSeed { tokens: &self.tokens, seed }
    }
}

pub(super) struct PointerSeed<'p, S> {
    tokens: &'p [String],
    seed: S,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for PointerSeed<'_, S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.tokens.is_empty() {
            return self.seed.deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for PointerSeed<'_, S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (token, tokens) = (&self.tokens[0], &self.tokens[1..]);
        // RFC 6901 §4: no leading zeros, and `-` is the element after the last, which is not there.
        let wanted = token.parse::<usize>().ok().filter(|index| index.to_string() == *token);
        let mut seed = Some(self.seed);
        let (mut index, mut value) = (0, None);
        loop {
            let here = if Some(index) == wanted { seed.take() } else { None };
            let more = match here {
                Some(seed) => {
                    let found = seq.next_element_seed(PointerSeed { tokens, seed })?;
                    let more = found.is_some();
                    value = found.flatten();
                    more
                }
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                return Ok(value);
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (token, tokens) = (&self.tokens[0], &self.tokens[1..]);
        let mut seed = Some(self.seed);
        let mut value = None;
        while let Some(matches) = map.next_key_seed(Matches(token))? {
            match seed.take_if(|_| matches) {
                Some(seed) => value = map.next_value_seed(PointerSeed { tokens, seed })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(value)
    }
}

/// Whether a key is this one.
struct Matches<'t>(&'t str);

impl<'de> DeserializeSeed<'de> for Matches<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Matches<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_tilde_and_slash() {
        let pointer: Pointer = "/a~1b/m~0n/~01".parse().unwrap();
        assert_eq!(pointer.tokens, ["a/b", "m~n", "~1"]);
        assert_eq!("".parse::<Pointer>().unwrap().tokens, [""; 0]);
        assert_eq!("/".parse::<Pointer>().unwrap().tokens, [""]);
    }

    #[test]
    fn what_is_no_pointer_says_what_one_is() {
        let message = |text: &str| text.parse::<Pointer>().unwrap_err().to_string();
        assert!(message("rows").contains("must be empty or start with `/`"));
        assert!(message("/a~2").contains("neither `~0`"));
    }
}
