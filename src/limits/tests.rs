use super::*;

/// A directory that looks like `/` to who reads control groups.
struct Root(tempfile::TempDir);

impl Root {
    fn new(groups: &str, files: &[(&str, &str)]) -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        root.write("proc/self/cgroup", groups);
        for (path, text) in files {
            root.write(&format!("sys/fs/cgroup/{path}"), text);
        }
        root
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn limits(&self) -> (Option<f64>, Option<u64>) {
        let Limits { cpus, memory_bytes, .. } = Limits::under(self.0.path());
        (cpus, memory_bytes)
    }
}

const MIB: u64 = 1 << 20;

#[test]
fn the_container_is_the_root_of_its_own_namespace() {
    let root = Root::new("0::/", &[("cpu.max", "150000 100000"), ("memory.max", "134217728")]);
    assert_eq!(root.limits(), (Some(1.5), Some(128 * MIB)));
}

#[test]
fn the_tightest_on_the_way_up_counts() {
    let root = Root::new(
        "0::/kubepods/pod7/c1",
        &[
            ("kubepods/cpu.max", "max 100000"),
            ("kubepods/memory.max", "8589934592"),
            ("kubepods/pod7/cpu.max", "50000 100000"),
            ("kubepods/pod7/memory.max", "67108864"),
            ("kubepods/pod7/c1/cpu.max", "200000 100000"),
            ("kubepods/pod7/c1/memory.max", "max"),
        ],
    );
    assert_eq!(root.limits(), (Some(0.5), Some(64 * MIB)));
}

#[test]
fn memory_over_which_the_kernel_slows_down_counts_as_a_limit() {
    let root = Root::new("0::/", &[("memory.max", "134217728"), ("memory.high", "67108864")]);
    assert_eq!(root.limits(), (None, Some(64 * MIB)));
}

#[test]
fn a_path_from_outside_of_the_namespace_leads_to_its_root() {
    for path in ["/docker/4f2a", "/../../system.slice/x"] {
        let root = Root::new(&format!("0::{path}"), &[("memory.max", "67108864")]);
        assert_eq!(root.limits(), (None, Some(64 * MIB)), "{path}");
    }
}

#[test]
fn version_1_is_read_by_controller() {
    let groups = "5:memory:/pod/c\n4:cpu,cpuacct:/pod/c\n3:cpuset:/\n1:name=systemd:/\n0::/";
    let root = Root::new(
        groups,
        &[
            ("memory/memory.limit_in_bytes", "9223372036854771712"),
            ("memory/pod/memory.limit_in_bytes", "268435456"),
            ("memory/pod/c/memory.limit_in_bytes", "9223372036854771712"),
            ("cpu,cpuacct/cpu.cfs_quota_us", "-1"),
            ("cpu,cpuacct/cpu.cfs_period_us", "100000"),
            ("cpu,cpuacct/pod/c/cpu.cfs_quota_us", "25000"),
            ("cpu,cpuacct/pod/c/cpu.cfs_period_us", "100000"),
        ],
    );
    assert_eq!(root.limits(), (Some(0.25), Some(256 * MIB)));
}

#[test]
fn what_cannot_be_read_or_makes_no_sense_is_no_limit() {
    let root = Root::new("0::/", &[("cpu.max", "0 0"), ("memory.max", "much")]);
    assert_eq!(root.limits(), (None, None));
    assert_eq!(Root::new("nonsense", &[]).limits(), (None, None));
    assert_eq!(Limits::under(Path::new("/nowhere/at/all")), Limits::default());
}

#[test]
fn threads_are_processor_time_rounded_up_and_never_more_than_can_run() {
    let threads = |cpus| Limits { cpus, ..Limits::default() }.threads();
    let runnable = runnable_threads();
    assert_eq!(threads(Some(0.05)).get(), 1);
    assert_eq!(threads(Some(1.0)).get(), 1);
    assert_eq!(threads(Some(1.2)), runnable.min(NonZeroUsize::new(2).unwrap()));
    assert_eq!(threads(Some(1e9)), runnable);
    assert_eq!(threads(None), runnable);
}
