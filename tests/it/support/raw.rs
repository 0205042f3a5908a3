//! One end of a connection that says and hears bytes, and never fails on what it hears.

use super::sidecar::PATIENCE;
use super::tls::{self, Stream};
use rustls::{ClientConfig, ServerConfig};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take. Only a failing case waits for it.
const ANSWER: Duration = Duration::from_secs(4);

pub(crate) struct Raw {
    stream: Stream,
    /// All that was ever heard; what lies behind `taken` was not looked at yet.
    heard: Vec<u8>,
    taken: usize,
}

/// How the other end stopped talking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    /// Or, under TLS, ended without saying so.
    Reset,
    /// It has not: it is open, and nothing comes.
    Silent,
}

impl Raw {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap(), ANSWER)
    }

    /// Shakes hands with the first word that is said or heard.
    pub(crate) fn connect_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let tcp = TcpStream::connect(address).unwrap();
        let mut raw = Self::of(tcp.try_clone().unwrap(), ANSWER);
        raw.stream = tls::client(config, tcp);
        raw
    }

    pub(crate) fn accepted_tls(stream: TcpStream, config: &Arc<ServerConfig>) -> Self {
        let mut raw = Self::accepted(stream.try_clone().unwrap());
        raw.stream = tls::server(config, stream);
        raw
    }

    /// The upstream's end, which waits for as long as anything may take.
    pub(crate) fn accepted(stream: TcpStream) -> Self {
        Self::of(stream, PATIENCE)
    }

    fn of(stream: TcpStream, patience: Duration) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.set_write_timeout(Some(patience)).unwrap();
        Self { stream: Stream::Plain(stream), heard: Vec::new(), taken: 0 }
    }

    /// How long an answer may take from now on.
    pub(crate) fn patient(mut self) -> Self {
        self.patiently();
        self
    }

    pub(crate) fn patiently(&mut self) -> &mut Self {
        self.stream.tcp().set_read_timeout(Some(PATIENCE)).unwrap();
        self
    }

    /// What ALPN agreed on.
    pub(crate) fn alpn(&mut self) -> Option<String> {
        self.stream.alpn()
    }

    /// The certificate that the other end has shown.
    pub(crate) fn shown(&mut self) -> Vec<u8> {
        self.stream.shown()
    }

    /// Whether the other end takes it shows in what it answers.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        drop(self.stream.write_all(bytes.as_ref()));
        self
    }

    /// Says `bytes` again and again, until that is `most` or the other end takes no more for a while.
    pub(crate) fn say_until_refused(&mut self, bytes: &[u8], most: usize) -> usize {
        self.stream.tcp().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut said = 0;
        while said < most {
            match self.stream.write(bytes) {
                Ok(count) => said += count,
                Err(_) => break,
            }
        }
        said
    }

    pub(crate) fn unread(&self) -> &[u8] {
        &self.heard[self.taken..]
    }

    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        let from = self.taken;
        self.taken += length;
        self.heard[from..self.taken].to_vec()
    }

    /// Reads on until `parse` has what it looks for, which is then taken.
    pub(crate) fn hear<T>(
        &mut self,
        parse: impl Fn(&[u8], Option<End>) -> Option<(T, usize)>,
    ) -> Result<T, End> {
        let mut end = None;
        loop {
            if let Some((found, length)) = parse(self.unread(), end) {
                self.taken += length;
                return Ok(found);
            }
            if let Some(end) = end {
                return Err(end);
            }
            end = self.fill();
        }
    }

    pub(crate) fn hear_exactly(&mut self, length: usize) -> Result<Vec<u8>, End> {
        self.hear(|bytes, _| bytes.get(..length).map(|bytes| (bytes.to_vec(), length)))
    }

    /// Up to and with `mark`.
    pub(crate) fn hear_through(&mut self, mark: &str) -> Result<Vec<u8>, End> {
        let mark = mark.as_bytes();
        self.hear(|bytes, _| {
            let at = bytes.windows(mark.len()).position(|window| window == mark)?;
            let length = at + mark.len();
            Some((bytes[..length].to_vec(), length))
        })
    }

    /// Everything until the other end stops.
    pub(crate) fn hear_all(&mut self) -> (Vec<u8>, End) {
        let end = loop {
            if let Some(end) = self.fill() {
                break end;
            }
        };
        let length = self.unread().len();
        (self.take(length), end)
    }

    /// Reads what comes and throws it away; false at the end.
    pub(crate) fn forget_more(&mut self) -> bool {
        let end = self.fill();
        self.taken = 0;
        self.heard.clear();
        end.is_none()
    }

    /// Whether nothing comes for that long, and the other end is still there.
    pub(crate) fn is_quiet_for(&mut self, time: Duration) -> bool {
        self.stream.tcp().set_read_timeout(Some(time)).unwrap();
        let end = self.fill();
        self.stream.tcp().set_read_timeout(Some(PATIENCE)).unwrap();
        end == Some(End::Silent)
    }

    fn fill(&mut self) -> Option<End> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Some(End::Closed),
            Ok(count) => {
                self.heard.extend_from_slice(&buffer[..count]);
                None
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Some(End::Silent),
                _ => Some(End::Reset),
            },
        }
    }

    /// Waits for a byte and leaves it in the kernel. False if the other end says no more.
    pub(crate) fn await_unread_byte(&self) -> bool {
        matches!(self.stream.tcp().peek(&mut [0]), Ok(1))
    }

    /// Says no more, and still listens.
    pub(crate) fn finish(&mut self) {
        self.stream.say_end();
        drop(self.stream.tcp().shutdown(Shutdown::Write));
    }

    /// Says no more, without a word about it, and still listens.
    pub(crate) fn break_off(&self) {
        drop(self.stream.tcp().shutdown(Shutdown::Write));
    }

    /// Closes by a reset, as a process does that is killed.
    pub(crate) fn reset(self) {
        SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// All that was heard on the connection, taken or not.
    pub(crate) fn into_heard(self) -> Vec<u8> {
        self.heard
    }
}
