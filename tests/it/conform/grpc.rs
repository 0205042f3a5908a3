//! Streams as gRPC uses them: messages in lock-step both ways, trailers, and cancellation.

use super::stop;
use crate::support::cases::check;
use crate::support::frames::{
    Connection, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Outcome, RST_STREAM, SETTINGS,
    WHOLE, WINDOW_UPDATE, block, code, frame, request, setting,
};
use crate::support::h2;
use crate::support::raw::Raw;
use crate::support::sidecar::{PATIENCE, before};
use crate::support::witness::Witness;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use std::borrow::BorrowMut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

const FIELDS: [(&str, &str); 3] =
    [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "10S")];

fn call(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, request("POST", &FIELDS))
}

fn answer(stream: u32) -> Vec<u8> {
    frame(
        HEADERS,
        END_HEADERS,
        stream,
        [&[0x88], &block(&[("content-type", "application/grpc")])[..]].concat(),
    )
}

fn trailers(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, block(&[("grpc-status", "0")]))
}

/// A message behind its five bytes of head.
fn message(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&[0], &length[..], text.as_bytes()].concat()
}

/// Reads data until it is `expected`; frames may be cut anew on the way.
fn hear<R: BorrowMut<Raw>>(peer: &mut Connection<R>, expected: &[u8]) {
    let mut heard = Vec::new();
    while heard.len() < expected.len() {
        let frame = peer.next().unwrap();
        match frame.kind {
            DATA => heard.extend(frame.payload),
            HEADERS => {}
            _ => panic!("{frame:?}"),
        }
    }
    assert_eq!(heard, expected);
}

/// Waits for the head of a stream, and says which it is.
fn called<R: BorrowMut<Raw>>(peer: &mut Connection<R>) -> Option<u32> {
    loop {
        let frame = peer.next().ok()?;
        if frame.kind == HEADERS {
            return Some(frame.stream);
        }
    }
}

#[test]
fn messages_pass_both_ways_in_lock_step() {
    let witness = Witness::playing(|raw| {
        let mut peer = Connection::accept(raw);
        let Some(stream) = called(&mut peer) else { return };
        peer.say(answer(stream));
        for at in 0..20 {
            hear(&mut peer, &message(&format!("question {at}")));
            peer.say(frame(DATA, 0, stream, message(&format!("answer {at}"))));
        }
        peer.say(trailers(stream));
        while peer.next().is_ok() {}
    });
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    client.say(call(1));
    assert_eq!(called(&mut client), Some(1), "an answer begins before there was a question");
    for at in 0..20 {
        client.say(frame(DATA, 0, 1, message(&format!("question {at}"))));
        hear(&mut client, &message(&format!("answer {at}")));
    }
    let end = client.next().unwrap();
    assert_eq!((end.kind, end.flags & END_STREAM), (HEADERS, END_STREAM));
}

/// The same, where the upstream speaks first, and the client says all it has at the end.
#[test]
fn an_upstream_may_stream_before_it_was_told_all() {
    let (heard, hearing) = mpsc::sync_channel::<()>(1);
    let hearing = Mutex::new(hearing);
    let witness = Witness::playing(move |raw| {
        let mut peer = Connection::accept(raw);
        let Some(stream) = called(&mut peer) else { return };
        peer.say(answer(stream));
        for at in 0..10 {
            peer.say(frame(DATA, 0, stream, message(&format!("event {at}"))));
            hearing.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        hear(&mut peer, &message("at last"));
        peer.say(trailers(stream));
        while peer.next().is_ok() {}
    });
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    client.say(call(1));
    for at in 0..10 {
        hear(&mut client, &message(&format!("event {at}")));
        heard.send(()).unwrap();
    }
    client.say(frame(DATA, END_STREAM, 1, message("at last")));
    assert_eq!(end(&mut client, 1), Outcome::Answered(200));
}

/// How a stream ends whose head was read.
fn end<R: BorrowMut<Raw>>(peer: &mut Connection<R>, stream: u32) -> Outcome {
    loop {
        match peer.next() {
            Err(end) => return Outcome::Ended(end),
            Ok(heard) if heard.kind == GOAWAY => return Outcome::GoAway(code(&heard.payload[4..])),
            Ok(heard) if heard.stream != stream => {}
            Ok(heard) if heard.kind == RST_STREAM => return Outcome::Reset(code(&heard.payload)),
            Ok(heard) if heard.flags & END_STREAM != 0 => return Outcome::Answered(200),
            Ok(_) => {}
        }
    }
}

#[test]
fn a_client_that_cancels_cancels_its_stream_at_the_upstream() {
    let (report, ended) = mpsc::sync_channel(2);
    let (begun, begins) = mpsc::sync_channel(2);
    let witness = Witness::playing(move |raw| {
        let mut peer = Connection::accept(raw);
        while let Some(stream) = called(&mut peer) {
            peer.say(answer(stream));
            begun.send(()).unwrap();
            report.send(end(&mut peer, stream)).unwrap();
        }
    });
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    for stream in [1, 3] {
        client.say(call(stream));
        begins.recv_timeout(PATIENCE).unwrap();
        client.say(frame(RST_STREAM, 0, stream, 8u32.to_be_bytes()));
        let seen = ended.recv_timeout(PATIENCE).unwrap();
        // The connection goes on for the next stream.
        assert_eq!(seen, Outcome::Reset(8));
    }
}

/// The codes that say something to a client of gRPC.
const CODES: [u32; 5] = [2, 7, 8, 11, 13];

fn resetting(code: u32, is_answered: bool) -> Witness {
    Witness::playing(move |raw| {
        let mut peer = Connection::accept(raw);
        while let Some(stream) = called(&mut peer) {
            if is_answered {
                peer.say(answer(stream)).say(frame(DATA, 0, stream, message("half")));
            }
            peer.say(frame(RST_STREAM, 0, stream, code.to_be_bytes()));
        }
    })
}

#[test]
fn an_upstream_that_resets_an_answer_resets_it_at_the_client_with_its_code() {
    let cases = CODES.map(|code| (format!("code {code}"), code));
    check(&cases, |code| {
        let witness = resetting(*code, true);
        let sidecar = before(witness.address).start();
        let mut client = Connection::open(sidecar.address);
        client.say(call(1));
        let seen = end(&mut client, 1);
        if seen == Outcome::Reset(*code) { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

#[test]
fn an_upstream_that_resets_before_it_answers_is_told() {
    let cases = CODES.map(|code| (format!("code {code}"), code));
    check(&cases, |code| {
        let witness = resetting(*code, false);
        let sidecar = before(witness.address).start();
        let mut client = Connection::open(sidecar.address);
        match client.say(call(1)).outcome(1) {
            Outcome::Reset(_) | Outcome::Answered(502 | 503) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

/// RFC 9113 section 8.1: such a reset only says that no more of the request is wanted.
#[test]
fn a_whole_answer_that_is_followed_by_a_reset_without_error_is_whole() {
    let witness = Witness::playing(|raw| {
        let mut peer = Connection::accept(raw);
        while let Some(stream) = called(&mut peer) {
            peer.say(frame(HEADERS, WHOLE, stream, [0x88]));
            peer.say(frame(RST_STREAM, 0, stream, 0u32.to_be_bytes()));
        }
    });
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    client.say(call(1)).say(frame(DATA, 0, 1, message("half")));
    assert_eq!(client.outcome(1), Outcome::Answered(200));
}

#[test]
fn an_upstream_that_goes_away_before_a_stream_gets_it_on_a_new_connection() {
    let connections = AtomicUsize::new(0);
    let witness = Witness::playing(move |raw| {
        let is_first = connections.fetch_add(1, Ordering::SeqCst) == 0;
        let mut peer = Connection::accept(raw);
        let mut streams = 0;
        while let Some(stream) = called(&mut peer) {
            streams += 1;
            if is_first && streams == 2 {
                let last = (stream - 2).to_be_bytes();
                peer.say(frame(GOAWAY, 0, 0, [&last[..], &0u32.to_be_bytes()].concat()));
                peer.raw.finish();
                return;
            }
            peer.say(frame(HEADERS, WHOLE, stream, [0x88]));
        }
    });
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    for stream in [1, 3, 5] {
        client.say(frame(HEADERS, WHOLE, stream, request("GET", &[])));
        assert_eq!(client.outcome(stream), Outcome::Answered(200), "stream {stream}");
    }
}

#[test]
fn a_slow_reader_of_one_stream_does_not_stop_another() {
    let witness = Witness::playing(|raw| {
        let mut peer = Connection::accept(raw);
        while let Some(stream) = called(&mut peer) {
            peer.say(answer(stream));
            // What fits in a stream's window, so that the connection's is shared by both.
            peer.say(frame(DATA, 0, stream, vec![1; 16_000]).repeat(3));
            peer.say(frame(DATA, END_STREAM, stream, []));
        }
    });
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    client.say(frame(SETTINGS, 0, 0, setting(4, 10_000)));
    client.say(frame(WINDOW_UPDATE, 0, 0, 100_000u32.to_be_bytes()));
    client.say(call(1)).say(frame(DATA, END_STREAM, 1, []));
    client.say(call(3)).say(frame(DATA, END_STREAM, 3, []));
    client.say(frame(WINDOW_UPDATE, 0, 3, 100_000u32.to_be_bytes()));
    assert_eq!(end(&mut client, 3), Outcome::Answered(200));
    client.say(frame(WINDOW_UPDATE, 0, 1, 100_000u32.to_be_bytes()));
    assert_eq!(end(&mut client, 1), Outcome::Answered(200));
}

#[test]
fn fields_of_a_call_pass_and_so_do_its_trailers() {
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let upstream = h2::upstream(move |head, body, trailers| {
        *keep.lock().unwrap() = Some((head, body, trailers));
        let mut answer = Response::new(h2::with_trailer(b"answer", "grpc-status", "5"));
        let headers = answer.headers_mut();
        headers.append("content-type", "application/grpc+proto".parse().unwrap());
        headers.append("grpc-encoding", "identity".parse().unwrap());
        answer
    });
    let sidecar = before(upstream).start();
    h2::run(async {
        let mut client = h2::client(sidecar.address).await;
        let mut request = Request::post("http://m/pkg.Service/Method");
        for (name, value) in FIELDS {
            request = request.header(name, value);
        }
        let request = request.header("grpc-trace-bin", "AAA=").header("x-request-id", "r");
        let request = request.body(h2::with_trailer(b"question", "x-sum", "1")).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(names(response.headers()), ["content-type", "grpc-encoding", "x-request-id"]);
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "5");
        assert_eq!(body.to_bytes(), "answer");
    });
    let (head, body, trailers) = seen.lock().unwrap().take().unwrap();
    assert_eq!(head.uri.to_string(), "http://m/pkg.Service/Method");
    let expected = ["content-type", "te", "grpc-timeout", "grpc-trace-bin", "x-request-id"];
    assert_eq!(names(&head.headers), expected);
    assert_eq!(
        (&head.headers["te"], &head.headers["grpc-timeout"]),
        (&"trailers".parse().unwrap(), &"10S".parse().unwrap())
    );
    assert_eq!((&*body, &trailers.unwrap()["x-sum"]), (&b"question"[..], &"1".parse().unwrap()));
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    // The last two are the upstream's own, by hyper.
    let names = headers.keys().map(http::HeaderName::as_str);
    names.filter(|name| !["date", "content-length"].contains(name)).collect()
}

/// A head that is also the end, which is how gRPC says an error at once.
#[test]
fn an_answer_of_trailers_only_stays_one_frame() {
    let witness = Witness::playing(|raw| {
        let mut peer = Connection::accept(raw);
        while let Some(stream) = called(&mut peer) {
            let only = [("content-type", "application/grpc"), ("grpc-status", "12")];
            peer.say(frame(HEADERS, WHOLE, stream, [&[0x88], &block(&only)[..]].concat()));
        }
    });
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    client.say(call(1)).say(frame(DATA, END_STREAM, 1, message("question")));
    let heard = client.next().unwrap();
    assert_eq!((heard.kind, heard.flags & END_STREAM), (HEADERS, END_STREAM));
    drop(client);
    h2::run(async {
        let mut client = h2::client(sidecar.address).await;
        let request = Request::post("http://m/a").body(h2::whole("question")).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "12");
        let body = response.into_body().collect().await.unwrap();
        assert!(body.trailers().is_none());
        assert!(body.to_bytes().is_empty());
    });
    stop(sidecar);
}
