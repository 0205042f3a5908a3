//! What it costs to save a watch of 1,000 features and three lengths of windows: the time for which
//! analysis waits, and memory.
//!
//! `cargo bench --bench state`. All features are continuous and have values that come again and again,
//! 5,000 rows a window, and all that is kept of closed windows is there. The figures of memory are
//! printed first, of a process of its own, which no building of a baseline has swollen.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;
use taffrail::capture::Totals;
use taffrail::decode::{Column, Decoded, Rows};
use taffrail::drift::{
    Baseline, BaselineBuilder, BaselineSettings, Monitor, Reference, Settings, Tumbling,
};
use taffrail::labels::{self, Joiner};
use taffrail::pipeline::{Taken, Watch};
use taffrail::sketch::Role;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FEATURES: usize = 1000;
/// Of a window, and of one call.
const ROWS: usize = 5000;
const BATCH: usize = 100;
const MINUTES: i64 = 64;
/// As many verdicts as a limit of memory leaves at least: those that are kept are no part of this.
const VERDICTS: usize = 4000;

/// Half of the values are some of 400, the other half are their own.
fn rows(random: &mut fastrand::Rng) -> Rows {
    let mut columns = Rows::new();
    for feature in 0..FEATURES {
        let mut column = Column::new(format!("feature_{feature}"));
        for _ in 0..BATCH {
            let value =
                if random.bool() { random.u32(0..400).into() } else { random.f64() * 400.0 };
            column.push_number(value + 0.25);
        }
        columns.push(column);
    }
    columns
}

fn baseline(random: &mut fastrand::Rng) -> Arc<Baseline> {
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    (0..4 * ROWS / BATCH).for_each(|_| builder.observe(Role::Input, &rows(random)));
    Arc::new(builder.finish().expect("rows with features"))
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + 60 * minute).expect("a time of this century")
}

fn filled(baseline: Arc<Baseline>, random: &mut fastrand::Rng) -> Watch {
    let lengths = [1, 4, 16].map(|minutes| Duration::from_secs(60 * minutes));
    let windows = ["1m", "4m", "16m"].map(Arc::from).to_vec();
    let settings = Settings { windows, ..Settings::default() };
    let monitor = Monitor::new(settings, Reference::Baseline(baseline));
    let joiner = Joiner::new(labels::Settings::default());
    let tumbling = Tumbling::new(&lengths, at(0));
    let mut watch = Watch::new("m".into(), "1".into(), monitor, tumbling, joiner, VERDICTS);
    for minute in 0..MINUTES + 10 {
        for _ in 0..ROWS / BATCH {
            let decoded = Decoded { inputs: rows(random), ..Decoded::default() };
            watch.observe("an id", &decoded, at(minute));
        }
        if minute < MINUTES + 9 {
            watch.advance(at(minute + 1), Totals::default());
        }
    }
    watch
}

fn kib_of(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let digits = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    digits.unwrap_or_default()
}

fn tell(what: &str, before: u64) -> u64 {
    let now = kib_of("VmRSS");
    println!(
        "{what}: {now} KiB resident, {:.1} more a feature",
        (now.saturating_sub(before)) as f64 / FEATURES as f64
    );
    now
}

fn take(watch: &Watch) -> Taken {
    watch.take(at(MINUTES + 10), Totals::default(), None).expect("there was none before")
}

/// The file of a baseline, of which a process says what a watch takes.
const OF: &str = "TAFFRAIL_BENCH_BASELINE";

fn tell_memory(file: &OsStr) {
    let empty = tell("nothing", 0);
    let json = std::fs::read(file).expect("it was just written");
    let baseline = Arc::new(Baseline::from_json(&json).expect("it was just made"));
    drop(json);
    let known = tell("with a baseline", empty);
    let watch = filled(baseline, &mut fastrand::Rng::with_seed(2));
    let full = tell("with windows", known);
    let saved = take(&watch).packed();
    let closed = saved.closed.as_ref().expect("it is the first");
    let text = closed.encoded();
    tell("with all of it as bytes", full);
    println!("{} bytes are open, {} closed", saved.open.len(), text.len());
    println!("{} KiB resident at the most", kib_of("VmHWM"));
}

fn saving(criterion: &mut Criterion) {
    if let Some(file) = std::env::var_os(OF) {
        return tell_memory(&file);
    }
    let mut random = fastrand::Rng::with_seed(1);
    let baseline = baseline(&mut random);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), baseline.to_json()).expect("room for a baseline");
    let this = std::env::current_exe().expect("the path of this program");
    let told = std::process::Command::new(this).arg("--bench").env(OF, file.path()).status();
    assert!(told.is_ok_and(|status| status.success()));
    let watch = filled(baseline, &mut random);
    let mut group = criterion.benchmark_group("saving");
    group.sample_size(20);
    group.bench_function("analysis waits", |bencher| {
        bencher.iter_batched(|| (), |()| take(&watch), BatchSize::PerIteration);
    });
    group.bench_function("its thread packs", |bencher| {
        bencher.iter_batched(|| take(&watch), Taken::packed, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, saving);
criterion_main!(benches);
