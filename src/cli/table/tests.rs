use super::*;
use ::parquet::data_type::{ByteArrayType, DoubleType, Int32Type, Int64Type};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use std::path::PathBuf;
use std::sync::Arc;

fn file(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    (directory, path)
}

/// Name and cells of every column, all batches joined.
fn read(path: &Path) -> Vec<(String, Vec<String>)> {
    let mut reader = TableReader::open(path).unwrap();
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    while let Some(columns) = reader.next_batch().unwrap() {
        for column in columns {
            let cells = column.cells().map(|cell| format!("{cell:?}"));
            match all.iter_mut().find(|(name, _)| **name == **column.name()) {
                Some((_, known)) => known.extend(cells),
                None => all.push((column.name().to_string(), cells.collect())),
            }
        }
    }
    all
}

#[test]
fn csv_cells_are_typed_one_by_one() {
    let (_directory, path) =
        file("a.csv", "\u{feff}x,y,\"z,z\"\n1.5,true,a\n,False,\"b, c\"\n-2e3,NA,inf\n");
    let found = read(&path);
    assert_eq!(found[0].0, "x");
    assert_eq!(found[0].1, ["Number(1.5)", "Null", "Number(-2000.0)"]);
    assert_eq!(found[1].1, ["Bool(true)", "Bool(false)", "Null"]);
    assert_eq!(found[2].0, "z,z");
    assert_eq!(found[2].1, ["Text(\"a\")", "Text(\"b, c\")", "Text(\"inf\")"]);
}

#[test]
fn json_lines_fill_what_a_row_lacks() {
    let (_directory, path) = file(
        "a.jsonl",
        "{\"a\":1,\"b\":\"x\"}\n\n{\"b\":null,\"c\":true}\n{\"a\":2.5,\"l\":[1,{}]}\n",
    );
    let found = read(&path);
    assert_eq!(found[0].1, ["Number(1.0)", "Null", "Number(2.5)"]);
    assert_eq!(found[1].1, ["Text(\"x\")", "Null", "Null"]);
    assert_eq!(found[2].1, ["Null", "Bool(true)", "Null"]);
}

#[test]
fn faults_name_the_file_and_the_line() {
    let (_directory, path) = file("a.jsonl", "{\"a\":1}\n[1]\n");
    let mut reader = TableReader::open(&path).unwrap();
    let told = reader.next_batch().unwrap_err().to_string();
    assert!(told.ends_with("a.jsonl:2: is not a JSON object"), "{told}");
    let (_directory, path) = file("a.csv", "a,b,a\n1,2,3\n");
    let told = TableReader::open(&path).err().unwrap().to_string();
    assert!(told.contains("names column \"a\" twice"), "{told}");
    let (_directory, path) = file("a.txt", "");
    let told = TableReader::open(&path).err().unwrap().to_string();
    assert!(told.contains("must end in .csv"), "{told}");
}

#[test]
fn batches_together_are_the_file() {
    let rows = BATCH_ROWS * 2 + 5;
    let lines: Vec<_> = (0..rows).map(|row| row.to_string()).collect();
    let (_directory, path) = file("a.csv", &format!("n\n{}\n", lines.join("\n")));
    assert_eq!(read(&path)[0].1.len(), rows);
}

#[test]
fn parquet_has_times_in_seconds_nulls_and_texts() {
    let schema = "message m {
        required int64 ts (TIMESTAMP(MILLIS,true));
        optional double x;
        optional binary s (STRING);
        required int32 day (DATE);
        repeated int32 list;
    }";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[1_500, 2_000], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&[0.5], Some(&[0, 1]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&["é".into()], Some(&[1, 0]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int32Type>().write_batch(&[0, 1], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int32Type>().write_batch(&[], Some(&[0, 0]), Some(&[0, 0])).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();

    let found = read(&path);
    let cells = |name: &str| &found.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!(*cells("ts"), ["Number(1.5)", "Number(2.0)"]);
    assert_eq!(*cells("x"), ["Null", "Number(0.5)"]);
    assert_eq!(*cells("s"), ["Text(\"é\")", "Null"]);
    assert_eq!(*cells("day"), ["Number(0.0)", "Number(86400.0)"]);
    let left_out = TableReader::open(&path).unwrap().left_out();
    assert_eq!(left_out, ["list: lists and structs are no cells"]);
}
