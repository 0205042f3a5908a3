//! The end of a serving thread: nobody is cut who was being served.

use crate::support::sidecar::{PATIENCE, before};
use crate::support::wire::{Upstream, sized};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;
use taffrail::capture::{BodyEnd, Fault};

const GET: &str = "GET / HTTP/1.1\r\nhost: m\r\n\r\n";

#[test]
fn draining_serves_on_and_asks_clients_to_go() {
    let upstream = Upstream::answering(|_| sized("HTTP/1.1 200 OK", b"ok"));
    let sidecar = before(upstream.address).start();
    let mut before_it = sidecar.client();
    assert_eq!(before_it.send(GET).receive().field("connection"), None);
    sidecar.drain();
    // The thread learns of it at its own time; a response says when it has.
    let mut asked = false;
    while !asked {
        let mut client = sidecar.client();
        let response = client.send(GET).receive();
        assert_eq!(response.text(), "ok");
        asked = response.field("connection") == Some("close");
    }
    let last = before_it.send(GET).receive();
    assert_eq!((last.text().as_str(), last.field("connection")), ("ok", Some("close")));
    before_it.expect_closed();
}

#[test]
fn a_client_that_keeps_silent_is_closed_while_draining_and_others_are_served() {
    let upstream = Upstream::answering(|_| sized("HTTP/1.1 200 OK", b"ok"));
    let sidecar = before(upstream.address).start();
    let (mut silent, mut never_asked) = (sidecar.client(), sidecar.client());
    assert_eq!(silent.send(GET).receive().text(), "ok");
    sidecar.drain();
    silent.expect_closed();
    never_asked.expect_closed();
    assert_eq!(sidecar.client().send(GET).receive().text(), "ok");
}

#[test]
fn closing_lets_an_exchange_finish_and_takes_no_more() {
    let (arrived, arrival) = mpsc::sync_channel(1);
    let (release, released) = mpsc::sync_channel::<()>(1);
    let released = Mutex::new(released);
    let upstream = Upstream::play(move |mut peer| {
        peer.receive_message(true).unwrap();
        arrived.send(()).unwrap();
        released.lock().unwrap().recv().unwrap();
        peer.send(sized("HTTP/1.1 200 OK", b"late"));
        drop(peer.receive_rest());
    });
    let sidecar = before(upstream.address).start();
    let address = sidecar.address;
    let mut idle = sidecar.client();
    let mut client = sidecar.client();
    client.send(GET);
    arrival.recv_timeout(PATIENCE).unwrap();
    sidecar.close_within(PATIENCE);
    idle.expect_closed();
    while TcpStream::connect(address).is_ok() {}
    release.send(()).unwrap();
    assert_eq!(client.receive().text(), "late");
    client.expect_closed();
    let record = sidecar.collect();
    assert_eq!(record.exchanges.len(), 1);
    assert_eq!(record.latency.open_connections, 0);
}

#[test]
fn the_deadline_cuts_what_is_left_and_it_is_recorded() {
    let (arrived, arrival) = mpsc::sync_channel(1);
    let upstream = Upstream::play(move |mut peer| {
        peer.receive_message(true).unwrap();
        arrived.send(()).unwrap();
        peer.expect_closed();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    client.send(GET);
    arrival.recv_timeout(PATIENCE).unwrap();
    sidecar.close_within(Duration::from_millis(10));
    let record = sidecar.collect();
    client.expect_closed();
    assert_eq!(record.exchanges[0].fault, Some(Fault::ClientGone));
    assert_eq!(record.exchanges[0].response.body.end, BodyEnd::Cancelled);
    assert_eq!(record.latency.active_requests, 0);
}
