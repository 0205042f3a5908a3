//! HTTP/2 by hand (RFC 9113): frames as they are written, right or wrong, and what comes back.
//!
//! Fields are written as literals that no table remembers (RFC 7541 section 6.2.2), so that any
//! bytes may stand in them. Of what comes back only the status is read.

use super::raw::{End, Raw};
use std::borrow::BorrowMut;
use std::net::SocketAddr;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
/// Of a HEADERS frame that is the whole request.
pub(crate) const WHOLE: u8 = END_STREAM | END_HEADERS;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What became of a stream, in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered(u16),
    /// The stream was reset with this code.
    Reset(u32),
    /// The whole connection was given up with this code.
    GoAway(u32),
    Ended(End),
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let [_, length @ ..] = length;
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(crate) fn setting(identifier: u16, value: u32) -> Vec<u8> {
    [&identifier.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// A field block of literals.
pub(crate) fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            length(text.len(), &mut block);
            block.extend_from_slice(text);
        }
    }
    block
}

/// An integer of RFC 7541 section 5.1 with seven bits in its first byte.
fn length(length: usize, block: &mut Vec<u8>) {
    let low = |value: usize| u8::try_from(value & 0x7f).unwrap();
    if length < 0x7f {
        return block.push(low(length));
    }
    block.push(0x7f);
    let mut rest = length - 0x7f;
    while rest > 0x7f {
        block.push(low(rest) | 0x80);
        rest >>= 7;
    }
    block.push(low(rest));
}

/// The status that a response's block begins with.
pub(crate) fn status(block: &[u8]) -> u16 {
    // Behind the change of the table's size that our settings ask for.
    let updates = block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count();
    let block = &block[updates..];
    match block[0] {
        indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        // A literal whose name is one of the table's seven entries for `:status`.
        0x48..=0x4e | 0x08..=0x0e | 0x18..=0x1e => digits(&block[1..]),
        _ => digits(&block[block.len() - 4..]),
    }
}

/// Three digits, in Huffman's code or plain (RFC 7541 appendix B).
fn digits(text: &[u8]) -> u16 {
    let (is_huffman, length) = (text[0] & 0x80 != 0, usize::from(text[0] & 0x7f));
    let bytes = &text[1..=length];
    if !is_huffman {
        return std::str::from_utf8(bytes).unwrap().parse().unwrap();
    }
    let bits = bytes.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
    let mut left = 8 * bytes.len();
    let mut number = 0;
    for _ in 0..3 {
        let next =
            |width: usize| u16::try_from(bits >> (left - width) & ((1 << width) - 1)).unwrap();
        let is_short = next(3) == 0;
        let width = if is_short { 5 } else { 6 };
        number = number * 10 + if is_short { next(5) } else { next(6) - 0b01_1001 + 3 };
        left -= width;
    }
    number
}

/// The pseudo fields of a request, and `more`.
pub(crate) fn request(method: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":path", "/"), (":authority", "m")];
    block(&[&pseudo[..], more].concat())
}

/// A connection on which our side's preface was said.
pub(crate) struct Connection<R> {
    pub(crate) raw: R,
}

impl Connection<Raw> {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::over(Raw::connect(address))
    }

    pub(crate) fn over(mut raw: Raw) -> Self {
        // No table, so that nothing has to be remembered.
        raw.say(PREFACE).say(frame(SETTINGS, 0, 0, setting(1, 0)));
        Self { raw }
    }
}

impl<'a> Connection<&'a mut Raw> {
    /// An upstream's side: the client's preface is read, and answered.
    pub(crate) fn accept(raw: &'a mut Raw) -> Self {
        if raw.hear_exactly(PREFACE.len()).is_ok() {
            raw.say(frame(SETTINGS, 0, 0, setting(1, 0)));
        }
        Self { raw }
    }
}

impl<R: BorrowMut<Raw>> Connection<R> {
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.raw.borrow_mut().say(bytes);
        self
    }

    /// The next frame that is not housekeeping, which is done.
    pub(crate) fn next(&mut self) -> Result<Frame, End> {
        loop {
            let frame = self.hear()?;
            match (frame.kind, frame.flags & ACK) {
                (SETTINGS, 0) => drop(self.say(self::frame(SETTINGS, ACK, 0, []))),
                (PING, 0) => drop(self.say(self::frame(PING, ACK, 0, &frame.payload))),
                (SETTINGS | PING | WINDOW_UPDATE, _) => {}
                _ => return Ok(frame),
            }
        }
    }

    /// The next frame, whatever it is.
    pub(crate) fn hear(&mut self) -> Result<Frame, End> {
        self.raw.borrow_mut().hear(|bytes, _| parse(bytes))
    }

    /// What becomes of `stream`, whose data is passed over.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        let mut answered = None;
        loop {
            let frame = match self.next() {
                Ok(frame) => frame,
                Err(end) => return Outcome::Ended(end),
            };
            match frame.kind {
                GOAWAY => return Outcome::GoAway(code(&frame.payload[4..])),
                RST_STREAM if frame.stream == stream => {
                    return Outcome::Reset(code(&frame.payload));
                }
                HEADERS if frame.stream == stream => {
                    answered = answered.or_else(|| {
                        let status = status(&frame.payload);
                        (status >= 200).then_some(status)
                    });
                }
                _ => {}
            }
            let is_end = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
            if let (true, Some(status)) = (is_end && frame.stream == stream, answered) {
                return Outcome::Answered(status);
            }
        }
    }
}

/// Answers each whole stream with an empty 200, and lets all data come.
pub(crate) fn agree(raw: &mut Raw) {
    let mut connection = Connection::accept(raw);
    while let Ok(heard) = connection.next() {
        let ends = matches!(heard.kind, DATA | HEADERS) && heard.flags & END_STREAM != 0;
        if heard.kind == DATA && !heard.payload.is_empty() {
            let more = u32::try_from(heard.payload.len()).unwrap().to_be_bytes();
            connection.say(frame(WINDOW_UPDATE, 0, 0, more));
        }
        if ends {
            connection.say(frame(HEADERS, WHOLE, heard.stream, [0x88]));
        }
    }
}

/// The frames that a peer sent behind its preface.
pub(crate) fn frames(heard: &[u8]) -> Vec<Frame> {
    let mut rest = heard.strip_prefix(PREFACE).unwrap_or(heard);
    let mut frames = Vec::new();
    while let Some((frame, length)) = parse(rest) {
        frames.push(frame);
        rest = &rest[length..];
    }
    frames
}

pub(crate) fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}

fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let head = bytes.get(..9)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let payload = bytes.get(9..9 + length)?.to_vec();
    let stream = code(&head[5..]);
    Some((Frame { kind: head[3], flags: head[4], stream, payload }, 9 + length))
}
