//! Syntax of fields (RFC 9110 section 5, RFC 9112 section 5), and those that end at the next hop.

use super::{refused, refused_or};
use crate::support::cases::{case, check};
use crate::support::message::Message;
use crate::support::raw::Raw;
use crate::support::sidecar::before;
use crate::support::witness::{Witness, response};

fn with(fields: &[u8]) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nHost: m\r\n", fields, b"\r\n\r\n"].concat()
}

#[test]
fn a_name_that_is_not_a_token_is_refused() {
    let is_wrong = |byte: &u8| {
        let is_tchar = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        // A colon ends the name, and a line end is the next test's.
        !is_tchar && !b":\r\n".contains(byte) && (byte.is_ascii() || *byte == 0xe9)
    };
    let wrong = (0..=u8::MAX).filter(is_wrong);
    let cases: Vec<_> = wrong
        .map(|byte| {
            case(format!("X{}Y", byte.escape_ascii()), with(&[b'X', byte, b'Y', b':', b'z']))
        })
        .collect();
    check(&cases, |request| refused(request));
}

#[test]
fn a_value_with_a_control_byte_is_refused() {
    let controls = (0..=0x1f).chain([0x7f]).filter(|byte| !b"\t\n\r".contains(byte));
    let mut cases: Vec<_> = controls
        .map(|byte| {
            case(format!("a{}b", byte.escape_ascii()), with(&[b'X', b':', b'a', byte, b'b']))
        })
        .collect();
    cases.push(case("NUL first", with(b"X: \0a")));
    cases.push(case("NUL last", with(b"X: a\0")));
    cases.push(case("NUL alone", with(b"X: \0")));
    check(&cases, |request| refused(request));
}

#[test]
fn a_line_that_is_no_field_is_refused() {
    let cases = [
        ("no colon", "X"),
        ("no colon, with spaces", "X y z"),
        ("no name", ": x"),
        ("no name and no value", ":"),
        ("a space before the colon", "X : y"),
        ("a tab before the colon", "X\t: y"),
        ("folded by a space", "X: a\r\n b"),
        ("folded by a tab", "X: a\r\n\tb"),
        ("folded with nothing on the line", "X: a\r\n \r\nY: b"),
        ("folded with nothing before", "X:\r\n a"),
        ("a line of one space, last", "X: a\r\n "),
        ("bare CR within a value", "X: a\rb"),
        ("bare CR before a field", "X: a\rY: b"),
        ("bare CR at a value's end", "X: a\r"),
        ("bare CR within a name", "X\rY: a"),
        ("bare CR behind the colon", "X:\ra"),
        ("bare CR alone on a line", "\rX: a"),
        ("bare LF at a line's end", "X: a\nY: b"),
        ("bare LF behind the colon", "X:\na"),
        ("bare LF within a name", "X\nY: a"),
        ("LF CR", "X: a\n\rY: b"),
        ("a request line again", "GET / HTTP/1.1"),
    ];
    let mut cases = Vec::from(cases.map(|(name, fields)| case(name, with(fields.as_bytes()))));
    for (name, request) in [
        ("a space before the first field", "GET / HTTP/1.1\r\n X: y\r\nHost: m\r\n\r\n"),
        ("a tab before the first field", "GET / HTTP/1.1\r\n\tX: y\r\nHost: m\r\n\r\n"),
        ("a space before Host", "GET / HTTP/1.1\r\n Host: m\r\n\r\n"),
        ("LF everywhere", "GET / HTTP/1.1\nHost: m\n\n"),
        ("LF behind the request line", "GET / HTTP/1.1\nHost: m\r\n\r\n"),
        ("LF for the empty line", "GET / HTTP/1.1\r\nHost: m\r\n\n"),
        ("LF before the empty line", "GET / HTTP/1.1\r\nHost: m\n\r\n"),
        ("CR everywhere", "GET / HTTP/1.1\rHost: m\r\r"),
        ("CR CR LF everywhere", "GET / HTTP/1.1\r\r\nHost: m\r\r\n\r\r\n"),
        ("CR in the empty line", "GET / HTTP/1.1\r\nHost: m\r\n\r\r\n"),
    ] {
        // What waits for more gets a line that is one in every reading.
        cases.push(case(name, format!("{request}X: y\r\n\r\n")));
    }
    check(&cases, |request| refused(request));
}

#[test]
fn empty_lines_before_a_request_are_passed_over() {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    for request in
        ["\r\nGET /1 HTTP/1.1\r\nHost: m\r\n\r\n", "\r\nGET /2 HTTP/1.1\r\nHost: m\r\n\r\n"]
    {
        assert_eq!(response(client.say(request)).unwrap().status(), 200);
    }
    drop(client);
    super::stop(sidecar);
    let lines: Vec<_> = witness.finish().whole.into_iter().map(|request| request.start).collect();
    assert_eq!(lines, ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
}

/// Fields, and the names of those that arrive besides Host and what the sidecar adds.
#[test]
fn what_is_for_this_hop_goes_no_further() {
    let cases = [
        ("close", "Connection: close\r\nA: 1", "a"),
        ("keep-alive", "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nA: 1", "a"),
        ("one named", "Connection: X-Hop\r\nX-Hop: 1\r\nA: 1", "a"),
        ("named in other letters", "Connection: x-hOP\r\nX-Hop: 1\r\nA: 1", "a"),
        ("named before and behind", "X-Hop: 1\r\nConnection: x-hop\r\nA: 1\r\nX-Hop: 2", "a"),
        ("several named", "Connection: x-a, keep-alive ,x-b\r\nX-A: 1\r\nA: 1\r\nX-B: 1", "a"),
        ("over two fields", "Connection: x-a\r\nConnection: x-b\r\nX-A: 1\r\nX-B: 1\r\nA: 1", "a"),
        ("an empty list", "Connection: ,\r\nA: 1", "a"),
        ("one that is not there", "Connection: x-c\r\nA: 1", "a"),
        ("Proxy-Connection", "Proxy-Connection: keep-alive\r\nA: 1", "a"),
        ("TE other than trailers", "TE: gzip\r\nConnection: TE\r\nA: 1", "a"),
        ("TE trailers", "TE: trailers\r\nConnection: TE\r\nA: 1", "te a"),
        ("Upgrade not named", "Upgrade: websocket\r\nA: 1", "a"),
        ("one's own credentials", "Connection: Authorization\r\nAuthorization: x\r\nA: 1", "a"),
        (
            "end to end ones stay",
            "A: 1\r\nVia: 1.1 x\r\nForwarded: for=1\r\nX-Forwarded-For: 1",
            "a via forwarded x-forwarded-for",
        ),
    ]
    .map(|(name, fields, expected)| (name.to_owned(), (with(fields.as_bytes()), expected)));
    check(&cases, |(request, expected)| {
        let witness = Witness::agreeing();
        let sidecar = before(witness.address).start();
        let answer = response(Raw::connect(sidecar.address).say(request));
        super::stop(sidecar);
        let seen = witness.finish();
        if answer?.status() != 200 || seen.whole.len() != 1 {
            return Err(format!("{seen:?}"));
        }
        let request = seen.whole[0].clone().without(&["host", "x-request-id", "connection"]);
        let names: Vec<_> = request.fields.iter().map(|(name, _)| name.to_lowercase()).collect();
        let is_same = names.join(" ") == *expected;
        if is_same { Ok(()) } else { Err(format!("{names:?}")) }
    });
}

#[test]
fn connection_takes_no_framing_away() {
    let is_whole = |request: &Message| {
        let is_named_host = request.all("host") == ["m"];
        is_named_host && request.body == b"abc" && request.start == "POST / HTTP/1.1"
    };
    let sized = "Content-Length: 3\r\n\r\nabc";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let cases = [
        ("content-length", sized),
        ("Content-Length, close", sized),
        ("host", sized),
        ("keep-alive, host, content-length", sized),
        ("transfer-encoding", chunked),
        ("Transfer-Encoding, trailer", chunked),
        ("connection", sized),
        ("expect, cookie, te", sized),
        ("\"content-length\"", sized),
        ("content-length;q=1", sized),
    ]
    .map(|(names, rest)| {
        case(names, format!("POST / HTTP/1.1\r\nHost: m\r\nConnection: {names}\r\n{rest}"))
    });
    check(&cases, |request| refused_or(request, is_whole));
}
