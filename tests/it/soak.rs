//! Traffic in which much breaks, and one claim: every answer that looks whole is the one to its request.
//!
//! Clients over HTTP/1.1 and HTTP/2 ask an upstream through a sidecar; each request has a token, and
//! what both sides do about it follows from that ([`plan`]): bodies of 0 to 300 KiB in either framing,
//! slow pieces, slow readers, answers before their question was read, clients that leave, answers that
//! are cut, connections that are closed on the next request, restarts of the upstream. What failed has to have failed by plan, or because the
//! upstream was down. What was recorded has to be what was asked, each once, with its own bodies.
//!
//! It has some thousand requests, or with `TAFFRAIL_SOAK_SECONDS=600` as many as go into that time;
//! then memory may not grow either. For that, run it alone: `cargo test --release --test it soak`.

mod clients;
mod ledger;
mod plan;
mod upstream;
mod wire;

use crate::support::sidecar::{PATIENCE, Sidecar, before};
use ledger::{Certainty, Ledger};
use plan::{Ending, Plan, SEED, Token};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use taffrail::capture::Queue;
use taffrail::config::UpstreamProtocol;
use upstream::{Epoch, Upstream};
use wire::Framing;

const REQUESTS: u64 = 4000;
const HTTP1_CLIENTS: usize = 6;
const HTTP2_CLIENTS: usize = 2;
/// What a process may grow by after the first fifth of a long soak.
const MOST_GROWTH_BYTES: u64 = 64 << 20;

/// What a client heard.
#[derive(Debug)]
enum Outcome {
    Whole(Answer),
    /// It ended, and did not look whole.
    Cut,
    /// The client did not wait for it.
    Left,
    #[expect(dead_code, reason = "it is told by Debug")]
    Odd(String),
}

struct Answer {
    status: u16,
    token: Option<Token>,
    body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {:?} with {} bytes", self.status, self.token, self.body.len())?;
        if self.status == 200 {
            Ok(())
        } else {
            write!(f, ": {}", String::from_utf8_lossy(&self.body))
        }
    }
}

#[derive(Clone, Copy)]
enum Length {
    Requests(u64),
    Until(Instant),
}

struct World {
    sidecar: SocketAddr,
    upstream: Arc<upstream::State>,
    ledger: Ledger,
    faults: Arc<Faults>,
    length: Length,
    asked: AtomicU64,
    seen: Seen,
}

/// How often each came about.
#[derive(Debug, Default)]
struct Seen {
    whole: AtomicUsize,
    cut: AtomicUsize,
    left: AtomicUsize,
    /// While the upstream was down.
    refused: AtomicUsize,
    /// While it was there, see [`may_be_refused`].
    failed: AtomicUsize,
}

/// What was not as it should be; told at the end, since one thread's panic would only hide the others'.
#[derive(Default)]
struct Faults(Mutex<Vec<String>>);

impl Faults {
    /// Enough to see what is wrong.
    const MOST: usize = 20;

    fn add(&self, fault: String) {
        self.0.lock().unwrap().push(fault);
    }

    fn are_many(&self) -> bool {
        self.0.lock().unwrap().len() >= Self::MOST
    }
}

impl World {
    fn next_plan(&self) -> Option<Plan> {
        let token = self.asked.fetch_add(1, SeqCst);
        (!self.is_over_at(token)).then(|| Plan::of(token))
    }

    fn is_over(&self) -> bool {
        self.is_over_at(self.asked.load(SeqCst))
    }

    fn is_over_at(&self, asked: u64) -> bool {
        let has_all = match self.length {
            Length::Requests(most) => asked >= most,
            Length::Until(end) => Instant::now() >= end,
        };
        has_all || self.faults.are_many()
    }

    /// Of an exchange that began at `before`.
    fn judge(&self, plan: &Plan, outcome: &Outcome, before: Epoch) {
        let was_down = self.upstream.was_down_since(before);
        let has_dropped = self.upstream.has_dropped(plan.token);
        let count = match outcome {
            Outcome::Whole(answer) if answer.status == 200 => {
                if let Err(why) = check(answer, plan, was_down) {
                    self.faults.add(format!("{why}: {answer:?} for {plan:?}"));
                }
                &self.seen.whole
            }
            Outcome::Whole(Answer { status: 502 | 504, .. }) if was_down => &self.seen.refused,
            Outcome::Whole(Answer { status: 502, .. }) if may_be_refused(plan, has_dropped) => {
                &self.seen.failed
            }
            Outcome::Cut if was_down || plan.is_cut() => &self.seen.cut,
            Outcome::Left => &self.seen.left,
            other => return self.faults.add(format!("{other:?} for {plan:?}")),
        };
        count.fetch_add(1, SeqCst);
    }
}

fn check(answer: &Answer, plan: &Plan, was_down: bool) -> Result<(), &'static str> {
    if plan.is_cut() {
        return Err("a cut answer looks whole");
    }
    let expected = plan.answer();
    // The end of a connection is the end of such a body, whoever was the cause of it.
    let may_be_short = was_down && plan.answered == Framing::UntilClose;
    let fits = answer.body == expected || may_be_short && expected.starts_with(&answer.body);
    let is_its_own = answer.token == Some(plan.token) && fits;
    if is_its_own { Ok(()) } else { Err("an answer to another request") }
}

/// By an upstream that is there: where its connection closes under a request that cannot be sent
/// again, and where a reset takes back the head of an answer that was to be cut.
fn may_be_refused(plan: &Plan, has_dropped: bool) -> bool {
    let is_final = has_dropped && plan.method == "POST" || !plan.is_repeatable();
    is_final || plan.ending == Ending::CutByReset
}

/// Takes what is recorded out of the queue, as analysis does, until it is over and all is out.
fn keep_ledger(queue: &Queue, world: &World, is_over: &AtomicBool) {
    let mut batch = Vec::new();
    loop {
        let was_over = is_over.load(SeqCst);
        queue.drain(&mut batch, usize::MAX, usize::MAX);
        batch.drain(..).for_each(|exchange| world.ledger.recorded(&exchange));
        if was_over {
            return world.ledger.close();
        }
        queue.wait(Duration::from_millis(5));
    }
}

/// Waits until nothing is under way and nobody is connected.
fn come_to_rest(sidecar: &mut Sidecar, faults: &Faults) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let snapshot = sidecar.latency();
        let under_way = (snapshot.active_requests, snapshot.open_connections);
        match under_way {
            (0, 0) => return,
            _ if Instant::now() > deadline => {
                return faults.add(format!("requests and connections at the end: {under_way:?}"));
            }
            // It is told by no event.
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

/// After the first fifth of the time, and at its end.
fn watch_growth(time: Duration, faults: &Faults) {
    std::thread::sleep(time / 5);
    let early = resident_bytes();
    std::thread::sleep(time * 4 / 5);
    let growth = resident_bytes().saturating_sub(early);
    if growth > MOST_GROWTH_BYTES {
        faults.add(format!("memory grew by {growth} bytes, from {early}"));
    }
}

fn run(world: &Arc<World>, queue: &Queue, time: Option<Duration>, mut sidecar: Sidecar) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| keep_ledger(queue, world, &is_over));
        let growth = time.map(|time| scope.spawn(move || watch_growth(time, &world.faults)));
        let http1 = (0..HTTP1_CLIENTS).map(|_| scope.spawn(|| clients::http1(world)));
        let http2 = (0..HTTP2_CLIENTS).map(|_| scope.spawn(|| clients::http2(world)));
        let clients: Vec<_> = http1.chain(http2).chain(growth).collect();
        let ended: Vec<_> = clients.into_iter().map(|client| client.join().is_ok()).collect();
        come_to_rest(&mut sidecar, &world.faults);
        sidecar.close_within(PATIENCE);
        let totals = sidecar.collect_totals();
        is_over.store(true, SeqCst);
        if totals.dropped() + totals.sampled_out + totals.truncated > 0 {
            world.faults.add(format!("not all was recorded: {totals:?}"));
        }
        assert!(ended.iter().all(|is_ok| *is_ok), "a client panicked; the seed is {SEED:#x}");
    });
}

#[test]
fn every_answer_belongs_to_its_request_whatever_breaks() {
    let seconds = std::env::var("TAFFRAIL_SOAK_SECONDS").ok().map(|text| text.parse().unwrap());
    let time = seconds.map(Duration::from_secs);
    let faults = Arc::new(Faults::default());
    let upstream = Upstream::start(Arc::clone(&faults));
    let sidecar = before(upstream.state.address)
        .upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1)
        .queue_items(10_000)
        .start();
    let world = Arc::new(World {
        sidecar: sidecar.address,
        upstream: Arc::clone(&upstream.state),
        ledger: Ledger::new(Arc::clone(&faults)),
        faults,
        length: time
            .map_or(Length::Requests(REQUESTS), |time| Length::Until(Instant::now() + time)),
        asked: AtomicU64::new(0),
        seen: Seen::default(),
    });
    let queue = Arc::clone(&sidecar.queue);
    run(&world, &queue, time, sidecar);
    upstream.stop();

    let faults = world.faults.0.lock().unwrap();
    let told = faults.iter().take(Faults::MOST).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} faults with seed {SEED:#x}:\n{told}", faults.len());
    let restarts = world.upstream.restarts();
    let seen = &world.seen;
    println!("{seen:?}, {restarts} restarts");
    assert!(restarts > 0 && seen.cut.load(SeqCst) > 0 && seen.left.load(SeqCst) > 0, "{seen:?}");
    let (whole, failed) = (seen.whole.load(SeqCst), seen.failed.load(SeqCst));
    assert!(failed * 50 < whole, "many failed while the upstream was there: {seen:?}");
}
