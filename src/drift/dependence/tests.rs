//! What blocks show, on streams made here: runs of alike rows, days that differ, a daily cycle.

use crate::decode::{Cell, Column, Rows};
use crate::drift::{
    Baseline, BaselineBuilder, BaselineSettings, Monitor, Reference, Settings, VariationBuilder,
    Verdict, WindowReport, WindowSpan,
};
use crate::sketch::Role;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

const FEATURES: usize = 12;

fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// Rows of a table whose every third feature is of levels; `level_of` gives what a row leans by.
fn table(rows: usize, mut value: impl FnMut(usize, usize) -> f64) -> Rows {
    let mut table = Rows::new();
    for feature in 0..FEATURES {
        let mut column = Column::new(format!("x{feature}").as_str());
        for row in 0..rows {
            let value = value(feature, row);
            column.push(match feature % 3 {
                0 => Cell::Text(
                    ["low", "middle", "high"][usize::from(value > -0.5) + usize::from(value > 0.5)],
                ),
                _ => Cell::Number(value),
            });
        }
        table.push(column);
    }
    table
}

/// Each run of `length` rows has a level of its own, which makes up the share `own` of the variance.
fn runs(random: &mut Rng, rows: usize, length: usize, own: f64) -> Rows {
    let mut level = 0.0;
    table(rows, |_, row| {
        if row % length == 0 {
            level = normal(random);
        }
        own.sqrt() * level + (1.0 - own).sqrt() * normal(random)
    })
}

fn baseline(rows: &Rows, times: Option<&[Timestamp]>) -> Arc<Baseline> {
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Input, rows);
    let mut variation = VariationBuilder::new(builder.finish().unwrap());
    variation.observe(Role::Input, rows, times);
    Arc::new(variation.finish())
}

fn shuffled(random: &mut Rng, rows: &Rows) -> Rows {
    let count = rows.len();
    let mut order: Vec<usize> = (0..count).collect();
    random.shuffle(&mut order);
    let mut mixed = Rows::new();
    for column in rows.columns() {
        let cells: Vec<Cell<'_>> = column.cells().collect();
        let mut other = Column::new(column.name().clone());
        for row in &order {
            other.push(cells[*row]);
        }
        mixed.push(other);
    }
    mixed
}

const SPAN: WindowSpan = WindowSpan { level: 0, start: None, end: None, coverage: 1.0 };

fn judged(monitor: &mut Monitor, rows: &Rows, span: WindowSpan) -> WindowReport {
    monitor.observe(rows, &Rows::new());
    monitor.close(span).unwrap()
}

fn drifting(windows: &[WindowReport]) -> usize {
    windows.iter().filter(|window| window.verdict == Verdict::Drifting).count()
}

fn monitor(baseline: Arc<Baseline>) -> Monitor {
    Monitor::new(Settings::default(), Reference::Baseline(baseline))
}

#[test]
fn independent_rows_vary_as_chance_has_it_and_the_file_says_nothing_of_blocks() {
    let mut random = Rng::with_seed(1);
    let text = baseline(&runs(&mut random, 10_000, 1, 0.5), None).to_json();
    assert!(!text.contains("variation"), "{text}");
}

#[test]
fn rows_in_runs_of_ten_are_worth_a_tenth() {
    let mut random = Rng::with_seed(2);
    let baseline = baseline(&runs(&mut random, 10_000, 10, 1.0), None);
    let mut monitor = monitor(Arc::clone(&baseline));
    let report = judged(&mut monitor, &runs(&mut random, 1000, 10, 1.0), SPAN);
    let mut effects: Vec<f64> = report.features.iter().map(|f| f.design_effect).collect();
    effects.sort_by(f64::total_cmp);
    assert!((8.0..13.0).contains(&effects[FEATURES / 2]), "{effects:?}");
    assert!(effects[0] > 6.0 && effects[FEATURES - 1] < 20.0, "{effects:?}");
    let read = Baseline::from_json(baseline.to_json().as_bytes()).unwrap();
    assert_eq!(read, *baseline, "what blocks showed is kept in the file");
}

#[test]
fn runs_raise_no_alarm_whether_the_reference_shows_them_or_only_live_rows_do() {
    for (seed, is_shuffled) in [(3, false), (4, false), (5, true), (6, true)] {
        let mut random = Rng::with_seed(seed);
        let reference = runs(&mut random, 10_000, 10, 0.8);
        let reference = if is_shuffled { shuffled(&mut random, &reference) } else { reference };
        let mut monitor = monitor(baseline(&reference, None));
        let windows: Vec<_> = (0..20)
            .map(|_| judged(&mut monitor, &runs(&mut random, 1000, 10, 0.8), SPAN))
            .collect();
        assert!(drifting(&windows) <= 1, "seed {seed}: {} of 20", drifting(&windows));
    }
}

#[test]
fn a_shift_is_found_among_rows_in_runs() {
    let mut random = Rng::with_seed(7);
    let mut monitor = monitor(baseline(&runs(&mut random, 10_000, 10, 0.8), None));
    for _ in 0..4 {
        judged(&mut monitor, &runs(&mut random, 1000, 10, 0.8), SPAN);
    }
    let mut found = 0;
    for _ in 0..6 {
        let mut level = 0.0;
        let rows = table(1000, |_, row| {
            if row % 10 == 0 {
                level = normal(&mut random);
            }
            0.8_f64.sqrt() * level + 0.2_f64.sqrt() * normal(&mut random) + 1.0
        });
        found += usize::from(judged(&mut monitor, &rows, SPAN).features.iter().all(|f| f.detected));
    }
    assert!(found >= 5, "{found} of 6");
}

/// Rows an hour, and the hours that a span has.
const ROWS: usize = 200;

fn hour(number: i64) -> WindowSpan {
    let start = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(number);
    let end = start + SignedDuration::from_hours(1);
    WindowSpan { start: Some(start), end: Some(end), ..SPAN }
}

/// Numbers that go up and down with the hour of the day, by `swing` σ, and from day to day by `days`.
fn hours(random: &mut Rng, from: i64, count: i64, swing: f64, days: f64) -> (Rows, Vec<Timestamp>) {
    let rows = usize::try_from(count).unwrap() * ROWS;
    let at = |row: usize| from + i64::try_from(row / ROWS).unwrap();
    let times = (0..rows).map(|row| {
        let second = i64::try_from(row % ROWS).unwrap();
        hour(at(row)).start.unwrap() + SignedDuration::from_secs(second)
    });
    let first = from.div_euclid(24);
    let levels: Vec<f64> = (0..=count / 24 + 1).map(|_| days * normal(random)).collect();
    let table = table(rows, |_, row| {
        let turn = (at(row).rem_euclid(24) as f64 / 24.0 * std::f64::consts::TAU).sin();
        let day = usize::try_from(at(row).div_euclid(24) - first).unwrap();
        swing * turn + levels[day] + normal(random)
    });
    (table, times.collect())
}

#[test]
fn a_daily_cycle_is_called_seasonal_and_drift_beside_it_is_found() {
    let mut random = Rng::with_seed(8);
    let (rows, times) = hours(&mut random, 0, 24 * 10, 1.0, 0.0);
    let mut monitor = monitor(baseline(&rows, Some(&times)));
    let mut quiet = Vec::new();
    for number in 240..288 {
        let (rows, _) = hours(&mut random, number, 1, 1.0, 0.0);
        quiet.push(judged(&mut monitor, &rows, hour(number)));
    }
    assert!(drifting(&quiet) <= 1, "{} of 48", drifting(&quiet));
    let seasonal = quiet.iter().flat_map(|w| &w.features).filter(|f| f.seasonal).count();
    assert!(seasonal * 3 > quiet.len() * FEATURES, "{seasonal} of {}", quiet.len() * FEATURES);
    for number in 290..296 {
        // The hour as it should be twelve hours later: as far as the cycle goes, but not now.
        let (rows, _) = hours(&mut random, number + 12, 1, 1.0, 0.0);
        let report = judged(&mut monitor, &rows, hour(number));
        assert_eq!(
            report.verdict,
            Verdict::Drifting,
            "hour {number} {:?}",
            report
                .features
                .iter()
                .map(|f| (f.p_value, f.design_effect, f.distances.ks, f.seasonal))
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn days_that_differ_as_those_of_the_reference_do_are_no_drift() {
    let mut random = Rng::with_seed(9);
    let (rows, times) = hours(&mut random, 0, 24 * 30, 0.0, 0.3);
    let baseline = baseline(&rows, Some(&times));
    let mut monitor = monitor(baseline);
    let mut windows = Vec::new();
    for day in 30..50 {
        let (rows, _) = hours(&mut random, day * 24, 24, 0.0, 0.3);
        let span = WindowSpan { start: hour(day * 24).start, end: hour(day * 24 + 23).end, ..SPAN };
        windows.push(judged(&mut monitor, &rows, span));
    }
    assert!(drifting(&windows) <= 2, "{} of 20", drifting(&windows));
    let (rows, _) = hours(&mut random, 50 * 24, 24, 0.0, 0.0);
    let mut far = Rows::new();
    for column in rows.columns() {
        let mut moved = Column::new(column.name().clone());
        column.cells().for_each(|cell| {
            moved.push(match cell {
                Cell::Number(number) => Cell::Number(number + 2.5),
                cell => cell,
            });
        });
        far.push(moved);
    }
    let span = WindowSpan { start: hour(50 * 24).start, end: hour(50 * 24 + 23).end, ..SPAN };
    assert_eq!(judged(&mut monitor, &far, span).verdict, Verdict::Drifting);
}

#[test]
fn short_windows_merged_are_no_more_than_the_hour_that_they_are_in() {
    let mut random = Rng::with_seed(11);
    let (rows, times) = hours(&mut random, 0, 24 * 40, 0.0, 0.25);
    let mut monitor = monitor(baseline(&rows, Some(&times)));
    let mut windows = Vec::new();
    for day in 40..60 {
        let level = 0.25 * normal(&mut random);
        for part in 0..12 {
            let rows = table(100, |_, _| level + normal(&mut random));
            let start = hour(day * 24).start.unwrap() + SignedDuration::from_mins(5 * part);
            let end = start + SignedDuration::from_mins(5);
            let span = WindowSpan { start: Some(start), end: Some(end), ..SPAN };
            windows.push(judged(&mut monitor, &rows, span));
        }
    }
    assert!(drifting(&windows) <= 5, "{} of 240", drifting(&windows));
}

#[test]
fn of_more_hours_than_are_kept_those_that_are_tell_as_much_as_fewer() {
    let mut random = Rng::with_seed(12);
    let mut found = |hours: i64| {
        let mut levels = Vec::new();
        let rows = usize::try_from(hours).unwrap() * 10;
        let rows = table(rows, |feature, row| {
            if feature == 0 && row % 10 == 0 {
                levels.push(0.5 * normal(&mut random));
            }
            levels[row / 10] + normal(&mut random)
        });
        let times: Vec<Timestamp> = (0_i64..)
            .take(rows.len())
            .map(|row| hour(row / 10).start.unwrap() + SignedDuration::from_secs(row % 10))
            .collect();
        let baseline = baseline(&rows, Some(&times));
        let mut monitor = monitor(baseline);
        let live = table(500, |_, _| normal(&mut random));
        judged(&mut monitor, &live, hour(hours)).features[1].design_effect
    };
    let (few, many) = (found(2000), found(4000));
    assert!(few > 20.0 && (0.7..1.4).contains(&(many / few)), "{few} {many}");
}

#[test]
fn runs_of_live_rows_widen_tests_of_values_though_the_reference_shows_runs_of_nulls_alone() {
    let mut random = Rng::with_seed(13);
    let mut reference = Rows::new();
    for feature in 0..FEATURES {
        let mut column = Column::new(format!("x{feature}").as_str());
        for row in 0..10_000 {
            let is_null = row / 20 % 7 == feature % 7;
            column.push(if is_null { Cell::Null } else { Cell::Number(normal(&mut random)) });
        }
        reference.push(column);
    }
    let baseline = baseline(&reference, None);
    assert!(baseline.to_json().contains("variation"), "runs of nulls are shown");
    let mut monitor = monitor(baseline);
    let mut effect = 0.0;
    for _ in 0..6 {
        let mut level = 0.0;
        let mut live = Rows::new();
        for feature in 0..FEATURES {
            let mut column = Column::new(format!("x{feature}").as_str());
            for row in 0..1000 {
                if row % 10 == 0 {
                    level = normal(&mut random);
                }
                let value = 0.9 * level + 0.44 * normal(&mut random);
                column.push(if row / 20 % 7 == feature % 7 {
                    Cell::Null
                } else {
                    Cell::Number(value)
                });
            }
            live.push(column);
        }
        let mut effects: Vec<f64> =
            judged(&mut monitor, &live, SPAN).features.iter().map(|f| f.design_effect).collect();
        effects.sort_by(f64::total_cmp);
        effect = effects[FEATURES / 2];
    }
    assert!(effect > 4.0, "{effect}");
}

#[test]
fn a_file_with_effects_that_no_rows_have_is_refused() {
    let mut random = Rng::with_seed(14);
    let text = baseline(&runs(&mut random, 5000, 10, 1.0), None).to_json();
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    file["features"][1]["variation"]["rows"][0]["effects"]["location"] = 0.0.into();
    let error = Baseline::from_json(file.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.contains("variation") && error.contains("none below 1"), "{error}");
}

#[test]
fn a_feature_must_be_found_in_as_many_windows_as_persistence_asks() {
    use crate::drift::Persistence;
    let mut random = Rng::with_seed(10);
    let count = |n| std::num::NonZeroUsize::new(n).unwrap();
    let persistence = Persistence::new(count(2), count(3)).unwrap();
    let settings = Settings { persistence, ..Settings::default() };
    let reference = Reference::Baseline(baseline(&runs(&mut random, 5000, 1, 0.5), None));
    let mut monitor = Monitor::new(settings, reference);
    let verdicts: Vec<_> = [0.0, 2.0, 2.0, 0.0, 0.0, 0.0]
        .into_iter()
        .map(|shift| {
            let rows = table(500, |_, _| normal(&mut random) + shift);
            let report = judged(&mut monitor, &rows, SPAN);
            (report.features[1].significant, report.features[1].detected)
        })
        .collect();
    let expected = [
        (false, false),
        (true, false),
        (true, true),
        (false, true),
        (false, false),
        (false, false),
    ];
    assert_eq!(verdicts, expected);
    assert!(Persistence::new(count(3), count(2)).is_none());
}
