//! Tensors as bytes: behind their JSON, and in gRPC messages.

use super::fixtures::cases;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;
use taffrail::decode::{Decoded, Decoder, Limits, Part, Payload, Rows, Settings};

const UNARY: &str = "/inference.GRPCInferenceService/ModelInfer";
const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
const LIMITS: Limits =
    Limits { max_depth: 8, max_columns: 6, max_rows: 20, max_cells: 60, max_plain_bytes: 1 << 16 };

fn decode(path: &str, part: Part<'_>, limits: Limits) -> Decoded {
    let payload =
        Payload { method: "POST", path, status: Some(200), request: part, response: part };
    let mut decoded = Decoded::default();
    Decoder::new(Settings { limits, ..Settings::default() }).decode(&payload, &mut decoded);
    for rows in [&decoded.inputs, &decoded.outputs] {
        assert!(rows.columns().iter().all(|column| column.cells().count() == rows.len()));
        assert!(rows.columns().len() <= limits.max_columns && rows.len() <= limits.max_rows);
        assert!(rows.columns().len() * rows.len() <= limits.max_cells);
    }
    decoded
}

fn grpc(path: &str, body: &[u8], limits: Limits) -> Decoded {
    let content_type = Some("application/grpc");
    decode(path, Part { content_type, body, ..Part::default() }, limits)
}

fn binary(body: &[u8], json_len: usize, limits: Limits) -> Decoded {
    let json_len = Some(json_len);
    decode("/v2/models/m/infer", Part { body, json_len, ..Part::default() }, limits)
}

fn bodies() -> Vec<Vec<u8>> {
    let of = |case: &std::path::PathBuf| {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        ["grpc_", "binary", "tensor"].iter().any(|part| name.contains(part))
    };
    let files = cases()
        .into_iter()
        .filter(of)
        .flat_map(|c| [c.join("request.bin"), c.join("response.bin")]);
    files.filter_map(|file| std::fs::read(file).ok()).filter(|body| !body.is_empty()).collect()
}

/// The JSON that a body begins with, as far as its braces tell.
fn json_len(body: &[u8]) -> usize {
    let mut depth = 0;
    let closes = body.iter().position(|byte| {
        depth += i32::from(*byte == b'{') - i32::from(*byte == b'}');
        depth == 0
    });
    closes.map_or(0, |at| at + 1)
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    varint(bytes.len() as u64, &mut field);
    field.extend(bytes);
    field
}

fn varint(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    to.push(value.to_le_bytes()[0]);
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), message].concat()
}

/// A request of one FP32 matrix, its cells in `contents` or raw.
fn message(shape: [usize; 2], raw: &[u8], in_contents: bool) -> Vec<u8> {
    let mut lengths = Vec::new();
    for length in shape {
        varint(length as u64, &mut lengths);
    }
    let mut tensor = [field(1, b"x"), field(2, b"FP32"), field(3, &lengths)].concat();
    if in_contents {
        tensor.extend(field(5, &field(6, raw)));
        return framed(&field(5, &tensor));
    }
    framed(&[field(5, &tensor), field(7, raw)].concat())
}

fn inputs(decoded: Decoded) -> Rows {
    assert!(
        decoded.problems.iter().all(|(side, _)| side.as_str() == "response"),
        "{:?}",
        decoded.problems
    );
    decoded.inputs
}

proptest! {
    #[test]
    fn damaged_bytes_neither_panic_nor_pass_the_limits(
        body in select(bodies()),
        damage in prop::collection::vec((any::<Index>(), 0..3usize, prop::collection::vec(any::<u8>(), 0..4)), 0..5),
        length in -2..3isize,
        tight: bool,
    ) {
        let mut body = body;
        let json_len = json_len(&body).saturating_add_signed(length);
        for (at, removed, with) in damage {
            let at = at.index(body.len() + 1);
            let end = (at + removed).min(body.len());
            body.splice(at..end, with);
        }
        let limits = if tight { LIMITS } else { Limits::default() };
        grpc(UNARY, &body, limits);
        grpc(STREAM, &body, limits);
        binary(&body, json_len, limits);
    }

    #[test]
    fn a_matrix_is_the_same_in_every_form(
        rows in 1usize..6, width in 1usize..6, numbers in prop::collection::vec(-1e6..1e6f32, 25),
    ) {
        let numbers = &numbers[..rows * width];
        let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let tensor = |rest: serde_json::Value| {
            let mut tensor = json!({"name": "x", "shape": [rows, width], "datatype": "FP32"});
            tensor.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            json!({"inputs": [tensor]}).to_string().into_bytes()
        };
        let doubles: Vec<f64> = numbers.iter().map(|number| f64::from(*number)).collect();
        let plain = tensor(json!({"data": doubles}));
        let expected = inputs(binary(&plain, plain.len(), Limits::default()));
        prop_assert_eq!((expected.len(), expected.columns().len()), (rows, width));
        let last: Vec<f64> = doubles.iter().skip(width - 1).step_by(width).copied().collect();
        prop_assert_eq!(expected.columns()[width - 1].as_numbers(), Some(&last[..]));

        let head = tensor(json!({"parameters": {"binary_data_size": raw.len()}}));
        let body = [&head[..], &raw].concat();
        prop_assert_eq!(&inputs(binary(&body, head.len(), Limits::default())), &expected);
        for in_contents in [true, false] {
            let message = message([rows, width], &raw, in_contents);
            prop_assert_eq!(&inputs(grpc(UNARY, &message, Limits::default())), &expected);
        }
    }

    #[test]
    fn a_stream_is_the_rows_of_its_messages(rows in prop::collection::vec(1usize..4, 1..5)) {
        let mut body = Vec::new();
        let mut expected = Vec::new();
        for (index, rows) in rows.iter().enumerate() {
            let number = index as f32;
            let raw = number.to_le_bytes().repeat(rows * 2);
            body.extend(message([*rows, 2], &raw, index % 2 == 0));
            expected.extend(vec![f64::from(number); *rows]);
        }
        let inputs = inputs(grpc(STREAM, &body, Limits::default()));
        prop_assert_eq!(inputs.columns().len(), 2);
        for column in inputs.columns() {
            prop_assert_eq!(column.as_numbers(), Some(&expected[..]));
        }
    }
}
