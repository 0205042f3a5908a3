//! What holds for every payload.

use super::fixtures::cases;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::io::Write;
use taffrail::decode::{Cell, Decoded, Decoder, Part, Payload, Rows, Settings};

const PATHS: [&str; 9] = [
    "/invocations",
    "/score",
    "/v2/models/m/infer",
    "/v1/models/m:predict",
    "/any",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
];
const CONTENT_TYPES: [Option<&str>; 3] = [None, Some("text/csv"), Some("text/event-stream")];

fn decode(path: &str, content_type: Option<&str>, body: &[u8]) -> Decoded {
    let part = Part { content_type, body, ..Part::default() };
    exchange(path, part, part)
}

fn answer_of_chat(content_type: Option<&str>, body: &[u8]) -> Decoded {
    let request = Part { body: br#"{"messages": [{"content": "hi"}]}"#, ..Part::default() };
    let response = Part { content_type, body, ..Part::default() };
    exchange("/v1/chat/completions", request, response)
}

fn exchange(path: &str, request: Part<'_>, response: Part<'_>) -> Decoded {
    let payload = Payload { method: "POST", path, status: Some(200), request, response };
    let mut decoded = Decoded::default();
    Decoder::new(Settings::default()).decode(&payload, &mut decoded);
    for rows in [&decoded.inputs, &decoded.outputs] {
        assert!(rows.columns().iter().all(|column| column.cells().count() == rows.len()));
    }
    decoded
}

fn inputs(path: &str, body: &Value) -> Rows {
    decode(path, None, body.to_string().as_bytes()).inputs
}

fn bodies() -> Vec<Vec<u8>> {
    let files =
        cases().into_iter().flat_map(|case| [case.join("request.bin"), case.join("response.bin")]);
    files.filter_map(|file| std::fs::read(file).ok()).filter(|body| !body.is_empty()).collect()
}

/// An object's members, written in another order.
fn shuffled(members: &[(&str, Value)], order: &[Index]) -> String {
    let mut left: Vec<_> = members.to_vec();
    let mut written = Vec::new();
    for index in order {
        if !left.is_empty() {
            let (key, value) = left.remove(index.index(left.len()));
            written.push(format!("{}:{value}", json!(key)));
        }
    }
    assert!(left.is_empty());
    format!("{{{}}}", written.join(","))
}

fn order(len: usize) -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), len)
}

/// By content coding.
fn coded(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let level = flate2::Compression::fast();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), level);
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), level);
    gzip.write_all(body).unwrap();
    deflate.write_all(body).unwrap();
    raw.write_all(body).unwrap();
    vec![
        ("gzip", gzip.finish().unwrap()),
        ("deflate", deflate.finish().unwrap()),
        ("deflate", raw.finish().unwrap()),
        ("zstd", zstd::encode_all(body, 1).unwrap()),
    ]
}

fn decode_coded(coding: &str, body: &[u8]) -> Decoded {
    let part = Part {
        content_type: Some("application/json"),
        content_encoding: Some(coding),
        body,
        ..Part::default()
    };
    let payload = Payload {
        method: "POST",
        path: "/invocations",
        status: Some(200),
        request: part,
        response: part,
    };
    let mut decoded = Decoded::default();
    Decoder::new(Settings::default()).decode(&payload, &mut decoded);
    decoded
}

proptest! {
    #[test]
    fn a_coding_changes_nothing_of_what_is_read(body in select(bodies())) {
        let plain = format!("{:?}", decode("/invocations", Some("application/json"), &body));
        for (coding, body) in coded(&body) {
            prop_assert_eq!(&format!("{:?}", decode_coded(coding, &body)), &plain, "{}", coding);
        }
    }

    #[test]
    fn damaged_codings_do_not_panic(
        body in select(bodies()),
        at: Index,
        byte: u8,
        cut: Index,
    ) {
        for (coding, mut body) in coded(&body) {
            let at = at.index(body.len());
            body[at] ^= byte;
            body.truncate(cut.index(body.len()) + 1);
            for coding in [coding, "br"] {
                decode_coded(coding, &body);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(body: Vec<u8>, path in select(PATHS.to_vec()), content_type in select(CONTENT_TYPES.to_vec())) {
        decode(path, content_type, &body);
    }

    #[test]
    fn damaged_bodies_do_not_panic(
        body in select(bodies()),
        path in select(PATHS.to_vec()),
        damage in prop::collection::vec((any::<Index>(), "[\\[\\]{},:\"\\\\0-9.eE+\\-a-zé\u{0}]{0,3}"), 1..4),
        content_type in select(CONTENT_TYPES.to_vec()),
    ) {
        let mut body = body;
        for (at, with) in damage {
            let at = at.index(body.len() + 1);
            let end = (at + 1).min(body.len());
            body.splice(at..end, with.bytes());
        }
        decode(path, content_type, &body);
    }

    #[test]
    fn the_order_of_keys_does_not_matter(
        frame in order(3), tensor in order(5), document in order(3), record in order(3),
        cells in prop::collection::vec(prop::collection::vec(-1e6..1e6f64, 3), 1..5),
    ) {
        let data = json!(cells);
        let split = shuffled(&[("columns", json!(["a", "b", "c"])), ("data", data.clone()), ("index", json!([0]))], &frame);
        let tensor = shuffled(&[
            ("name", json!("x")), ("shape", json!([cells.len(), 3])), ("datatype", json!("FP64")),
            ("parameters", json!({"content_type": "np"})), ("data", data),
        ], &tensor);
        let around = |key: &str, value: &str| {
            let marked = shuffled(&[(key, json!("HERE")), ("id", json!("7")), ("extra", json!([{"inputs": 1}]))], &document);
            marked.replace("\"HERE\"", value)
        };
        let numbers = |body: &str, path| {
            let rows = decode(path, None, body.as_bytes()).inputs;
            rows.columns().iter().map(|column| column.as_numbers().unwrap().to_vec()).collect::<Vec<_>>()
        };
        let expected: Vec<Vec<f64>> = (0..3).map(|column| cells.iter().map(|row| row[column]).collect()).collect();
        prop_assert_eq!(&numbers(&around("dataframe_split", &split), "/invocations"), &expected);
        prop_assert_eq!(&numbers(&around("input_data", &split), "/score"), &expected);
        prop_assert_eq!(&numbers(&around("inputs", &format!("[{tensor}]")), "/v2/models/m/infer"), &expected);
        prop_assert_eq!(&numbers(&around("inputs", &format!("[{tensor}]")), "/any"), &expected);
        let records: Vec<String> = cells.iter().enumerate().map(|(row, cells)| {
            let members = [("a", json!(cells[0])), ("b", json!(cells[1])), ("c", json!(cells[2]))];
            // The first record settles the order of the columns.
            if row == 0 { json!({"a": cells[0], "b": cells[1], "c": cells[2]}).to_string() } else { shuffled(&members, &record) }
        }).collect();
        prop_assert_eq!(&numbers(&around("dataframe_records", &format!("[{}]", records.join(","))), "/invocations"), &expected);
    }

    #[test]
    fn flat_and_nested_tensors_are_the_same(
        rows in 1usize..6, width in 1usize..6, seed: u64,
    ) {
        let cell = |row: usize, column: usize| match (row * width + column) as u64 ^ (seed % 5) {
            0 => json!("text"),
            1 => Value::Null,
            2 => json!(true),
            n => json!(n as f64 / 7.0),
        };
        let nested: Vec<Vec<Value>> = (0..rows).map(|row| (0..width).map(|column| cell(row, column)).collect()).collect();
        let flat: Vec<&Value> = nested.iter().flatten().collect();
        let tensor = |data: Value| json!({"inputs": [{"name": "x", "shape": [rows, width], "datatype": "FP64", "data": data}]});
        let (nested, flat) = (tensor(json!(nested)), tensor(json!(flat)));
        prop_assert_eq!(inputs("/v2/models/m/infer", &nested), inputs("/v2/models/m/infer", &flat));
        prop_assert_eq!(inputs("/any", &nested).columns().len(), width);
    }

    #[test]
    fn numbers_round_trip_exactly(numbers in prop::collection::vec(any::<f64>().prop_filter("finite", |n| n.is_finite()), 1..20)) {
        for (path, key) in [("/invocations", "inputs"), ("/score", "data")] {
            let rows = inputs(path, &json!({ key: numbers }));
            let seen = rows.columns()[0].as_numbers().unwrap();
            prop_assert!(seen.iter().zip(&numbers).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    #[test]
    fn a_streamed_answer_counts_as_the_whole_one(
        pieces in prop::collection::vec("[ -~éЖ中🦀]{1,12}", 1..8), crlf: bool, in_parts: bool,
    ) {
        let text = pieces.concat();
        let whole = json!({"model": "m", "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]});
        let mut events: Vec<Value> = pieces.iter().map(|piece| {
            json!({"model": "m", "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}]})
        }).collect();
        events.push(json!({"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
        let end = if crlf { "\r\n" } else { "\n" };
        let streamed: String = events.iter().map(|event| {
            let text = if in_parts { format!("{event:#}") } else { event.to_string() };
            let lines: Vec<_> = text.lines().map(|line| format!("data: {line}{end}")).collect();
            lines.concat() + end
        }).collect();
        let whole = answer_of_chat(None, whole.to_string().as_bytes()).outputs;
        let streamed = answer_of_chat(Some("text/event-stream"), streamed.as_bytes()).outputs;
        prop_assert_eq!(whole.len(), 1);
        for column in whole.columns().iter().filter(|column| &**column.name() != "output_tokens") {
            prop_assert_eq!(Some(column), streamed.column(column.name()));
        }
        let estimate = streamed.column("output_tokens").unwrap().as_numbers().unwrap();
        prop_assert_eq!(estimate, [pieces.len() as f64]);
    }

    #[test]
    fn a_stream_may_be_cut_anywhere(at: Index, damage: Option<u8>) {
        let case = super::fixtures::folder().join("openai_chat_stream");
        let mut body = std::fs::read(case.join("response.bin")).unwrap();
        body.truncate(at.index(body.len() + 1));
        body.extend(damage);
        let decoded = answer_of_chat(Some("text/event-stream"), &body);
        prop_assert!(decoded.outputs.len() <= 1);
        let has_ended = String::from_utf8_lossy(&body).contains("\"finish_reason\":\"stop\"");
        prop_assert!(has_ended || !decoded.problems.is_empty());
    }

    #[test]
    fn texts_come_back_as_sent(texts in prop::collection::vec(any::<String>(), 1..10)) {
        let rows = inputs("/invocations", &json!({"inputs": {"t": texts}}));
        let cells: Vec<_> = rows.columns()[0].cells().collect();
        let expected: Vec<_> = texts.iter().map(|text| Cell::Text(text)).collect();
        prop_assert_eq!(cells, expected);
    }
}
