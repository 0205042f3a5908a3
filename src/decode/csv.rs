//! CSV in (RFC 4180), columns out.
//!
//! The first record names the columns, unless the content type says `header=absent` or each of its
//! fields is a number. A column is of numbers if every field is, or of booleans, else of text; a
//! signature settles it where it names the column. What pandas reads as missing is null.

use super::problem::Problem;
use super::rows::{Cell, Column};
use super::signature::{Field, FieldKind};
use super::table::{NodeId, ROOT, Stopped, Table};
use csv::{ReaderBuilder, StringRecord};

/// Reads `text` into `table`. `no_header` is what the content type said.
pub(super) fn read(
    table: &mut Table,
    text: &str,
    no_header: bool,
    fields: &[Field],
) -> Result<(), Stopped> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    let mut header = StringRecord::new();
    let mut places = Vec::new();
    let mut row = 0;
    let mut first = true;
    while next(table, &mut reader, &mut record)? {
        let names = first && !no_header && record.iter().any(|field| number(field).is_none());
        first = false;
        if names {
            record.trim();
            header.clone_from(&record);
            for name in &header {
                places.push(table.field(ROOT, name, places.len())?.0);
            }
            continue;
        }
        table.begin_row(row)?;
        put_record(table, &record, &mut places)?;
        row += 1;
    }
    if row > 0 {
        for (position, place) in places.into_iter().enumerate() {
            let name = header.get(position);
            let field = fields.iter().find(|field| name.is_some() && field.name.as_deref() == name);
            settle(table.column(place)?, field.map(|field| field.kind));
        }
    }
    Ok(())
}

fn next(
    table: &mut Table,
    reader: &mut csv::Reader<&[u8]>,
    record: &mut StringRecord,
) -> Result<bool, Stopped> {
    reader.read_record(record).map_err(|_| table.stop(Problem::WrongShape))
}

fn put_record(
    table: &mut Table,
    record: &StringRecord,
    places: &mut Vec<NodeId>,
) -> Result<(), Stopped> {
    let lone = record.len() == 1 && places.is_empty();
    for (position, field) in record.iter().enumerate() {
        if position == places.len() {
            places.push(if lone { ROOT } else { table.item(ROOT, position)? });
        }
        table.put(
            places[position],
            if is_missing(field) { Cell::Null } else { Cell::Text(field) },
        )?;
    }
    Ok(())
}

/// Gives a column of text its type.
fn settle(column: &mut Column, kind: Option<FieldKind>) {
    let all = |is: fn(&str) -> bool| {
        column.cells().all(|cell| if let Cell::Text(text) = cell { is(text) } else { true })
    };
    match kind {
        // What does not fit the signature stays as it came, to be counted as a type error.
        Some(FieldKind::Number) => column.map_texts(|text| number(text).map(Cell::Number)),
        Some(FieldKind::Boolean) => column.map_texts(|text| boolean(text).map(Cell::Bool)),
        Some(FieldKind::Other) | None if all(|text| number(text).is_some()) => {
            column.map_texts(|text| number(text).map(Cell::Number));
        }
        Some(FieldKind::Other) | None if all(|text| boolean(text).is_some()) => {
            column.map_texts(|text| boolean(text).map(Cell::Bool));
        }
        Some(FieldKind::Text | FieldKind::Other) | None => {}
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The texts that pandas' `read_csv` takes for a missing value.
fn is_missing(text: &str) -> bool {
    const MISSING: [&str; 18] = [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan",
    ];
    MISSING.contains(&text) || text == "null"
}
