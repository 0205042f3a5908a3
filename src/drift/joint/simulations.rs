//! The rates that are promised, on streams made here: false alarms where nothing changes, what is found
//! where only what goes together does, and what is not where features change one by one.

use super::*;
use crate::decode::{Cell, Column, Rows};
use crate::drift::{
    Baseline, BaselineBuilder, BaselineSettings, Monitor, Reference, Settings, Verdict,
    WindowReport, WindowSpan,
};
use crate::sketch::Role;
use fastrand::Rng;

const NUMBERS: usize = 10;

#[derive(Clone, Copy)]
struct Law {
    /// Correlation of the numbers 0 and 1, and of 2 and 3.
    pair: f64,
    /// Of all others with what they share.
    shared: f64,
    /// Number 4 is about the square of number 5, or of something like it.
    bent: bool,
    /// The level goes with number 6.
    levelled: bool,
    shift: f64,
    scale: f64,
    nulls: f64,
}

const USUAL: Law =
    Law { pair: 0.6, shared: 0.5, bent: true, levelled: true, shift: 0.0, scale: 1.0, nulls: 0.0 };

fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// Numbers that are normal, heavy-tailed, whole; one that another bends; a level and a flag.
fn row(random: &mut Rng, law: Law) -> ([f64; NUMBERS], &'static str, bool) {
    let mut x: [f64; NUMBERS] = std::array::from_fn(|_| normal(random));
    let other = (1.0 - law.pair * law.pair).sqrt();
    x[1] = law.pair * x[0] + other * x[1];
    x[3] = law.pair * x[2] + other * x[3];
    let shared = normal(random);
    let own = (1.0 - law.shared * law.shared).sqrt();
    x[5..].iter_mut().for_each(|x| *x = law.shared * shared + own * *x);
    let bends = if law.bent { x[5] } else { normal(random) };
    x[4] = bends * bends + 0.3 * x[4];
    let about = if law.levelled { x[6] } else { normal(random) };
    let level = if about < -0.5 {
        "low"
    } else if about < 0.8 {
        "middle"
    } else {
        "high"
    };
    let flag = x[7] + normal(random) > 1.2;
    for x in &mut x {
        *x = *x * law.scale + law.shift;
    }
    x[2] = x[2].exp();
    x[8] = (2.0 * x[8]).round();
    (x, level, flag)
}

fn rows(random: &mut Rng, law: Law, count: usize) -> Rows {
    let mut columns: Vec<Column> = (0..NUMBERS).map(|n| Column::new(format!("x{n}"))).collect();
    let (mut levels, mut flags) = (Column::new("level"), Column::new("flag"));
    for _ in 0..count {
        let (x, level, flag) = row(random, law);
        for (column, x) in columns.iter_mut().zip(x) {
            let cell = if random.f64() < law.nulls { Cell::Null } else { Cell::Number(x) };
            column.push(cell);
        }
        levels.push(Cell::Text(level));
        flags.push(Cell::Bool(flag));
    }
    let mut rows = Rows::new();
    for column in columns.into_iter().chain([levels, flags]) {
        rows.push(column);
    }
    rows
}

struct Stream {
    random: Rng,
    monitor: Monitor,
}

impl Stream {
    fn new(seed: u64, law: Law, baseline_rows: usize) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut builder = BaselineBuilder::new(BaselineSettings::default());
        builder.observe(Role::Input, &rows(&mut random, law, baseline_rows));
        let baseline: Arc<Baseline> = Arc::new(builder.finish().unwrap());
        let monitor = Monitor::new(Settings::default(), Reference::Baseline(baseline));
        Self { random, monitor }
    }

    fn window(&mut self, law: Law, count: usize) -> WindowReport {
        self.monitor.observe(&rows(&mut self.random, law, count), &Rows::new());
        let span = WindowSpan { level: 0, start: None, end: None, coverage: 1.0 };
        self.monitor.close(span).unwrap()
    }
}

/// Windows of so many that are significant, and that are detected, on ten baselines.
fn told(law: Law, baseline_rows: usize, window_rows: usize, windows: u64) -> (usize, usize) {
    let (mut significant, mut detected) = (0, 0);
    for seed in 0..10 {
        let mut stream = Stream::new(seed, USUAL, baseline_rows);
        for _ in 0..windows / 10 {
            // None where by chance rows seem to go together, of which there are too few then.
            let joint = stream.window(law, window_rows).joint;
            significant += usize::from(joint.as_ref().is_some_and(|joint| joint.significant));
            detected += usize::from(joint.is_some_and(|joint| joint.detected));
        }
    }
    (significant, detected)
}

#[test]
fn quiet_windows_are_significant_in_one_percent_at_most() {
    for (baseline_rows, window_rows, windows) in [(1000, 200, 400), (5000, 1000, 200)] {
        let (significant, _) = told(USUAL, baseline_rows, window_rows, windows);
        println!("{baseline_rows} {window_rows}: {significant} of {windows}");
        assert!(significant as u64 * 100 <= windows, "{significant} of {windows}");
    }
}

#[test]
fn a_correlation_that_is_lost_is_found_with_its_pair_where_no_feature_shows_it() {
    let mut detected = 0;
    for seed in 0..20 {
        let mut stream = Stream::new(seed, USUAL, 5000);
        let report = stream.window(Law { pair: 0.0, ..USUAL }, 1000);
        assert!(report.features.iter().all(|feature| !feature.detected), "seed {seed}");
        let joint = report.joint.unwrap();
        detected += usize::from(joint.detected && report.verdict == Verdict::Drifting);
        let pair = &joint.pairs[0];
        assert!(matches!((&*pair.first, &*pair.second), ("x0", "x1") | ("x2", "x3")), "{pair:?}");
        assert!((pair.before - 0.6).abs() < 0.06 && pair.after.abs() < 0.12, "{pair:?}");
    }
    assert_eq!(detected, 20);
}

#[test]
fn small_changes_of_many_pairs_are_found_by_what_is_left_of_the_variance() {
    let (_, detected) = told(Law { shared: 0.25, ..USUAL }, 5000, 1000, 20);
    assert!(detected >= 19, "{detected}");
}

#[test]
fn a_level_that_goes_with_a_number_no_more_is_found() {
    let (_, detected) = told(Law { levelled: false, ..USUAL }, 5000, 1000, 20);
    assert_eq!(detected, 20);
}

#[test]
fn features_that_change_one_by_one_are_none_of_this_test() {
    let mut called = Vec::new();
    for law in [
        Law { shift: 0.5, ..USUAL },
        Law { shift: -1.0, ..USUAL },
        Law { scale: 1.5, ..USUAL },
        Law { nulls: 0.2, ..USUAL },
    ] {
        // Number 4 is bent about another middle then: that is another dependence.
        let law = Law { bent: false, ..law };
        let mut detected = 0;
        for seed in 0..10 {
            let mut stream = Stream::new(seed, Law { bent: false, ..USUAL }, 5000);
            let report = stream.window(law, 1000);
            assert_eq!(report.verdict, Verdict::Drifting);
            detected += usize::from(report.joint.unwrap().detected);
        }
        called.push(detected);
    }
    assert!(called.iter().all(|detected| *detected <= 1), "{called:?}");
}

#[test]
fn it_must_be_found_in_as_many_windows_as_persistence_asks_wherever_those_are_kept() {
    let count = |n| std::num::NonZeroUsize::new(n).unwrap();
    let persistence = crate::drift::Persistence::new(count(2), count(3)).unwrap();
    let settings = Settings { persistence, ..Settings::default() };
    let mut stream = Stream::new(6, USUAL, 5000);
    stream.monitor.retune(settings.clone());
    let lost = Law { pair: 0.0, ..USUAL };
    let told = |stream: &mut Stream, law: Law, count: usize| {
        let report = stream.window(law, count);
        let joint = report.joint.map(|joint| (joint.significant, joint.detected));
        (joint, report.verdict)
    };
    assert_eq!(told(&mut stream, lost, 1000), (Some((true, false)), Verdict::Stable));
    // A window too small to be judged is none of the three, and a restart forgets nothing.
    assert_eq!(told(&mut stream, lost, 60).0, None);
    let bytes = stream.monitor.take(crate::sketch::Packer::default()).packed();
    let reference = Reference::Baseline(Arc::clone(stream.monitor.baseline().unwrap()));
    let mut saved = crate::sketch::Unpacker::new(&bytes);
    stream.monitor =
        Monitor::restored(settings.clone(), reference.clone(), &mut saved, None).unwrap();
    assert_eq!(told(&mut stream, lost, 1000), (Some((true, true)), Verdict::Drifting));
    // Nor does what is filled beside, as by `taffrail drift`, or with other features.
    let mut next = Monitor::new(settings.clone(), reference);
    next.follow(&mut stream.monitor);
    stream.monitor = next;
    assert_eq!(told(&mut stream, USUAL, 1000), (Some((false, true)), Verdict::Drifting));
    let filter = crate::drift::FeatureFilter::new(["*"], ["x9"]);
    stream.monitor.retune(Settings { filter, ..settings });
    assert_eq!(told(&mut stream, lost, 1000), (Some((true, true)), Verdict::Drifting));
}

#[test]
fn windows_of_several_lengths_hold_what_the_finest_closed() {
    let mut stream = Stream::new(3, USUAL, 5000);
    let lost = Law { pair: 0.0, ..USUAL };
    (0..5).for_each(|_| drop(stream.window(lost, 60)));
    let span = WindowSpan { level: 1, start: None, end: None, coverage: 1.0 };
    let hour = stream.monitor.close(span).unwrap();
    assert_eq!(hour.rows, 300);
    assert!(hour.joint.unwrap().detected);
    let few = stream.window(lost, 60);
    assert!(few.joint.is_none());
}

#[test]
fn a_file_keeps_how_features_go_together_and_one_without_reads_on() {
    let stream = Stream::new(4, USUAL, 1000);
    let baseline = stream.monitor.baseline().unwrap();
    let json = baseline.to_json();
    let read = Baseline::from_json(json.as_bytes()).unwrap();
    assert_eq!(&read, &**baseline);
    let joint = read.joint().unwrap();
    // Two of the three levels, and one of the flag's two.
    assert_eq!(joint.coordinates.len(), NUMBERS + 3);
    for (field, damaged) in [
        ("joint.spreads", json.replacen("\"spreads\": [", "\"spreads\": [\n      1.0,", 1)),
        (
            "joint.correlations",
            json.replacen("\"correlations\": [", "\"correlations\": [\n      7.0,", 1),
        ),
        ("joint.features", json.replacen("\"level\": \"middle\"", "\"level\": \"none\"", 1)),
    ] {
        assert_ne!(damaged, json);
        // A level's own count is named alike, before the section: the hash is looked at last.
        let error = Baseline::from_json(damaged.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
    assert!(Baseline::merge(vec![read.clone()]).unwrap().joint().is_some());
    assert!(Baseline::merge(vec![read.clone(), read]).unwrap().joint().is_none());
}

#[test]
fn many_rows_are_sampled_and_give_the_same_baseline_again() {
    let hash = || {
        let stream = Stream::new(5, USUAL, 9000);
        let baseline = stream.monitor.baseline().unwrap();
        assert_eq!(baseline.joint().unwrap().rows, 8192);
        baseline.hash().to_owned()
    };
    assert_eq!(hash(), hash());
}
