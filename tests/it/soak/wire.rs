//! HTTP/1.1 as both raw peers speak it here: paced, left in the middle, and in memory that does not
//! grow with the connection's age.

use super::plan::{Plan, Token};
use crate::support::sidecar::PATIENCE;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::time::Duration;

const PIECE_BYTES: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Sized,
    Chunked,
    UntilClose,
}

pub(super) struct Wire(BufReader<TcpStream>);

#[derive(Debug)]
pub(super) struct Head {
    pub(super) start: String,
    /// Of the field that answers carry.
    pub(super) token: Option<Token>,
    pub(super) says_close: bool,
    length: Option<usize>,
    is_chunked: bool,
}

impl Wire {
    pub(super) fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    pub(super) fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    /// All in one write, or each piece after a pause: what makes a peer slow is that it waits.
    pub(super) fn say(
        &mut self,
        head: &str,
        pieces: &[Vec<u8>],
        pause: Option<Duration>,
    ) -> io::Result<()> {
        let mut stream = self.0.get_ref();
        let Some(pause) = pause else {
            return stream.write_all(&[head.as_bytes(), &pieces.concat()].concat());
        };
        stream.write_all(head.as_bytes())?;
        for piece in pieces {
            std::thread::sleep(pause);
            stream.write_all(piece)?;
        }
        Ok(())
    }

    pub(super) fn head(&mut self) -> io::Result<Head> {
        let start = self.line()?;
        let mut head =
            Head { start, token: None, says_close: false, length: None, is_chunked: false };
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { return Ok(head) };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = Some(value.parse().map_err(io::Error::other)?),
                "transfer-encoding" => head.is_chunked = true,
                "connection" => head.says_close = value.eq_ignore_ascii_case("close"),
                "x-soak" => head.token = value.parse().ok(),
                _ => {}
            }
        }
    }

    /// The body, unless `each`, which is told of how many bytes have come, leaves before its end.
    pub(super) fn body(
        &mut self,
        head: &Head,
        mut each: impl FnMut(usize) -> ControlFlow<()>,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        if !head.is_chunked {
            let is_answer = head.start.starts_with("HTTP/");
            let length = head.length.unwrap_or(if is_answer { usize::MAX } else { 0 });
            let whole = self.data(length, &mut body, &mut each)?;
            return Ok(whole.then_some(body));
        }
        loop {
            let size = self.line()?;
            let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
            if !self.data(size, &mut body, &mut each)? {
                return Ok(None);
            }
            if !self.line()?.is_empty() {
                return Err(io::Error::other("a chunk does not end where it should"));
            }
            if size == 0 {
                return Ok(Some(body));
            }
        }
    }

    /// False if it was left. `usize::MAX` stands for all until the connection closes.
    fn data(
        &mut self,
        length: usize,
        body: &mut Vec<u8>,
        each: &mut impl FnMut(usize) -> ControlFlow<()>,
    ) -> io::Result<bool> {
        let mut rest = length;
        while rest > 0 {
            let from = body.len();
            let room = rest.min(PIECE_BYTES);
            body.resize(from + room, 0);
            let count = self.0.read(&mut body[from..])?;
            body.truncate(from + count);
            match count {
                0 if length == usize::MAX => return Ok(true),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ if length < usize::MAX => rest -= count,
                _ => {}
            }
            if each(body.len()).is_break() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.strip_suffix("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(line.to_owned())
    }
}

/// A request's or an answer's head, up to and with its empty line.
pub(super) fn head_of(
    start: &str,
    framing: Framing,
    length: usize,
    plan: &Plan,
    more: &str,
) -> String {
    let token = plan.token;
    let framing = match framing {
        Framing::Sized => format!("content-length: {length}\r\n"),
        Framing::Chunked => "transfer-encoding: chunked\r\n".to_owned(),
        Framing::UntilClose => String::new(),
    };
    format!("{start}\r\nhost: m\r\nx-soak: {token}\r\n{more}{framing}\r\n")
}

/// `body` in about so many pieces, framed; without the last of them it is not whole.
pub(super) fn pieces(body: &[u8], framing: Framing, count: usize) -> Vec<Vec<u8>> {
    let size = body.len().div_ceil(count).max(1);
    let pieces = body.chunks(size);
    match framing {
        Framing::Sized | Framing::UntilClose => pieces.map(<[u8]>::to_vec).collect(),
        Framing::Chunked => {
            let chunk = |piece: &[u8]| {
                [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
            };
            pieces.map(chunk).chain([b"0\r\n\r\n".to_vec()]).collect()
        }
    }
}
