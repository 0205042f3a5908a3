//! A file in, a message out: as it crossed the wire, with its head, or a body alone.

use super::super::input::BadInput;
use crate::decode::Part;
use std::path::Path;

/// Fields of a head that are read.
const MAX_FIELDS: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Message {
    /// Of a request.
    pub(super) method: Option<String>,
    pub(super) target: Option<String>,
    /// Of a response.
    pub(super) status: Option<u16>,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    /// A file that begins as a message of HTTP/1 does has a head; any other is a body.
    pub(super) fn read(path: &Path) -> Result<Self, BadInput> {
        let shown = path.display();
        let bytes = std::fs::read(path)
            .map_err(|error| BadInput::text(format!("{shown}: cannot be read: {error}")))?;
        Self::parse(bytes).map_err(|what| BadInput::text(format!("{shown}: {what}")))
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
        let is_response = first.starts_with(b"HTTP/1.");
        if !(is_response || first.ends_with(b"HTTP/1.1") || first.ends_with(b"HTTP/1.0")) {
            return Ok(Self { body: bytes, ..Self::default() });
        }
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut message = Self::default();
        let head = if is_response {
            let mut response = httparse::Response::new(&mut fields);
            let head = response.parse(&bytes).map_err(bad_head)?;
            message.status = response.code;
            message.keep(response.headers);
            head
        } else {
            let mut request = httparse::Request::new(&mut fields);
            let head = request.parse(&bytes).map_err(bad_head)?;
            message.method = request.method.map(str::to_owned);
            message.target = request.path.map(str::to_owned);
            message.keep(request.headers);
            head
        };
        let httparse::Status::Complete(head) = head else {
            return Err("its head has no end: an empty line is missing".to_owned());
        };
        let is_chunked = message
            .field("transfer-encoding")
            .is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked"));
        message.body = if is_chunked { unchunked(&bytes[head..])? } else { bytes[head..].to_vec() };
        Ok(message)
    }

    fn keep(&mut self, fields: &[httparse::Header<'_>]) {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        self.fields = fields.iter().map(|it| (it.name.to_owned(), text(it.value))).collect();
    }

    /// A field given apart goes before the file's.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.fields.insert(0, (name.to_owned(), value.to_owned()));
    }

    fn field(&self, name: &str) -> Option<&str> {
        let named = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// As the sidecar keeps it: what is longer is cut.
    pub(super) fn part(&self, max_bytes: usize) -> Part<'_> {
        Part {
            content_type: self.field("content-type"),
            content_encoding: self.field("content-encoding"),
            body: &self.body[..self.body.len().min(max_bytes)],
            truncated: self.body.len() > max_bytes,
            json_len: self
                .field("inference-header-content-length")
                .and_then(|length| length.trim().parse().ok()),
        }
    }
}

fn bad_head(error: httparse::Error) -> String {
    format!("its head is none of HTTP/1: {error}")
}

fn unchunked(mut coded: &[u8]) -> Result<Vec<u8>, String> {
    let bad = || "its chunks are damaged, or the last is missing".to_owned();
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((head, size))) = httparse::parse_chunk_size(coded) else {
            return Err(bad());
        };
        let size = usize::try_from(size).map_err(|_| bad())?;
        if size == 0 {
            return Ok(body);
        }
        let end = head.checked_add(size).ok_or_else(bad)?;
        body.extend_from_slice(coded.get(head..end).ok_or_else(bad)?);
        coded = coded[end..].strip_prefix(b"\r\n").ok_or_else(bad)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, String> {
        Message::parse(text.as_bytes().to_vec())
    }

    #[test]
    fn a_message_has_a_head_and_a_body_has_none() {
        let request = "POST /invocations HTTP/1.1\r\ncontent-TYPE: text/csv\r\n\r\na\n1\n";
        let message = parse(request).unwrap();
        assert_eq!(message.target.as_deref(), Some("/invocations"));
        let part = message.part(100);
        assert_eq!((part.content_type, part.body), (Some("text/csv"), &b"a\n1\n"[..]));
        assert!(message.part(3).truncated && !part.truncated);
        let body = parse("{\"inputs\": [1]}").unwrap();
        assert_eq!(
            (body.method.as_deref(), body.part(100).body),
            (None, &b"{\"inputs\": [1]}"[..])
        );
    }

    #[test]
    fn chunks_are_put_together_or_refused() {
        let response = |chunks| {
            parse(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"))
        };
        let whole = response("3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\n\r\n").unwrap();
        assert_eq!((whole.status, whole.part(9).body), (Some(200), &b"[1,2]"[..]));
        for damaged in ["3\r\n[1,\r\n", "3\r\n[1", "x\r\n", "3\r\n[1,2]\r\n0\r\n\r\n"] {
            assert!(response(damaged).unwrap_err().contains("chunks"), "{damaged:?}");
        }
        assert!(parse("POST / HTTP/1.1\r\na: b\r\n").unwrap_err().contains("empty line"));
    }
}
