//! What passes unchanged over HTTP/1.1.

use crate::support::sidecar::before;
use crate::support::wire::{Message, Peer, Upstream, chunked, noise, sized};
use std::sync::{Arc, Mutex};

const SIZES: [usize; 4] = [0, 1, 64 * 1024, 5 * 1024 * 1024];

#[test]
fn bodies_of_every_size_and_framing_come_back_as_they_went() {
    let upstream = Upstream::echo();
    let sidecar = before(upstream.address).start();
    let mut direct = Peer::connect(upstream.address);
    let mut proxied = sidecar.client();
    for size in SIZES {
        let body = noise(size);
        let head = "POST /invocations HTTP/1.1\r\nhost: model\r\nx-request-id: r";
        for request in [sized(head, &body), chunked(head, &body, 7777)] {
            let expected = direct.send(&request).receive();
            let got = proxied.send(&request).receive();
            assert_eq!(got.body, body, "{size}");
            assert_eq!(got.head, format!("{}\r\nx-request-id: r", expected.head), "{size}");
        }
    }
    assert_eq!(upstream.connections(), 2, "one direct, one kept alive by the sidecar");
    assert_eq!(sidecar.stop().exchanges.len(), 8);
}

#[test]
fn fields_keep_their_order_and_doubles_both_ways() {
    let seen = Arc::new(Mutex::new(None::<Message>));
    let keep = Arc::clone(&seen);
    let upstream = Upstream::answering(move |request| {
        *keep.lock().unwrap() = Some(request.clone());
        sized(
            "HTTP/1.1 200 OK\r\nz: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nconnection: keep-alive, x-hop\r\nx-hop: gone\r\na: 2",
            b"",
        )
    });
    let sidecar = before(upstream.address).start();
    let request = "GET /p%20q//../x?a=b&&c=%2F HTTP/1.1\r\nHost: model\r\nZ: 1\r\nConnection: keep-alive, X-Hop\r\nA: 2\r\nx_odd.name!: 3\r\nX-Hop: gone\r\nZ: 4\r\nCookie: s\r\nX-Request-Id: r\r\n\r\n";
    let response = sidecar.client().send(request).receive();
    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!(seen.start_line(), "GET /p%20q//../x?a=b&&c=%2F HTTP/1.1");
    let expected = [
        ("host", "model"),
        ("z", "1"),
        ("a", "2"),
        ("x_odd.name!", "3"),
        ("z", "4"),
        ("cookie", "s"),
        ("x-request-id", "r"),
    ];
    assert_eq!(seen.fields(), expected.map(|(name, value)| (name.to_owned(), value)));
    let expected = [
        ("z", "1"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("a", "2"),
        ("content-length", "0"),
        ("x-request-id", "r"),
    ];
    assert_eq!(response.fields(), expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn names_of_fields_keep_their_letters_both_ways() {
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&seen);
    let upstream = Upstream::answering(move |request| {
        keep.lock().unwrap().clone_from(&request.head);
        sized("HTTP/1.1 200 OK\r\nX-ReQuEsT-Cost: 1\r\nContent-Type: text/plain", b"ok")
    });
    let sidecar = before(upstream.address).start();
    let request =
        "GET / HTTP/1.1\r\nHost: model\r\nX-TENANT: a\r\nx-Tenant: b\r\nX-Request-ID: r\r\n\r\n";
    let response = sidecar.client().send(request).receive();
    let seen = seen.lock().unwrap();
    for field in ["Host: model", "X-TENANT: a", "x-Tenant: b", "X-Request-ID: r"] {
        assert!(seen.contains(field), "{seen}");
    }
    for field in ["X-ReQuEsT-Cost: 1", "Content-Type: text/plain"] {
        assert!(response.head.contains(field), "{}", response.head);
    }
}

#[test]
fn unknown_methods_and_odd_reason_phrases_pass() {
    let upstream = Upstream::answering(|request| {
        assert!(request.head.starts_with("BREW /pot HTTP/1.1"));
        sized("HTTP/1.1 299 Rather Fine", b"tea")
    });
    let sidecar = before(upstream.address).start();
    let response = sidecar.client().send("BREW /pot HTTP/1.1\r\nhost: m\r\n\r\n").receive();
    assert_eq!((response.start_line(), &*response.body), ("HTTP/1.1 299 Rather Fine", &b"tea"[..]));
}

#[test]
fn answers_without_a_body_keep_their_length_field() {
    let upstream = Upstream::answering(|request| {
        let status = request.start_line().split(' ').nth(1).unwrap().trim_start_matches('/');
        let length = if status == "204" { "" } else { "content-length: 42\r\n" };
        format!("HTTP/1.1 {status} X\r\n{length}etag: \"e\"\r\n\r\n").into_bytes()
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    for (method, status, length) in [
        ("HEAD", 200, Some("42")),
        ("GET", 204, None),
        ("GET", 304, Some("42")),
        ("HEAD", 200, Some("42")),
    ] {
        client.send(format!("{method} /{status} HTTP/1.1\r\nhost: m\r\n\r\n"));
        let answer = client.receive_message(false).unwrap();
        assert_eq!((answer.status(), answer.field("content-length")), (status, length), "{method}");
        assert_eq!(answer.field("transfer-encoding"), None);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn trailers_pass_both_ways() {
    let upstream = Upstream::answering(|request| {
        assert_eq!(request.trailers, "checksum: 1");
        assert_eq!(request.field("te"), Some("trailers"));
        b"HTTP/1.1 200 OK\r\ntrailer: digest\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ndigest: 2\r\n\r\n".to_vec()
    });
    let sidecar = before(upstream.address).start();
    let response = sidecar
        .client()
        .send("POST / HTTP/1.1\r\nhost: m\r\nte: trailers\r\nconnection: te\r\ntrailer: checksum\r\ntransfer-encoding: chunked\r\n\r\n")
        .send("3\r\nabc\r\n0\r\nchecksum: 1\r\n\r\n")
        .receive();
    assert_eq!((response.text().as_str(), response.trailers.as_str()), ("ok", "digest: 2"));
}

#[test]
fn a_frame_arrives_the_moment_it_was_sent() {
    let upstream = Upstream::play(|mut peer| {
        peer.receive_message(true).unwrap();
        peer.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
        peer.send("9\r\ndata: 1\n\n\r\n");
        // No more comes until the client has left: nothing may wait for more.
        drop(peer.receive_rest());
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    client.send("POST / HTTP/1.1\r\nhost: m\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    drop(client.receive_head().unwrap());
    assert_eq!(client.receive_exactly(14).unwrap(), b"9\r\ndata: 1\n\n\r\n");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::echo();
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    for body in ["one", "two", "three"] {
        client.send(sized("POST / HTTP/1.1\r\nhost: m", body.as_bytes()));
    }
    let answers: Vec<_> = (0..3).map(|_| client.receive().text()).collect();
    assert_eq!(answers, ["one", "two", "three"]);
}

#[test]
fn a_client_of_http_1_0_gets_an_answer_it_can_read() {
    let upstream = Upstream::answering(|request| {
        assert!(request.field("host").is_some());
        chunked("HTTP/1.1 200 OK", b"whole", 2)
    });
    let sidecar = before(upstream.address).start();
    let response = sidecar.client().send("GET / HTTP/1.0\r\n\r\n").receive();
    assert_eq!(response.field("transfer-encoding"), None);
    assert_eq!(response.text(), "whole");
}

#[test]
fn an_answer_that_ends_with_the_connection_is_passed_whole() {
    let upstream = Upstream::play(|mut peer| {
        peer.receive_message(true).unwrap();
        peer.send("HTTP/1.1 200 OK\r\n\r\n").send(noise(100_000)).close();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    let request = "GET / HTTP/1.1\r\nhost: m\r\n\r\n";
    assert_eq!(client.send(request).receive().body, noise(100_000));
    assert_eq!(client.send(request).receive().body, noise(100_000));
}

#[test]
fn the_base_path_goes_before_the_requests() {
    let upstream =
        Upstream::answering(|request| sized("HTTP/1.1 200 OK", request.start_line().as_bytes()));
    let sidecar = before(upstream.address)
        .upstream(|upstream| upstream.base_path = "/models/".parse().unwrap())
        .start();
    let response = sidecar.client().send("GET /a?b HTTP/1.1\r\nhost: m\r\n\r\n").receive();
    assert_eq!(response.text(), "GET /models/a?b HTTP/1.1");
}

#[test]
fn an_early_answer_passes_while_the_request_still_flows() {
    let upstream = Upstream::play(|mut peer| {
        drop(peer.receive_head().unwrap());
        peer.send(sized("HTTP/1.1 413 Too Large", b"no"));
        // The rest of the request may still come, or not.
        drop(peer.receive_rest());
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    client.send("POST / HTTP/1.1\r\nhost: m\r\ncontent-length: 1000000\r\n\r\nabc");
    assert_eq!(client.receive().status(), 413);
}

#[test]
fn a_slow_reader_holds_its_upstream_back() {
    let (report, sent) = std::sync::mpsc::sync_channel(1);
    let upstream = Upstream::play(move |mut peer| {
        peer.receive_message(true).unwrap();
        let length = 512 << 20;
        peer.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"));
        report.send(peer.send_until_blocked(&noise(1 << 20), length)).unwrap();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    client.send("GET / HTTP/1.1\r\nhost: m\r\n\r\n");
    // Kernel buffers on two connections and ours: far below the body.
    let sent = sent.recv().unwrap();
    assert!(sent < 256 << 20, "{sent}");
}

#[test]
fn an_upstream_that_does_not_read_holds_its_client_back() {
    let upstream = Upstream::play(|mut peer| {
        drop(peer.receive_head().unwrap());
        std::thread::park();
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    let length = 512 << 20;
    client.send(format!("POST / HTTP/1.1\r\nhost: m\r\ncontent-length: {length}\r\n\r\n"));
    assert!(client.send_until_blocked(&noise(1 << 20), length) < 256 << 20);
}

const EXPECTANT: &str =
    "POST / HTTP/1.1\r\nhost: m\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";

#[test]
fn the_upstream_decides_whether_a_client_is_to_continue() {
    let upstream = Upstream::play(|mut peer| {
        assert!(peer.receive_head().unwrap().contains("expect: 100-continue"));
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = peer.receive_exactly(4).unwrap();
        peer.send(sized("HTTP/1.1 200 OK", &body));
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    assert_eq!(client.send(EXPECTANT).receive_head().unwrap(), "HTTP/1.1 100 Continue");
    assert_eq!(client.send("body").receive().text(), "body");
}

#[test]
fn a_client_that_is_refused_never_hears_continue() {
    let upstream = Upstream::play(|mut peer| {
        drop(peer.receive_head().unwrap());
        peer.send(sized("HTTP/1.1 417 No", b"no"));
        // Not a byte of the body.
        peer.expect_closed();
    });
    let sidecar = before(upstream.address).start();
    let response = sidecar.client().send(EXPECTANT).receive();
    assert_eq!((response.status(), response.text().as_str()), (417, "no"));
}

#[test]
fn an_upstream_that_knows_no_continue_still_gets_the_body() {
    let upstream = Upstream::echo();
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    client.send(EXPECTANT).send("body");
    let mut response = client.receive_message(false).unwrap();
    if response.status() == 100 {
        response = client.receive();
    }
    assert_eq!(response.status(), 200);
}
