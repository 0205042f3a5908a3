//! Builds the stages from a checked configuration, owns every thread, and ends them in order.
//!
//! Four kinds of threads, and nothing shared between them but the capture queue and published
//! snapshots: serving threads, each a runtime of its own; analysis threads, at lower priority; one
//! control thread, whose runtime drives the admin address, the exporters and the clock's ticks; and
//! one that takes over a changed configuration while the others go on.
//!
//! Shutdown goes with the flow: readiness falls, listeners stay open for `drain.delay`, exchanges end
//! within `drain.timeout`, then the queue is drained, the archive closed, and exports flushed.

mod control;
mod draining;
mod exports;
mod labelling;
mod live;
mod readiness;
mod reload;
mod saving;
mod settings;
mod watcher;

use crate::capture::{Counters, Limits, Queue, Room, RouteTable};
use crate::config::{Cause, Config, Outcome, Problem, Problems, Standing};
use crate::drift::{Monitor, Reference, Tumbling};
use crate::labels::Joiner;
use crate::pipeline::{CpuBudget, Hub, Snapshot, Watch, Worker};
use crate::proxy::tls::Tls;
use crate::pulse::{Pulse, Pulses};
use crate::{admin, archive, capture, drift, export, latency, proxy};
use arc_swap::ArcSwap;
pub(crate) use control::reachable;
pub(crate) use settings::drift as drift_settings;

use control::Control;
use draining::Draining;
use exports::Exports;
use jiff::Timestamp;
use labelling::Labelling;
use live::Live;
use readiness::Readiness;
use reload::{Asked, Reloads};
use saving::{Saver, Saving};
use settings::Analysis;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

/// What keeps the sidecar from starting. Each names the key to change.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("{key}: cannot listen on {address}; is the port taken? choose another with --{flag}")]
    Listen { key: &'static str, flag: &'static str, address: SocketAddr, source: std::io::Error },
    #[error("baseline: cannot read {path}")]
    ReadBaseline { path: PathBuf, source: std::io::Error },
    #[error("baseline: {path} is not a usable baseline; build one with `taffrail baseline build`")]
    Baseline { path: PathBuf, source: drift::BaselineError },
    #[error("model.signature: cannot read {path}")]
    ReadSignature { path: PathBuf, source: std::io::Error },
    #[error("model.signature: {path} is not a usable MLmodel file")]
    Signature { path: PathBuf, source: crate::decode::SignatureError },
    #[error("{key}")]
    Pointer { key: &'static str, source: crate::decode::PointerError },
    #[error("TLS cannot be set up")]
    Tls(#[from] proxy::tls::TlsError),
    #[error("routes")]
    Routes(#[from] capture::RouteTableError),
    #[error("the archive cannot be opened")]
    Archive(#[from] archive::ArchiveError),
    #[error("export.otlp")]
    Otlp(#[from] export::otlp::OtlpError),
    #[error("export.application_insights")]
    ApplicationInsights(#[from] export::application_insights::ApplicationInsightsError),
    #[error("export.azure")]
    Token(#[source] export::SendError),
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// A thread that has not done its rounds for so long hangs; they are a second long.
const PATIENCE: Duration = Duration::from_secs(30);
/// One large exchange, or the end of a window of many features, may take seconds of a busy core.
const ANALYSIS_PATIENCE: Duration = Duration::from_secs(60);
impl StartError {
    /// Empty where it is of no key.
    fn key(&self) -> &'static str {
        match self {
            Self::Listen { key, .. } | Self::Pointer { key, .. } => key,
            Self::ReadBaseline { .. } | Self::Baseline { .. } => "baseline",
            Self::ReadSignature { .. } | Self::Signature { .. } => "model.signature",
            Self::Routes(_) => "routes",
            Self::Otlp(_) => "export.otlp",
            Self::ApplicationInsights(_) => "export.application_insights",
            Self::Token(_) => "export.azure",
            Self::Tls(_) | Self::Archive(_) | Self::Thread(_) => "",
        }
    }

    /// As a problem of the configuration, with the place of the key.
    fn problem(&self, config: &Config) -> Problem {
        let text = control::chain(self);
        let bare = text.strip_prefix(self.key()).unwrap_or(&text);
        config.problem(self.key(), bare.trim_start_matches(": "))
    }
}

/// Exchanges that the admin address can show, to those who may see payloads.
const RECENT_EXCHANGES: NonZeroUsize = NonZeroUsize::new(200).unwrap();

/// What stages publish and others read, without a lock on either side.
#[derive(Clone)]
pub struct Shared {
    pub analysis: Arc<ArcSwap<Snapshot>>,
    pub latency: Arc<ArcSwap<latency::Snapshot>>,
    pub routes: Arc<RouteTable>,
    pub queue: Arc<Queue>,
    /// How the configuration in force came about.
    pub standing: Arc<ArcSwap<Standing>>,
}

/// A sidecar at work.
pub struct Running {
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub shared: Shared,
    config: Arc<ArcSwap<Config>>,
    draining: Draining,
    reloads: Reloads,
    reloading: Threads,
    serving: Threads,
    analysis: Threads,
    labelling: Labelling,
    control: Threads,
    analysis_stop: Arc<AtomicBool>,
    control_stop: watch::Sender<bool>,
    hub: Arc<Hub>,
    saving: Option<Saving>,
}

type Threads = Vec<JoinHandle<()>>;

/// How a drain went.
#[derive(Debug, Clone, Copy)]
pub struct Drained {
    /// Every exchange had ended before `drain.timeout`.
    pub in_time: bool,
    /// No thread of ours had panicked.
    pub clean: bool,
}

/// Listeners that are bound already; else the addresses of the configuration are bound.
#[derive(Default)]
pub struct Bound {
    pub admin: Option<TcpListener>,
}

pub fn start(config: &Config, bound: Bound) -> Result<Running, StartError> {
    let sockets = Sockets::bind(config, bound)?;
    Stages::build(config, &sockets)?.start(config, sockets)
}

struct Sockets {
    listeners: Vec<TcpListener>,
    listen: SocketAddr,
    admin: TcpListener,
    admin_address: SocketAddr,
}

impl Sockets {
    fn bind(config: &Config, bound: Bound) -> Result<Self, StartError> {
        let refused =
            |key, flag, address| move |source| StartError::Listen { key, flag, address, source };
        let listeners = proxy::bind(config.listen, config.threads).map_err(refused(
            "listen",
            "listen",
            config.listen,
        ))?;
        let address = config.admin.address;
        let admin = bound.admin.map_or_else(|| TcpListener::bind(address), Ok).map_err(refused(
            "admin.address",
            "admin",
            address,
        ))?;
        let listen = listeners.first().and_then(|l| l.local_addr().ok()).unwrap_or(config.listen);
        let admin_address = admin.local_addr().unwrap_or(address);
        Ok(Self { listeners, listen, admin, admin_address })
    }
}

/// Every stage, built and joined to its neighbours; no thread runs yet, so an error leaves nothing.
struct Stages {
    shared: Shared,
    recorders: Vec<latency::Recorder>,
    hub: Arc<Hub>,
    draining: Draining,
    control: Control,
    gates: Gates,
    live: Live,
    reloads: (Reloads, Asked),
    vitals: Vitals,
    /// `None` without capture, or where nothing is to be saved.
    saver: Option<Saver>,
}

/// The pulses of threads that are yet to start.
struct Vitals {
    serving: Vec<Pulse>,
    /// `None` without capture.
    analysis: Option<Pulse>,
}

impl Vitals {
    fn new(pulses: &mut Pulses, threads: usize, captures: bool) -> Self {
        let serving = (0..threads).map(|index| pulses.add(serving_name(index), PATIENCE)).collect();
        let analysis = captures.then(|| pulses.add("analysis", ANALYSIS_PATIENCE));
        Self { serving, analysis }
    }
}

fn serving_name(index: usize) -> String {
    format!("serving-{index}")
}

/// What all serving threads let connections in and out by.
struct Gates {
    acceptor: Option<proxy::tls::Acceptor>,
    connector: Option<proxy::tls::Connector>,
    room: Arc<Room>,
}

impl Stages {
    fn build(config: &Config, sockets: &Sockets) -> Result<Self, StartError> {
        let started_at = Timestamp::now();
        let routes = Arc::new(RouteTable::new(&config.routes)?);
        let capture = &config.capture;
        let limits = Limits { items: capture.queue_items, bytes: config.memory.bounds.queue_bytes };
        let queue = Arc::new(Queue::new(limits, Arc::new(Counters::default())));
        let threads = sockets.listeners.len();
        let (recorders, collector) = latency::recorders(threads, Arc::clone(&routes));
        let Analysis { decode, reference } =
            Analysis::read(config).map_err(|mut faults| faults.swap_remove(0))?;
        let mut watch = new_watch(config, reference.clone(), started_at);
        let directory = config.state.clone().filter(|_| capture.enabled);
        let saver = directory.map(|directory| Saver::resume(directory, &mut watch, reference));
        let analysis = Arc::new(ArcSwap::from_pointee(watch.snapshot()));
        let standing = Arc::new(ArcSwap::from_pointee(Standing::new(config.hash(), started_at)));
        let shared = Shared { analysis, latency: Arc::default(), routes, queue, standing };

        let (exports, launched) = Exports::new(config, sockets.listen, started_at, &shared)?;
        let recent =
            Arc::new(admin::Recent::new(RECENT_EXCHANGES, config.memory.bounds.recent_bytes));
        let outlets = exports.outlets(Arc::clone(&recent), open_archive(config)?);
        let counters = shared.queue.counters();
        let hub = Hub::new(watch, &shared.analysis, &shared.routes, counters, outlets);
        let hub = Arc::new(hub);

        let Tls { acceptor, connector, reloader } = tls(config)?;
        let live = Live::new(config, decode, &shared, &hub, &exports);
        let readiness = Arc::new(Readiness::new(started_at));
        let traffic = watch::Sender::new(proxy::Shutdown::Serving);
        let draining = Draining { readiness, traffic };
        let mut pulses = Pulses::default();
        let pulse = pulses.add("control", PATIENCE);
        let vitals = Vitals::new(&mut pulses, threads, capture.enabled);
        let (reloads, asked) = Reloads::new();
        let page = control::Page {
            listen: sockets.listen,
            started_at,
            recent,
            draining: draining.clone(),
            pulses: Arc::new(pulses),
            shown: live.shown.clone(),
            reloads: reloads.clone(),
        };
        let serving = live.serving.subscribe();
        let upkeep = control::Upkeep { reloader, connector: connector.clone(), serving, pulse };
        let exports = (exports, launched);
        let control = Control::new(config, &shared, page, exports, collector, &hub, upkeep);
        let room = Arc::new(Room::new(config.memory.bounds.open_bytes));
        let gates = Gates { acceptor, connector, room };
        let reloads = (reloads, asked);
        Ok(Self { shared, recorders, hub, draining, control, gates, live, reloads, vitals, saver })
    }

    /// Downstream first, so that nothing is handed on before there is somebody to take it.
    fn start(self, config: &Config, sockets: Sockets) -> Result<Running, StartError> {
        let Self { shared, recorders, hub, draining, control, gates, live, reloads, vitals, saver } =
            self;
        let Sockets { listeners, listen, admin, admin_address } = sockets;
        let (control_stop, stopped) = watch::channel(false);
        let control = vec![spawn("control", move || control.run(admin, stopped))?];

        let analysis_stop = Arc::new(AtomicBool::new(false));
        let mut analysis = Threads::new();
        if let Some(pulse) = vitals.analysis {
            let budget = CpuBudget::new(Arc::clone(&live.rate));
            let tuning = Arc::clone(&live.tuning);
            let batch_bytes = config.memory.bounds.batch_bytes;
            let queue = Arc::clone(&shared.queue);
            let worker = Worker::new(queue, Arc::clone(&hub), tuning, budget, batch_bytes, pulse);
            let stop = Arc::clone(&analysis_stop);
            analysis.push(spawn("analysis", move || worker.run(&stop))?);
        }

        let saving = saver.map(|saver| saver.start(Arc::clone(&hub))).transpose()?;

        let mut serving = Threads::new();
        for (index, ((listener, recorder), pulse)) in
            listeners.into_iter().zip(recorders).zip(vitals.serving).enumerate()
        {
            let own = (listener, recorder, pulse);
            let phase = draining.traffic.subscribe();
            let thread = serving_thread(&shared, &live, &gates, own, phase);
            serving.push(spawn(&serving_name(index), move || {
                if let Err(error) = thread.run() {
                    tracing::error!(%error, "a serving thread could not start");
                }
            })?);
        }
        let (config, (reloads, asked)) = (Arc::clone(&live.config), reloads);
        let labelling = Labelling::start(Arc::clone(&config), Arc::clone(&hub))?;
        let reloading = vec![spawn("reload", move || asked.serve(&live))?];
        Ok(Running {
            listen,
            admin: admin_address,
            shared,
            config,
            draining,
            reloads,
            reloading,
            serving,
            analysis,
            labelling,
            control,
            analysis_stop,
            control_stop,
            hub,
            saving,
        })
    }
}

fn serving_thread(
    shared: &Shared,
    live: &Live,
    gates: &Gates,
    (listener, recorder, pulse): (TcpListener, latency::Recorder, Pulse),
    shutdown: watch::Receiver<proxy::Shutdown>,
) -> proxy::Thread {
    proxy::Thread {
        listener,
        live: live.serving.subscribe(),
        acceptor: gates.acceptor.clone(),
        connector: gates.connector.clone(),
        connections: Arc::clone(&live.connections),
        routes: Arc::clone(&shared.routes),
        queue: Arc::clone(&shared.queue),
        room: Arc::clone(&gates.room),
        recorder,
        pulse,
        shutdown,
    }
}

impl Running {
    /// Reads the configuration anew, and takes over what can be while the process runs. Comes back at
    /// once; what came of it is logged, exported and published. `None` if too much is asked for
    /// already.
    pub fn reload(&self, cause: Cause) -> Option<oneshot::Receiver<Outcome>> {
        self.reloads.ask(cause)
    }

    /// Drains and ends every thread, in the order of the flow. Blocks for as long as that takes.
    pub fn shutdown(self) -> Drained {
        // What is in force now is what the drain goes by; a reload under way may still end.
        self.reloads.stop();
        let drain = self.config.load().drain;
        self.draining.start();
        let labelling = vec![self.labelling.stop()];
        std::thread::sleep(drain.delay);
        let deadline = Instant::now() + drain.timeout;
        self.draining.traffic.send_replace(proxy::Shutdown::Closing { deadline });
        let mut clean = join(self.serving);
        let in_time = Instant::now() < deadline;
        self.analysis_stop.store(true, Ordering::Release);
        clean &= join(self.analysis);
        clean &= join(self.reloading);
        clean &= join(labelling);
        clean &= self.saving.is_none_or(Saving::end);
        self.hub.close_archive();
        self.control_stop.send_replace(true);
        clean &= join(self.control);
        Drained { in_time, clean }
    }
}

/// Everything that a start, or a reload, would find wrong with what the configuration names.
pub fn check(config: &Config) -> Result<(), Problems> {
    let problems: Vec<_> =
        settings::faults(config).iter().map(|fault| fault.problem(config)).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.into_iter().collect()) }
}

/// How this configuration reads payloads.
pub fn decoding(config: &Config) -> Result<crate::decode::Settings, StartError> {
    settings::decode(&config.model, config.capture.max_body_bytes)
}

/// TLS for the serving threads, and the reloader for the control thread.
fn tls(config: &Config) -> Result<Tls, StartError> {
    Ok(proxy::tls::load(config.tls.as_ref(), config.upstream.tls.as_ref())?)
}

fn new_watch(config: &Config, reference: Reference, now: Timestamp) -> Watch {
    let joiner = Joiner::new(settings::labels(config, &reference));
    let monitor = Monitor::new(settings::drift(config), reference);
    let tumbling = Tumbling::new(&config.windows, now);
    let name = config.model.name.as_str().into();
    let version = config.model.version.as_str().into();
    Watch::new(name, version, monitor, tumbling, joiner, config.memory.bounds.kept_verdicts)
}

fn open_archive(config: &Config) -> Result<Option<archive::Writer>, StartError> {
    settings::archive(config).map(archive::Writer::open).transpose().map_err(Into::into)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(StartError::Thread)
}

/// True if none had panicked.
fn join(threads: Threads) -> bool {
    threads.into_iter().map(JoinHandle::join).fold(true, |clean, ended| clean & ended.is_ok())
}
