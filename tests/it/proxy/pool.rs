//! Upstream connections: kept, given up, and replaced without the client's knowledge.

use crate::support::sidecar::{PATIENCE, before};
use crate::support::wire::{Upstream, sized};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

const GET: &str = "GET / HTTP/1.1\r\nhost: m\r\n\r\n";

#[test]
fn clients_one_after_another_share_a_connection() {
    let upstream = Upstream::answering(|_| sized("HTTP/1.1 200 OK", b"ok"));
    let sidecar = before(upstream.address).start();
    for _ in 0..20 {
        assert_eq!(sidecar.client().send(GET).receive().text(), "ok");
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_connection_that_the_upstream_will_close_is_not_used_again() {
    let upstream = Upstream::play(|mut peer| {
        peer.receive_message(true).unwrap();
        peer.send(sized("HTTP/1.1 200 OK\r\nconnection: close", b"ok"));
        // A second request would be swallowed.
        peer.expect_closed();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    for _ in 0..3 {
        let response = client.send(GET).receive();
        assert_eq!((response.text().as_str(), response.field("connection")), ("ok", None));
    }
    assert_eq!(upstream.connections(), 3);
}

#[test]
fn a_request_swallowed_by_a_stale_connection_is_repeated_on_a_fresh_one() {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let upstream = Upstream::play(move |mut peer| {
        peer.receive_message(true).unwrap();
        count.fetch_add(1, Ordering::SeqCst);
        peer.send(sized("HTTP/1.1 200 OK", b"ok"));
        // Closes when the second request has come, as a server does whose idle timer just fired.
        if peer.receive_head().is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
        peer.close();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    assert_eq!(client.send(GET).receive().text(), "ok");
    assert_eq!(client.send(GET).receive().text(), "ok");
    assert_eq!((upstream.connections(), requests.load(Ordering::SeqCst)), (2, 3));
    assert!(sidecar.stop().exchanges.iter().all(|exchange| exchange.fault.is_none()));
}

#[test]
fn a_request_with_consequences_is_not_repeated() {
    let upstream = Upstream::play(move |mut peer| {
        peer.receive_message(true).unwrap();
        peer.send(sized("HTTP/1.1 200 OK", b"ok"));
        drop(peer.receive_head());
        peer.close();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    assert_eq!(client.send(GET).receive().text(), "ok");
    let post = sized("POST / HTTP/1.1\r\nhost: m", b"pay");
    assert_eq!(client.send(post).receive().status(), 502);
}

#[test]
fn requests_under_way_at_once_do_not_wait_for_each_other() {
    let (arrived, both) = mpsc::sync_channel(2);
    let gate = Arc::new(std::sync::Barrier::new(2));
    let upstream = Upstream::play(move |mut peer| {
        peer.receive_message(true).unwrap();
        arrived.send(()).unwrap();
        gate.wait();
        peer.send(sized("HTTP/1.1 200 OK", b"ok"));
    });
    let sidecar = before(upstream.address).start();
    let mut clients = [sidecar.client(), sidecar.client()];
    for client in &mut clients {
        client.send(GET);
    }
    (0..2).for_each(|_| both.recv_timeout(PATIENCE).unwrap());
    for client in &mut clients {
        assert_eq!(client.receive().text(), "ok");
    }
}
