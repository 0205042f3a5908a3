//! What of a running sidecar changes with its configuration, and in which order.
//!
//! A reload reads and checks all sources, makes every part that is to change, and only then sets them
//! all: until then an error leaves the sidecar as it was, and after it none can come. Nothing here
//! touches a connection: serving threads are told, and go by what they were told from the next
//! exchange on.

use super::control::Shown;
use super::exports::{Exports, Next};
use super::settings::{self, Analysis};
use super::{Shared, StartError};
use crate::capture::{Queue, SampleRate};
use crate::config::{
    Cause, Config, Outcome, Problem, Problems, Rejected, Reloaded, Reread, Standing,
};
use crate::decode;
use crate::pipeline::{Hub, Retune, Tuning, every_dialect};
use crate::proxy::{self, Connections};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::watch;

/// Handles on everything that a reload sets.
pub(super) struct Live {
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) serving: watch::Sender<proxy::Live>,
    pub(super) connections: Arc<Connections>,
    pub(super) rate: Arc<SampleRate>,
    pub(super) tuning: Arc<ArcSwap<Tuning>>,
    pub(super) shown: Shown,
    queue: Arc<Queue>,
    hub: Arc<Hub>,
    exports: Arc<Exports>,
    standing: Arc<ArcSwap<Standing>>,
}

/// What is made of a changed configuration, and not set yet.
struct Parts {
    analysis: Analysis,
    /// `None` where exporters stay as they are.
    exports: Option<Next>,
}

/// Why nothing was set.
enum NotSet {
    Problems(Problems),
    /// The process is ending.
    Ending,
}

impl Live {
    pub(super) fn new(
        config: &Config,
        decode: decode::Settings,
        shared: &Shared,
        hub: &Arc<Hub>,
        exports: &Arc<Exports>,
    ) -> Self {
        let rate = Arc::new(SampleRate::new(config.capture.sample));
        let (serving, _) = watch::channel(settings::serving(config, &rate));
        Self {
            config: Arc::new(ArcSwap::from_pointee(config.clone())),
            serving,
            connections: Arc::new(Connections::new(config.client.max_connections)),
            rate,
            tuning: Arc::new(ArcSwap::from_pointee(tuning(config, decode))),
            shown: Shown::new(config),
            queue: Arc::clone(&shared.queue),
            hub: Arc::clone(hub),
            exports: Arc::clone(exports),
            standing: Arc::clone(&shared.standing),
        }
    }

    /// For one thread: of two at a time each would build on what the other replaces. `None` if the
    /// process is ending.
    pub(super) fn reload(&self, cause: Cause) -> Option<Outcome> {
        let at = Timestamp::now();
        let outcome = match self.take_over(at, cause) {
            Ok(reloaded) => Outcome::Reloaded(reloaded),
            Err(NotSet::Problems(problems)) => {
                let hash = self.config.load().hash();
                Outcome::Rejected(Rejected { at, cause, hash, problems })
            }
            Err(NotSet::Ending) => return None,
        };
        self.standing.store(Arc::new(self.standing.load().after(&outcome)));
        log(&outcome);
        self.exports.offer_reload(&outcome);
        Some(outcome)
    }

    fn take_over(&self, at: Timestamp, cause: Cause) -> Result<Reloaded, NotSet> {
        let Reread { config, at_start, changed, restart_required, warnings } =
            self.config.load().reread().map_err(NotSet::Problems)?;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        super::check(&at_start).map_err(NotSet::Problems)?;
        self.fits(&config).map_err(|problem| NotSet::Problems([problem].into_iter().collect()))?;
        let of_exports = changed.iter().any(|change| change.key.starts_with("export."));
        let parts = self.make(&config, of_exports).map_err(|faults| {
            let problem = |fault: &StartError| -> Problem { fault.problem(&config) };
            NotSet::Problems(faults.iter().map(problem).collect())
        })?;
        let hash = config.hash();
        self.set(config, parts, at)?;
        let unchanged = changed.is_empty() && restart_required.is_empty();
        Ok(Reloaded { at, cause, hash, changed, restart_required, unchanged })
    }

    /// The queue has the room that it had at the start, and a whole body must fit.
    fn fits(&self, config: &Config) -> Result<(), Problem> {
        let (room, body) = (self.queue.limits().bytes.get(), config.capture.max_body_bytes);
        if body <= room {
            return Ok(());
        }
        let room = room.div_ceil(1 << 20);
        let message = format!("is over the {room}MiB of the queue, which only a restart changes");
        Err(config.problem("capture.max_body_bytes", &message))
    }

    fn make(&self, config: &Config, of_exports: bool) -> Result<Parts, Vec<StartError>> {
        let analysis = Analysis::read(config)?;
        let exports = of_exports.then(|| self.exports.build(config)).transpose();
        Ok(Parts { analysis, exports: exports.map_err(|fault| vec![fault])? })
    }

    /// Only the first step can fail. Analysis goes before the serving threads, so that what they let
    /// through by the new settings finds them in force.
    fn set(&self, config: Config, parts: Parts, at: Timestamp) -> Result<(), NotSet> {
        let Parts { analysis: Analysis { decode, reference }, exports } = parts;
        if exports.is_some_and(|next| !self.exports.put_in_place(next)) {
            return Err(NotSet::Ending);
        }
        self.tuning.store(Arc::new(tuning(&config, decode)));
        let (drift, labels) = (settings::drift(&config), settings::labels(&config, &reference));
        let windows = config.windows.clone();
        self.hub.retune(Retune { drift, windows, labels, reference }, at);
        if let Some(bounds) = settings::archive_bounds(&config.archive) {
            self.hub.bound_archive(bounds);
        }
        let sample = config.capture.sample;
        // Unless it is another, the rate stays at what the budget has brought it to.
        if self.config.load().capture.sample.total_cmp(&sample).is_ne() {
            self.rate.set(sample);
        }
        self.connections.limit_to(config.client.max_connections);
        self.serving.send_replace(settings::serving(&config, &self.rate));
        self.shown.show(&config);
        self.config.store(Arc::new(config));
        Ok(())
    }
}

fn tuning(config: &Config, decode: decode::Settings) -> Tuning {
    Tuning {
        decode: every_dialect(decode),
        sample: config.capture.sample,
        cpu_budget: config.capture.cpu_budget,
        labels_header: config.labels.response_header.clone(),
    }
}

fn log(outcome: &Outcome) {
    match outcome {
        Outcome::Reloaded(Reloaded {
            cause, hash, changed, restart_required, unchanged, ..
        }) => {
            let cause = cause.as_str();
            if *unchanged {
                tracing::info!(cause, hash, "the configuration is as it was");
                return;
            }
            let changed: Vec<_> = changed.iter().map(ToString::to_string).collect();
            let changed = changed.join("; ");
            tracing::info!(cause, hash, changed, "the configuration was reloaded");
            if !restart_required.is_empty() {
                let keys = restart_required.join(", ");
                tracing::warn!(keys, "changed keys that stay as they were until a restart");
            }
        }
        Outcome::Rejected(Rejected { cause, hash, problems, .. }) => {
            for problem in problems.iter() {
                tracing::error!("{problem}");
            }
            let (cause, problems) = (cause.as_str(), problems.len());
            tracing::error!(
                cause,
                hash,
                problems,
                "the configuration was rejected; the one before stays in force"
            );
        }
    }
}
