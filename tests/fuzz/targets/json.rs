//! The reader of payloads against `serde_json`: the same documents, and the same in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use taffrail::decode::fuzzing::json;

/// As deep as `serde_json` goes.
const DEPTH: usize = 127;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Keys by which serde_json talks to itself, and words of Python's that only we read.
    if ["$serde_json", "NaN", "Infinity"].iter().any(|word| text.contains(word)) {
        return;
    }
    let ours: Option<Value> = json(text, DEPTH);
    match serde_json::from_str::<Value>(text) {
        Ok(theirs) => assert_eq!(ours, Some(doubles(theirs))),
        Err(error) => assert!(ours.is_none() || is_limit(&error), "only we accept it: {error}"),
    }
    let skipped: Option<serde::de::IgnoredAny> = json(text, DEPTH);
    assert!(skipped.is_none() || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
});

/// What they refuse although it is JSON: numbers beyond doubles, and depth.
fn is_limit(error: &serde_json::Error) -> bool {
    let text = error.to_string();
    text.starts_with("number out of range") || text.starts_with("recursion limit")
}

/// All numbers as doubles, as our reader has them.
fn doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64()),
        Value::Array(values) => values.into_iter().map(doubles).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, doubles(value))).collect()
        }
        other => other,
    }
}
