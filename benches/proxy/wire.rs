//! As much of HTTP/1.1 as the backend and the client here need of what proxies send them.

use std::io;

/// Where the head ends, the empty line included.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub(crate) fn content_length(head: &str) -> io::Result<Option<u64>> {
    let length = header(head, "content-length").map(str::parse).transpose();
    length.map_err(|_| malformed("content-length"))
}

pub(crate) fn is_chunked(head: &str) -> bool {
    header(head, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
}

pub(crate) fn text(head: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(head).map_err(|_| malformed("head"))
}

pub(crate) fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}"))
}

/// Nanoseconds on the clock that all processes of this machine share.
pub(crate) fn now_ns() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
