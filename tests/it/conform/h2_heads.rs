//! Requests over HTTP/2 that are malformed (RFC 9113 section 8): the stream or the connection is
//! given up, or 400 said, and no upstream sees a whole request, whichever protocol it speaks.

use super::stop;
use crate::support::cases::{Case, check};
use crate::support::frames::{
    CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, Outcome, WHOLE, agree,
    block, frame, frames, request,
};
use crate::support::raw::End;
use crate::support::sidecar::before;
use crate::support::witness::Witness;
use taffrail::config::UpstreamProtocol;

/// Frames behind the prefaces, of which stream 1 is the one that counts.
type Frames = Vec<u8>;

fn is_refusal(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Answered(status) => [400, 405, 431, 501].contains(status),
        Outcome::Reset(_) => true,
        Outcome::GoAway(code) => *code != 0,
        Outcome::Ended(end) => *end != End::Silent,
    }
}

/// What an upstream of HTTP/2 sees of these frames: streams begun, and streams that were whole.
fn seen_by_h2(said: &Frames) -> (Outcome, usize, usize) {
    let witness = Witness::playing(agree);
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    let outcome = client.say(said).outcome(1);
    drop(client);
    stop(sidecar);
    let heard: Vec<Frame> = witness.finish_bytes().iter().flat_map(|bytes| frames(bytes)).collect();
    let begun = heard.iter().filter(|frame| frame.kind == HEADERS).count();
    let is_end =
        |frame: &&Frame| matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
    (outcome, begun, heard.iter().filter(is_end).count())
}

fn seen_by_h1(said: &Frames) -> (Outcome, usize, usize) {
    let witness = Witness::agreeing();
    let setup = before(witness.address);
    let sidecar = setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1).start();
    let mut client = Connection::open(sidecar.address);
    let outcome = client.say(said).outcome(1);
    drop(client);
    stop(sidecar);
    let seen = witness.finish();
    (outcome, seen.whole.len() + seen.broken.len(), seen.whole.len())
}

/// `may_begin` is of those whose fault shows only once the upstream was told of them.
fn refused(said: &Frames, may_begin: bool) -> Result<(), String> {
    for (upstream, see) in [("h2", seen_by_h2 as fn(&Frames) -> _), ("h1", seen_by_h1)] {
        let (outcome, begun, whole) = see(said);
        if !is_refusal(&outcome) || whole > 0 || begun > 0 && !may_begin {
            return Err(format!("{outcome:?}; the {upstream} upstream saw {begun}, {whole} whole"));
        }
    }
    Ok(())
}

fn whole(name: &str, block: impl AsRef<[u8]>) -> Case<Frames> {
    (name.to_owned(), frame(HEADERS, WHOLE, 1, block))
}

fn with(name: &str, fields: &[(&str, &str)]) -> Case<Frames> {
    whole(name, request("GET", fields))
}

#[test]
fn fields_that_do_not_belong_are_refused() {
    let cases = [
        with("connection: close", &[("connection", "close")]),
        with("connection: te", &[("connection", "te"), ("te", "trailers")]),
        with("an empty connection", &[("connection", "")]),
        with("keep-alive", &[("keep-alive", "timeout=5")]),
        with("proxy-connection", &[("proxy-connection", "keep-alive")]),
        with("transfer-encoding: chunked", &[("transfer-encoding", "chunked")]),
        with("transfer-encoding: identity", &[("transfer-encoding", "identity")]),
        with("upgrade: websocket", &[("upgrade", "websocket")]),
        with("upgrade: h2c", &[("connection", "upgrade"), ("upgrade", "h2c")]),
        with("te: gzip", &[("te", "gzip")]),
        with("te: trailers, gzip", &[("te", "trailers, gzip")]),
        with("a name with a capital", &[("X-upper", "1")]),
        with("a name with a capital last", &[("x-uppeR", "1")]),
        with("Host in capitals", &[("HOST", "m")]),
        with("an empty name", &[("", "1")]),
        with("a space in a name", &[("x y", "1")]),
        with("a space behind a name", &[("x ", "1")]),
        with("a colon in a name", &[("x:y", "1")]),
        with("NUL in a name", &[("x\0", "1")]),
        with("CR LF in a name", &[("x\r\ny", "1")]),
        with("0x7f in a name", &[("x\x7f", "1")]),
        with("a byte over 127 in a name", &[("x\u{e9}", "1")]),
        with("NUL in a value", &[("x", "a\0b")]),
        with("CR in a value", &[("x", "a\rb")]),
        with("LF in a value", &[("x", "a\nb")]),
        with("a request in a value", &[("x", "a\r\n\r\nGET /hidden HTTP/1.1\r\nhost: m\r\n\r\n")]),
        with("a field in a value", &[("x", "a\r\ncontent-length: 5")]),
        with("two lengths", &[("content-length", "0"), ("content-length", "1")]),
        with("a length in a list", &[("content-length", "0, 1")]),
        with("a length with a sign", &[("content-length", "+0")]),
        with("a length below 0", &[("content-length", "-1")]),
        with("a length in words", &[("content-length", "none")]),
        with("a length over 64 bits", &[("content-length", "18446744073709551616")]),
        with("an empty length", &[("content-length", "")]),
        with("a host that is another", &[("host", "n")]),
        with("two hosts", &[("host", "m"), ("host", "n")]),
        with("a host that is a list", &[("host", "m, n")]),
    ];
    check(&cases, |said| refused(said, false));
}

#[test]
fn pseudo_fields_that_are_not_as_they_should_be_are_refused() {
    let get = (":method", "GET");
    let (http, root, m) = ((":scheme", "http"), (":path", "/"), (":authority", "m"));
    let of = |name: &str, fields: &[(&str, &str)]| whole(name, block(fields));
    let path = |path| of(&format!(":path {path:?}"), &[get, http, (":path", path), m]);
    let authority = |authority| {
        of(&format!(":authority {authority:?}"), &[get, http, root, (":authority", authority)])
    };
    let method = |method| of(&format!(":method {method:?}"), &[(":method", method), http, root, m]);
    let mut cases = vec![
        of("none", &[("x", "y")]),
        of("no :method", &[http, root, m]),
        of("no :scheme", &[get, root, m]),
        of("no :path", &[get, http, m]),
        of("no :authority and no host", &[get, http, root]),
        of("two :method", &[get, get, http, root, m]),
        of("two :scheme", &[get, http, http, root, m]),
        of("two :path", &[get, http, root, (":path", "/b"), m]),
        of("two :path that are the same", &[get, http, root, root, m]),
        of("two :authority", &[get, http, root, m, (":authority", "n")]),
        of("one behind a field", &[get, http, root, ("x", "y"), m]),
        of(":path behind a field", &[get, http, m, ("x", "y"), root]),
        of("one that nobody knows", &[get, http, root, m, (":x", "y")]),
        of(":status", &[get, http, root, m, (":status", "200")]),
        of(":protocol", &[(":method", "CONNECT"), (":protocol", "websocket"), http, root, m]),
        of("a capital", &[get, http, (":Path", "/"), m]),
        of("only a colon", &[get, http, root, m, (":", "y")]),
        of(":scheme with a space", &[get, (":scheme", "ht tp"), root, m]),
        of("CONNECT", &[(":method", "CONNECT"), (":authority", "m:80")]),
        of("CONNECT with a path", &[(":method", "CONNECT"), http, root, m]),
        of(":authority against host", &[get, http, root, m, ("host", "n")]),
        of("only a host that is none", &[get, http, root, ("host", "a b")]),
        of("only two hosts", &[get, http, root, ("host", "m"), ("host", "n")]),
    ];
    cases.extend(
        [
            "",
            "a",
            "a/b",
            "?a",
            "*",
            "/a b",
            "/a\0",
            "/a\r\nb",
            "/ HTTP/1.1\r\nx: y",
            "/a\x7f",
            "/\t",
        ]
        .map(path),
    );
    cases.extend(
        ["u@m", "a b", "a/b", "a,b", "m\r\nx: y", "m\0", "m:x", "m:99999", "", "http://m"]
            .map(authority),
    );
    cases.extend(["", "GE T", "GET\0", "G\r\nx: y", "GET / HTTP/1.1\r\n", "G(T"].map(method));
    check(&cases, |said| refused(said, false));
}

fn post(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, request("POST", fields))
}

fn data(flags: u8, bytes: &str) -> Vec<u8> {
    frame(DATA, flags, 1, bytes)
}

#[test]
fn a_body_that_is_not_as_long_as_said_is_never_whole() {
    let length = |length| post(&[("content-length", length)]);
    let trailers = |fields: &[(&str, &str)]| frame(HEADERS, WHOLE, 1, block(fields));
    let cases = [
        ("less", [length("5"), data(END_STREAM, "abc")].concat()),
        ("nothing", [length("5"), data(END_STREAM, "")].concat()),
        (
            "nothing, said in the head",
            frame(HEADERS, WHOLE, 1, request("POST", &[("content-length", "5")])),
        ),
        ("more", [length("3"), data(END_STREAM, "abcd")].concat()),
        ("more, in pieces", [length("3"), data(0, "abc"), data(END_STREAM, "d")].concat()),
        ("more than nothing", [length("0"), data(END_STREAM, "a")].concat()),
        (
            "a request behind it",
            [length("0"), data(END_STREAM, "GET /hidden HTTP/1.1\r\nhost: m\r\n\r\n")].concat(),
        ),
        ("less, then trailers", [length("5"), data(0, "abc"), trailers(&[("x", "y")])].concat()),
    ];
    let cases = cases.map(|(name, said)| (name.to_owned(), said));
    check(&cases, |said| refused(said, true));
}

fn trailed(name: &str, flags: u8, fields: &[(&str, &str)]) -> Case<Frames> {
    let trailers = frame(HEADERS, flags, 1, block(fields));
    (name.to_owned(), [post(&[]), data(0, "abc"), trailers].concat())
}

#[test]
fn trailers_that_are_malformed_make_no_whole_request() {
    let cases = [
        trailed("that end no stream", END_HEADERS, &[("x", "y")]),
        trailed("a capital", WHOLE, &[("X", "y")]),
        trailed(
            "CR LF in a value",
            WHOLE,
            &[("x", "a\r\n\r\nGET /hidden HTTP/1.1\r\nhost: m\r\n\r\n")],
        ),
        trailed("NUL in a value", WHOLE, &[("x", "a\0")]),
        trailed("connection", WHOLE, &[("connection", "close")]),
        trailed("transfer-encoding", WHOLE, &[("transfer-encoding", "chunked")]),
    ];
    check(&cases, |said| refused(said, true));
}

/// Nothing is passed on before the stream is seen to its end, or it is passed on as unfinished.
#[test]
fn a_stream_that_is_reset_is_never_whole() {
    let reset = frame(crate::support::frames::RST_STREAM, 0, 1, 8u32.to_be_bytes());
    let cases = [
        (
            "within a sized body",
            [post(&[("content-length", "5")]), data(0, "abc"), reset.clone()].concat(),
        ),
        ("within a body", [post(&[]), data(0, "abc"), reset.clone()].concat()),
        ("before a body", [post(&[]), reset].concat()),
    ];
    let cases = cases.map(|(name, said)| (name.to_owned(), said));
    check(&cases, |said| {
        for (upstream, see) in
            [("h2", seen_by_h2_reset as fn(&Frames) -> _), ("h1", seen_by_h1_reset)]
        {
            let whole = see(said);
            if whole > 0 {
                return Err(format!("the {upstream} upstream saw it whole"));
            }
        }
        Ok(())
    });
}

/// A reset is not answered, so that a ping behind it says when it was dealt with.
fn until_pinged(client: &mut Connection<crate::support::raw::Raw>, said: &Frames) {
    use crate::support::frames::{ACK, PING};
    client.say(said).say(frame(PING, 0, 0, *b"12345678"));
    while client.hear().is_ok_and(|heard| (heard.kind, heard.flags) != (PING, ACK)) {}
}

fn seen_by_h2_reset(said: &Frames) -> usize {
    let witness = Witness::playing(agree);
    let sidecar = before(witness.address).start();
    let mut client = Connection::open(sidecar.address);
    until_pinged(&mut client, said);
    drop(client);
    stop(sidecar);
    let heard: Vec<Frame> = witness.finish_bytes().iter().flat_map(|bytes| frames(bytes)).collect();
    heard
        .iter()
        .filter(|frame| matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0)
        .count()
}

fn seen_by_h1_reset(said: &Frames) -> usize {
    let witness = Witness::agreeing();
    let setup = before(witness.address);
    let sidecar = setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1).start();
    let mut client = Connection::open(sidecar.address);
    until_pinged(&mut client, said);
    drop(client);
    stop(sidecar);
    witness.finish().whole.len()
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let long = "a".repeat(16_000);
    let first = frame(HEADERS, END_STREAM, 1, request("GET", &[]));
    let more = |flags| frame(CONTINUATION, flags, 1, block(&[("x", &long)]));
    let body = [first, more(0).repeat(63), more(END_HEADERS)].concat();
    check(&[("1 MiB of fields".to_owned(), body)], |said| refused(said, false));
}
