//! Floods over HTTP/2: what costs the sender little has to cost the sidecar, and its upstream, no more.

use super::{probe, stop};
use crate::support::frames::{
    CONTINUATION, Connection, END_HEADERS, END_STREAM, HEADERS, Outcome, PING, RST_STREAM,
    SETTINGS, WHOLE, block, frame, request, setting,
};
use crate::support::raw::End;
use crate::support::sidecar::{Sidecar, before};
use crate::support::witness::Witness;
use taffrail::config::UpstreamProtocol;

fn start(witness: &Witness) -> Sidecar {
    let setup = before(witness.address);
    setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1).start()
}

/// More than all buffers of the kernel between here and there.
const TOO_MUCH: usize = 96 << 20;

#[test]
fn a_head_without_end_is_given_up() {
    let witness = Witness::agreeing();
    let sidecar = start(&witness);
    let mut client = Connection::open(sidecar.address);
    client.say(frame(HEADERS, END_STREAM, 1, request("GET", &[])));
    let more = frame(CONTINUATION, 0, 1, block(&[("x", "a".repeat(1000))]));
    let said = client.raw.say_until_refused(&more.repeat(16), TOO_MUCH);
    assert!(said < TOO_MUCH, "all of it was taken");
    let outcome = client.outcome(1);
    let is_over = !matches!(outcome, Outcome::Answered(200) | Outcome::Ended(End::Silent));
    assert!(is_over, "{outcome:?}");
    probe(&sidecar).unwrap();
    stop(sidecar);
    assert_eq!(witness.finish().whole.len(), 1, "the probe alone");
}

#[test]
fn empty_continuations_without_end_are_given_up() {
    let witness = Witness::agreeing();
    let sidecar = start(&witness);
    let mut client = Connection::open(sidecar.address);
    client.say(frame(HEADERS, END_STREAM, 1, request("GET", &[])));
    client.say(frame(CONTINUATION, 0, 1, []).repeat(100_000));
    let outcome = client.outcome(1);
    assert!(
        matches!(
            outcome,
            Outcome::GoAway(1..) | Outcome::Reset(_) | Outcome::Ended(End::Closed | End::Reset)
        ),
        "{outcome:?}"
    );
    probe(&sidecar).unwrap();
}

/// Each stream is taken back as soon as it was asked for (CVE-2023-44487).
#[test]
fn streams_that_are_reset_at_once_reach_the_upstream_no_more_than_a_few_hundred_times() {
    const STREAMS: u32 = 4000;
    let witness = Witness::agreeing();
    let sidecar = start(&witness);
    let mut client = Connection::open(sidecar.address);
    for at in 0..STREAMS {
        let stream = 2 * at + 1;
        let reset = frame(RST_STREAM, 0, stream, 8u32.to_be_bytes());
        client.say([frame(HEADERS, WHOLE, stream, request("GET", &[])), reset].concat());
    }
    let outcome = client.outcome(2 * STREAMS - 1);
    assert!(!matches!(outcome, Outcome::Answered(200)), "the last one was reset too");
    drop(client);
    probe(&sidecar).unwrap();
    stop(sidecar);
    let seen = witness.finish().whole.len();
    assert!(seen <= 500, "{outcome:?}, and the upstream saw {seen}");
}

#[test]
fn pings_without_end_are_not_gathered() {
    flood(&frame(PING, 0, 0, [7; 8]));
}

#[test]
fn settings_without_end_are_not_gathered() {
    flood(&frame(SETTINGS, 0, 0, setting(3, 100)));
}

/// Answers are owed for all of them, and none is ever read: they cannot be kept, so that either
/// no more is taken or the connection ends.
fn flood(piece: &[u8]) {
    let witness = Witness::agreeing();
    let sidecar = start(&witness);
    let mut client = Connection::open(sidecar.address);
    let said = client.raw.say_until_refused(&piece.repeat(1000), TOO_MUCH);
    assert!(said < TOO_MUCH, "all of it was taken");
    probe(&sidecar).unwrap();
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let witness = Witness::agreeing();
    let sidecar = start(&witness);
    let mut client = Connection::open(sidecar.address);
    for at in 0..2000 {
        client.say(frame(HEADERS, END_HEADERS, 2 * at + 1, request("POST", &[])));
    }
    let outcome = client.outcome(3999);
    assert!(
        matches!(
            outcome,
            Outcome::Reset(_) | Outcome::GoAway(1..) | Outcome::Ended(End::Closed | End::Reset)
        ),
        "{outcome:?}"
    );
    probe(&sidecar).unwrap();
}
