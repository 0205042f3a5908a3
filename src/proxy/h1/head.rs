//! Heads: bytes in, a typed request or answer out, or what is wrong with them.
//!
//! httparse knows the grammar. On top of it this refuses what it lets pass (a line that ends in a
//! bare LF, a target with a fragment), bounds the size, and settles framing and persistence, so that
//! nobody after it reads the fields for them again.

use super::framing::{self, BadFraming, Framing};
use super::written::Written;
use crate::config;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
};
use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;
use thiserror::Error;

/// Fields that the parser has room for.
const MOST_FIELDS: usize = config::Client::MOST_HEADERS;
/// Up to this size an unfinished head is looked at whenever more of it comes, so that garbage is
/// told at once. Beyond it only its end is looked for: a trickle would else be read over and over.
const EAGER_BYTES: usize = 4096;
const END: &[u8] = b"\r\n\r\n";

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Limits {
    pub(in crate::proxy) fields: usize,
    pub(in crate::proxy) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { fields: 100, bytes: 64 * 1024 }
    }
}

impl Limits {
    /// For answers: the model is trusted to need what it sends, within reason.
    pub(super) const ANSWER: Self = Self { fields: MOST_FIELDS, bytes: 256 * 1024 };
}

/// Why a head is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::proxy) enum BadHead {
    #[error("the head is not HTTP/1.1: {0}")]
    Syntax(httparse::Error),
    #[error("a line of the head ends in a bare LF")]
    BareLineFeed,
    #[error("the request's target is not one")]
    Target,
    #[error("the status is not one")]
    Status,
    #[error("the protocol's version is not 1.0 or 1.1")]
    Version,
    #[error("the head has more than {0} fields (client.max_headers)")]
    TooManyFields(usize),
    #[error("the head has more than {0} bytes (client.max_header_bytes)")]
    TooLong(usize),
    #[error(transparent)]
    Framing(#[from] BadFraming),
    #[error("Upgrade: h2c is not served; HTTP/2 is spoken to this port with prior knowledge")]
    UpgradeToH2c,
}

impl From<httparse::Error> for BadHead {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::Version => Self::Version,
            httparse::Error::TooManyHeaders => Self::TooManyFields(MOST_FIELDS),
            other => Self::Syntax(other),
        }
    }
}

/// Whether the connection may carry another message after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Persistence {
    KeepAlive,
    /// Said by a peer of HTTP/1.0, who has to be told that it was understood.
    KeepAliveAsked,
    Close,
}

#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) request: Request<()>,
    pub(super) written: Written,
    pub(super) framing: Framing,
    pub(super) persistence: Persistence,
    /// It waits for `100 Continue` before it sends its body.
    pub(super) expects_continue: bool,
    /// It asks for another protocol on this connection.
    pub(super) asks_upgrade: bool,
}

#[derive(Debug)]
pub(super) struct AnswerHead {
    pub(super) answer: Response<()>,
    pub(super) written: Written,
    pub(super) framing: Framing,
    pub(super) persistence: Persistence,
}

/// Where something stands in a head; heads are far shorter than 2^32 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        let bounded = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: bounded(start), end: bounded(start + part.len()) }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Where a field stands. Its line begins with the name and ends with the value, but for white space.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) name: Span,
    pub(super) value: Span,
}

type Lines = Vec<Line>;
type Room<'a> = [MaybeUninit<httparse::Header<'a>>; MOST_FIELDS];

/// Takes a request's head off `input`; `None` while it is not whole.
pub(super) fn request(
    input: &mut BytesMut,
    limits: Limits,
) -> Result<Option<RequestHead>, BadHead> {
    if !is_worth_parsing(input, limits)? {
        return Ok(None);
    }
    let mut room: Room<'_> = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let text = legible(input);
    let length = match parsed.parse_with_uninit_headers(&text, &mut room) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return within(input, limits).map(|()| None),
        Err(httparse::Error::Version) if !is_other_version(input) => {
            return Err(BadHead::Syntax(httparse::Error::Token));
        }
        Err(error) => return Err(error.into()),
    };
    let method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes());
    let method = method.map_err(|_| BadHead::Syntax(httparse::Error::Token))?;
    let target = Span::of(parsed.path.unwrap_or_default().as_bytes(), &text);
    let version = version_of(parsed.version)?;
    let lines = lines_of(parsed.headers, &text, limits)?;
    drop(text);
    let head = take(input, length, limits)?;
    let target = head.slice(target.range());
    let (uri, odd_target) = uri(&method, target)?;
    let Fields { headers, is_interleaved } = fields(&head, &lines)?;
    let framing = framing::of_request(&headers, version)?;
    let said = Said::of(&headers, version);
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    let asks_upgrade = said.asks_upgrade && headers.contains_key(UPGRADE);
    if asks_upgrade && has_token(&headers, &UPGRADE, b"h2c") {
        return Err(BadHead::UpgradeToH2c);
    }
    let expects_continue =
        version == Version::HTTP_11 && has_token(&headers, &EXPECT, b"100-continue");
    *request.headers_mut() = headers;
    let written = Written::new(head, lines, is_interleaved).of_message(framing, odd_target);
    let persistence = said.persistence;
    Ok(Some(RequestHead { request, written, framing, persistence, expects_continue, asks_upgrade }))
}

/// Takes the head of an answer to a request with `method` off `input`; `None` while it is not whole.
pub(super) fn answer(input: &mut BytesMut, method: &Method) -> Result<Option<AnswerHead>, BadHead> {
    let limits = Limits::ANSWER;
    if !is_worth_parsing(input, limits)? {
        return Ok(None);
    }
    let mut room: Room<'_> = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, input, &mut room)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return within(input, limits).map(|()| None),
    };
    let status = StatusCode::from_u16(parsed.code.unwrap_or_default());
    let status = status.ok().filter(|status| status.as_u16() < 600).ok_or(BadHead::Status)?;
    let version = version_of(parsed.version)?;
    let lines = lines_of(parsed.headers, input, limits)?;
    let reason = reason(&input[..length])?;
    let head = take(input, length, limits)?;
    let reason = head.slice(reason.range());
    let Fields { headers, is_interleaved } = fields(&head, &lines)?;
    let framing = framing::of_answer(&headers, version, status, method)?;
    let said = Said::of(&headers, version);
    let mut answer = Response::new(());
    *answer.status_mut() = status;
    *answer.version_mut() = version;
    *answer.headers_mut() = headers;
    let written = Written::new(head, lines, is_interleaved).of_message(framing, Some(reason));
    Ok(Some(AnswerHead { answer, written, framing, persistence: said.persistence }))
}

/// Trailers, which are fields without a start line, from `block`, which ends in an empty line.
pub(super) fn trailers(block: Bytes, most: usize) -> Result<(HeaderMap, Written), BadHead> {
    let mut room = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let parsed = match httparse::parse_headers(&block, &mut room)? {
        httparse::Status::Complete((_, parsed)) => parsed,
        httparse::Status::Partial => return Err(BadHead::Syntax(httparse::Error::NewLine)),
    };
    no_bare_line_feed(&block)?;
    let lines = lines_of(parsed, &block, Limits { fields: most, bytes: block.len() })?;
    let Fields { headers, is_interleaved } = fields(&block, &lines)?;
    Ok((headers, Written::new(block, lines, is_interleaved)))
}

/// httparse wants a target to be UTF-8, which peers do not. Where it is not, this gives a text of the
/// same length that is, so that the spans found in it are those of `input`.
fn legible(input: &[u8]) -> Cow<'_, [u8]> {
    let line = memchr::memchr(b'\n', input).map_or(input, |end| &input[..end]);
    if line.is_ascii() || std::str::from_utf8(line).is_ok() {
        return Cow::Borrowed(input);
    }
    let mut text = input.to_vec();
    let target = memchr::memchr(b' ', line).unwrap_or(line.len())..line.len();
    for byte in text[target].iter_mut().filter(|byte| !byte.is_ascii()) {
        *byte = b'~';
    }
    Cow::Owned(text)
}

/// Whether the first line is a request's, in another version than those known here.
fn is_other_version(input: &[u8]) -> bool {
    let line = input.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
    let mut parts = line.unwrap_or_default().split(|byte| *byte == b' ');
    let version = parts.nth(2).and_then(|version| version.strip_prefix(b"HTTP/"));
    let is_version = |version: &[u8]| matches!(version, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit());
    parts.next().is_none() && version.is_some_and(is_version)
}

fn is_worth_parsing(input: &[u8], limits: Limits) -> Result<bool, BadHead> {
    if input.len() <= EAGER_BYTES || input.ends_with(END) {
        return Ok(!input.is_empty());
    }
    if memchr::memmem::find(input, END).is_some() {
        return Ok(true);
    }
    within(input, limits).map(|()| false)
}

fn within(input: &[u8], limits: Limits) -> Result<(), BadHead> {
    if input.len() > limits.bytes { Err(BadHead::TooLong(limits.bytes)) } else { Ok(()) }
}

/// httparse takes a bare LF for the end of a line; two readers may not.
fn no_bare_line_feed(head: &[u8]) -> Result<(), BadHead> {
    let is_bare = |at: usize| at == 0 || head[at - 1] != b'\r';
    if memchr::memchr_iter(b'\n', head).any(is_bare) { Err(BadHead::BareLineFeed) } else { Ok(()) }
}

fn take(input: &mut BytesMut, length: usize, limits: Limits) -> Result<Bytes, BadHead> {
    within(&input[..length], limits)?;
    no_bare_line_feed(&input[..length])?;
    Ok(input.split_to(length).freeze())
}

fn version_of(minor: Option<u8>) -> Result<Version, BadHead> {
    match minor {
        Some(0) => Ok(Version::HTTP_10),
        Some(1) => Ok(Version::HTTP_11),
        _ => Err(BadHead::Version),
    }
}

fn lines_of(
    parsed: &[httparse::Header<'_>],
    input: &[u8],
    limits: Limits,
) -> Result<Lines, BadHead> {
    if parsed.len() > limits.fields {
        return Err(BadHead::TooManyFields(limits.fields));
    }
    let spans = parsed.iter().map(|line| Line {
        name: Span::of(line.name.as_bytes(), input),
        value: Span::of(line.value, input),
    });
    Ok(spans.collect())
}

/// Fields as others read them, and whether some of one name stand apart.
struct Fields {
    headers: HeaderMap,
    is_interleaved: bool,
}

fn fields(head: &Bytes, lines: &[Line]) -> Result<Fields, BadHead> {
    let mut headers = HeaderMap::with_capacity(lines.len() + 2);
    let mut is_interleaved = false;
    let mut last: &[u8] = b"";
    for line in lines {
        let written = &head[line.name.range()];
        let name = HeaderName::from_bytes(written);
        let name = name.map_err(|_| BadHead::Syntax(httparse::Error::HeaderName))?;
        let value = HeaderValue::from_maybe_shared(head.slice(line.value.range()));
        let value = value.map_err(|_| BadHead::Syntax(httparse::Error::HeaderValue))?;
        let is_repeated = headers.append(name, value);
        is_interleaved |= is_repeated && !last.eq_ignore_ascii_case(written);
        last = written;
    }
    Ok(Fields { headers, is_interleaved })
}

/// The target as a `Uri`, and as it was written if a `Uri` cannot hold that.
fn uri(method: &Method, target: Bytes) -> Result<(Uri, Option<Bytes>), BadHead> {
    if target.contains(&b'#') {
        return Err(BadHead::Target);
    }
    if target.starts_with(b"/") {
        return match PathAndQuery::from_maybe_shared(target.clone()) {
            Ok(path) => Ok((Uri::from(path), None)),
            Err(_) => Ok((Uri::from(escaped(&target)?), Some(target))),
        };
    }
    if *target == *b"*" && *method == Method::OPTIONS {
        return Ok((Uri::from(PathAndQuery::from_static("*")), None));
    }
    if *method == Method::CONNECT {
        let authority = Authority::from_maybe_shared(target).map_err(|_| BadHead::Target)?;
        return Ok((Uri::from(authority), None));
    }
    let uri = Uri::from_maybe_shared(target).map_err(|_| BadHead::Target)?;
    let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
    if is_http && uri.authority().is_some() { Ok((uri, None)) } else { Err(BadHead::Target) }
}

/// With the bytes escaped that a `Uri` does not take.
fn escaped(target: &[u8]) -> Result<PathAndQuery, BadHead> {
    use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
    const ODD: &AsciiSet = &CONTROLS.add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}');
    let text = percent_encode(target, ODD).to_string();
    PathAndQuery::try_from(text).map_err(|_| BadHead::Target)
}

/// Whatever stands between the status and the end of its line.
fn reason(head: &[u8]) -> Result<Span, BadHead> {
    let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
    let line = head[start..].split(|byte| *byte == b'\r').next().unwrap_or_default();
    // `HTTP/1.1 200`, and a space if a phrase follows.
    let reason = line.get(13..).unwrap_or_default();
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    if !reason.iter().all(is_text) {
        return Err(BadHead::Status);
    }
    Ok(if reason.is_empty() { Span::of(&head[..0], head) } else { Span::of(reason, head) })
}

/// What the `Connection` fields say.
struct Said {
    persistence: Persistence,
    asks_upgrade: bool,
}

impl Said {
    fn of(headers: &HeaderMap, version: Version) -> Self {
        let (mut close, mut keep_alive, mut asks_upgrade) = (false, false, false);
        for value in headers.get_all(CONNECTION) {
            for token in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                close |= token.eq_ignore_ascii_case(b"close");
                keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                asks_upgrade |= token.eq_ignore_ascii_case(b"upgrade");
            }
        }
        let is_current = version == Version::HTTP_11;
        let persistence = if close {
            Persistence::Close
        } else if is_current {
            Persistence::KeepAlive
        } else if keep_alive {
            Persistence::KeepAliveAsked
        } else {
            Persistence::Close
        };
        Self { persistence, asks_upgrade: asks_upgrade && is_current }
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &[u8]) -> bool {
    let tokens = |value: &HeaderValue| {
        let mut tokens = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        tokens.any(|token| token.eq_ignore_ascii_case(wanted))
    };
    headers.get_all(name).iter().any(tokens)
}
