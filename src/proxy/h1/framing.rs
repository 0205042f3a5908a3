//! Where a body ends (RFC 9112 section 6): the one place that reads Content-Length and
//! Transfer-Encoding.
//!
//! In: a head. Out: its framing, or why it has none that all readers agree on. Stricter than the
//! RFC where it leaves a choice: both fields together, a length said twice even if equal, and any
//! coding but `chunked` are refused.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use thiserror::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Framing {
    /// There is no body.
    Empty,
    Length(u64),
    Chunked,
    /// Of an answer: what comes until the connection ends. Of a tunnel: the same, both ways.
    UntilClose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::proxy) enum BadFraming {
    #[error("Content-Length is not one number of at most 64 bits")]
    Length,
    #[error("Content-Length stands there more than once")]
    SeveralLengths,
    #[error("Content-Length and Transfer-Encoding exclude each other")]
    LengthAndEncoding,
    #[error("Transfer-Encoding has no place in HTTP/1.0")]
    EncodingInHttp10,
    #[error("Transfer-Encoding is not chunked, and chunked alone")]
    Encoding,
    #[error("Transfer-Encoding has a coding that is not supported; only chunked is")]
    UnknownEncoding,
}

pub(in crate::proxy) fn of_request(
    headers: &HeaderMap,
    version: Version,
) -> Result<Framing, BadFraming> {
    Ok(declared(headers, version)?.unwrap_or(Framing::Empty))
}

/// Of an answer with `status` to a request with `method`.
pub(super) fn of_answer(
    headers: &HeaderMap,
    version: Version,
    status: StatusCode,
    method: &Method,
) -> Result<Framing, BadFraming> {
    let declared = declared(headers, version)?;
    let is_empty = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || *method == Method::HEAD;
    Ok(if is_empty { Framing::Empty } else { declared.unwrap_or(Framing::UntilClose) })
}

fn declared(headers: &HeaderMap, version: Version) -> Result<Option<Framing>, BadFraming> {
    let length = only(headers, &CONTENT_LENGTH).map_err(|Several| BadFraming::SeveralLengths)?;
    let encoding = only(headers, &TRANSFER_ENCODING).map_err(|Several| BadFraming::Encoding)?;
    match (length, encoding) {
        (None, None) => Ok(None),
        (Some(length), None) => Ok(Some(Framing::Length(parse_length(length)?))),
        (_, Some(_)) if version < Version::HTTP_11 => Err(BadFraming::EncodingInHttp10),
        (Some(_), Some(_)) => Err(BadFraming::LengthAndEncoding),
        (None, Some(encoding)) => parse_encoding(encoding).map(Some),
    }
}

struct Several;

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Several> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Several) } else { Ok(first) }
}

fn parse_length(value: &HeaderValue) -> Result<u64, BadFraming> {
    let digits = value.as_bytes();
    if digits.is_empty() {
        return Err(BadFraming::Length);
    }
    digits.iter().try_fold(0_u64, |length, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'));
        digit.and_then(|digit| length.checked_mul(10)?.checked_add(digit)).ok_or(BadFraming::Length)
    })
}

fn parse_encoding(value: &HeaderValue) -> Result<Framing, BadFraming> {
    let value = value.as_bytes();
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    let last = value.rsplit(|byte| *byte == b',').next().unwrap_or(value).trim_ascii();
    let codings = value.split(|byte| *byte == b',').count();
    if codings == 2 && last.eq_ignore_ascii_case(b"chunked") {
        return Err(BadFraming::UnknownEncoding);
    }
    Err(BadFraming::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&'static str, &str)]) -> Result<Framing, BadFraming> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        of_request(&headers, Version::HTTP_11)
    }

    #[test]
    fn one_plain_length_or_chunked_alone() {
        assert_eq!(of(&[]), Ok(Framing::Empty));
        assert_eq!(of(&[("content-length", "007")]), Ok(Framing::Length(7)));
        assert_eq!(
            of(&[("content-length", "18446744073709551615")]),
            Ok(Framing::Length(u64::MAX))
        );
        assert_eq!(of(&[("transfer-encoding", "Chunked")]), Ok(Framing::Chunked));
    }

    #[test]
    fn what_two_readers_could_take_for_two_lengths_is_refused() {
        for length in ["", "+1", "-1", "0x1", "1,1", "1 1", "1.0", "18446744073709551616", "9e9"] {
            assert_eq!(of(&[("content-length", length)]), Err(BadFraming::Length), "{length}");
        }
        for encoding in ["chunked, chunked", "identity", "chunked;q=1", "xchunked", "", "chunked,"]
        {
            assert!(of(&[("transfer-encoding", encoding)]).is_err(), "{encoding}");
        }
        let gzip = of(&[("transfer-encoding", "gzip, chunked")]);
        assert_eq!(gzip, Err(BadFraming::UnknownEncoding));
        let both = of(&[("content-length", "1"), ("transfer-encoding", "chunked")]);
        assert_eq!(both, Err(BadFraming::LengthAndEncoding));
        let twice = of(&[("content-length", "1"), ("content-length", "1")]);
        assert_eq!(twice, Err(BadFraming::SeveralLengths));
    }

    #[test]
    fn answers_that_have_no_body_have_none_whatever_they_declare() {
        let mut headers = HeaderMap::new();
        let of = |headers: &HeaderMap, status, method| {
            of_answer(headers, Version::HTTP_11, status, &method).unwrap()
        };
        assert_eq!(of(&headers, StatusCode::OK, Method::GET), Framing::UntilClose);
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        assert_eq!(of(&headers, StatusCode::OK, Method::GET), Framing::Length(5));
        assert_eq!(of(&headers, StatusCode::OK, Method::HEAD), Framing::Empty);
        assert_eq!(of(&headers, StatusCode::NOT_MODIFIED, Method::GET), Framing::Empty);
    }
}
