//! What a client sees of an answer is what the upstream said, byte by byte and in its order.

use super::stop;
use crate::support::cases::check;
use crate::support::message::{Message, request, response as parse};
use crate::support::raw::{End, Raw};
use crate::support::sidecar::before;
use crate::support::wire::noise;
use crate::support::witness::{Witness, response, response_to};

/// Belong to a connection, or are the sidecar's.
const OF_THE_HOP: [&str; 3] = ["connection", "keep-alive", "x-request-id"];

/// What a client that sends `asking` gets, if an upstream says `bytes` and then no more.
fn got(asking: &str, bytes: &[u8]) -> Result<Message, String> {
    let said = bytes.to_vec();
    let witness = Witness::playing(move |raw| {
        if raw.hear(|bytes, _| request(bytes).ok()).is_ok() {
            raw.say(&said).finish();
            drop(raw.hear_all());
        }
    });
    let sidecar = before(witness.address).start();
    let method = asking.split(' ').next().unwrap();
    let answer = response_to(method, Raw::connect(sidecar.address).say(asking));
    stop(sidecar);
    drop(witness.finish_bytes());
    answer
}

fn asking(method: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: m\r\n\r\n")
}

fn unchanged(method: &str, bytes: &[u8]) -> Result<(), String> {
    let (said, _) = parse(bytes, method, Some(End::Closed)).unwrap();
    let answer = got(&asking(method), bytes)?;
    let (seen, said) = (answer.without(&OF_THE_HOP), said.without(&OF_THE_HOP));
    if seen == said { Ok(()) } else { Err(format!("seen as {seen:?}")) }
}

fn check_unchanged(cases: &[(&str, &str, Vec<u8>)]) {
    let named = |(name, method, bytes): &(&str, &str, Vec<u8>)| {
        ((*name).to_owned(), ((*method).to_owned(), bytes.clone()))
    };
    let cases: Vec<_> = cases.iter().map(named).collect();
    check(&cases, |(method, bytes)| unchanged(method, bytes));
}

fn latin1_bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

#[test]
fn status_lines_pass_byte_by_byte() {
    let lines = [
        "200 OK",
        "200 ok",
        "200 ",
        "200 Rather  Fine\tIndeed",
        "200 \u{e9}\u{ff}",
        "201 Created",
        "202 Accepted",
        "203 X",
        "206 Partial Content",
        "207 Multi-Status",
        "226 IM Used",
        "299 Odd",
        "300 X",
        "302 Found",
        "307 X",
        "399 X",
        "400 Bad",
        "401 Who",
        "403 No",
        "404 Gone Fishing",
        "405 X",
        "418 I'm a teapot",
        "422 X",
        "429 Slow Down",
        "431 X",
        "451 X",
        "499 X",
        "500 Oops",
        "501 X",
        "502 Theirs",
        "503 Busy",
        "504 X",
        "505 X",
        "511 X",
        "599 X",
        "200 200",
        "200 : a",
        "200 a%0d%0ab",
    ];
    let said = lines.map(|line| {
        let bytes = latin1_bytes(&format!("HTTP/1.1 {line}\r\nContent-Length: 2\r\n\r\nok"));
        (line, "GET", bytes)
    });
    check_unchanged(&said);
}

const FIELDS: &[&str] = &[
    "X_A: 1",
    "X.A: 1",
    "X!A: 1",
    "X~A: 1",
    "X^A: 1",
    "X|A`': 1",
    "x-lower: 1",
    "X-MiXeD: 1",
    "X-UPPER: 1",
    "X-A: 1\r\nX-B: 2\r\nX-A: 3",
    "X-A: 1\r\nx-a: 2",
    "B: 1\r\nA: 2\r\nC: 3\r\nB: 4\r\nA: 5",
    "Set-Cookie: a=1\r\nX: y\r\nSet-Cookie: b=2; Path=/\r\nSet-Cookie: a=1",
    "X-Empty:",
    "X-Empty:\r\nX: 1\r\nX-Empty:",
    "X: \u{e9}\u{ff}\u{80}",
    "X: a b  c\td",
    "X: \"a\\\"\"",
    "X: a: b",
    "Vary: a\r\nVary: b",
    "Date: Thu, 01 Jan 1970 00:00:00 GMT",
    "Server: theirs",
    "Via: 1.1 them",
    "Content-Encoding: gzip",
    "Content-Encoding: br\r\nVary: Accept-Encoding",
    "X-Accel-Buffering: no",
    "X-Accel-Redirect: /secret",
    "X-Sendfile: /etc/passwd",
    "Alt-Svc: h3=\":443\"",
    "Content-Type: text/html; charset=\"utf-8\"",
    "ETag: W/\"a\"",
    "Location: /a/../b",
    "Location: http://m:1/|{}",
    "Cache-Control: no-cache, no-store",
    "Strict-Transport-Security: max-age=0",
    "WWW-Authenticate: Basic realm=\"a, b\"",
    "Content-Disposition: attachment; filename*=UTF-8''%e2%82%ac",
    "Age: 1",
    "Warning: 199 a",
    "Pragma: no-cache",
    "Content-MD5: x",
    "Trailer: x",
];

#[test]
fn fields_pass_byte_by_byte_and_in_order() {
    let many: Vec<_> = (0..80).map(|at| format!("X-{at}: {at}")).collect();
    let block: Vec<_> = (0..63).map(|at| format!("X-{at}: {}", "a".repeat(1020))).collect();
    let (longish, long) = ("a".repeat(7 * 1024), "b".repeat(30 * 1024));
    let (longish, long) = (format!("X-Long: {longish}"), format!("X-Long: {long}\r\nX-End: 1"));
    let (many, block) = (many.join("\r\n"), block.join("\r\n"));
    let mut cases: Vec<(&str, &str)> = FIELDS.iter().map(|fields| (*fields, *fields)).collect();
    cases.push(("a value of 7 KiB", &longish));
    cases.push(("a value of 30 KiB", &long));
    cases.push(("80 fields", &many));
    cases.push(("a block of 64 KiB", &block));
    let said = cases.into_iter().map(|(name, fields)| {
        let said = format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: 2\r\n\r\nok");
        (name, "GET", latin1_bytes(&said))
    });
    check_unchanged(&said.collect::<Vec<_>>());
}

#[test]
fn answers_without_a_body_pass_with_their_fields() {
    let of = |line: &str, fields: &str| format!("HTTP/1.1 {line}\r\n{fields}\r\n").into_bytes();
    let chunked = "Transfer-Encoding: chunked\r\n";
    check_unchanged(&[
        ("HEAD", "HEAD", of("200 OK", "Content-Length: 1234\r\nX: y\r\n")),
        ("HEAD, length 0", "HEAD", of("200 OK", "Content-Length: 0\r\nX: y\r\n")),
        (
            "HEAD, large",
            "HEAD",
            of("200 OK", "X: y\r\nContent-Length: 9999999999\r\nETag: \"a\"\r\n"),
        ),
        ("HEAD, chunked", "HEAD", of("200 OK", chunked)),
        ("HEAD, no length", "HEAD", of("200 OK", "X: y\r\n")),
        ("HEAD, 404", "HEAD", of("404 No", "Content-Length: 7\r\n")),
        ("HEAD, 304", "HEAD", of("304 Not Modified", "ETag: \"a\"\r\n")),
        ("204", "GET", of("204 No Content", "X: y\r\n")),
        ("204 of DELETE", "DELETE", of("204 Gone", "")),
        ("204 of OPTIONS", "OPTIONS", of("204 X", "Allow: GET, PUT\r\n")),
        ("205", "GET", of("205 Reset Content", "Content-Length: 0\r\n")),
        ("304", "GET", of("304 Not Modified", "ETag: \"a\"\r\n")),
        ("304 with a length", "GET", of("304 Not Modified", "Content-Length: 1234\r\nX: y\r\n")),
        ("304 with length 0", "GET", of("304 Not Modified", "Content-Length: 0\r\n")),
        ("200 with length 0", "GET", of("200 OK", "Content-Length: 0\r\nX: y\r\n")),
    ]);
}

#[test]
fn bodies_and_trailers_pass_byte_by_byte() {
    let head = "HTTP/1.1 200 OK\r\nX: y\r\n";
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    let sized = [head.as_bytes(), b"Content-Length: 256\r\n\r\n", &bytes].concat();
    let zipped =
        [head.as_bytes(), b"Content-Encoding: gzip\r\nContent-Length: 256\r\n\r\n", &bytes]
            .concat();
    let large = noise(3 << 20);
    let large = [head.as_bytes(), b"Content-Length: 3145728\r\n\r\n", &large].concat();
    let chunked = |fields: &str, body: &str| {
        format!("{head}{fields}Transfer-Encoding: chunked\r\n\r\n{body}").into_bytes()
    };
    let cases = [
        ("every byte", "GET", sized),
        ("compressed", "GET", zipped),
        ("3 MiB", "GET", large),
        ("chunks", "GET", chunked("", "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")),
        ("no chunks", "GET", chunked("", "0\r\n\r\n")),
        ("an extension, which may go", "GET", chunked("", "2;a=b\r\nab\r\n0;c\r\n\r\n")),
        (
            "a trailer, announced",
            "GET",
            chunked("Trailer: X-Sum\r\n", "2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"),
        ),
        ("a trailer, not announced", "GET", chunked("", "2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n")),
        (
            "trailers in order",
            "GET",
            chunked("", "0\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nX-Empty:\r\n\r\n"),
        ),
        ("a body of POST", "POST", chunked("", "2\r\nab\r\n0\r\n\r\n")),
        ("a body of an unknown method", "BREW", chunked("", "2\r\nab\r\n0\r\n\r\n")),
        ("a body of OPTIONS", "OPTIONS", chunked("", "2\r\nab\r\n0\r\n\r\n")),
    ];
    check_unchanged(&cases);
}

#[test]
fn trailers_pass_to_one_who_said_to_take_them() {
    let said = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n";
    let asking = "GET / HTTP/1.1\r\nHost: m\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    let answer = got(asking, said.as_bytes()).unwrap();
    assert_eq!(answer.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
}

/// The framing may change, as the client's connection lives on; nothing else may.
#[test]
fn answers_that_end_with_the_connection_pass_whole() {
    let body = String::from_utf8(vec![b'z'; 200_000]).unwrap();
    let cases = [
        ("HTTP/1.1", format!("HTTP/1.1 200 Fine\r\nX: y\r\n\r\n{body}")),
        (
            "HTTP/1.1, closing",
            format!("HTTP/1.1 200 Fine\r\nConnection: close\r\nX: y\r\n\r\n{body}"),
        ),
        ("HTTP/1.0", format!("HTTP/1.0 200 Fine\r\nX: y\r\n\r\n{body}")),
        (
            "HTTP/1.0 with a length",
            format!("HTTP/1.0 200 Fine\r\nX: y\r\nContent-Length: 200000\r\n\r\n{body}"),
        ),
        ("HTTP/1.0, nothing", "HTTP/1.0 200 Fine\r\nX: y\r\n\r\n".to_owned()),
        ("HTTP/1.1, nothing", "HTTP/1.1 200 Fine\r\nX: y\r\n\r\n".to_owned()),
    ]
    .map(|(name, said)| (name.to_owned(), said));
    check(&cases, |said| {
        let (whole, _) = parse(said.as_bytes(), "GET", Some(End::Closed)).unwrap();
        let framing = ["transfer-encoding", "content-length", "connection", "x-request-id"];
        let mut expected = whole.without(&framing);
        expected.start = expected.start.replace("1.0", "1.1");
        let seen = got(&asking("GET"), said.as_bytes())?.without(&framing);
        if seen == expected { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

/// An answer on a connection that lives on, asked twice.
#[test]
fn an_upstream_of_http_1_0_may_keep_its_connection() {
    let witness = Witness::answering(|_| {
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok".to_vec()
    });
    let sidecar = before(witness.address).start();
    let mut client = Raw::connect(sidecar.address);
    for _ in 0..2 {
        let answer = response(client.say(asking("GET"))).unwrap();
        assert_eq!((answer.start.as_str(), &*answer.body), ("HTTP/1.1 200 OK", &b"ok"[..]));
    }
    drop(client);
    stop(sidecar);
    assert_eq!(witness.finish().whole.len(), 2);
}
