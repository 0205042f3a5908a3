//! What a proxy adds to the delay of server-sent events.
//!
//! Each event carries the time it was sent. Streams straight from the backend go in the same rounds as
//! those through proxies, so that what is added is added to a delay of the same minute.

use super::backend::{EVENT_DIGITS, EVENT_INTERVAL, EVENT_START};
use super::client::Connection;
use super::config::{Answers, Site};
use super::peer::{Running, start_all};
use super::stand::Stand;
use super::table::{Table, figure, median, quantile};
use super::wire;
use super::workload::SMALL;
use anyhow::{Context, ensure};
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::JoinSet;

const STREAMS: u32 = 8;
/// Behind the end of a line, as nothing in a head can be.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
/// How much longer than the events take.
const GRACE: Duration = Duration::from_secs(10);

/// Delays of one round, in milliseconds.
#[derive(Clone, Copy)]
struct Delay {
    p50_ms: f64,
    p95_ms: f64,
}

/// A way from the backend to the client: straight, or through a proxy.
struct Way {
    proxy: Option<Running>,
    rounds: Vec<Delay>,
    lost: u32,
}

pub(crate) fn measure(stand: &Stand) -> anyhow::Result<String> {
    let backend = stand.backend(&SMALL)?;
    let site = Site { answers: Answers::Streamed, ..Site::new(SMALL.protocol(), backend.port) };
    let proxies = start_all(stand, &stand.peers(), site).into_iter().map(Some);
    let mut ways: Vec<Way> = std::iter::once(None)
        .chain(proxies)
        .map(|proxy| Way { proxy, rounds: Vec::new(), lost: 0 })
        .collect();
    let per_second = 1000 / u32::try_from(EVENT_INTERVAL.as_millis())?;
    let count = per_second * u32::try_from(stand.options.seconds())?;
    for round in 0..=stand.options.rounds() {
        eprintln!("round {round}");
        let mut order: Vec<usize> = (0..ways.len()).collect();
        fastrand::shuffle(&mut order);
        for index in order {
            run_round(&mut ways[index], backend.port, count, round)?;
        }
    }
    Ok(report(&ways))
}

/// Round 0 warms up and leaves nothing behind.
fn run_round(way: &mut Way, backend: u16, count: u32, round: usize) -> anyhow::Result<()> {
    let port = way.proxy.as_ref().map_or(backend, |running| running.port);
    let delays = delays(port, count).with_context(|| way.name())?;
    if round == 0 {
        return Ok(());
    }
    way.lost += (STREAMS * count).saturating_sub(u32::try_from(delays.len())?);
    let quantile = |q| quantile(&delays, q).with_context(|| format!("{}: no event", way.name()));
    way.rounds.push(Delay { p50_ms: quantile(0.5)?, p95_ms: quantile(0.95)? });
    Ok(())
}

/// Of all events of some streams at once.
fn delays(port: u16, count: u32) -> anyhow::Result<Vec<f64>> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let limit = EVENT_INTERVAL * count + GRACE;
    runtime.block_on(async {
        let mut streams = JoinSet::new();
        for _ in 0..STREAMS {
            streams.spawn_local(tokio::time::timeout(limit, stream(port, count)));
        }
        let mut delays = Vec::new();
        while let Some(of_one) = streams.join_next().await {
            delays.extend(of_one?.context("a stream of events did not end")??);
        }
        Ok(delays)
    })
}

async fn stream(port: u16, count: u32) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::open(port).await?;
    let request = format!("GET /events/{count} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    connection.send(request.as_bytes()).await?;
    let (mut delays, mut waiting) = (Vec::new(), Vec::new());
    while !waiting.ends_with(LAST_CHUNK) {
        let read = connection.read(&mut waiting).await?;
        let now = wire::now_ns();
        ensure!(read > 0, "a stream of events broke off after {}", delays.len());
        while let Some((sent_ns, end)) = event(&waiting) {
            delays.push((now - sent_ns) as f64 / 1e6);
            waiting.drain(..end);
        }
    }
    Ok(delays)
}

/// The time in the first whole event, and where its number ends.
fn event(bytes: &[u8]) -> Option<(i64, usize)> {
    let start = bytes.windows(EVENT_START.len()).position(|window| window == EVENT_START)?;
    let start = start + EVENT_START.len();
    let digits = bytes.get(start..start + EVENT_DIGITS)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, start + EVENT_DIGITS))
}

impl Way {
    fn name(&self) -> &'static str {
        self.proxy.as_ref().map_or("direct", |running| running.peer.name())
    }

    fn median(&self, of: impl Fn(&Delay) -> f64) -> Option<f64> {
        median(&self.rounds.iter().map(of).collect::<Vec<_>>())
    }

    /// Over the rounds, the median of what this way adds to the direct one.
    fn added(&self, direct: &Self, of: fn(&Delay) -> f64) -> Option<f64> {
        let pairs = self.rounds.iter().zip(&direct.rounds);
        median(&pairs.map(|(own, direct)| of(own) - of(direct)).collect::<Vec<_>>())
    }
}

fn report(ways: &[Way]) -> String {
    let columns =
        ["proxy", "p50 ms", "p95 ms", "added to p50 ms", "added to p95 ms", "events lost"];
    let about = format!(
        "{STREAMS} streams of events {} ms apart, from being sent to being read; what is added is \
         paired with the direct way of the same round.",
        EVENT_INTERVAL.as_millis()
    );
    let mut table = Table::new("sse", &about, &columns);
    let Some((direct, _)) = ways.split_first() else { return table.finish() };
    for way in ways {
        let added = |of: fn(&Delay) -> f64| match way.proxy {
            None => String::new(),
            Some(_) => {
                way.added(direct, of).map_or_else(|| "–".to_owned(), |ms| format!("{ms:.3}"))
            }
        };
        table.row(&[
            way.name().to_owned(),
            figure(way.median(|delay| delay.p50_ms)),
            figure(way.median(|delay| delay.p95_ms)),
            added(|delay| delay.p50_ms),
            added(|delay| delay.p95_ms),
            way.lost.to_string(),
        ]);
    }
    table.finish()
}
