//! The run length that is promised, and the delay, on streams made here. Seeds are fixed.
//!
//! Rows come to a monitor as they do live: ten at a time, a thousand a window of 1,000 seconds.

use super::*;
use crate::decode::{Cell, Column, Rows};
use crate::drift::{
    Baseline, BaselineBuilder, BaselineSettings, Monitor, Reference, Settings, WindowSpan,
};
use fastrand::Rng;
use jiff::SignedDuration;

const BATCH: usize = 10;
const WINDOW_ROWS: usize = 1000;

/// Numbers, a few levels, and many levels of which most are rare.
const FEATURES: [&str; 3] = ["x", "level", "rare"];

#[derive(Clone, Copy)]
struct Law {
    shift: f64,
    scale: f64,
    factor: f64,
    nulls: f64,
    new_level: f64,
    /// More of the second level, and less of the first.
    more: f64,
    /// Rows that are alike.
    run: usize,
}

const USUAL: Law =
    Law { shift: 0.0, scale: 1.0, factor: 1.0, nulls: 0.0, new_level: 0.0, more: 0.0, run: 1 };

fn rows(random: &mut Rng, law: Law, count: usize) -> Rows {
    let [mut x, mut level, mut rare] = FEATURES.map(Column::new);
    let mut left = 0;
    let (mut normal, mut which, mut uniform) = (0.0, 0.0, 0.0);
    for _ in 0..count {
        if left == 0 {
            let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
            normal = radius * (std::f64::consts::TAU * random.f64()).cos();
            (which, uniform, left) = (random.f64(), random.f64(), law.run);
        }
        left -= 1;
        if random.f64() < law.nulls {
            x.push(Cell::Null);
        } else {
            x.push(Cell::Number((normal * law.scale + law.shift + 10.0) * law.factor));
        }
        level.push(Cell::Text(if which < 0.6 - law.more {
            "a"
        } else if which < 0.9 {
            "b"
        } else {
            "c"
        }));
        if random.f64() < law.new_level {
            rare.push(Cell::Text("never seen"));
        } else {
            // A tenth has fifty of the levels, the rest the other ten.
            let among = if uniform < 0.1 { 500.0 } else { 10.0 };
            rare.push(Cell::Text(&format!("{:.0}", uniform * among)));
        }
    }
    let mut rows = Rows::new();
    for column in [x, level, rare] {
        rows.push(column);
    }
    rows
}

struct Stream {
    random: Rng,
    monitor: Monitor,
    at: Timestamp,
    batches: usize,
}

impl Stream {
    fn new(seed: u64, baseline_rows: usize, average_run_length: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut builder = BaselineBuilder::new(BaselineSettings::default());
        builder.observe(Role::Input, &rows(&mut random, USUAL, baseline_rows));
        let baseline: Arc<Baseline> = Arc::new(builder.finish().unwrap());
        let early = EarlySettings {
            average_run_length: NonZeroU64::new(average_run_length).unwrap(),
            window: Duration::from_secs(WINDOW_ROWS as u64),
        };
        let settings = Settings { early: Some(early), ..Settings::default() };
        let monitor = Monitor::new(settings, Reference::Baseline(baseline));
        let mut stream = Self { random, monitor, at: Timestamp::UNIX_EPOCH, batches: 0 };
        stream.monitor.warn(stream.at);
        stream
    }

    fn batch(&mut self, law: Law) -> Vec<WarningChange> {
        self.monitor.observe(&rows(&mut self.random, law, BATCH), &Rows::new());
        self.at += SignedDuration::from_secs(i64::try_from(BATCH).unwrap());
        self.batches += 1;
        let changes = self.monitor.warn(self.at);
        if self.batches.is_multiple_of(WINDOW_ROWS / BATCH) {
            let span = WindowSpan { level: 0, start: None, end: None, coverage: 1.0 };
            self.monitor.close(span).unwrap();
        }
        changes
    }

    /// Rows until the first warning, of so many.
    fn until_warned(&mut self, law: Law, most: usize) -> Option<(usize, WarningChange)> {
        (1..=most / BATCH).find_map(|n| Some((n * BATCH, self.batch(law).pop()?)))
    }
}

/// Windows observed, each stream until its first warning, and the warnings.
fn run(streams: u64, baseline_rows: usize, run_length: u64, windows: usize) -> (f64, usize) {
    let (mut observed, mut warnings) = (0.0, 0);
    for seed in 0..streams {
        let mut stream = Stream::new(seed, baseline_rows, run_length);
        let most = windows * WINDOW_ROWS;
        let warned = stream.until_warned(USUAL, most);
        observed += warned.as_ref().map_or(most, |(rows, _)| *rows) as f64 / WINDOW_ROWS as f64;
        warnings += usize::from(warned.is_some());
    }
    (observed, warnings)
}

#[test]
fn false_warnings_are_as_far_apart_as_stated_for_a_baseline_of_a_thousand() {
    let (observed, warnings) = run(30, 1000, 2, 12);
    assert!(observed / (warnings.max(1) as f64) >= 2.0, "{warnings} in {observed} windows");
}

#[test]
fn false_warnings_are_as_far_apart_as_stated_for_a_baseline_of_ten_thousand() {
    let (observed, warnings) = run(30, 10_000, 2, 12);
    assert!(observed / (warnings.max(1) as f64) >= 2.0, "{warnings} in {observed} windows");
    // Seen: a twentieth of what is allowed. Without any the test would show nothing.
    assert!(warnings > 0);
}

/// Median and greatest delay, in rows, over twenty streams that change after two windows.
fn delays(law: Law, baseline_rows: usize, feature: &str) -> (usize, usize) {
    let mut delays: Vec<usize> = (100..120)
        .map(|seed| {
            let mut stream = Stream::new(seed, baseline_rows, 10_000);
            assert!(stream.until_warned(USUAL, 2 * WINDOW_ROWS).is_none());
            let began = stream.at;
            let (rows, change) = stream.until_warned(law, 20_000).unwrap();
            assert_eq!(&*change.warning.feature, feature);
            let off = change.warning.since.unwrap().duration_since(began).as_secs();
            assert!(off.abs() <= 300, "seed {seed}: {off} rows off");
            rows
        })
        .collect();
    delays.sort_unstable();
    (delays[10], delays[19])
}

#[test]
fn a_sigma_is_warned_of_within_eighty_rows_and_half_a_one_within_three_hundred() {
    let by = |shift| Law { shift, ..USUAL };
    let (median, most) = delays(by(1.0), 10_000, "x");
    assert!(median <= 80 && most <= 160, "{median} {most}");
    let (median, most) = delays(by(0.5), 10_000, "x");
    assert!(median <= 300 && most <= 700, "{median} {most}");
    let (median, most) = delays(by(0.5), 1000, "x");
    assert!(median <= 450 && most <= 1500, "{median} {most}");
}

#[test]
fn a_change_of_unit_is_warned_of_within_forty_rows() {
    let (median, most) = delays(Law { factor: 2.54, ..USUAL }, 1000, "x");
    assert!(median <= 30 && most <= 40, "{median} {most}");
}

#[test]
fn a_change_of_spread_of_nulls_and_of_levels_is_warned_of() {
    for (law, baseline_rows, feature, rows) in [
        (Law { scale: 2.0, ..USUAL }, 5000, "x", 200),
        (Law { scale: 0.3, ..USUAL }, 5000, "x", 100),
        (Law { nulls: 0.2, ..USUAL }, 5000, "x", 200),
        (Law { new_level: 0.2, ..USUAL }, 5000, "rare", 200),
        (Law { more: 0.3, ..USUAL }, 5000, "level", 200),
    ] {
        let (median, most) = delays(law, baseline_rows, feature);
        assert!(median <= rows && most <= 3 * rows, "{feature}: {median} {most}");
    }
}

#[test]
fn a_warning_ends_when_rows_are_as_before_and_not_while_the_change_lasts() {
    let mut stream = Stream::new(7, 5000, 10_000);
    let shifted = Law { shift: 1.0, ..USUAL };
    let (_, change) = stream.until_warned(shifted, 1000).unwrap();
    assert_eq!(change.warning.change, Some(Change::Higher));
    assert!((0..200).all(|_| stream.batch(shifted).is_empty()), "it lasts");
    let ended = (1..=50).find_map(|n| Some((n * BATCH, stream.batch(USUAL).pop()?))).unwrap();
    let (rows, change) = ended;
    assert!(rows <= 100, "{rows}");
    assert_eq!(
        (change.warning.state, change.ended.unwrap().0),
        (WarningState::Quiet, Change::Higher)
    );
    assert_eq!(stream.monitor.warnings().unwrap().features[0].state, WarningState::Quiet);
    assert!((0..100).all(|_| stream.batch(USUAL).is_empty()), "it is quiet");
}

/// Ten rows of a user are one: told so, the run length holds; untold, it does not.
#[test]
fn rows_that_go_together_need_their_design_effect() {
    let warned = |design_effect: f64| {
        let mut warnings = 0;
        for seed in 0..20 {
            let mut random = Rng::with_seed(seed);
            let alike = Law { run: 10, ..USUAL };
            let mut builder = BaselineBuilder::new(BaselineSettings::default());
            builder.observe(Role::Input, &rows(&mut random, alike, 5000));
            let baseline = builder.finish().unwrap();
            let feature = &baseline.features()[0];
            let run_length = NonZeroU64::new(50).unwrap();
            let window = Duration::from_secs(WINDOW_ROWS as u64);
            let settings = EarlySettings { average_run_length: run_length, window };
            let mut watch = EarlyWatch::default();
            let mut open = feature.content.window();
            for batch in 0..10 * WINDOW_ROWS / BATCH {
                let rows = rows(&mut random, alike, BATCH);
                open.observe(&rows.columns()[0]);
                let design_effects = (design_effect, design_effect);
                let seen = Seen { place: 0, feature, open: &open, design_effects };
                let now = Timestamp::from_second(i64::try_from(batch * BATCH).unwrap()).unwrap();
                if !watch.look(&settings, [seen].into_iter(), now).is_empty() {
                    warnings += 1;
                    break;
                }
            }
        }
        warnings
    };
    // 200 windows in all at a run length of 50.
    assert!(warned(10.0) <= 4);
    assert_eq!(warned(1.0), 20);
}
