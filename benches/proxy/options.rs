//! What can be asked for on the command line.

use super::workload::Protocol;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

const QUICK_ROUNDS: usize = 3;

#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo bench --bench proxy --",
    about = "Taffrail beside nginx, haproxy and Envoy"
)]
pub(crate) struct Options {
    /// Rounds of each comparison, after one to warm up
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Length of a slice: one proxy, one round
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// 3 rounds of 1 s: a look, not a measurement
    #[arg(long)]
    quick: bool,
    /// What to measure; everything if not given
    #[arg(long, value_enum, value_delimiter = ',')]
    workloads: Vec<Measurement>,
    /// What to compare with
    #[arg(long, value_enum, value_delimiter = ',', default_value = "haproxy,nginx,envoy")]
    pub(crate) peers: Vec<PeerName>,
    /// The binary that is measured, if not the one that cargo built for this
    #[arg(long, value_name = "PATH")]
    pub(crate) taffrail: Option<PathBuf>,
    /// Install what is missing first, with apt-get and pip
    #[arg(long)]
    pub(crate) install: bool,
    /// Core of the proxy that is measured
    #[arg(long, default_value_t = 0)]
    pub(crate) proxy_cpu: usize,
    /// Core of backend and load generator
    #[arg(long, default_value_t = 1)]
    pub(crate) load_cpu: usize,
    /// Idle connections of the measurement `idle`
    #[arg(long, default_value_t = 5000)]
    pub(crate) idle_connections: u32,
    /// Said by cargo
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
    /// Be the backend, on this port
    #[arg(long, hide = true)]
    pub(crate) backend: Option<u16>,
    #[arg(long, hide = true, default_value_t = 300)]
    pub(crate) response_bytes: usize,
    #[arg(long, hide = true, default_value_t = 1)]
    pub(crate) response_rows: usize,
    #[arg(long, hide = true, value_enum, default_value = "http1")]
    pub(crate) protocol: Protocol,
}

impl Options {
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { QUICK_ROUNDS } else { self.rounds.max(1) }
    }

    pub(crate) fn seconds(&self) -> u64 {
        if self.quick { 1 } else { self.seconds.max(1) }
    }

    pub(crate) fn measurements(&self) -> Vec<Measurement> {
        match self.workloads.as_slice() {
            [] => Measurement::value_variants().to_vec(),
            some => some.to_vec(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measurement {
    /// POST 1 KiB → 300 B, as fast as it goes
    Small,
    /// POST 64 KiB → 4 KiB
    Medium,
    /// POST 1 MiB → 1 KiB
    Large,
    /// As small, at a modest constant rate
    Paced,
    /// As small, HTTP/2 without TLS on both sides
    H2c,
    /// Memory of an idle connection
    Idle,
    /// Requests lost while the backend restarts
    Restart,
    /// Requests lost while the proxy stops
    Drain,
    /// Delay that is added to server-sent events
    Sse,
}

impl Measurement {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeerName {
    Haproxy,
    Nginx,
    Envoy,
}
