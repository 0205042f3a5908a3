//! Content codings and charsets undone: a body as it crossed in; plain bytes out, in memory that serves
//! the next.
//!
//! For analysis only. What comes out is bounded by size, and by its ratio to what went in: a body that is
//! made to fill memory is a [`Problem`], and costs no more than [`Limits::max_plain_bytes`].

use super::payload::Part;
use super::problem::{Limits, Problem};
use encoding_rs::{DecoderResult, Encoding, UTF_8};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use smallvec::SmallVec;
use std::io::{ErrorKind, Read};

/// More than JSON of one number over and over comes to. DEFLATE can give 1,032.
const MAX_RATIO: usize = 256;
/// Whatever the ratio, no harm.
const HARMLESS_BYTES: usize = 64 << 10;
/// Codings over one another: more than any client has.
const MAX_CODINGS: usize = 3;
/// Memory that is held between payloads.
const KEPT_BYTES: usize = 256 << 10;
/// Of a zstd frame: the largest that is allowed on the web (RFC 9659).
const MAX_ZSTD_WINDOW_LOG: u32 = 23;
const BROTLI_BUFFER: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The memory of bodies that are undone.
#[derive(Debug, Default)]
pub(super) struct Codings {
    plain: Vec<u8>,
    /// What `plain` is made of, where there are several steps.
    before: Vec<u8>,
}

impl Codings {
    /// The same body, plain and in UTF-8 as far as its headers tell. A body that is either is not copied.
    pub(super) fn undo<'b>(
        &'b mut self,
        part: &Part<'b>,
        limits: &Limits,
    ) -> Result<Part<'b>, Problem> {
        let codings = codings(part.content_encoding)?;
        let charset = charset(part.content_type);
        if part.body.is_empty() || codings.is_empty() && charset.is_none() {
            return Ok(Part { content_encoding: None, ..*part });
        }
        if part.truncated {
            return Err(Problem::Truncated);
        }
        let Self { plain, before } = self;
        let mut is_undone = false;
        for coding in codings.iter().rev() {
            std::mem::swap(plain, before);
            plain.clear();
            let coded = if is_undone { before.as_slice() } else { part.body };
            undo(*coding, coded, limits.max_plain_bytes, plain)?;
            is_undone = true;
        }
        if let Some(charset) = charset {
            let text = if is_undone { plain.as_slice() } else { part.body };
            // More clients name a charset that they do not use than use another one than UTF-8.
            if !charset.is_ascii_compatible() || std::str::from_utf8(text).is_err() {
                std::mem::swap(plain, before);
                plain.clear();
                let text = if is_undone { before.as_slice() } else { part.body };
                to_utf8(charset, text, limits.max_plain_bytes, plain)?;
                is_undone = true;
            }
        }
        let body = if is_undone { plain.as_slice() } else { part.body };
        Ok(Part { content_encoding: None, body, ..*part })
    }

    /// Gives back what a large body took.
    pub(super) fn rest(&mut self) {
        for buffer in [&mut self.plain, &mut self.before] {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
        }
    }
}

/// In the order in which they were put on.
fn codings(header: Option<&str>) -> Result<SmallVec<[Coding; MAX_CODINGS]>, Problem> {
    let mut codings = SmallVec::new();
    for name in header.unwrap_or_default().split(',').map(str::trim) {
        let coding = match () {
            () if name.is_empty() || name.eq_ignore_ascii_case("identity") => continue,
            () if ["gzip", "x-gzip"].iter().any(|gzip| name.eq_ignore_ascii_case(gzip)) => {
                Coding::Gzip
            }
            () if name.eq_ignore_ascii_case("deflate") => Coding::Deflate,
            () if name.eq_ignore_ascii_case("br") => Coding::Brotli,
            () if name.eq_ignore_ascii_case("zstd") => Coding::Zstd,
            () => return Err(Problem::Encoded),
        };
        if codings.len() == MAX_CODINGS {
            return Err(Problem::Encoded);
        }
        codings.push(coding);
    }
    Ok(codings)
}

fn undo(
    coding: Coding,
    coded: &[u8],
    max_bytes: usize,
    plain: &mut Vec<u8>,
) -> Result<(), Problem> {
    let most = max_bytes.min((coded.len().saturating_mul(MAX_RATIO)).max(HARMLESS_BYTES));
    match coding {
        Coding::Gzip => read(MultiGzDecoder::new(coded), most, plain),
        // As RFC 9110 has it, or as some clients do: without zlib's frame.
        Coding::Deflate if is_zlib(coded) => read(ZlibDecoder::new(coded), most, plain),
        Coding::Deflate => read(DeflateDecoder::new(coded), most, plain),
        Coding::Brotli => {
            read(brotli_decompressor::Decompressor::new(coded, BROTLI_BUFFER), most, plain)
        }
        Coding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(coded);
            let mut decoder = decoder.map_err(|_| Problem::InvalidEncoding)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG).map_err(|_| Problem::InvalidEncoding)?;
            read(decoder, most, plain)
        }
    }
}

fn read(decoder: impl Read, most: usize, plain: &mut Vec<u8>) -> Result<(), Problem> {
    let mut bounded = decoder.take(most as u64 + 1);
    match bounded.read_to_end(plain) {
        Ok(read) if read > most => Err(Problem::Inflated),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(Problem::Truncated),
        Err(_) => Err(Problem::InvalidEncoding),
    }
}

/// Whether it begins as RFC 1950 says: method 8, and a check that comes out.
fn is_zlib(coded: &[u8]) -> bool {
    let [method, flags, ..] = coded else { return false };
    method & 0x0F == 8 && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31)
}

/// What a media type says of its text; `None` for UTF-8, and for what is no charset.
fn charset(content_type: Option<&str>) -> Option<&'static Encoding> {
    let parameters = content_type?.split(';').skip(1);
    let label = parameters.filter_map(|parameter| parameter.split_once('=')).find_map(
        |(name, value)| name.trim().eq_ignore_ascii_case("charset").then_some(value.trim()),
    )?;
    let encoding = Encoding::for_label(label.trim_matches('"').as_bytes())?;
    (encoding != UTF_8).then_some(encoding)
}

fn to_utf8(
    encoding: &'static Encoding,
    text: &[u8],
    max_bytes: usize,
    plain: &mut Vec<u8>,
) -> Result<(), Problem> {
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let longest = decoder.max_utf8_buffer_length_without_replacement(text.len());
    plain.resize(longest.unwrap_or(usize::MAX).min(max_bytes), 0);
    let (result, _, written) =
        decoder.decode_to_utf8_without_replacement(text, plain.as_mut_slice(), true);
    plain.truncate(written);
    match result {
        DecoderResult::InputEmpty => Ok(()),
        DecoderResult::OutputFull => Err(Problem::Inflated),
        DecoderResult::Malformed(..) => Err(Problem::InvalidEncoding),
    }
}
