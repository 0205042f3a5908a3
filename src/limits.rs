//! What the machine lets this process have: processors, memory, open files.
//!
//! In: the control groups that the process is in, version 2 or 1, as the kernel shows them. Out:
//! [`Limits`]. The promise: the tightest limit on the way up counts, and what cannot be read is no
//! limit. Within a container's own namespace its group is the root.

use rustix::process::{Resource, getrlimit};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// `None` is as much as there is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Processor time: 1.5 is one and a half cores.
    pub cpus: Option<f64>,
    pub memory_bytes: Option<u64>,
    pub open_files: Option<u64>,
}

impl Limits {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        let open_files = getrlimit(Resource::Nofile).current;
        Self { open_files, ..Self::under(Path::new("/")) }
    }

    /// What the control groups say, read from `proc` and `sys` under `root`.
    pub fn under(root: &Path) -> Self {
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let mounted = root.join("sys/fs/cgroup");
        let mut limits = Self::default();
        for line in groups.lines() {
            // hierarchy-ID:controllers:path, see cgroups(7).
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
            limits.tighten(controllers, path, &mounted);
        }
        limits
    }

    fn tighten(&mut self, controllers: &str, path: &str, mounted: &Path) {
        if controllers.is_empty() {
            for group in with_ancestors(mounted, path) {
                self.cpus = least(self.cpus, quota_v2(&group));
                for file in ["memory.max", "memory.high"] {
                    self.memory_bytes = least(self.memory_bytes, number(&group.join(file)));
                }
            }
            return;
        }
        for controller in controllers.split(',') {
            // Joined controllers are mounted under all their names, or linked from each.
            let own = [controllers, controller].map(|name| mounted.join(name));
            let Some(hierarchy) = own.into_iter().find(|path| path.is_dir()) else { continue };
            for group in with_ancestors(&hierarchy, path) {
                match controller {
                    "cpu" => self.cpus = least(self.cpus, quota_v1(&group)),
                    "memory" => {
                        let bytes = number(&group.join("memory.limit_in_bytes"));
                        let bytes = bytes.filter(|bytes| *bytes < NO_LIMIT_V1);
                        self.memory_bytes = least(self.memory_bytes, bytes);
                    }
                    _ => {}
                }
            }
        }
    }

    /// As many threads as the processor time is enough for, and as may run at a time.
    pub fn threads(&self) -> NonZeroUsize {
        let runnable = runnable_threads();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let wanted = self.cpus.map(|cpus| cpus.ceil().clamp(1.0, 4096.0) as usize);
        wanted.and_then(NonZeroUsize::new).map_or(runnable, |wanted| wanted.min(runnable))
    }

    /// Cores that can be used, whole or in part.
    pub fn cores(&self) -> f64 {
        let runnable = runnable_threads().get() as f64;
        self.cpus.map_or(runnable, |cpus| cpus.min(runnable))
    }
}

/// Version 1 says "none" by a number near the greatest; no machine has as much.
const NO_LIMIT_V1: u64 = 1 << 60;

/// By affinity alone: `available_parallelism` would round a quota down, and 1.5 cores to one thread.
fn runnable_threads() -> NonZeroUsize {
    let affine = rustix::thread::sched_getaffinity(None).map(|set| set.count() as usize);
    let affine = affine.ok().and_then(NonZeroUsize::new);
    affine.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// The directory of a group and those above it, as far as they can be seen from here: a path from
/// outside of the own namespace leads nowhere, and then the root is the group.
fn with_ancestors(hierarchy: &Path, path: &str) -> Vec<PathBuf> {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..");
    let mut groups = vec![hierarchy.to_owned()];
    for part in parts {
        let next = groups.last().map_or_else(PathBuf::new, |group| group.join(part));
        groups.push(next);
    }
    groups.retain(|group| group.is_dir());
    groups
}

fn quota_v2(group: &Path) -> Option<f64> {
    let text = fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    share(quota.parse().ok()?, period.parse().ok()?)
}

fn quota_v1(group: &Path) -> Option<f64> {
    let quota = fs::read_to_string(group.join("cpu.cfs_quota_us")).ok()?;
    let period = fs::read_to_string(group.join("cpu.cfs_period_us")).ok()?;
    share(quota.trim().parse().ok()?, period.trim().parse().ok()?)
}

fn share(quota: f64, period: f64) -> Option<f64> {
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// `max`, or -1, is no number here, and so no limit.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn least<T: PartialOrd>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other < one { other } else { one }),
        (one, other) => one.or(other),
    }
}
