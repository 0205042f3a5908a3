//! TLS on both sides of the proxy: with clients by an [`Acceptor`], with the model by a [`Connector`].
//!
//! In: a connected socket. Out: the same under TLS, and the protocol that ALPN agreed on. The files
//! behind both may change at any time: a [`Reloader`] looks at them from the control thread, and what
//! it swaps in holds from the next handshake on, while connections under way go on as they are. New
//! files that are of no use change nothing but a counter. Nothing here reads a file on a serving
//! thread, and no handshake falls back to plain text.

mod client;
mod error;
mod server;
mod watch;

#[cfg(test)]
mod tests;

pub use client::{Connected, Connector, Offer};
pub use error::TlsError;
pub use server::{Accepted, Acceptor};
pub use watch::{Reloader, Status};

use crate::config::{ClientTls, ServerTls};

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// What ALPN (RFC 7301) agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
    /// The peer knows no ALPN: it is asked by its first bytes, or spoken to in HTTP/1.1.
    Unsaid,
}

impl Protocol {
    fn of(agreed: Option<&[u8]>) -> Self {
        match agreed {
            Some(HTTP2) => Self::Http2,
            Some(HTTP1) => Self::Http1,
            _ => Self::Unsaid,
        }
    }
}

/// Both sides, as far as the configuration has them, and who keeps them fresh.
#[derive(Debug)]
pub struct Tls {
    pub acceptor: Option<Acceptor>,
    pub connector: Option<Connector>,
    pub reloader: Reloader,
}

/// Reads every file; one of no use is an error here, and later only a loss of news.
pub fn load(server: Option<&ServerTls>, client: Option<&ClientTls>) -> Result<Tls, TlsError> {
    let (acceptor, clients) = server.map(server::load).transpose()?.unzip();
    let (connector, model) = client.map(client::load).transpose()?.unzip();
    Ok(Tls { acceptor, connector, reloader: Reloader { clients, model } })
}
