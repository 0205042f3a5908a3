//! Chunked bodies: the same in any pieces, never more than came, and the same again in other chunks.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use taffrail::proxy::fuzzing::{Chunked, chunked, in_chunks};
use taffrail_fuzz::{same_however_split, split};

fuzz_target!(|data: &[u8]| {
    let read = same_however_split(data, chunked);
    assert!(read.data.len() <= data.len());
    assert!(data.ends_with(&read.rest));
    if read.is_over {
        is_the_same_in_other_chunks(&read);
    }
});

fn is_the_same_in_other_chunks(read: &Chunked) {
    let mut trailers = HeaderMap::new();
    for (name, value) in &read.trailers {
        let name: HeaderName = name.parse().expect("a name");
        trailers.append(name, HeaderValue::from_bytes(value).expect("a value"));
    }
    let again = chunked(&[&in_chunks(&split(&read.data), &trailers)]);
    assert_eq!(again.data, read.data);
    assert!(again.is_over && again.rest.is_empty());
    // A map keeps fields of one name together, in lower case.
    let sorted = |fields: &[(String, Vec<u8>)]| {
        let lower = fields.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
        let mut fields: Vec<_> = lower.collect();
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        fields
    };
    assert_eq!(sorted(&again.trailers), sorted(&read.trailers));
}
