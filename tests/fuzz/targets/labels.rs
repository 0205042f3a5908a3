//! Labels: every one is taken or told as bad, and JSON is taken whole. The first line is the content type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taffrail::labels::{Parsed, parse};

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let content_type = std::str::from_utf8(parts.next().unwrap_or_default()).ok();
    let body = parts.next().unwrap_or_default();
    let Ok(parsed) = parse(content_type, body) else { return };
    assert!(parsed.labels.iter().all(|label| !label.id.is_empty()));
    assert_eq!(parsed.bad.len() as u64, parsed.bad_total.min(Parsed::MAX_REPORTED as u64));
    assert!(parsed.bad.iter().all(|bad| bad.number > 0 && !bad.to_string().is_empty()));
    let count = parsed.labels.len() as u64 + parsed.bad_total;
    assert!(count <= body.len() as u64 + 1);
    if let Ok(serde_json::Value::Array(elements)) = serde_json::from_slice(body) {
        let is_csv = content_type.is_some_and(|kind| kind.to_ascii_lowercase().contains("csv"));
        assert!(is_csv || count == elements.len() as u64);
    }
});
