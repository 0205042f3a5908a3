//! Whether who asks is on the host that this process is on, as the kernel says and no header can.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    ThisHost,
    Elsewhere,
}

impl Peer {
    /// A connection to an address of one's own comes from there.
    fn new(remote: IpAddr, own: Option<IpAddr>) -> Self {
        let remote = remote.to_canonical();
        let is_here = remote.is_loopback() || own.is_some_and(|own| own.to_canonical() == remote);
        if is_here { Self::ThisHost } else { Self::Elsewhere }
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        let own = stream.io().local_addr().ok();
        Self::new(stream.remote_addr().ip(), own.as_ref().map(SocketAddr::ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_its_own_address_are_here() {
        let peer = |remote: &str, own: &str| Peer::new(remote.parse().unwrap(), own.parse().ok());
        assert_eq!(peer("127.0.0.1", "127.0.0.1"), Peer::ThisHost);
        assert_eq!(peer("::1", "::1"), Peer::ThisHost);
        assert_eq!(peer("::ffff:127.0.0.1", "::ffff:127.0.0.1"), Peer::ThisHost);
        assert_eq!(peer("10.244.0.7", "10.244.0.7"), Peer::ThisHost);
        assert_eq!(peer("10.244.0.1", "10.244.0.7"), Peer::Elsewhere);
        assert_eq!(peer("fd00::1", "fd00::7"), Peer::Elsewhere);
        assert_eq!(peer("10.244.0.1", "unknown"), Peer::Elsewhere);
    }
}
