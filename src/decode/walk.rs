//! Documents of which a few members matter: a [`Node`] says which, and takes their values.
//!
//! Whatever a member holds instead of what it should is passed over: it is checked to be JSON and
//! counts as absent.

use super::members::KeySeed;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value that is taken whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'a str),
    /// An array or an object, which was passed over.
    Nested,
}

impl<'a> Scalar<'a> {
    pub(super) fn number(self) -> Option<f64> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    pub(super) fn truth(self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(truth) } else { None }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// A place in documents.
pub(super) trait Node {
    const KEYS: &'static [&'static str];

    /// Those that matter.
    fn keys(&self) -> &'static [&'static str] {
        Self::KEYS
    }

    /// Takes the value of one of [`Node::keys`] from `map`.
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error>;

    /// An object starts here, one of a list maybe.
    fn begin_object(&mut self) {}

    fn end_object(&mut self) {}

    fn end_list(&mut self) {}

    fn scalar(&mut self, _value: Scalar<'_>) {}
}

/// Reads a value into a node: an object, or each element of a list of such.
pub(super) struct Walk<'n, N>(pub(super) &'n mut N);

impl<'de, N: Node> DeserializeSeed<'de> for Walk<'_, N> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, N: Node> Visitor<'de> for Walk<'_, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.begin_object();
        let keys = self.0.keys();
        while let Some(key) = map.next_key_seed(KeySeed(keys))? {
            match key.and_then(|position| keys.get(position)) {
                Some(key) => self.0.member(key, &mut map)?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        self.0.end_object();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Walk(&mut *self.0))?.is_some() {}
        self.0.end_list();
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.0.scalar(Scalar::Number(number));
        Ok(())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.0.scalar(Scalar::Bool(truth));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.scalar(Scalar::Text(text));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.scalar(Scalar::Null);
        Ok(())
    }
}

/// An object, or each of a list of such, of which one member matters: a scalar.
pub(super) struct Only<F> {
    pub(super) key: &'static [&'static str],
    pub(super) take: F,
}

impl<F: FnMut(Scalar<'_>)> Node for Only<F> {
    const KEYS: &'static [&'static str] = &[];

    fn keys(&self) -> &'static [&'static str] {
        self.key
    }

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        _key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        map.next_value_seed(scalar(&mut self.take))
    }
}

/// Hands one value to `take`.
pub(super) fn scalar<F: FnOnce(Scalar<'_>)>(take: F) -> ScalarSeed<F> {
    ScalarSeed(take)
}

pub(super) struct ScalarSeed<F>(F);

impl<'de, F: FnOnce(Scalar<'_>)> DeserializeSeed<'de> for ScalarSeed<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnOnce(Scalar<'_>)> Visitor<'de> for ScalarSeed<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        (self.0)(Scalar::Nested);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        (self.0)(Scalar::Nested);
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        (self.0)(Scalar::Number(number));
        Ok(())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        (self.0)(Scalar::Bool(truth));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        (self.0)(Scalar::Text(text));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        (self.0)(Scalar::Null);
        Ok(())
    }
}
