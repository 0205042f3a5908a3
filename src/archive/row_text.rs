//! Decoded rows as JSON text and back: one object a row.

use crate::decode::{Cell, Column, Rows};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// Longest text that is kept of one side of an exchange.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// `[{"temp":1.5},…]`; `None` without rows. Whole rows that fit under [`MAX_BYTES`] are kept, in order.
pub(super) fn write(rows: &Rows) -> Option<Vec<u8>> {
    if rows.is_empty() || rows.columns().is_empty() {
        return None;
    }
    let names: Vec<Vec<u8>> = rows.columns().iter().map(|column| json(&**column.name())).collect();
    let mut cells: Vec<_> = rows.columns().iter().map(Column::cells).collect();
    let mut text = vec![b'['];
    for index in 0..rows.len() {
        let row_start = text.len();
        if index > 0 {
            text.push(b',');
        }
        for (position, (name, cells)) in names.iter().zip(&mut cells).enumerate() {
            text.push(if position == 0 { b'{' } else { b',' });
            text.extend_from_slice(name);
            text.push(b':');
            push_cell(&mut text, cells.next().unwrap_or(Cell::Null));
        }
        text.push(b'}');
        if text.len() >= MAX_BYTES {
            text.truncate(row_start);
            break;
        }
    }
    text.push(b']');
    Some(text)
}

fn push_cell(text: &mut Vec<u8>, cell: Cell<'_>) {
    match cell {
        Cell::Null => text.extend_from_slice(b"null"),
        Cell::Bool(true) => text.extend_from_slice(b"true"),
        Cell::Bool(false) => text.extend_from_slice(b"false"),
        Cell::Number(number) if number.is_nan() => text.extend_from_slice(b"\"NaN\""),
        Cell::Number(f64::INFINITY) => text.extend_from_slice(b"\"Infinity\""),
        Cell::Number(f64::NEG_INFINITY) => text.extend_from_slice(b"\"-Infinity\""),
        Cell::Number(number) => push_json(text, &number),
        // As texts these would be read as the numbers that are written so: one letter is escaped.
        Cell::Text("NaN") => text.extend_from_slice(br#""\u004eaN""#),
        Cell::Text("Infinity") => text.extend_from_slice(br#""\u0049nfinity""#),
        Cell::Text("-Infinity") => text.extend_from_slice(br#""\u002dInfinity""#),
        Cell::Text(content) => push_json(text, content),
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut text = Vec::new();
    push_json(&mut text, value);
    text
}

fn push_json<T: Serialize + ?Sized>(text: &mut Vec<u8>, value: &T) {
    // Finite numbers and texts always serialise, and memory always takes them.
    let _ = serde_json::to_writer(text, value);
}

/// The rows that [`write`] wrote; columns in the order they first appear.
pub(super) fn read(text: &[u8]) -> Result<Rows, serde_json::Error> {
    let Table { columns, .. } = serde_json::from_slice(text)?;
    let mut rows = Rows::new();
    for column in columns {
        rows.push(column);
    }
    Ok(rows)
}

#[derive(Default)]
struct Table {
    columns: Vec<Column>,
    positions: HashMap<String, usize>,
    rows: usize,
}

impl Table {
    fn push(&mut self, name: String, cell: Cell<'_>) {
        let position = *self.positions.entry(name).or_insert_with_key(|name| {
            self.columns.push(Column::new(name.as_str()));
            self.columns.len() - 1
        });
        let column = &mut self.columns[position];
        // A row that had no such column left a gap; a name that is there twice counts once.
        (column.len()..self.rows).for_each(|_| column.push(Cell::Null));
        if column.len() == self.rows {
            column.push(cell);
        }
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TableVisitor)
    }
}

struct TableVisitor;

impl<'de> Visitor<'de> for TableVisitor {
    type Value = Table;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects, one a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Table, A::Error> {
        let mut table = Table::default();
        while seq.next_element_seed(RowSeed(&mut table))?.is_some() {
            table.rows += 1;
        }
        Ok(table)
    }
}

struct RowSeed<'a>(&'a mut Table);

impl<'de> serde::de::DeserializeSeed<'de> for RowSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of column names and cells")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut text = String::new();
        while let Some((name, json)) = map.next_entry::<String, &RawValue>()? {
            let kind = cell_of(json.get(), &mut text).map_err(serde::de::Error::custom)?;
            self.0.push(name, kind.cell(&text));
        }
        Ok(())
    }
}

/// The standard library reads a number to the nearest float; `serde_json`, by default, to one beside it.
fn cell_of(json: &str, text: &mut String) -> Result<Kind, serde_json::Error> {
    Ok(match json.as_bytes().first() {
        Some(b'n') => Kind::Null,
        Some(b't') => Kind::Bool(true),
        Some(b'f') => Kind::Bool(false),
        Some(b'"') => {
            *text = serde_json::from_str(json)?;
            match json {
                r#""NaN""# => Kind::Number(f64::NAN),
                r#""Infinity""# => Kind::Number(f64::INFINITY),
                r#""-Infinity""# => Kind::Number(f64::NEG_INFINITY),
                _ => Kind::Text,
            }
        }
        _ => Kind::Number(json.parse().map_err(serde::de::Error::custom)?),
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Null,
    Bool(bool),
    Number(f64),
    Text,
}

impl Kind {
    fn cell(self, text: &str) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(bool) => Cell::Bool(bool),
            Self::Number(number) => Cell::Number(number),
            Self::Text => Cell::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_column(cells: &[Cell<'_>]) -> Rows {
        let mut column = Column::new("x \"quoted\"");
        for cell in cells {
            column.push(*cell);
        }
        let mut rows = Rows::new();
        rows.push(column);
        rows
    }

    #[test]
    fn cells_of_every_kind_come_back() {
        let rows = one_column(&[
            Cell::Number(0.1),
            Cell::Number(-0.0),
            Cell::Number(f64::INFINITY),
            Cell::Number(f64::NEG_INFINITY),
            Cell::Bool(true),
            Cell::Null,
            Cell::Text("Århus \n"),
        ]);
        assert_eq!(read(&write(&rows).unwrap()).unwrap(), rows);
    }

    #[test]
    fn nan_is_a_text_in_the_file_and_a_number_when_read() {
        let text = write(&one_column(&[Cell::Number(f64::NAN)])).unwrap();
        assert_eq!(text, br#"[{"x \"quoted\"":"NaN"}]"#);
        let column = read(&text).unwrap().columns()[0].clone();
        assert!(matches!(column.cells().next(), Some(Cell::Number(number)) if number.is_nan()));
    }

    #[test]
    fn rows_beyond_the_limit_are_left_off_whole() {
        let long = "x".repeat(MAX_BYTES / 3);
        let rows = one_column(&[Cell::Text(&long); 5]);
        assert_eq!(read(&write(&rows).unwrap()).unwrap().len(), 2);
    }

    #[test]
    fn a_column_that_some_rows_lack_is_null_there() {
        let rows = read(br#"[{"a":1},{"b":2},{"a":3,"b":4}]"#).unwrap();
        let cells = |name: &str| rows.column(name).unwrap().cells().collect::<Vec<_>>();
        assert_eq!(cells("a"), [Cell::Number(1.0), Cell::Null, Cell::Number(3.0)]);
        assert_eq!(cells("b"), [Cell::Null, Cell::Number(2.0), Cell::Number(4.0)]);
    }

    proptest! {
        #[test]
        fn every_finite_number_comes_back_exactly(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            let rows = one_column(&[Cell::Number(number)]);
            prop_assert_eq!(read(&write(&rows).unwrap()).unwrap(), rows);
        }
    }
}
