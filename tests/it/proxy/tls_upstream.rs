//! TLS with the upstream: who is trusted, what is spoken, and how connections end.

use crate::support::cases::check;
use crate::support::frames::{self, Connection, HEADERS, Outcome, WHOLE, frame, request};
use crate::support::message::{Flaw, Message, response as parse};
use crate::support::raw::Raw;
use crate::support::sidecar::{Setup, before};
use crate::support::tls::Place;
use crate::support::witness::{OK, Witness, response};
use rustls::pki_types::ServerName;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use taffrail::capture::Fault;
use taffrail::config::{ClientTls, UpstreamProtocol};

const GET: &str = "GET / HTTP/1.1\r\nHost: m\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\npay";

fn trusting(witness: &Witness, tls: ClientTls) -> Setup {
    before(witness.address).upstream(|upstream| upstream.tls = Some(tls))
}

fn ask(setup: Setup, request: &str) -> (Message, crate::support::sidecar::Record) {
    let sidecar = setup.start();
    let mut client = Raw::connect(sidecar.address).patient();
    let answer = response(client.say(request)).unwrap();
    drop(client);
    (answer, sidecar.stop())
}

/// The error that the client was told, and the fault that was counted.
fn failure(setup: Setup) -> (serde_json::Value, Option<Fault>) {
    let (answer, record) = ask(setup, GET);
    assert_eq!(answer.status(), 502);
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    (body["error"].clone(), record.exchanges[0].fault)
}

#[test]
fn an_upstream_that_nobody_vouches_for_is_502_and_says_what_to_do() {
    let [place, elsewhere] = [Place::new(), Place::new()];
    let witness = Witness::answering_tls(&place.upstream(&[]), |_| OK.to_vec());
    let other_name = ServerName::try_from("other.example.com").unwrap();
    let public = ClientTls { ca: None, ..place.client_tls() };
    let cases = [
        ("another authority", elsewhere.client_tls(), "upstream.tls.ca", "certificate"),
        ("the public authorities", public, "upstream.tls.ca", "UnknownIssuer"),
        (
            "another name",
            ClientTls { server_name: other_name, ..place.client_tls() },
            "upstream.tls.server_name",
            "other.example.com",
        ),
    ];
    for (name, tls, key, cause) in cases {
        let (error, fault) = failure(trusting(&witness, tls));
        assert_eq!((&error["type"], fault), (&"upstream_tls".into(), Some(Fault::UpstreamTls)));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(key) && message.contains(cause), "{name}: {message}");
    }
    assert!(witness.finish().whole.is_empty());
}

#[test]
fn an_upstream_that_speaks_no_tls_is_502() {
    let place = Place::new();
    let witness = Witness::playing(|raw| {
        drop(raw.hear_exactly(100));
        raw.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let (error, fault) = failure(trusting(&witness, place.client_tls()));
    assert_eq!((&error["type"], fault), (&"upstream_tls".into(), Some(Fault::UpstreamTls)));
}

#[test]
fn an_upstream_that_never_shakes_hands_is_504() {
    let place = Place::new();
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let setup = before(silent.local_addr().unwrap()).upstream(|upstream| {
        upstream.tls = Some(place.client_tls());
        upstream.connect_timeout = Duration::from_millis(100);
    });
    let (answer, record) = ask(setup, GET);
    assert_eq!(answer.status(), 504);
    assert_eq!(record.exchanges[0].fault, Some(Fault::UpstreamConnectTimeout));
}

#[test]
fn an_upstream_that_asks_for_a_certificate_is_shown_it() {
    let [place, elsewhere] = [Place::new(), Place::new()];
    let witness = Witness::answering_tls(&place.strict_upstream(), |_| OK.to_vec());
    let shown = |identity| ClientTls { identity, ..place.client_tls() };
    for identity in [None, Some(elsewhere.identity("sidecar"))] {
        let (answer, _) = ask(trusting(&witness, shown(identity)), GET);
        assert_eq!(answer.status(), 502);
    }
    let (answer, _) = ask(trusting(&witness, shown(Some(place.identity("known")))), GET);
    assert_eq!(answer.status(), 200);
}

/// What a client says, and what an upstream understands: HTTP/1.1, HTTP/2, or both.
#[test]
fn client_and_upstream_need_not_speak_the_same_version() {
    let place = Place::new();
    let (auto, http1, http2) =
        (UpstreamProtocol::Auto, UpstreamProtocol::Http1, UpstreamProtocol::H2c);
    let cases: [(&[&str], UpstreamProtocol); 10] = [
        (&["http/1.1"], auto),
        (&["h2"], auto),
        (&["h2", "http/1.1"], auto),
        (&["http/1.1", "h2"], auto),
        (&[], auto),
        (&["http/1.1"], http1),
        (&["h2", "http/1.1"], http1),
        (&[], http1),
        (&["h2"], http2),
        (&["h2", "http/1.1"], http2),
    ];
    let cases = cases.map(|case| (format!("{case:?}"), case));
    let identity = place.identity("upstream");
    check(&cases, |(understood, protocol)| {
        let config = place.upstream_as(&identity, understood);
        let witness = Witness::playing_tls(&config, |raw| {
            let _ = raw.hear(|bytes, _| (!bytes.is_empty()).then_some(((), 0)));
            if raw.unread().starts_with(b"PRI") {
                return frames::agree(raw);
            }
            while raw.hear_through("\r\n\r\n").is_ok() {
                raw.say(OK);
            }
        });
        let sidecar = trusting(&witness, place.client_tls())
            .upstream(|upstream| upstream.protocol = *protocol)
            .start();
        for _ in 0..2 {
            let answer = response(Raw::connect(sidecar.address).say(GET))?;
            if answer.status() != 200 {
                return Err(format!("HTTP/1.1: {answer:?}"));
            }
            let mut client = Connection::open(sidecar.address);
            client.say(frame(HEADERS, WHOLE, 1, request("GET", &[])));
            match client.outcome(1) {
                Outcome::Answered(200) => {}
                other => return Err(format!("HTTP/2: {other:?}")),
            }
        }
        Ok(())
    });
}

/// With a word about the end, and without.
#[test]
fn a_body_is_whole_only_if_its_framing_or_tls_says_so() {
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nabc";
    let cases = [
        ("sized, broken off", sized, false, false),
        ("sized, ended", sized, true, false),
        ("chunked, broken off", chunked, false, false),
        ("chunked, ended", chunked, true, false),
        ("until the end, broken off", until_close, false, false),
        ("until the end, ended", until_close, true, true),
    ];
    let cases = cases.map(|(name, said, ends, whole)| (name.to_owned(), (said, ends, whole)));
    let place = Place::new();
    let config = place.upstream(&[]);
    check(&cases, |(said, ends, is_whole)| {
        let (said, ends) = (*said, *ends);
        let witness = Witness::playing_tls(&config, move |raw| {
            drop(raw.hear_through("\r\n\r\n"));
            raw.say(said);
            if ends {
                raw.finish();
            }
        });
        let sidecar = trusting(&witness, place.client_tls()).start();
        let mut client = Raw::connect(sidecar.address).patient();
        let (heard, end) = client.say(LAST).hear_all();
        let parsed = parse(&heard, "GET", Some(end));
        let fault = sidecar.stop().exchanges[0].fault;
        match (parsed, fault) {
            (Ok((answer, _)), None) if *is_whole && answer.body == b"abc" => Ok(()),
            (Err(Flaw::Short), Some(Fault::UpstreamBodyAborted)) if !is_whole => Ok(()),
            other => Err(format!("{other:?}, {end:?}")),
        }
    });
}

/// The upstream has read the second request, and leaves in either way.
#[test]
fn a_request_with_consequences_is_not_sent_twice() {
    let place = Place::new();
    for (request, ends, status, times) in
        [(POST, true, 502, 2), (POST, false, 502, 2), (GET, true, 200, 3), (GET, false, 200, 3)]
    {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let witness = Witness::playing_tls(&place.upstream(&[]), move |raw| {
            let is_first = count.load(Ordering::SeqCst) == 0;
            while raw.hear_through("\r\n\r\n").is_ok() {
                let before = count.fetch_add(1, Ordering::SeqCst);
                if is_first && before == 1 {
                    break;
                }
                raw.say(OK);
            }
            if ends {
                raw.finish();
            }
        });
        let sidecar = trusting(&witness, place.client_tls()).start();
        let mut client = Raw::connect(sidecar.address);
        assert_eq!(response(client.say(GET)).unwrap().status(), 200);
        let answer = response(client.say(request)).unwrap();
        let seen = (answer.status(), requests.load(Ordering::SeqCst));
        assert_eq!(seen, (status, times), "{request:?}, ended: {ends}");
    }
}

#[test]
fn a_kept_connection_that_was_ended_is_not_used() {
    let place = Place::new();
    for ends in [true, false] {
        let (left, leaving) = std::sync::mpsc::sync_channel(2);
        let witness = Witness::playing_tls(&place.upstream(&[]), move |raw| {
            drop(raw.hear_through("\r\n\r\n"));
            raw.say(OK);
            if ends {
                raw.finish();
            } else {
                raw.break_off();
            }
            left.send(()).unwrap();
            assert!(raw.hear_all().0.is_empty());
        });
        let sidecar = trusting(&witness, place.client_tls()).start();
        let mut client = Raw::connect(sidecar.address);
        for _ in 0..2 {
            assert_eq!(response(client.say(POST)).unwrap().status(), 200, "ended: {ends}");
            leaving.recv_timeout(crate::support::sidecar::PATIENCE).unwrap();
        }
    }
}

#[test]
fn new_connections_trust_a_new_authority() {
    let [place, elsewhere] = [Place::new(), Place::new()];
    let witness = Witness::answering_tls(&elsewhere.upstream(&[]), |_| OK.to_vec());
    let mut sidecar = trusting(&witness, place.client_tls()).start();
    let mut client = Raw::connect(sidecar.address);
    assert_eq!(response(client.say(GET)).unwrap().status(), 502);
    std::fs::copy(&elsewhere.ca, &place.ca).unwrap();
    sidecar.reload();
    assert_eq!(response(client.say(GET)).unwrap().status(), 200);
    std::fs::write(&place.ca, "no certificate").unwrap();
    sidecar.reload();
    assert_eq!(response(client.say(GET)).unwrap().status(), 200);
}
