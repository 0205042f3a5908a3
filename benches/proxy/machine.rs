//! What the machine gives: programs, ports, descriptors, cores.

use anyhow::{Context, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Beside the directory that cargo gives a bench to write in.
pub(crate) fn peers_directory() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    scratch.parent().unwrap_or(scratch).join("peers")
}

pub(crate) fn install() -> anyhow::Result<()> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/proxy/install");
    let status = Command::new(script).arg(peers_directory()).status().context(script)?;
    ensure!(status.success(), "{script} failed with {status}");
    Ok(())
}

/// Looks where a shell would, and where administrators' programs are.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|dir| dir.join(program)).find(|at| at.is_file())
}

pub(crate) fn find_or_say(program: &str, package: &str) -> anyhow::Result<PathBuf> {
    find(program).with_context(|| {
        format!("{program} is missing: install the package {package}, or give --install")
    })
}

/// A port that nobody has now.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Raises the limit of open descriptors as far as allowed, for children too; says what it is.
pub(crate) fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    limit.unwrap_or(u64::MAX)
}

/// Keeps this process, and the children that do not choose for themselves, to one core.
pub(crate) fn pin(cpu: usize, proxy_cpu: usize) -> anyhow::Result<()> {
    if cpu == proxy_cpu {
        bail!("--proxy-cpu and --load-cpu are the same core: what is measured would share it");
    }
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(cpu);
    rustix::thread::sched_setaffinity(None, &cores)
        .with_context(|| format!("cannot run on core {cpu} (--load-cpu)"))
}

/// The first line that a program says about itself.
pub(crate) fn version(program: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else { return String::new() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// The processor's name for itself, if it says one.
pub(crate) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map_or("unknown processor", |(_, n)| n);
    name.trim().to_owned()
}
