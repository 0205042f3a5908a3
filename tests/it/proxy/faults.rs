//! What a client sees when the model does not answer as it should, and what is recorded of it.

use crate::support::sidecar::{PATIENCE, before};
use crate::support::wire::{Broken, Peer, Upstream, sized};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;
use taffrail::capture::{BodyEnd, Fault};

const GET: &str = "GET /score HTTP/1.1\r\nhost: m\r\nx-request-id: r\r\n\r\n";

/// An address that was free a moment ago.
fn nobody() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

fn error_of(response: &crate::support::wire::Message) -> serde_json::Value {
    assert_eq!(response.field("content-type"), Some("application/json"));
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    body["error"].clone()
}

#[test]
fn an_upstream_that_is_down_is_502_and_says_why() {
    let address = nobody();
    let sidecar = before(address).start();
    for _ in 0..2 {
        let mut client = sidecar.client();
        let response = client.send(GET).receive();
        assert_eq!(response.status(), 502);
        // Another connection may lead to another sidecar, whose model is there.
        assert_eq!(response.field("connection"), Some("close"));
        client.expect_closed();
        let error = error_of(&response);
        assert_eq!(error["type"], "upstream_connect");
        assert_eq!(error["upstream"], address.to_string());
        assert_eq!(error["request_id"], "r");
        assert!(error["message"].as_str().unwrap().contains("refused"), "{error}");
    }
    let record = sidecar.stop();
    assert_eq!(record.exchanges.len(), 2);
    let exchange = &record.exchanges[0];
    assert_eq!(exchange.fault, Some(Fault::UpstreamConnect));
    assert_eq!(exchange.status.unwrap().as_u16(), 502);
    let series = &record.latency.requests[0];
    assert_eq!((series.duration.count(), series.outcome.fault), (2, exchange.fault));
}

#[test]
fn an_upstream_that_does_not_answer_in_time_is_504() {
    let upstream = Upstream::play(|mut peer| {
        peer.receive_message(true).unwrap();
        // Silent until the sidecar gives up, and then closed by it.
        peer.expect_closed();
    });
    let sidecar = before(upstream.address)
        .upstream(|upstream| upstream.response_timeout = Some(Duration::from_millis(50)))
        .start();
    let response = sidecar.client().send(GET).receive();
    assert_eq!(response.status(), 504);
    assert_eq!(error_of(&response)["type"], "upstream_response_timeout");
    assert_eq!(sidecar.stop().exchanges[0].fault, Some(Fault::UpstreamResponseTimeout));
}

#[test]
fn an_answer_that_is_not_http_is_502() {
    let upstream = Upstream::play(|mut peer| {
        peer.receive_message(true).unwrap();
        peer.send("SSH-2.0-OpenSSH_9.6\r\n\r\n");
        drop(peer.receive_rest());
    });
    let sidecar = before(upstream.address).start();
    let response = sidecar.client().send(GET).receive();
    assert_eq!(response.status(), 502);
    assert_eq!(error_of(&response)["type"], "upstream_protocol");
}

#[test]
fn a_cut_body_never_looks_whole() {
    for head in ["content-length: 100", "transfer-encoding: chunked"] {
        let upstream = Upstream::play(move |mut peer| {
            peer.receive_message(true).unwrap();
            peer.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nabcde\r\n")).close();
        });
        let sidecar = before(upstream.address).start();
        let cut = sidecar.client().send(GET).receive_message(true);
        assert_eq!(cut, Err(Broken::Cut), "{head}");
        let record = sidecar.stop();
        let exchange = &record.exchanges[0];
        assert_eq!(exchange.fault, Some(Fault::UpstreamBodyAborted));
        assert_eq!(exchange.response.body.end, BodyEnd::Aborted);
        assert!(record.latency.requests[0].outcome.is_error());
    }
}

#[test]
fn a_client_that_leaves_cancels_its_request() {
    let (report, closed) = mpsc::sync_channel(1);
    let upstream = Upstream::play(move |mut peer| {
        peer.receive_message(true).unwrap();
        report.send(()).unwrap();
        peer.expect_closed();
        report.send(()).unwrap();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    client.send(GET);
    closed.recv_timeout(PATIENCE).unwrap();
    client.close();
    closed.recv_timeout(PATIENCE).unwrap();
    let record = sidecar.stop();
    assert_eq!(record.exchanges[0].fault, Some(Fault::ClientGone));
    assert_eq!(record.exchanges[0].status, None);
    assert_eq!(record.latency.active_requests, 0);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_an_answer_cancels_it() {
    let (report, closed) = mpsc::sync_channel(1);
    let upstream = Upstream::play(move |mut peer| {
        peer.receive_message(true).unwrap();
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc");
        peer.expect_closed();
        report.send(()).unwrap();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    client.send(GET).receive_head().unwrap();
    client.close();
    closed.recv_timeout(PATIENCE).unwrap();
    let exchange = sidecar.stop().exchanges.remove(0);
    assert_eq!(exchange.fault, Some(Fault::ClientGone));
    assert_eq!(exchange.response.body.end, BodyEnd::Cancelled);
    assert_eq!(exchange.status.unwrap().as_u16(), 200);
}

#[test]
fn a_client_that_breaks_off_its_body_is_told_apart_from_the_model() {
    let (report, closed) = mpsc::sync_channel(1);
    let upstream = Upstream::play(move |mut peer| {
        drop(peer.receive_head().unwrap());
        report.send(()).unwrap();
        assert_eq!(peer.receive_rest(), b"abc");
        report.send(()).unwrap();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    client.send("POST /score HTTP/1.1\r\nhost: m\r\ncontent-length: 100\r\n\r\nabc");
    closed.recv_timeout(PATIENCE).unwrap();
    client.close();
    closed.recv_timeout(PATIENCE).unwrap();
    let exchange = sidecar.stop().exchanges.remove(0);
    assert!(
        matches!(exchange.fault, Some(Fault::ClientBodyAborted | Fault::ClientGone)),
        "{:?}",
        exchange.fault
    );
    assert_ne!(exchange.request.body.end, BodyEnd::Complete);
}

#[test]
fn the_probe_says_whether_anyone_listens() {
    use crate::support::h2::run;
    use taffrail::{config, proxy};
    let at = |address: SocketAddr| config::Upstream {
        authority: address.to_string().parse().unwrap(),
        base_path: "/".parse().unwrap(),
        tls: None,
        protocol: config::UpstreamProtocol::Auto,
        connect_timeout: PATIENCE,
        response_timeout: None,
        request_timeout: None,
        max_idle_connections: 1,
        idle_timeout: PATIENCE,
        max_connection_age: None,
    };
    let upstream = Upstream::answering(|_| sized("HTTP/1.1 200 OK", b""));
    assert!(run(proxy::upstream::probe(&at(upstream.address), None)).is_ok());
    let error = run(proxy::upstream::probe(&at(nobody()), None)).unwrap_err();
    assert_eq!(error.fault(), Fault::UpstreamConnect);
    drop(Peer::connect(upstream.address));
}

#[test]
fn a_client_that_breaks_off_while_its_answer_flows_resets_the_upstream() {
    let (report, closed) = mpsc::sync_channel(1);
    let upstream = Upstream::play(move |mut peer| {
        drop(peer.receive_head().unwrap());
        peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
        // The rest of the request never comes, and nor does an end that looks like one.
        assert_eq!(peer.receive_rest(), b"abc");
        report.send(()).unwrap();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    client.send("POST / HTTP/1.1\r\nhost: m\r\ncontent-length: 100\r\n\r\nabc");
    client.receive_head().unwrap();
    client.close();
    closed.recv_timeout(PATIENCE).unwrap();
    assert_eq!(sidecar.stop().exchanges[0].fault, Some(Fault::ClientBodyAborted));
}
