//! The binary from its start to its end: TLS by its keys, and a drain that cuts nobody.

use crate::cli_support::{taffrail, taffrail_with};
use crate::support::frames::{Connection, DATA, END_HEADERS, END_STREAM, HEADERS, frame, request};
use crate::support::raw::{End, Raw};
use crate::support::sidecar::PATIENCE;
use crate::support::tls::Place;
use crate::support::witness::{OK, Witness, response};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;
use taffrail::archive::Reader;
use taffrail::config::IdentityFiles;

/// The binary at work, ended with the test.
pub(crate) struct Process {
    child: Child,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

fn flags(data: &Path, more: &[(&str, &str)]) -> Vec<String> {
    let data = data.display().to_string();
    let all = [("threads", "2"), ("data-dir", &data)];
    all.iter().chain(more).map(|(flag, value)| format!("--{flag}={value}")).collect()
}

impl Process {
    pub(crate) fn start(data: &Path, more: &[(&str, &str)]) -> Self {
        let (listen, admin) = (free(), free());
        let mut command = Command::new(env!("CARGO_BIN_EXE_taffrail"));
        command.env_clear().arg("run").args(flags(data, more));
        command.arg(format!("--listen={listen}")).arg(format!("--admin={admin}"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let is_up = lines.by_ref().any(|line| line.unwrap().contains("serving"));
        std::thread::spawn(move || lines.for_each(drop));
        assert!(is_up);
        Self { child, listen, admin }
    }

    fn readiness(&self) -> u16 {
        let mut client = Raw::connect(self.admin);
        let asked = "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        response(client.say(asked)).unwrap().status()
    }

    fn await_readiness(&self, status: u16) {
        let since = Instant::now();
        while self.readiness() != status {
            assert!(since.elapsed() < PATIENCE, "never {status}");
        }
    }

    fn terminate(&self) {
        self.signal("-TERM");
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Of the configuration, once `holds`.
    fn standing_when(&self, holds: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let since = Instant::now();
        loop {
            let mut client = Raw::connect(self.admin);
            let asked = "GET /api/v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            let answer = response(client.say(asked)).unwrap();
            let status: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            if holds(&status["reload"]) {
                return status["reload"].clone();
            }
            assert!(since.elapsed() < PATIENCE, "{status:#}");
        }
    }

    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
    }
}

fn https(address: SocketAddr) -> String {
    format!("https://{address}")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn keys_for_tls_on_both_sides_make_a_sidecar_that_is_ready() {
    let place = Place::new();
    let upstream = place.identity_for("upstream", "127.0.0.1");
    let witness =
        Witness::answering_tls(&place.upstream_as(&upstream, &["http/1.1"]), |_| OK.to_vec());
    let own = place.identity("own");
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(
        data.path(),
        &[
            ("upstream", &https(witness.address)),
            ("upstream-tls-ca", text(&place.ca)),
            ("tls-certificate", text(&own.certificate)),
            ("tls-key", text(&own.key)),
        ],
    );
    process.await_readiness(200);
    let mut client = Raw::connect_tls(process.listen, &place.client(&["http/1.1"]));
    let answer = response(client.say("GET / HTTP/1.1\r\nHost: m\r\n\r\n")).unwrap();
    assert_eq!(answer.status(), 200);
    let before = client.shown();
    place.identity("own");
    let since = Instant::now();
    loop {
        let mut client = Raw::connect_tls(process.listen, &place.client(&[]));
        client.say("GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n");
        assert_eq!(response(&mut client).unwrap().status(), 200);
        if client.shown() != before {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "the new certificate is not seen");
    }
    process.terminate();
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn files_that_do_not_belong_together_are_told_with_key_and_file() {
    let place = Place::new();
    let (own, other) = (place.identity("own"), place.identity("other"));
    let mixed = IdentityFiles { key: other.key, ..own };
    let data = tempfile::tempdir().unwrap();
    let flags = flags(
        data.path(),
        &[
            ("upstream", "http://127.0.0.1:1"),
            ("tls-certificate", text(&mixed.certificate)),
            ("tls-key", text(&mixed.key)),
        ],
    );
    for command in ["run", "check"] {
        let arguments: Vec<_> = std::iter::once(command.to_owned()).chain(flags.clone()).collect();
        let run = taffrail(data.path(), &arguments);
        assert_eq!(run.code, Some(1), "{run:?}");
        for said in ["tls.key", "other.key", "own.crt", "give that one's key"] {
            assert!(run.stderr.contains(said), "{said}: {run:?}");
        }
    }
}

const SSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// What each path gets at first, and once it is told to go on.
fn two_parts(reached: mpsc::SyncSender<()>, go_on: Arc<Mutex<mpsc::Receiver<()>>>) -> Witness {
    Witness::playing(move |raw| {
        let _ = raw.hear(|bytes, _| (bytes.len() > 10).then_some(((), 0)));
        if raw.unread().starts_with(b"PRI") {
            let mut connection = Connection::accept(raw);
            while let Ok(heard) = connection.next() {
                if heard.kind == HEADERS {
                    connection.say(frame(HEADERS, END_HEADERS, heard.stream, [0x88]));
                    reached.send(()).unwrap();
                    go_on.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                    connection.say(frame(DATA, END_STREAM, heard.stream, "late"));
                }
            }
            return;
        }
        let Ok(head) = raw.hear_through("\r\n\r\n") else { return };
        let (first, last) = match &head[..8] {
            b"GET /sse" => (SSE, "9\r\ndata: 2\n\n\r\n0\r\n\r\n"),
            b"GET /cha" => (SWITCH, "late"),
            _ => ("", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"),
        };
        raw.say(first);
        reached.send(()).unwrap();
        if go_on.lock().unwrap().recv_timeout(PATIENCE).is_ok() {
            raw.say(last);
        }
        if head.starts_with(b"GET /cha") {
            raw.finish();
        }
        drop(raw.hear_all());
    })
}

/// A plain exchange, an event stream, a tunnel, and a stream of HTTP/2, all half-way.
struct UnderWay {
    clients: [Raw; 3],
    stream: Connection<Raw>,
}

impl UnderWay {
    fn begin(process: &Process, begun: &mpsc::Receiver<()>) -> Self {
        let ask = |target: &str, more: &str| {
            let mut client = Raw::connect(process.listen).patient();
            client.say(format!("GET {target} HTTP/1.1\r\nHost: m\r\n{more}\r\n"));
            client
        };
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        let clients = [ask("/", ""), ask("/sse", ""), ask("/chat", upgrade)];
        let mut stream = Connection::over(Raw::connect(process.listen).patient());
        stream.say(frame(HEADERS, 5, 1, request("GET", &[])));
        (0..4).for_each(|_| begun.recv_timeout(PATIENCE).unwrap());
        Self { clients, stream }
    }
}

struct Setting {
    process: Process,
    begun: mpsc::Receiver<()>,
    release: mpsc::SyncSender<()>,
    data: tempfile::TempDir,
    _witness: Witness,
}

fn setting(more: &[(&str, &str)]) -> Setting {
    let (reached, begun) = mpsc::sync_channel(4);
    let (release, released) = mpsc::sync_channel(4);
    let witness = two_parts(reached, Arc::new(Mutex::new(released)));
    let data = tempfile::tempdir().unwrap();
    let url = format!("http://{}", witness.address);
    let process = Process::start(data.path(), &[&[("upstream", url.as_str())], more].concat());
    process.await_readiness(200);
    Setting { process, begun, release, data, _witness: witness }
}

/// Exchanges in the archive.
fn recorded(data: &Path) -> u64 {
    let reader = Reader::open(data).unwrap();
    reader.summaries().map(|summary| summary.unwrap().exchanges).sum()
}

#[test]
fn a_drain_ends_when_the_last_exchange_is_whole() {
    let Setting { process, begun, release, data, _witness } =
        setting(&[("drain-delay", "1s"), ("drain-timeout", "20s")]);
    let UnderWay { clients: [mut plain, mut events, mut tunnel], mut stream } =
        UnderWay::begin(&process, &begun);
    process.terminate();
    process.await_readiness(503);
    // Clients that have not heard of it are still taken.
    let mut late = Raw::connect(process.listen).patient();
    late.say("GET / HTTP/1.1\r\nHost: m\r\n\r\n");
    begun.recv_timeout(PATIENCE).unwrap();
    let since = Instant::now();
    while TcpStream::connect(process.listen).is_ok() {
        assert!(since.elapsed() < PATIENCE, "the listener is not closed");
    }
    (0..5).for_each(|_| release.send(()).unwrap());
    assert_eq!(response(&mut plain).unwrap().body, b"late");
    assert_eq!(response(&mut late).unwrap().body, b"late");
    assert_eq!(response(&mut events).unwrap().body, b"data: 1\n\ndata: 2\n\n");
    assert_eq!(response(&mut tunnel).unwrap().status(), 101);
    assert_eq!(tunnel.hear_all(), (b"late".to_vec(), End::Closed));
    drop(tunnel);
    let ends = |heard: &crate::support::frames::Frame| {
        heard.kind == DATA && heard.flags & END_STREAM != 0 && heard.payload == b"late"
    };
    while !ends(&stream.next().unwrap()) {}
    while stream.next().is_ok() {}
    assert_eq!(process.exit_code(), Some(0));
    assert_eq!(recorded(data.path()), 5);
}

#[test]
fn draining_ahead_of_the_signal_sends_clients_away_and_serves_on() {
    let witness = Witness::agreeing();
    let url = format!("http://{}", witness.address);
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path(), &[("upstream", url.as_str())]);
    process.await_readiness(200);
    let admin = process.admin.to_string();
    for told in [
        taffrail_with(&[], &["drain", "--admin", &admin]),
        taffrail_with(&[("TAFFRAIL_ADMIN_ADDRESS", &admin)], &["drain"]),
    ] {
        assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""));
    }
    assert_eq!(process.readiness(), 503);
    let mut is_told = false;
    while !is_told {
        let mut client = Raw::connect(process.listen).patient();
        let answer = response(client.say("GET / HTTP/1.1\r\nHost: m\r\n\r\n")).unwrap();
        assert_eq!(answer.status(), 200);
        is_told = answer.field("connection") == Some("close");
    }
    process.terminate();
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn a_drain_that_reaches_no_sidecar_says_where_it_looked() {
    let nobody = free().to_string();
    let told = taffrail_with(&[("TAFFRAIL_ADMIN_ADDRESS", &nobody)], &["drain"]);
    assert_eq!(told.code, Some(1));
    for part in [nobody.as_str(), "TAFFRAIL_ADMIN_ADDRESS", "--admin"] {
        assert!(told.stderr.contains(part), "{part} in {}", told.stderr);
    }
    let told = taffrail_with(&[], &["drain", "--admin", "localhost"]);
    assert_eq!(told.code, Some(1));
    assert!(told.stderr.contains("--admin") && told.stderr.contains("127.0.0.1:9464"));
}

#[test]
fn what_is_left_at_the_deadline_is_cut_and_recorded() {
    let Setting { process, begun, release, data, _witness } = setting(&[("drain-timeout", "1s")]);
    let UnderWay { clients, mut stream } = UnderWay::begin(&process, &begun);
    process.terminate();
    for mut client in clients {
        let (heard, end) = client.hear_all();
        assert_ne!(end, End::Silent);
        assert!(!heard.ends_with(b"late") && !heard.ends_with(b"0\r\n\r\n"), "{heard:?}");
    }
    while let Ok(heard) = stream.next() {
        assert!(heard.kind != DATA);
    }
    assert_eq!(process.exit_code(), Some(0));
    drop(release);
    assert_eq!(recorded(data.path()), 4);
}

#[test]
fn a_hangup_reloads_and_ends_nothing() {
    let witness = Witness::answering(|_| OK.to_vec());
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("taffrail.yaml");
    let says = |text: &str| std::fs::write(&file, format!("reload.watch: off\n{text}\n")).unwrap();
    says("drift.min_rows: 60");
    let url = format!("http://{}", witness.address);
    let process =
        Process::start(data.path(), &[("upstream", url.as_str()), ("config", text(&file))]);
    let mut client = Raw::connect(process.listen);
    let mut asks = || response(client.say("GET / HTTP/1.1\r\nHost: m\r\n\r\n")).unwrap().status();
    assert_eq!(asks(), 200);
    says("drift.min_rows: 70");
    process.signal("-HUP");
    process.standing_when(|standing| standing["reloaded"] == 1);
    says("drift.min_rows: 0");
    process.signal("-HUP");
    let standing = process.standing_when(|standing| standing["rejected"] == 1);
    assert_eq!(standing["last_rejection"]["cause"], "signal");
    // The connection of before serves on.
    assert_eq!(asks(), 200);
    process.terminate();
    assert_eq!(process.exit_code(), Some(0));
}
