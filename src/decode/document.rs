//! A JSON document in, the cells of the member that holds its rows out.
//!
//! One pass, in whatever order the members come. Where a member can be read in more than one way, the
//! likelier is tried; if it does not hold, the document is read again in the other ([`Reading`]).

use super::dialect::{Grammar, Holds};
use super::frame::{FrameSeed, Framed};
use super::members::{KeySeed, StringSeed};
use super::open_inference::{Listed, Tensors, TensorsSeed};
use super::pointer::Pointer;
use super::shape::{Object, RowsSeed};
use super::table::Table;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The choices between ways to read one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// `inputs` and `outputs` are tensors rather than rows.
    tensors: bool,
    /// `input_data` and `data` are frames rather than rows.
    frame: bool,
    object: Object,
    /// The document has members, rather than being the rows.
    members: bool,
}

impl Reading {
    pub(super) const LIKELIEST: Self =
        Self { tensors: true, frame: true, object: Object::Columns, members: true };
}

/// What one payload leaves beside its cells, in memory that serves the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) tensors: Tensors,
    /// Names that a payload lists apart from its rows.
    pub(super) listed: Vec<String>,
    pub(super) model_name: String,
    pub(super) model_version: String,
}

impl Scratch {
    pub(super) fn clear(&mut self) {
        self.tensors.clear();
        self.listed.clear();
        self.model_name.clear();
        self.model_version.clear();
    }
}

/// Where a document's rows were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// In the grammar's member of this position.
    Member(usize),
    /// In that member, as tensors that have yet to be placed.
    Tensors(usize),
    /// The document is the rows.
    Bare,
    Pointed,
}

#[derive(Clone, Copy)]
pub(super) enum Source<'g> {
    Grammar(&'g Grammar),
    Pointer(&'g Pointer),
}

pub(super) struct Document<'t> {
    pub(super) table: &'t mut Table,
    pub(super) scratch: &'t mut Scratch,
    pub(super) source: Source<'t>,
    pub(super) reading: Reading,
    pub(super) found: Option<Found>,
    /// The way to read the document should this one fail, or because it has.
    pub(super) otherwise: Option<Reading>,
}

/// This reading does not hold; [`Document::otherwise`] is the next.
fn reread<E: Error>() -> E {
    E::custom("to be read again")
}

impl Document<'_> {
    fn holds(&mut self) {
        self.otherwise = None;
    }
}

impl<'de> DeserializeSeed<'de> for &mut Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.source {
            Source::Grammar(_) => deserializer.deserialize_any(self),
            Source::Pointer(pointer) => {
                let object = self.reading.object;
                let found =
                    pointer.seed(Rows { document: self, object }).deserialize(deserializer)?;
                self.found = found.map(|()| Found::Pointed);
                Ok(())
            }
        }
    }
}

const MODEL_KEYS: [&str; 2] = ["model_name", "model_version"];

impl<'de> Visitor<'de> for &mut Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Source::Grammar(grammar) = self.source else { return Err(reread()) };
        if !self.reading.members {
            self.found = Some(Found::Bare);
            return Rows { object: self.reading.object, document: self }.visit_map(map);
        }
        self.read_members(*grammar, map)?;
        if self.found.is_none() && grammar.bare_object {
            self.otherwise = Some(Reading { members: false, ..self.reading });
            return Err(reread());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        self.bare()?;
        let rows = RowsSeed { table: self.table, object: Object::Columns };
        rows.visit_seq(seq).map(|_| ())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.bare()?;
        RowsSeed { table: self.table, object: Object::Columns }.visit_f64(value).map(|_| ())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.bare()?;
        RowsSeed { table: self.table, object: Object::Columns }.visit_bool(value).map(|_| ())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.bare()?;
        RowsSeed { table: self.table, object: Object::Columns }.visit_str(value).map(|_| ())
    }
}

impl Document<'_> {
    fn bare<E: Error>(&mut self) -> Result<(), E> {
        match self.source {
            Source::Grammar(grammar) if grammar.bare_rows => {
                self.found = Some(Found::Bare);
                Ok(())
            }
            _ => Err(E::custom("no bare rows here")),
        }
    }

    fn read_members<'de, A: MapAccess<'de>>(
        &mut self,
        grammar: Grammar,
        mut map: A,
    ) -> Result<(), A::Error> {
        let mut read = grammar.keys.len();
        while let Some(key) = map.next_key_seed(MemberSeed { keys: grammar.keys })? {
            match key {
                Some(Member::Rows(position)) if position < read => {
                    read = position;
                    self.table.begin();
                    self.scratch.tensors.clear();
                    self.scratch.listed.clear();
                    self.found = Some(Found::Member(position));
                    map.next_value_seed(Value { document: self, holds: grammar.holds[position] })?;
                }
                Some(Member::ModelName) => {
                    map.next_value_seed(StringSeed(&mut self.scratch.model_name))?;
                }
                Some(Member::ModelVersion) => {
                    map.next_value_seed(StringSeed(&mut self.scratch.model_version))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

enum Member {
    Rows(usize),
    ModelName,
    ModelVersion,
}

struct MemberSeed {
    keys: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for MemberSeed {
    type Value = Option<Member>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for MemberSeed {
    type Value = Option<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(match KeySeed(self.keys).visit_str(key)? {
            Some(position) => Some(Member::Rows(position)),
            None if key == MODEL_KEYS[0] => Some(Member::ModelName),
            None if key == MODEL_KEYS[1] => Some(Member::ModelVersion),
            None => None,
        })
    }
}

/// The member that holds the rows.
struct Value<'d, 't> {
    document: &'d mut Document<'t>,
    holds: Holds,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { document, holds } = self;
        let reading = document.reading;
        match holds {
            Holds::Tensors => document.read_tensors(None, deserializer),
            Holds::TensorsOrRows if reading.tensors => {
                document.read_tensors(Some(Reading { tensors: false, ..reading }), deserializer)
            }
            Holds::Frame => document.read_frame(None, deserializer),
            Holds::FrameOrRows if reading.frame => {
                document.read_frame(Some(Reading { frame: false, ..reading }), deserializer)
            }
            Holds::TensorsOrRows | Holds::FrameOrRows | Holds::Rows => {
                Rows { document, object: reading.object }.deserialize(deserializer)
            }
        }
    }
}

impl Document<'_> {
    fn read_tensors<'de, D: Deserializer<'de>>(
        &mut self,
        otherwise: Option<Reading>,
        deserializer: D,
    ) -> Result<(), D::Error> {
        self.otherwise = otherwise;
        let seed = TensorsSeed { table: self.table, tensors: &mut self.scratch.tensors };
        if seed.deserialize(deserializer)? == Listed::SomethingElse {
            return Err(reread());
        }
        if let Some(Found::Member(position)) = self.found {
            self.found = Some(Found::Tensors(position));
        }
        self.holds();
        Ok(())
    }

    fn read_frame<'de, D: Deserializer<'de>>(
        &mut self,
        otherwise: Option<Reading>,
        deserializer: D,
    ) -> Result<(), D::Error> {
        self.otherwise = otherwise;
        let seed = FrameSeed { table: self.table, names: &mut self.scratch.listed };
        match seed.deserialize(deserializer)? {
            Framed::NoRows => Err(reread()),
            Framed::RowsAndMore if otherwise.is_some() => Err(reread()),
            Framed::Rows | Framed::RowsAndMore => {
                self.holds();
                Ok(())
            }
        }
    }
}

/// Rows that stand anywhere in a document.
struct Rows<'d, 't> {
    document: &'d mut Document<'t>,
    object: Object,
}

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let seed = RowsSeed { table: self.document.table, object: self.object };
        if seed.deserialize(deserializer)?.is_ok() {
            return Ok(());
        }
        self.document.as_record()
    }
}

impl Rows<'_, '_> {
    fn visit_map<'de, A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let seed = RowsSeed { table: self.document.table, object: self.object };
        if seed.visit_map(map)?.is_ok() {
            return Ok(());
        }
        self.document.as_record()
    }
}

impl Document<'_> {
    fn as_record<E: Error>(&mut self) -> Result<(), E> {
        self.otherwise = Some(Reading { object: Object::Record, ..self.reading });
        Err(reread())
    }
}
