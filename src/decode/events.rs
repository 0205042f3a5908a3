//! The body of a stream of server-sent events in, the data of each event out, as it lies in the body.
//!
//! Lines end in LF, CRLF or CR, as the HTML standard ("Server-sent events", section 9.2.6) has it.
//! Other than there, an event that the body's end cuts off is given too: whether it is whole is for
//! its reader to find.

/// Walks the events of one body.
pub(super) struct Events<'b> {
    rest: &'b [u8],
}

impl<'b> Events<'b> {
    pub(super) fn new(body: &'b [u8]) -> Self {
        Self { rest: body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body) }
    }

    /// The next event's data, if there is one more. Data of several lines are joined in `joined`.
    pub(super) fn next<'d>(&mut self, joined: &'d mut Vec<u8>) -> Option<&'d [u8]>
    where
        'b: 'd,
    {
        joined.clear();
        let mut only: Option<&'b [u8]> = None;
        let mut several = false;
        while let Some(line) = self.line() {
            if line.is_empty() {
                if only.is_some() {
                    break;
                }
                continue;
            }
            let Some(data) = data(line) else { continue };
            if let Some(first) = only.filter(|_| !several) {
                joined.extend_from_slice(first);
                several = true;
            }
            if several {
                joined.push(b'\n');
                joined.extend_from_slice(data);
            }
            only.get_or_insert(data);
        }
        if several { Some(joined) } else { only }
    }

    /// Without its end.
    fn line(&mut self) -> Option<&'b [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let (line, behind) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = match behind {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => behind,
        };
        Some(line)
    }
}

/// What a line of the field `data` holds; other fields and comments hold none.
fn data(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        [] => Some(&[]),
        [b':', b' ', data @ ..] | [b':', data @ ..] => Some(data),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(body: &str) -> Vec<String> {
        let (mut events, mut joined, mut all) =
            (Events::new(body.as_bytes()), Vec::new(), Vec::new());
        while let Some(data) = events.next(&mut joined) {
            all.push(String::from_utf8(data.to_vec()).unwrap());
        }
        all
    }

    #[test]
    fn every_ending_of_lines_is_read() {
        for end in ["\n", "\r\n", "\r"] {
            let body = ": hello|data: one||event: x|data:two|id: 7||data:  three|data|data: 3||retry: 1||data: four";
            assert_eq!(all(&body.replace('|', end)), ["one", "two", " three\n\n3", "four"]);
        }
    }

    #[test]
    fn a_body_without_data_has_no_events() {
        for body in ["", "\n\n", ": only a comment\n\n", "event: ping\n\n", "database: x\n\n"] {
            assert!(all(body).is_empty(), "{body:?}");
        }
        assert_eq!(all("\u{feff}data: x"), ["x"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_their_end(body: Vec<u8>) {
            let (mut events, mut joined, mut total) = (Events::new(&body), Vec::new(), 0);
            while let Some(data) = events.next(&mut joined) {
                total += data.len();
            }
            prop_assert!(total <= body.len());
            prop_assert!(events.rest.is_empty());
        }

        #[test]
        fn what_was_sent_comes_back(sent in prop::collection::vec("[a-z:{}\" ]{1,20}", 0..8)) {
            let events: Vec<_> = sent.iter().map(|data| format!("data: {data}\n\n")).collect();
            let body = events.concat();
            prop_assert_eq!(all(&body), sent);
        }
    }
}
