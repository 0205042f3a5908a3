//! Seeds for the small parts of a document: keys, strings, lists of names, shapes.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use std::fmt;

/// A key, as its position among those that are known.
#[derive(Clone, Copy)]
pub(super) struct KeySeed<'k>(pub(super) &'k [&'static str]);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| *known == key))
    }
}

/// A string into memory that is there already. `null` is the empty string.
pub(super) struct StringSeed<'s>(pub(super) &'s mut String);

impl<'de> DeserializeSeed<'de> for StringSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for StringSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.clear();
        self.0.push_str(text);
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.visit_str(&number.to_string())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.clear();
        Ok(())
    }
}

/// The names of columns. Numbers that only count the columns, as pandas writes for an unnamed frame,
/// are no names: the list is then empty.
pub(super) struct NamesSeed<'s>(pub(super) &'s mut Vec<String>);

impl<'de> DeserializeSeed<'de> for NamesSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NamesSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names of columns")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.clear();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut len = 0;
        let mut counts = true;
        loop {
            if self.0.len() == len {
                self.0.push(String::new());
            }
            if seq.next_element_seed(StringSeed(&mut self.0[len]))?.is_none() {
                break;
            }
            counts &= self.0[len].parse() == Ok(len);
            len += 1;
        }
        self.0.truncate(if counts { 0 } else { len });
        Ok(())
    }
}

/// The lengths of a tensor's dimensions.
pub(super) struct ShapeSeed<'s>(pub(super) &'s mut Vec<usize>);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shape of a tensor")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if !(0.0..=1e15).contains(&number) || number.fract() != 0.0 {
            return Err(E::custom("no length"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number from 0 to 10^15, checked above"
        )]
        self.0.push(number as usize);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(ShapeSeed(self.0))?.is_some() {}
        Ok(())
    }
}

/// The length that an object's member of this name is, if it has one.
pub(super) struct LengthOf(pub(super) [&'static str; 1]);

impl<'de> DeserializeSeed<'de> for LengthOf {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LengthOf {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key_seed(KeySeed(&self.0))? {
            if key.is_none() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let mut lengths = Vec::with_capacity(1);
            map.next_value_seed(ShapeSeed(&mut lengths))?;
            let [length] = lengths[..] else { return Err(A::Error::custom("no length")) };
            found = Some(length);
        }
        Ok(found)
    }
}
