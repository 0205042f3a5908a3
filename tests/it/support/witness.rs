//! An upstream that keeps every byte it hears, and in the end says what it heard.

use super::message::{self, Flaw, Message, shown};
use super::raw::{End, Raw};
use rustls::ServerConfig;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub(crate) struct Witness {
    pub(crate) address: SocketAddr,
    is_over: Arc<AtomicBool>,
    accepting: JoinHandle<Vec<JoinHandle<Vec<u8>>>>,
}

/// What all connections brought that brought anything.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) whole: Vec<Message>,
    /// What came behind the last whole request of a connection, and what is wrong with it.
    pub(crate) broken: Vec<String>,
}

impl Witness {
    /// Plays every connection that brings a byte by `act`, on a thread of its own.
    pub(crate) fn playing(act: impl Fn(&mut Raw) + Send + Sync + 'static) -> Self {
        Self::playing_on(Raw::accepted, act)
    }

    /// The same, under TLS.
    pub(crate) fn playing_tls(
        config: &Arc<ServerConfig>,
        act: impl Fn(&mut Raw) + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::clone(config);
        Self::playing_on(move |tcp| Raw::accepted_tls(tcp, &config), act)
    }

    fn playing_on(
        accepted: impl Fn(TcpStream) -> Raw + Send + Sync + 'static,
        act: impl Fn(&mut Raw) + Send + Sync + 'static,
    ) -> Self {
        let play = move |tcp| {
            let mut raw = accepted(tcp);
            if raw.await_unread_byte() {
                act(&mut raw);
            }
            raw.into_heard()
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let accepting = std::thread::spawn(move || accept(&listener, &over, &Arc::new(play)));
        Self { address, is_over, accepting }
    }

    /// Answers whole requests with `answer`; anything else is heard to its end.
    pub(crate) fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::playing(move |raw| serve(raw, &answer))
    }

    pub(crate) fn answering_tls(
        config: &Arc<ServerConfig>,
        answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::playing_tls(config, move |raw| serve(raw, &answer))
    }

    pub(crate) fn agreeing() -> Self {
        Self::answering(|_| OK.to_vec())
    }

    /// Every connection made before is heard to its end first, which has to be near.
    pub(crate) fn finish_bytes(self) -> Vec<Vec<u8>> {
        self.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address).unwrap());
        let connections = self.accepting.join().unwrap();
        let heard = connections.into_iter().map(|connection| connection.join().unwrap());
        heard.filter(|bytes| !bytes.is_empty()).collect()
    }

    pub(crate) fn finish(self) -> Seen {
        let mut seen = Seen::default();
        for bytes in self.finish_bytes() {
            seen.add(&bytes);
        }
        seen
    }
}

fn serve(raw: &mut Raw, answer: impl Fn(&Message) -> Vec<u8>) {
    while let Ok(request) = raw.hear(|bytes, _| message::request(bytes).ok()) {
        raw.say(answer(&request));
    }
}

impl Seen {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match message::request(bytes) {
                Ok((request, length)) => {
                    self.whole.push(request);
                    bytes = &bytes[length..];
                }
                Err(flaw) => {
                    self.broken.push(format!("{flaw}: {}", shown(bytes)));
                    return;
                }
            }
        }
    }
}

/// Until it is over, and then what is left in the backlog: the kernel keeps its order.
fn accept(
    listener: &TcpListener,
    is_over: &AtomicBool,
    play: &Arc<impl Fn(TcpStream) -> Vec<u8> + Send + Sync + 'static>,
) -> Vec<JoinHandle<Vec<u8>>> {
    let mut connections = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if is_over.load(Ordering::SeqCst) {
            listener.set_nonblocking(true).unwrap();
        }
        stream.set_nonblocking(false).unwrap();
        let play = Arc::clone(play);
        connections.push(std::thread::spawn(move || play(stream)));
    }
    connections
}

/// Clients' side: the next final or interim response to a request of that method.
pub(crate) fn response_to(method: &str, raw: &mut Raw) -> Result<Message, String> {
    let parse = |bytes: &[u8], end| match message::response(bytes, method, end) {
        Err(Flaw::Short) => None,
        Ok((response, length)) => Some((Ok(response), length)),
        Err(flaw) => Some((Err(format!("{flaw}: {}", shown(bytes))), 0)),
    };
    match raw.hear(parse) {
        Ok(parsed) => parsed,
        Err(end) => Err(format!("{end:?} after {}", shown(raw.unread()))),
    }
}

pub(crate) fn response(raw: &mut Raw) -> Result<Message, String> {
    response_to("GET", raw)
}

/// The end is a close, and nothing came before it.
pub(crate) fn closed(raw: &mut Raw) -> Result<(), String> {
    match raw.hear_all() {
        (bytes, End::Closed) if bytes.is_empty() => Ok(()),
        (bytes, end) => Err(format!("not closed, but {end:?} after {}", shown(&bytes))),
    }
}
