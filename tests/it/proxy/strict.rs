//! What is refused before the upstream sees any of it.

use crate::support::sidecar::before;
use crate::support::wire::{Upstream, sized};

#[test]
fn what_could_be_read_two_ways_is_refused_and_the_connection_closed() {
    let upstream = Upstream::answering(|_| sized("HTTP/1.1 200 OK", b""));
    let sidecar = before(upstream.address).start();
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a, b\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551617\r\n\r\na",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\na",
        "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n folded\r\n\r\n",
    ] {
        let mut client = sidecar.client();
        let Ok(response) = client.send(request).receive_message(true) else {
            panic!("no answer to {request:?}");
        };
        assert!([400, 501].contains(&response.status()), "{request:?}: {}", response.head);
        client.expect_closed();
    }
    assert_eq!(upstream.connections(), 0);
}
