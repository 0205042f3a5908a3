//! CPU time and memory of a process group, from `/proc`: all its processes, all their threads.

use anyhow::Context;
use rustix::process::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Threads of Taffrail that carry traffic, by the start of their name.
const SERVING: &str = "serving-";
/// A group at rest uses less than this between two looks.
const REST: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_millis(100);

/// CPU time used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) all: Duration,
    /// Of the threads that carry traffic; zero for proxies that do not name them.
    pub(crate) serving: Duration,
}

impl Usage {
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            all: self.all.saturating_sub(earlier.all),
            serving: self.serving.saturating_sub(earlier.serving),
        }
    }
}

pub(crate) fn of_group(group: Pid) -> anyhow::Result<Usage> {
    let mut usage = Usage::default();
    for process in members(group)? {
        for task in fs::read_dir(process.join("task"))? {
            let task = task?.path();
            // A thread may have ended since it was listed.
            let Ok(time) = cpu_time(&task) else { continue };
            usage.all += time;
            let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
            if name.starts_with(SERVING) {
                usage.serving += time;
            }
        }
    }
    Ok(usage)
}

/// The scheduler's own count, in nanoseconds: ticks are too coarse for a slice.
fn cpu_time(task: &Path) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(task.join("schedstat"))?;
    let nanos = text.split(' ').next().context("schedstat is empty")?.parse()?;
    Ok(Duration::from_nanos(nanos))
}

/// Resident memory in KiB.
pub(crate) fn resident_kib(group: Pid) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for process in members(group)? {
        let status = fs::read_to_string(process.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line.unwrap_or("0 kB").trim_end_matches("kB").trim().parse()?;
        sum += kib;
    }
    Ok(sum)
}

/// Waits until a group has worked off what it put aside, but no longer than `limit`.
pub(crate) fn settle(group: Pid, limit: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    let mut before = of_group(group)?;
    while Instant::now() < deadline {
        std::thread::sleep(LOOK);
        let now = of_group(group)?;
        if now.since(&before).all < REST {
            break;
        }
        before = now;
    }
    Ok(())
}

fn members(group: Pid) -> anyhow::Result<Vec<PathBuf>> {
    let mut members = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        if group_of(&path) == Some(group.as_raw_nonzero().get()) {
            members.push(path);
        }
    }
    Ok(members)
}

/// The fifth field of `stat`; the second, a name in brackets, may hold anything.
fn group_of(process: &Path) -> Option<i32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(2)?.parse().ok()
}
