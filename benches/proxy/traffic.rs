//! Modest, paced traffic on a thread of its own, and what became of each request.

use super::client::Connection;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// A request that takes longer is lost.
const LIMIT: Duration = Duration::from_secs(15);
const TICK: Duration = Duration::from_millis(10);
const CLIENTS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    /// Answered, but not with 2xx.
    Refused,
    /// Broken off, or not answered in time.
    Broken,
    /// Nobody listened: nothing was sent.
    NoConnection,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: Outcome,
}

impl Record {
    pub(crate) fn failed(&self) -> bool {
        self.outcome != Outcome::Good
    }

    pub(crate) fn took(&self) -> Duration {
        self.ended.duration_since(self.began)
    }
}

/// 16 clients, each with a connection that it keeps, that ask at most once in 10 ms.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Vec<Record>>>>,
}

impl Traffic {
    pub(crate) fn start(port: u16, request: Vec<u8>) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("traffic".into())
            .spawn(move || run(port, &request.into(), &stopped))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Lets requests under way end; gives all there were.
    pub(crate) fn finish(mut self) -> anyhow::Result<Vec<Record>> {
        self.stop.store(true, Ordering::Relaxed);
        let joined = self.thread.take().map(JoinHandle::join);
        let records = joined.and_then(Result::ok).ok_or_else(|| anyhow::anyhow!("traffic died"))?;
        Ok(records?)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn run(port: u16, request: &Rc<[u8]>, stop: &Arc<AtomicBool>) -> io::Result<Vec<Record>> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn_local(client(port, Rc::clone(request), Arc::clone(stop)));
        }
        let mut records = Vec::new();
        while let Some(of_one) = clients.join_next().await {
            records.extend(of_one.map_err(io::Error::other)?);
        }
        Ok(records)
    })
}

async fn client(port: u16, request: Rc<[u8]>, stop: Arc<AtomicBool>) -> Vec<Record> {
    let (mut records, mut kept) = (Vec::new(), None);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let began = Instant::now();
        let asked = tokio::time::timeout(LIMIT, ask(port, &mut kept, &request)).await;
        let outcome = asked.unwrap_or(Outcome::Broken);
        if matches!(outcome, Outcome::Broken) {
            kept = None;
        }
        records.push(Record { began, ended: Instant::now(), outcome });
    }
    records
}

/// One exchange over the kept connection, or a new one if there is none.
async fn ask(port: u16, kept: &mut Option<Connection>, request: &[u8]) -> Outcome {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => match Connection::open(port).await {
            Ok(connection) => connection,
            Err(_) => return Outcome::NoConnection,
        },
    };
    let Ok(answer) = connection.exchange(request).await else { return Outcome::Broken };
    if !answer.is_last {
        *kept = Some(connection);
    }
    if answer.is_good() { Outcome::Good } else { Outcome::Refused }
}
