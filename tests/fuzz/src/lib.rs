//! What the targets share: ways to split bytes, and a second opinion on heads.

use std::fmt::Debug;
use taffrail::proxy::fuzzing::{Framing, Head};

/// Of a longer head that is not whole, what is wrong may be told only with its end.
pub const EAGER_BYTES: usize = 4096;
/// Every byte on its own is tried up to this size.
const SHORT: usize = 300;

/// `data` in pieces that follow from it, so that a finding is found again.
pub fn split(data: &[u8]) -> Vec<&[u8]> {
    let seed = data.iter().fold(data.len() as u64, |seed, byte| {
        (seed ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut parts, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(rng.usize(1..=rest.len().min(1 + data.len() / 3)));
        parts.push(part);
        rest = behind;
    }
    parts
}

/// Fails if `read` tells another thing of `data` when it comes in pieces.
pub fn same_however_split<T: PartialEq + Debug>(data: &[u8], read: impl Fn(&[&[u8]]) -> T) -> T {
    let whole = read(&[data]);
    assert_eq!(read(&split(data)), whole, "in pieces");
    if data.len() <= SHORT {
        let bytes: Vec<&[u8]> = data.chunks(1).collect();
        assert_eq!(read(&bytes), whole, "byte by byte");
    }
    whole
}

/// Claims about an accepted head as it came in `data`.
pub fn is_beyond_doubt(data: &[u8], head: &Head) {
    let bytes = &data[..head.length];
    assert!(!bytes.contains(&0), "a NUL");
    let is_bare = |at: usize| bytes[at] == b'\n' && (at == 0 || bytes[at - 1] != b'\r');
    assert!(!(0..bytes.len()).any(is_bare), "a bare LF");
    let count = |name: &str| {
        head.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count()
    };
    let (lengths, encodings) = (count("content-length"), count("transfer-encoding"));
    assert!(lengths + encodings <= 1, "{lengths} lengths, {encodings} encodings");
}

/// A head by rules of its own: lines end in CRLF, one colon after a token, visible text behind it.
pub fn strictly(bytes: &[u8]) -> Option<(String, Vec<(String, Vec<u8>)>)> {
    let head = bytes.strip_suffix(b"\r\n\r\n")?;
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let start = lines.next()?.to_owned();
    let is_text = |c: char| c == '\t' || !c.is_ascii_control();
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let is_field = !name.is_empty() && name.chars().all(is_tchar) && value.chars().all(is_text);
        let value = value.trim_matches([' ', '\t']).chars().map(|c| c as u8).collect();
        is_field.then(|| (name.to_owned(), value))
    });
    let fields = fields.collect::<Option<Vec<_>>>()?;
    start.chars().all(is_text).then_some((start, fields))
}

/// The framing that the fields say, by rules of their own.
pub fn framing_of(fields: &[(String, Vec<u8>)]) -> Option<Framing> {
    let value = |name: &str| {
        let field = fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        field.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    match (value("content-length"), value("transfer-encoding")) {
        (None, None) => Some(Framing::Empty),
        (Some(length), None) => length.parse().ok().map(Framing::Length),
        (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => Some(Framing::Chunked),
        _ => None,
    }
}
