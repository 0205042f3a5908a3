//! Any tabular JSON value in, cells of a [`Table`] out.
//!
//! An array holds rows, each a bare value, an array (columns by position) or an object (columns by
//! key). An object holds columns, or is itself one record. What is nested deeper is flattened into
//! further columns. Rows that are shorter than others are filled with nulls; those that are longer
//! bring further columns, so that nothing is lost.

use super::rows::Cell;
use super::table::{NodeId, ROOT, Stopped, Table};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// How an object in the place of rows is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Object {
    /// Each member an array of cells.
    Columns,
    /// The members are one row.
    Record,
}

/// An object's members are not all columns: it is to be read again as a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotColumns;

pub(super) fn stopped<E: Error>(_: Stopped) -> E {
    E::custom("stopped")
}

/// Reads a whole value as rows.
pub(super) struct RowsSeed<'t> {
    pub(super) table: &'t mut Table,
    pub(super) object: Object,
}

impl<'de> DeserializeSeed<'de> for RowsSeed<'_> {
    type Value = Result<(), NotColumns>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The visits of a bare value, as one row of one cell.
macro_rules! scalar_row {
    ($($visit:ident($($value:ident: $type:ty)?) => $cell:expr;)*) => {$(
        fn $visit<E: Error>(self $(, $value: $type)?) -> Result<Self::Value, E> {
            self.table.begin_row(0).map_err(stopped)?;
            self.table.put(ROOT, $cell).map_err(stopped).map(Ok)
        }
    )*};
}

impl<'de> Visitor<'de> for RowsSeed<'_> {
    type Value = Result<(), NotColumns>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    scalar_row! {
        visit_f64(value: f64) => Cell::Number(value);
        visit_bool(value: bool) => Cell::Bool(value);
        visit_unit() => Cell::Null;
        visit_str(value: &str) => Cell::Text(value);
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        read_column(self.table, ROOT, seq).map(|_| Ok(()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        if self.object == Object::Record {
            self.table.begin_row(0).map_err(stopped)?;
            return CellSeed { table: self.table, node: ROOT }.visit_map(map).map(Ok);
        }
        let (mut values, mut arrays, mut expected) = (0, 0, 0);
        while let Some((node, position)) =
            map.next_key_seed(FieldSeed { table: self.table, parent: ROOT, expected })?
        {
            expected = position + 1;
            match map.next_value_seed(ColumnSeed { table: self.table, node })? {
                Member::Array { len: 1 } => {}
                Member::Array { .. } => arrays += 1,
                Member::Value => values += 1,
            }
        }
        Ok(if values > 0 && arrays > 0 { Err(NotColumns) } else { Ok(()) })
    }
}

/// Each element is a row's value at `node`; returns how many there were.
fn read_column<'de, A: SeqAccess<'de>>(
    table: &mut Table,
    node: NodeId,
    mut seq: A,
) -> Result<usize, A::Error> {
    let mut row = 0;
    while seq.next_element_seed(RowSeed { table, node, row })?.is_some() {
        row += 1;
    }
    Ok(row)
}

struct RowSeed<'t> {
    table: &'t mut Table,
    node: NodeId,
    row: usize,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.table.begin_row(self.row).map_err(stopped)?;
        deserializer.deserialize_any(CellSeed { table: self.table, node: self.node })
    }
}

enum Member {
    Array { len: usize },
    Value,
}

/// One member of an object of columns.
struct ColumnSeed<'t> {
    table: &'t mut Table,
    node: NodeId,
}

impl ColumnSeed<'_> {
    fn value<E: Error>(self, cell: Cell<'_>) -> Result<Member, E> {
        self.table.begin_row(0).map_err(stopped)?;
        self.table.put(self.node, cell).map_err(stopped)?;
        Ok(Member::Value)
    }
}

impl<'de> DeserializeSeed<'de> for ColumnSeed<'_> {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ColumnSeed<'_> {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Member, E> {
        self.value(Cell::Number(value))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Member, E> {
        self.value(Cell::Bool(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Member, E> {
        self.value(Cell::Null)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Member, E> {
        self.value(Cell::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Member, A::Error> {
        read_column(self.table, self.node, seq).map(|len| Member::Array { len })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Member, A::Error> {
        self.table.begin_row(0).map_err(stopped)?;
        CellSeed { table: self.table, node: self.node }.visit_map(map)?;
        Ok(Member::Value)
    }
}

/// A value of the current row, at `node` or flattened below it.
pub(super) struct CellSeed<'t> {
    pub(super) table: &'t mut Table,
    pub(super) node: NodeId,
}

impl<'de> DeserializeSeed<'de> for CellSeed<'_> {
    type Value = ();

    #[expect(clippy::inline_always, reason = "a part of the loop over elements, as `number` is")]
    #[inline(always)]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    #[inline]
    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.table.put_number(self.node, value).map_err(stopped)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.table.put(self.node, Cell::Bool(value)).map_err(stopped)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.table.put(self.node, Cell::Null).map_err(stopped)
    }

    #[inline]
    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.table.put(self.node, Cell::Text(value)).map_err(stopped)
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { table, node } = self;
        let mut index = 0;
        while seq.next_element_seed(ItemSeed { table, parent: node, index })?.is_some() {
            index += 1;
        }
        Ok(())
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { table, node } = self;
        let mut expected = 0;
        while let Some((field, position)) =
            map.next_key_seed(FieldSeed { table, parent: node, expected })?
        {
            expected = position + 1;
            map.next_value_seed(CellSeed { table, node: field })?;
        }
        Ok(())
    }
}

struct ItemSeed<'t> {
    table: &'t mut Table,
    parent: NodeId,
    index: usize,
}

impl<'de> DeserializeSeed<'de> for ItemSeed<'_> {
    type Value = ();

    #[expect(clippy::inline_always, reason = "a part of the loop over elements, as `number` is")]
    #[inline(always)]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let node = self.table.item(self.parent, self.index).map_err(stopped)?;
        deserializer.deserialize_any(CellSeed { table: self.table, node })
    }
}

/// A key, as the place it stands for.
struct FieldSeed<'t> {
    table: &'t mut Table,
    parent: NodeId,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = (NodeId, usize);

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldSeed<'_> {
    type Value = (NodeId, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        self.table.field(self.parent, key, self.expected).map_err(stopped)
    }
}
