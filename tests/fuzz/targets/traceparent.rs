//! Trace context: continued only from one valid field, and always sent on valid. A field a line; the
//! last line is `tracestate`.
#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use taffrail::tap::fuzzing::continued;

fuzz_target!(|data: &[u8]| {
    let lines: Vec<_> = data.split(|byte| *byte == b'\n').collect();
    let (state, parents) = lines.split_last().expect("at least one");
    let mut headers = HeaderMap::new();
    for line in parents {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append("traceparent", value);
    }
    let Ok(state) = HeaderValue::from_bytes(state) else { return };
    headers.append("tracestate", state.clone());
    let (trace, after) = continued(headers);
    let trace = trace.expect("tracing is on");
    let sent = after["traceparent"].to_str().expect("visible");
    assert_eq!(after.get_all("traceparent").iter().count(), 1);
    let fields: Vec<_> = sent.split('-').collect();
    let lengths: Vec<_> = fields.iter().map(|field| field.len()).collect();
    assert_eq!((fields[0], &lengths[..]), ("00", &[2, 32, 16, 2][..]));
    match trace.parent_span_id {
        Some(_) => {
            let [parent] = parents[..] else { panic!("of several") };
            assert!(!parent[..55].iter().any(u8::is_ascii_uppercase));
            assert_eq!(parent[3..35], *fields[1].as_bytes());
            assert_eq!(after.get("tracestate"), Some(&state));
        }
        None => assert!(!after.contains_key("tracestate")),
    }
});
