//! Upgrades (RFC 9110 section 7.8): once an upstream switches, bytes pass both ways as they are.

use super::stop;
use crate::support::raw::{End, Raw};
use crate::support::sidecar::{PATIENCE, Sidecar, before};
use crate::support::wire::noise;
use crate::support::witness::{OK, Witness, response};
use std::sync::mpsc;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: m\r\nX-Request-Id: r\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Switches, and then does as `act` says.
fn switching(act: impl Fn(&mut Raw) + Send + Sync + 'static) -> Witness {
    Witness::playing(move |raw| {
        if raw.hear_through("\r\n\r\n").is_ok() {
            raw.say(SWITCH);
            act(raw);
        }
    })
}

fn echo(raw: &mut Raw) {
    while raw.hear(|bytes, _| (!bytes.is_empty()).then_some(((), 0))).is_ok() {
        let length = raw.unread().len();
        let heard = raw.take(length);
        raw.say(heard);
    }
}

fn upgraded(sidecar: &Sidecar) -> Raw {
    let mut client = Raw::connect(sidecar.address);
    let answer = response(client.say(UPGRADE)).unwrap();
    assert_eq!(answer.status(), 101);
    client
}

#[test]
fn heads_of_an_upgrade_pass_whole() {
    let witness = switching(|raw| drop(raw.hear_all()));
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    let answer = response(client.say(UPGRADE)).unwrap();
    drop(client);
    stop(sidecar);
    let seen = witness.finish().whole.remove(0);
    assert_eq!(answer.start, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(answer.field("upgrade"), Some("websocket"));
    assert!(answer.field("connection").unwrap().eq_ignore_ascii_case("upgrade"));
    assert_eq!(answer.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (None, None));
    assert_eq!(
        (seen.start.as_str(), seen.field("upgrade")),
        ("GET /chat HTTP/1.1", Some("websocket"))
    );
    assert!(seen.field("connection").unwrap().eq_ignore_ascii_case("upgrade"));
    assert_eq!(seen.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(seen.field("sec-websocket-version"), Some("13"));
}

#[test]
fn bytes_pass_both_ways_one_by_one() {
    let witness = switching(echo);
    let sidecar = before(witness.address).start();
    let mut client = upgraded(&sidecar);
    for byte in 0..=u8::MAX {
        assert_eq!(client.say([byte]).hear_exactly(1), Ok(vec![byte]));
    }
}

#[test]
fn much_passes_both_ways() {
    let witness = switching(echo);
    let sidecar = before(witness.address).start();
    let mut client = upgraded(&sidecar);
    for piece in noise(1 << 20).chunks(50_000) {
        assert!(client.say(piece).hear_exactly(piece.len()).unwrap() == piece);
    }
}

#[test]
fn bytes_right_behind_the_switch_and_the_request_are_not_lost() {
    let witness = Witness::playing(|raw| {
        drop(raw.hear_through("\r\n\r\n"));
        raw.say(format!("{SWITCH}server first"));
        raw.hear_through("client first").unwrap();
        raw.say(" and last");
        drop(raw.hear_all());
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    let answer = response(client.say(format!("{UPGRADE}client first"))).unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(client.hear_exactly(21).unwrap(), b"server first and last");
}

#[test]
fn a_client_that_says_no_more_still_hears() {
    let witness = switching(|raw| {
        let (heard, end) = raw.hear_all();
        assert_eq!((&*heard, end), (&b"done"[..], End::Closed));
        raw.say("as you wish");
    });
    let sidecar = before(witness.address).start();
    let mut client = upgraded(&sidecar);
    client.say("done").finish();
    assert_eq!(client.hear_all(), (b"as you wish".to_vec(), End::Closed));
    drop(client);
    stop(sidecar);
    drop(witness.finish_bytes());
}

#[test]
fn an_upstream_that_says_no_more_still_hears() {
    let (report, heard) = mpsc::sync_channel(1);
    let witness = switching(move |raw| {
        raw.say("done").finish();
        report.send(raw.hear_all()).unwrap();
    });
    let sidecar = before(witness.address).start();
    let mut client = upgraded(&sidecar);
    assert_eq!(client.hear_all(), (b"done".to_vec(), End::Closed));
    client.say("as you wish").finish();
    let heard = heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!(heard, (b"as you wish".to_vec(), End::Closed));
}

#[test]
fn an_end_by_reset_reaches_the_other_side() {
    let witness = switching(|raw| drop(raw.hear_all()));
    let sidecar = before(witness.address).start();
    upgraded(&sidecar).reset();
    // Heard to its end while the sidecar still serves.
    drop(witness.finish_bytes());
    stop(sidecar);
}

#[test]
fn an_upstream_may_answer_as_if_nothing_had_been_asked() {
    for said in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: HTTP/3.0\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let witness = Witness::answering(move |request| {
            let is_first = request.start.contains("/chat");
            if is_first { said.as_bytes().to_vec() } else { OK.to_vec() }
        });
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        let refused = response(client.say(UPGRADE)).unwrap();
        assert_eq!(refused.start, said.lines().next().unwrap());
        assert_eq!(refused.body, b"ok");
        assert_eq!(response(client.say(super::PROBE)).unwrap().status(), 200, "{said}");
    }
}

#[test]
fn a_switch_that_was_not_asked_for_opens_no_tunnel() {
    let witness = switching(|raw| {
        raw.say("raw");
        drop(raw.hear_all());
    });
    for asking in [
        super::PROBE.to_owned(),
        UPGRADE.replace("Connection: Upgrade\r\n", ""),
        UPGRADE.replace("Upgrade: websocket\r\n", ""),
        UPGRADE.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let sidecar = before(witness.address).start();
        let answer = response(Raw::connect(sidecar.address).say(&asking)).unwrap();
        assert_eq!(answer.status(), 502, "{asking:?}");
        stop(sidecar);
    }
}

#[test]
fn a_post_may_ask_as_well_and_protocols_need_not_be_known() {
    let witness = Witness::playing(|raw| {
        drop(raw.hear_through("\r\n\r\nab"));
        raw.say("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: model-stream/2\r\n\r\n");
        echo(raw);
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    client.say("POST / HTTP/1.1\r\nHost: m\r\nConnection: keep-alive, Upgrade\r\nUpgrade: model-stream/2\r\nContent-Length: 2\r\n\r\nab");
    let answer = response(&mut client).unwrap();
    assert_eq!((answer.status(), answer.field("upgrade")), (101, Some("model-stream/2")));
    assert_eq!(client.say("both ways").hear_exactly(9).unwrap(), b"both ways");
}
