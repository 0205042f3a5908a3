//! The control thread: one runtime for the admin address, the exporters, and the ticks that publish
//! latency, reload certificates and probe the upstream. Nothing here is on the path of a request.

use super::draining::Draining;
use super::exports::{Exports, Generation};
use super::readiness::Readiness;
use super::reload::Reloads;
use super::{Shared, settings};
use crate::admin::{self, History, LabelsAccepted, LabelsRefused, RejectedLabel};
use crate::config::{self, Cause, Config};
use crate::labels;
use crate::latency::{Changes, Collector};
use crate::pipeline::Hub;
use crate::proxy;
use crate::proxy::tls::{Connector, Reloader};
use crate::pulse::{Pulse, Pulses};
use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

const TICK: Duration = Duration::from_secs(1);
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// While the model is not there, when every moment counts and it is asked for nothing else.
const AWAITING_INTERVAL: Duration = Duration::from_millis(250);
/// How long a reader of the page may hold up the end.
const ADMIN_GRACE: Duration = Duration::from_secs(1);
/// How long a write to disk may, that is under way at the end.
const DISK_GRACE: Duration = Duration::from_secs(1);

pub(super) struct Control {
    state: Arc<admin::State>,
    exporting: Exporting,
    ticker: Ticker,
    prober: Prober,
}

/// What the page says of this process, beside what stages publish.
pub(super) struct Page {
    pub(super) listen: SocketAddr,
    pub(super) started_at: Timestamp,
    pub(super) recent: Arc<admin::Recent>,
    pub(super) draining: Draining,
    pub(super) pulses: Arc<Pulses>,
    pub(super) shown: Shown,
    pub(super) reloads: Reloads,
}

/// What the page shows of the configuration, and whom it lets see payloads.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) settings: Arc<ArcSwap<Vec<admin::Setting>>>,
    pub(super) token: Arc<ArcSwapOption<config::Secret>>,
}

impl Shown {
    pub(super) fn new(config: &Config) -> Self {
        let shown = Self { settings: Arc::default(), token: Arc::default() };
        shown.show(config);
        shown
    }

    pub(super) fn show(&self, config: &Config) {
        self.settings.store(Arc::new(settings::listing(config)));
        self.token.store(config.admin.token.clone().map(Arc::new));
    }
}

/// What TLS needs beside the traffic.
pub(super) struct Upkeep {
    pub(super) reloader: Reloader,
    pub(super) connector: Option<Connector>,
    pub(super) serving: watch::Receiver<proxy::Live>,
    pub(super) pulse: Pulse,
}

impl Control {
    pub(super) fn new(
        config: &Config,
        shared: &Shared,
        page: Page,
        (exports, launched): (Arc<Exports>, mpsc::Receiver<Generation>),
        collector: Collector,
        hub: &Arc<Hub>,
        upkeep: Upkeep,
    ) -> Self {
        let history = Arc::new(History::default());
        let Upkeep { reloader, connector, serving, pulse } = upkeep;
        let readiness = Arc::clone(&page.draining.readiness);
        let prober = Prober { serving, connector, readiness };
        let state = Arc::new(state(config, shared, page, &exports, &history, hub));
        let shared = shared.clone();
        let changes = Changes::default();
        let ticker = Ticker { collector, changes, shared, history, exports, reloader, pulse };
        Self { state, exporting: Exporting { launched }, ticker, prober }
    }

    /// Until `stop` is true; then exports are flushed.
    pub(super) fn run(self, admin: TcpListener, stop: watch::Receiver<bool>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => {
                runtime.block_on(self.drive(admin, stop));
                // A disk that hangs must not hold up the end.
                runtime.shutdown_timeout(DISK_GRACE);
            }
            Err(error) => tracing::error!(%error, "no admin address and no exports: no runtime"),
        }
    }

    async fn drive(self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let Self { state, exporting, ticker, prober } = self;
        let serve = admin::serve(listener, state, stopped(stop.clone()));
        let admin = async {
            tokio::select! {
                served = serve => if let Err(error) = served {
                    tracing::error!(%error, "the admin address failed");
                },
                () = async { stopped(stop.clone()).await; tokio::time::sleep(ADMIN_GRACE).await } => {}
            }
        };
        // Exports end after the last tick, so that the last push has what the last second brought.
        let (ticked, last_tick_done) = watch::channel(false);
        let ticking = async {
            ticker.run(stopped(stop.clone())).await;
            ticked.send_replace(true);
        };
        let probing = async {
            tokio::select! {
                () = prober.run() => {}
                () = stopped(stop.clone()) => {}
            }
        };
        let exporting = exporting.run(last_tick_done);
        tokio::join!(admin, ticking, probing, exporting);
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that nobody can ask any more, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Drives every generation of exporters: the one in place, and those before it that still deliver.
struct Exporting {
    launched: mpsc::Receiver<Generation>,
}

impl Exporting {
    /// Until `over` is true; then until each has delivered what it can.
    async fn run(self, over: watch::Receiver<bool>) {
        let Self { mut launched } = self;
        let mut at_work = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(generation) = launched.recv() => {
                    at_work.spawn(Box::pin(generation.run(stopped(over.clone()))));
                }
                Some(ended) = at_work.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "an exporter failed");
                    }
                }
                () = stopped(over.clone()) => break,
            }
        }
        while at_work.join_next().await.is_some() {}
    }
}

/// Publishes latency, samples history, and looks for new certificates, once a second.
struct Ticker {
    collector: Collector,
    changes: Changes,
    shared: Shared,
    history: Arc<History>,
    exports: Arc<Exports>,
    reloader: Reloader,
    pulse: Pulse,
}

impl Ticker {
    /// Until `stop`, and once more then: serving threads have handed over their last interval.
    async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        self.tick();
        // Serving threads hand over at the full second since start. Halfway between, each tick finds one
        // interval a thread; in step with them it would find none, then two.
        let mut ticks = interval_at(Instant::now() + TICK / 2, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut running = true;
        while running {
            tokio::select! {
                _ = ticks.tick() => {}
                () = &mut stop => running = false,
            }
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.pulse.beat();
        let now = Timestamp::now();
        let mut latency = self.collector.snapshot();
        for change in self.changes.observe(now, &latency) {
            self.exports.offer_operation(&change);
        }
        latency.operations = self.changes.operations();
        let latency = Arc::new(latency);
        self.shared.latency.store(Arc::clone(&latency));
        let captured = self.shared.queue.counters().totals();
        self.history.push(now, &latency, captured);
        self.exports.offer_reference(&self.shared.analysis.load().reference);
        self.reloader.check();
    }
}

struct Prober {
    serving: watch::Receiver<proxy::Live>,
    connector: Option<Connector>,
    readiness: Arc<Readiness>,
}

impl Prober {
    async fn run(self) {
        loop {
            let upstream = self.serving.borrow().upstream.clone();
            let probe = proxy::upstream::probe(&upstream, self.connector.as_ref());
            let outcome = match timeout(upstream.connect_timeout, probe).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(chain(&error)),
                Err(_) => Err("it did not accept a connection in time".to_owned()),
            };
            let pause = if outcome.is_ok() { PROBE_INTERVAL } else { AWAITING_INTERVAL };
            self.readiness.probed(outcome, Timestamp::now());
            sleep(pause).await;
        }
    }
}

/// An error with all that caused it: a reader of `/readyz` sees no log.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn state(
    config: &Config,
    shared: &Shared,
    page: Page,
    exports: &Arc<Exports>,
    history: &Arc<History>,
    hub: &Arc<Hub>,
) -> admin::State {
    let Page { listen, started_at, recent, draining, pulses, shown, reloads } = page;
    let readiness = Arc::clone(&draining.readiness);
    let (scraped, told) = (Arc::clone(exports), Arc::clone(exports));
    let labelled = Arc::clone(hub);
    admin::State {
        analysis: Arc::clone(&shared.analysis),
        latency: Arc::clone(&shared.latency),
        queue: Arc::clone(&shared.queue),
        routes: Arc::clone(&shared.routes),
        history: Arc::clone(history),
        recent,
        readiness: Arc::new(move || readiness.get()),
        liveness: Arc::new(move || pulses.stalled()),
        metrics: Arc::new(move |accept| scraped.scrape(accept)),
        labels: Arc::new(move |content_type, body| take_labels(&labelled, content_type, body)),
        drain: Arc::new(move || draining.start()),
        reload: Arc::new(move || {
            let answer = reloads.ask(Cause::Request);
            Box::pin(async move { answer?.await.ok() })
        }),
        exporters: Arc::new(move || told.states()),
        settings: shown.settings,
        standing: Arc::clone(&shared.standing),
        memory: config.memory.clone(),
        token: shown.token,
        traffic_url: format!("{}://{}", config.scheme(), reachable(listen)),
        upstream_url: format!("{}://{}", config.upstream.scheme(), config.upstream.authority),
        started_at,
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// An address that listens everywhere is reached from this host at its loopback.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Labels that can be read are joined, whatever stands beside them.
fn take_labels(
    hub: &Hub,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<LabelsAccepted, LabelsRefused> {
    let parsed = labels::parse(content_type, body)
        .map_err(|error| LabelsRefused::Malformed(error.to_string()))?;
    let accepted = parsed.labels.len() as u64;
    let rejected = parsed.bad.iter();
    let rejected = rejected
        .map(|bad| RejectedLabel { line: bad.number, reason: bad.fault.to_string() })
        .collect();
    hub.watch().take_labels(labels::Source::Api, "request", parsed, Timestamp::now());
    Ok(LabelsAccepted { accepted, rejected })
}
