//! Parquet by its column readers: flat columns, a batch of rows at a time, no Arrow in between.
//!
//! Times and dates come as seconds since 1970, decimals as numbers, texts as texts. Lists, structs
//! and bytes that are no text are left out and told.

use super::{BATCH_ROWS, TableError};
use crate::decode::{Cell, Column};
use parquet::basic::{Compression, ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, Int96};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(in crate::cli) struct Reader {
    path: PathBuf,
    file: SerializedFileReader<File>,
    fields: Vec<Field>,
    left_out: Vec<String>,
    next_group: usize,
    group: Option<Group>,
}

/// A column of the file and how its numbers are meant.
struct Field {
    position: usize,
    name: Arc<str>,
    scale: Scale,
    is_unsigned: bool,
    nullable: bool,
}

/// What makes seconds, or the number meant, of the number stored. Division is exactly rounded where
/// a product with 1e-3 is not.
#[derive(Clone, Copy)]
enum Scale {
    Times(f64),
    Over(f64),
}

impl Scale {
    fn apply(self, value: f64) -> f64 {
        match self {
            Self::Times(factor) => value * factor,
            Self::Over(divisor) => value / divisor,
        }
    }
}

struct Group {
    rows_left: usize,
    columns: Vec<ColumnReader>,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, TableError> {
        let file = File::open(path)
            .map_err(|source| TableError::Open { path: path.to_owned(), source })?;
        let file = SerializedFileReader::new(file)
            .map_err(|source| TableError::Parquet { path: path.to_owned(), source })?;
        let schema = file.metadata().file_metadata().schema_descr();
        let (mut fields, mut left_out) = (Vec::new(), Vec::new());
        for (position, column) in schema.columns().iter().enumerate() {
            match field(position, column) {
                Ok(field) => fields.push(field),
                Err(why) => left_out.push(format!("{}: {why}", column.path().string())),
            }
        }
        let path = path.to_owned();
        if let Some((column, codec)) = unread_codec(&file, &fields) {
            return Err(TableError::Codec { path, column, codec });
        }
        Ok(Self { path, file, fields, left_out, next_group: 0, group: None })
    }

    pub(super) fn left_out(&self) -> Vec<String> {
        self.left_out.clone()
    }

    pub(super) fn next_batch(&mut self) -> Result<Option<Vec<Column>>, TableError> {
        self.read().map_err(|source| TableError::Parquet { path: self.path.clone(), source })
    }

    fn read(&mut self) -> Result<Option<Vec<Column>>, ParquetError> {
        loop {
            match &mut self.group {
                Some(group) if group.rows_left > 0 => {
                    return group.next_batch(&self.fields).map(Some);
                }
                _ if self.next_group < self.file.num_row_groups() => {
                    self.group = Some(self.open_group(self.next_group)?);
                    self.next_group += 1;
                }
                _ => return Ok(None),
            }
        }
    }

    fn open_group(&self, index: usize) -> Result<Group, ParquetError> {
        let group = self.file.get_row_group(index)?;
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        let open = |field: &Field| group.get_column_reader(field.position);
        let columns: Vec<_> = self.fields.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Group { rows_left: if columns.is_empty() { 0 } else { rows }, columns })
    }
}

impl Group {
    fn next_batch(&mut self, fields: &[Field]) -> Result<Vec<Column>, ParquetError> {
        let rows = self.rows_left.min(BATCH_ROWS);
        let read = |(reader, field): (&mut ColumnReader, &Field)| field.read(reader, rows);
        let columns = self.columns.iter_mut().zip(fields).map(read).collect();
        self.rows_left -= rows;
        columns
    }
}

/// The first column that is compressed as nothing here undoes, and with what.
fn unread_codec(
    file: &SerializedFileReader<File>,
    fields: &[Field],
) -> Option<(String, &'static str)> {
    file.metadata().row_groups().iter().find_map(|group| {
        fields.iter().find_map(|field| {
            let codec = match group.column(field.position).compression() {
                Compression::BROTLI(_) => "brotli",
                Compression::LZO => "LZO",
                _ => return None,
            };
            Some((field.name.to_string(), codec))
        })
    })
}

fn field(position: usize, column: &ColumnDescriptor) -> Result<Field, &'static str> {
    if column.max_rep_level() > 0 || column.path().parts().len() > 1 {
        return Err("lists and structs are no cells");
    }
    let logical = column.logical_type_ref();
    let scale = match (logical, column.converted_type()) {
        (Some(LogicalType::Timestamp(time) | LogicalType::Time(time)), _) => seconds(time.unit),
        (_, ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIME_MILLIS) => Scale::Over(1e3),
        (_, ConvertedType::TIMESTAMP_MICROS | ConvertedType::TIME_MICROS) => Scale::Over(1e6),
        (_, ConvertedType::DATE) => Scale::Times(86_400.0),
        (_, ConvertedType::DECIMAL) => Scale::Over(10f64.powi(column.type_scale())),
        _ => Scale::Times(1.0),
    };
    let is_decimal = column.converted_type() == ConvertedType::DECIMAL;
    match column.physical_type() {
        Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY if is_decimal => {
            return Err("decimals stored as bytes are not read");
        }
        Physical::FIXED_LEN_BYTE_ARRAY => return Err("bytes are no cells"),
        _ => {}
    }
    let is_unsigned = matches!(
        column.converted_type(),
        ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
    );
    let name = column.name().into();
    Ok(Field { position, name, scale, is_unsigned, nullable: column.max_def_level() > 0 })
}

const fn seconds(unit: TimeUnit) -> Scale {
    match unit {
        TimeUnit::MILLIS => Scale::Over(1e3),
        TimeUnit::MICROS => Scale::Over(1e6),
        TimeUnit::NANOS => Scale::Over(1e9),
    }
}

impl Field {
    fn read(&self, reader: &mut ColumnReader, rows: usize) -> Result<Column, ParquetError> {
        let unsigned = self.is_unsigned;
        let number = |column: &mut Column, value: f64| column.push_number(self.scale.apply(value));
        match reader {
            ColumnReader::BoolColumnReader(reader) => {
                self.cells(reader, rows, |column, value| column.push(Cell::Bool(*value)))
            }
            ColumnReader::Int32ColumnReader(reader) => self.cells(reader, rows, |column, value| {
                let value =
                    if unsigned { f64::from(value.cast_unsigned()) } else { f64::from(*value) };
                number(column, value);
            }),
            ColumnReader::Int64ColumnReader(reader) => self.cells(reader, rows, |column, value| {
                number(column, if unsigned { value.cast_unsigned() as f64 } else { *value as f64 });
            }),
            ColumnReader::Int96ColumnReader(reader) => {
                self.cells(reader, rows, |column, value: &Int96| {
                    column.push_number(value.to_millis() as f64 / 1e3);
                })
            }
            ColumnReader::FloatColumnReader(reader) => {
                self.cells(reader, rows, |column, value| push_float(column, f64::from(*value)))
            }
            ColumnReader::DoubleColumnReader(reader) => {
                self.cells(reader, rows, |column, value| push_float(column, *value))
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                self.cells(reader, rows, |column, value: &ByteArray| {
                    let text = std::str::from_utf8(value.data());
                    column.push(text.map_or(Cell::Null, Cell::Text));
                })
            }
            ColumnReader::FixedLenByteArrayColumnReader(_) => {
                Ok(Column::new(Arc::clone(&self.name)))
            }
        }
    }

    /// Values come densely; a definition level a row says where the nulls are.
    fn cells<T: DataType>(
        &self,
        reader: &mut ColumnReaderImpl<T>,
        rows: usize,
        push: impl Fn(&mut Column, &T::T),
    ) -> Result<Column, ParquetError> {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let mut read = 0;
        while read < rows {
            let wanted = self.nullable.then_some(&mut levels);
            let (records, ..) = reader.read_records(rows - read, wanted, None, &mut values)?;
            if records == 0 {
                return Err(ParquetError::General(format!("column {} ends early", self.name)));
            }
            read += records;
        }
        let mut column = Column::new(Arc::clone(&self.name));
        if !self.nullable {
            for value in &values {
                push(&mut column, value);
            }
            return Ok(column);
        }
        let mut values = values.iter();
        for level in levels {
            match (level > 0).then(|| values.next()).flatten() {
                Some(value) => push(&mut column, value),
                None => column.push(Cell::Null),
            }
        }
        Ok(column)
    }
}

/// pandas writes a missing float as NaN.
fn push_float(column: &mut Column, value: f64) {
    if value.is_nan() {
        column.push(Cell::Null);
    } else {
        column.push_number(value);
    }
}
