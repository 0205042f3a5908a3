//! What a client sees when an upstream is down, leaves, or breaks off, and the other way round.

use super::stop;
use crate::support::cases::check;
use crate::support::message::{Flaw, response as parse, shown};
use crate::support::raw::{End, Raw};
use crate::support::sidecar::{PATIENCE, before};
use crate::support::witness::{OK, Witness, response};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: m\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\nabc";

#[test]
fn an_upstream_that_is_down_is_told_at_once() {
    let nobody: SocketAddr = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let sidecar = before(nobody).start();
    // Sooner than the client's patience ends.
    for request in [GET, POST, GET] {
        let mut client = Raw::connect(sidecar.address);
        let answer = response(client.say(request)).unwrap();
        assert_eq!((answer.status(), answer.field("connection")), (502, Some("close")));
        assert_eq!(client.hear_all(), (Vec::new(), End::Closed));
    }
}

/// How an upstream gives up a connection that it has answered on once.
#[derive(Clone, Copy)]
enum Leaves {
    AtOnce,
    HalfAtOnce,
    /// With the request unread, so that the kernel resets.
    OnRequest,
    /// With the request read.
    HavingRead,
}

/// Plays two connections: the first is left, the second stays. Says when one left at once.
fn leaving(leaves: Leaves) -> (SocketAddr, mpsc::Receiver<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (left, leaving) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut first = Raw::accepted(listener.accept().unwrap().0);
        drop(first.hear_through("\r\n\r\n"));
        first.say(OK);
        match leaves {
            Leaves::AtOnce | Leaves::HalfAtOnce => first.finish(),
            Leaves::OnRequest => assert!(first.await_unread_byte()),
            Leaves::HavingRead => drop(first.hear_through("\r\n\r\n")),
        }
        let half = matches!(leaves, Leaves::HalfAtOnce).then_some(first);
        left.send(()).unwrap();
        let mut second = Raw::accepted(listener.accept().unwrap().0);
        drop(second.hear_through("\r\n\r\n"));
        second.say(OK).hear_all();
        drop(half);
    });
    (address, leaving)
}

#[test]
fn a_kept_connection_that_is_gone_costs_nobody_an_error() {
    let cases = [
        ("closed at once, GET", Leaves::AtOnce, GET),
        ("closed at once, POST", Leaves::AtOnce, POST),
        ("half-closed at once, GET", Leaves::HalfAtOnce, GET),
        ("half-closed at once, POST", Leaves::HalfAtOnce, POST),
        ("closed on the request, GET", Leaves::OnRequest, GET),
        ("closed on the request, POST", Leaves::OnRequest, POST),
        ("closed with the request read, GET", Leaves::HavingRead, GET),
    ]
    .map(|(name, leaves, next)| (name.to_owned(), (leaves, next)));
    check(&cases, |(leaves, next)| {
        let (address, left) = leaving(*leaves);
        let sidecar = before(address).start();
        let mut client = Raw::connect(sidecar.address);
        response(client.say(GET))?;
        if matches!(leaves, Leaves::AtOnce | Leaves::HalfAtOnce) {
            left.recv_timeout(PATIENCE).map_err(|error| error.to_string())?;
        }
        let answer = response(client.say(next))?;
        if answer.status() == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
}

#[test]
fn an_upstream_that_is_killed_in_the_middle_of_a_body_cuts_the_transfer() {
    let cases = [
        ("sized", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "abc"),
        ("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "abc\r\n"),
    ]
    .map(|(name, said, mark)| (name.to_owned(), (said, mark)));
    check(&cases, |(said, mark)| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, hearing) = mpsc::sync_channel::<()>(1);
        let said = *said;
        let upstream = std::thread::spawn(move || {
            let mut raw = Raw::accepted(listener.accept().unwrap().0);
            drop(raw.hear_through("\r\n\r\n"));
            raw.say(said);
            hearing.recv_timeout(PATIENCE).unwrap();
            raw.reset();
        });
        let sidecar = before(address).start();
        let mut client = Raw::connect(sidecar.address);
        client.say(GET).hear_through(mark).map_err(|end| format!("{end:?}"))?;
        heard.send(()).unwrap();
        let (rest, end) = client.hear_all();
        upstream.join().unwrap();
        stop(sidecar);
        let whole = [said.as_bytes(), &rest].concat();
        let is_cut = matches!(parse(&whole, "GET", Some(End::Reset)), Err(Flaw::Short));
        let is_over = end != End::Silent;
        if is_cut && is_over { Ok(()) } else { Err(format!("{end:?} after {}", shown(&rest))) }
    });
}

#[test]
fn an_upstream_that_is_killed_before_it_answers_is_502() {
    for request in [GET, POST] {
        let witness = Witness::playing(|raw| assert!(raw.await_unread_byte()));
        let sidecar = before(witness.address).start();
        let answer = response(Raw::connect(sidecar.address).say(request)).unwrap();
        assert_eq!(answer.status(), 502);
    }
}

/// By a close as by a reset, at every stage of an exchange.
#[test]
fn a_client_that_leaves_takes_its_upstream_connection_along() {
    let stages = [
        ("before an answer", GET, "", ""),
        ("within an answer", GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "abc"),
        (
            "within chunks",
            GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "abc",
        ),
        ("within its body", "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 9\r\n\r\nabc", "", ""),
    ];
    let cases = stages.into_iter().flat_map(|(name, request, said, mark)| {
        [("closes", false), ("resets", true)]
            .map(|(how, is_reset)| (format!("{how} {name}"), (request, said, mark, is_reset)))
    });
    check(&cases.collect::<Vec<_>>(), |(request, said, mark, is_reset)| {
        let said = *said;
        let (arrived, arrival) = mpsc::sync_channel(1);
        let (closed, closing) = mpsc::sync_channel(1);
        let witness = Witness::playing(move |raw| {
            if raw.hear_through("\r\n\r\n").is_ok() {
                raw.say(said);
                arrived.send(()).unwrap();
                closed.send(raw.hear_all().1).unwrap();
            }
        });
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        client.say(request);
        arrival.recv_timeout(PATIENCE).map_err(|_| "nothing arrived")?;
        if !mark.is_empty() {
            client.hear_through(mark).map_err(|end| format!("{end:?}"))?;
        }
        if *is_reset {
            client.reset();
        } else {
            drop(client);
        }
        // The sidecar is still there, and has to do it by itself.
        let end = closing.recv_timeout(Duration::from_secs(5)).map_err(|_| "left open")?;
        super::stop(sidecar);
        drop(witness.finish_bytes());
        if end == End::Silent { Err("left open".into()) } else { Ok(()) }
    });
}

#[test]
fn clients_that_never_finish_their_heads_stop_nobody() {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let starts =
        ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: m\r\nX: ", "PRI * HTTP/2.0\r\n"];
    let _slow: Vec<_> = (0..300)
        .map(|at| {
            let mut client = Raw::connect(sidecar.address);
            client.say(starts[at % starts.len()]);
            client
        })
        .collect();
    for _ in 0..20 {
        super::probe(&sidecar).unwrap();
    }
}

#[test]
fn an_exchange_that_hangs_stops_no_other() {
    let hung = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hung);
    let (arrived, arrival) = mpsc::sync_channel(50);
    let witness = Witness::playing(move |raw| {
        let Ok(head) = raw.hear_through("\r\n\r\n") else { return };
        if head.starts_with(b"GET /hang") {
            count.fetch_add(1, Ordering::SeqCst);
            arrived.send(()).unwrap();
        } else {
            raw.say(OK);
        }
        drop(raw.hear_all());
    });
    let sidecar = before(witness.address).start();
    let hanging: Vec<_> = (0..50)
        .map(|_| {
            let mut client = Raw::connect(sidecar.address);
            client.say("GET /hang HTTP/1.1\r\nHost: m\r\n\r\n");
            client
        })
        .collect();
    (0..50).for_each(|_| arrival.recv_timeout(PATIENCE).unwrap());
    super::probe(&sidecar).unwrap();
    drop(hanging);
    assert_eq!(hung.load(Ordering::SeqCst), 50);
}
