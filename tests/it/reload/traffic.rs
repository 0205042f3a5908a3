//! Keys of traffic: towards the model and towards clients.

use super::keys::QUIET;
use super::{Sidecar, exchange, model, request, until};
use crate::support::frames::{Connection, SETTINGS};
use crate::support::raw::Raw;
use crate::support::sidecar::PATIENCE;
use crate::support::wire::{Broken, Peer, Upstream};
use crate::support::witness::Witness;
use std::net::TcpListener;
use std::time::Instant;

pub(super) fn answer_in_time(key: &str) {
    let upstream = Upstream::play(|mut peer| {
        let _ = peer.receive_message(true);
        peer.receive_rest();
    });
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    // One under way has the limits that it began with: none.
    let mut first = Peer::connect(sidecar.running.listen);
    first.send(request("first", "", b"{}"));
    sidecar.status_when(|status| status["traffic"]["active_requests"] == 1);
    sidecar.reload_with(&[QUIET, (key, "50ms")]);
    until(|| sidecar.send("a", "", b"{}").status(), |status| *status == 504);
    assert_eq!(sidecar.status()["traffic"]["active_requests"], 1);
    first.close();
    sidecar.end();
}

/// The kernel takes the connection; nobody shakes hands.
pub(super) fn connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let sidecar = Sidecar::before_https(
        silent.local_addr().unwrap(),
        &[QUIET, ("upstream.connect_timeout", "1h")],
    );
    sidecar.reload_with(&[QUIET, ("upstream.connect_timeout", "50ms")]);
    let answer = sidecar.send("a", "", b"{}");
    assert_eq!(answer.status(), 504);
    assert!(answer.text().contains("upstream_connect_timeout"), "{}", answer.text());
    sidecar.end();
}

/// Connections to the model are kept; then each request has one of its own.
pub(super) fn kept(key: &str, value: &str) {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    let opened_by = |requests: usize| {
        let before = upstream.connections();
        (0..requests).for_each(|_| drop(sidecar.predict("a", &[1.0])));
        upstream.connections() - before
    };
    opened_by(1);
    // Beside those of the requests there are those that only look whether it is there.
    until(|| opened_by(20), |opened| *opened <= 2);
    sidecar.reload_with(&[QUIET, (key, value)]);
    let since = Instant::now();
    while opened_by(1) == 0 {
        assert!(since.elapsed() < PATIENCE, "{key}");
        // It is looked at about once a second.
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    sidecar.end();
}

pub(super) fn protocol() {
    let (told, hearing) = std::sync::mpsc::sync_channel(100);
    let witness = Witness::playing(move |raw| {
        let head = raw.hear(|bytes, _| (bytes.len() >= 8).then(|| (bytes[..8].to_vec(), 8)));
        let _ = told.try_send(head.unwrap_or_default());
    });
    let sidecar = Sidecar::before(witness.address, &[QUIET, ("upstream.protocol", "http1")]);
    let seen = || {
        sidecar.send("a", "", b"{}");
        until(|| hearing.recv_timeout(PATIENCE).unwrap(), |head| !head.is_empty())
    };
    assert_eq!(seen(), b"POST /v1");
    sidecar.reload_with(&[QUIET, ("upstream.protocol", "http2")]);
    until(seen, |head| head == b"PRI * HT");
    sidecar.end();
}

pub(super) fn max_connections() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    let _kept = {
        let mut peer = Peer::connect(sidecar.running.listen);
        peer.send(request("a", "", b"{}")).receive();
        peer
    };
    let next = || exchange(sidecar.running.listen, &request("b", "", b"{}")).status();
    assert_eq!(next(), 200);
    sidecar.reload_with(&[QUIET, ("client.max_connections", "1")]);
    assert_eq!(next(), 503);
    sidecar.reload_with(&[QUIET]);
    until(next, |status| *status == 200);
    sidecar.end();
}

/// A head with five fields and two kilobytes.
pub(super) fn head(key: &str, value: &str, refused: u16) {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    let long = format!("\r\nx-long: {}", "a".repeat(2048));
    assert_eq!(sidecar.send("a", &long, b"{}").status(), 200);
    sidecar.reload_with(&[QUIET, (key, value)]);
    until(|| sidecar.send("a", &long, b"{}").status(), |status| *status == refused);
    sidecar.end();
}

/// Says `start` and no more.
pub(super) fn silent(key: &str, start: &str, told: u16) {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET, (key, "1h")]);
    sidecar.reload_with(&[QUIET, (key, "10ms")]);
    until(
        || {
            let mut peer = Peer::connect(sidecar.running.listen);
            peer.send(start);
            peer.receive().status()
        },
        |status| *status == told,
    );
    sidecar.end();
}

pub(super) fn idle_client() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.reload_with(&[QUIET, ("client.idle_timeout", "10ms")]);
    let mut peer = Peer::connect(sidecar.running.listen);
    peer.send(request("a", "", b"{}")).receive();
    assert_eq!(peer.receive_message(true), Err(Broken::Closed));
    sidecar.end();
}

/// What a connection of HTTP/2 is told in the first frame.
pub(super) fn max_streams() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    let told = || {
        let mut connection = Connection::over(Raw::connect(sidecar.running.listen).patient());
        let settings = loop {
            let frame = connection.hear().unwrap();
            if frame.kind == SETTINGS && !frame.payload.is_empty() {
                break frame.payload;
            }
        };
        let mut settings = settings.chunks(6);
        let setting = settings.find(|s| u16::from_be_bytes([s[0], s[1]]) == MAX_CONCURRENT_STREAMS);
        setting.map(|s| u32::from_be_bytes([s[2], s[3], s[4], s[5]]))
    };
    assert_eq!(told(), Some(256));
    sidecar.reload_with(&[QUIET, ("client.max_streams", "7")]);
    until(told, |streams| *streams == Some(7));
    sidecar.end();
}
