//! One client connection: HTTP/1.1 or HTTP/2, told apart by its first bytes.

use super::body::Asked;
use super::drain::{Drain, Member};
use super::h1::{self, ClientBody, NoRequest, Settings};
use super::h2::{self, SETTINGS};
use super::io::Io;
use super::limit::Place;
use super::reply;
use super::service::exchanges;
use super::thread::Live;
use super::tls::{self, Accepted, Acceptor, TlsError};
use super::upstream::Upstream;
use crate::capture::Fault;
use crate::config;
use crate::tap::Tap;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tower::ServiceBuilder;

/// What a client of HTTP/2 begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Behind it stands a frame of SETTINGS, no acknowledgement, on stream 0.
const FRAME_HEAD: usize = 9;
const ROOM: usize = 4 * 1024;

/// What every connection of one serving thread shares.
pub(super) struct Server {
    pub(super) upstream: Rc<Upstream>,
    pub(super) tap: Rc<Tap>,
    pub(super) drain: Rc<Drain>,
    /// Of connections that begin now; one under way keeps those it began with.
    http1: Cell<Settings>,
    http2: RefCell<Rc<h2::Server>>,
    acceptor: Option<Acceptor>,
}

impl Server {
    pub(super) fn new(
        client: &config::Client,
        acceptor: Option<Acceptor>,
        upstream: Rc<Upstream>,
        tap: Rc<Tap>,
        drain: Rc<Drain>,
    ) -> Self {
        let http1 = Cell::new(settings(client));
        let http2 = RefCell::new(Rc::new(h2::Server::new(client)));
        Self { upstream, tap, drain, http1, http2, acceptor }
    }

    /// Takes over what may change while the thread serves.
    pub(super) fn follow(&self, live: &Live) {
        self.http1.set(settings(&live.client));
        self.http2.replace(Rc::new(h2::Server::new(&live.client)));
        self.upstream.follow(&live.upstream);
        self.tap.follow(live.tap.clone(), live.tracing);
    }

    /// Serves exchanges until the client leaves or the drain ends the connection.
    pub(super) async fn serve(self: Rc<Self>, stream: TcpStream, member: Member, place: Place) {
        let _open = OpenConnection::new(&self.tap);
        let _place = place;
        member.wake_this_task().await;
        let Some((io, agreed)) = self.accepted(stream, &member).await else { return };
        let mut input = BytesMut::new();
        let protocol = match agreed {
            tls::Protocol::Http1 => Some(Protocol::Http1),
            tls::Protocol::Http2 => Some(Protocol::Http2),
            tls::Protocol::Unsaid => self.protocol(&io, &mut input, &member).await,
        };
        let refuse = |reason| self.refuse(reason);
        match protocol {
            None => io.say_end(),
            Some(Protocol::Untold) => h1::turn_away(io, refuse(NoRequest::Late), &member).await,
            Some(Protocol::Http1) => {
                let service = ServiceBuilder::new()
                    .map_request(|request: Request<ClientBody>| request.map(Asked::Http1))
                    .service(exchanges(Rc::clone(&self)));
                let settings = self.http1.get();
                h1::serve(io, input, service, refuse, &settings, &member).await;
            }
            Some(Protocol::Http2) => {
                let service = exchanges(Rc::clone(&self));
                let http2 = Rc::clone(&self.http2.borrow());
                // Boxed, as connections of HTTP/1 would else carry room for it.
                Box::pin(http2.serve(io, input, service, refuse, &member)).await;
            }
        }
    }

    /// Under TLS, if clients are to speak it; `None` if the handshake failed, or the drain ends.
    async fn accepted(&self, stream: TcpStream, member: &Member) -> Option<(Io, tls::Protocol)> {
        let Some(acceptor) = &self.acceptor else {
            return Some((Io::from(stream), tls::Protocol::Unsaid));
        };
        // Boxed, as connections without it would else carry room for it.
        let mut shaking = Box::pin(acceptor.accept(stream, self.http1.get().header_timeout));
        let shaken = poll_fn(|cx| match shaking.as_mut().poll(cx) {
            Poll::Pending if member.is_closing() => Poll::Ready(None),
            polled => polled.map(Some),
        });
        match shaken.await? {
            Ok(Accepted { stream, protocol }) => {
                Some((Io::from(TlsStream::from(stream)), protocol))
            }
            Err(TlsError::ClientLeft) => None,
            Err(error) => {
                self.tap.refused(None, Fault::ClientTls);
                tracing::debug!(error = &error as &dyn std::error::Error, "a client was refused");
                None
            }
        }
    }

    /// Tells a client that there are too many, where it can be told in plain text and there is a
    /// `place` for that: a flood of those who are refused would else hold what the limit is to spare.
    pub(super) async fn turn_away(
        self: Rc<Self>,
        stream: TcpStream,
        member: Member,
        place: Option<Place>,
    ) {
        let fault = Fault::ClientConnectionLimit;
        let (Some(_place), None) = (place, &self.acceptor) else {
            return self.tap.refused(None, fault);
        };
        let reply = reply::to_one_too_many();
        self.tap.refused(Some(reply.status()), fault);
        member.wake_this_task().await;
        h1::turn_away(Io::from(stream), reply, &member).await;
    }

    /// An exchange that never began is counted like any other.
    fn refuse(&self, reason: NoRequest) -> Response<Bytes> {
        let reply = reply::to_no_request(reason);
        self.tap.refused(Some(reply.status()), reply::fault_of(reason));
        reply
    }

    /// `None` if the client leaves, or waits for too long, before it can be told.
    async fn protocol(&self, io: &Io, input: &mut BytesMut, member: &Member) -> Option<Protocol> {
        member.arm(self.http1.get().header_timeout);
        let told = poll_fn(|cx| {
            loop {
                let known = input.len().min(PREFACE.len());
                if input[..known] != PREFACE[..known] {
                    return Poll::Ready(Some(Protocol::Http1));
                }
                match input.get(PREFACE.len()..PREFACE.len() + FRAME_HEAD) {
                    Some([_, _, _, SETTINGS, 0, 0, 0, 0, 0]) => {
                        return Poll::Ready(Some(Protocol::Http2));
                    }
                    Some(_) => return Poll::Ready(None),
                    None => {}
                }
                match io.poll_fill(input, ROOM, cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(None),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending if member.is_overdue() && !input.is_empty() => {
                        return Poll::Ready(Some(Protocol::Untold));
                    }
                    Poll::Pending if member.is_overdue() || member.is_closing() => {
                        return Poll::Ready(None);
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let told = told.await;
        member.disarm();
        told
    }
}

fn settings(client: &config::Client) -> Settings {
    Settings {
        limits: h1::Limits { fields: client.max_headers, bytes: client.max_header_bytes },
        header_timeout: client.header_timeout,
        idle_timeout: client.idle_timeout,
    }
}

#[derive(Debug, Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
    /// What came could become either, and no more came in time.
    Untold,
}

/// Counts a connection for as long as it lives.
struct OpenConnection<'a>(&'a Tap);

impl<'a> OpenConnection<'a> {
    fn new(tap: &'a Tap) -> Self {
        tap.connection_opened();
        Self(tap)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connection_closed();
    }
}
