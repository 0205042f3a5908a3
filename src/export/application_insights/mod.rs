//! Requests, calls, failures, verdicts and metrics to an Application Insights resource, by its own
//! ingestion protocol, from a connection string alone.
//!
//! In: exchanges through [`Spans`], verdicts through [`Events`], a closure that collects families. Each
//! is written as JSON here, never on a thread that serves, and kept in a `store`, in memory while the
//! endpoint is well and on disk while it is not, from where one `sender` posts it. The promise: nobody
//! waits for Azure; an outage loses nothing within the buffer's bound, a killed process only what it had
//! not written yet, the last seconds; every item that is lost is counted. An item may arrive twice,
//! where the answer to it was lost. One future runs it all: nothing here spawns but what blocks on disk.

mod calls;
mod chunk;
mod envelope;
mod frame;
mod happenings;
mod ingestion;
mod metrics;
mod sender;
mod spool;
mod store;

use super::azure_token::AzureToken;
use super::batch::{Batcher, queue};
use super::counters::{Counters, ExporterName, Signal};
use super::event::Events;
use super::family::Family;
use super::http::SendError;
use super::resource::Resource;
use super::visit::{Places, Spans};
use crate::config;
use calls::Calls;
use chunk::Press;
use envelope::Speaker;
use happenings::Happenings;
use ingestion::Ingestion;
pub use metrics::Ledger;
use metrics::{Deltas, Pusher};
use sender::Sender;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use store::{Room, Store};
use thiserror::Error;
use tokio::sync::watch;

const EXPORTER: ExporterName = ExporterName::ApplicationInsights;
/// A disk that hangs must not hold up the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
pub struct Settings {
    pub application_insights: config::ApplicationInsights,
    /// Given where the connection string wants one.
    pub token: Option<Arc<AzureToken>>,
    /// Shared with the exporter that this one replaces, if there is one.
    pub ledger: Ledger,
    /// Who this process is among its like: the pod.
    pub instance: String,
    pub listen: SocketAddr,
    /// What clients speak, `http` or `https`.
    pub scheme: &'static str,
    pub upstream: config::Upstream,
    /// Exchanges, or events, that may wait to be written; the newest beyond that are dropped and counted.
    pub queue: NonZeroUsize,
    /// How long the first of a batch waits for company.
    pub batch_delay: Duration,
    /// How long the end may take before what is left is put on disk.
    pub flush_timeout: Duration,
}

impl Settings {
    pub fn new(
        application_insights: config::ApplicationInsights,
        instance: String,
        listen: SocketAddr,
        upstream: config::Upstream,
    ) -> Self {
        const QUEUE: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
        Self {
            application_insights,
            token: None,
            ledger: Ledger::default(),
            instance,
            listen,
            scheme: "http",
            upstream,
            queue: QUEUE,
            batch_delay: Duration::from_secs(1),
            flush_timeout: Duration::from_secs(5),
        }
    }
}

#[derive(Debug, Error)]
pub enum ApplicationInsightsError {
    #[error("TLS cannot be set up")]
    Tls(#[from] SendError),
}

/// What sends; to be driven by [`Exporter::run`].
pub struct Exporter {
    metrics: Pusher,
    calls: Batcher<Calls>,
    happenings: Batcher<Happenings>,
    sender: Sender,
    store: Arc<Store>,
    stop: watch::Sender<bool>,
    flush_timeout: Duration,
    ledger: Ledger,
}

impl Exporter {
    /// The exporter, and the ends that exchanges and verdicts are offered to.
    pub fn new(
        settings: &Settings,
        resource: &Resource,
        counters: &Arc<Counters>,
        collect: impl FnMut() -> Vec<Family> + Send + 'static,
    ) -> Result<(Self, Spans, Events), ApplicationInsightsError> {
        let insights = &settings.application_insights;
        let ingestion = Ingestion::new(&insights.connection, settings.token.clone())?;
        let room = Room { directory: insights.buffer.clone(), limit_bytes: insights.buffer_bytes };
        let store = Arc::new(Store::new(room, Arc::clone(counters)));
        let speaker = Speaker::new(resource, &settings.instance);
        let press = Arc::new(Press { speaker, counters: Arc::clone(counters) });
        let metrics = Pusher {
            collect: Box::new(collect),
            deltas: Deltas::new(insights.max_series).after(settings.ledger.clone()),
            press: Arc::clone(&press),
            store: Arc::clone(&store),
            interval: insights.interval,
        };
        let places = Places {
            listen: settings.listen,
            scheme: settings.scheme,
            upstream: settings.upstream.clone(),
        };
        let (press_too, store_too) = (Arc::clone(&press), Arc::clone(&store));
        let sampler = insights.sampler;
        let calls = Calls { press: press_too, store: store_too, places, sampler };
        let happenings = Happenings { press, store: Arc::clone(&store) };
        let (capacity, delay) = (settings.queue, settings.batch_delay);
        let too = || Arc::clone(counters);
        let (spans, calls) = queue(capacity, delay, calls, too(), (EXPORTER, Signal::Traces));
        let (events, happenings) =
            queue(capacity, delay, happenings, too(), (EXPORTER, Signal::Logs));
        let sender = Sender::new(ingestion, Arc::clone(&store), too());
        let (stop, _) = watch::channel(false);
        let flush_timeout = settings.flush_timeout;
        let ledger = settings.ledger.clone();
        let exporter =
            Self { metrics, calls, happenings, sender, store, stop, flush_timeout, ledger };
        Ok((exporter, Spans::new(spans), Events::new(events)))
    }

    /// Exports until `shutdown` is ready, then what is left, within `flush_timeout`. What is still
    /// undelivered then goes to disk, for the next process; what cannot is counted as lost.
    /// Begins once the exporter that it replaces has ended: only one can have the disk.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { metrics, calls, happenings, sender, store, stop, flush_timeout, ledger } = self;
        let _turn = ledger.turn.lock().await;
        let stopping = || stop.subscribe();
        let (fed, all_fed) = watch::channel(false);
        let feeding = async {
            tokio::join!(
                metrics.run(stopping()),
                calls.run(stopping()),
                happenings.run(stopping())
            );
            fed.send_replace(true);
        };
        let deadline = async {
            shutdown.await;
            stop.send_replace(true);
            tokio::time::sleep(flush_timeout).await;
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(feeding, sender.run(stopping(), all_fed)) } => {}
            () = deadline => {}
        }
        match tokio::time::timeout(CLOSE_TIMEOUT, store.close()).await {
            Ok(0) => {}
            Ok(lost) => {
                tracing::warn!(lost, "telemetry for Application Insights was lost at the end");
            }
            Err(_) => {
                tracing::warn!("the disk took no telemetry for Application Insights at the end");
            }
        }
    }
}
