//! Tensors as bytes: rows of equal length within the limits or a problem, and the same from a decoder
//! that was used before. The first byte says in what form: gRPC, gRPC streamed, or behind as many bytes of
//! JSON as the next two say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taffrail::decode::{Decoded, Decoder, Limits, Part, Payload, Rows, Settings};

const LIMITS: Limits = Limits {
    max_depth: 16,
    max_columns: 64,
    max_rows: 1024,
    max_cells: 4096,
    max_plain_bytes: 1 << 16,
};

fuzz_target!(|data: &[u8]| {
    let [form, low, high, body @ ..] = data else { return };
    let grpc = Part { content_type: Some("application/grpc"), body, ..Part::default() };
    let json_len = Some(usize::from(u16::from_le_bytes([*low, *high])));
    let (path, part) = match form {
        b'u' => ("/inference.GRPCInferenceService/ModelInfer", grpc),
        b's' => ("/inference.GRPCInferenceService/ModelStreamInfer", grpc),
        _ => ("/v2/models/m/infer", Part { body, json_len, ..Part::default() }),
    };
    let payload =
        Payload { method: "POST", path, status: Some(200), request: part, response: part };
    let mut decoder = Decoder::new(Settings { limits: LIMITS, ..Settings::default() });
    let (mut first, mut second) = (Decoded::default(), Decoded::default());
    decoder.decode(&payload, &mut first);
    is_rectangular(&first.inputs);
    is_rectangular(&first.outputs);
    decoder.decode(&payload, &mut second);
    assert_eq!(format!("{first:?}"), format!("{second:?}"), "the second time");
});

fn is_rectangular(rows: &Rows) {
    assert!(rows.columns().iter().all(|column| column.len() == rows.len()));
    assert!(rows.columns().iter().all(|column| column.cells().count() == rows.len()));
    assert!(rows.columns().len() <= LIMITS.max_columns && rows.len() <= LIMITS.max_rows);
    assert!(rows.columns().len() * rows.len() <= LIMITS.max_cells);
}
