//! One listening socket a serving thread, all on one port: the kernel spreads connections over them.

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

const BACKLOG: i32 = 4096;

/// Listeners for `threads` serving threads. Port 0 is resolved once, for all of them.
pub fn bind(address: SocketAddr, threads: NonZeroUsize) -> io::Result<Vec<TcpListener>> {
    let first = listener(address)?;
    let resolved = first.local_addr()?;
    let others = (1..threads.get()).map(|_| listener(resolved));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
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
}
