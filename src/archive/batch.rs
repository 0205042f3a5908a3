//! Cells by column: how records lie in memory between a row group's rows and its bytes.

use bytes::Bytes;
use parquet::column::reader::ColumnReader;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;

use super::schema::{COLUMNS, Column, Kind};

/// One cell. Which variants a column takes follows from its [`Kind`].
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Field {
    #[default]
    Null,
    Int(i64),
    Double(f64),
    Bool(bool),
    Bytes(Bytes),
}

/// The cells of one column: values densely, and for each row whether it has one.
#[derive(Debug)]
pub(super) struct Cells {
    nullable: bool,
    /// Parquet's definition levels: 1 for a value, 0 for a null; empty where nulls are not allowed.
    levels: Vec<i16>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Double(Vec<f64>),
    Bool(Vec<bool>),
    Bytes(Vec<ByteArray>),
}

impl Cells {
    pub(super) fn new(column: &Column) -> Self {
        let values = match column.kind {
            Kind::Text | Kind::Binary => Values::Bytes(Vec::new()),
            Kind::Int32 => Values::Int32(Vec::new()),
            Kind::Int64 | Kind::Timestamp => Values::Int64(Vec::new()),
            Kind::Double => Values::Double(Vec::new()),
            Kind::Bool => Values::Bool(Vec::new()),
        };
        Self { nullable: column.nullable, levels: Vec::new(), values }
    }

    pub(super) fn all() -> Vec<Self> {
        COLUMNS.iter().map(Self::new).collect()
    }

    /// Adds a cell. A null, or a value of another kind, is a null, or the zero where none is allowed.
    pub(super) fn push(&mut self, field: Field) {
        let has_value = match (&mut self.values, field) {
            (Values::Int32(values), Field::Int(int)) => {
                values.push(i32::try_from(int).unwrap_or(i32::MAX));
                true
            }
            (Values::Int64(values), Field::Int(int)) => push(values, int),
            (Values::Double(values), Field::Double(double)) => push(values, double),
            (Values::Bool(values), Field::Bool(bool)) => push(values, bool),
            (Values::Bytes(values), Field::Bytes(bytes)) => push(values, ByteArray::from(bytes)),
            _ => false,
        };
        if self.nullable {
            self.levels.push(i16::from(has_value));
        } else if !has_value {
            self.push_zero();
        }
    }

    fn push_zero(&mut self) {
        match &mut self.values {
            Values::Int32(values) => values.push(0),
            Values::Int64(values) => values.push(0),
            Values::Double(values) => values.push(0.0),
            Values::Bool(values) => values.push(false),
            Values::Bytes(values) => values.push(ByteArray::from(Bytes::new())),
        }
    }

    pub(super) fn write(&self, writer: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = self.nullable.then_some(&*self.levels);
        match (writer, &self.values) {
            (ColumnWriter::Int32ColumnWriter(writer), Values::Int32(values)) => {
                writer.write_batch(values, levels, None)
            }
            (ColumnWriter::Int64ColumnWriter(writer), Values::Int64(values)) => {
                writer.write_batch(values, levels, None)
            }
            (ColumnWriter::DoubleColumnWriter(writer), Values::Double(values)) => {
                writer.write_batch(values, levels, None)
            }
            (ColumnWriter::BoolColumnWriter(writer), Values::Bool(values)) => {
                writer.write_batch(values, levels, None)
            }
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Bytes(values)) => {
                writer.write_batch(values, levels, None)
            }
            _ => Err(unexpected_type()),
        }
        .map(drop)
    }

    /// Up to `rows` cells of a column; fewer if the file holds fewer. Whether cells may be null is
    /// the file's to say.
    pub(super) fn read(
        reader: &mut ColumnReader,
        column: &Column,
        file_nullable: bool,
        rows: usize,
    ) -> Result<Self, ParquetError> {
        let mut cells = Self { nullable: file_nullable, ..Self::new(column) };
        let levels = file_nullable.then_some(&mut cells.levels);
        match (reader, &mut cells.values) {
            (ColumnReader::Int32ColumnReader(reader), Values::Int32(values)) => {
                reader.read_records(rows, levels, None, values)
            }
            (ColumnReader::Int64ColumnReader(reader), Values::Int64(values)) => {
                reader.read_records(rows, levels, None, values)
            }
            (ColumnReader::DoubleColumnReader(reader), Values::Double(values)) => {
                reader.read_records(rows, levels, None, values)
            }
            (ColumnReader::BoolColumnReader(reader), Values::Bool(values)) => {
                reader.read_records(rows, levels, None, values)
            }
            (ColumnReader::ByteArrayColumnReader(reader), Values::Bytes(values)) => {
                reader.read_records(rows, levels, None, values)
            }
            _ => return Err(unexpected_type()),
        }?;
        Ok(cells)
    }

    pub(super) fn len(&self) -> usize {
        if self.nullable {
            return self.levels.len();
        }
        match &self.values {
            Values::Int32(values) => values.len(),
            Values::Int64(values) => values.len(),
            Values::Double(values) => values.len(),
            Values::Bool(values) => values.len(),
            Values::Bytes(values) => values.len(),
        }
    }

    pub(super) fn into_fields(self) -> Box<dyn Iterator<Item = Field> + Send> {
        let values: Box<dyn Iterator<Item = Field> + Send> = match self.values {
            Values::Int32(values) => {
                Box::new(values.into_iter().map(|int| Field::Int(i64::from(int))))
            }
            Values::Int64(values) => Box::new(values.into_iter().map(Field::Int)),
            Values::Double(values) => Box::new(values.into_iter().map(Field::Double)),
            Values::Bool(values) => Box::new(values.into_iter().map(Field::Bool)),
            Values::Bytes(values) => {
                // Copied, so that one long-held cell does not pin the page it was read from.
                let bytes = |value: ByteArray| Bytes::copy_from_slice(value.data());
                Box::new(values.into_iter().map(move |value| Field::Bytes(bytes(value))))
            }
        };
        if !self.nullable {
            return values;
        }
        let mut values = values;
        Box::new(self.levels.into_iter().map(move |level| match level {
            0 => Field::Null,
            _ => values.next().unwrap_or_default(),
        }))
    }
}

fn push<T>(values: &mut Vec<T>, value: T) -> bool {
    values.push(value);
    true
}

fn unexpected_type() -> ParquetError {
    ParquetError::General("a column has not the type that the archive writes".into())
}
