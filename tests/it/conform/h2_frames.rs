//! Frames that break HTTP/2 (RFC 9113 sections 4 to 6), and odd ones that do not.

use super::stop;
use crate::support::cases::check;
use crate::support::frames::{
    ACK, CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Outcome, PADDED,
    PING, PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WHOLE, WINDOW_UPDATE, block,
    frame, request, setting,
};
use crate::support::message::shown;
use crate::support::raw::{End, Raw};
use crate::support::sidecar::before;
use crate::support::witness::Witness;
use taffrail::config::UpstreamProtocol;

/// Frames behind the prefaces; then comes a request on a stream that was not used before.
const LATER: u32 = 101;

fn outcome(said: &[u8], stream: u32) -> Outcome {
    outcome_of(&[said, &frame(HEADERS, WHOLE, LATER, request("GET", &[]))].concat(), stream)
}

fn outcome_of(said: &[u8], stream: u32) -> Outcome {
    let witness = Witness::agreeing();
    let setup = before(witness.address);
    let sidecar = setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1).start();
    let mut client = Connection::open(sidecar.address);
    let outcome = client.say(said).outcome(stream);
    drop(client);
    stop(sidecar);
    drop(witness.finish_bytes());
    outcome
}

/// The connection is given up, so that the request behind is not answered.
fn ends_connection(said: &[u8]) -> Result<(), String> {
    match outcome(said, LATER) {
        Outcome::GoAway(1..) | Outcome::Ended(End::Closed | End::Reset) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// Stream 1 or the connection is given up.
fn ends_stream(said: &[u8]) -> Result<(), String> {
    match outcome(said, 1) {
        Outcome::GoAway(1..) | Outcome::Reset(_) | Outcome::Ended(End::Closed | End::Reset) => {
            Ok(())
        }
        other => Err(format!("{other:?}")),
    }
}

fn named<const N: usize>(cases: [(&str, Vec<u8>); N]) -> [(String, Vec<u8>); N] {
    cases.map(|(name, said)| (name.to_owned(), said))
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, request("GET", &[]))
}

fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, request("POST", &[]))
}

#[test]
fn a_frame_on_the_wrong_stream_ends_the_connection() {
    let zeros = [0; 4];
    let cases = named([
        ("DATA on an idle stream", frame(DATA, 0, 1, "abc")),
        ("DATA that ends an idle stream", frame(DATA, END_STREAM, 1, "")),
        ("DATA on stream 0", frame(DATA, 0, 0, "abc")),
        ("HEADERS on stream 0", get(0)),
        ("HEADERS on an even stream", get(2)),
        ("HEADERS on a stream below the last", [get(5), get(3)].concat()),
        ("RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, zeros)),
        ("RST_STREAM on an idle stream", frame(RST_STREAM, 0, 1, zeros)),
        ("WINDOW_UPDATE on an idle stream", frame(WINDOW_UPDATE, 0, 1, 1u32.to_be_bytes())),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, [])),
        ("PING on a stream", frame(PING, 0, 1, [0; 8])),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, [0; 8])),
        (
            "PUSH_PROMISE of a client",
            frame(PUSH_PROMISE, END_HEADERS, 1, [&[0, 0, 0, 2], &request("GET", &[])[..]].concat()),
        ),
        ("PRIORITY on stream 0", frame(PRIORITY, 0, 0, [0; 5])),
        ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, request("GET", &[]))),
        (
            "CONTINUATION of a whole head",
            [get(1), frame(CONTINUATION, END_HEADERS, 1, [])].concat(),
        ),
        (
            "CONTINUATION on another stream",
            [
                frame(HEADERS, END_STREAM, 1, request("GET", &[])),
                frame(CONTINUATION, END_HEADERS, 3, []),
            ]
            .concat(),
        ),
        (
            "DATA within a head",
            [frame(HEADERS, 0, 1, request("POST", &[])), frame(DATA, 0, 1, "a")].concat(),
        ),
        (
            "PING within a head",
            [frame(HEADERS, 0, 1, request("POST", &[])), frame(PING, 0, 0, [0; 8])].concat(),
        ),
        ("HEADERS within a head", [frame(HEADERS, 0, 1, request("POST", &[])), get(3)].concat()),
        (
            "an unknown frame within a head",
            [frame(HEADERS, 0, 1, request("POST", &[])), frame(0x42, 0, 1, "a")].concat(),
        ),
    ]);
    check(&cases, |said| ends_connection(said));
}

#[test]
fn a_frame_of_the_wrong_size_or_content_ends_the_connection() {
    let most = u32::MAX >> 1;
    let cases = named([
        ("DATA over the largest size", [post(1), frame(DATA, 0, 1, vec![0; 16_385])].concat()),
        (
            "HEADERS over the largest size",
            frame(HEADERS, WHOLE, 1, [request("GET", &[]), vec![0; 16_385]].concat()),
        ),
        ("an unknown frame over the largest size", frame(0x42, 0, 0, vec![0; 16_385])),
        ("SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, [0; 5])),
        ("an acknowledgement with settings", frame(SETTINGS, ACK, 0, setting(1, 0))),
        ("ENABLE_PUSH 2", frame(SETTINGS, 0, 0, setting(2, 2))),
        ("INITIAL_WINDOW_SIZE 2^31", frame(SETTINGS, 0, 0, setting(4, most + 1))),
        ("MAX_FRAME_SIZE below", frame(SETTINGS, 0, 0, setting(5, 16_383))),
        ("MAX_FRAME_SIZE above", frame(SETTINGS, 0, 0, setting(5, 1 << 24))),
        ("PING of 7 bytes", frame(PING, 0, 0, [0; 7])),
        ("PING of 9 bytes", frame(PING, 0, 0, [0; 9])),
        ("GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, [0; 7])),
        ("WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, [0; 3])),
        ("WINDOW_UPDATE 0", frame(WINDOW_UPDATE, 0, 0, [0; 4])),
        ("WINDOW_UPDATE over 2^31 - 1", frame(WINDOW_UPDATE, 0, 0, most.to_be_bytes())),
        ("RST_STREAM of 3 bytes", [post(1), frame(RST_STREAM, 0, 1, [0; 3])].concat()),
        (
            "DATA that is all padding and more",
            [post(1), frame(DATA, PADDED, 1, [4, 0, 0, 0])].concat(),
        ),
        (
            "DATA with no room for the length of its padding",
            [post(1), frame(DATA, PADDED, 1, [])].concat(),
        ),
        (
            "HEADERS that are all padding and more",
            frame(HEADERS, WHOLE | PADDED, 1, [&[255], &request("GET", &[])[..]].concat()),
        ),
        ("HEADERS with half a priority", frame(HEADERS, WHOLE | 0x20, 1, [0, 0])),
        ("index 0 of the table", frame(HEADERS, WHOLE, 1, [0x80])),
        ("an index beyond the table", frame(HEADERS, WHOLE, 1, [0xff, 0xff, 0x01])),
        (
            "an index without an end",
            frame(HEADERS, WHOLE, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ),
        ("half a literal", frame(HEADERS, WHOLE, 1, [0x00, 0x05, b'a'])),
        (
            "a table larger than allowed",
            frame(
                HEADERS,
                WHOLE,
                1,
                [&[0x3f, 0xff, 0xff, 0x7f][..], &request("GET", &[])].concat(),
            ),
        ),
        ("a name that is padded wrongly", frame(HEADERS, WHOLE, 1, [0x00, 0x81, 0x00, 0x01, b'a'])),
    ]);
    check(&cases, |said| ends_connection(said));
}

#[test]
fn a_frame_that_breaks_a_stream_ends_it() {
    let most = (u32::MAX >> 1).to_be_bytes();
    let cases = named([
        ("WINDOW_UPDATE 0", [post(1), frame(WINDOW_UPDATE, 0, 1, [0; 4])].concat()),
        ("WINDOW_UPDATE over 2^31 - 1", [post(1), frame(WINDOW_UPDATE, 0, 1, most)].concat()),
        ("PRIORITY of 4 bytes", [post(1), frame(PRIORITY, 0, 1, [0; 4])].concat()),
        ("a second head", [post(1), post(1)].concat()),
        ("DATA on a stream below the last", [get(3), frame(DATA, 0, 1, "abc")].concat()),
    ]);
    check(&cases, |said| ends_stream(said));
}

/// The stream may have been answered by then, but what comes is not taken as part of it.
#[test]
fn a_frame_behind_the_end_of_a_stream_changes_nothing() {
    let whole = frame(DATA, END_STREAM, 1, "abc");
    let cases = named([
        ("DATA", [post(1), whole.clone(), frame(DATA, END_STREAM, 1, "def")].concat()),
        ("HEADERS", [post(1), whole, frame(HEADERS, WHOLE, 1, block(&[("x", "y")]))].concat()),
    ]);
    check(&cases, |said| {
        let witness = Witness::agreeing();
        let setup = before(witness.address);
        let sidecar =
            setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1).start();
        let mut client = Connection::open(sidecar.address);
        let outcome = client.say(said).outcome(1);
        drop(client);
        stop(sidecar);
        let seen = witness.finish();
        let is_more =
            seen.whole.iter().any(|seen| seen.body != b"abc" || !seen.trailers.is_empty());
        if is_more || outcome == Outcome::Ended(End::Silent) {
            return Err(format!("{outcome:?} and {seen:?}"));
        }
        Ok(())
    });
}

#[test]
fn what_is_no_preface_is_not_answered_as_http_2() {
    let settings = frame(SETTINGS, 0, 0, []);
    let cases = named([
        ("a byte that differs", [&PREFACE[..23], b"\r", &settings].concat()),
        ("another method", [b"PRJ * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat()),
        ("frames without a preface", [&settings[..], &get(1)].concat()),
    ]);
    check(&cases, |said| is_no_http_2(said));
}

/// RFC 9113 section 3.4: the preface includes them, though nothing goes wrong without.
#[test]
fn a_preface_without_settings_is_none() {
    let cases = named([
        ("a request behind", [PREFACE, &get(1)].concat()),
        ("an acknowledgement behind", [PREFACE, &frame(SETTINGS, ACK, 0, []), &get(1)].concat()),
    ]);
    check(&cases, |said| is_no_http_2(said));
}

fn is_no_http_2(said: &[u8]) -> Result<(), String> {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let (heard, end) = Raw::connect(sidecar.address).say(said).hear_all();
    stop(sidecar);
    let seen = witness.finish_bytes();
    if end == End::Silent || !seen.is_empty() {
        return Err(format!("{end:?} after {}, and {} upstream", shown(&heard), seen.len()));
    }
    Ok(())
}

#[test]
fn odd_frames_that_are_legal_change_nothing() {
    let padded = |bytes: &[u8]| [&[2], bytes, &[0, 0]].concat();
    let fields = request("GET", &[]);
    let split = fields.split_at(7);
    let prioritised = [&[0, 0, 0, 0, 16], &fields[..]].concat();
    let mut reserved = get(1);
    reserved[5] |= 0x80;
    let cases = named([
        ("nothing odd", get(1)),
        ("an unknown frame", [frame(0x42, 0xff, 0, "abc"), get(1)].concat()),
        (
            "an unknown frame on a stream",
            [post(1), frame(0x42, 0, 1, "abc"), frame(DATA, END_STREAM, 1, "")].concat(),
        ),
        ("an unknown setting", [frame(SETTINGS, 0, 0, setting(0x4242, 7)), get(1)].concat()),
        ("empty settings", [frame(SETTINGS, 0, 0, []), get(1)].concat()),
        ("unknown flags", frame(HEADERS, WHOLE | 0xc2, 1, &fields)),
        ("PRIORITY of an idle stream", [frame(PRIORITY, 0, 3, [0, 0, 0, 0, 1]), get(1)].concat()),
        ("a priority in the head", frame(HEADERS, WHOLE | 0x20, 1, prioritised)),
        ("a padded head", frame(HEADERS, WHOLE | PADDED, 1, padded(&fields))),
        ("padded data", [post(1), frame(DATA, END_STREAM | PADDED, 1, padded(b"abc"))].concat()),
        (
            "data that is only padding",
            [post(1), frame(DATA, PADDED, 1, [2, 0, 0]), frame(DATA, END_STREAM, 1, "")].concat(),
        ),
        (
            "empty data",
            [post(1), frame(DATA, 0, 1, "").repeat(5), frame(DATA, END_STREAM, 1, "")].concat(),
        ),
        (
            "a head in two",
            [frame(HEADERS, END_STREAM, 1, split.0), frame(CONTINUATION, END_HEADERS, 1, split.1)]
                .concat(),
        ),
        (
            "an empty continuation",
            [frame(HEADERS, END_STREAM, 1, &fields), frame(CONTINUATION, END_HEADERS, 1, [])]
                .concat(),
        ),
        ("the reserved bit of a stream", reserved),
        ("streams left out", [get(7), get(1001)].concat()),
        ("a ping", [frame(PING, 0, 0, *b"12345678"), get(1)].concat()),
        ("an answer to no ping", [frame(PING, ACK, 0, *b"12345678"), get(1)].concat()),
        ("a wider window", [frame(WINDOW_UPDATE, 0, 0, 65_535u32.to_be_bytes()), get(1)].concat()),
        ("a table of nothing", frame(HEADERS, WHOLE, 1, [&[0x20], &fields[..]].concat())),
        (
            "a reset of an answered stream",
            [get(1), frame(WINDOW_UPDATE, 0, 1, 1u32.to_be_bytes())].concat(),
        ),
    ]);
    check(&cases, |said| {
        let stream = if *said == [get(7), get(1001)].concat() { 1001 } else { 1 };
        match outcome_of(said, stream) {
            Outcome::Answered(200) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn pings_are_answered_with_what_they_said() {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    client.say(frame(PING, 0, 0, *b"8 bytes!"));
    let answer = loop {
        let heard = client.hear().unwrap();
        if heard.kind == PING {
            break heard;
        }
    };
    assert_eq!((answer.flags, &*answer.payload), (ACK, &b"8 bytes!"[..]));
}
