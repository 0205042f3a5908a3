//! Raw HTTP/1.1 peers: what is sent is written byte by byte, and what arrives is shown as it came.

use super::sidecar::PATIENCE;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One end of a connection.
pub(crate) struct Peer {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A message as it crossed the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Start line and fields, without the empty line.
    pub(crate) head: String,
    /// Decoded from its framing.
    pub(crate) body: Vec<u8>,
    /// After a chunked body.
    pub(crate) trailers: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Closed between messages.
    Closed,
    /// Closed or reset in the middle of one.
    Cut,
}

impl Message {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn start_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// Fields in the order they came, names in lower case.
    pub(crate) fn fields(&self) -> Vec<(String, &str)> {
        let fields = self.head.lines().skip(1).map(|line| line.split_once(':').unwrap());
        fields.map(|(name, value)| (name.to_lowercase(), value.trim())).collect()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields().into_iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).unwrap())
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, unread: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Writes what fits in the buffers between here and there, until the other end takes no more.
    pub(crate) fn send_until_blocked(&mut self, bytes: &[u8], most: usize) -> usize {
        self.stream.set_write_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
        let mut sent = 0;
        while sent < most {
            match self.stream.write(bytes) {
                Ok(count) => sent += count,
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
                    break;
                }
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        sent
    }

    /// Reads one message. `has_body` is false for answers to HEAD, and for 204 and 304.
    pub(crate) fn receive_message(&mut self, has_body: bool) -> Result<Message, Broken> {
        let head = self.receive_head()?;
        let mut message = Message { head, body: Vec::new(), trailers: String::new() };
        if !has_body {
            return Ok(message);
        }
        if message.field("transfer-encoding").is_some() {
            self.receive_chunks(&mut message)?;
        } else if let Some(length) = message.field("content-length") {
            let length = length.parse().unwrap();
            message.body = self.receive_exactly(length)?;
        } else if message.head.starts_with("HTTP/") {
            message.body = self.receive_rest();
        }
        Ok(message)
    }

    pub(crate) fn receive(&mut self) -> Message {
        self.receive_message(true).unwrap()
    }

    pub(crate) fn receive_head(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..end + 4).collect();
                return Ok(String::from_utf8(head[..end].to_vec()).unwrap());
            }
            let nothing_came = self.unread.is_empty();
            if self.fill() == 0 {
                return Err(if nothing_came { Broken::Closed } else { Broken::Cut });
            }
        }
    }

    pub(crate) fn receive_exactly(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        while self.unread.len() < length {
            if self.fill() == 0 {
                return Err(Broken::Cut);
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn receive_chunks(&mut self, message: &mut Message) -> Result<(), Broken> {
        loop {
            let line = self.receive_line()?;
            let length = usize::from_str_radix(&line, 16).unwrap();
            if length == 0 {
                break;
            }
            message.body.extend(self.receive_exactly(length)?);
            assert_eq!(self.receive_exactly(2)?, b"\r\n");
        }
        loop {
            match self.receive_line()?.as_str() {
                "" => return Ok(()),
                line => message.trailers.push_str(line),
            }
        }
    }

    fn receive_line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Ok(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            if self.fill() == 0 {
                return Err(Broken::Cut);
            }
        }
    }

    /// Everything until the other end closes.
    pub(crate) fn receive_rest(&mut self) -> Vec<u8> {
        while self.fill() > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// Waits until the other end has closed or reset, and nothing more came.
    pub(crate) fn expect_closed(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.receive_rest()), "");
    }

    pub(crate) fn close(&self) {
        self.stream.shutdown(Shutdown::Both).unwrap();
    }

    /// How many bytes came; 0 at the end, however it came about.
    fn fill(&mut self) -> usize {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                count
            }
            Err(error) => {
                let is_timeout =
                    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(!is_timeout, "nothing came for {PATIENCE:?}");
                0
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// An upstream whose every connection is played by a function on a thread of its own.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    pub(crate) fn play(act: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, act) = (Arc::clone(&connections), Arc::new(act));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let act = Arc::clone(&act);
                std::thread::spawn(move || act(Peer::new(stream.unwrap())));
            }
        });
        Self { address, connections }
    }

    /// Answers every request on every connection with `answer`, which sees the request.
    pub(crate) fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::play(move |mut peer| {
            while let Ok(request) = peer.receive_message(true) {
                peer.send(answer(&request));
            }
        })
    }

    /// Sends a request's body back, framed as it came.
    pub(crate) fn echo() -> Self {
        Self::answering(|request| match request.field("transfer-encoding") {
            Some(_) => chunked("HTTP/1.1 200 OK", &request.body, 10_000),
            None => sized("HTTP/1.1 200 OK", &request.body),
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A message with a Content-Length.
pub(crate) fn sized(head: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A message in chunks of `size`.
pub(crate) fn chunked(head: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = format!("{head}\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Bytes that repeat at no power of two.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}
