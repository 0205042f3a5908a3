//! A strict reader of HTTP/1.1 (RFC 9112): what it takes for one message, every recipient does.

use super::raw::End;
use std::fmt;

/// One message, its text in Latin-1 so that each byte is one character.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) start: String,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
}

/// Names as they were written, values without the whitespace around them.
pub(crate) type Fields = Vec<(String, String)>;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It ends too early.
    Short,
    Wrong(&'static str),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("incomplete"),
            Self::Wrong(why) => f.write_str(why),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |fields: &Fields| {
            let lines = fields.iter().map(|(name, value)| format!("{name}: {value}"));
            shown(lines.collect::<Vec<_>>().join(" | ").as_bytes())
        };
        write!(f, "<{:?} {} {}", self.start, lines(&self.fields), shown(&self.body))?;
        match &self.trailers[..] {
            [] => f.write_str(">"),
            _ => write!(f, " {}>", lines(&self.trailers)),
        }
    }
}

type Parsed<T> = Result<T, Flaw>;

impl Message {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Without the fields of these names.
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        let is_named = |name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
        self.fields.retain(|(name, _)| !is_named(name));
        self
    }
}

/// A request at the front of `bytes`, and its length.
pub(crate) fn request(bytes: &[u8]) -> Parsed<(Message, usize)> {
    let mut reader = Reader { bytes, at: 0 };
    let start = reader.line()?;
    let parts: Vec<&[u8]> = start.split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts[..] else { return Err(Flaw::Wrong("request line")) };
    if !is_token(method) || target.is_empty() || target.iter().any(u8::is_ascii_control) {
        return Err(Flaw::Wrong("request line"));
    }
    if ![&b"HTTP/1.1"[..], b"HTTP/1.0"].contains(&version) {
        return Err(Flaw::Wrong("version"));
    }
    let mut message = reader.message(start)?;
    if message.all("host").len() != 1 && version == b"HTTP/1.1" {
        return Err(Flaw::Wrong("Host"));
    }
    let framing = framing(&message)?.unwrap_or(Framing::Length(0));
    reader.body(&mut message, framing)?;
    Ok((message, reader.at))
}

/// A response at the front of `bytes`, and its length. An interim one is one of its own.
pub(crate) fn response(bytes: &[u8], to: &str, end: Option<End>) -> Parsed<(Message, usize)> {
    let mut reader = Reader { bytes, at: 0 };
    let start = reader.line()?;
    let (version, rest) = start.split_at_checked(9).ok_or(Flaw::Wrong("status line"))?;
    if ![&b"HTTP/1.1 "[..], b"HTTP/1.0 "].contains(&version) {
        return Err(Flaw::Wrong("version"));
    }
    let (status, reason) = rest.split_at_checked(4).ok_or(Flaw::Wrong("status line"))?;
    let is_status =
        matches!(status, [b'1'..=b'9', b, c, b' '] if b.is_ascii_digit() && c.is_ascii_digit());
    if !is_status || !is_text(reason) {
        return Err(Flaw::Wrong("status line"));
    }
    let mut message = reader.message(start)?;
    if to == "HEAD" || status[0] == b'1' || matches!(status, b"204 " | b"304 ") {
        return Ok((message, reader.at));
    }
    match framing(&message)? {
        Some(framing) => reader.body(&mut message, framing)?,
        None if end == Some(End::Closed) => {
            message.body = bytes[reader.at..].to_vec();
            reader.at = bytes.len();
        }
        None => return Err(Flaw::Short),
    }
    Ok((message, reader.at))
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

fn framing(message: &Message) -> Parsed<Option<Framing>> {
    match (&message.all("content-length")[..], &message.all("transfer-encoding")[..]) {
        ([], []) => Ok(None),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => {
            if message.start.contains("HTTP/1.0") {
                return Err(Flaw::Wrong("Transfer-Encoding in HTTP/1.0"));
            }
            Ok(Some(Framing::Chunked))
        }
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length = length.parse().map_err(|_| Flaw::Wrong("Content-Length"))?;
            Ok(Some(Framing::Length(length)))
        }
        ([_, ..], [_, ..]) => Err(Flaw::Wrong("Content-Length with Transfer-Encoding")),
        (_, []) => Err(Flaw::Wrong("Content-Length")),
        _ => Err(Flaw::Wrong("Transfer-Encoding")),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> Parsed<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Flaw::Short)?;
        self.at += end + 1;
        let line = rest[..end].strip_suffix(b"\r").ok_or(Flaw::Wrong("bare LF"))?;
        if line.contains(&b'\r') { Err(Flaw::Wrong("bare CR")) } else { Ok(line) }
    }

    fn exactly(&mut self, length: usize) -> Parsed<&'a [u8]> {
        let end = self.at.checked_add(length).ok_or(Flaw::Wrong("length"))?;
        let found = self.bytes.get(self.at..end).ok_or(Flaw::Short)?;
        self.at = end;
        Ok(found)
    }

    fn message(&mut self, start: &[u8]) -> Parsed<Message> {
        let (start, fields) = (latin1(start), self.fields()?);
        Ok(Message { start, fields, body: Vec::new(), trailers: Vec::new() })
    }

    fn fields(&mut self) -> Parsed<Fields> {
        let mut fields = Vec::new();
        loop {
            match self.line()? {
                b"" => return Ok(fields),
                line => fields.push(field(line)?),
            }
        }
    }

    fn body(&mut self, message: &mut Message, framing: Framing) -> Parsed<()> {
        match framing {
            Framing::Length(length) => message.body = self.exactly(length)?.to_vec(),
            Framing::Chunked => {
                while let Some(chunk) = self.chunk()? {
                    message.body.extend_from_slice(chunk);
                }
                message.trailers = self.fields()?;
            }
        }
        Ok(())
    }

    fn chunk(&mut self) -> Parsed<Option<&'a [u8]>> {
        let line = self.line()?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let extension = &line[digits..];
        if !extension.is_empty() && extension[0] != b';' || !is_text(extension) {
            return Err(Flaw::Wrong("chunk extension"));
        }
        let size = usize::from_str_radix(&latin1(&line[..digits]), 16);
        let size = size.map_err(|_| Flaw::Wrong("chunk size"))?;
        if size == 0 {
            return Ok(None);
        }
        let chunk = self.exactly(size)?;
        if self.exactly(2)? == b"\r\n" { Ok(Some(chunk)) } else { Err(Flaw::Wrong("chunk end")) }
    }
}

fn field(line: &[u8]) -> Parsed<(String, String)> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Flaw::Wrong("no colon"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if !is_token(name) {
        return Err(Flaw::Wrong("field name"));
    }
    if !is_text(value) {
        return Err(Flaw::Wrong("field value"));
    }
    Ok((latin1(name), latin1(value)))
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}

fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// For a reader of failures: at most the first 300 bytes.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let (start, rest) = bytes.split_at(bytes.len().min(300));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    format!("\"{}\"{more}", start.escape_ascii())
}
