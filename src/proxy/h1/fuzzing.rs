//! The door of the fuzz targets to what reads and writes HTTP/1.1; see `tests/fuzz`.
//!
//! Bytes in, plain values out. Nothing else is built with it.

use super::chunk::{Chunks, Step};
use super::encode;
use super::framing;
use super::head::{self, Limits};
use super::incoming::Incoming;
use super::written::{Piece, Written};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Version};
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

pub type Fields = Vec<(String, Vec<u8>)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

/// A head that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The method, or the status.
    pub start: String,
    pub version: Version,
    /// As they were spelled and ordered.
    pub fields: Fields,
    pub framing: Framing,
    /// How much of the input it took.
    pub length: usize,
    /// As it is sent on to a peer of HTTP/1.1, and the framing said to that peer.
    pub sent_on: Vec<u8>,
    pub sent_framing: Framing,
}

/// `None` while it is not whole.
pub fn request(parts: &[&[u8]]) -> Result<Option<Head>, String> {
    let read = read(parts, |input| head::request(input, Limits::default()))?;
    Ok(read.map(|(head, length)| {
        let body = Unsent(Incoming::new(head.framing));
        let (sent_on, sent_framing) = encode::request(&head.request, &body, Some(&head.written));
        Head {
            start: head.request.method().to_string(),
            version: head.request.version(),
            fields: fields(head.request.headers(), &head.written),
            framing: head.framing.into(),
            length,
            sent_on: sent_on.to_vec(),
            sent_framing: sent_framing.into(),
        }
    }))
}

/// The same, of an answer to a request with `method`.
pub fn answer(parts: &[&[u8]], method: &Method) -> Result<Option<Head>, String> {
    let read = read(parts, |input| head::answer(input, method))?;
    Ok(read.map(|(head, length)| {
        let is_head = *method == Method::HEAD;
        let client = encode::Client { version: Version::HTTP_11, is_head, connection: None };
        let answer = head.answer.map(|()| Unsent(Incoming::new(head.framing)));
        let (sent_on, sent_framing) = encode::answer(&answer, Some(&head.written), client);
        Head {
            start: answer.status().as_str().to_owned(),
            version: answer.version(),
            fields: fields(answer.headers(), &head.written),
            framing: head.framing.into(),
            length,
            sent_on: sent_on.to_vec(),
            sent_framing: sent_framing.into(),
        }
    }))
}

/// What came of a chunked body so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunked {
    pub data: Vec<u8>,
    pub trailers: Fields,
    pub is_over: bool,
    pub is_refused: bool,
    /// Behind its end.
    pub rest: Vec<u8>,
}

pub fn chunked(parts: &[&[u8]]) -> Chunked {
    let (mut chunks, mut input) = (Chunks::new(), BytesMut::new());
    let mut read = Chunked::default();
    for part in parts {
        input.extend_from_slice(part);
        loop {
            match chunks.step(&mut input) {
                Ok(Step::Data(data)) => read.data.extend_from_slice(&data),
                Ok(Step::Trailers(trailers, written)) => {
                    read.trailers = fields(&trailers, &written);
                }
                Ok(Step::Over | Step::More) => break,
                Err(_) => {
                    read.is_refused = true;
                    return read;
                }
            }
        }
    }
    read.is_over = chunks.is_over();
    if read.is_over {
        read.rest = input.to_vec();
    }
    read
}

/// A chunked body of these chunks.
pub fn in_chunks(chunks: &[&[u8]], trailers: &HeaderMap) -> Vec<u8> {
    let mut out = BytesMut::new();
    for chunk in chunks {
        encode::chunk_size(&mut out, chunk.len());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    encode::trailers(&mut out, trailers, None);
    out.to_vec()
}

fn read<T>(
    parts: &[&[u8]],
    parse: impl Fn(&mut BytesMut) -> Result<Option<T>, head::BadHead>,
) -> Result<Option<(T, usize)>, String> {
    let mut input = BytesMut::new();
    for part in parts {
        input.extend_from_slice(part);
        let before = input.len();
        if let Some(head) = parse(&mut input).map_err(|bad| bad.to_string())? {
            return Ok(Some((head, before - input.len())));
        }
    }
    Ok(None)
}

fn fields(headers: &HeaderMap, written: &Written) -> Fields {
    let mut fields = Vec::new();
    let mut push = |name: &[u8], value: &[u8]| {
        fields.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
    };
    written.each(headers, |piece| match piece {
        Piece::Field(name, value) => push(name, value),
        Piece::Lines(lines) => {
            for line in lines.split(|byte| *byte == b'\n') {
                let colon = memchr::memchr(b':', line).unwrap_or(line.len());
                push(&line[..colon], line.get(colon + 1..).unwrap_or_default().trim_ascii());
            }
        }
    });
    fields
}

impl From<framing::Framing> for Framing {
    fn from(framing: framing::Framing) -> Self {
        match framing {
            framing::Framing::Empty => Self::Empty,
            framing::Framing::Length(length) => Self::Length(length),
            framing::Framing::Chunked => Self::Chunked,
            framing::Framing::UntilClose => Self::UntilClose,
        }
    }
}

/// A body of which only the framing is known.
struct Unsent(Incoming);

impl Body for Unsent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
