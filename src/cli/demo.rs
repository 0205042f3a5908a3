//! `taffrail demo`: no set-up at all. A model, its traffic and the sidecar between them, in one process.

use super::lifecycle::{Hangup, Lifecycle};
use crate::app::{self, Bound, Running, Shared};
use crate::config::Config;
use crate::demo::{self, Model, Numbers, Progress, Replay, Taken};
use crate::drift::{FeatureReport, WindowReport};
use crate::labels::Performance;
use crate::latency::{Phase, Snapshot};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The order of days within a season; any other serves as well.
const SEED: u64 = 1;
/// Short enough to see several verdicts a simulated season.
const WINDOWS: &str = "5s";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the sidecar listens; another port is taken if this one is not free
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Where the page is; another port is taken if this one is not free
    #[arg(long, default_value = "127.0.0.1:9464")]
    admin: SocketAddr,
    /// Where the baseline and the archive are kept
    #[arg(long, default_value = "./taffrail-data/demo")]
    data_dir: PathBuf,
}

pub(super) fn demo(args: &Args) -> anyhow::Result<ExitCode> {
    super::log::start(super::log::Quiet::Yes);
    let model = Model::bind().context("the demo's model cannot listen")?;
    let (admin, admin_taken) = demo::listen_or_free(args.admin).context("--admin")?;
    let (listen, listen_taken) = free_address(args.listen).context("--listen")?;
    let config = config(&args.data_dir, listen, admin.local_addr()?, model.address())?;
    let lifecycle = Lifecycle::listen()?;
    let running = app::start(&config, Bound { admin: Some(admin) })?;

    let replay = Replay::new(running.listen, running.admin, SEED)?;
    let progress = replay.progress();
    let taken = [listen_taken, admin_taken];
    println!("{}", demo::banner(running.admin, running.listen, model.address(), &taken));
    let players = Players::start(model, replay, &progress, &running)?;
    lifecycle.run_until_signal(running, Hangup::Ends, move || {
        println!("draining…");
        players.stop();
    })
}

/// The sidecar binds with `SO_REUSEPORT`, which would share a port that another process has: so the
/// port is tried without it first.
fn free_address(asked: SocketAddr) -> anyhow::Result<(SocketAddr, Taken)> {
    let (listener, taken) = demo::listen_or_free(asked)?;
    Ok((listener.local_addr()?, taken))
}

fn config(
    data_dir: &std::path::Path,
    listen: SocketAddr,
    admin: SocketAddr,
    model: SocketAddr,
) -> anyhow::Result<Config> {
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("--data-dir: cannot create {}", data_dir.display()))?;
    let baseline = data_dir.join("baseline.json");
    std::fs::write(&baseline, demo::baseline()?.to_json())
        .with_context(|| format!("--data-dir: cannot write {}", baseline.display()))?;
    let pairs = [
        ("upstream.url", format!("http://{model}")),
        ("listen", listen.to_string()),
        ("admin.address", admin.to_string()),
        ("data_dir", data_dir.display().to_string()),
        ("baseline", baseline.display().to_string()),
        ("model.name", demo::MODEL_NAME.to_owned()),
        ("model.version", demo::MODEL_VERSION.to_owned()),
        ("windows", WINDOWS.to_owned()),
    ];
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Config::from_pairs(&pairs).map_err(|problems| anyhow::anyhow!("{problems}"))
}

/// The model, its traffic and the narrator, each on a thread of its own.
struct Players {
    model: Player,
    others: Vec<Player>,
}

struct Player {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Players {
    fn start(
        model: Model,
        replay: Replay,
        progress: &Arc<Progress>,
        running: &Running,
    ) -> anyhow::Result<Self> {
        let model = Player::start("model", move |stop| Ok(model.run(stop)?))?;
        let asking = Player::start("replay", move |stop| Ok(replay.run(&stop)?))?;
        let mut gauge = Gauge::new(running.shared.clone());
        let progress = Arc::clone(progress);
        let telling = Player::start("narrator", move |stop| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            let stdout = std::io::stdout();
            Ok(runtime.block_on(demo::narrate(&progress, || gauge.read(), stdout, stop))?)
        })?;
        Ok(Self { model, others: vec![asking, telling] })
    }

    /// Traffic first, so that no request is cut; the model last, for it answers what is under way.
    fn stop(self) {
        self.others.into_iter().for_each(Player::stop);
        self.model.stop();
    }
}

impl Player {
    fn start(
        name: &'static str,
        play: impl FnOnce(watch::Receiver<bool>) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            if let Err(error) = play(stopped) {
                tracing::error!("the demo's {name} failed: {error:#}");
            }
        })?;
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        self.stop.send_replace(true);
        // A player that panicked has said so already.
        let _ = self.thread.join();
    }
}

/// Reads what the sidecar publishes, as the page does.
struct Gauge {
    shared: Shared,
    last: (Instant, u64),
}

impl Gauge {
    fn new(shared: Shared) -> Self {
        Self { shared, last: (Instant::now(), 0) }
    }

    fn read(&mut self) -> Numbers {
        let latency = self.shared.latency.load();
        let analysis = self.shared.analysis.load();
        let totals = self.shared.queue.counters().totals();
        let shortest = analysis.labels.lengths().into_iter().next();
        let windows: Vec<_> = match &shortest {
            Some(length) => analysis.labels.of_length(length).collect(),
            None => Vec::new(),
        };
        let last_label_window = windows.into_iter().rev().find_map(|window| {
            let performance = window.performance.as_ref()?;
            matches!(performance, Performance::Classification(_)).then_some(performance)
        });
        Numbers {
            requests_per_second: self.rate(&latency),
            p50: quantile(&latency, 0.5),
            p99: quantile(&latency, 0.99),
            coverage: totals.coverage(),
            verdict: analysis.windows.back().map(|report| (report.verdict, detected(report))),
            accuracy: last_label_window.and_then(accuracy),
        }
    }

    fn rate(&mut self, latency: &Snapshot) -> f64 {
        let total = latency.requests.iter().map(|series| series.duration.count()).sum();
        let now = Instant::now();
        let (then, before) = std::mem::replace(&mut self.last, (now, total));
        total.saturating_sub(before) as f64 / now.duration_since(then).as_secs_f64().max(1e-3)
    }
}

fn quantile(latency: &Snapshot, quantile: f64) -> Option<Duration> {
    let totals = latency.phases.iter().filter(|times| times.phase == Phase::Total);
    let busiest = totals.max_by_key(|times| times.recent.count())?;
    busiest.recent.quantile(quantile).map(Duration::from_secs_f64)
}

/// The furthest first.
fn detected(report: &WindowReport) -> Vec<Arc<str>> {
    let distance = |feature: &FeatureReport| feature.distances.jensen_shannon.unwrap_or_default();
    let mut detected: Vec<_> = report.features.iter().filter(|feature| feature.detected).collect();
    detected.sort_by(|a, b| distance(b).total_cmp(&distance(a)));
    detected.into_iter().map(|feature| Arc::clone(&feature.feature)).collect()
}

fn accuracy(performance: &Performance) -> Option<f64> {
    match performance {
        Performance::Classification(scores) => Some(scores.accuracy),
        Performance::Regression(_) => None,
    }
}
