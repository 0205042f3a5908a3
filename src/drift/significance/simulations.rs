//! The rates that are promised, on streams made here: false alarms where nothing drifts, and what is
//! found where something does. Seeds are fixed; a change of a test's statistics shows as a count.

use crate::decode::{Cell, Column, Rows};
use crate::drift::{
    Baseline, BaselineBuilder, BaselineSettings, Monitor, Reference, Settings, Verdict,
    WindowReport, WindowSpan,
};
use crate::sketch::Role;
use fastrand::Rng;
use std::sync::Arc;

const FEATURES: usize = 20;
const LEVELS: usize = 300;

struct Stream {
    random: Rng,
    names: Vec<String>,
    levels: Vec<String>,
    /// Added to every continuous feature, in σ.
    shift: f64,
    /// The share of rows whose level is one never seen.
    new_level: f64,
    /// The share of values that are null, beside those that always are.
    lost: f64,
}

impl Stream {
    fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            names: (0..FEATURES).map(|feature| format!("x{feature}")).collect(),
            levels: (0..LEVELS).map(|level| format!("level {level}")).collect(),
            shift: 0.0,
            new_level: 0.0,
            lost: 0.0,
        }
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.random.f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.random.f64()).cos()
    }

    /// Every kind a table has: normal, heavy-tailed, zero-inflated, integers, with nulls, few levels,
    /// many levels of which most are rare, flags.
    fn cell(&mut self, feature: usize) -> Cell<'_> {
        if self.lost > 0.0 && self.random.f64() < self.lost {
            return Cell::Null;
        }
        let uniform = self.random.f64();
        match feature % 10 {
            0 => Cell::Number(self.normal() + self.shift),
            1 => Cell::Number((1.5 * self.normal() + 1.5 * self.shift).exp()),
            2 if uniform < 0.3 => Cell::Number(0.0),
            2 | 3 => Cell::Number(self.normal() + 3.0 + self.shift),
            4 => Cell::Number((8.0 * uniform * uniform).floor()),
            5 if uniform < 0.02 => Cell::Null,
            5 => Cell::Number((10.0 * (self.normal() + self.shift)).round() / 10.0),
            6 => Cell::Bool(uniform < 0.01),
            _ if uniform < self.new_level => Cell::Text("never seen"),
            7 => Cell::Text(["sun", "rain", "fog"][self.random.usize(0..3)]),
            8 => Cell::Text(&self.levels[Self::rank(self.random.f64(), LEVELS)]),
            _ => Cell::Text(&self.levels[Self::rank(self.random.f64().sqrt(), LEVELS)]),
        }
    }

    /// Most often low: half of the draws are under the square root of `ranks`.
    fn rank(uniform: f64, ranks: usize) -> usize {
        ((ranks as f64).powf(uniform) as usize).min(ranks) - 1
    }

    fn rows(&mut self, count: usize) -> Rows {
        let mut rows = Rows::new();
        for feature in 0..FEATURES {
            let mut column = Column::new(self.names[feature].as_str());
            for _ in 0..count {
                column.push(self.cell(feature));
            }
            rows.push(column);
        }
        rows
    }

    fn baseline(&mut self, rows: usize) -> Arc<Baseline> {
        let mut builder = BaselineBuilder::new(BaselineSettings::default());
        builder.observe(Role::Input, &self.rows(rows));
        Arc::new(builder.finish().unwrap())
    }

    fn windows(&mut self, monitor: &mut Monitor, rows: usize, count: usize) -> Vec<WindowReport> {
        let window = |_| {
            monitor.observe(&self.rows(rows), &Rows::new());
            let span = WindowSpan { level: 0, start: None, end: None, coverage: 1.0 };
            monitor.close(span).unwrap()
        };
        (0..count).map(window).collect()
    }
}

fn monitor(baseline: Arc<Baseline>) -> Monitor {
    Monitor::new(Settings::default(), Reference::Baseline(baseline))
}

/// Windows called drifting, of `count` on each of four baselines where nothing drifts.
fn false_alarms(rows: usize, count: usize, baseline_rows: usize) -> usize {
    let alarms = |seed| {
        let mut stream = Stream::new(seed);
        let mut monitor = monitor(stream.baseline(baseline_rows));
        let windows = stream.windows(&mut monitor, rows, count);
        windows.iter().filter(|window| window.verdict == Verdict::Drifting).count()
    };
    (1..=4).map(alarms).sum()
}

#[test]
fn quiet_small_windows_alarm_in_one_percent_at_most() {
    assert!(false_alarms(100, 75, 2000) <= 3);
}

#[test]
fn quiet_small_windows_on_a_small_baseline_alarm_in_one_percent_at_most() {
    assert!(false_alarms(100, 75, 300) <= 3);
}

#[test]
fn quiet_large_windows_alarm_in_one_percent_at_most() {
    assert!(false_alarms(1000, 25, 3000) <= 1);
}

/// The share of features (of those `concerned`) that are detected, window by window.
fn found(change: impl Fn(&mut Stream), rows: usize, concerned: &[usize]) -> f64 {
    let mut stream = Stream::new(11);
    let mut monitor = monitor(stream.baseline(5000));
    change(&mut stream);
    let windows = stream.windows(&mut monitor, rows, 6);
    let detected = windows
        .iter()
        .flat_map(|window| concerned.iter().map(|feature| &window.features[*feature]))
        .filter(|feature| feature.detected);
    detected.count() as f64 / (windows.len() * concerned.len()) as f64
}

const CONTINUOUS: [usize; 10] = [0, 1, 2, 3, 5, 10, 11, 12, 13, 15];
const LEVELLED: [usize; 6] = [7, 8, 9, 17, 18, 19];

#[test]
fn half_a_sigma_at_a_thousand_rows_is_always_found() {
    assert!(found(|stream| stream.shift = 0.5, 1000, &CONTINUOUS) > 0.999);
}

#[test]
fn a_quarter_sigma_at_five_hundred_rows_is_found_with_the_windows_before() {
    assert!(found(|stream| stream.shift = 0.25, 500, &CONTINUOUS) > 0.9);
}

#[test]
fn a_tenth_of_a_sigma_at_a_thousand_rows_is_found_in_time() {
    assert!(found(|stream| stream.shift = 0.1, 1000, &CONTINUOUS) > 0.4);
}

#[test]
fn a_new_level_in_two_percent_of_rows_is_found() {
    assert!(found(|stream| stream.new_level = 0.02, 1000, &LEVELLED) > 0.9);
}

#[test]
fn five_percent_more_nulls_are_found() {
    let all: Vec<usize> = (0..FEATURES).collect();
    assert!(found(|stream| stream.lost = 0.05, 500, &all) > 0.95);
}
