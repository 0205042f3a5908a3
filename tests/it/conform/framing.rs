//! Where a request ends: Content-Length, Transfer-Encoding, and what smuggles by them
//! (RFC 9112 section 6).

use super::{never_whole, refused, refused_or};
use crate::support::cases::{Case, case, check};
use crate::support::message::Message;
use crate::support::raw::Raw;
use crate::support::sidecar::before;
use crate::support::witness::{Witness, response};

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: m\r\n{fields}\r\n\r\n{body}").into_bytes()
}

fn posts(field: &str, values: &[&str], body: &str) -> Vec<Case<Vec<u8>>> {
    let of = |value: &&str| {
        case(format!("{field}: {value:?}"), post(&format!("{field}: {value}"), body))
    };
    values.iter().map(of).collect()
}

#[test]
fn a_length_that_is_not_one_number_is_refused() {
    let digits = "9".repeat(400);
    let mut cases = posts(
        "Content-Length",
        &[
            "1, 2",
            "2, 1",
            "1 2",
            "+1",
            "-1",
            "-0",
            "0x1",
            "1.0",
            "1e0",
            "1;",
            "a",
            "",
            "1a",
            "#1",
            "1_0",
            "\"1\"",
            "1\t1",
            "1\x0b",
            "\x0c1",
            "1\0",
            "18446744073709551616", // 2^64
            "18446744073709551617",
            "340282366920938463463374607431768211457",
            &digits,
        ],
        "a",
    );
    for (name, fields) in [
        ("two that differ", "Content-Length: 1\r\nContent-Length: 2"),
        ("two that differ, apart", "Content-Length: 1\r\nX: y\r\ncontent-length: 0"),
        (
            "three, one of which differs",
            "Content-Length: 1\r\nContent-Length: 1\r\nContent-Length: 2",
        ),
        ("one good and one bad", "Content-Length: 1\r\nContent-Length: x"),
        ("one good and one empty", "Content-Length: 1\r\nContent-Length:"),
        ("space before the colon", "Content-Length : 1"),
        ("tab before the colon", "Content-Length\t: 1"),
        ("folded", "Content-Length:\r\n 1"),
        ("folded amid digits", "Content-Length: 1\r\n 2"),
    ] {
        cases.push(case(name, post(fields, "ab")));
    }
    check(&cases, |request| refused(request));
}

#[test]
fn a_length_and_a_coding_at_once_are_refused() {
    let chunked = "1\r\na\r\n0\r\n\r\n";
    let cases = [
        ("length first", "Content-Length: 11\r\nTransfer-Encoding: chunked"),
        ("coding first", "Transfer-Encoding: chunked\r\nContent-Length: 11"),
        ("length 0", "Content-Length: 0\r\nTransfer-Encoding: chunked"),
        ("identity", "Content-Length: 11\r\nTransfer-Encoding: identity"),
        ("an unknown coding", "Content-Length: 11\r\nTransfer-Encoding: xchunked"),
        ("an empty coding", "Content-Length: 11\r\nTransfer-Encoding:"),
        ("a bad length", "Content-Length: x\r\nTransfer-Encoding: chunked"),
        (
            "named by Connection",
            "Connection: content-length\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
        ),
    ];
    let cases = cases.map(|(name, fields)| case(name, post(fields, chunked)));
    check(&cases, |request| refused(request));
}

const CODINGS: &[&str] = &[
    "chunked, chunked",
    "chunked,chunked",
    "gzip, chunked",
    "chunked, gzip",
    "gzip",
    "identity",
    "chunked, identity",
    "identity, chunked",
    "xchunked",
    "chunkedx",
    "chunke",
    "chunked;q=1",
    "chunked; a=b",
    "\x0bchunked",
    "chunked\x0b",
    "\x0cchunked",
    "chunked\0",
    "\"chunked\"",
    "'chunked'",
    "chunked chunked",
    "chunked\r\n , chunked",
    "",
    "chun ked",
    "\u{a0}chunked",
    "cow",
    "true",
];

#[test]
fn a_coding_other_than_chunked_once_is_refused() {
    let chunked = "1\r\na\r\n0\r\n\r\n";
    let mut cases = posts("Transfer-Encoding", CODINGS, chunked);
    for (name, fields) in [
        ("twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ("gzip, then chunked", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
        ("chunked, then identity", "Transfer-Encoding: chunked\r\ntransfer-encoding: identity"),
        ("chunked, then nonsense", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
        ("space before the colon", "Transfer-Encoding : chunked"),
        ("tab before the colon", "Transfer-Encoding\t: chunked"),
        ("vertical tab before the colon", "Transfer-Encoding\x0b: chunked"),
        ("folded", "Transfer-Encoding:\r\n chunked"),
        ("folded in the word", "Transfer-Encoding: chun\r\n ked"),
        ("on a line that begins with a space", "X: y\r\n Transfer-Encoding: chunked"),
        ("after a bare CR", "X: y\rTransfer-Encoding: chunked"),
        ("after a bare LF", "X: y\nTransfer-Encoding: chunked"),
        ("no colon", "Transfer-Encoding chunked"),
        ("a name in quotes", "\"Transfer-Encoding\": chunked"),
    ] {
        cases.push(case(name, post(fields, chunked)));
    }
    for (name, fields) in [
        ("HTTP/1.0", "Transfer-Encoding: chunked"),
        ("HTTP/1.0 with a length", "Content-Length: 11\r\nTransfer-Encoding: chunked"),
        ("HTTP/1.0 kept alive", "Connection: keep-alive\r\nTransfer-Encoding: chunked"),
    ] {
        cases.push(case(name, format!("POST / HTTP/1.0\r\nHost: m\r\n{fields}\r\n\r\n{chunked}")));
    }
    check(&cases, |request| refused(request));
}

#[test]
fn what_may_be_merged_is_merged_or_refused() {
    let is_one = |request: &Message| {
        let framing = (request.all("content-length"), request.all("transfer-encoding"));
        request.body == b"a" && (framing.0 == ["1"] && framing.1.is_empty() || framing.0.is_empty())
    };
    let mut cases = posts("Content-Length", &["1, 1", "1,1", "1,"], "a");
    cases.push(case("twice the same", post("Content-Length: 1\r\nContent-Length: 1", "a")));
    cases.extend(posts("Transfer-Encoding", &["chunked,", ", chunked"], "1\r\na\r\n0\r\n\r\n"));
    check(&cases, |request| refused_or(request, is_one));
}

/// (request, body) pairs of what is legal, however it looks.
#[test]
fn odd_but_legal_framing_passes() {
    let chunked = "1\r\na\r\n0\r\n\r\n";
    let cases = [
        ("leading zeros", post("Content-Length: 0001", "a")),
        ("many leading zeros", post(&format!("Content-Length: {}1", "0".repeat(40)), "a")),
        ("spaces around a length", post("Content-Length: \t 1 \t", "a")),
        ("no space before a length", post("Content-Length:1", "a")),
        ("chunked in capitals", post("Transfer-Encoding: CHUNKED", chunked)),
        ("names in odd letters", post("tRANSFER-eNCODING: Chunked", chunked)),
        ("a GET with a body", b"GET / HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\n\r\na".to_vec()),
        ("a look-alike beside it", post("Transfer_Encoding: chunked\r\nContent-Length: 1", "a")),
    ]
    .map(|(name, request)| case(name, request));
    check(&cases, |request| {
        let witness = Witness::agreeing();
        let sidecar = before(witness.address).start();
        let answer = response(Raw::connect(sidecar.address).say(request));
        super::stop(sidecar);
        let seen = witness.finish();
        let is_one = seen.whole.len() == 1 && seen.broken.is_empty() && seen.whole[0].body == b"a";
        match answer?.status() {
            200 if is_one => Ok(()),
            status => Err(format!("{status}, and the upstream saw {seen:?}")),
        }
    });
}

/// Each hides a second request in what one of two readers takes for a body.
#[test]
fn a_request_behind_a_doubtful_one_is_never_passed_on() {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: m\r\n\r\n";
    let (length, zero) = (hidden.len(), "0\r\n\r\n");
    let both = |fields: &str, body: &str| post(fields, &format!("{body}{hidden}"));
    let clte = format!("Content-Length: {}\r\nTransfer-Encoding: chunked", zero.len() + length);
    let cases = [
        ("CL.TE", both(&clte, zero)),
        ("TE.CL", both("Transfer-Encoding: chunked\r\nContent-Length: 4", "5c\r\n")),
        ("CL.CL", both(&format!("Content-Length: {length}\r\nContent-Length: 0"), "")),
        ("CL list", both(&format!("Content-Length: 0, {length}"), "")),
        ("CL over 64 bits, 0 when cut", both("Content-Length: 18446744073709551616", "")),
        ("CL negative", both("Content-Length: -1", "")),
        ("CL with a sign", both("Content-Length: +0", "")),
        ("CL in hexadecimal", both("Content-Length: 0x0", "")),
        ("CL empty", both("Content-Length:", "")),
        ("TE unknown", both("Transfer-Encoding: xchunked", zero)),
        ("TE.TE", both("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", zero)),
        ("TE with a space before the colon", both("Transfer-Encoding : chunked", zero)),
        ("TE folded", both("Transfer-Encoding:\r\n chunked", zero)),
        ("TE in HTTP/1.0", format!("POST / HTTP/1.0\r\nHost: m\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n{zero}{hidden}").into_bytes()),
        ("chunk size over 64 bits", both("Transfer-Encoding: chunked", "10000000000000000\r\n\r\n")),
        ("bare LF ends the head", format!("GET / HTTP/1.1\nHost: m\n\n{hidden}").into_bytes()),
        ("bare CR in a value", format!("GET / HTTP/1.1\r\nHost: m\r\nX: a\r\r\n\r\n{hidden}").into_bytes()),
        ("a prefix for the next", post("Content-Length: 1\r\nContent-Length: 6", "0\r\n\r\nG")),
    ]
    .map(|(name, request)| case(name, request));
    check(&cases, |request| never_whole(request));
}

#[test]
fn a_body_that_breaks_off_is_never_made_whole() {
    let cases = [
        ("within a length", post("Content-Length: 5", "abc")),
        ("before a length", post("Content-Length: 5", "")),
        ("within a chunk", post("Transfer-Encoding: chunked", "5\r\nabc")),
        ("behind a chunk", post("Transfer-Encoding: chunked", "3\r\nabc\r\n")),
        ("before the first chunk", post("Transfer-Encoding: chunked", "")),
        ("within the last chunk", post("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n")),
        ("within the trailers", post("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\na: b\r\n")),
    ]
    .map(|(name, request)| case(name, request));
    check(&cases, |request| {
        let witness = Witness::agreeing();
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        client.say(request).finish();
        let (answer, _) = client.hear_all();
        drop(client);
        super::stop(sidecar);
        let seen = witness.finish();
        if !seen.whole.is_empty() || answer.starts_with(b"HTTP/1.1 2") {
            return Err(format!("{seen:?}"));
        }
        Ok(())
    });
}
