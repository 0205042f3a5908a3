//! The chunked coding (RFC 9112 section 7.1), read strictly.
//!
//! In: bytes as they come, split anywhere. Out: the data of the chunks, the trailers, the end. Lines
//! end in CRLF and nothing else, sizes are hexadecimal digits and nothing else, extensions are
//! passed over, and what they and the trailers may take is bounded.

use super::head::{self, BadHead};
use super::written::Written;
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use thiserror::Error;

/// Of one size line with its extensions, and of the extensions of a whole body.
const MOST_LINE_BYTES: usize = 4 * 1024;
const MOST_EXTENSION_BYTES: usize = 16 * 1024;
const MOST_TRAILER_BYTES: usize = 16 * 1024;
const MOST_TRAILERS: usize = 100;
/// 64 bits.
const MOST_DIGITS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::proxy) enum BadChunk {
    #[error("a chunk's size is not hexadecimal, or over 64 bits")]
    Size,
    #[error("a chunk's line or data does not end in CRLF")]
    LineEnd,
    #[error("a chunk's extension is not text, or too long")]
    Extension,
    #[error("the trailers are not fields")]
    Trailers(#[source] BadHead),
    #[error("the trailers name a field that frames or routes a message")]
    ForbiddenTrailer,
    #[error("the trailers have more than {MOST_TRAILER_BYTES} bytes")]
    TrailersTooLong,
}

#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    extension_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    /// This many bytes of the chunk are still to come.
    Data(u64),
    DataEnd,
    Trailers,
    Over,
}

#[derive(Debug)]
pub(super) enum Step {
    Data(Bytes),
    /// With the letters they were written in.
    Trailers(HeaderMap, Box<Written>),
    Over,
    /// Nothing more can be told without more bytes.
    More,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self { state: State::Size, extension_bytes: 0 }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// How many bytes of data are known to come, at least.
    pub(super) fn expected(&self) -> u64 {
        if let State::Data(rest) = self.state { rest } else { 0 }
    }

    pub(super) fn step(&mut self, input: &mut BytesMut) -> Result<Step, BadChunk> {
        loop {
            match self.state {
                State::Over => return Ok(Step::Over),
                State::Size => match self.take_size(input)? {
                    None => return Ok(Step::More),
                    Some(0) => self.state = State::Trailers,
                    Some(size) => self.state = State::Data(size),
                },
                State::Data(0) => self.state = State::DataEnd,
                State::Data(_) if input.is_empty() => return Ok(Step::More),
                State::Data(rest) => {
                    let length = usize::try_from(rest).map_or(input.len(), |n| n.min(input.len()));
                    self.state = State::Data(rest - length as u64);
                    return Ok(Step::Data(input.split_to(length).freeze()));
                }
                State::DataEnd => {
                    if !take_line_end(input)? {
                        return Ok(Step::More);
                    }
                    self.state = State::Size;
                }
                State::Trailers => return self.take_trailers(input),
            }
        }
    }

    fn take_size(&mut self, input: &mut BytesMut) -> Result<Option<u64>, BadChunk> {
        let line = &input[..input.len().min(MOST_LINE_BYTES)];
        let Some(end) = memchr::memchr(b'\n', line) else {
            // What cannot become a size is told at once.
            if line.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
                return Err(BadChunk::Size);
            }
            let is_too_long = line.len() == MOST_LINE_BYTES;
            return if is_too_long { Err(BadChunk::Extension) } else { Ok(None) };
        };
        let line = line[..end].strip_suffix(b"\r").ok_or(BadChunk::LineEnd)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, extension) = line.split_at(digits);
        let size = size(digits)?;
        check_extension(extension)?;
        self.extension_bytes += extension.len();
        if self.extension_bytes > MOST_EXTENSION_BYTES {
            return Err(BadChunk::Extension);
        }
        input.advance(end + 1);
        Ok(Some(size))
    }

    fn take_trailers(&mut self, input: &mut BytesMut) -> Result<Step, BadChunk> {
        if input.starts_with(b"\r\n") {
            input.advance(2);
            self.state = State::Over;
            return Ok(Step::Over);
        }
        let Some(end) = memchr::memmem::find(input, b"\r\n\r\n") else {
            let is_bare = |at: usize| at == 0 || input[at - 1] != b'\r';
            if memchr::memchr_iter(b'\n', input).any(is_bare) {
                return Err(BadChunk::LineEnd);
            }
            let is_too_long = input.len() > MOST_TRAILER_BYTES;
            return if is_too_long { Err(BadChunk::TrailersTooLong) } else { Ok(Step::More) };
        };
        if end > MOST_TRAILER_BYTES {
            return Err(BadChunk::TrailersTooLong);
        }
        let block = input.split_to(end + 4).freeze();
        let (trailers, written) =
            head::trailers(block, MOST_TRAILERS).map_err(BadChunk::Trailers)?;
        let forbidden = [CONTENT_LENGTH, TRANSFER_ENCODING, HOST];
        if forbidden.iter().any(|name| trailers.contains_key(name)) {
            return Err(BadChunk::ForbiddenTrailer);
        }
        self.state = State::Over;
        Ok(Step::Trailers(trailers, Box::new(written)))
    }
}

fn size(digits: &[u8]) -> Result<u64, BadChunk> {
    if digits.is_empty() || digits.len() > MOST_DIGITS {
        return Err(BadChunk::Size);
    }
    let text = std::str::from_utf8(digits).map_err(|_| BadChunk::Size)?;
    u64::from_str_radix(text, 16).map_err(|_| BadChunk::Size)
}

/// Nothing, or a semicolon and text; white space may stand before it.
fn check_extension(extension: &[u8]) -> Result<(), BadChunk> {
    if extension.is_empty() {
        return Ok(());
    }
    if !extension.trim_ascii_start().starts_with(b";") {
        return Err(BadChunk::Size);
    }
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    if extension.iter().all(is_text) { Ok(()) } else { Err(BadChunk::Extension) }
}

/// False while it has not come.
fn take_line_end(input: &mut BytesMut) -> Result<bool, BadChunk> {
    match input.as_ref() {
        [] | [b'\r'] => Ok(false),
        [b'\r', b'\n', ..] => {
            input.advance(2);
            Ok(true)
        }
        _ => Err(BadChunk::LineEnd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Data, trailers, and what follows.
    type Read = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    /// All that comes of `parts`, read one after the other.
    fn read(parts: &[&[u8]]) -> Result<Read, BadChunk> {
        let (mut chunks, mut input) = (Chunks::new(), BytesMut::new());
        let (mut data, mut trailers) = (Vec::new(), None);
        for part in parts {
            input.extend_from_slice(part);
            loop {
                match chunks.step(&mut input)? {
                    Step::Data(bytes) => data.extend_from_slice(&bytes),
                    Step::Trailers(fields, _) => trailers = Some(fields),
                    Step::Over | Step::More => break,
                }
            }
        }
        assert!(chunks.is_over(), "{:?}", chunks.state);
        Ok((data, trailers, input.to_vec()))
    }

    const WHOLE: &[u8] =
        b"5;a=b\r\nhello\r\n00b ;c=\"d\"\r\n, worldwide\r\n0\r\nSum: 1\r\nx: y\r\n\r\nGET";

    #[test]
    fn data_trailers_and_what_follows_are_told_apart() {
        let (data, trailers, rest) = read(&[WHOLE]).unwrap();
        assert_eq!((data, rest), (b"hello, worldwide".to_vec(), b"GET".to_vec()));
        assert_eq!(trailers.unwrap()["sum"], "1");
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        for (text, fault) in [
            ("g\r\n", BadChunk::Size),
            ("\r\n", BadChunk::Size),
            ("-1\r\n", BadChunk::Size),
            ("0x5\r\nhello\r\n", BadChunk::Size),
            (" 5\r\nhello\r\n", BadChunk::Size),
            ("5 \r\nhello\r\n", BadChunk::Size),
            ("5_0\r\n", BadChunk::Size),
            ("10000000000000000\r\n", BadChunk::Size),
            ("00000000000000005\r\nhello\r\n", BadChunk::Size),
            ("5\nhello\r\n", BadChunk::LineEnd),
            ("5\rhello\r\n", BadChunk::Size),
            ("5\r\nhello0\r\n", BadChunk::LineEnd),
            ("5\r\nhello\n0\r\n", BadChunk::LineEnd),
            ("5;a\0\r\nhello\r\n", BadChunk::Extension),
            ("5;a\rb\r\nhello\r\n", BadChunk::Extension),
            ("0\r\na: b\n\r\n", BadChunk::LineEnd),
            ("0\r\nhost: b\r\n\r\n", BadChunk::ForbiddenTrailer),
        ] {
            let mut input = BytesMut::from(text);
            let mut chunks = Chunks::new();
            let outcome = loop {
                match chunks.step(&mut input) {
                    Ok(Step::Data(_)) => {}
                    other => break other,
                }
            };
            assert_eq!(outcome.unwrap_err(), fault, "{text:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let mut input = BytesMut::from(&*format!("5;{}", "x".repeat(MOST_LINE_BYTES)));
        assert_eq!(Chunks::new().step(&mut input).unwrap_err(), BadChunk::Extension);
        let mut input = BytesMut::from(&*format!("0\r\nx: {}", "y".repeat(MOST_TRAILER_BYTES)));
        assert_eq!(Chunks::new().step(&mut input).unwrap_err(), BadChunk::TrailersTooLong);
        let chunk = format!("1;{}\r\nx\r\n", "y".repeat(1000));
        let mut input = BytesMut::from(&*chunk.repeat(20));
        let mut chunks = Chunks::new();
        let mut outcome = chunks.step(&mut input);
        while outcome.is_ok() && !input.is_empty() {
            outcome = chunks.step(&mut input);
        }
        assert_eq!(outcome.unwrap_err(), BadChunk::Extension);
    }

    proptest! {
        #[test]
        fn any_split_reads_the_same(mut cuts in prop::collection::vec(0..WHOLE.len() - 3, 0..8)) {
            cuts.sort_unstable();
            let mut parts = Vec::new();
            let mut from = 0;
            for cut in cuts {
                parts.push(&WHOLE[from..cut]);
                from = cut;
            }
            parts.push(&WHOLE[from..]);
            prop_assert_eq!(read(&parts), read(&[WHOLE]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut input = BytesMut::from(&*bytes);
            let mut chunks = Chunks::new();
            while let Ok(Step::Data(_) | Step::Trailers(..)) = chunks.step(&mut input) {}
        }
    }
}
