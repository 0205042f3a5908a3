//! What a client that stays connected and asks nothing costs in memory.

use super::client::{self, Connection};
use super::config::Site;
use super::payload;
use super::peer::Peer;
use super::stand::Stand;
use super::table::{Table, figure};
use super::usage;
use super::workload::SMALL;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};

/// For buffers that are freed after a while.
const REST: Duration = Duration::from_secs(1);
const SETTLE_LIMIT: Duration = Duration::from_secs(5);
/// What a process needs beside two descriptors a connection.
const SPARE_DESCRIPTORS: u64 = 512;

struct Memory {
    before_kib: f64,
    after_kib: f64,
    opened: usize,
    failed: u32,
}

pub(crate) fn measure(stand: &Stand) -> anyhow::Result<String> {
    let connections = affordable(stand);
    let about = format!(
        "{connections} clients connect one after another, ask once (POST 1 KiB → 300 B) and stay. \
         Resident memory of all processes of a proxy, in MiB; what the kernel holds is not in it."
    );
    let columns = ["proxy", "RSS before", "RSS with them", "KiB a connection", "failed"];
    let mut table = Table::new("idle", &about, &columns);
    let backend = stand.backend(&SMALL)?;
    for peer in stand.peers() {
        eprintln!("{}", peer.name());
        // haproxy sets aside two descriptors for each that it may take.
        let site =
            Site { connections: connections + 64, ..Site::new(SMALL.protocol(), backend.port) };
        table.row(&row(peer, &memory(stand, peer, site, connections)?));
    }
    Ok(table.finish())
}

/// As many connections as asked for, or as the limit of descriptors allows.
fn affordable(stand: &Stand) -> u32 {
    let asked = stand.options.idle_connections;
    let allowed = stand.descriptors.saturating_sub(SPARE_DESCRIPTORS) / 2;
    match u32::try_from(allowed) {
        Ok(allowed) if allowed < asked => {
            eprintln!(
                "only {allowed} connections and not {asked}: the limit of open descriptors is {}; \
                 raise it with `ulimit -Hn`",
                stand.descriptors
            );
            allowed
        }
        _ => asked,
    }
}

fn memory(stand: &Stand, peer: Peer, site: Site, connections: u32) -> anyhow::Result<Memory> {
    let running = peer.start(stand, site)?;
    let group = running.process.pid();
    let (body, _) = payload::request(SMALL.request_bytes, SMALL.columns)?;
    let request = client::post(payload::PATH, &body);
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let rest = || -> anyhow::Result<f64> {
        std::thread::sleep(REST);
        usage::settle(group, SETTLE_LIMIT)?;
        usage::resident_kib(group)
    };
    let (first, _) = runtime.block_on(connect(running.port, &request, 1));
    let before_kib = rest()?;
    let (kept, failed) = runtime.block_on(connect(running.port, &request, connections));
    let after_kib = rest()?;
    drop(first);
    Ok(Memory { before_kib, after_kib, opened: kept.len(), failed })
}

/// Connections that each had one good answer, and how many had not.
async fn connect(port: u16, request: &[u8], connections: u32) -> (Vec<Connection>, u32) {
    let (mut kept, mut failed) = (Vec::new(), 0);
    for _ in 0..connections {
        let Ok(mut connection) = Connection::open(port).await else {
            failed += 1;
            continue;
        };
        match connection.exchange(request).await {
            Ok(answer) if answer.is_good() && !answer.is_last => kept.push(connection),
            _ => failed += 1,
        }
    }
    (kept, failed)
}

fn row(peer: Peer, memory: &Memory) -> [String; 5] {
    let growth = (memory.after_kib - memory.before_kib) / memory.opened.max(1) as f64;
    [
        peer.name().to_owned(),
        figure(Some(memory.before_kib / 1024.0)),
        figure(Some(memory.after_kib / 1024.0)),
        figure((memory.opened > 0).then_some(growth)),
        memory.failed.to_string(),
    ]
}
