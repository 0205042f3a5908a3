//! New connections to the upstream.

use super::UpstreamError;
use crate::config;
use crate::proxy::body::RequestBody;
use crate::proxy::h2;
use crate::proxy::io::Io;
use http::uri::Authority;
use hyper::client::conn::http2;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

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
}

/// Whether the upstream takes connections. Nothing is sent.
pub async fn probe(upstream: &config::Upstream) -> Result<(), UpstreamError> {
    let address = Address::of(&upstream.authority);
    connect(&address, upstream.connect_timeout).await.map(drop)
}

pub(super) async fn tcp(address: &Address, limit: Duration) -> Result<Io, UpstreamError> {
    connect(address, limit).await.map(Io::from)
}

pub(super) async fn http2(
    address: &Address,
    limit: Duration,
) -> Result<http2::SendRequest<RequestBody>, UpstreamError> {
    h2::connect(tcp(address, limit).await?).await
}

async fn connect(address: &Address, limit: Duration) -> Result<TcpStream, UpstreamError> {
    let connecting = async {
        let stream = match address {
            Address::Ip(address) => TcpStream::connect(address).await?,
            Address::Name { host, port } => TcpStream::connect((host.as_str(), *port)).await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    tokio::time::timeout(limit, connecting)
        .await
        .map_err(|_| UpstreamError::ConnectTimeout(limit))?
        .map_err(UpstreamError::Connect)
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
