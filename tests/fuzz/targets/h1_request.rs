//! Requests' heads: what is accepted is beyond doubt, and is the same to the next reader.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taffrail::proxy::fuzzing::{Head, request};
use taffrail_fuzz::{EAGER_BYTES, framing_of, is_beyond_doubt, same_however_split, strictly};

fuzz_target!(|data: &[u8]| {
    let read = same_however_split(data, |parts| match request(parts) {
        Ok(head) => Ok(head),
        Err(_) if data.len() > EAGER_BYTES => Ok(None),
        Err(_) => Err("refused"),
    });
    if let Ok(Some(head)) = read {
        is_beyond_doubt(data, &head);
        is_told_the_same(&head);
        is_httparses(&head);
    }
});

fn is_told_the_same(head: &Head) {
    let again = request(&[&head.sent_on]).expect("sent on").expect("whole");
    assert_eq!(again.length, head.sent_on.len());
    assert_eq!((&again.start, &again.fields), (&head.start, &head.fields));
    assert_eq!((again.framing, head.sent_framing), (head.framing, head.framing));
    assert_eq!(again.sent_on, head.sent_on);
    let (start, fields) = strictly(&head.sent_on).expect("strict");
    assert_eq!(fields, head.fields);
    assert_eq!(framing_of(&fields), Some(head.framing));
    let parts: Vec<&str> = start.split(' ').collect();
    assert!(matches!(parts[..], [method, _, "HTTP/1.1"] if method == head.start), "{start:?}");
}

fn is_httparses(head: &Head) {
    let mut room = [httparse::EMPTY_HEADER; 256];
    let mut parsed = httparse::Request::new(&mut room);
    match parsed.parse(&head.sent_on) {
        Ok(status) => assert_eq!(status, httparse::Status::Complete(head.sent_on.len())),
        // It takes no target that is not UTF-8.
        Err(error) => {
            assert!(std::str::from_utf8(&head.sent_on).is_err(), "{error}");
            return;
        }
    }
    assert_eq!(parsed.method, Some(&*head.start));
    let fields = parsed.headers.iter().map(|field| (field.name, field.value));
    assert!(fields.eq(head.fields.iter().map(|(name, value)| (&**name, &**value))));
}
