//! Answers' heads: what is accepted is beyond doubt, and is the same to the next reader. The first byte
//! says what was asked.
#![no_main]

use http::{Method, Version};
use libfuzzer_sys::fuzz_target;
use taffrail::proxy::fuzzing::{Framing, Head, answer};
use taffrail_fuzz::{EAGER_BYTES, framing_of, is_beyond_doubt, same_however_split, strictly};

/// That an answer may have.
const MOST_FIELDS: usize = 256;

fuzz_target!(|data: &[u8]| {
    let Some((&asked, data)) = data.split_first() else { return };
    let method = if asked == b'H' { Method::HEAD } else { Method::GET };
    let read = same_however_split(data, |parts| match answer(parts, &method) {
        Ok(head) => Ok(head),
        Err(_) if data.len() > EAGER_BYTES => Ok(None),
        Err(_) => Err("refused"),
    });
    let Ok(Some(head)) = read else { return };
    is_beyond_doubt(data, &head);
    // Interim answers are passed on as they came, and one field more may be one too many for our reader.
    if !head.start.starts_with('1') && head.fields.len() < MOST_FIELDS {
        is_told_the_same(&head, &method);
    }
});

fn is_told_the_same(head: &Head, method: &Method) {
    let again = answer(&[&head.sent_on], method).expect("sent on").expect("whole");
    assert_eq!(again.length, head.sent_on.len());
    assert_eq!((&again.start, again.version), (&head.start, Version::HTTP_11));
    assert_eq!(again.framing, head.sent_framing);
    let (kept, added) = again.fields.split_at(head.fields.len());
    assert_eq!(kept, head.fields);
    // What lasted until the connection closed is sent on in chunks.
    let is_added = head.framing == Framing::UntilClose && head.sent_framing == Framing::Chunked;
    let encoding = [("transfer-encoding".to_owned(), b"chunked".to_vec())];
    assert_eq!(added, if is_added { &encoding[..] } else { &[] });
    assert!(is_added || head.sent_framing == head.framing);
    let (start, fields) = strictly(&head.sent_on).expect("strict");
    assert_eq!(fields, again.fields);
    assert!(start.starts_with(&format!("HTTP/1.1 {} ", head.start)), "{start:?}");
    if head.sent_framing != Framing::Empty {
        assert_eq!(framing_of(&fields), Some(head.sent_framing));
    }
}
