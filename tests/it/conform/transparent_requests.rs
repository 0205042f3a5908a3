//! What an upstream sees of a request is what the client said, byte by byte and in its order.

use super::stop;
use crate::support::cases::{Case, case, check};
use crate::support::message::{Message, request as parse};
use crate::support::raw::Raw;
use crate::support::sidecar::before;
use crate::support::wire::noise;
use crate::support::witness::{Witness, response, response_to};

/// So that nothing has to be added.
const ID: &str = "X-Request-Id: r";

/// The one whole request that the upstream sees of this one, which is answered with 200.
fn seen_of(request: &[u8]) -> Result<Message, String> {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    client.say(request);
    let method = if request.starts_with(b"HEAD") { "HEAD" } else { "GET" };
    let answer = response_to(method, &mut client);
    drop(client);
    stop(sidecar);
    let mut seen = witness.finish();
    let answer = answer?;
    if answer.status() != 200 || seen.whole.len() != 1 || !seen.broken.is_empty() {
        return Err(format!("{answer:?}, and the upstream saw {seen:?}"));
    }
    Ok(seen.whole.remove(0))
}

fn unchanged(request: &[u8]) -> Result<(), String> {
    let (said, _) = parse(request).unwrap();
    // One hop's own business, even if both should say the same of it.
    let (seen, said) = (seen_of(request)?.without(&["connection"]), said.without(&["connection"]));
    if seen == said { Ok(()) } else { Err(format!("seen as {seen:?}")) }
}

fn bodiless(line: &str, fields: &str) -> Case<Vec<u8>> {
    let name = if fields.is_empty() { line } else { fields };
    let name = name.chars().take(60).collect::<String>().escape_default().to_string();
    let fields = if fields.is_empty() { String::new() } else { format!("{fields}\r\n") };
    case(name, format!("{line} HTTP/1.1\r\nHost: m\r\n{ID}\r\n{fields}\r\n"))
}

fn latin1_bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

#[test]
fn methods_pass_whether_known_or_not() {
    let methods = [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "TRACE",
        "PROPFIND",
        "BREW",
        "M-SEARCH",
        "QUERY",
        "PURGE",
        "get",
        "Get",
        "MKCOL",
        "X_Y",
        "A!#$%&'*+-.^_`|~9",
        "PRI",
        "H",
        "VERSION-CONTROL",
        "BASELINE-CONTROL",
        "AVERYVERYVERYVERYVERYLONGMETHODINDEED",
    ];
    let cases = methods.map(|method| bodiless(&format!("{method} /"), ""));
    check(&cases, |request| unchanged(request));
}

const TARGETS: &[&str] = &[
    "/",
    "//",
    "//a//b//",
    "/.",
    "/..",
    "/./a",
    "/../a",
    "/a/../b",
    "/a/./b",
    "/a/..;/b",
    "/%2e%2e/a",
    "/%2F",
    "/%2f",
    "/a%2Fb",
    "/%00",
    "/%0d%0a",
    "/%20",
    "/%25",
    "/%",
    "/%zz",
    "/a%2",
    "/|",
    "/{}",
    "/{a}/b",
    "/\"a\"",
    "/^",
    "/`",
    "/[a]",
    "/a;b=c",
    "/a:b",
    "/@",
    "/a@b",
    "/~a",
    "/a,b",
    "/a+b",
    "/!$&'()*+,;=",
    "/a=b",
    "/?",
    "/a?",
    "/a?b",
    "/?a=b?c",
    "/?a=b&&c=%2F",
    "/?a=b=c",
    "/?/../",
    "/?a=|{}\"^`",
    "/?%00",
    "/?a=http://b/c?d",
    "/??",
    "/http://a/b",
    "/*",
    "/a*b",
    "/v2/models/risk/infer",
];

#[test]
fn targets_pass_byte_by_byte() {
    let long = "a".repeat(7000);
    let long = format!("/?{long}");
    let mut cases: Vec<_> =
        TARGETS.iter().map(|target| bodiless(&format!("GET {target}"), "")).collect();
    cases.push(bodiless("GET /\u{e9}\u{2713}?\u{fc}=\u{1f600}", ""));
    cases.push(case(
        "bytes that are no UTF-8",
        latin1_bytes(&format!("GET /\u{ff}\u{80}?\u{fe} HTTP/1.1\r\nHost: m\r\n{ID}\r\n\r\n")),
    ));
    cases.push(bodiless(&format!("GET {long}"), ""));
    cases.push(bodiless("OPTIONS *", ""));
    check(&cases, |request| unchanged(request));
}

#[test]
fn an_absolute_target_becomes_that_of_an_origin() {
    let cases = [
        ("http://m/", "/"),
        ("http://m", "/"),
        ("http://m?a=b", "/?a=b"),
        ("http://m/?", "/?"),
        ("http://m/a/../b?c=d?e", "/a/../b?c=d?e"),
        ("http://m//a", "//a"),
        ("http://m/%2F|{}", "/%2F|{}"),
        ("HTTP://m/a", "/a"),
        ("http://M/a", "/a"),
    ];
    let cases = cases.map(|(target, expected)| (target.to_owned(), (target, expected)));
    check(&cases, |(target, expected)| {
        let seen = seen_of(format!("GET {target} HTTP/1.1\r\nHost: m\r\n{ID}\r\n\r\n").as_bytes())?;
        let is_host = seen.field("host").is_some_and(|host| host.eq_ignore_ascii_case("m"));
        let is_expected = seen.start == format!("GET {expected} HTTP/1.1") && is_host;
        if is_expected { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

/// RFC 9112 section 3.2.4 has the last proxy make an asterisk of it; a gateway need not.
#[test]
fn options_of_an_absolute_target_without_a_path_are_of_the_server() {
    let seen = seen_of(format!("OPTIONS http://m HTTP/1.1\r\nHost: m\r\n{ID}\r\n\r\n").as_bytes());
    let line = seen.unwrap().start;
    assert!(["OPTIONS * HTTP/1.1", "OPTIONS / HTTP/1.1"].contains(&line.as_str()), "{line}");
}

const FIELDS: &[&str] = &[
    "X_A: 1",
    "X.A: 1",
    "X!A: 1",
    "X~A: 1",
    "X^A: 1",
    "X|A: 1",
    "X`A: 1",
    "X'A: 1",
    "#$%&*+: 1",
    "_: 1",
    "1: 1",
    "X-REQUEST-COST: 1",
    "x-lower: 1",
    "X-MiXeD: 1",
    "aCCEPT: */*",
    "X-A: 1\r\nX-B: 2\r\nX-A: 3",
    "X-A: 1\r\nx-a: 2\r\nX-a: 3",
    "B: 1\r\nA: 2\r\nC: 3\r\nB: 4\r\nA: 5",
    "Accept: a\r\nCookie: c=1\r\nAccept: b\r\nCookie: d=2",
    "X-A:\r\nX-B: 1\r\nX-A:",
    "X-Empty:",
    "X-Empty: \r\nX-Full: 1",
    "X: a b  c\td",
    "X: a,b , c",
    "X: \"quoted \\\" \"",
    "X: a: b: c",
    "X: %00%0d%0a",
    "X: <>[]{}()|\\^`",
    "X: ;=?@/",
    "Content-Encoding: gzip",
    "Accept-Encoding: br;q=1.0, gzip;q=0.8, *;q=0",
    "User-Agent: curl/8",
    "Range: bytes=0-0,-1",
    "If-None-Match: W/\"a\", *",
    "Via: 1.1 a",
    "X-Forwarded-For: 1.2.3.4",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: a",
    "Forwarded: for=b",
    "X-Real-Ip: 1.2.3.4",
    "Authorization: Bearer a.b.c",
    "Cookie: a=b; c=\"d\"",
    "Cookie: ",
    "Max-Forwards: 0",
    "Cache-Control: no-cache, x",
    "Date: yesterday",
    "Priority: u=1, i",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate: a=b",
    "grpc-timeout: 1S",
    "Trailer: x",
    "Content-Type: application/json",
    "TE: trailers",
    "DNT: 1\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Mode: cors",
    "Accept: *\r\nAccept: *",
];

#[test]
fn fields_pass_byte_by_byte_and_in_order() {
    let (longish, long) = ("a".repeat(7 * 1024), "b".repeat(30 * 1024));
    let many: Vec<_> = (0..80).map(|at| format!("X-{at}: {at}")).collect();
    let mut cases: Vec<_> = FIELDS.iter().map(|fields| bodiless("GET /", fields)).collect();
    cases.push(bodiless("GET /", &format!("X-Long: {longish}")));
    cases.push(bodiless("GET /", &format!("X-Longer: {long}\r\nX-End: 1")));
    cases.push(bodiless("GET /", &many.join("\r\n")));
    for (name, fields) in [
        ("a value in Latin-1", "X: \u{e9}\u{ff}\u{80}\u{a0}x"),
        ("a value of one byte over 127", "X: \u{80}"),
        ("space before and behind a value", "X:   a  b   \r\nY:c\r\nZ:\t d\t"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: m\r\n{ID}\r\n{fields}\r\n\r\n");
        cases.push(case(name, latin1_bytes(&request)));
    }
    cases.push(case("Host last", format!("GET / HTTP/1.1\r\nA: 1\r\n{ID}\r\nhOsT: m:80\r\n\r\n")));
    check(&cases, |request| unchanged(request));
}

#[test]
fn hosts_pass_as_they_were_written() {
    let hosts = [
        "m",
        "M.Example",
        "m:80",
        "m:8080",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:80",
        "a_b",
        "a-b.c.",
        "xn--a",
    ];
    let cases =
        hosts.map(|host| case(host, format!("GET / HTTP/1.1\r\nHost: {host}\r\n{ID}\r\n\r\n")));
    check(&cases, |request| unchanged(request));
}

fn posted(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /score HTTP/1.1\r\nHost: m\r\n{ID}\r\n{fields}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn bodies_and_trailers_pass_byte_by_byte() {
    let coding = "Transfer-Encoding: chunked";
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    let sized = format!("Content-Length: {}", bytes.len());
    let chunks = [b"100\r\n", &bytes[..], b"\r\n0\r\n\r\n"].concat();
    let cases = [
        ("every byte, sized", posted(&sized, &bytes)),
        ("every byte, in a chunk", posted(coding, &chunks)),
        ("no byte, sized", posted("Content-Length: 0", b"")),
        ("no byte, chunked", posted(coding, b"0\r\n\r\n")),
        ("compressed", posted(&format!("Content-Encoding: gzip\r\n{sized}"), &bytes)),
        (
            "what looks like a request",
            posted("Content-Length: 27", b"GET / HTTP/1.1\r\nHost: m\r\n\r\n"),
        ),
        (
            "a trailer, announced",
            posted(&format!("{coding}\r\nTrailer: X-Sum"), b"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"),
        ),
        ("a trailer, not announced", posted(coding, b"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n")),
        (
            "trailers in order",
            posted(coding, b"2\r\nab\r\n0\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nX-Empty:\r\n\r\n"),
        ),
        ("trailers without data", posted(coding, b"0\r\nX_y: 1 2\r\n\r\n")),
        ("trailers asked for", posted(&format!("{coding}\r\nTE: trailers"), b"0\r\nX: 1\r\n\r\n")),
        (
            "a trailer of 7 KiB",
            posted(coding, format!("0\r\nX: {}\r\n\r\n", "a".repeat(7168)).as_bytes()),
        ),
        ("64 KiB in chunks of 1000", {
            let chunks = noise(65_000);
            let chunks =
                chunks.chunks(1000).flat_map(|chunk| [b"3E8\r\n", chunk, b"\r\n"].concat());
            posted(coding, &chunks.chain(*b"0\r\n\r\n").collect::<Vec<_>>())
        }),
        ("an extension, which may go", posted(coding, b"2;a=\"b\"\r\nab\r\n0;c\r\n\r\n")),
    ]
    .map(|(name, request)| case(name, request));
    check(&cases, |request| unchanged(request));
}

#[test]
fn http_1_0_is_passed_on_as_http_1_1() {
    let cases = [
        case("with a host", format!("GET /a HTTP/1.0\r\nHost: m\r\n{ID}\r\nX: y\r\n\r\n")),
        case(
            "with a body",
            format!("POST /a HTTP/1.0\r\nHost: m\r\n{ID}\r\nX: y\r\nContent-Length: 2\r\n\r\nab"),
        ),
        case(
            "kept alive",
            format!("GET /a HTTP/1.0\r\nHost: m\r\n{ID}\r\nX: y\r\nConnection: keep-alive\r\n\r\n"),
        ),
    ];
    check(&cases, |request| {
        let (said, _) = parse(request).unwrap();
        let mut said = said.without(&["connection"]);
        said.start = said.start.replace("1.0", "1.1");
        let seen = seen_of(request)?.without(&["connection"]);
        if seen == said { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

#[test]
fn http_1_0_without_a_host_gets_one() {
    let seen = seen_of(format!("GET /a HTTP/1.0\r\n{ID}\r\n\r\n").as_bytes()).unwrap();
    assert_eq!((seen.start.as_str(), seen.all("host").len()), ("GET /a HTTP/1.1", 1));
}

#[test]
fn nothing_is_added_but_an_id() {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    let answer = response(client.say("GET / HTTP/1.1\r\nHost: m\r\n\r\n")).unwrap();
    drop(client);
    stop(sidecar);
    let seen = witness.finish().whole.remove(0);
    let names = |message: &Message| -> Vec<String> {
        message.fields.iter().map(|(name, _)| name.to_lowercase()).collect()
    };
    assert_eq!(names(&seen), ["host", "x-request-id"]);
    assert_eq!(names(&answer), ["content-length", "x-request-id"]);
}
