//! Heads, chunk sizes and trailers as bytes.

use super::framing::Framing;
use super::written::{Piece, Written};
use bytes::{BufMut as _, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body::Body;

/// Typical heads and short bodies behind them, so that few grow.
const USUAL_BYTES: usize = 2048;

/// A request's head for an HTTP/1.1 upstream, and the framing it declares.
pub(super) fn request<B: Body>(
    request: &Request<()>,
    body: &B,
    written: Option<&Written>,
) -> (BytesMut, Framing) {
    let mut out = BytesMut::with_capacity(USUAL_BYTES);
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.put_u8(b' ');
    match written.and_then(Written::start) {
        Some(target) => out.extend_from_slice(target),
        None => match request.uri().path_and_query() {
            Some(target) => out.extend_from_slice(target.as_str().as_bytes()),
            None => out.put_u8(b'/'),
        },
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    fields(&mut out, request.headers(), written);
    let framing = declared(request.headers(), written).unwrap_or_else(|| {
        if body.is_end_stream() {
            return Framing::Empty;
        }
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        Framing::Chunked
    });
    out.extend_from_slice(b"\r\n");
    (out, framing)
}

/// Whom an answer is for, and what is to become of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) version: Version,
    pub(super) is_head: bool,
    pub(super) connection: Option<&'static str>,
}

/// An answer's head for an HTTP/1 client, and the framing it declares.
pub(super) fn answer<B: Body>(
    answer: &Response<B>,
    written: Option<&Written>,
    client: Client,
) -> (BytesMut, Framing) {
    let mut out = BytesMut::with_capacity(USUAL_BYTES);
    let status = answer.status();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    match written.and_then(Written::start) {
        Some(reason) => out.extend_from_slice(reason),
        None => out.extend_from_slice(status.canonical_reason().unwrap_or("").as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
    let (framing, is_added) = answer_framing(answer, written, client);
    let is_close_delimited =
        framing == Framing::UntilClose && status != StatusCode::SWITCHING_PROTOCOLS;
    if is_close_delimited && answer.headers().contains_key(TRANSFER_ENCODING) {
        let mut plain = answer.headers().clone();
        plain.remove(TRANSFER_ENCODING);
        fields(&mut out, &plain, written);
    } else {
        fields(&mut out, answer.headers(), written);
    }
    match framing {
        Framing::Length(length) if is_added => {
            let mut digits = itoa::Buffer::new();
            line(&mut out, b"content-length", digits.format(length).as_bytes());
        }
        Framing::Chunked if is_added => line(&mut out, b"transfer-encoding", b"chunked"),
        _ => {}
    }
    let connection = if is_close_delimited { Some("close") } else { client.connection };
    if let Some(connection) = connection {
        line(&mut out, b"connection", connection.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    (out, framing)
}

/// How an answer's body will be framed, and whether its head does not say so yet.
fn answer_framing<B: Body>(
    answer: &Response<B>,
    written: Option<&Written>,
    client: Client,
) -> (Framing, bool) {
    let status = answer.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return (Framing::UntilClose, false);
    }
    if client.is_head || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return (Framing::Empty, false);
    }
    let takes_chunks = client.version == Version::HTTP_11;
    match declared(answer.headers(), written) {
        Some(Framing::Chunked) if !takes_chunks => (Framing::UntilClose, false),
        Some(framing) => (framing, false),
        None => match answer.body().size_hint().exact() {
            Some(length) => (Framing::Length(length), true),
            None if takes_chunks => (Framing::Chunked, true),
            None => (Framing::UntilClose, false),
        },
    }
}

/// Of a head that was checked when it came; as it was read then, if it came over HTTP/1.
fn declared(headers: &HeaderMap, written: Option<&Written>) -> Option<Framing> {
    if let Some(framing) = written.and_then(Written::framing) {
        return match framing {
            Framing::Empty | Framing::Length(_) | Framing::Chunked => Some(framing),
            Framing::UntilClose => None,
        };
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return Some(Framing::Chunked);
    }
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    Some(Framing::Length(length))
}

pub(super) fn chunk_size(out: &mut BytesMut, length: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.put_u8(DIGITS[length >> (digit * 4) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// The end of a chunked body.
pub(super) fn trailers(out: &mut BytesMut, trailers: &HeaderMap, written: Option<&Written>) {
    out.extend_from_slice(b"0\r\n");
    fields(out, trailers, written);
    out.extend_from_slice(b"\r\n");
}

fn fields(out: &mut BytesMut, headers: &HeaderMap, written: Option<&Written>) {
    match written {
        Some(written) => written.each(headers, |piece| match piece {
            Piece::Lines(lines) => {
                out.extend_from_slice(lines);
                out.extend_from_slice(b"\r\n");
            }
            Piece::Field(name, value) => line(out, name, value),
        }),
        None => {
            for (name, value) in headers {
                line(out, name.as_str().as_bytes(), value.as_bytes());
            }
        }
    }
}

fn line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_chunk_size_is_lower_case_hexadecimal(length in any::<usize>()) {
            let mut out = BytesMut::new();
            chunk_size(&mut out, length);
            prop_assert_eq!(out, format!("{length:x}\r\n"));
        }
    }
}
