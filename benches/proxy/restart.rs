//! The model restarts under modest traffic: which requests are lost, and for how long.

use super::client;
use super::config::Site;
use super::payload;
use super::peer::Peer;
use super::stand::{Backend, Stand};
use super::table::{Table, figure};
use super::traffic::{Record, Traffic};
use super::workload::SMALL;
use std::time::{Duration, Instant};

const BEFORE: Duration = Duration::from_secs(1);
const ABSENCE: Duration = Duration::from_secs(1);
/// Long enough for those that wait and try again.
const AFTER: Duration = Duration::from_secs(4);

/// From the kill until the backend took connections again.
struct Absence {
    from: Instant,
    until: Instant,
}

pub(crate) fn measure(stand: &Stand) -> anyhow::Result<String> {
    let mut backend = stand.backend(&SMALL)?;
    let columns =
        ["proxy", "requests", "failed while it was down", "failed after", "slowest answer ms"];
    let about = "The backend is killed and is back after 1 s, under 16 connections that ask every \
        10 ms. A failure belongs to the outage if the request was sent before its end. A proxy that \
        holds requests until the backend is back fails fewer, and answers more slowly.";
    let mut table = Table::new("restart", about, &columns);
    for peer in stand.peers() {
        eprintln!("{}", peer.name());
        let (records, absence);
        (records, absence, backend) = restart_behind(stand, peer, backend)?;
        table.row(&row(peer, &records, &absence));
    }
    Ok(table.finish())
}

fn restart_behind(
    stand: &Stand,
    peer: Peer,
    backend: Backend,
) -> anyhow::Result<(Vec<Record>, Absence, Backend)> {
    let running = peer.start(stand, Site::new(SMALL.protocol(), backend.port))?;
    let (body, _) = payload::request(SMALL.request_bytes, SMALL.columns)?;
    let traffic = Traffic::start(running.port, client::post(payload::PATH, &body))?;
    std::thread::sleep(BEFORE);
    let from = Instant::now();
    let backend = backend.restart(stand, &SMALL, ABSENCE)?;
    let until = Instant::now();
    std::thread::sleep(AFTER);
    Ok((traffic.finish()?, Absence { from, until }, backend))
}

fn row(peer: Peer, records: &[Record], absence: &Absence) -> [String; 5] {
    let failed = |is_meant: fn(&Record, &Absence) -> bool| {
        records.iter().filter(|record| record.failed() && is_meant(record, absence)).count()
    };
    let while_down =
        failed(|record, absence| record.began < absence.until && record.ended >= absence.from);
    let after = failed(|record, absence| record.began >= absence.until);
    let before = failed(|record, absence| record.ended < absence.from);
    let good = records.iter().filter(|record| !record.failed());
    let slowest = good.map(|record| record.took().as_secs_f64() * 1000.0).max_by(f64::total_cmp);
    let name = match before {
        0 => peer.name().to_owned(),
        failed => format!("{} ({failed} failed before)", peer.name()),
    };
    let numbers = [records.len(), while_down, after].map(|number| number.to_string());
    let [requests, while_down, after] = numbers;
    [name, requests, while_down, after, figure(slowest)]
}
