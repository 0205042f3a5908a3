//! Exchanges with language models: one row a side at most, the same from a decoder that was used before,
//! and of events the same whatever ends their lines. Path, request and response, parted by bytes of 0xff.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taffrail::decode::{Decoded, Decoder, Part, Payload, Rows, Settings};

const CONTENT_TYPES: [&str; 2] = ["application/json", "text/event-stream"];

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == 0xff);
    let Ok(path) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
    let (request, response) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut decoder = Decoder::new(Settings::default());
    for content_type in CONTENT_TYPES {
        let mut read = |response: &[u8]| {
            let mut decoded = Decoded::default();
            decoder.decode(&payload(path, request, content_type, response), &mut decoded);
            decoded
        };
        let first = read(response);
        assert_eq!(format!("{first:?}"), format!("{:?}", read(response)), "the second time");
        if first.dialect.is_some_and(|dialect| dialect.as_str() == "openai") {
            is_one_row(&first.inputs);
            is_one_row(&first.outputs);
        }
        if content_type == "text/event-stream" && !response.contains(&b'\r') {
            let with_cr: Vec<u8> = response
                .iter()
                .flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] })
                .collect();
            assert_eq!(format!("{first:?}"), format!("{:?}", read(&with_cr)), "with CRLF");
        }
    }
});

fn payload<'a>(
    path: &'a str,
    request: &'a [u8],
    content_type: &'a str,
    response: &'a [u8],
) -> Payload<'a> {
    let request = Part { body: request, ..Part::default() };
    let response = Part { content_type: Some(content_type), body: response, ..Part::default() };
    Payload { method: "POST", path, status: Some(200), request, response }
}

fn is_one_row(rows: &Rows) {
    assert!(rows.len() <= 1 && rows.columns().len() < 32);
    assert!(rows.columns().iter().all(|column| column.cells().count() == rows.len()));
}
