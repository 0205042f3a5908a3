//! Decoding: rows of equal length or a problem, and the same from a decoder that was used before.
//! Path, content type, request and response, parted by bytes of 0xff; plain, and as if each was coded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taffrail::decode::{
    Decoded, Decoder, Limits, Part, Payload, Pointers, Protocol, Rows, Settings,
};

const PROTOCOLS: [Protocol; 7] = [
    Protocol::Auto,
    Protocol::OpenInferenceV2,
    Protocol::KserveV1,
    Protocol::Mlflow,
    Protocol::AzureMl,
    Protocol::Csv,
    Protocol::Pointers,
];
const LIMITS: Limits = Limits {
    max_depth: 16,
    max_columns: 64,
    max_rows: 1024,
    max_cells: 4096,
    max_plain_bytes: 1 << 16,
};
const CODINGS: [Option<&str>; 5] = [None, Some("gzip"), Some("deflate"), Some("br"), Some("zstd")];

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(4, |byte| *byte == 0xff);
    let mut text = || std::str::from_utf8(parts.next().unwrap_or_default()).ok();
    let (Some(path), Some(content_type)) = (text(), text()) else { return };
    let mut part = || Part {
        content_type: Some(content_type).filter(|text| !text.is_empty()),
        body: parts.next().unwrap_or_default(),
        ..Part::default()
    };
    let (request, response) = (part(), part());
    let payload = Payload { method: "POST", path, status: Some(200), request, response };
    for content_encoding in CODINGS {
        let coded = |part| Part { content_encoding, ..part };
        let payload = Payload { request: coded(request), response: coded(response), ..payload };
        decode(&payload);
    }
});

fn decode(payload: &Payload<'_>) {
    for protocol in PROTOCOLS {
        let mut decoder = Decoder::new(settings(protocol));
        let (mut first, mut second) = (Decoded::default(), Decoded::default());
        decoder.decode(payload, &mut first);
        is_rectangular(&first.inputs);
        is_rectangular(&first.outputs);
        decoder.decode(payload, &mut second);
        assert_eq!(format!("{first:?}"), format!("{second:?}"), "the second time");
    }
}

fn settings(protocol: Protocol) -> Settings {
    let inputs = "/rows".parse().ok().filter(|_| protocol == Protocol::Pointers);
    let pointers = Pointers { inputs, outputs: None };
    Settings { protocol, pointers, limits: LIMITS, ..Settings::default() }
}

fn is_rectangular(rows: &Rows) {
    assert!(rows.columns().iter().all(|column| column.len() == rows.len()));
    assert!(rows.columns().iter().all(|column| column.cells().count() == rows.len()));
    assert!(rows.columns().len() <= LIMITS.max_columns && rows.len() <= LIMITS.max_rows);
    assert!(rows.columns().len() * rows.len() <= LIMITS.max_cells);
}
