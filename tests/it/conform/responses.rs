//! Answers of an upstream that are not HTTP: told as 502, or cut, and never passed on as they are.

use super::stop;
use crate::support::cases::{Case, case, check};
use crate::support::message::{Flaw, request, response as parse, shown};
use crate::support::raw::{End, Raw};
use crate::support::sidecar::{Sidecar, before};
use crate::support::witness::{OK, Witness, response, response_to};

const GET: &str = "GET / HTTP/1.1\r\nHost: m\r\n\r\n";

/// Answers the first request with `bytes`, says no more, and hears the rest.
fn saying(bytes: &[u8]) -> Witness {
    let bytes = bytes.to_vec();
    Witness::playing(move |raw| {
        if raw.hear(|bytes, _| request(bytes).ok()).is_ok() {
            raw.say(&bytes).finish();
            drop(raw.hear_all());
        }
    })
}

fn after(bytes: &[u8], attempt: impl FnOnce(&Sidecar) -> Result<(), String>) -> Result<(), String> {
    let witness = saying(bytes);
    let sidecar = before(witness.address).start();
    let outcome = attempt(&sidecar);
    stop(sidecar);
    drop(witness.finish_bytes());
    outcome
}

fn bad_gateway(bytes: &[u8]) -> Result<(), String> {
    after(bytes, |sidecar| {
        let answer = response(Raw::connect(sidecar.address).say(GET))?;
        if answer.status() == 502 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
}

fn ok(fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}").into_bytes()
}

fn line(line: &str) -> Case<Vec<u8>> {
    case(format!("{line:?}"), format!("{line}\r\nContent-Length: 2\r\n\r\nok"))
}

#[test]
fn a_status_line_of_another_shape_is_502() {
    let mut cases: Vec<_> = [
        "garbage",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.1 99 X",
        "HTTP/1.1 099 X",
        "HTTP/1.1 000 X",
        "HTTP/1.1 1000 X",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 -200 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 0x200 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 200.1 OK",
        "HTTP/1.1200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/3.0 200 OK",
        "HTTP/2 200 OK",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        "HTTP/1 200 OK",
        "HTTP/x.1 200 OK",
        "ICY 200 OK",
        "200 OK",
        " HTTP/1.1 200 OK",
        "HTTP/1.1 200 a\0b",
        "HTTP/1.1 200 a\rb",
        "HTTP/1.1 200 a\x01b",
        "HTTP/1.1 200 a\x7fb",
        "SSH-2.0-OpenSSH_9.6",
    ]
    .into_iter()
    .map(line)
    .collect();
    cases.push(case("as in HTTP/0.9", "<html>hello</html>"));
    cases.push(case("nothing", ""));
    cases.push(case("the half of a line", "HTTP/1.1 20"));
    cases.push(case("a line and no more", "HTTP/1.1 200 OK\r\n"));
    cases.push(case("the half of a head", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"));
    cases.push(case("a request", GET));
    cases.push(case("TLS", b"\x15\x03\x01\x00\x02\x02\x0a\r\n\r\n"));
    cases.push(case(
        "a switch nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nraw",
    ));
    check(&cases, |bytes| bad_gateway(bytes));
}

#[test]
fn an_answer_that_could_end_at_two_places_is_502() {
    let chunked = "2\r\nok\r\n0\r\n\r\n";
    let cases = [
        ("two lengths", ok("Content-Length: 2\r\nContent-Length: 3", "okk")),
        ("two lengths in a list", ok("Content-Length: 2, 3", "okk")),
        ("a length below 0", ok("Content-Length: -2", "ok")),
        ("a length with a sign", ok("Content-Length: +2", "ok")),
        ("a length in hexadecimal", ok("Content-Length: 0x2", "ok")),
        ("a length in words", ok("Content-Length: two", "ok")),
        ("a length of two numbers", ok("Content-Length: 2 2", "ok")),
        ("a length with a point", ok("Content-Length: 2.0", "ok")),
        ("no length in the field", ok("Content-Length:", "ok")),
        ("a length of 2^64", ok("Content-Length: 18446744073709551616", "ok")),
        ("a length of 2^64 + 2", ok("Content-Length: 18446744073709551618", "ok")),
        ("a length and a coding", ok("Content-Length: 2\r\nTransfer-Encoding: chunked", chunked)),
        ("a coding and a length", ok("Transfer-Encoding: chunked\r\nContent-Length: 12", chunked)),
        ("chunked twice", ok("Transfer-Encoding: chunked, chunked", chunked)),
        (
            "chunked in two fields",
            ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", chunked),
        ),
        ("chunked, but not last", ok("Transfer-Encoding: chunked, gzip", chunked)),
        ("chunked with a weight", ok("Transfer-Encoding: chunked;q=1", chunked)),
        ("chunked behind a control byte", ok("Transfer-Encoding: \x0bchunked", chunked)),
        ("a coding nobody knows", ok("Transfer-Encoding: xchunked", chunked)),
        (
            "a coding in HTTP/1.0",
            format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}").into_bytes(),
        ),
    ];
    check(&cases.map(|(name, bytes)| case(name, bytes)), |bytes| bad_gateway(bytes));
}

#[test]
fn an_answer_with_a_line_that_is_no_field_is_502() {
    let sized = |fields: &str| ok(&format!("{fields}\r\nContent-Length: 2"), "ok");
    let mut cases = vec![
        case("NUL in a value", sized("X: a\0b")),
        case("NUL in a name", sized("X\0Y: a")),
        case("0x01 in a value", sized("X: a\x01b")),
        case("0x7f in a value", sized("X: a\x7fb")),
        case("bare CR in a value", sized("X: a\rb")),
        case("bare CR before a field", sized("X: a\rY: b")),
        case("bare LF at a line's end", sized("X: a\nY: b")),
        case("folded", sized("X: a\r\n b")),
        case("folded by a tab", sized("X: a\r\n\tb")),
        case("folded length", ok("Content-Length:\r\n 2", "ok")),
        case("a space before the first field", sized(" X: a")),
        case("no colon", sized("X")),
        case("no name", sized(": a")),
        case("a space within a name", sized("X Y: a")),
        case("a name in parentheses", sized("(X): a")),
        case("a name in Latin-1", sized("X\u{e9}: a")),
    ];
    cases.push(case("LF everywhere", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"));
    cases.push(case("LF behind the status line", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok"));
    cases.push(case("LF for the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok"));
    cases.push(case("CR everywhere", "HTTP/1.1 200 OK\rContent-Length: 2\r\rok"));
    check(&cases, |bytes| bad_gateway(bytes));
}

#[test]
fn an_answer_whose_head_is_too_large_is_502() {
    let long = "a".repeat(2 << 20);
    let cases = [
        ("a value of 2 MiB", ok(&format!("X: {long}\r\nContent-Length: 0"), "")),
        ("a name of 2 MiB", ok(&format!("{long}: x\r\nContent-Length: 0"), "")),
        ("200,000 fields", ok(&format!("{}Content-Length: 0", "X: y\r\n".repeat(200_000)), "")),
        (
            "a reason of 2 MiB",
            format!("HTTP/1.1 200 {long}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
        ),
        ("2 MiB without a line", long.clone().into_bytes()),
    ];
    check(&cases.map(|(name, bytes)| case(name, bytes)), |bytes| bad_gateway(bytes));
}

/// RFC 9112 section 5.1: such a space is removed, if the answer is not thrown away.
#[test]
fn a_space_before_a_colon_does_not_get_through() {
    let cases = [
        case("before a plain colon", ok("X : a\r\nContent-Length: 2", "ok")),
        case("before the length's", ok("Content-Length : 2", "ok")),
        case("before the coding's", ok("Transfer-Encoding : chunked", "2\r\nok\r\n0\r\n\r\n")),
    ];
    check(&cases, |bytes| {
        after(bytes, |sidecar| {
            let answer = response(Raw::connect(sidecar.address).say(GET))?;
            let is_clean = answer.status() == 200 && answer.body == b"ok";
            if is_clean || answer.status() == 502 { Ok(()) } else { Err(format!("{answer:?}")) }
        })
    });
}

/// The head has gone out by then, so that only the end can tell.
#[test]
fn a_body_that_breaks_off_is_cut_and_never_whole() {
    let chunked = |body: &str| ok("Transfer-Encoding: chunked", body);
    let long = "a".repeat(1 << 20);
    let cases = [
        ("within a length", ok("Content-Length: 5", "abc")),
        ("before a length", ok("Content-Length: 5", "")),
        ("before a chunk", chunked("")),
        ("within a chunk", chunked("5\r\nabc")),
        ("behind a chunk", chunked("3\r\nabc\r\n")),
        ("before the last line end", chunked("3\r\nabc\r\n0\r\n")),
        ("within the trailers", chunked("3\r\nabc\r\n0\r\nX: y\r\n")),
        ("a size that is no number", chunked("3\r\nabc\r\nxyz\r\nabc\r\n0\r\n\r\n")),
        ("a size below 0", chunked("3\r\nabc\r\n-1\r\n\r\n0\r\n\r\n")),
        ("a size with 0x", chunked("3\r\nabc\r\n0x3\r\nabc\r\n0\r\n\r\n")),
        ("a size over 64 bits", chunked("3\r\nabc\r\n10000000000000003\r\nabc\r\n0\r\n\r\n")),
        ("an empty size", chunked("3\r\nabc\r\n\r\n0\r\n\r\n")),
        ("a chunk that is longer", chunked("3\r\nabcde\r\n0\r\n\r\n")),
        ("a chunk that is shorter", chunked("5\r\nabc\r\n0\r\n\r\n")),
        ("LF behind a size", chunked("3\r\nabc\r\n3\nabc\r\n0\r\n\r\n")),
        ("LF behind a chunk", chunked("3\r\nabc\n0\r\n\r\n")),
        ("LF within an extension", chunked("3\r\nabc\r\n3;a\nabc\r\n0\r\n\r\n")),
        ("NUL within an extension", chunked("3;a\0\r\nabc\r\n0\r\n\r\n")),
        ("an extension of 1 MiB", chunked(&format!("3;{long}\r\nabc\r\n0\r\n\r\n"))),
        ("a trailer without a colon", chunked("3\r\nabc\r\n0\r\nX\r\n\r\n")),
        ("NUL in a trailer", chunked("3\r\nabc\r\n0\r\nX: a\0\r\n\r\n")),
        ("a trailer of 1 MiB", chunked(&format!("3\r\nabc\r\n0\r\nX: {long}\r\n\r\n"))),
    ];
    check(&cases.map(|(name, bytes)| case(name, bytes)), |bytes| {
        after(bytes, |sidecar| {
            let mut client = Raw::connect(sidecar.address);
            let (answer, end) = client.say(GET).hear_all();
            let is_cut = matches!(parse(&answer, "GET", None), Err(Flaw::Short));
            let is_refused = answer.starts_with(b"HTTP/1.1 502 ");
            if end != End::Silent && is_cut || is_refused {
                return Ok(());
            }
            Err(format!("{end:?} after {}", shown(&answer)))
        })
    });
}

/// What an upstream says behind an answer is never taken for the answer to the next request.
#[test]
fn bytes_behind_an_answer_are_nobodys_answer() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let cases = [
        ("behind a length", "GET", format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{evil}")),
        ("behind no length", "GET", format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{evil}")),
        ("behind 204", "GET", format!("HTTP/1.1 204 No Content\r\n\r\n{evil}")),
        ("behind 304", "GET", format!("HTTP/1.1 304 X\r\nContent-Length: 44\r\n\r\n{evil}")),
        ("behind HEAD", "HEAD", format!("HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n{evil}")),
        (
            "behind chunks",
            "GET",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{evil}"
            ),
        ),
        ("a line end", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n".to_owned()),
    ]
    .map(|(name, method, said)| (name.to_owned(), (method, said)));
    check(&cases, |(method, said)| {
        let said = said.clone();
        let witness = Witness::playing(move |raw| {
            while let Ok(asked) = raw.hear(|bytes, _| request(bytes).ok()) {
                let is_second = asked.start.contains("/second");
                raw.say(if is_second { OK } else { said.as_bytes() });
            }
        });
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        let first =
            response_to(method, client.say(format!("{method} / HTTP/1.1\r\nHost: m\r\n\r\n")));
        let second = match &first {
            Ok(first) if first.field("connection").is_none() => client,
            _ => Raw::connect(sidecar.address),
        };
        let mut second = second;
        let second = response(second.say("GET /second HTTP/1.1\r\nHost: m\r\n\r\n"));
        stop(sidecar);
        drop(witness.finish_bytes());
        let (first, second) = (first?, second?);
        if (first.body == b"ok" || first.body.is_empty() || first.status() == 502)
            && second.body == b"ok"
        {
            return Ok(());
        }
        Err(format!("{first:?}, then {second:?}"))
    });
}
