//! JSON pointers: to where `serde_json` finds them leading. A pointer, then a document on the next line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use taffrail::decode::{
    Decoded, Decoder, Part, Payload, Pointer, Pointers, Problem, Protocol, Settings, Side,
};

fuzz_target!(|text: &str| {
    let Some((pointer, document)) = text.split_once('\n') else { return };
    let Ok(inputs) = pointer.parse::<Pointer>() else {
        let is_wrong = !pointer.is_empty() && !pointer.starts_with('/');
        assert!(is_wrong || pointer.contains('~'));
        return;
    };
    let Ok(value) = serde_json::from_str::<Value>(document) else { return };
    let pointers = Pointers { inputs: Some(inputs), outputs: None };
    let settings = Settings { protocol: Protocol::Pointers, pointers, ..Settings::default() };
    let mut decoded = Decoded::default();
    let request = Part { body: document.as_bytes(), ..Part::default() };
    let response = Part::default();
    let payload = Payload { method: "POST", path: "/", status: None, request, response };
    Decoder::new(settings).decode(&payload, &mut decoded);
    let is_unmatched = decoded.problems.contains(&(Side::Request, Problem::PointerUnmatched));
    // Where keys are doubled, we read the first and they the last.
    let is_plain = !has_doubled_key(document, &value);
    assert!(!is_plain || !is_unmatched || value.pointer(pointer).is_none(), "{value}");
    assert!(!is_plain || decoded.inputs.is_empty() || value.pointer(pointer).is_some(), "{value}");
});

/// Or may have: one that is no longer there takes its colon along.
fn has_doubled_key(document: &str, value: &Value) -> bool {
    document.matches(':').count() != value.to_string().matches(':').count()
}
