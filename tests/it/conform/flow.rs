//! Bodies flow while they are made: every step waits for the one before to have arrived.

use super::stop;
use crate::support::raw::{End, Raw};
use crate::support::sidecar::{PATIENCE, before};
use crate::support::witness::{Witness, response};
use std::sync::{Mutex, mpsc};

const POST: &str = "POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Each event is heard before the next is said, whatever frames the stream.
#[test]
fn events_arrive_one_by_one() {
    let frame = |event: &str| format!("{:x}\r\n{event}\r\n", event.len());
    for (framing, is_chunked) in [
        ("Transfer-Encoding: chunked\r\n", true),
        ("Content-Length: 1000000\r\n", false),
        ("", false),
        ("Connection: close\r\n", false),
    ] {
        let (heard, hearing) = mpsc::sync_channel::<()>(1);
        let hearing = Mutex::new(hearing);
        let witness = Witness::playing(move |raw| {
            drop(raw.hear_through("\r\n\r\n"));
            raw.say(format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n"));
            for at in 0..20 {
                let event = format!("data: {at}\n\n");
                raw.say(if is_chunked { frame(&event) } else { event });
                hearing.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            }
        });
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        client.say(super::PROBE).hear_through("\r\n\r\n").unwrap();
        for at in 0..20 {
            let event = client.hear_through(&format!("data: {at}\n\n"));
            heard.send(()).unwrap();
            assert!(event.is_ok(), "{framing:?}: {event:?} instead of event {at}");
        }
    }
}

#[test]
fn both_directions_flow_at_once_byte_by_byte() {
    let witness = Witness::playing(|raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say(OK);
        for letter in 'a'..='z' {
            raw.hear_through(&format!("1\r\n{letter}\r\n")).unwrap();
            raw.say(format!("1\r\n{letter}\r\n"));
        }
        raw.hear_through("0\r\n\r\n").unwrap();
        raw.say("0\r\n\r\n");
        drop(raw.hear_all());
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    // The head alone has to get through, and that of the answer come back.
    client.say(POST).hear_through("\r\n\r\n").unwrap();
    for letter in 'a'..='z' {
        let chunk = format!("1\r\n{letter}\r\n");
        client.say(&chunk).hear_through(&chunk).unwrap();
    }
    client.say("0\r\n\r\n").hear_through("0\r\n\r\n").unwrap();
    drop(client);
    stop(sidecar);
    assert_eq!(witness.finish().whole[0].body, ('a'..='z').collect::<String>().into_bytes());
}

#[test]
fn a_request_arrives_while_it_is_said() {
    let (heard, hearing) = mpsc::sync_channel::<()>(1);
    let witness = Witness::playing(move |raw| {
        drop(raw.hear_through("\r\n\r\n"));
        for letter in 'a'..='e' {
            heard.send(()).unwrap();
            raw.hear_through(&format!("{letter}{letter}")).unwrap();
        }
        raw.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        drop(raw.hear_all());
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    client.say("POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\n");
    for letter in 'a'..='e' {
        hearing.recv_timeout(PATIENCE).unwrap();
        client.say(format!("{letter}{letter}"));
    }
    assert_eq!(response(&mut client).unwrap().status(), 200);
}

/// The answer is whole before the request is, and the request still arrives.
#[test]
fn an_early_answer_does_not_end_its_request() {
    let witness = Witness::playing(|raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say(OK).say("5\r\nearly\r\n");
        raw.hear_through("0\r\n\r\n").unwrap();
        raw.say("4\r\nlate\r\n0\r\n\r\n");
        drop(raw.hear_all());
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    client.say(POST).say("3\r\nabc\r\n").hear_through("5\r\nearly\r\n").unwrap();
    client.say("3\r\ndef\r\n0\r\n\r\n").hear_through("4\r\nlate\r\n0\r\n\r\n").unwrap();
    drop(client);
    stop(sidecar);
    assert_eq!(witness.finish().whole[0].body, b"abcdef");
}

#[test]
fn an_early_answer_that_is_whole_arrives_before_the_request_is_whole() {
    let witness = Witness::playing(|raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        drop(raw.hear_all());
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    let answer = response(client.say(POST).say("3\r\nabc\r\n")).unwrap();
    assert_eq!((answer.status(), &*answer.body), (413, &b"no"[..]));
    // What is left of the request is never taken for the next one.
    client.say("22\r\nGET /hidden HTTP/1.1\r\nHost: m\r\n\r\n\r\n0\r\n\r\n").finish();
    let (behind, end) = client.hear_all();
    assert!(behind.is_empty() && end != End::Silent, "{end:?} after {behind:?}");
    stop(sidecar);
    let seen = witness.finish();
    assert!(seen.whole.iter().all(|request| !request.start.contains("/hidden")), "{seen:?}");
}
