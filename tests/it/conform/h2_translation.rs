//! One version on the client's side and the other on the upstream's: what has a place in both
//! arrives in it (RFC 9113 section 8).

use super::stop;
use crate::support::cases::check;
use crate::support::frames::{
    Connection, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, WHOLE, block, frame,
};
use crate::support::h2;
use crate::support::message::{Fields, Message, request as parse};
use crate::support::raw::{End, Raw};
use crate::support::sidecar::{Setup, before};
use crate::support::wire::{chunked, noise, sized};
use crate::support::witness::{Witness, response, response_to};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use taffrail::config::UpstreamProtocol;

fn before_h1(address: SocketAddr) -> Setup {
    before(address).upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1)
}

fn before_h2(address: SocketAddr) -> Setup {
    before(address).upstream(|upstream| upstream.protocol = UpstreamProtocol::H2c)
}

/// Frames of stream 1, and what an upstream of HTTP/1.1 has to see of them.
fn down(said: &[u8]) -> Result<Message, String> {
    let witness = Witness::agreeing();
    let sidecar = before_h1(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    let outcome = client.say(said).outcome(1);
    drop(client);
    stop(sidecar);
    let mut seen = witness.finish();
    if outcome != Outcome::Answered(200) || seen.whole.len() != 1 || !seen.broken.is_empty() {
        return Err(format!("{outcome:?}, and the upstream saw {seen:?}"));
    }
    Ok(seen.whole.remove(0))
}

fn head<V: AsRef<[u8]>>(flags: u8, line: [&str; 2], more: &[(&str, V)]) -> Vec<u8> {
    let [method, path] = line;
    let pseudo =
        [(":method", method), (":scheme", "http"), (":path", path), (":authority", "m:80")];
    let fields = [block(&pseudo), block(&[("x-request-id", "r")]), block(more)].concat();
    frame(HEADERS, flags, 1, fields)
}

#[test]
fn a_head_over_http_2_is_written_as_one_of_http_1() {
    type Case<'a> = ([&'a str; 2], Vec<(&'a str, &'a [u8])>, &'a str, Vec<(&'a str, &'a str)>);
    let cases: Vec<Case<'_>> = vec![
        (["GET", "/"], vec![], "GET / HTTP/1.1", vec![]),
        (["HEAD", "/a?b"], vec![], "HEAD /a?b HTTP/1.1", vec![]),
        (["BREW", "/%2F//..?a=b?c"], vec![], "BREW /%2F//..?a=b?c HTTP/1.1", vec![]),
        (["GET", "/|{}^\"?|"], vec![], "GET /|{}^\"?| HTTP/1.1", vec![]),
        (["OPTIONS", "*"], vec![], "OPTIONS * HTTP/1.1", vec![]),
        (
            ["GET", "/"],
            vec![("b", b"1"), ("a", b"2"), ("b", b"3")],
            "GET / HTTP/1.1",
            // hyper keeps fields of one name together.
            vec![("b", "1"), ("b", "3"), ("a", "2")],
        ),
        (
            ["GET", "/"],
            vec![("x_y.z", b"a  b"), ("e", b"")],
            "GET / HTTP/1.1",
            vec![("x_y.z", "a  b"), ("e", "")],
        ),
        (["GET", "/"], vec![("x", b"\xe9\xff")], "GET / HTTP/1.1", vec![("x", "\u{e9}\u{ff}")]),
        (["GET", "/"], vec![("te", b"trailers")], "GET / HTTP/1.1", vec![("te", "trailers")]),
        (["GET", "/"], vec![("host", b"m:80")], "GET / HTTP/1.1", vec![]),
        (
            ["GET", "/"],
            vec![("cookie", b"a=1"), ("x", b"y"), ("cookie", b"b=2")],
            "GET / HTTP/1.1",
            vec![("cookie", "a=1; b=2"), ("x", "y")],
        ),
    ];
    let cases: Vec<_> =
        cases.into_iter().map(|case| (format!("{:?} {:?}", case.0, case.1), case)).collect();
    check(&cases, |(line, fields, start, expected)| {
        let seen = down(&head(WHOLE, *line, fields))?;
        let hosts = seen.all("host").join(",");
        let seen_fields = seen.clone().without(&["host", "x-request-id", "connection"]).fields;
        let expected: Fields = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        if seen.start == *start
            && hosts == "m:80"
            && seen_fields == expected
            && seen.body.is_empty()
        {
            return Ok(());
        }
        Err(format!("{seen:?}"))
    });
}

#[test]
fn a_body_over_http_2_is_framed_for_http_1() {
    let post = |fields: &[(&str, &str)]| head(END_HEADERS, ["POST", "/"], fields);
    let data = |flags, bytes: &str| frame(DATA, flags, 1, bytes);
    let trailers = |fields: &[(&str, &str)]| frame(HEADERS, WHOLE, 1, block(fields));
    let cases = [
        (
            "of a length",
            [post(&[("content-length", "3")]), data(END_STREAM, "abc")].concat(),
            "abc",
            "",
        ),
        ("of no length", [post(&[]), data(0, "ab"), data(END_STREAM, "c")].concat(), "abc", ""),
        ("that is empty", [post(&[]), data(END_STREAM, "")].concat(), "", ""),
        ("of length 0", [post(&[("content-length", "0")]), data(END_STREAM, "")].concat(), "", ""),
        (
            "with trailers",
            [post(&[]), data(0, "abc"), trailers(&[("x-b", "1"), ("x-a", "2")])].concat(),
            "abc",
            "x-b: 1, x-a: 2",
        ),
        ("of trailers alone", [post(&[]), trailers(&[("x", "1")])].concat(), "", "x: 1"),
        ("with empty trailers", [post(&[]), data(0, "abc"), trailers(&[])].concat(), "abc", ""),
        (
            "of a GET",
            [head::<&str>(END_HEADERS, ["GET", "/"], &[]), data(END_STREAM, "abc")].concat(),
            "abc",
            "",
        ),
    ]
    .map(|(name, said, body, trailers)| (name.to_owned(), (said, body, trailers)));
    check(&cases, |(said, body, trailers)| {
        let seen = down(said)?;
        let lines: Vec<_> =
            seen.trailers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let is_same = seen.body == body.as_bytes() && lines.join(", ") == *trailers;
        if is_same { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

/// What a client of HTTP/2 gets of an answer over HTTP/1.1: status, fields, body and trailers.
type Got = (u16, Vec<(String, String)>, Vec<u8>, Vec<(String, String)>);

fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| crate::support::message::latin1(value.as_bytes());
    let lines = headers.iter().filter(|(name, _)| *name != "x-request-id");
    lines.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn up(method: &str, said: &str) -> Result<Got, String> {
    let said = said.to_owned();
    let witness = Witness::playing(move |raw| {
        drop(raw.hear(|bytes, _| parse(bytes).ok()));
        raw.say(&said).finish();
        drop(raw.hear_all());
    });
    let sidecar = before_h1(witness.address).start();
    let told = |error: hyper::Error| format!("{error:?}");
    h2::run(async {
        let mut client = h2::client(sidecar.address).await;
        let request =
            Request::builder().method(method).uri("http://m/").body(h2::whole("")).unwrap();
        let response = client.send_request(request).await.map_err(told)?;
        let (status, fields) = (response.status().as_u16(), lines(response.headers()));
        let body = response.into_body().collect().await.map_err(told)?;
        let trailers = body.trailers().map(lines).unwrap_or_default();
        Ok((status, fields, body.to_bytes().to_vec(), trailers))
    })
}

#[test]
fn an_answer_over_http_1_is_written_as_one_of_http_2() {
    let sized = "Content-Length: 2\r\n\r\nok";
    let cases = [
        ("GET", format!("HTTP/1.1 200 Fine\r\nX-A: 1\r\nx_b: a  b\r\n{sized}"), 200, "x-a: 1, x_b: a  b, content-length: 2", "ok", ""),
        ("GET", format!("HTTP/1.1 299 Odd\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\n{sized}"), 299, "content-length: 2", "ok", ""),
        ("GET", "HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil the end".to_owned(), 200, "x: y", "until the end", ""),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned(), 200, "", "ok", ""),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n".to_owned(), 200, "", "ok", "x-sum: 1"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n0\r\nX-Sum: 1\r\n\r\n".to_owned(), 200, "trailer: X-Sum", "", "x-sum: 1"),
        ("GET", "HTTP/1.1 204 No\r\nX: y\r\n\r\n".to_owned(), 204, "x: y", "", ""),
        ("GET", "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n".to_owned(), 304, "content-length: 9", "", ""),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_owned(), 200, "content-length: 9", "", ""),
        ("GET", format!("HTTP/1.0 404 No\r\nServer: x\r\n{sized}"), 404, "server: x, content-length: 2", "ok", ""),
    ]
    .map(|(method, said, status, fields, body, trailers)| {
        (format!("{method} {said:?}"), (method, said, status, fields, body, trailers))
    });
    check(&cases, |(method, said, status, fields, body, trailers)| {
        let joined = |lines: &[(String, String)]| {
            let lines = lines.iter().map(|(name, value)| format!("{name}: {value}"));
            lines.collect::<Vec<_>>().join(", ")
        };
        let got = up(method, said)?;
        let is_same =
            (got.0, joined(&got.1).as_str(), &*got.2) == (*status, fields, body.as_bytes());
        if is_same && joined(&got.3) == *trailers { Ok(()) } else { Err(format!("{got:?}")) }
    });
}

#[test]
fn a_body_that_an_upstream_of_http_1_breaks_off_resets_the_stream() {
    let cases = [
        ("within a length", "Content-Length: 9\r\n\r\nabc"),
        ("within a chunk", "Transfer-Encoding: chunked\r\n\r\n9\r\nabc"),
        ("behind a chunk", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        ("before the last line end", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"),
        ("by a size that is no number", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n\r\n"),
        ("by a bad trailer", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx\r\n\r\n"),
    ]
    .map(|(name, said)| (name.to_owned(), said));
    check(&cases, |said| {
        let said = format!("HTTP/1.1 200 OK\r\n{said}");
        let witness = Witness::playing(move |raw| {
            drop(raw.hear_through("\r\n\r\n"));
            raw.say(&said).finish();
            drop(raw.hear_all());
        });
        let sidecar = before_h1(witness.address).start();
        let mut client = Connection::open(sidecar.address);
        match client.say(head::<&str>(WHOLE, ["GET", "/"], &[])).outcome(1) {
            Outcome::Reset(1..) | Outcome::Answered(502) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn a_bad_answer_of_an_upstream_of_http_1_is_502() {
    let cases = [
        ("garbage", "garbage\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk"),
        ("a length and a coding", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("NUL in a value", "HTTP/1.1 200 OK\r\nX: a\0\r\nContent-Length: 2\r\n\r\nok"),
        ("nothing", ""),
        ("a switch", "HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    ]
    .map(|(name, said)| (name.to_owned(), said));
    check(&cases, |said| {
        let (status, ..) = up("GET", said)?;
        if status == 502 { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
fn a_client_of_http_2_that_cancels_closes_the_upstream_connection() {
    let (arrived, arrival) = mpsc::sync_channel(1);
    let (closed, closing) = mpsc::sync_channel(1);
    let witness = Witness::playing(move |raw| {
        if raw.hear_through("\r\n\r\n").is_ok() {
            arrived.send(()).unwrap();
            closed.send(raw.hear_all().1).unwrap();
        }
    });
    let sidecar = before_h1(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    client.say(head::<&str>(WHOLE, ["GET", "/"], &[]));
    let patience = std::time::Duration::from_secs(5);
    arrival.recv_timeout(patience).unwrap();
    client.say(frame(crate::support::frames::RST_STREAM, 0, 1, 8u32.to_be_bytes()));
    assert_ne!(closing.recv_timeout(patience), Ok(End::Silent));
}

/// What an upstream of HTTP/2 sees of a request over HTTP/1.1, which it echoes.
fn echoed(request: &[u8]) -> Result<(Message, http::request::Parts, Option<HeaderMap>), String> {
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let upstream = h2::upstream(move |head, body, trailers| {
        let answer = Response::builder().status(299).header("x-a", "1").header("x-b", "2");
        *keep.lock().unwrap() = Some((head, trailers));
        answer.body(h2::whole(body)).unwrap()
    });
    let sidecar = before_h2(upstream).start();
    let answer = response(Raw::connect(sidecar.address).say(request))?;
    let (head, trailers) = seen.lock().unwrap().take().ok_or("the upstream saw nothing")?;
    Ok((answer, head, trailers))
}

#[test]
fn a_request_over_http_1_is_written_as_one_of_http_2() {
    let request = "BREW /a//b?c=%2F|{} HTTP/1.1\r\nHost: m:81\r\nX-Request-Id: r\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\nX_B: 1\r\nAccept: */*\r\nTE: trailers\r\nContent-Length: 3\r\n\r\nabc";
    let (answer, head, trailers) = echoed(request.as_bytes()).unwrap();
    assert_eq!(head.method, Method::from_bytes(b"BREW").unwrap());
    assert_eq!(head.uri.to_string(), "http://m:81/a//b?c=%2F|{}");
    let expected = [("x_b", "1"), ("accept", "*/*"), ("te", "trailers"), ("content-length", "3")];
    assert_eq!(
        lines(&head.headers),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert!(trailers.is_none());
    assert_eq!((answer.status(), &*answer.body), (299, &b"abc"[..]));
    assert_eq!((answer.field("x-a"), answer.field("x-b")), (Some("1"), Some("2")));
}

#[test]
fn chunks_and_trailers_over_http_1_become_those_of_http_2() {
    let request = "POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX-Sum: 1\r\n\r\n";
    let (answer, head, trailers) = echoed(request.as_bytes()).unwrap();
    assert!(!head.headers.contains_key("transfer-encoding"));
    assert_eq!(trailers.unwrap()["x-sum"], "1");
    assert_eq!(answer.body, b"abc");
}

#[test]
fn trailers_over_http_2_become_those_of_chunks() {
    let upstream =
        h2::upstream(|_, _, _| Response::new(h2::streamed_with_trailer(b"ok", "grpc-status", "0")));
    let sidecar = before_h2(upstream).start();
    for fields in ["", "TE: trailers\r\nConnection: TE\r\n"] {
        let request = format!("GET / HTTP/1.1\r\nHost: m\r\n{fields}\r\n");
        let answer = response(Raw::connect(sidecar.address).say(request)).unwrap();
        assert_eq!(answer.trailers, [("grpc-status".to_owned(), "0".to_owned())], "{fields:?}");
    }
}

#[test]
fn large_bodies_pass_between_the_versions() {
    let upstream = h2::upstream(|_, body, _| Response::new(h2::whole(body)));
    let sidecar = before_h2(upstream).start();
    let body = noise(3 << 20);
    for request in [
        sized("POST / HTTP/1.1\r\nHost: m", &body),
        chunked("POST / HTTP/1.1\r\nHost: m", &body, 9999),
    ] {
        assert!(response(Raw::connect(sidecar.address).say(request)).unwrap().body == body);
    }
}

#[test]
fn head_over_http_2_keeps_its_length() {
    let upstream = h2::upstream(|_, _, _| {
        Response::builder().header("content-length", "9").body(h2::whole("")).unwrap()
    });
    let sidecar = before_h2(upstream).start();
    let mut client = Raw::connect(sidecar.address);
    let answer = response_to("HEAD", client.say("HEAD / HTTP/1.1\r\nHost: m\r\n\r\n")).unwrap();
    assert_eq!((answer.status(), answer.field("content-length")), (200, Some("9")));
}

#[test]
fn an_answer_cut_over_http_2_is_cut_over_http_1() {
    for (length, flags) in [(Some("9"), END_HEADERS), (None, END_HEADERS)] {
        let witness = Witness::playing(move |raw| {
            let mut peer = Connection::accept(raw);
            while let Ok(heard) = peer.next() {
                if heard.kind != HEADERS {
                    continue;
                }
                let fields: Vec<_> =
                    length.iter().map(|length| ("content-length", *length)).collect();
                peer.say(frame(
                    HEADERS,
                    flags,
                    heard.stream,
                    [&[0x88], &block(&fields)[..]].concat(),
                ));
                peer.say(frame(DATA, 0, heard.stream, "half"));
                peer.say(frame(
                    crate::support::frames::RST_STREAM,
                    0,
                    heard.stream,
                    2u32.to_be_bytes(),
                ));
            }
        });
        let sidecar = before_h2(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        let (heard, end) = client.say(super::PROBE).hear_all();
        let is_cut = crate::support::message::response(&heard, "GET", None).is_err();
        assert!(is_cut && end != End::Silent, "{end:?} after {}", heard.escape_ascii());
    }
}
