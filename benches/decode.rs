//! Decoding into columns beside parsing the same body into a `serde_json::Value`.
//!
//! `cargo bench --bench decode`. Each body is a request of 64 KiB; the target is half the time of the
//! tree. Numbers are of two kinds: as short as people write them, and doubles with all their digits.
//!
//! On 2026-11-23, on two cores that other builds kept busy, columns over tree: by this bench, whose two
//! halves run apart and so met different noise; in turns, by a program of its own, the median of 300;
//! and in instructions (callgrind), which noise does not touch.
//!
//! | body | short: bench, in turns, instructions | all digits: bench, in turns, instructions |
//! |---|---|---|
//! | tensor | 0.58, 0.59, 0.54 | 0.59, 0.60, 0.61 |
//! | split | 0.52, 0.47, 0.52 | 0.49, 0.54, 0.56 |
//! | records | 0.36, 0.24, 0.30 | 0.28, 0.31, 0.33 |
//!
//! So records meet the target, frames come near it, tensors miss it by a fifth.
//! `serde_json` is as this crate builds it, with `float_roundtrip`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use std::hint::black_box;
use taffrail::decode::{Decoded, Decoder, Part, Payload, Settings};

const BODY_BYTES: usize = 64 << 10;
const COLUMNS: usize = 12;

/// Numbers that look like features: a third whole, the rest with `digits` places or all they have.
fn number(seed: &mut u64, digits: Option<i32>) -> Value {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let unit = (*seed >> 11) as f64 / (1u64 << 53) as f64;
    match digits {
        _ if (*seed >> 33).is_multiple_of(4) => json!((unit * 1000.0).floor()),
        Some(digits) => {
            let scale = 10f64.powi(digits);
            json!((unit * 1000.0 * scale).round() / scale)
        }
        None => json!(unit * 100.0),
    }
}

fn rows(digits: Option<i32>, build: impl Fn(&[Vec<Value>]) -> Value) -> String {
    let (mut seed, mut rows, mut bytes) = (7, Vec::new(), 0);
    while bytes < BODY_BYTES {
        let row: Vec<Value> = (0..COLUMNS).map(|_| number(&mut seed, digits)).collect();
        rows.push(row);
        if rows.len() % 8 == 0 {
            bytes = build(&rows).to_string().len();
        }
    }
    build(&rows).to_string()
}

fn names() -> Vec<String> {
    (0..COLUMNS).map(|column| format!("feature_{column}")).collect()
}

fn tensor(rows: &[Vec<Value>]) -> Value {
    let data: Vec<&Value> = rows.iter().flatten().collect();
    json!({"inputs": [{"name": "x", "shape": [rows.len(), COLUMNS], "datatype": "FP64", "data": data}]})
}

fn split(rows: &[Vec<Value>]) -> Value {
    json!({"dataframe_split": {"columns": names(), "data": rows}})
}

fn records(rows: &[Vec<Value>]) -> Value {
    let names = names();
    let record =
        |row: &Vec<Value>| names.iter().cloned().zip(row.iter().cloned()).collect::<Value>();
    json!({"dataframe_records": rows.iter().map(record).collect::<Vec<Value>>()})
}

fn compare(criterion: &mut Criterion, name: &str, path: &str, body: &str) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("value", |bencher| {
        bencher.iter(|| serde_json::from_slice::<Value>(black_box(body.as_bytes())).map(drop));
    });
    let request =
        Part { content_type: Some("application/json"), body: body.as_bytes(), ..Part::default() };
    let payload =
        Payload { method: "POST", path, status: None, request, response: Part::default() };
    let mut reader = Decoder::new(Settings::default());
    let mut decoded = Decoded::default();
    group.bench_function("columns", |bencher| {
        bencher.iter(|| {
            reader.decode(black_box(&payload), &mut decoded);
            assert_eq!(black_box(&decoded).inputs.columns().len(), COLUMNS);
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    for (kind, digits) in [("short", Some(2)), ("full", None)] {
        let case = |form: &str| format!("{form}_{kind}");
        compare(criterion, &case("tensor"), "/v2/models/m/infer", &rows(digits, tensor));
        compare(criterion, &case("split"), "/invocations", &rows(digits, split));
        compare(criterion, &case("records"), "/invocations", &rows(digits, records));
    }
}

/// A thousand rows of fifty FP32 features as bytes, behind their JSON and in a gRPC message's raw contents.
fn bytes(criterion: &mut Criterion) {
    const ROWS: usize = 1000;
    const WIDTH: usize = 50;
    let raw: Vec<u8> = (0..ROWS * WIDTH).flat_map(|n| (n as f32 * 0.37).to_le_bytes()).collect();
    let head = json!({"inputs": [{"name": "x", "shape": [ROWS, WIDTH], "datatype": "FP32",
        "parameters": {"binary_data_size": raw.len()}}]});
    let head = head.to_string();
    let behind_json = [head.as_bytes(), &raw].concat();
    // `raw_input_contents` is field 7, its length a varint of three bytes; then the tensor, of 14 bytes.
    let length = [raw.len() & 0x7f | 0x80, raw.len() >> 7 & 0x7f | 0x80, raw.len() >> 14];
    let tensor = b"\x2a\x0e\x0a\x01x\x12\x04FP32\x1a\x03\xe8\x07\x32";
    let message =
        [&[0x3a][..], &length.map(|byte| u8::try_from(byte).unwrap_or_default()), &raw, tensor]
            .concat();
    let length = u32::try_from(message.len()).unwrap_or_default();
    let framed = [&[0][..], &length.to_be_bytes(), &message].concat();
    let json = Part { json_len: Some(head.len()), body: &behind_json, ..Part::default() };
    let grpc = Part { content_type: Some("application/grpc"), body: &framed, ..Part::default() };

    let mut group = criterion.benchmark_group("tensor_bytes");
    group.throughput(Throughput::Bytes(raw.len() as u64));
    let cases = [
        ("json", "/v2/models/m/infer", json),
        ("grpc", "/inference.GRPCInferenceService/ModelInfer", grpc),
    ];
    for (name, path, request) in cases {
        let payload =
            Payload { method: "POST", path, status: None, request, response: Part::default() };
        let mut reader = Decoder::new(Settings::default());
        let mut decoded = Decoded::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                reader.decode(black_box(&payload), &mut decoded);
                let rows = &black_box(&decoded).inputs;
                assert_eq!((rows.len(), rows.columns().len()), (ROWS, WIDTH));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, bytes);
criterion_main!(benches);
