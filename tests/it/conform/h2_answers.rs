//! Answers over HTTP/2 that are malformed: never passed on as whole, to a client of either version.

use super::stop;
use crate::support::cases::{Case, check};
use crate::support::frames::{
    Connection, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, RST_STREAM, WHOLE, block, frame,
    request,
};
use crate::support::message::{response as parse, shown};
use crate::support::raw::{End, Raw};
use crate::support::sidecar::before;
use crate::support::witness::Witness;
use taffrail::config::UpstreamProtocol;

/// An answer to stream 1, which the first request on a connection always is.
fn answering(said: &[u8]) -> Witness {
    let said = said.to_vec();
    Witness::playing(move |raw| {
        let mut peer = Connection::accept(raw);
        while let Ok(heard) = peer.next() {
            if heard.kind == HEADERS && heard.stream == 1 {
                peer.say(&said);
            }
        }
    })
}

fn of_h2(said: &[u8]) -> Result<(), String> {
    let witness = answering(said);
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    let outcome = client.say(frame(HEADERS, WHOLE, 1, request("GET", &[]))).outcome(1);
    drop(client);
    stop(sidecar);
    drop(witness.finish_bytes());
    match outcome {
        Outcome::Answered(502) | Outcome::Reset(1..) | Outcome::GoAway(1..) => Ok(()),
        other => Err(format!("over HTTP/2 {other:?}")),
    }
}

fn of_h1(said: &[u8]) -> Result<(), String> {
    let witness = answering(said);
    let setup = before(witness.address);
    let sidecar = setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::H2c).start();
    let mut client = Raw::connect(sidecar.address);
    let probe = super::PROBE.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let (heard, end) = client.say(probe).hear_all();
    drop(client);
    stop(sidecar);
    drop(witness.finish_bytes());
    let is_cut = parse(&heard, "GET", None).is_err();
    let is_refused = heard.starts_with(b"HTTP/1.1 502 ");
    if end != End::Silent && (is_cut || is_refused) {
        return Ok(());
    }
    Err(format!("over HTTP/1.1 {end:?} after {}", shown(&heard)))
}

fn check_both(cases: &[Case<Vec<u8>>]) {
    check(cases, |said| of_h2(said).and_then(|()| of_h1(said)));
}

fn head(flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags, 1, block(fields))
}

fn data(flags: u8, bytes: &str) -> Vec<u8> {
    frame(DATA, flags, 1, bytes)
}

#[test]
fn a_malformed_head_of_an_answer_is_not_passed_on() {
    let ok = (":status", "200");
    let cases = [
        ("no status", head(WHOLE, &[("x", "y")])),
        ("a status that is no number", head(WHOLE, &[(":status", "abc")])),
        ("a status of two digits", head(WHOLE, &[(":status", "99")])),
        ("a status of four digits", head(WHOLE, &[(":status", "1000")])),
        ("two statuses", head(WHOLE, &[ok, (":status", "201")])),
        ("a status behind a field", head(WHOLE, &[("x", "y"), ok])),
        ("connection", head(WHOLE, &[ok, ("connection", "close")])),
        ("transfer-encoding", head(WHOLE, &[ok, ("transfer-encoding", "chunked")])),
        ("a capital", head(WHOLE, &[ok, ("X", "y")])),
        ("CR LF in a value", head(WHOLE, &[ok, ("x", "a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")])),
        ("NUL in a value", head(WHOLE, &[ok, ("x", "a\0b")])),
        ("a space in a name", head(WHOLE, &[ok, ("x y", "a")])),
        ("two lengths", head(WHOLE, &[ok, ("content-length", "0"), ("content-length", "1")])),
        ("a length in words", head(WHOLE, &[ok, ("content-length", "none")])),
        ("a switch", head(WHOLE, &[(":status", "101")])),
        ("data before it", [data(0, "abc"), head(WHOLE, &[ok])].concat()),
        ("a reset instead", frame(RST_STREAM, 0, 1, 2u32.to_be_bytes())),
    ];
    check_both(&cases.map(|(name, said)| (name.to_owned(), said)));
}

#[test]
fn a_body_of_an_answer_that_is_not_as_long_as_said_is_cut() {
    let sized = |length| head(END_HEADERS, &[(":status", "200"), ("content-length", length)]);
    let cases = [
        ("less", [sized("5"), data(END_STREAM, "abc")].concat()),
        ("nothing", [sized("5"), data(END_STREAM, "")].concat()),
        ("more", [sized("3"), data(END_STREAM, "abcd")].concat()),
        ("less, then trailers", [sized("5"), data(0, "abc"), head(WHOLE, &[("x", "y")])].concat()),
        (
            "a bad trailer",
            [
                head(END_HEADERS, &[(":status", "200")]),
                data(0, "abc"),
                head(WHOLE, &[("x", "a\0")]),
            ]
            .concat(),
        ),
    ];
    check_both(&cases.map(|(name, said)| (name.to_owned(), said)));
}

/// Over HTTP/1.1 the client had all that was promised by then; over HTTP/2 the end can still tell.
#[test]
fn what_comes_behind_a_body_of_the_length_said_resets_the_stream() {
    let sized = |length| head(END_HEADERS, &[(":status", "200"), ("content-length", length)]);
    let cases = [
        ("in pieces", [sized("3"), data(0, "abc"), data(END_STREAM, "d")].concat()),
        ("behind nothing", [sized("0"), data(END_STREAM, "a")].concat()),
    ];
    check(&cases.map(|(name, said)| (name.to_owned(), said)), |said| of_h2(said));
}
