//! New connections to the upstream.

use super::UpstreamError;
use crate::config;
use crate::proxy::io::Io;
use crate::proxy::tls::{Connected, Connector, Offer, Protocol};
use http::uri::Authority;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

const DEFAULT_PORT: u16 = 80;

pub(super) enum Address {
    Ip(SocketAddr),
    /// Resolved anew for each connection, as addresses of names change.
    Name {
        host: String,
        port: u16,
    },
}

impl Address {
    pub(super) fn of(authority: &Authority) -> Self {
        let port = authority.port_u16().unwrap_or(DEFAULT_PORT);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(ip) => Self::Ip(SocketAddr::new(ip, port)),
            Err(_) => Self::Name { host: host.to_owned(), port },
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = match self {
            Self::Ip(address) => TcpStream::connect(address).await?,
            Self::Name { host, port } => TcpStream::connect((host.as_str(), *port)).await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Whether the upstream takes connections, and shakes hands if it is to. Nothing else is sent.
pub async fn probe(
    upstream: &config::Upstream,
    connector: Option<&Connector>,
) -> Result<(), UpstreamError> {
    let address = Address::of(&upstream.authority);
    let to = Way { address: &address, connector, limit: upstream.connect_timeout };
    let offer = match upstream.protocol {
        config::UpstreamProtocol::Auto => Offer::Either,
        config::UpstreamProtocol::Http1 => Offer::Http1,
        config::UpstreamProtocol::H2c => Offer::Http2,
    };
    open(to, offer).await.map(drop)
}

/// How the upstream is reached.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) address: &'a Address,
    /// Where it speaks TLS.
    pub(super) connector: Option<&'a Connector>,
    /// For connecting, handshake included.
    pub(super) limit: Duration,
}

/// A new connection, and what its handshake agreed to speak.
pub(super) async fn open(to: Way<'_>, offer: Offer) -> Result<(Io, Protocol), UpstreamError> {
    let opening = async {
        let tcp = to.address.connect().await.map_err(UpstreamError::Connect)?;
        match to.connector {
            None => Ok((Io::from(tcp), Protocol::Unsaid)),
            Some(connector) => {
                let Connected { stream, protocol } = connector.connect(tcp, offer).await?;
                Ok((Io::from(TlsStream::from(stream)), protocol))
            }
        }
    };
    let opened = tokio::time::timeout(to.limit, opening).await;
    opened.map_err(|_| UpstreamError::ConnectTimeout(to.limit))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_an_address_or_a_name_to_resolve() {
        let of = |text: &'static str| Address::of(&Authority::from_static(text));
        let is =
            |address, text: &str| matches!(address, Address::Ip(ip) if ip == text.parse().unwrap());
        assert!(is(of("127.0.0.1:8080"), "127.0.0.1:8080"));
        assert!(is(of("[::1]"), "[::1]:80"));
        assert!(matches!(of("model.svc"), Address::Name { host, port: 80 } if host == "model.svc"));
    }
}
