//! How long an upstream may take: the limits of `upstream.*`, and upstreams that come and go.

use crate::support::frames::{Connection, HEADERS, Outcome, WHOLE, frame, request};
use crate::support::raw::{End, Raw};
use crate::support::sidecar::{PATIENCE, Record, Setup, before};
use crate::support::wire::noise;
use crate::support::witness::{OK, Witness, response};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use taffrail::capture::Fault;
use taffrail::config::UpstreamProtocol;

const GET: &str = "GET / HTTP/1.1\r\nHost: m\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\nabc";
const SHORT: Duration = Duration::from_millis(300);

fn only_fault(record: &Record) -> Option<Fault> {
    assert_eq!(record.exchanges.len(), 1);
    assert_eq!(record.latency.active_requests, 0);
    record.exchanges[0].fault
}

fn within_request(witness: &Witness) -> Setup {
    before(witness.address).upstream(|upstream| upstream.request_timeout = Some(SHORT))
}

/// It takes connections and whole requests, and says nothing.
#[test]
fn an_upstream_that_is_frozen_is_504_in_every_pair_of_versions() {
    for (protocol, is_preface) in [(UpstreamProtocol::Http1, false), (UpstreamProtocol::H2c, true)]
    {
        let frozen = || {
            Witness::playing(move |raw| {
                if is_preface {
                    let _ = Connection::accept(raw);
                }
                drop(raw.hear_all());
            })
        };
        let limit = |witness: &Witness| {
            before(witness.address).upstream(|upstream| {
                upstream.protocol = protocol;
                upstream.response_timeout = Some(SHORT);
            })
        };
        for asked in [GET, POST] {
            let sidecar = limit(&frozen()).start();
            let answer = response(Raw::connect(sidecar.address).say(asked)).unwrap();
            assert_eq!(answer.status(), 504, "{protocol:?}");
            assert_eq!(only_fault(&sidecar.stop()), Some(Fault::UpstreamResponseTimeout));
        }
        let sidecar = limit(&frozen()).start();
        let mut client = Connection::open(sidecar.address);
        client.say(frame(HEADERS, WHOLE, 1, request("GET", &[])));
        assert_eq!(client.outcome(1), Outcome::Answered(504), "{protocol:?}");
        assert_eq!(only_fault(&sidecar.stop()), Some(Fault::UpstreamResponseTimeout));
    }
}

#[test]
fn an_exchange_without_an_answer_is_504_at_its_limit() {
    let witness = Witness::playing(|raw| drop(raw.hear_all()));
    let sidecar = within_request(&witness).start();
    let answer = response(Raw::connect(sidecar.address).say(GET)).unwrap();
    assert_eq!(answer.status(), 504);
    assert!(String::from_utf8(answer.body).unwrap().contains("upstream.request_timeout"));
    assert_eq!(only_fault(&sidecar.stop()), Some(Fault::RequestTimeout));
}

#[test]
fn an_answer_that_takes_too_long_is_cut() {
    for said in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let witness = Witness::playing(move |raw| {
            drop(raw.say(said).hear_all());
        });
        let sidecar = within_request(&witness).start();
        let (heard, end) = Raw::connect(sidecar.address).say(GET).hear_all();
        assert!(heard.windows(3).any(|window| window == b"abc") && !heard.ends_with(b"0\r\n\r\n"));
        assert_ne!(end, End::Silent);
        assert_eq!(only_fault(&sidecar.stop()), Some(Fault::RequestTimeout));

        let sidecar = within_request(&witness)
            .upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1)
            .start();
        let mut client = Connection::open(sidecar.address);
        client.say(frame(HEADERS, WHOLE, 1, request("GET", &[])));
        assert!(matches!(client.outcome(1), Outcome::Reset(_)));
        assert_eq!(only_fault(&sidecar.stop()), Some(Fault::RequestTimeout));
    }
}

/// Never waited for, the limit holds all the same.
#[test]
fn an_answer_that_never_pauses_is_cut_at_its_limit() {
    let witness = Witness::playing(|raw| {
        raw.say("HTTP/1.1 200 OK\r\n\r\n").say_until_refused(&noise(1 << 20), usize::MAX);
    });
    let sidecar = within_request(&witness).start();
    let mut client = Raw::connect(sidecar.address);
    client.say(GET);
    while client.forget_more() {}
    drop(client);
    assert_eq!(only_fault(&sidecar.stop()), Some(Fault::RequestTimeout));
}

#[test]
fn a_client_that_does_not_read_its_answer_is_cut_at_the_limit() {
    let (cut, cutting) = mpsc::sync_channel(1);
    let witness = Witness::playing(move |raw| {
        let length = 512 << 20;
        raw.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
        raw.say_until_refused(&noise(1 << 20), length);
        // What was refused for a while is refused for good.
        cut.send(raw.patiently().hear_all().1).unwrap();
    });
    let sidecar = within_request(&witness).start();
    let mut client = Raw::connect(sidecar.address);
    client.say(GET);
    assert_ne!(cutting.recv_timeout(2 * PATIENCE).unwrap(), End::Silent);
    assert_eq!(only_fault(&sidecar.stop()), Some(Fault::RequestTimeout));
}

/// As often as it is restarted, clients that come when it is back see nothing of that.
#[test]
fn an_upstream_that_is_back_fails_nobody() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (restart, restarting) = mpsc::sync_channel::<bool>(0);
    let upstream = std::thread::spawn(move || {
        while let Ok(resets) = restarting.recv() {
            let mut kept = Vec::new();
            for _ in 0..2 {
                let mut raw = Raw::accepted(listener.accept().unwrap().0);
                drop(raw.hear_through("\r\n\r\n"));
                kept.push(raw);
            }
            for raw in &mut kept {
                raw.say(OK);
            }
            restarting.recv().unwrap();
            if resets {
                kept.into_iter().for_each(Raw::reset);
            }
        }
    });
    let sidecar = before(address).start();
    let mut clients = [GET, POST].map(|asked| (asked, Raw::connect(sidecar.address)));
    for resets in [true, false, true, false] {
        restart.send(resets).unwrap();
        for (asked, client) in &mut clients {
            client.say(*asked);
        }
        for (_, client) in &mut clients {
            assert_eq!(response(client).unwrap().status(), 200);
        }
        restart.send(resets).unwrap();
    }
    drop((restart, clients));
    upstream.join().unwrap();
    let record = sidecar.stop();
    assert!(record.exchanges.iter().all(|exchange| exchange.fault.is_none()));
}

/// Of those that no other test counts.
#[test]
fn faults_are_counted_by_their_words() {
    let requests = AtomicUsize::new(0);
    let witness = Witness::playing(move |raw| {
        drop(raw.hear_through("\r\n\r\n"));
        requests.fetch_add(1, Ordering::SeqCst);
    });
    let sidecar = before(witness.address).start();
    for (said, status) in [(POST, 502), ("GET / HTTP/1.1\r\nHost: m\r\nX : y\r\n\r\n", 400)] {
        let answer = response(Raw::connect(sidecar.address).say(said)).unwrap();
        assert_eq!(answer.status(), status);
    }
    let record = sidecar.stop();
    assert_eq!(record.count_of(Fault::UpstreamReset), 1);
    assert_eq!(record.count_of(Fault::ClientProtocol), 1);
}
