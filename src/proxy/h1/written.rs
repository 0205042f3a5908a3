//! How a head was written: what typed heads forget and peers may see.
//!
//! A `HeaderMap` knows names in lower case and keeps repeated fields together. This remembers the
//! letters and the order, so that a message leaves as it came.

use super::framing::Framing;
use super::head::Line;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use smallvec::SmallVec;
use std::ops::Range;

#[derive(Debug, Default)]
pub(in crate::proxy) struct Written {
    head: Bytes,
    lines: Vec<Line>,
    /// Whether other fields stand between two of one name.
    is_interleaved: bool,
    /// Of the message, as its head declares it.
    framing: Option<Framing>,
    /// The target, where it has bytes that a `Uri` cannot hold; the reason phrase of an answer.
    start: Option<Bytes>,
}

/// A piece of a head that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Lines as they were written, without the end of the last one.
    Lines(&'a [u8]),
    Field(&'a [u8], &'a [u8]),
}

/// A body whose head was perhaps written in letters of its own.
pub(in crate::proxy) trait Spelled: Body<Data = Bytes> + Unpin {
    /// How its head was written, if it came over HTTP/1.
    fn written(&self) -> Option<&Written> {
        None
    }

    /// The same of its trailers, once they have come.
    fn written_trailers(&self) -> Option<&Written> {
        None
    }
}

impl Written {
    /// Of fields that stand in `lines` of `head`.
    pub(super) fn new(head: Bytes, lines: Vec<Line>, is_interleaved: bool) -> Self {
        Self { head, lines, is_interleaved, framing: None, start: None }
    }

    pub(super) fn of_message(self, framing: Framing, start: Option<Bytes>) -> Self {
        Self { framing: Some(framing), start, ..self }
    }

    /// All of the head.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.head
    }

    pub(super) fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// The target or reason phrase as it was written.
    pub(super) fn start(&self) -> Option<&Bytes> {
        self.start.as_ref()
    }

    pub(super) fn forget_start(&mut self) {
        self.start = None;
    }

    /// Every field of `headers`, spelled and ordered as here as far as it stood here, each once.
    /// Lines that nobody touched come as they are, as many at a time as stand together.
    pub(super) fn each<'a>(&'a self, headers: &'a HeaderMap, mut send: impl FnMut(Piece<'a>)) {
        if self.is_interleaved {
            return self.each_in_order(headers, send);
        }
        // Both are in the same order, but for what was taken out or added since.
        let mut untouched: Range<usize> = 0..0;
        for (name, value) in headers {
            if self.is_line(untouched.end, value) {
                untouched.end += 1;
                continue;
            }
            self.send_lines(untouched.clone(), &mut send);
            let at = self.position(name, untouched.end);
            let next = at.map_or(untouched.end, |at| at + 1);
            match at {
                Some(at) if self.is_line(at, value) => untouched = at..next,
                Some(at) => {
                    send(Piece::Field(self.name(at), value.as_bytes()));
                    untouched = next..next;
                }
                None => {
                    send(Piece::Field(name.as_str().as_bytes(), value.as_bytes()));
                    untouched = next..next;
                }
            }
        }
        self.send_lines(untouched, &mut send);
    }

    /// Whether `value` is the very one of the line at `index`, by where it lies in memory: a value
    /// that was set since lies elsewhere.
    fn is_line(&self, index: usize, value: &HeaderValue) -> bool {
        let Some(line) = self.lines.get(index) else { return false };
        let written = &self.head[line.value.range()];
        std::ptr::eq(written, value.as_bytes())
    }

    fn send_lines<'a>(&'a self, lines: Range<usize>, send: &mut impl FnMut(Piece<'a>)) {
        if let Some([first, .., last] | [first @ last]) = self.lines.get(lines) {
            let bytes = first.name.range().start..last.value.range().end;
            send(Piece::Lines(&self.head[bytes]));
        }
    }

    fn name(&self, index: usize) -> &[u8] {
        self.lines.get(index).map_or(&[], |line| &self.head[line.name.range()])
    }

    fn position(&self, name: &HeaderName, from: usize) -> Option<usize> {
        let name = name.as_str().as_bytes();
        let is_it = |at: &usize| is_same(self.name(*at), name);
        (from..self.lines.len()).find(is_it).or_else(|| (0..from).find(is_it))
    }

    /// By the lines, as the map has put fields of one name together.
    fn each_in_order<'a>(&'a self, headers: &'a HeaderMap, mut send: impl FnMut(Piece<'a>)) {
        let mut seen: SmallVec<[(HeaderName, usize); 16]> = SmallVec::new();
        for index in 0..self.lines.len() {
            let Ok(name) = HeaderName::from_bytes(self.name(index)) else { continue };
            let known = seen.iter().position(|(other, _)| *other == name).unwrap_or_else(|| {
                seen.push((name, 0));
                seen.len() - 1
            });
            let (name, count) = &mut seen[known];
            if let Some(value) = headers.get_all(&*name).iter().nth(*count) {
                send(Piece::Field(self.name(index), value.as_bytes()));
                *count += 1;
            }
        }
        for name in headers.keys() {
            let done = seen.iter().find(|(other, _)| other == name).map_or(0, |(_, count)| *count);
            for value in headers.get_all(name).iter().skip(done) {
                send(Piece::Field(name.as_str().as_bytes(), value.as_bytes()));
            }
        }
    }
}

/// `name` is in lower case. Most names differ in length, and many are written in lower case.
fn is_same(written: &[u8], name: &[u8]) -> bool {
    written.len() == name.len() && (written == name || written.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::super::head::{self, Limits};
    use super::*;
    use bytes::BytesMut;

    fn head_of(fields: &str) -> (HeaderMap, Written) {
        let mut input = BytesMut::from(&*format!("GET / HTTP/1.1\r\n{fields}\r\n"));
        let head = head::request(&mut input, Limits::default()).unwrap().unwrap();
        (head.request.headers().clone(), head.written)
    }

    fn lines(headers: &HeaderMap, written: &Written) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut lines = Vec::new();
        written.each(headers, |piece| match piece {
            Piece::Lines(some) => lines.extend(text(some).split("\r\n").map(str::to_owned)),
            Piece::Field(name, value) => lines.push(format!("{}: {}", text(name), text(value))),
        });
        lines
    }

    #[test]
    fn letters_and_order_are_kept_and_added_fields_follow() {
        let (mut headers, written) = head_of("Host: a\r\nX-oDD: 1\r\nB: 2\r\n");
        headers.append("x-request-id", HeaderValue::from_static("r"));
        let expected = ["Host: a", "X-oDD: 1", "B: 2", "x-request-id: r"];
        assert_eq!(lines(&headers, &written), expected);
    }

    #[test]
    fn fields_of_one_name_stay_where_they_stood() {
        let (mut headers, written) = head_of("A: 1\r\nhost: h\r\nB: 2\r\na: 3\r\nC: 4\r\nA: 5\r\n");
        headers.append("d", HeaderValue::from_static("6"));
        let expected = ["A: 1", "host: h", "B: 2", "a: 3", "C: 4", "A: 5", "d: 6"];
        assert_eq!(lines(&headers, &written), expected);
    }

    #[test]
    fn lines_that_nobody_touched_come_together_as_they_are() {
        let (mut headers, written) = head_of("Host:a\r\nA:   1 \r\nB: 2\r\nC:\r\nD: 4\r\n");
        headers.insert("b", HeaderValue::from_static("two"));
        let mut pieces = Vec::new();
        written.each(&headers, |piece| pieces.push(piece));
        let expected: [Piece<'_>; 3] = [
            Piece::Lines(b"Host:a\r\nA:   1"),
            Piece::Field(b"B", b"two"),
            Piece::Lines(b"C:\r\nD: 4"),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn a_field_taken_out_leaves_no_trace() {
        let (mut headers, written) = head_of("A: 1\r\nB: 2\r\nC: 3\r\nhost: h\r\n");
        headers.remove("a");
        assert_eq!(lines(&headers, &written).len(), 3);
        assert!(!lines(&headers, &written).iter().any(|line| line.starts_with('A')));
    }
}
