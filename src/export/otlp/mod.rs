//! Metrics, spans and events to an OpenTelemetry collector: OTLP over HTTP or gRPC, binary protobuf.
//!
//! In: a closure that collects families, exchanges through [`Spans`], verdicts through [`Events`].
//! Spans and events are encoded by the exporters of `opentelemetry-otlp` (see `encoded`); metrics, which
//! those take only from the SDK's own instruments, are built as messages of `opentelemetry-proto` (see
//! `metrics`). `delivery` hands all three over by `transport`: the exporters' own delivery would block
//! while it retries, and log what it loses where we count it. The promise: producers never wait; memory
//! stays bounded when the collector is away; what is not delivered is counted, or part of the next
//! interval.
//! One future runs it all, on whatever runtime drives it: nothing here spawns.

mod delivery;
mod encoded;
mod events;
mod exponential;
mod grpc;
mod metrics;
mod probe;
mod spans;
mod transport;

pub use super::event::Events;
pub use super::visit::Spans;
pub use metrics::Ledger;
pub use probe::{Outcome, Probed, probe};

use super::azure_token::AzureToken;
use super::batch::{Batcher, queue};
use super::counters::{Counters, ExporterName, Loss, Signal};
use super::family::Family;
use super::http::{Client, SendError};
use super::resource::Resource;
use super::visit::Places;
use crate::config;
use delivery::Delivery;
use encoded::SpanEncoder;
use events::EventSink;
use metrics::{Collect, Encoder, Pusher};
use opentelemetry_otlp::ExporterBuildError;
use spans::SpanSink;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use thiserror::Error;
use tokio::sync::watch;
use transport::Transport;

/// The instrumentation scope of everything that is exported.
const SCOPE: &str = "taffrail";
const EXPORTER: ExporterName = ExporterName::Otlp;

#[derive(Debug, Clone)]
pub struct Settings {
    pub otlp: config::Otlp,
    /// Given where `otlp` wants one.
    pub token: Option<Arc<AzureToken>>,
    /// Where spans say the two ends of the proxy are.
    pub listen: SocketAddr,
    /// What clients speak, `http` or `https`.
    pub scheme: &'static str,
    pub upstream: config::Upstream,
    /// The start of every cumulative sum.
    pub started_at: SystemTime,
    /// Shared with the exporter that this one replaces, if there is one.
    pub ledger: Ledger,
    /// Exchanges whose spans may wait; the newest beyond that are dropped and counted.
    pub span_queue: NonZeroUsize,
    pub event_queue: NonZeroUsize,
    /// How long the first span or event of a batch waits for company.
    pub batch_delay: Duration,
    /// How long the end may take: the last push, and what still waits.
    pub flush_timeout: Duration,
}

impl Settings {
    pub fn new(otlp: config::Otlp, listen: SocketAddr, upstream: config::Upstream) -> Self {
        const QUEUE: NonZeroUsize = NonZeroUsize::new(2048).unwrap();
        Self {
            otlp,
            token: None,
            listen,
            scheme: "http",
            upstream,
            started_at: SystemTime::now(),
            ledger: Ledger::default(),
            span_queue: QUEUE,
            event_queue: QUEUE,
            batch_delay: Duration::from_secs(1),
            flush_timeout: Duration::from_secs(5),
        }
    }
}

#[derive(Debug, Error)]
pub enum OtlpError {
    #[error("export.otlp.tls")]
    Tls(#[source] SendError),
    #[error("the exporter of {signal} cannot be built")]
    Build { signal: &'static str, source: ExporterBuildError },
}

/// What pushes; to be driven by [`Exporter::run`].
pub struct Exporter {
    metrics: Option<Pusher>,
    traces: Option<Batcher<SpanSink>>,
    logs: Option<Batcher<EventSink>>,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    flush_timeout: Duration,
}

impl Exporter {
    /// The exporter, and the ends that exchanges and verdicts are offered to.
    pub fn new(
        settings: &Settings,
        resource: &Resource,
        counters: Arc<Counters>,
        collect: impl FnMut() -> Vec<Family> + Send + 'static,
    ) -> Result<(Self, Spans, Events), OtlpError> {
        let (stop, stopping) = watch::channel(false);
        let client = Client::new(settings.otlp.tls.clone()).map_err(OtlpError::Tls)?;
        let client = Arc::new(client);
        let builder = Builder { settings, resource, client, counters: &counters, stopping };
        let metrics = builder.metrics(Box::new(collect));
        let (spans, traces) = builder.traces()?.unzip();
        let (events, logs) = builder.logs()?.unzip();
        let (spans, events) = (spans.unwrap_or(Spans::off()), events.unwrap_or_else(Events::off));
        let flush_timeout = settings.flush_timeout;
        Ok((Self { metrics, traces, logs, counters, stop, flush_timeout }, spans, events))
    }

    /// Exports until `shutdown` is ready, then what is left, within `flush_timeout`. What is still
    /// undelivered at the end is counted as lost.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        self.run_until(async {
            shutdown.await;
            Ending::OfAll
        })
        .await;
    }

    /// The same; points that are undelivered when another exporter comes after this one are that
    /// one's to deliver, and not lost.
    pub async fn run_until(self, ending: impl Future<Output = Ending>) {
        let Self { metrics, traces, logs, counters, stop, flush_timeout } = self;
        let stopping = || stop.subscribe();
        let workers = async {
            tokio::join!(
                ended(metrics.map(|metrics| metrics.run(stopping()))),
                ended(traces.map(|traces| traces.run(stopping()))),
                ended(logs.map(|logs| logs.run(stopping()))),
            );
        };
        let ended_by = OnceLock::new();
        let deadline = async {
            let _ = ended_by.set(ending.await);
            stop.send_replace(true);
            tokio::time::sleep(flush_timeout).await;
        };
        tokio::select! {
            () = async { tokio::join!(workers, stopped(stopping())); } => {}
            () = deadline => {}
        }
        count_undelivered(&counters, ended_by.into_inner().unwrap_or(Ending::OfAll));
    }
}

/// Why an exporter ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    OfAll,
    /// Another one has been set in its place.
    Replaced,
}

async fn ended(worker: Option<impl Future<Output = ()>>) {
    if let Some(worker) = worker {
        worker.await;
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

fn count_undelivered(counters: &Counters, ending: Ending) {
    for signal in Signal::ALL {
        let counts = counters.otlp(signal);
        let undelivered = counts.queued.swap(0, Relaxed);
        if signal == Signal::Metrics && ending == Ending::Replaced {
            continue;
        }
        counts.lose(Loss::Shutdown, undelivered);
        if undelivered > 0 {
            let signal = signal.as_str();
            tracing::warn!(signal, undelivered, "telemetry was not delivered before the end");
        }
    }
}

struct Builder<'a> {
    settings: &'a Settings,
    resource: &'a Resource,
    client: Arc<Client>,
    counters: &'a Arc<Counters>,
    stopping: watch::Receiver<bool>,
}

impl Builder<'_> {
    fn metrics(&self, collect: Collect) -> Option<Pusher> {
        let otlp = &self.settings.otlp;
        let delivery = self.delivery(otlp.metrics.as_ref(), Signal::Metrics)?;
        let encoder = Encoder::new(self.resource, otlp.temporality, self.settings.started_at)
            .after(self.settings.ledger.clone());
        Some(Pusher::new(collect, encoder, delivery, otlp.interval))
    }

    fn traces(&self) -> Result<Option<(Spans, Batcher<SpanSink>)>, OtlpError> {
        let (settings, signal) = (self.settings, Signal::Traces);
        let Some(delivery) = self.delivery(settings.otlp.traces.as_ref(), signal) else {
            return Ok(None);
        };
        let (listen, scheme) = (settings.listen, settings.scheme);
        let places = Places { listen, scheme, upstream: settings.upstream.clone() };
        let sink = SpanSink { encoder: SpanEncoder::new(self.resource)?, places, delivery };
        let counters = Arc::clone(self.counters);
        let (outbox, batcher) =
            queue(settings.span_queue, settings.batch_delay, sink, counters, (EXPORTER, signal));
        Ok(Some((Spans::new(outbox), batcher)))
    }

    fn logs(&self) -> Result<Option<(Events, Batcher<EventSink>)>, OtlpError> {
        let (settings, signal) = (self.settings, Signal::Logs);
        let Some(delivery) = self.delivery(settings.otlp.logs.as_ref(), signal) else {
            return Ok(None);
        };
        let sink = EventSink::new(self.resource, delivery)?;
        let counters = Arc::clone(self.counters);
        let (outbox, batcher) =
            queue(settings.event_queue, settings.batch_delay, sink, counters, (EXPORTER, signal));
        Ok(Some((Events::new(outbox), batcher)))
    }

    fn delivery(
        &self,
        receiver: Option<&config::Receiver>,
        signal: Signal,
    ) -> Option<Arc<Delivery>> {
        let (client, token) = (Arc::clone(&self.client), self.settings.token.clone());
        let transport = Transport::new(client, receiver?.clone(), signal, token);
        let (counters, stopping) = (Arc::clone(self.counters), self.stopping.clone());
        Some(Arc::new(Delivery::new(transport, signal, counters, stopping)))
    }
}
