//! A pandas frame in its `split` form in, cells out: `{"columns": […], "index": […], "data": [[…]]}`.

use super::members::{KeySeed, NamesSeed};
use super::problem::Problem;
use super::shape::{Object, RowsSeed, stopped};
use super::table::Table;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a value in the place of a frame turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framed {
    Rows,
    /// There were members that a frame does not have.
    RowsAndMore,
    NoRows,
}

/// A frame, or an array of rows.
pub(super) struct FrameSeed<'t> {
    pub(super) table: &'t mut Table,
    /// Receives the names that the frame lists.
    pub(super) names: &'t mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for FrameSeed<'_> {
    type Value = Framed;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Framed, D::Error> {
        deserializer.deserialize_any(self)
    }
}

const FRAME_KEYS: [&str; 3] = ["columns", "data", "index"];

impl<'de> Visitor<'de> for FrameSeed<'_> {
    type Value = Framed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Framed, A::Error> {
        let rows = RowsSeed { table: self.table, object: Object::Columns };
        rows.visit_seq(seq).map(|_| Framed::Rows)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Framed, A::Error> {
        let Self { table, names } = self;
        let (mut framed, mut has_data) = (Framed::Rows, false);
        while let Some(key) = map.next_key_seed(KeySeed(&FRAME_KEYS))? {
            match key {
                Some(0) => map.next_value_seed(NamesSeed(names))?,
                Some(1) if !has_data => {
                    has_data = true;
                    map.next_value_seed(ArrayOfRows { table })?;
                }
                other => {
                    if other.is_none() {
                        framed = Framed::RowsAndMore;
                    }
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !has_data {
            framed = Framed::NoRows;
        }
        if names.len() > table.limits().max_columns {
            return Err(stopped(table.stop(Problem::TooManyColumns)));
        }
        table.widen(names.len()).map_err(stopped)?;
        Ok(framed)
    }
}

/// `data` of a frame: nothing but an array will do.
struct ArrayOfRows<'t> {
    table: &'t mut Table,
}

impl<'de> DeserializeSeed<'de> for ArrayOfRows<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ArrayOfRows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Err(E::custom("no rows"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        RowsSeed { table: self.table, object: Object::Columns }.visit_seq(seq).map(|_| ())
    }
}
