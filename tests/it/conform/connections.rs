//! How long a client's connection lives, and that what is asked on it one after another is answered
//! in that order (RFC 9112 section 9).

use super::stop;
use crate::support::cases::check;
use crate::support::raw::{End, Raw};
use crate::support::sidecar::{PATIENCE, before};
use crate::support::witness::{OK, Witness, closed, response, response_to};
use std::sync::{Mutex, mpsc};

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

#[test]
fn a_connection_is_kept_or_closed_as_the_client_has_it() {
    let cases = [
        ("HTTP/1.1", "GET / HTTP/1.1\r\nHost: m\r\n\r\n", true),
        ("HTTP/1.1 close", "GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n", false),
        ("HTTP/1.1 Close", "GET / HTTP/1.1\r\nHost: m\r\nConnection: CLOSE\r\n\r\n", false),
        (
            "HTTP/1.1 both",
            "GET / HTTP/1.1\r\nHost: m\r\nConnection: keep-alive, close\r\n\r\n",
            false,
        ),
        (
            "HTTP/1.1 keep-alive",
            "GET / HTTP/1.1\r\nHost: m\r\nConnection: keep-alive\r\n\r\n",
            true,
        ),
        ("HTTP/1.0", "GET / HTTP/1.0\r\nHost: m\r\n\r\n", false),
        ("HTTP/1.0 close", "GET / HTTP/1.0\r\nHost: m\r\nConnection: close\r\n\r\n", false),
        (
            "HTTP/1.0 keep-alive",
            "GET / HTTP/1.0\r\nHost: m\r\nConnection: keep-alive\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.0 Keep-Alive",
            "GET / HTTP/1.0\r\nHost: m\r\nConnection: Keep-Alive\r\n\r\n",
            true,
        ),
    ]
    .map(|(name, request, is_kept)| (name.to_owned(), (request, is_kept)));
    check(&cases, |(request, is_kept)| {
        let witness = Witness::agreeing();
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        let first = response(client.say(request))?;
        let said = first.field("connection").unwrap_or("").to_lowercase();
        if first.status() != 200 || first.body != b"ok" {
            return Err(format!("{first:?}"));
        }
        if !is_kept {
            closed(&mut client)?;
            let is_told = said == "close" || request.contains("HTTP/1.0");
            return if is_told { Ok(()) } else { Err(format!("closed, but Connection: {said:?}")) };
        }
        if said == "close" || request.contains("HTTP/1.0") && said != "keep-alive" {
            return Err(format!("Connection: {said:?}"));
        }
        response(client.say(request)).map(drop)
    });
}

#[test]
fn a_client_of_http_1_0_never_gets_chunks() {
    for keep in ["", "Connection: keep-alive\r\n"] {
        let witness = Witness::answering(|_| CHUNKED.to_vec());
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        client.say(format!("GET / HTTP/1.0\r\nHost: m\r\n{keep}\r\n"));
        let answer = response(&mut client).unwrap();
        assert_eq!((answer.field("transfer-encoding"), &*answer.body), (None, &b"ok"[..]));
        assert_ne!(answer.field("connection"), Some("keep-alive"));
    }
}

#[test]
fn an_upstream_that_closes_does_not_close_the_client() {
    let witness = Witness::playing(|raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").finish();
        drop(raw.hear_all());
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    for _ in 0..3 {
        let answer = response(client.say("GET / HTTP/1.1\r\nHost: m\r\n\r\n")).unwrap();
        assert_eq!((answer.status(), answer.field("connection")), (200, None));
    }
    drop(client);
    stop(sidecar);
    assert_eq!(witness.finish().whole.len(), 3);
}

#[test]
fn pipelined_requests_are_answered_in_order_though_the_first_is_slow() {
    let (release, released) = mpsc::sync_channel::<()>(1);
    let released = Mutex::new(released);
    let witness = Witness::answering(move |request| {
        if request.start.contains("/slow") {
            released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        let target = request.start.split(' ').nth(1).unwrap();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()).into_bytes()
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    for target in ["/slow", "/b", "/c"] {
        client.say(format!("GET {target} HTTP/1.1\r\nHost: m\r\n\r\n"));
    }
    // Whoever asks meanwhile on another connection is not held up.
    let other = response(Raw::connect(sidecar.address).say(super::PROBE)).unwrap();
    assert_eq!(other.body, b"/probe");
    release.send(()).unwrap();
    let bodies: Vec<_> = (0..3).map(|_| response(&mut client).unwrap().body).collect();
    assert_eq!(bodies, [b"/slow".to_vec(), b"/b".to_vec(), b"/c".to_vec()]);
}

#[test]
fn pipelined_requests_of_every_shape_in_one_write_are_answered_in_order() {
    let witness = Witness::answering(|request| match request.start.split(' ').next() {
        Some("HEAD") => b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n".to_vec(),
        Some("DELETE") => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        Some("POST") => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
            [head.as_bytes(), &request.body].concat()
        }
        _ => CHUNKED.to_vec(),
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    let requests = [
        ("POST", "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\n\r\nsized"),
        ("HEAD", "HEAD / HTTP/1.1\r\nHost: m\r\n\r\n"),
        ("GET", "GET / HTTP/1.1\r\nHost: m\r\n\r\n"),
        (
            "POST",
            "POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nchunk\r\n0\r\n\r\n",
        ),
        ("DELETE", "DELETE / HTTP/1.1\r\nHost: m\r\n\r\n"),
        ("POST", "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 0\r\n\r\n"),
        ("GET", "GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n"),
        ("none", "GET /late HTTP/1.1\r\nHost: m\r\n\r\n"),
    ];
    client.say(requests.map(|(_, request)| request).concat());
    let methods = requests.iter().map(|(method, _)| *method).take(7);
    let answers = methods.map(|method| response_to(method, &mut client).unwrap());
    let seen: Vec<_> = answers.map(|answer| (answer.status(), answer.body)).collect();
    let expected =
        [(200, "sized"), (200, ""), (200, "ok"), (200, "chunk"), (204, ""), (200, ""), (200, "ok")];
    assert_eq!(seen, expected.map(|(status, body)| (status, body.as_bytes().to_vec())));
    // What came behind the one that closes is thrown away, perhaps by a reset.
    assert!(matches!(client.hear_all(), (bytes, End::Closed | End::Reset) if bytes.is_empty()));
    stop(sidecar);
    assert!(witness.finish().whole.iter().all(|request| !request.start.contains("/late")));
}

#[test]
fn a_bad_request_behind_a_good_one_is_refused_in_its_turn() {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    client.say("GET /1 HTTP/1.1\r\nHost: m\r\n\r\nGET /2 HTTP/1.1\r\nHost : m\r\n\r\n");
    assert_eq!(response(&mut client).unwrap().status(), 200);
    assert_eq!(response(&mut client).unwrap().status(), 400);
    closed(&mut client).unwrap();
    stop(sidecar);
    assert_eq!(witness.finish().whole.len(), 1);
}

#[test]
fn a_request_may_come_in_single_bytes() {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    let request = "POST /a HTTP/1.1\r\nHost: m\r\nX-Request-Id: r\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nX: y\r\n\r\n";
    for byte in request.as_bytes() {
        client.say([*byte]);
    }
    assert_eq!(response(&mut client).unwrap().body, b"ok");
    drop(client);
    stop(sidecar);
    let seen = witness.finish();
    assert_eq!((seen.whole.len(), &*seen.whole[0].body), (1, &b"abc"[..]));
}

#[test]
fn an_answer_may_come_in_single_bytes() {
    for said in [OK, CHUNKED] {
        let witness = Witness::playing(move |raw| {
            drop(raw.hear_through("\r\n\r\n"));
            for byte in said {
                raw.say([*byte]);
            }
            drop(raw.hear_all());
        });
        let sidecar = before(witness.address).start();
        let answer = response(Raw::connect(sidecar.address).say(super::PROBE)).unwrap();
        assert_eq!((answer.status(), &*answer.body), (200, &b"ok"[..]));
    }
}
