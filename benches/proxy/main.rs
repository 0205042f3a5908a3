//! Taffrail beside nginx, haproxy and Envoy, as ratios that a noisy machine cannot bend much.
//!
//! `cargo bench --bench proxy`, with options after `--`: see `-- --help`; `-- --quick` for a first look,
//! `-- --install` to be given the peers and the load generators. Tables come out as Markdown on stdout,
//! progress on stderr.
//!
//! The same work costs up to twice as much from one minute to the next on a shared machine, so figures
//! of two runs say nothing about each other. Here every proxy is up at once, each round measures each
//! of them once, in random order and for a short slice, and a ratio is only taken within a round. What
//! counts is the CPU time of all threads and processes of a proxy, per request: proxies have one core,
//! backend and load generator another. Under 15 rounds, do not read much into a difference under 15 %.
//! Everything takes about half an hour.

mod backend;
mod client;
mod compare;
mod config;
mod drain;
mod h2_backend;
mod idle;
mod load;
mod machine;
mod options;
mod payload;
mod peer;
mod process;
mod restart;
mod sse;
mod stand;
mod table;
mod traffic;
mod usage;
mod wire;
mod workload;

use anyhow::ensure;
use clap::Parser;
use options::{Measurement, Options};
use stand::Stand;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if let Some(port) = options.backend {
        let body = payload::response(options.response_bytes, options.response_rows)?;
        return backend::run(port, body, options.protocol);
    }
    if !options.bench {
        eprintln!("nothing to test here; measure with `cargo bench --bench proxy`");
        return Ok(());
    }
    if options.install {
        machine::install()?;
    }
    let stand = Stand::new(options)?;
    println!("{}", stand.description());
    let mut failed = Vec::new();
    for measurement in stand.options.measurements() {
        match measure(&stand, measurement) {
            Ok(table) => println!("{table}"),
            Err(error) => {
                eprintln!("{} failed: {error:#}", measurement.name());
                failed.push(measurement.name());
            }
        }
    }
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

fn measure(stand: &Stand, measurement: Measurement) -> anyhow::Result<String> {
    eprintln!("== {}", measurement.name());
    match measurement {
        Measurement::Idle => idle::measure(stand),
        Measurement::Restart => restart::measure(stand),
        Measurement::Drain => drain::measure(stand),
        Measurement::Sse => sse::measure(stand),
        Measurement::Small => compare::measure(stand, &workload::SMALL),
        Measurement::Medium => compare::measure(stand, &workload::MEDIUM),
        Measurement::Large => compare::measure(stand, &workload::LARGE),
        Measurement::Paced => compare::measure(stand, &workload::PACED),
        Measurement::H2c => compare::measure(stand, &workload::H2C),
    }
}
