//! The proxy is asked to stop under traffic: what it does with the requests it has.

use super::client;
use super::config::Site;
use super::payload;
use super::peer::Peer;
use super::stand::Stand;
use super::table::{Table, figure};
use super::traffic::{Outcome, Record, Traffic};
use super::workload::SMALL;
use anyhow::Context;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

const BEFORE: Duration = Duration::from_secs(1);
/// So slow that every client has a request under way at any time.
const PATH: &str = "/delay/100";
const EXIT_LIMIT: Duration = Duration::from_secs(20);

struct Stopped {
    asked_at: Instant,
    /// `None` if it was still there at the end.
    ended: Option<(ExitStatus, Duration)>,
    records: Vec<Record>,
}

pub(crate) fn measure(stand: &Stand) -> anyhow::Result<String> {
    let columns = [
        "proxy",
        "signal",
        "in flight",
        "of them failed",
        "sent later and failed",
        "exit",
        "ms until exit",
    ];
    let about = "16 connections ask for answers that take 100 ms; then the proxy is asked to stop. \
        Sent later: on a connection that was still open or taken; a client that nobody listens to \
        goes elsewhere and loses nothing. (Envoy drains when its admin port is told to, not by a signal.)";
    let mut table = Table::new("drain", about, &columns);
    let backend = stand.backend(&SMALL)?;
    for peer in stand.peers() {
        eprintln!("{}", peer.name());
        let site = Site::new(SMALL.protocol(), backend.port);
        table.row(&row(peer, &stop_under_traffic(stand, peer, site)?));
    }
    Ok(table.finish())
}

fn stop_under_traffic(stand: &Stand, peer: Peer, site: Site) -> anyhow::Result<Stopped> {
    let mut running = peer.start(stand, site)?;
    let (body, _) = payload::request(SMALL.request_bytes, SMALL.columns)?;
    let traffic = Traffic::start(running.port, client::post(PATH, &body))?;
    std::thread::sleep(BEFORE);
    let asked_at = Instant::now();
    running.process.signal(peer.stop_signal().0)?;
    let status = running.process.wait(EXIT_LIMIT).context("waiting for the exit")?;
    let ended = status.map(|status| (status, asked_at.elapsed()));
    // Its port is closed by now, or it would not stop at all: what hangs on it must not.
    drop(running);
    Ok(Stopped { asked_at, ended, records: traffic.finish()? })
}

fn row(peer: Peer, stopped: &Stopped) -> [String; 7] {
    let at = stopped.asked_at;
    let in_flight = || stopped.records.iter().filter(move |r| r.began <= at && r.ended > at);
    let later = stopped.records.iter().filter(|record| {
        record.began > at && record.failed() && record.outcome != Outcome::NoConnection
    });
    let exit = match stopped.ended {
        None => format!("not within {} s", EXIT_LIMIT.as_secs()),
        Some((status, _)) => match (status.code(), status.signal()) {
            (Some(code), _) => code.to_string(),
            (None, signal) => format!("signal {}", signal.unwrap_or_default()),
        },
    };
    let took = stopped.ended.map(|(_, took)| took.as_secs_f64() * 1000.0);
    [
        peer.name().to_owned(),
        peer.stop_signal().1.to_owned(),
        in_flight().count().to_string(),
        in_flight().filter(|record| record.failed()).count().to_string(),
        later.count().to_string(),
        exit,
        figure(took),
    ]
}
