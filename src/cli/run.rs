//! `taffrail run`: the sidecar.

use super::lifecycle::{Hangup, Lifecycle};
use super::settings::Settings;
use super::{log, problems};
use crate::app::{Bound, Running};
use crate::config::{BaselineSource, Config};
use std::process::ExitCode;

pub(super) const AFTER_HELP: &str = "\
Every setting is also a key of the YAML file and a variable:
  --upstream-response-timeout 5s
  TAFFRAIL_UPSTREAM_RESPONSE_TIMEOUT=5s
  upstream: { response_timeout: 5s }
Flags win over TAFFRAIL_* variables, over the file, over OTEL_* variables, over defaults.
Durations are written 200ms, 1s, 5m, 1h, 7d; sizes 64KiB, 1MiB, 1GiB.
Changed files are taken over while it runs, within some seconds; SIGHUP and POST /api/v1/reload ask
for that at once. Keys marked [restart] keep the value of the start until the next.
`taffrail check --config FILE` tells every problem of a configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (config, warnings) = match args.settings.load() {
        Ok(loaded) => loaded,
        Err(found) => return Ok(problems::print(&found)),
    };
    problems::warn(&warnings);
    log::start(log::Quiet::No);
    let lifecycle = Lifecycle::listen()?;
    let running = crate::app::start(&config, Bound::default())?;
    say_where(&config, &running);
    lifecycle.run_until_signal(running, Hangup::Reloads, || tracing::info!("draining"))
}

/// What it fitted itself to, so that requests and limits of a container can be set by it.
fn say_limits(config: &Config) {
    let memory = &config.memory;
    let mebibytes = |bytes: u64| format!("{}MiB", bytes.div_ceil(1 << 20));
    let parts = memory.parts.iter().filter(|part| part.bytes > 0);
    let parts: Vec<_> =
        parts.map(|part| format!("{} {}", part.name, mebibytes(part.bytes))).collect();
    tracing::info!(
        threads = config.threads,
        cpu_budget = config.capture.cpu_budget,
        memory_limit = memory.limit_bytes.map_or("none".to_owned(), mebibytes),
        memory_planned = mebibytes(memory.planned_bytes),
        parts = parts.join(", "),
        "fitted to the limits"
    );
}

fn say_where(config: &Config, running: &Running) {
    tracing::info!(
        listen = %running.listen,
        upstream = %format_args!("{}://{}", config.upstream.scheme(), config.upstream.authority),
        page = %format_args!("http://{}/", running.admin),
        data_dir = %config.data_dir.display(),
        "serving"
    );
    say_limits(config);
    match &config.baseline {
        BaselineSource::File(path) => tracing::info!(baseline = %path.display(), "comparing"),
        BaselineSource::Learn { rows } => tracing::info!(
            rows,
            "no baseline was given: the first rows of live traffic become it; \
             give one with --baseline FILE"
        ),
    }
}
