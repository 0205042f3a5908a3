//! `upstream.protocol: auto`: an upstream is asked in the client's own version, and in the other one
//! if that is all it understands.

use crate::support::cases::check;
use crate::support::frames::{
    self, Connection, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, WHOLE, block, frame, request,
};
use crate::support::h2::{self, client, run, streamed_with_trailer, whole, with_trailer};
use crate::support::raw::Raw;
use crate::support::sidecar::{PATIENCE, Sidecar, before};
use crate::support::wire::{noise, sized};
use crate::support::witness::{OK, Witness, response};
use http_body_util::BodyExt;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use taffrail::capture::Fault;

const GET: &str = "GET / HTTP/1.1\r\nHost: m\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);

fn http1(sidecar: &Sidecar) -> Result<u16, String> {
    response(Raw::connect(sidecar.address).say(GET)).map(|answer| answer.status())
}

fn http2(sidecar: &Sidecar) -> Result<u16, String> {
    let mut client = Connection::open(sidecar.address);
    client.say(frame(HEADERS, WHOLE, 1, request("GET", &[])));
    match client.outcome(1) {
        Outcome::Answered(status) => Ok(status),
        other => Err(format!("{other:?}")),
    }
}

/// Says `refusal` to the preface of HTTP/2, and answers requests of HTTP/1.1.
fn only_http1(refusal: &'static str) -> Witness {
    Witness::playing(move |raw| {
        while let Ok(head) = raw.hear_through("\r\n\r\n") {
            if head.starts_with(b"PRI") {
                raw.say(refusal);
                return;
            }
            if !head.starts_with(b"GET") {
                raw.hear_through("checksum: 1\r\n\r\n").unwrap();
            }
            raw.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n0\r\nDigest: 2\r\n\r\n");
        }
    })
}

#[test]
fn an_upstream_of_http_1_answers_clients_of_http_2_from_the_first_request_on() {
    let refusals = [
        ("a version that is not supported", "HTTP/1.1 505 No\r\nConnection: close\r\n\r\n"),
        ("a bad request", "HTTP/1.0 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad"),
        ("text without a head", "<!DOCTYPE HTML>\n<html lang=\"en\"></html>"),
        ("less than a frame", "No"),
        ("nothing", ""),
    ];
    let cases = refusals.map(|(name, refusal)| (name.to_owned(), refusal));
    check(&cases, |refusal| {
        let witness = only_http1(refusal);
        let sidecar = before(witness.address).start();
        for _ in 0..3 {
            let (status, body, digest) = run(async {
                let mut client = client(sidecar.address).await;
                let body = streamed_with_trailer(b"question", "checksum", "1");
                let request = http::Request::post("http://m/").header("te", "trailers");
                let request = request.header("trailer", "checksum").body(body).unwrap();
                let answer = client.send_request(request).await.unwrap();
                let status = answer.status().as_u16();
                let body = answer.into_body().collect().await.unwrap();
                let digest = body.trailers().and_then(|trailers| trailers.get("digest")).cloned();
                (status, body.to_bytes(), digest)
            });
            if (status, &*body) != (200, b"answer") || digest.as_ref().is_none_or(|d| d != "2") {
                return Err(format!("{status} {body:?} {digest:?}"));
            }
            if http1(&sidecar)? != 200 {
                return Err("HTTP/1.1 is refused".into());
            }
        }
        let faults: Vec<_> = sidecar.stop().exchanges.iter().filter_map(|e| e.fault).collect();
        if faults.is_empty() { Ok(()) } else { Err(format!("{faults:?}")) }
    });
}

#[test]
fn an_upstream_that_has_said_so_is_asked_over_http_1_at_once() {
    let witness = only_http1("HTTP/1.1 505 No\r\n\r\n");
    let sidecar = before(witness.address).start();
    (0..5).for_each(|_| assert_eq!(http2(&sidecar), Ok(200)));
    drop(sidecar.stop());
    let heard = witness.finish_bytes();
    let prefaces = heard.iter().filter(|bytes| bytes.starts_with(b"PRI")).count();
    assert_eq!(prefaces, 1);
}

/// An upstream that speaks HTTP/2 only, and echoes with trailers.
fn echo_over_http2() -> SocketAddr {
    h2::upstream(|head, body, trailers| {
        assert_eq!(head.uri.authority().unwrap(), "m");
        assert!(trailers.is_none_or(|trailers| trailers["checksum"] == "1"));
        match &body[..] {
            b"" => http::Response::new(with_trailer(b"answer", "digest", "2")),
            _ => http::Response::new(whole(body)),
        }
    })
}

#[test]
fn an_upstream_of_http_2_answers_clients_of_http_1_from_the_first_request_on() {
    let small = sized("POST / HTTP/1.1\r\nHost: m", b"question");
    let chunked = b"POST / HTTP/1.1\r\nHost: m\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nquestion\r\n0\r\nchecksum: 1\r\n\r\n".to_vec();
    let firsts = [("GET", GET.into()), ("POST", small), ("POST in chunks", chunked)];
    let cases = firsts.map(|(name, first)| (name.to_owned(), first));
    check(&cases, |first| {
        let sidecar = before(echo_over_http2()).start();
        let mut client = Raw::connect(sidecar.address);
        for request in [first, first] {
            let answer = response(client.say(request))?;
            let expected: &[u8] = if first.starts_with(b"GET") { b"answer" } else { b"question" };
            if (answer.status(), &*answer.body) != (200, expected) {
                return Err(format!("{answer:?}"));
            }
        }
        if http2(&sidecar)? == 200 { Ok(()) } else { Err("HTTP/2 is refused".into()) }
    });
}

/// More than is kept for a second time: that one may fail, and no other.
#[test]
fn a_first_body_too_large_to_repeat_teaches_the_sidecar_all_the_same() {
    let sidecar = before(echo_over_http2()).start();
    let body = noise(3 << 20);
    let large = sized("POST / HTTP/1.1\r\nHost: m\r\nConnection: close", &body);
    let first = response(Raw::connect(sidecar.address).patient().say(&large)).unwrap();
    assert!([200, 502].contains(&first.status()), "{first:?}");
    let second = response(Raw::connect(sidecar.address).patient().say(&large)).unwrap();
    assert_eq!(second.status(), 200);
    assert!(second.body == body);
}

#[test]
fn the_first_client_does_not_decide_for_the_others() {
    type Ask = fn(&Sidecar) -> Result<u16, String>;
    let orders: [(&str, [Ask; 4]); 2] = [
        ("HTTP/1.1 first", [http1, http2, http1, http2]),
        ("HTTP/2 first", [http2, http1, http2, http1]),
    ];
    for (name, order) in orders {
        let sidecar = before(echo_over_http2()).start();
        for ask in order {
            assert_eq!(ask(&sidecar), Ok(200), "HTTP/2 only, {name}");
        }
        let witness = only_http1("HTTP/1.1 400 No\r\n\r\n");
        let sidecar = before(witness.address).start();
        for ask in order {
            assert_eq!(ask(&sidecar), Ok(200), "HTTP/1.1 only, {name}");
        }
    }
}

/// Plays each connection by what it begins with.
fn either(raw: &mut Raw) {
    let _ = raw.hear(|bytes, _| (bytes.len() > 3).then_some(((), 0)));
    if raw.unread().starts_with(b"PRI") {
        return frames::agree(raw);
    }
    while raw.hear_through("\r\n\r\n").is_ok() {
        raw.say(OK);
    }
}

#[test]
fn an_upstream_that_speaks_both_is_asked_in_the_clients_version() {
    let witness = Witness::playing(either);
    let sidecar = before(witness.address).start();
    for ask in [http1, http2, http2, http1] {
        assert_eq!(ask(&sidecar), Ok(200));
    }
    drop(sidecar.stop());
    let heard = witness.finish_bytes();
    let requests = |bytes: &Vec<u8>| {
        let over_http1 = bytes.windows(4).filter(|window| window == b"GET ").count();
        let frames = frames::frames(bytes);
        let over_http2 = frames.iter().filter(|frame| frame.kind == HEADERS).count();
        if bytes.starts_with(b"PRI") { (0, over_http2) } else { (over_http1, 0) }
    };
    let mut seen: Vec<_> = heard.iter().map(requests).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(0, 2), (2, 0)]);
}

/// As a deployment does that replaces the server behind one address.
#[test]
fn an_upstream_that_changes_its_version_is_learned_anew() {
    let speaks_http2 = Arc::new(AtomicBool::new(true));
    let now = Arc::clone(&speaks_http2);
    let witness = Witness::playing(move |raw| {
        let _ = raw.hear(|bytes, _| (bytes.len() > 3).then_some(((), 0)));
        match (raw.unread().starts_with(b"PRI"), now.load(Ordering::SeqCst)) {
            (true, true) => {
                // One exchange, and then it is replaced.
                let mut connection = Connection::accept(raw);
                while let Ok(heard) = connection.next() {
                    if heard.kind == HEADERS {
                        connection.say(frame(HEADERS, WHOLE, heard.stream, [0x88]));
                        break;
                    }
                }
            }
            (false, false) => {
                drop(raw.hear_through("\r\n\r\n"));
                raw.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
            (false, true) => drop(raw.say(frame(frames::SETTINGS, 0, 0, []))),
            (true, false) => drop(raw.say("HTTP/1.1 400 No\r\n\r\n")),
        }
    });
    let sidecar = before(witness.address).start();
    for is_http2 in [true, false, true, false] {
        speaks_http2.store(is_http2, Ordering::SeqCst);
        for ask in [http1, http2] {
            // A connection of before may not know yet that it was closed.
            let since = Instant::now();
            while ask(&sidecar) != Ok(200) {
                assert!(since.elapsed() < PATIENCE, "HTTP/2: {is_http2}");
            }
        }
    }
}

#[test]
fn streams_that_wait_for_one_connection_do_not_add_up_their_waits() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let sidecar = before(silent.local_addr().unwrap())
        .upstream(|upstream| upstream.connect_timeout = SECOND)
        .start();
    let since = Instant::now();
    let mut client = Connection::over(Raw::connect(sidecar.address).patient());
    let streams = (0..8).map(|at| 2 * at + 1);
    for stream in streams.clone() {
        client.say(frame(HEADERS, WHOLE, stream, request("GET", &[])));
    }
    let mut statuses = Vec::new();
    while statuses.len() < streams.len() {
        let heard = client.next().unwrap();
        if heard.kind == HEADERS {
            statuses.push(frames::status(&heard.payload));
        }
    }
    assert_eq!(statuses, [504; 8]);
    assert!(since.elapsed() < 5 * SECOND, "{:?}", since.elapsed());
    drop(client);
    assert_eq!(sidecar.stop().count_of(Fault::UpstreamConnectTimeout), 8);
}

/// Reports the connections that the sidecar closes, and answers streams until then.
fn reporting() -> (Witness, mpsc::Receiver<()>) {
    let (closed, closing) = mpsc::sync_channel(10);
    let witness = Witness::playing(move |raw| {
        either(raw);
        closed.send(()).unwrap();
    });
    (witness, closing)
}

#[test]
fn a_connection_of_either_version_that_idles_is_closed_and_another_made() {
    for ask in [http1, http2] {
        let (witness, closing) = reporting();
        let sidecar =
            before(witness.address).upstream(|upstream| upstream.idle_timeout = SECOND).start();
        for _ in 0..2 {
            assert_eq!(ask(&sidecar), Ok(200));
            closing.recv_timeout(PATIENCE).unwrap();
        }
    }
}

#[test]
fn a_connection_of_either_version_is_replaced_at_its_age_though_it_is_used() {
    for ask in [http1, http2] {
        let (witness, closing) = reporting();
        let sidecar = before(witness.address)
            .upstream(|upstream| upstream.max_connection_age = Some(SECOND))
            .start();
        let since = Instant::now();
        for _ in 0..2 {
            while closing.try_recv().is_err() {
                assert_eq!(ask(&sidecar), Ok(200));
                assert!(since.elapsed() < PATIENCE);
            }
        }
        assert!(since.elapsed() >= SECOND);
    }
}

/// Older than a connection may be, and longer than one may idle.
#[test]
fn a_stream_is_not_cut_by_the_age_of_its_connection() {
    let (begun, beginning) = mpsc::sync_channel(1);
    let (release, released) = mpsc::sync_channel::<()>(1);
    let released = Mutex::new(released);
    let witness = Witness::playing(move |raw| {
        let mut connection = Connection::accept(raw);
        while let Ok(heard) = connection.next() {
            if heard.kind != HEADERS {
                continue;
            }
            connection.say(frame(HEADERS, END_HEADERS, heard.stream, [0x88]));
            if heard.stream == 1 && begun.try_send(()).is_ok() {
                released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            }
            connection.say(frame(DATA, END_STREAM, heard.stream, "late"));
        }
    });
    let sidecar = before(witness.address)
        .upstream(|upstream| {
            upstream.idle_timeout = SECOND;
            upstream.max_connection_age = Some(SECOND);
        })
        .client(|client| client.idle_timeout = SECOND)
        .start();
    let mut client = Connection::over(Raw::connect(sidecar.address).patient());
    client.say(frame(HEADERS, WHOLE, 1, request("GET", &[])));
    beginning.recv_timeout(PATIENCE).unwrap();
    // Two connections that idle one after the other take longer than any of the limits.
    for _ in 0..2 {
        let mut idle = Connection::over(Raw::connect(sidecar.address).patient());
        idle.say(frame(HEADERS, WHOLE, 1, block(&[(":method", "BAD")])));
        while idle.next().is_ok() {}
    }
    release.send(()).unwrap();
    assert_eq!(client.outcome(1), Outcome::Answered(200));
}
