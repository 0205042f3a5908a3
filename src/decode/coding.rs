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
/// Of what a decoder looks back on, which it allocates: the largest that zstd may have on the web
/// (RFC 9659). That of Brotli has none, and may be 16 MiB.
const MAX_WINDOW_LOG: u32 = 23;
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
        // Behind the JSON of tensors stand bytes.
        let charset = charset(part.content_type).filter(|_| part.json_len.is_none());
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
        let coding = match &*name.to_ascii_lowercase() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => Coding::Gzip,
            "deflate" => Coding::Deflate,
            "br" => Coding::Brotli,
            "zstd" => Coding::Zstd,
            _ => return Err(Problem::Encoded),
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
        Coding::Brotli if brotli_window_log(coded) > MAX_WINDOW_LOG => Err(Problem::Inflated),
        Coding::Brotli => {
            read(brotli_decompressor::Decompressor::new(coded, BROTLI_BUFFER), most, plain)
        }
        Coding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(coded);
            let mut decoder = decoder.map_err(|_| Problem::InvalidEncoding)?;
            decoder.window_log_max(MAX_WINDOW_LOG).map_err(|_| Problem::InvalidEncoding)?;
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

/// As the first bits say (RFC 7932, section 9.1).
fn brotli_window_log(coded: &[u8]) -> u32 {
    let bits = coded.first().copied().map_or(0, u32::from);
    match (bits & 1, bits >> 1 & 7, bits >> 4 & 7) {
        (0, _, _) => 16,
        (_, 0, 0) => 17,
        (_, 0, low) => 8 + low,
        (_, high, _) => 17 + high,
    }
}

/// What a media type says of its text; `None` for UTF-8, for what is no charset, and for a form, whose
/// parts each have a type.
fn charset(content_type: Option<&str>) -> Option<&'static Encoding> {
    let (essence, parameters) = content_type?.split_once(';')?;
    if essence.trim().to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    let parameters = parameters.split(';');
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
