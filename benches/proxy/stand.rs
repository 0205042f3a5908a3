//! The test stand: what was found on the machine, a directory to write in, and the backend.

use super::options::{Options, PeerName};
use super::peer::Peer;
use super::process::{Process, end_all};
use super::workload::{Protocol, Workload};
use super::{backend, machine, payload};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const READY_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Stand {
    pub(crate) options: Options,
    /// Those whose program is there, the reference first after Taffrail.
    peers: Vec<PeerName>,
    pub(crate) taffrail: PathBuf,
    pub(crate) descriptors: u64,
    directory: TempDir,
}

impl Stand {
    pub(crate) fn new(options: Options) -> anyhow::Result<Self> {
        machine::pin(options.load_cpu, options.proxy_cpu)?;
        std::fs::create_dir_all(env!("CARGO_TARGET_TMPDIR"))?;
        let directory = TempDir::with_prefix_in("proxy-bench-", env!("CARGO_TARGET_TMPDIR"))?;
        end_on_signals(directory.path().to_owned())?;
        let built = || PathBuf::from(env!("CARGO_BIN_EXE_taffrail"));
        let taffrail = options.taffrail.clone().unwrap_or_else(built);
        let mut peers = options.peers.clone();
        peers.retain(|peer| peer.is_there());
        let descriptors = machine::raise_descriptors();
        Ok(Self { options, peers, taffrail, descriptors, directory })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Taffrail in both its forms, and the others that are there.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        let others = self.peers.iter().map(|&name| Peer::of(name));
        Peer::TAFFRAIL.into_iter().chain(others).collect()
    }

    pub(crate) fn has_haproxy(&self) -> bool {
        self.peers.contains(&PeerName::Haproxy)
    }

    /// What was measured with what, as a line above the tables.
    pub(crate) fn description(&self) -> String {
        let taffrail = [machine::version(&self.taffrail, "--version")];
        let peers = self.peers.iter().map(|peer| peer.version());
        let versions: Vec<_> = taffrail.into_iter().chain(peers).collect();
        format!(
            "{}; {}, {} cores: proxies on core {}, backend and load generator on core {}; \
             {} rounds of {} s.",
            versions.join(" · "),
            machine::processor(),
            rustix::thread::sched_getaffinity(None).map_or(0, |_| cores()),
            self.options.proxy_cpu,
            self.options.load_cpu,
            self.options.rounds(),
            self.options.seconds(),
        )
    }

    /// Starts a backend that answers a workload, on a port of its own.
    pub(crate) fn backend(&self, workload: &Workload) -> anyhow::Result<Backend> {
        Backend::start(self, workload, machine::free_port()?)
    }
}

/// Of the machine, not of this process, which keeps to one.
fn cores() -> usize {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("processor")).count()
}

pub(crate) struct Backend {
    process: Process,
    pub(crate) port: u16,
}

impl Backend {
    fn start(stand: &Stand, workload: &Workload, port: u16) -> anyhow::Result<Self> {
        let (_, rows) = payload::request(workload.request_bytes, workload.columns)?;
        let this = std::env::current_exe()?.display().to_string();
        let numbers = [port.to_string(), workload.response_bytes.to_string(), rows.to_string()];
        let [port_text, bytes, rows] = &numbers;
        let mut command = vec![this.as_str(), "--backend", port_text];
        command.extend(["--response-bytes", bytes, "--response-rows", rows]);
        if workload.protocol() == Protocol::H2c {
            command.extend(["--protocol", "h2c"]);
        }
        let output = stand.directory().join("backend.log");
        let mut process = Process::start(&command, stand.options.load_cpu, &output)?;
        process
            .wait_until(READY_LIMIT, |said| said.contains(backend::READY))
            .context("the backend")?;
        Ok(Self { process, port })
    }

    /// Ends it as a crash would, waits, and starts it again on the same port.
    pub(crate) fn restart(
        self,
        stand: &Stand,
        workload: &Workload,
        absence: Duration,
    ) -> anyhow::Result<Self> {
        let port = self.port;
        drop(self.process);
        std::thread::sleep(absence);
        Self::start(stand, workload, port)
    }
}

/// On Ctrl-C and SIGTERM ends all children and leaves nothing behind.
fn end_on_signals(directory: PathBuf) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            // Without a handler, the signal ends the bench, and the kernel its children.
            let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
            let Ok(mut interrupt) = signal(SignalKind::interrupt()) else { return };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            end_all();
            // What is being written right now may stay.
            let _ = std::fs::remove_dir_all(&directory);
            std::process::exit(130)
        });
    })?;
    Ok(())
}
