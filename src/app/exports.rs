//! What leaves the process: exporters, one generation after the other, and the ends that exchanges and
//! verdicts are offered to.
//!
//! A generation is all exporters of one configuration. A reload that changes `export` makes the next
//! one, sets it in the place of the one before, and lets that deliver what it holds; it counts for
//! itself ([`Generations`]), and deltas go on where the other left off (the ledgers). A further
//! exporter is a part of [`Generation`] and of [`Exports::build`], and of nothing else.

use super::{Shared, StartError};
use crate::admin::{ExporterState, Recent};
use crate::archive;
use crate::config::{ApplicationInsights, Azure, Config, IngestionAuthorization, Outcome};
use crate::drift::{Change, Failure, ReferenceState, WarningChange};
use crate::export::otlp::Ending;
use crate::export::prometheus::{self, Format};
use crate::export::{
    self, AzureToken, Events, ExporterName, Family, Generations, Loss, QueueState, Resource,
    Signal, Sources, Spans, application_insights, otlp,
};
use crate::labels;
use crate::latency::OperationChange;
use crate::pipeline::{Outlets, QualityChange, VerdictChange};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::{mpsc, watch};

/// Generations that wait for the control thread to run them: it takes each at once.
const MOST_WAITING: usize = 64;

type Collect = Arc<dyn Fn() -> Vec<Family> + Send + Sync>;

/// For as long as the process runs.
pub(super) struct Exports {
    /// Locked by analysis for an offer, which never waits, and by a reload for a swap: so no offer is
    /// under way to a generation that was told to end.
    ends: RwLock<Ends>,
    in_place: Mutex<InPlace>,
    generations: Arc<Generations>,
    resource: ArcSwap<Resource>,
    families: Collect,
    exemplars: Arc<export::Exemplars>,
    ledgers: Ledgers,
    listen: SocketAddr,
    started_at: Timestamp,
    launches: mpsc::Sender<Generation>,
}

/// What outlives an exporter that is replaced.
#[derive(Default)]
struct Ledgers {
    otlp: otlp::Ledger,
    application_insights: application_insights::Ledger,
}

#[derive(Clone)]
struct Ends {
    spans: Spans,
    events: Events,
}

struct InPlace {
    /// Tells the generation that another one is.
    replaced: watch::Sender<bool>,
    exporters: Vec<ExporterName>,
}

/// Made, and not in place yet.
pub(super) struct Next {
    ends: Ends,
    resource: Resource,
    in_place: InPlace,
    generation: Generation,
}

/// What pushes, to be driven by [`Self::run`].
pub(super) struct Generation {
    otlp: Option<otlp::Exporter>,
    application_insights: Option<application_insights::Exporter>,
    counters: Arc<export::Counters>,
    generations: Arc<Generations>,
    replaced: watch::Receiver<bool>,
}

impl Generation {
    /// Until it was replaced, or `over` is ready; then delivers what is left.
    pub(super) async fn run(self, over: impl Future<Output = ()>) {
        let Self { otlp, application_insights, counters, generations, replaced } = self;
        let (ended_by_all, is_over) = watch::channel(false);
        let ending = || {
            let (replaced, is_over) = (replaced.clone(), is_over.clone());
            async move {
                tokio::select! {
                    () = told(is_over) => Ending::OfAll,
                    () = told(replaced) => Ending::Replaced,
                }
            }
        };
        // Boxed one by one: each holds the buffers of its signals, which need not lie on the stack.
        let otlp = otlp.map(|otlp| Box::pin(otlp.run_until(ending())));
        let insights = application_insights.map(|insights| {
            let ending = ending();
            Box::pin(insights.run(async {
                let (Ending::OfAll | Ending::Replaced) = ending.await;
            }))
        });
        let mut exporting = Box::pin(async { tokio::join!(ended(otlp), ended(insights)) });
        tokio::select! {
            ((), ()) = &mut exporting => {}
            () = over => {
                ended_by_all.send_replace(true);
                exporting.await;
            }
        }
        generations.end(&counters);
    }
}

async fn ended(exporter: Option<impl Future<Output = ()>>) {
    if let Some(exporter) = exporter {
        exporter.await;
    }
}

async fn told(mut told: watch::Receiver<bool>) {
    // Who cannot tell any more has nothing more to say than this.
    let _ = told.wait_for(|told| *told).await;
}

impl Exports {
    /// With the generations to run, of which the first is there already.
    pub(super) fn new(
        config: &Config,
        listen: SocketAddr,
        started_at: Timestamp,
        shared: &Shared,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Generation>), StartError> {
        let generations = Arc::new(Generations::default());
        let exemplars = Arc::new(export::Exemplars::default());
        let (launches, to_run) = mpsc::channel(MOST_WAITING);
        let exports = Self {
            ends: RwLock::new(Ends { spans: Spans::off(), events: Events::off() }),
            in_place: Mutex::new(InPlace {
                replaced: watch::Sender::new(false),
                exporters: vec![],
            }),
            resource: ArcSwap::from_pointee(Resource::new(&config.export, &config.model)),
            families: families(config, shared, &generations, &exemplars),
            exemplars,
            generations,
            ledgers: Ledgers::default(),
            listen,
            started_at,
            launches,
        };
        let first = exports.build(config)?;
        exports.put_in_place(first);
        Ok((Arc::new(exports), to_run))
    }

    /// The exporters of a configuration, each with all that it needs.
    pub(super) fn build(&self, config: &Config) -> Result<Next, StartError> {
        let resource = self.resource.load().again(&config.export, &config.model);
        let exporters = exporters(config);
        let counters = Arc::new(export::Counters::listing(exporters.iter().copied()));
        let token = config.export.azure.clone().map(AzureToken::new);
        let token = token.transpose().map_err(StartError::Token)?.map(Arc::new);
        let parts = Parts { config, resource: &resource, counters: &counters, token };
        let (otlp, spans, events) = self.otlp(&parts)?;
        let (insights, more_spans, more_events) = self.application_insights(&parts)?;
        let ends = Ends { spans: spans.and(more_spans), events: events.and(more_events) };
        let (replaced, told) = watch::channel(false);
        let generation = Generation {
            otlp,
            application_insights: insights,
            counters,
            generations: Arc::clone(&self.generations),
            replaced: told,
        };
        Ok(Next { ends, resource, in_place: InPlace { replaced, exporters }, generation })
    }

    fn otlp(&self, parts: &Parts<'_>) -> Result<Built<otlp::Exporter>, StartError> {
        let Parts { config, resource, counters, token } = parts;
        let Some(otlp) = &config.export.otlp else { return Ok(nothing()) };
        let settings = otlp::Settings {
            started_at: self.started_at.into(),
            scheme: config.scheme(),
            token: token.clone(),
            ledger: self.ledgers.otlp.clone(),
            ..otlp::Settings::new(otlp.clone(), self.listen, config.upstream.clone())
        };
        let (collect, counters) = (Arc::clone(&self.families), Arc::clone(counters));
        let built = otlp::Exporter::new(&settings, resource, counters, move || collect());
        let (exporter, spans, events) = built?;
        Ok((Some(exporter), spans, events))
    }

    fn application_insights(
        &self,
        parts: &Parts<'_>,
    ) -> Result<Built<application_insights::Exporter>, StartError> {
        let Parts { config, resource, counters, token } = parts;
        let Some(insights) = &config.export.application_insights else { return Ok(nothing()) };
        let (instance, upstream) = (instance(config, resource), config.upstream.clone());
        let settings = application_insights::Settings {
            scheme: config.scheme(),
            token: ingestion_token(config, insights, token.clone())?,
            ledger: self.ledgers.application_insights.clone(),
            ..application_insights::Settings::new(insights.clone(), instance, self.listen, upstream)
        };
        let collect = Arc::clone(&self.families);
        let built =
            application_insights::Exporter::new(&settings, resource, counters, move || collect());
        let (exporter, spans, events) = built?;
        Ok((Some(exporter), spans, events))
    }

    /// Offers go to the next generation from here on; the one before delivers what it holds. False
    /// if nobody runs exporters any more: then all is as it was.
    pub(super) fn put_in_place(&self, next: Next) -> bool {
        let Next { ends, resource, in_place, generation } = next;
        let counters = Arc::clone(&generation.counters);
        self.generations.begin(Arc::clone(&counters));
        if self.launches.try_send(generation).is_err() {
            self.generations.end(&counters);
            return false;
        }
        self.resource.store(Arc::new(resource));
        {
            let mut current = self.ends.write().unwrap_or_else(PoisonError::into_inner);
            let events = ends.events.after(&current.events);
            *current = Ends { events, ..ends };
        }
        let mut current = self.in_place.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, in_place);
        before.replaced.send_replace(true);
        true
    }

    fn ends<T>(&self, offer: impl FnOnce(&Ends) -> T) -> T {
        offer(&self.ends.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn offer_reference(&self, reference: &ReferenceState) {
        self.ends(|ends| ends.events.offer_reference(reference));
    }

    pub(super) fn offer_operation(&self, change: &OperationChange) {
        log_operation(change);
        self.ends(|ends| ends.events.offer_operation(change));
    }

    pub(super) fn offer_reload(&self, outcome: &Outcome) {
        self.ends(|ends| ends.events.offer_reload(outcome));
    }

    /// For whoever scrapes: a content type and a text.
    pub(super) fn scrape(&self, accept: Option<&str>) -> (String, String) {
        let format = Format::negotiate(accept);
        let text = prometheus::encode(&(self.families)(), &self.resource.load(), format);
        (format.content_type().to_owned(), text)
    }

    /// Of the exporters in place, counted since the start.
    pub(super) fn states(&self) -> Vec<ExporterState> {
        let current = self.in_place.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = self.generations.total();
        let at_work = counters.iter().filter(|(name, ..)| current.exporters.contains(name));
        at_work.map(|(name, signal, counts)| state(name, signal, counts)).collect()
    }

    pub(super) fn outlets(
        self: &Arc<Self>,
        recent: Arc<Recent>,
        archive: Option<archive::Writer>,
    ) -> Outlets {
        let (of_entries, of_performance) = (Arc::clone(self), Arc::clone(self));
        let (of_verdicts, of_quality) = (Arc::clone(self), Arc::clone(self));
        let of_warnings = Arc::clone(self);
        Outlets {
            archive,
            on_entry: Box::new(move |entry| {
                of_entries.ends(|ends| ends.spans.offer(&entry.exchange, &entry.route));
                of_entries.exemplars.offer(&entry.exchange);
                recent.push(Arc::clone(entry) as _);
            }),
            on_verdict: Box::new(move |change| {
                log_change(change);
                of_verdicts.ends(|ends| ends.events.offer(change));
            }),
            on_warning: Box::new(move |change| {
                log_warning(change);
                of_warnings.ends(|ends| ends.events.offer_warning(change));
            }),
            on_performance: Box::new(move |emitted| {
                log_performance(emitted);
                of_performance.ends(|ends| ends.events.offer_performance(emitted));
            }),
            on_quality: Box::new(move |change| {
                log_quality(change);
                of_quality.ends(|ends| ends.events.offer_quality(change));
            }),
        }
    }
}

/// What the exporters of one generation share.
struct Parts<'a> {
    config: &'a Config,
    resource: &'a Resource,
    counters: &'a Arc<export::Counters>,
    token: Option<Arc<AzureToken>>,
}

/// An exporter, if there is to be one, and the ends that lead to it.
type Built<E> = (Option<E>, Spans, Events);

fn nothing<E>() -> Built<E> {
    (None, Spans::off(), Events::off())
}

fn exporters(config: &Config) -> Vec<ExporterName> {
    let otlp = config.export.otlp.as_ref().map(|_| ExporterName::Otlp);
    let insights = config.export.application_insights.as_ref();
    otlp.into_iter().chain(insights.map(|_| ExporterName::ApplicationInsights)).collect()
}

/// The token that others have too, or one for a scope of its own.
fn ingestion_token(
    config: &Config,
    insights: &ApplicationInsights,
    shared: Option<Arc<AzureToken>>,
) -> Result<Option<Arc<AzureToken>>, StartError> {
    match (&insights.connection.authorization, &config.export.azure) {
        (IngestionAuthorization::EntraId { scope: Some(scope) }, Some(azure)) => {
            let azure = Azure { scope: scope.clone(), ..azure.clone() };
            Ok(Some(Arc::new(AzureToken::new(azure).map_err(StartError::Token)?)))
        }
        (IngestionAuthorization::EntraId { scope: None }, _) => Ok(shared),
        _ => Ok(None),
    }
}

/// Who this process is among its like: what was configured, else the pod, else the host. The id of the
/// process, which every signal has otherwise, would be a new instance at each restart.
fn instance(config: &Config, resource: &Resource) -> String {
    let configured = |name: &str| config.export.resource.iter().any(|(key, _)| key == name);
    if configured("service.instance.id") {
        return resource.get("service.instance.id").to_owned();
    }
    let pod = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    let pod = pod.or_else(|| Some(resource.get("k8s.pod.name").to_owned()));
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    pod.filter(|name| !name.is_empty()).unwrap_or_else(host)
}

fn state(name: ExporterName, signal: Signal, counts: &export::SignalCounters) -> ExporterState {
    ExporterState {
        name: format!("{} {}", name.as_str(), signal.as_str()),
        sent: counts.sent.load(Relaxed),
        failed: counts.requests_failed.load(Relaxed),
        dropped: Loss::ALL.into_iter().map(|loss| counts.lost(loss)).sum(),
        last_error: counts.last_error(),
    }
}

/// Collects every metric from what is published at that moment.
fn families(
    config: &Config,
    shared: &Shared,
    generations: &Arc<Generations>,
    exemplars: &Arc<export::Exemplars>,
) -> Collect {
    let (shared, generations) = (shared.clone(), Arc::clone(generations));
    let exemplars = Arc::clone(exemplars);
    let upstream = config.upstream.authority.clone();
    let (scheme, upstream_scheme) = (config.scheme(), config.upstream.scheme());
    Arc::new(move || {
        export::collect(&Sources {
            snapshot: &shared.analysis.load(),
            latency: &shared.latency.load(),
            capture: shared.queue.counters().totals(),
            queue: QueueState::from(&*shared.queue),
            routes: &shared.routes,
            exporters: &generations.total(),
            exemplars: &exemplars,
            config: &shared.standing.load(),
            scheme,
            upstream: &upstream,
            upstream_scheme,
        })
    })
}

fn log_quality(change: &QualityChange) {
    let named = |failures: &[Failure]| {
        failures.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    tracing::info!(
        window = %change.report.window,
        began = named(&change.began),
        ended = named(&change.ended),
        rows = change.report.rows,
        "checks of data quality changed"
    );
}

fn log_change(change: &VerdictChange) {
    let report = &change.report;
    let drifting: Vec<_> =
        report.features.iter().filter(|f| f.detected).map(|f| &*f.feature).collect();
    tracing::info!(
        window = %report.window,
        before = change.before.as_str(),
        verdict = report.verdict.as_str(),
        rows = report.rows,
        coverage = report.coverage,
        features = drifting.join(","),
        "the verdict changed"
    );
}

fn log_warning(change: &WarningChange) {
    let warning = &change.warning;
    let about = warning.change.or(change.ended.map(|(change, _)| change));
    tracing::info!(
        feature = %warning.feature,
        role = warning.role.as_str(),
        state = warning.state.as_str(),
        about = about.map_or("", Change::in_words),
        since = warning.since.or(change.ended.map(|(_, since)| since)).map(tracing::field::display),
        "early warning"
    );
}

fn log_operation(change: &OperationChange) {
    let OperationChange { before, operation } = change;
    tracing::info!(
        signal = operation.signal.as_str(),
        before = before.as_str(),
        course = operation.course.as_str(),
        since = operation.since.map(tracing::field::display),
        usual = operation.usual,
        now = operation.now,
        "operation changed"
    );
}

fn log_performance(emitted: &labels::Emitted) {
    let window = &emitted.window;
    if let (Some(before), Some(concept)) = (emitted.verdict_before, &window.concept) {
        let measures: Vec<_> = concept.detected().map(|change| change.measure.as_str()).collect();
        tracing::info!(
            window = %window.window,
            start = %window.start,
            before = before.as_str(),
            verdict = concept.verdict.as_str(),
            rows = concept.rows,
            measures = measures.join(","),
            "the verdict on performance changed"
        );
    }
}
