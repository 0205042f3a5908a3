//! The traffic of the demo. In: the addresses of the sidecar. Out: real HTTP requests to it, from a
//! few clients that keep their connections, each request about one day and under its own id; and,
//! [`LABEL_DELAY`] later, what the weather really was, to the labels address. The promise: nothing is
//! told to the sidecar that a client of a model would not tell it.

mod client;

use super::calendar::DAY;
use super::days::days;
use super::{Calendar, Day, DemoError, MODEL_NAME, Moment};
use bytes::Bytes;
use client::Client;
use serde_json::json;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

const CLIENTS: u32 = 6;
/// Between two requests of one client: 300 requests a second in all.
const PAUSE: Duration = Duration::from_millis(20);
/// Two simulated weeks.
const LABEL_DELAY: Duration = DAY.saturating_mul(14);
const LABEL_INTERVAL: Duration = Duration::from_millis(200);

/// Ready to run; nothing is sent before [`Replay::run`].
#[derive(Debug)]
pub struct Replay {
    sidecar: SocketAddr,
    admin: SocketAddr,
    calendar: Calendar,
    progress: Arc<Progress>,
}

/// How far the replay is. Shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    elapsed_ms: AtomicU64,
    asked: AtomicU64,
    failed: AtomicU64,
    labelled: AtomicU64,
}

impl Progress {
    pub fn moment(&self) -> Moment {
        Calendar::at(Duration::from_millis(self.elapsed_ms.load(Ordering::Relaxed)))
    }

    /// Requests that were answered with success.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Requests and label posts that were refused or lost.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Labels that the sidecar took.
    pub fn labelled(&self) -> u64 {
        self.labelled.load(Ordering::Relaxed)
    }
}

impl Replay {
    /// `seed` decides the order of days within a season, and nothing else.
    pub fn new(sidecar: SocketAddr, admin: SocketAddr, seed: u64) -> Result<Self, DemoError> {
        let calendar = Calendar::new(&days()?, seed);
        Ok(Self { sidecar, admin, calendar, progress: Arc::default() })
    }

    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Asks and tells on this thread until `stop` is true or its sender is gone; requests under way
    /// are finished first. Stop it before the sidecar.
    pub fn run(self, stop: &watch::Receiver<bool>) -> Result<(), DemoError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            let world = Rc::new(World::new(self.calendar, self.progress));
            let mut clients = JoinSet::new();
            for client in 0..CLIENTS {
                let start = PAUSE * client / CLIENTS;
                clients.spawn_local(ask(Rc::clone(&world), self.sidecar, start, stop.clone()));
            }
            clients.spawn_local(tell(Rc::clone(&world), self.admin, stop.clone()));
            while clients.join_next().await.is_some() {}
        });
        Ok(())
    }
}

/// What the clients share; all of them run on one thread.
#[derive(Debug)]
struct World {
    started: Instant,
    calendar: RefCell<Calendar>,
    truths: RefCell<VecDeque<Truth>>,
    progress: Arc<Progress>,
}

/// What the weather was, on a day that was asked about.
#[derive(Debug)]
struct Truth {
    known_at: Instant,
    id: String,
    weather: &'static str,
}

impl World {
    fn new(calendar: Calendar, progress: Arc<Progress>) -> Self {
        Self {
            started: Instant::now(),
            calendar: RefCell::new(calendar),
            truths: RefCell::default(),
            progress,
        }
    }

    fn draw(&self) -> Option<Day> {
        let elapsed = self.started.elapsed();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.progress.elapsed_ms.store(elapsed_ms, Ordering::Relaxed);
        self.calendar.borrow_mut().draw(Calendar::at(elapsed).season).cloned()
    }

    fn answered(&self, id: String, weather: &'static str) {
        self.progress.asked.fetch_add(1, Ordering::Relaxed);
        let known_at = Instant::now() + LABEL_DELAY;
        self.truths.borrow_mut().push_back(Truth { known_at, id, weather });
    }

    fn failed(&self) {
        self.progress.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn known_truths(&self) -> Vec<Truth> {
        let now = Instant::now();
        let mut truths = self.truths.borrow_mut();
        let known = truths.iter().take_while(|truth| truth.known_at <= now).count();
        truths.drain(..known).collect()
    }
}

async fn ask(
    world: Rc<World>,
    sidecar: SocketAddr,
    start: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut client = Client::new(sidecar);
    let path = format!("/v2/models/{MODEL_NAME}/infer");
    let mut ticks = tokio::time::interval_at(Instant::now() + start, PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while ticked(&mut ticks, &mut stop).await {
        let Some(day) = world.draw() else { return };
        let id = format!("{}.{}", day.date, Uuid::now_v7().simple());
        match client.post(&path, Some(&id), question(&day)).await {
            Ok(status) if status.is_success() => world.answered(id, day.weather),
            Ok(_) | Err(_) => world.failed(),
        }
    }
}

async fn tell(world: Rc<World>, admin: SocketAddr, mut stop: watch::Receiver<bool>) {
    let mut client = Client::new(admin);
    let mut ticks = interval(LABEL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while ticked(&mut ticks, &mut stop).await {
        let truths = world.known_truths();
        if truths.is_empty() {
            continue;
        }
        match client.post("/api/v1/labels", None, labels(&truths)).await {
            Ok(status) if status.is_success() => {
                world.progress.labelled.fetch_add(truths.len() as u64, Ordering::Relaxed);
            }
            Ok(_) | Err(_) => world.failed(),
        }
    }
}

/// False once the replay is to stop.
async fn ticked(ticks: &mut tokio::time::Interval, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => false,
        _ = ticks.tick() => true,
    }
}

pub(super) fn question(day: &Day) -> Bytes {
    let tensors: Vec<_> = Day::FEATURES
        .iter()
        .zip(day.features)
        .map(|(name, value)| {
            json!({ "name": name, "shape": [1], "datatype": "FP64", "data": [value] })
        })
        .collect();
    json!({ "inputs": tensors }).to_string().into()
}

fn labels(truths: &[Truth]) -> Bytes {
    let label = |truth: &Truth| json!({ "id": truth.id, "label": truth.weather });
    json!(truths.iter().map(label).collect::<Vec<_>>()).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Model;

    #[test]
    fn the_model_answers_every_question_and_every_answer_awaits_its_truth() {
        let model = Model::bind().unwrap();
        let address = model.address();
        let (stop, stopped) = watch::channel(false);
        let serving = std::thread::spawn(move || model.run(stopped));

        let replay = Replay::new(address, address, 1).unwrap();
        let progress = replay.progress();
        let world = World::new(replay.calendar, replay.progress);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let mut client = Client::new(address);
            for id in ["a", "b", "c"] {
                let day = world.draw().unwrap();
                let path = format!("/v2/models/{MODEL_NAME}/infer");
                let status = client.post(&path, Some(id), question(&day)).await.unwrap();
                assert!(status.is_success(), "{status}");
                world.answered(id.into(), day.weather);
            }
        });
        assert_eq!(progress.asked(), 3);
        assert_eq!(world.truths.borrow().len(), 3);
        assert!(world.known_truths().is_empty(), "two simulated weeks have not passed");

        stop.send(true).unwrap();
        serving.join().unwrap().unwrap();
    }

    #[test]
    fn labels_are_an_array_of_ids_and_classes() {
        let truth = Truth { known_at: Instant::now(), id: "a".into(), weather: "fog" };
        assert_eq!(&labels(&[truth])[..], br#"[{"id":"a","label":"fog"}]"#);
    }
}
