//! What leaves the process: the exporters, and the ends that exchanges and verdicts are offered to.

use super::{Shared, StartError};
use crate::admin::Recent;
use crate::archive;
use crate::config::{ApplicationInsights, Azure, Config, IngestionAuthorization};
use crate::export::{
    self, AzureToken, Events, ExporterName, Family, QueueState, Resource, Sources, Spans,
    application_insights, otlp,
};
use crate::pipeline::{Outlets, VerdictChange};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) struct Exports {
    pub(super) exporters: Exporters,
    pub(super) spans: Spans,
    pub(super) events: Events,
    pub(super) counters: Arc<export::Counters>,
    pub(super) families: Arc<dyn Fn() -> Vec<Family> + Send + Sync>,
    pub(super) resource: Arc<Resource>,
}

/// What pushes; `None` where nobody is to be pushed to.
pub(super) struct Exporters {
    pub(super) otlp: Option<otlp::Exporter>,
    pub(super) application_insights: Option<application_insights::Exporter>,
}

impl Exporters {
    /// Until the future that `stopped` makes is ready, and then what is left.
    pub(super) async fn run<F: Future<Output = ()>>(self, stopped: impl Fn() -> F) {
        let otlp = async {
            if let Some(exporter) = self.otlp {
                exporter.run(stopped()).await;
            }
        };
        let application_insights = async {
            if let Some(exporter) = self.application_insights {
                exporter.run(stopped()).await;
            }
        };
        tokio::join!(otlp, application_insights);
    }
}

impl Exports {
    pub(super) fn new(
        config: &Config,
        listen: SocketAddr,
        started_at: Timestamp,
        shared: &Shared,
    ) -> Result<Self, StartError> {
        let resource = Arc::new(Resource::new(&config.export, &config.model));
        let counters = Arc::new(counters(config));
        let families = families(config, shared, &counters);
        let azure = config.export.azure.clone();
        let token = azure.map(AzureToken::new).transpose().map_err(StartError::Token)?;
        let token = token.map(Arc::new);
        let (otlp, otlp_spans, otlp_events) = match &config.export.otlp {
            None => (None, Spans::off(), Events::off()),
            Some(otlp) => {
                let settings = otlp::Settings {
                    started_at: started_at.into(),
                    scheme: config.scheme(),
                    token: token.clone(),
                    ..otlp::Settings::new(otlp.clone(), listen, config.upstream.clone())
                };
                let (collect, counters) = (Arc::clone(&families), Arc::clone(&counters));
                let (exporter, spans, events) =
                    otlp::Exporter::new(&settings, &resource, counters, move || collect())?;
                (Some(exporter), spans, events)
            }
        };
        let (insights, spans, events) = match &config.export.application_insights {
            None => (None, Spans::off(), Events::off()),
            Some(insights) => {
                let instance = instance(config, &resource);
                let upstream = config.upstream.clone();
                let settings = application_insights::Settings {
                    scheme: config.scheme(),
                    token: ingestion_token(config, insights, token)?,
                    ..application_insights::Settings::new(
                        insights.clone(),
                        instance,
                        listen,
                        upstream,
                    )
                };
                let collect = Arc::clone(&families);
                let (exporter, spans, events) = application_insights::Exporter::new(
                    &settings,
                    &resource,
                    &counters,
                    move || collect(),
                )?;
                (Some(exporter), spans, events)
            }
        };
        let (spans, events) = (otlp_spans.and(spans), otlp_events.and(events));
        let exporters = Exporters { otlp, application_insights: insights };
        Ok(Self { exporters, spans, events, counters, families, resource })
    }

    pub(super) fn outlets(&self, recent: Arc<Recent>, archive: Option<archive::Writer>) -> Outlets {
        let (spans, events) = (self.spans.clone(), self.events.clone());
        Outlets {
            archive,
            on_entry: Box::new(move |entry| {
                spans.offer(&entry.exchange, &entry.route);
                recent.push(Arc::clone(entry) as _);
            }),
            on_verdict: Box::new(move |change| {
                log_change(change);
                events.offer(change);
            }),
        }
    }
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

fn counters(config: &Config) -> export::Counters {
    let insights = config.export.application_insights.as_ref();
    let insights = insights.map(|_| ExporterName::ApplicationInsights);
    export::Counters::listing([ExporterName::Otlp].into_iter().chain(insights))
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

/// Collects every metric from what is published at that moment.
fn families(
    config: &Config,
    shared: &Shared,
    counters: &Arc<export::Counters>,
) -> Arc<dyn Fn() -> Vec<Family> + Send + Sync> {
    let (shared, counters) = (shared.clone(), Arc::clone(counters));
    let upstream = config.upstream.authority.clone();
    let (scheme, upstream_scheme) = (config.scheme(), config.upstream.scheme());
    Arc::new(move || {
        export::collect(&Sources {
            snapshot: &shared.analysis.load(),
            latency: &shared.latency.load(),
            capture: shared.queue.counters().totals(),
            queue: QueueState::from(&*shared.queue),
            routes: &shared.routes,
            exporters: &counters,
            scheme,
            upstream: &upstream,
            upstream_scheme,
        })
    })
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
