//! Bodies flow while they are made, where one side speaks HTTP/2 and the other HTTP/1.1.

use super::stop;
use crate::support::frames::{
    Connection, DATA, END_HEADERS, END_STREAM, HEADERS, WHOLE, frame, request,
};
use crate::support::raw::Raw;
use crate::support::sidecar::{PATIENCE, before};
use crate::support::witness::{Witness, response};
use std::sync::{Mutex, mpsc};
use taffrail::config::UpstreamProtocol;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The data of the next frame that has any.
fn piece(client: &mut Connection<Raw>) -> Vec<u8> {
    loop {
        let heard = client.next().unwrap();
        if heard.kind == DATA && !heard.payload.is_empty() {
            return heard.payload;
        }
        assert!([DATA, HEADERS].contains(&heard.kind), "{heard:?}");
    }
}

#[test]
fn events_of_http_1_arrive_one_by_one_over_http_2() {
    let (heard, hearing) = mpsc::sync_channel::<()>(1);
    let hearing = Mutex::new(hearing);
    let witness = Witness::playing(move |raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say(CHUNKED);
        for at in 10..30 {
            raw.say(format!("a\r\ndata: {at}\n\n\r\n"));
            hearing.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
    });
    let setup = before(witness.address);
    let sidecar = setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1).start();
    let mut client = Connection::open(sidecar.address);
    client.say(frame(HEADERS, WHOLE, 1, request("GET", &[])));
    for at in 10..30 {
        let event = piece(&mut client);
        heard.send(()).unwrap();
        assert_eq!(event, format!("data: {at}\n\n").into_bytes());
    }
}

#[test]
fn both_directions_flow_at_once_from_http_2_to_http_1() {
    let witness = Witness::playing(|raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say(CHUNKED);
        for letter in 'a'..='z' {
            raw.hear_through(&format!("1\r\n{letter}\r\n")).unwrap();
            raw.say(format!("1\r\n{letter}\r\n"));
        }
        raw.hear_through("0\r\n\r\n").unwrap();
        raw.say("0\r\n\r\n");
        drop(raw.hear_all());
    });
    let setup = before(witness.address);
    let sidecar = setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1).start();
    let mut client = Connection::open(sidecar.address);
    client.say(frame(HEADERS, END_HEADERS, 1, request("POST", &[])));
    for letter in b'a'..=b'z' {
        client.say(frame(DATA, 0, 1, [letter]));
        assert_eq!(piece(&mut client), [letter]);
    }
    client.say(frame(DATA, END_STREAM, 1, []));
    while client.next().unwrap().flags & END_STREAM == 0 {}
    drop(client);
    stop(sidecar);
    assert_eq!(witness.finish().whole[0].body.len(), 26);
}

#[test]
fn both_directions_flow_at_once_from_http_1_to_http_2() {
    let witness = Witness::playing(|raw| {
        let mut peer = Connection::accept(raw);
        let mut stream = 0;
        while let Ok(heard) = peer.next() {
            if heard.kind == HEADERS {
                stream = heard.stream;
                peer.say(frame(HEADERS, END_HEADERS, stream, [0x88]));
            } else if heard.kind == DATA {
                peer.say(frame(DATA, heard.flags & END_STREAM, stream, heard.payload));
            }
        }
    });
    let setup = before(witness.address);
    let sidecar = setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::H2c).start();
    let mut client = Raw::connect(sidecar.address);
    client.say("POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.hear_through("\r\n\r\n").unwrap();
    for letter in 'a'..='z' {
        let chunk = format!("1\r\n{letter}\r\n");
        client.say(&chunk).hear_through(&chunk).unwrap();
    }
    client.say("0\r\n\r\n").hear_through("0\r\n\r\n").unwrap();
}

#[test]
fn an_early_answer_of_http_1_passes_while_a_body_over_http_2_still_flows() {
    let witness = Witness::playing(|raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        drop(raw.hear_all());
    });
    let setup = before(witness.address);
    let sidecar = setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1).start();
    let mut client = Connection::open(sidecar.address);
    client.say(frame(HEADERS, END_HEADERS, 1, request("POST", &[]))).say(frame(DATA, 0, 1, "abc"));
    assert_eq!(client.outcome(1), crate::support::frames::Outcome::Answered(413));
}

#[test]
fn two_versions_on_one_port_do_not_stop_each_other() {
    let witness = Witness::agreeing();
    let setup = before(witness.address);
    let sidecar = setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1).start();
    let mut second = Connection::open(sidecar.address);
    for stream in [1, 3, 5] {
        let mut first = Raw::connect(sidecar.address);
        second.say(frame(HEADERS, WHOLE, stream, request("GET", &[])));
        assert_eq!(response(first.say(super::PROBE)).unwrap().status(), 200);
        assert_eq!(second.outcome(stream), crate::support::frames::Outcome::Answered(200));
    }
}
