//! The request line, and whom a request is for (RFC 9112 sections 2.3 and 3).

use super::{TOO_LONG, refused, refused_or, refused_with};
use crate::support::cases::{Case, case, check};
use crate::support::raw::Raw;
use crate::support::sidecar::before;
use crate::support::witness::Witness;

fn get(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{fields}\r\n\r\n").into_bytes()
}

fn starting(line: &str) -> Case<Vec<u8>> {
    case(format!("{line:?}"), format!("{line}\r\nHost: m\r\n\r\n"))
}

#[test]
fn a_request_line_of_any_other_shape_is_refused() {
    let mut cases: Vec<_> = [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "\tGET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET\x0b/ HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET HTTP/1.1",
        "GET  HTTP/1.1",
        "GET /HTTP/1.1",
        "GET",
        "/ HTTP/1.1",
        " / HTTP/1.1",
        "GET x HTTP/1.1",
        "GET x/y HTTP/1.1",
        "GET ?a=b HTTP/1.1",
        "GET * HTTP/1.1",
        "GET m:80 HTTP/1.1",
        "G(T / HTTP/1.1",
        "G@T / HTTP/1.1",
        "GE\0T / HTTP/1.1",
        "\"GET\" / HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "GET: / HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\x01 HTTP/1.1",
        "GET /a\x7f HTTP/1.1",
        "GET /a\x1fb HTTP/1.1",
        "GET /\rHTTP/1.1",
        "GET /a\rb HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET /a\nb HTTP/1.1",
        "GET http:// HTTP/1.1",
        "GET http:///a HTTP/1.1",
        "GET http://u@m/ HTTP/1.1",
        "GET http://m:x/ HTTP/1.1",
        "CONNECT m:80 HTTP/1.1",
        "CONNECT / HTTP/1.1",
        "CONNECT m HTTP/1.1",
        "garbage",
    ]
    .into_iter()
    .map(starting)
    .collect();
    cases.push(case("\\x16 TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"));
    cases.push(case("nothing but line ends", "\r\n\r\n\r\n\r\n\0\r\n\r\n"));
    check(&cases, |request| refused(request));
}

#[test]
fn a_version_that_is_not_http_1_is_refused() {
    let mut cases: Vec<_> = [
        "HTTP/2.0",
        "HTTP/3.0",
        "HTTP/2",
        "HTTP/0.9",
        "HTTP/9.9",
        "http/1.1",
        "Http/1.1",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1.10",
        "HTTP/1.01",
        "HTTP/01.1",
        "HTTP/11",
        "HTTP/1,1",
        "HTTP/1.1x",
        "HTTP/-1.1",
        "HTTP/+1.1",
        "HTTP/1.x",
        "HTTP/1 .1",
        "HTTP/ 1.1",
        "HTTP /1.1",
        "HTTPS/1.1",
        "HTP/1.1",
        "HTTP/\u{661}.1",
        "HTTP\\1.1",
        "HTTP/1.1\0",
        "HTTP1.1",
        "XHTTP/1.1",
        "ICE/1.1",
    ]
    .into_iter()
    .map(|version| starting(&format!("GET / {version}")))
    .collect();
    cases.push(starting("GET /"));
    cases.push(starting("GET / "));
    cases.push(case("a broken preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"));
    check(&cases, |request| refused_with(request, &[400, 501, 505]));
}

/// What is left of HTTP/0.9 may be closed without a word: its answers have no head.
#[test]
fn a_bare_line_is_not_a_request() {
    let cases = ["GET /\r\n", "GET /\r\n\r\n", "GET /\n", "GET / \r\n", "\r\nGET /\r\n"];
    let cases = cases.map(|request| case(format!("{request:?}"), request));
    check(&cases, |request| {
        let witness = Witness::agreeing();
        let sidecar = before(witness.address).start();
        let mut client = Raw::connect(sidecar.address);
        client.say(request).finish();
        let (answer, _) = client.hear_all();
        super::stop(sidecar);
        let seen = witness.finish_bytes();
        if !seen.is_empty() || !(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4")) {
            return Err(format!("{} and {seen:?}", answer.escape_ascii()));
        }
        Ok(())
    });
}

#[test]
fn a_host_that_is_not_one_authority_is_refused() {
    let mut cases: Vec<_> = [
        "a, b", "a,b", "m,", "a b", "a\tb", "u@m", "u:p@m", "m/", "m/x", "m?x", "m#x", "m:x",
        "m:-1", "m:+80", "m:99999", "m:80:80", "m:8 0", "http://m", "//m", "[::1", "::1", "::1]",
        "[::1]x", "[m]", "m\\x", "<m>", "{m}", "m\"", "m|n", "m^", "m`", "m\0", "\x01m", "m\x7f",
        "m%", ":80",
    ]
    .iter()
    .map(|host| case(format!("Host: {host:?}"), get("/", &format!("Host: {host}"))))
    .collect();
    for (name, fields) in [
        ("none", "Accept: */*"),
        ("two", "Host: m\r\nHost: n"),
        ("two that are the same", "Host: m\r\nHost: m"),
        ("two, apart and in other letters", "Host: m\r\nAccept: */*\r\nhOST: m"),
        ("one empty beside one", "Host:\r\nHost: m"),
        ("space before the colon", "Host : m"),
        ("folded", "Host:\r\n m"),
        ("hidden in a folded line", "X: y\r\n Host: m"),
        ("named X-Host only", "X-Host: m"),
        ("no colon", "Host m"),
    ] {
        cases.push(case(name, get("/", fields)));
    }
    cases.push(case("none for an absolute target", get("http://m/", "Accept: */*")));
    cases.push(case("two in HTTP/1.0", "GET / HTTP/1.0\r\nHost: m\r\nHost: n\r\n\r\n"));
    check(&cases, |request| refused(request));
}

#[test]
fn an_absolute_target_for_another_host_is_refused() {
    let cases = [
        ("http://a/", "b"),
        ("http://a:80/", "a:81"),
        ("http://a:8080/", "a"),
        ("http://a/", "a.b"),
        ("http://a", "b"),
        ("http://a?b", "b"),
        ("HTTP://A/", "b"),
        ("http://a@b/", "a"),
        ("http://a/", ""),
    ];
    let cases = cases.map(|(target, host)| {
        case(format!("{target} for {host:?}"), get(target, &format!("Host: {host}")))
    });
    check(&cases, |request| refused(request));
}

#[test]
fn a_minor_version_or_a_fragment_is_refused_or_passed_as_it_should() {
    let cases =
        [starting("GET / HTTP/1.2"), starting("GET / HTTP/1.9"), starting("GET /#a HTTP/1.1")];
    check(&cases, |request| {
        refused_or(request, |seen| {
            ["GET / HTTP/1.1", "GET /#a HTTP/1.1"].contains(&seen.start.as_str())
        })
    });
}

#[test]
fn the_old_way_to_http_2_is_not_taken() {
    let settings = "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA";
    let both = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c";
    let cases = [
        ("with settings", format!("Host: m\r\n{both}\r\n{settings}")),
        (
            "settings unnamed",
            format!("Host: m\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{settings}"),
        ),
        ("in other letters", format!("Host: m\r\n{}\r\n{settings}", both.replace("h2c", "H2C"))),
        (
            "beside another",
            format!("Host: m\r\n{}\r\n{settings}", both.replace("h2c", "websocket, h2c")),
        ),
        ("settings twice", format!("Host: m\r\n{both}\r\n{settings}\r\n{settings}")),
    ]
    .map(|(name, fields)| case(name, get("/", &fields)));
    check(&cases, |request| refused(request));
}

#[test]
fn without_settings_it_is_at_most_a_plain_request() {
    let request = get("/", "Host: m\r\nConnection: Upgrade\r\nUpgrade: h2c");
    let cases = [case("h2c alone", request)];
    check(&cases, |request| {
        refused_or(request, |seen| {
            seen.field("upgrade").is_none() && seen.field("http2-settings").is_none()
        })
    });
}

#[test]
fn what_is_too_long_is_refused() {
    let long = "a".repeat(1 << 20);
    let many = "X: y\r\n".repeat(20_000);
    let cases = [
        ("a target of 1 MiB", get(&format!("/{long}"), "Host: m")),
        ("a query of 1 MiB", get(&format!("/?{long}"), "Host: m")),
        ("a method of 1 MiB", format!("{long} / HTTP/1.1\r\nHost: m\r\n\r\n").into_bytes()),
        ("a value of 1 MiB", get("/", &format!("Host: m\r\nX: {long}"))),
        ("a name of 1 MiB", get("/", &format!("Host: m\r\n{long}: x"))),
        ("20,000 fields", get("/", &format!("Host: m\r\n{many}Y: z"))),
        (
            "a head of 1 MiB without an end",
            format!("GET / HTTP/1.1\r\nHost: m\r\nX: {long}").into_bytes(),
        ),
        ("1 MiB without a line", long.clone().into_bytes()),
    ]
    .map(|(name, request)| case(name, request));
    check(&cases, |request| {
        let told = refused_with(request, &TOO_LONG);
        // The answer may be lost in the reset by which the unread rest is thrown away.
        told.or_else(|told| if told.starts_with("Reset") { Ok(()) } else { Err(told) })
    });
}
