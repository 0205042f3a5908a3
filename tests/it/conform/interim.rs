//! Interim answers (RFC 9110 section 15.2): an upstream's, and only an upstream's, at once.

use super::stop;
use crate::support::cases::check;
use crate::support::message::Message;
use crate::support::raw::Raw;
use crate::support::sidecar::{PATIENCE, before};
use crate::support::witness::{OK, Witness, response, response_to};
use std::sync::{Mutex, mpsc};

const EXPECTANT: &str =
    "POST / HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX_y: 1\r\nlink: </b.js>; rel=preload\r\n\r\n";

/// What an upstream says to the first head on each connection.
fn saying(said: String) -> Witness {
    Witness::playing(move |raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say(&said);
        drop(raw.hear_all());
    })
}

fn lines(message: &Message) -> String {
    let message = message.clone().without(&["x-request-id"]);
    let fields = message.fields.iter().map(|(name, value)| format!(" | {name}: {value}"));
    format!("{}{}", message.start, fields.collect::<String>())
}

#[test]
fn interim_answers_pass_in_order_before_the_final_one() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let processing = "HTTP/1.1 102 Processing\r\n\r\n";
    let cases = [
        ("one hint", HINTS.to_owned()),
        ("processing", processing.to_owned()),
        ("several", format!("{processing}{early}{HINTS}{early}{processing}")),
        ("one that nobody knows", "HTTP/1.1 199 Odd\r\nX: y\r\n\r\n".to_owned()),
        ("one without a reason", "HTTP/1.1 103 \r\nX: y\r\n\r\n".to_owned()),
    ];
    let cases = cases.into_iter().flat_map(|(name, interim)| {
        ["GET", "HEAD"].map(|method| (format!("{name} for {method}"), (method, interim.clone())))
    });
    check(&cases.collect::<Vec<_>>(), |(method, interim)| {
        let witness = saying(format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        client.say(format!("{method} / HTTP/1.1\r\nHost: m\r\n\r\n"));
        let mut expected = Raw::connect(witness.address);
        expected.say(format!("{method} / HTTP/1.1\r\nHost: m\r\n\r\n"));
        loop {
            let direct = response_to(method, &mut expected)?;
            let proxied = response_to(method, &mut client)?;
            if lines(&direct) != lines(&proxied) {
                return Err(format!("{proxied:?} instead of {direct:?}"));
            }
            if direct.status() == 200 {
                return Ok(());
            }
        }
    });
}

#[test]
fn an_interim_answer_passes_before_the_next_is_said() {
    let (heard, hearing) = mpsc::sync_channel::<()>(1);
    let hearing = Mutex::new(hearing);
    let witness = Witness::playing(move |raw| {
        drop(raw.hear_through("\r\n\r\n"));
        for _ in 0..3 {
            raw.say(HINTS);
            hearing.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        raw.say(OK);
        drop(raw.hear_all());
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    client.say(super::PROBE);
    for _ in 0..3 {
        assert_eq!(response(&mut client).unwrap().status(), 103);
        heard.send(()).unwrap();
    }
    assert_eq!(response(&mut client).unwrap().status(), 200);
}

#[test]
fn the_connection_goes_on_behind_an_interim_answer() {
    let witness = Witness::answering(|_| [HINTS.as_bytes(), OK].concat());
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    for _ in 0..2 {
        client.say(super::PROBE);
        let statuses = [response(&mut client).unwrap(), response(&mut client).unwrap()];
        assert_eq!(statuses.map(|answer| answer.status()), [103, 200]);
    }
    drop(client);
    stop(sidecar);
    assert_eq!(witness.finish().whole.len(), 2);
}

#[test]
fn a_client_of_http_1_0_hears_only_the_final_answer() {
    let ok = String::from_utf8(OK.to_vec()).unwrap();
    for interim in [HINTS, "HTTP/1.1 100 Continue\r\n\r\n"] {
        let witness = saying(format!("{interim}{ok}"));
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        let answer = response(client.say("GET / HTTP/1.0\r\nHost: m\r\n\r\n")).unwrap();
        assert_eq!((answer.status(), &*answer.body), (200, &b"ok"[..]));
    }
}

/// Were 100 said by anyone else, it would come before the hint.
#[test]
fn continue_is_said_when_the_upstream_says_it() {
    let witness = Witness::playing(|raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say(HINTS).say("HTTP/1.1 100 Continue\r\n\r\n");
        let body = raw.hear_exactly(4).unwrap();
        raw.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").say(body);
        drop(raw.hear_all());
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    client.say(EXPECTANT);
    assert_eq!(response(&mut client).unwrap().status(), 103);
    let told = response(&mut client).unwrap();
    assert_eq!(lines(&told), "HTTP/1.1 100 Continue");
    assert_eq!(response(client.say("body")).unwrap().body, b"body");
    stop(sidecar);
    let heard = witness.finish().whole.remove(0);
    assert_eq!((heard.field("expect"), &*heard.body), (Some("100-continue"), &b"body"[..]));
}

/// Refused before it said its body, and never asked for it.
#[test]
fn a_final_answer_instead_of_continue_is_the_only_one() {
    for status in ["417 Expectation Failed", "413 Too Large", "401 Who", "200 OK"] {
        let witness = saying(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno"));
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        let answer = response(client.say(EXPECTANT)).unwrap();
        assert_eq!(answer.start, format!("HTTP/1.1 {status}"));
        assert_eq!(answer.body, b"no");
        drop(client);
        stop(sidecar);
        assert!(witness.finish().whole.is_empty(), "{status}");
    }
}

#[test]
fn continue_for_chunks_passes_as_well() {
    let witness = Witness::playing(|raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say("HTTP/1.1 100 Continue\r\n\r\n");
        drop(raw.hear_through("0\r\n\r\n"));
        raw.say(OK);
        drop(raw.hear_all());
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    client.say(
        "POST / HTTP/1.1\r\nHost: m\r\nExpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    assert_eq!(response(&mut client).unwrap().status(), 100);
    assert_eq!(response(client.say("2\r\nab\r\n0\r\n\r\n")).unwrap().status(), 200);
    drop(client);
    stop(sidecar);
    assert_eq!(witness.finish().whole[0].body, b"ab");
}

#[test]
fn a_client_that_does_not_wait_is_not_made_to() {
    let witness = Witness::answering(|request| {
        assert_eq!(request.body, b"body");
        OK.to_vec()
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    client.say(EXPECTANT).say("body");
    let mut answer = response(&mut client).unwrap();
    if answer.status() == 100 {
        answer = response(&mut client).unwrap();
    }
    assert_eq!(answer.status(), 200);
}

#[test]
fn a_broken_interim_answer_is_502() {
    let cases = [
        ("NUL in a value", "HTTP/1.1 103 X\r\nLink: a\0b\r\n\r\n"),
        ("no colon", "HTTP/1.1 103 X\r\nLink\r\n\r\n"),
        ("folded", "HTTP/1.1 103 X\r\nLink: a\r\n b\r\n\r\n"),
        ("bare CR", "HTTP/1.1 103 X\r\nLink: a\rb\r\n\r\n"),
        ("then garbage", "HTTP/1.1 103 X\r\n\r\ngarbage\r\n\r\n"),
    ]
    .map(|(name, said)| (name.to_owned(), said));
    check(&cases, |said| {
        let witness = saying(format!("{said}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        let mut answer = response(client.say(super::PROBE))?;
        if answer.status() == 103 && said.contains("garbage") {
            answer = response(&mut client)?;
        }
        if answer.status() == 502 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
}
