//! Chunked bodies of requests (RFC 9112 section 7.1): what breaks their framing reaches nobody whole.

use super::{never_whole, stop};
use crate::support::cases::{Case, case, check};
use crate::support::raw::Raw;
use crate::support::sidecar::before;
use crate::support::witness::{Witness, response};

const HEAD: &str = "POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n";

fn body(name: impl Into<String>, bytes: &str) -> Case<Vec<u8>> {
    case(name, format!("{HEAD}{bytes}"))
}

#[test]
fn a_size_that_is_not_a_number_breaks_the_body() {
    let wide = "0".repeat(1 << 20);
    let sizes = [
        "g",
        "",
        "-1",
        "-3",
        "+3",
        "0x3",
        "0X3",
        "x3",
        " 3",
        "\t3",
        "3 ",
        "3\t",
        "3 3",
        "3,3",
        "3.0",
        "3_",
        "0_3",
        "3h",
        "\"3\"",
        "3\0",
        "\x003",
        "3\x0b",
        "3\u{a0}",
        "\u{663}",
        "3:",
        "10000000000000003",
        "ffffffffffffffff3",
        "fffffffffffffffff",
        "100000000000000000000000000000003",
        "3 x",
    ];
    let mut cases: Vec<_> = sizes
        .iter()
        .map(|size| body(format!("{size:?}"), &format!("{size}\r\nabc\r\n0\r\n\r\n")))
        .collect();
    cases.push(body("1 MiB of zeros", &format!("{wide}3\r\nabc\r\n0\r\n\r\n")));
    cases.push(body("in the second chunk", "3\r\nabc\r\nz\r\nabc\r\n0\r\n\r\n"));
    cases.push(body("for the last", "3\r\nabc\r\n-0\r\n\r\n"));
    check(&cases, |request| never_whole(request));
}

#[test]
fn data_that_is_not_as_long_as_said_breaks_the_body() {
    let cases = [
        body("longer", "3\r\nabcde\r\n0\r\n\r\n"),
        body("longer by one", "3\r\nabcd\r\n0\r\n\r\n"),
        body("shorter", "5\r\nabc\r\n0\r\n\r\n"),
        body("shorter by one", "4\r\nabc\r\n0\r\n\r\n"),
        body("nothing behind it", "3\r\nabc0\r\n\r\n"),
        body("LF behind it", "3\r\nabc\n0\r\n\r\n"),
        body("CR behind it", "3\r\nabc\r0\r\n\r\n"),
        body("LF CR behind it", "3\r\nabc\n\r0\r\n\r\n"),
        body("two line ends behind it", "3\r\nabc\r\n\r\n0\r\n\r\n"),
        body("a space behind it", "3\r\nabc \r\n0\r\n\r\n"),
        body("a request behind it", "3\r\nabcGET /hidden HTTP/1.1\r\nHost: m\r\n\r\n"),
    ];
    check(&cases, |request| never_whole(request));
}

#[test]
fn a_line_end_other_than_crlf_breaks_the_body() {
    let cases = [
        body("LF behind a size", "3\nabc\r\n0\r\n\r\n"),
        body("CR behind a size", "3\rabc\r\n0\r\n\r\n"),
        body("CR CR LF behind a size", "3\r\r\nabc\r\n0\r\n\r\n"),
        body("LF CR behind a size", "3\n\rabc\r\n0\r\n\r\n"),
        body("LF behind an extension", "3;a=b\nabc\r\n0\r\n\r\n"),
        body("LF within an extension", "3;a\nb\r\nabc\r\n0\r\n\r\n"),
        body("CR within an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
        body("NUL within an extension", "3;a\0b\r\nabc\r\n0\r\n\r\n"),
        body("DEL within an extension", "3;a=\x7f\r\nabc\r\n0\r\n\r\n"),
        body("LF behind the last size", "3\r\nabc\r\n0\n\r\n\r\n"),
        body("LF at the very end", "3\r\nabc\r\n0\r\n\nGET /hidden HTTP/1.1\r\nHost: m\r\n\r\n"),
        body("CR at the very end", "3\r\nabc\r\n0\r\n\rGET /hidden HTTP/1.1\r\nHost: m\r\n\r\n"),
        body("no size for the last", "3\r\nabc\r\n\r\n\r\n"),
    ];
    check(&cases, |request| never_whole(request));
}

#[test]
fn trailers_that_are_no_fields_break_the_body() {
    let long = "a".repeat(1 << 20);
    let many = "X: y\r\n".repeat(50_000);
    let trailed =
        |name: &str, lines: &str| body(name, &format!("3\r\nabc\r\n0\r\n{lines}\r\n\r\n"));
    let cases = [
        trailed("no colon", "a"),
        trailed("no name", ": a"),
        trailed("a space before the colon", "a : b"),
        trailed("a space within the name", "a b: c"),
        trailed("folded", "a: b\r\n c"),
        trailed("a space before the first", " a: b"),
        trailed("NUL in a name", "a\0: b"),
        trailed("NUL in a value", "a: b\0c"),
        trailed("CR in a value", "a: b\rc"),
        trailed("LF behind one", "a: b\nc: d"),
        trailed("a value of 1 MiB", &format!("a: {long}")),
        trailed("a name of 1 MiB", &format!("{long}: a")),
        trailed("50,000 of them", &format!("{many}a: b")),
        trailed("a request instead", "GET /hidden HTTP/1.1\r\nHost: m"),
    ];
    check(&cases, |request| never_whole(request));
}

#[test]
fn an_extension_without_end_breaks_the_body() {
    let long = "a".repeat(1 << 20);
    let cases = [
        body("of the first chunk", &format!("3;{long}\r\nabc\r\n0\r\n\r\n")),
        body("of the last chunk", &format!("3\r\nabc\r\n0;{long}\r\n\r\n")),
        body(
            "in many pieces",
            &format!("{}0\r\n\r\n", format!("1;{}\r\na\r\n", &long[..4096]).repeat(1024)),
        ),
    ];
    check(&cases, |request| never_whole(request));
}

/// A trailer field is never what a request is framed or routed by, wherever it ends up.
#[test]
fn trailers_never_get_into_the_head() {
    let cases = [
        ("content-length", "Content-Length: 5"),
        ("transfer-encoding", "Transfer-Encoding: chunked"),
        ("transfer-encoding other", "Transfer-Encoding: gzip"),
        ("host", "Host: evil"),
        ("connection", "Connection: close"),
        ("te", "TE: trailers"),
        ("authorization", "Authorization: evil"),
        ("cookie", "Cookie: evil"),
        ("trailer", "Trailer: evil"),
        ("content-type", "Content-Type: evil"),
        ("several", "Content-Length: 0\r\nHost: evil\r\nX: y"),
    ];
    let cases =
        cases.map(|(name, trailers)| body(name, &format!("3\r\nabc\r\n0\r\n{trailers}\r\n\r\n")));
    check(&cases, |request| {
        let witness = Witness::agreeing();
        let sidecar = before(witness.address).start();
        let answer = response(Raw::connect(sidecar.address).say(request));
        super::probe(&sidecar)?;
        stop(sidecar);
        let mut seen = witness.finish();
        seen.whole.retain(|request| !request.start.contains("/probe"));
        if answer?.status() == 400 && seen.whole.is_empty() {
            return Ok(());
        }
        let [request] = &seen.whole[..] else { return Err(format!("{seen:?}")) };
        let head = request.clone().without(&["x-request-id"]);
        let is_untouched = head.all("host") == ["m"]
            && head.all("transfer-encoding") == ["chunked"]
            && head.fields.len() == 2;
        let is_whole = seen.broken.is_empty() && request.body == b"abc";
        if is_untouched && is_whole { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

#[test]
fn odd_but_legal_chunks_pass() {
    let zeros = "0".repeat(12);
    let cases = [
        body("capital digits", "00A\r\n0123456789\r\n0\r\n\r\n"),
        body("small digits", "a\r\n0123456789\r\n0\r\n\r\n"),
        body("leading zeros", &format!("{zeros}a\r\n0123456789\r\n{zeros}\r\n\r\n")),
        body("an extension", "a;name=value\r\n0123456789\r\n0\r\n\r\n"),
        body("an extension without a value", "a;name\r\n0123456789\r\n0;last\r\n\r\n"),
        body("an extension in quotes", "a;name=\"a;b, c\"\r\n0123456789\r\n0\r\n\r\n"),
        body("spaces around an extension", "a ; name = value\r\n0123456789\r\n0\r\n\r\n"),
        body(
            "one byte each",
            &format!("{}0\r\n\r\n", ["1\r\n0\r\n", "1\r\n1\r\n", "8\r\n23456789\r\n"].concat()),
        ),
        body("line ends as data", "2\r\n01\r\n8\r\n23456789\r\n0\r\nX: y\r\n\r\n"),
    ];
    check(&cases, |request| {
        let witness = Witness::agreeing();
        let sidecar = before(witness.address).start();
        let answer = response(Raw::connect(sidecar.address).say(request));
        stop(sidecar);
        let seen = witness.finish();
        let is_one = seen.whole.len() == 1 && seen.broken.is_empty();
        if answer?.status() == 200 && is_one && seen.whole[0].body == b"0123456789" {
            return Ok(());
        }
        Err(format!("{seen:?}"))
    });
}
