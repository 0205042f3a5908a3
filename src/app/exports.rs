//! What leaves the process: the exporter, and the ends that exchanges and verdicts are offered to.

use super::{Shared, StartError};
use crate::admin::Recent;
use crate::archive;
use crate::config::Config;
use crate::export::otlp::{self, Events, Exporter, Spans};
use crate::export::{self, AzureToken, Family, QueueState, Resource, Sources};
use crate::pipeline::{Outlets, VerdictChange};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) struct Exports {
    /// `None` without a collector.
    pub(super) exporter: Option<Exporter>,
    pub(super) spans: Spans,
    pub(super) events: Events,
    pub(super) counters: Arc<export::Counters>,
    pub(super) families: Arc<dyn Fn() -> Vec<Family> + Send + Sync>,
    pub(super) resource: Arc<Resource>,
}

impl Exports {
    pub(super) fn new(
        config: &Config,
        listen: SocketAddr,
        started_at: Timestamp,
        shared: &Shared,
    ) -> Result<Self, StartError> {
        let resource = Arc::new(Resource::new(&config.export, &config.model));
        let counters = Arc::new(export::Counters::default());
        let families = families(config, shared, &counters);
        let azure = config.export.azure.clone();
        let token = azure.map(AzureToken::new).transpose().map_err(StartError::Token)?;
        let token = token.map(Arc::new);
        let (exporter, spans, events) = match &config.export.otlp {
            None => (None, Spans::off(), Events::off()),
            Some(otlp) => {
                let settings = otlp::Settings {
                    started_at: started_at.into(),
                    scheme: config.scheme(),
                    token: token.clone(),
                    ..otlp::Settings::new(otlp.clone(), listen, config.upstream.clone())
                };
                let collect = Arc::clone(&families);
                let (exporter, spans, events) =
                    Exporter::new(&settings, &resource, Arc::clone(&counters), move || collect())?;
                (Some(exporter), spans, events)
            }
        };
        Ok(Self { exporter, spans, events, counters, families, resource })
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
