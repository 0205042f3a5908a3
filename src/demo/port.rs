//! A port that is free: the one asked for, or another.

use std::io;
use std::net::{SocketAddr, TcpListener};

/// Whether the address that was asked for could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Free,
    /// Another process listens there, so the listener has some free port of the same host.
    ByAnother {
        asked: SocketAddr,
    },
}

/// Listens at `asked`, or, where its port is taken, at a free port of the same host.
///
/// Without `SO_REUSEPORT`, which would let two demos share a port and each see half of the traffic.
pub fn listen_or_free(asked: SocketAddr) -> io::Result<(TcpListener, Taken)> {
    match TcpListener::bind(asked) {
        Ok(listener) => Ok((listener, Taken::Free)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let listener = TcpListener::bind(SocketAddr::new(asked.ip(), 0))?;
            Ok((listener, Taken::ByAnother { asked }))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_said_and_another_is_found() {
        let (first, taken) = listen_or_free("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(taken, Taken::Free);
        let asked = first.local_addr().unwrap();
        let (second, taken) = listen_or_free(asked).unwrap();
        assert_eq!(taken, Taken::ByAnother { asked });
        assert_ne!(second.local_addr().unwrap().port(), asked.port());
    }
}
