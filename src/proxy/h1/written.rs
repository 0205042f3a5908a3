//! How a head was written: what typed heads forget and peers may see.
//!
//! A `HeaderMap` knows names in lower case and keeps repeated fields together. This remembers the
//! letters and the order, so that a message leaves as it came.

use super::head::Span;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use smallvec::SmallVec;

/// Enough for most heads, so that few need memory of their own.
pub(super) const USUAL_FIELDS: usize = 16;

pub(super) type Names = SmallVec<[Span; USUAL_FIELDS]>;

#[derive(Debug, Default)]
pub(in crate::proxy) struct Written {
    head: Bytes,
    names: Names,
    /// Whether other fields stand between two of one name.
    is_interleaved: bool,
    /// The target, where it has bytes that a `Uri` cannot hold; the reason phrase of an answer.
    start: Option<Bytes>,
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
    /// Of a head whose fields have `names`, in this order.
    pub(super) fn new(head: Bytes, names: Names, start: Option<Bytes>) -> Self {
        let mut written = Self { head, names, is_interleaved: false, start };
        written.is_interleaved = written.has_interleaved_names();
        written
    }

    /// The target or reason phrase as it was written.
    pub(super) fn start(&self) -> Option<&Bytes> {
        self.start.as_ref()
    }

    pub(super) fn forget_start(&mut self) {
        self.start = None;
    }

    fn name(&self, index: usize) -> &[u8] {
        self.names.get(index).map_or(&[], |span| &self.head[span.range()])
    }

    fn has_interleaved_names(&self) -> bool {
        let same = |a: usize, b: usize| self.name(a).eq_ignore_ascii_case(self.name(b));
        (2..self.names.len())
            .any(|at| !same(at, at - 1) && (0..at - 1).any(|other| same(at, other)))
    }

    /// Every field of `headers`, spelled and ordered as here as far as it stood here, each once.
    pub(super) fn each<'a>(
        &'a self,
        headers: &'a HeaderMap,
        mut field: impl FnMut(&'a [u8], &'a HeaderValue),
    ) {
        if self.is_interleaved {
            return self.each_in_order(headers, field);
        }
        // Both are in the same order, but for what was taken out or added since.
        let mut next = 0;
        for (name, value) in headers {
            match self.position(name, next) {
                Some(at) => {
                    field(self.name(at), value);
                    next = at + 1;
                }
                None => field(name.as_str().as_bytes(), value),
            }
        }
    }

    fn position(&self, name: &HeaderName, from: usize) -> Option<usize> {
        let name = name.as_str().as_bytes();
        let is_it = |at: &usize| self.name(*at).eq_ignore_ascii_case(name);
        (from..self.names.len()).find(is_it).or_else(|| (0..from).find(is_it))
    }

    /// By the lines, as the map has put fields of one name together.
    fn each_in_order<'a>(
        &'a self,
        headers: &'a HeaderMap,
        mut field: impl FnMut(&'a [u8], &'a HeaderValue),
    ) {
        let mut seen: SmallVec<[(HeaderName, usize); USUAL_FIELDS]> = SmallVec::new();
        for index in 0..self.names.len() {
            let Ok(name) = HeaderName::from_bytes(self.name(index)) else { continue };
            let known = seen.iter().position(|(other, _)| *other == name).unwrap_or_else(|| {
                seen.push((name, 0));
                seen.len() - 1
            });
            let (name, count) = &mut seen[known];
            if let Some(value) = headers.get_all(&*name).iter().nth(*count) {
                field(self.name(index), value);
                *count += 1;
            }
        }
        for name in headers.keys() {
            let written =
                seen.iter().find(|(other, _)| other == name).map_or(0, |(_, count)| *count);
            for value in headers.get_all(name).iter().skip(written) {
                field(name.as_str().as_bytes(), value);
            }
        }
    }
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
        let mut lines = Vec::new();
        written.each(headers, |name, value| {
            let name = std::str::from_utf8(name).unwrap();
            lines.push(format!("{name}: {}", value.to_str().unwrap()));
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
    fn a_field_taken_out_leaves_no_trace() {
        let (mut headers, written) = head_of("A: 1\r\nB: 2\r\nC: 3\r\nhost: h\r\n");
        headers.remove("a");
        assert_eq!(lines(&headers, &written).len(), 3);
        assert!(!lines(&headers, &written).iter().any(|line| line.starts_with('A')));
    }
}
