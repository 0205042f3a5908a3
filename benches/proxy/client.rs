//! A small HTTP/1.1 client that tells a broken exchange from an answered one.

use super::wire;
use anyhow::ensure;
use std::io::{self, Read, Write};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PAGE_LIMIT: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 16 << 10;

pub(crate) struct Connection {
    stream: TcpStream,
    /// Bytes that came and were not used yet.
    waiting: Vec<u8>,
}

/// What a whole answer said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The proxy takes no further request on this connection.
    pub(crate) is_last: bool,
}

impl Answer {
    pub(crate) fn is_good(self) -> bool {
        (200..300).contains(&self.status)
    }
}

enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, waiting: Vec::new() })
    }

    /// Sends a whole request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        let head_end = loop {
            if let Some(end) = wire::head_end(&self.waiting) {
                break end;
            }
            self.read_more().await?;
        };
        let head = wire::text(&self.waiting[..head_end])?;
        let (status, framing) = (status(head)?, framing(head)?);
        let closes = wire::header(head, "connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.waiting.drain(..head_end);
        let is_last = closes || matches!(framing, Framing::UntilClose);
        self.skip_body(&framing).await?;
        Ok(Answer { status, is_last })
    }

    /// Sends a request; what comes back is for [`Connection::read`].
    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await
    }

    /// Appends whatever comes next; 0 at the end.
    pub(crate) async fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        bytes.reserve(READ_BYTES);
        self.stream.read_buf(bytes).await
    }

    async fn skip_body(&mut self, framing: &Framing) -> io::Result<()> {
        loop {
            let end = match framing {
                Framing::Length(length) => (self.waiting.len() >= *length).then_some(*length),
                Framing::Chunked => last_chunk_end(&self.waiting),
                Framing::UntilClose => None,
            };
            if let Some(end) = end {
                self.waiting.drain(..end);
                return Ok(());
            }
            match (self.read_more().await, framing) {
                (Err(error), Framing::UntilClose)
                    if error.kind() == io::ErrorKind::UnexpectedEof =>
                {
                    return Ok(());
                }
                (read, _) => read?,
            }
        }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        self.waiting.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.waiting).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn status(head: &str) -> io::Result<u16> {
    let code = head.split(' ').nth(1).and_then(|code| code.get(..3)?.parse().ok());
    code.ok_or_else(|| wire::malformed("status"))
}

fn framing(head: &str) -> io::Result<Framing> {
    if wire::is_chunked(head) {
        return Ok(Framing::Chunked);
    }
    let length = wire::content_length(head)?.map(usize::try_from).transpose();
    let length = length.map_err(|_| wire::malformed("content-length"))?;
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

/// Enough for bodies that do not hold this themselves; there are no trailers here.
fn last_chunk_end(bytes: &[u8]) -> Option<usize> {
    const LAST: &[u8] = b"0\r\n\r\n";
    bytes.windows(LAST.len()).position(|five| five == LAST).map(|at| at + LAST.len())
}

/// A POST of JSON over HTTP/1.1, head and body.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A page as text, head and all. Waits for it.
pub(crate) fn page(port: u16, path: &str) -> anyhow::Result<String> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PAGE_LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    ensure!(status(&page)? == 200, "{path} answered: {}", page.lines().next().unwrap_or_default());
    Ok(page)
}
