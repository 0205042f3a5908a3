//! JSON Lines: one object a line, read by a visitor straight into columns.

use super::{BATCH_ROWS, TableError};
use crate::decode::{Cell, Column};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(in crate::cli) struct Reader {
    path: PathBuf,
    lines: BufReader<File>,
    line: Vec<u8>,
    line_number: u64,
    batch: Batch,
}

/// Columns in the order first seen; a name once seen stays for all batches.
#[derive(Default)]
struct Batch {
    names: Vec<Arc<str>>,
    positions: HashMap<Arc<str>, usize>,
    columns: Vec<Column>,
    rows: usize,
    nested: BTreeSet<String>,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, TableError> {
        let file = File::open(path)
            .map_err(|source| TableError::Open { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            lines: BufReader::new(file),
            line: Vec::new(),
            line_number: 0,
            batch: Batch::default(),
        })
    }

    pub(super) fn left_out(&self) -> Vec<String> {
        let told = |name: &String| format!("{name}: lists and nested objects are no cells");
        self.batch.nested.iter().map(told).collect()
    }

    pub(super) fn next_batch(&mut self) -> Result<Option<Vec<Column>>, TableError> {
        self.batch.columns = self.batch.names.iter().cloned().map(Column::new).collect();
        self.batch.rows = 0;
        while self.batch.rows < BATCH_ROWS {
            self.line.clear();
            let read = self.lines.read_until(b'\n', &mut self.line);
            let read =
                read.map_err(|source| TableError::Open { path: self.path.clone(), source })?;
            if read == 0 {
                break;
            }
            self.line_number += 1;
            if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let mut json = serde_json::Deserializer::from_slice(&self.line);
            let row = RowSeed(&mut self.batch).deserialize(&mut json).and_then(|()| json.end());
            row.map_err(|source| TableError::Json {
                path: self.path.clone(),
                line: self.line_number,
                source,
            })?;
        }
        let is_empty = self.batch.rows == 0;
        Ok((!is_empty).then(|| std::mem::take(&mut self.batch.columns)))
    }
}

impl Batch {
    fn position(&mut self, name: &str) -> usize {
        if let Some(position) = self.positions.get(name) {
            return *position;
        }
        let name: Arc<str> = name.into();
        let position = self.names.len();
        let mut column = Column::new(Arc::clone(&name));
        fill(&mut column, self.rows);
        self.columns.push(column);
        self.names.push(Arc::clone(&name));
        self.positions.insert(name, position);
        position
    }

    fn end_row(&mut self) {
        self.rows += 1;
        for column in &mut self.columns {
            fill(column, self.rows);
        }
    }
}

/// Nulls up to `len`.
fn fill(column: &mut Column, len: usize) {
    for _ in column.len()..len {
        column.push(Cell::Null);
    }
}

struct RowSeed<'a>(&'a mut Batch);

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of plain values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let batch = self.0;
        while let Some(position) = entries.next_key_seed(NameSeed(batch))? {
            if batch.columns[position].len() > batch.rows {
                return Err(A::Error::custom(format!("{:?} comes twice", batch.names[position])));
            }
            let column = &mut batch.columns[position];
            if let Plain::No = entries.next_value_seed(CellSeed(column))? {
                batch.nested.insert(batch.names[position].to_string());
            }
        }
        batch.end_row();
        Ok(())
    }
}

/// A key, as the position of its column.
struct NameSeed<'a>(&'a mut Batch);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<usize, E> {
        Ok(self.0.position(name))
    }
}

/// Whether a value was a plain one.
enum Plain {
    Yes,
    No,
}

struct CellSeed<'a>(&'a mut Column);

impl CellSeed<'_> {
    #[expect(clippy::unnecessary_wraps, reason = "what every visit of a visitor returns")]
    fn push<E>(self, cell: Cell<'_>) -> Result<Plain, E> {
        self.0.push(cell);
        Ok(Plain::Yes)
    }
}

impl<'de> DeserializeSeed<'de> for CellSeed<'_> {
    type Value = Plain;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Plain, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed<'_> {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
        self.push(Cell::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Plain, E> {
        self.push(Cell::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Plain, E> {
        self.push(Cell::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Plain, E> {
        self.push(Cell::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Plain, E> {
        self.push(Cell::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        self.push(Cell::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plain, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.0.push(Cell::Null);
        Ok(Plain::No)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Plain, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.0.push(Cell::Null);
        Ok(Plain::No)
    }
}
