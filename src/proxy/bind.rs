//! One listening socket a serving thread, all on one port: the kernel spreads connections over them.

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

const BACKLOG: i32 = 4096;

/// Listeners for `threads` serving threads. Port 0 is resolved once, for all of them.
///
/// A port that is listened on is an error, even where that listener would share it: a second sidecar
/// would take a part of the first one's connections, and nobody would notice.
pub fn bind(address: SocketAddr, threads: NonZeroUsize) -> io::Result<Vec<TcpListener>> {
    if address.port() != 0 {
        socket(address)?.bind(&SockAddr::from(address))?;
    }
    let first = listener(address)?;
    let resolved = first.local_addr()?;
    let others = (1..threads.get()).map(|_| listener(resolved));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connections that a former process left in `TIME_WAIT` do not keep its port.
fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_listeners_share_the_port_that_was_free() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = bind(any, NonZeroUsize::new(3).unwrap()).unwrap();
        let ports: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 3);
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }
    #[test]
    fn a_port_that_is_served_already_is_taken() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = bind(any, NonZeroUsize::MIN).unwrap();
        let taken = first[0].local_addr().unwrap();
        let second = bind(taken, NonZeroUsize::MIN).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert_eq!(bind(taken, NonZeroUsize::MIN).unwrap().len(), 1);
    }
}
