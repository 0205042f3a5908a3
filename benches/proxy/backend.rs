//! The model server that all proxies stand in front of: this bench's own binary, as a child.
//!
//! It shares a core with the load generator, so it does as little as it can: a head is read, its body
//! thrown away, and a canned answer written. Beside it: `/delay/MS` answers later, `/events/COUNT`
//! streams events that carry the time they were sent.

use super::workload::Protocol;
use super::{h2_backend, wire};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};

const BUFFER_BYTES: usize = 64 << 10;
pub(crate) const EVENT_INTERVAL: Duration = Duration::from_millis(5);
/// What stands before and after the time in an event.
pub(crate) const EVENT_START: &[u8] = b"data: ";
pub(crate) const EVENT_DIGITS: usize = 20;
/// Said on stdout once connections are taken.
pub(crate) const READY: &str = "ready";

/// Serves until it is killed.
pub(crate) fn run(port: u16, body: String, protocol: Protocol) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("{READY}");
        let response: Rc<[u8]> = http1_response(&body).into();
        let body = bytes::Bytes::from(body);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let response = Rc::clone(&response);
            // A connection that a proxy broke off is the proxy's to report.
            drop(match protocol {
                Protocol::H2c => tokio::task::spawn_local(h2_backend::serve(stream, body.clone())),
                Protocol::Http1 => {
                    tokio::task::spawn_local(async move { drop(serve(stream, &response).await) })
                }
            });
        }
    })
}

fn http1_response(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

enum Task {
    Answer,
    AnswerLater(Duration),
    SendEvents(u32),
}

impl Task {
    fn of(path: &str) -> Self {
        let number = |text: &str| text.parse::<u32>().ok();
        if let Some(delay) = path.strip_prefix("/delay/").and_then(number) {
            return Self::AnswerLater(Duration::from_millis(delay.into()));
        }
        path.strip_prefix("/events/").and_then(number).map_or(Self::Answer, Self::SendEvents)
    }
}

/// One connection: exchange after exchange, pipelined or not.
async fn serve(mut stream: TcpStream, response: &[u8]) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut filled = 0;
    while let Some(head_bytes) = read_head(&mut stream, &mut buffer, &mut filled).await? {
        let head = wire::text(&buffer[..head_bytes])?;
        let task = Task::of(head.split(' ').nth(1).unwrap_or_default());
        let body_bytes = wire::content_length(head)?.unwrap_or(0);
        let at_hand = body_bytes.min((filled - head_bytes) as u64);
        #[expect(clippy::cast_possible_truncation, reason = "no more than the buffer holds")]
        let used = head_bytes + at_hand as usize;
        buffer.copy_within(used..filled, 0);
        filled -= used;
        discard(&mut stream, &mut buffer, body_bytes - at_hand).await?;
        match task {
            Task::Answer => {}
            Task::AnswerLater(delay) => tokio::time::sleep(delay).await,
            Task::SendEvents(count) => {
                send_events(&mut stream, count).await?;
                continue;
            }
        }
        stream.write_all(response).await?;
    }
    Ok(())
}

/// The length of the next head, or `None` if the connection ended.
async fn read_head(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    filled: &mut usize,
) -> io::Result<Option<usize>> {
    loop {
        if let Some(end) = wire::head_end(&buffer[..*filled]) {
            return Ok(Some(end));
        }
        match stream.read(&mut buffer[*filled..]).await? {
            0 => return Ok(None),
            read => *filled += read,
        }
    }
}

/// Only called when nothing else is in the buffer, or nothing is left to discard.
async fn discard(stream: &mut TcpStream, buffer: &mut [u8], mut bytes: u64) -> io::Result<()> {
    while bytes > 0 {
        let room = usize::try_from(bytes).unwrap_or(usize::MAX).min(buffer.len());
        match stream.read(&mut buffer[..room]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes -= read as u64,
        }
    }
    Ok(())
}

async fn send_events(stream: &mut TcpStream, count: u32) -> io::Result<()> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
        Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(HEAD).await?;
    let mut ticks = tokio::time::interval(EVENT_INTERVAL);
    for _ in 0..count {
        ticks.tick().await;
        let event = format!("data: {:0EVENT_DIGITS$}\n\n", wire::now_ns());
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}
