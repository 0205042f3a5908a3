//! Each check finds its fault and names no other, and keeps quiet where nothing is wrong.

use super::*;
use crate::decode::{Cell, Column, Rows};
use crate::drift::{
    Baseline, BaselineBuilder, BaselineSettings, FeatureReport, Monitor, Reference, Settings,
    WindowSpan,
};
use fastrand::Rng;
use std::f64::consts::TAU;

mod units;

/// What a check of a feature found: window, baseline, detected.
type Found = (Check, f32, f32, bool);

fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (TAU * random.f64()).cos()
}

/// Rows of one feature, `x`.
fn rows<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Rows {
    named("x", cells)
}

fn named<'a>(name: &str, cells: impl IntoIterator<Item = Cell<'a>>) -> Rows {
    let mut column = Column::new(name);
    cells.into_iter().for_each(|cell| column.push(cell));
    let mut rows = Rows::new();
    rows.push(column);
    rows
}

fn baseline(rows: &Rows) -> Arc<Baseline> {
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Input, rows);
    Arc::new(builder.finish().unwrap())
}

fn monitor(baseline: &Arc<Baseline>) -> Monitor {
    Monitor::new(Settings::default(), Reference::Baseline(Arc::clone(baseline)))
}

fn close(monitor: &mut Monitor, level: usize) -> WindowReport {
    monitor.close(WindowSpan { level, start: None, end: None, coverage: 1.0 }).unwrap()
}

/// Of a window with one feature, each row a request of its own.
fn judged(reference: &Rows, window: &Rows) -> FeatureReport {
    let mut monitor = monitor(&baseline(reference)).of_table();
    monitor.observe(window, &Rows::new());
    close(&mut monitor, 0).features.remove(0)
}

fn found(report: &FeatureReport) -> Vec<Found> {
    let checks = report.checks.iter().flat_map(|checks| checks.iter());
    checks.map(|it| (it.check, it.ratio, it.baseline_ratio, it.detected)).collect()
}

/// 0, 1, … 99 in another order, again and again.
fn even(count: u32) -> impl ExactSizeIterator<Item = Cell<'static>> {
    (0..count as usize).map(|n| Cell::Number((n * 37 % 100) as f64))
}

/// So many rows, of which the first and every nth after it are `other`.
fn every<'a>(
    nth: usize,
    other: Cell<'a>,
    mut cells: impl ExactSizeIterator<Item = Cell<'a>>,
) -> impl Iterator<Item = Cell<'a>> {
    (0..cells.len()).filter_map(move |row| if row % nth == 0 { Some(other) } else { cells.next() })
}

fn levels(count: usize) -> impl ExactSizeIterator<Item = Cell<'static>> {
    (0..count).map(|n| Cell::Text(["a", "b", "c"][n % 3]))
}

#[test]
fn what_the_baseline_has_too_is_told_and_not_detected() {
    let report =
        judged(&rows(every(20, Cell::Null, even(2000))), &rows(every(20, Cell::Null, even(500))));
    assert_eq!(found(&report), [(Check::Null, 0.05, 0.05, false)]);
    let clean = judged(&rows(even(2000)), &rows(even(500)));
    assert!(clean.checks.is_none(), "{:?}", clean.checks);
}

#[test]
fn nulls_are_found_against_those_of_the_baseline() {
    let report =
        judged(&rows(every(100, Cell::Null, even(2000))), &rows(every(10, Cell::Null, even(500))));
    assert_eq!(found(&report), [(Check::Null, 0.1, 0.01, true)]);
    let p_value = report.checks.unwrap().get(Check::Null).unwrap().p_value.unwrap();
    // scipy.stats.hypergeom(2500, 70, 500).sf(49)
    assert!((f64::from(p_value) / 4.403_851_577_045_292e-21 - 1.0).abs() < 1e-5, "{p_value:e}");
}

#[test]
fn fewer_nulls_than_before_are_no_fault() {
    let report = judged(&rows(every(5, Cell::Null, even(2000))), &rows(even(500)));
    assert_eq!(found(&report), [(Check::Null, 0.0, 0.2, false)]);
}

#[test]
fn texts_among_numbers_and_numbers_among_levels_are_type_errors() {
    let report = judged(&rows(even(2000)), &rows(every(25, Cell::Text("n/a"), even(500))));
    assert_eq!(found(&report), [(Check::TypeError, 0.04, 0.0, true)]);
    let report = judged(&rows(levels(2000)), &rows(every(25, Cell::Number(1.0), levels(500))));
    assert_eq!(found(&report), [(Check::TypeError, 0.04, 0.0, true)]);
}

#[test]
fn values_beyond_all_of_the_baseline_are_out_of_bounds() {
    let report = judged(&rows(even(2000)), &rows(every(50, Cell::Number(-7.0), even(500))));
    assert_eq!(found(&report), [(Check::OutOfBounds, 0.02, 0.0, true)]);
    let infinite = Cell::Number(f64::INFINITY);
    let report = judged(&rows(even(2000)), &rows(every(50, infinite, even(500))));
    assert_eq!(found(&report), [(Check::OutOfBounds, 0.02, 0.0, true)]);
}

#[test]
fn a_few_new_extremes_are_what_chance_brings() {
    // The largest of 600 is one of 100 that came later as often as not: here two of 100 are.
    let report = judged(
        &rows((0..500).map(|n| Cell::Number(f64::from(n)))),
        &rows((0..100).map(|n| Cell::Number(f64::from(n) * 5.08))),
    );
    assert_eq!(found(&report), [(Check::OutOfBounds, 0.01, 0.0, false)]);
}

#[test]
fn a_new_level_counts_against_how_often_one_is_new_anyway() {
    let report = judged(&rows(levels(2000)), &rows(every(25, Cell::Text("d"), levels(500))));
    assert_eq!(found(&report), [(Check::NewCategory, 0.04, 0.0, true)]);
    // Where every tenth row of the baseline was alone in its level, so it is in the window.
    let names: Vec<String> = (0..300).map(|n| format!("rare {n}")).collect();
    let rare = |from: usize, count: usize| {
        let names = &names;
        levels(count).enumerate().map(move |(row, cell)| match row % 10 {
            0 => Cell::Text(&names[from + row / 10]),
            _ => cell,
        })
    };
    let report = judged(&rows(rare(0, 2000)), &rows(rare(200, 500)));
    assert_eq!(found(&report), [(Check::NewCategory, 0.1, 0.1, false)]);
}

/// One row a request; `None` is a request without the feature.
fn requests(monitor: &mut Monitor, cells: impl Iterator<Item = Option<Cell<'static>>>) {
    for (n, cell) in cells.enumerate() {
        let mut request = named("other", [Cell::Number((n * 37 % 100) as f64)]);
        if let Some(cell) = cell {
            let mut column = Column::new("x");
            column.push(cell);
            request.push(column);
        }
        monitor.observe(&request, &Rows::new());
    }
}

fn with_another(mut rows: Rows) -> Rows {
    let mut column = Column::new("other");
    (0..rows.len()).for_each(|n| column.push_number((n * 37 % 100) as f64));
    rows.push(column);
    rows
}

#[test]
fn a_feature_that_requests_leave_out_is_missing_and_not_null() {
    let reference = baseline(&with_another(rows(every(20, Cell::Null, even(2000)))));
    let mut monitor = monitor(&reference);
    requests(
        &mut monitor,
        (0..500).map(|n| (n % 4 > 0).then_some(Cell::Number(f64::from(n * 37 % 100)))),
    );
    let report = close(&mut monitor, 0);
    assert_eq!(
        found(&report.features[0]),
        [(Check::Null, 0.0, 0.05, false), (Check::MissingFeature, 0.25, 0.0, true)]
    );
    let all_gone = (0..500).map(|_| None);
    requests(&mut monitor, all_gone);
    let report = close(&mut monitor, 0);
    assert_eq!(report.features[0].rows, 0);
    assert_eq!(
        found(&report.features[0]),
        [(Check::Null, 0.0, 0.05, false), (Check::MissingFeature, 1.0, 0.0, true)]
    );
    let failed = report.failures();
    let failed: Vec<_> = failed.iter().map(|it| (it.feature.as_deref(), it.check)).collect();
    assert_eq!(failed, [(Some("x"), Check::MissingFeature)]);
}

#[test]
fn where_a_format_leaves_out_what_the_baseline_has_as_null_nothing_is_wrong() {
    let reference = baseline(&with_another(rows(every(10, Cell::Null, even(2000)))));
    let mut monitor = monitor(&reference);
    requests(&mut monitor, even(500).enumerate().map(|(n, cell)| (n % 10 > 0).then_some(cell)));
    let report = close(&mut monitor, 0);
    assert_eq!(
        found(&report.features[0]),
        [(Check::Null, 0.0, 0.1, false), (Check::MissingFeature, 0.1, 0.0, false)]
    );
}

#[test]
fn features_that_the_baseline_lacks_are_named_within_a_bound() {
    let reference = baseline(&rows(even(2000)));
    let mut monitor = monitor(&reference);
    for n in 0..100_u32 {
        let mut request = rows(even(2));
        if n % 2 == 0 {
            let mut column = Column::new("session");
            column.push(Cell::Text("s"));
            request.push(column);
            let mut column = Column::new(format!("made up {n}"));
            column.push(Cell::Null);
            request.push(column);
        }
        monitor.observe(&request, &Rows::new());
    }
    let report = close(&mut monitor, 0);
    let extra = &report.extra_features.as_ref().unwrap()[0];
    assert_eq!((&*extra.features[0].feature, extra.features[0].rows), ("session", 100));
    assert_eq!((extra.features.len(), extra.features_total), (20, 51));
    assert_eq!((extra.checked.ratio, extra.checked.detected), (0.5, true));
    let hour = close(&mut monitor, 1);
    assert_eq!(hour.extra_features.unwrap()[0].features_total, 51, "longer windows hold them too");
    assert!(close(&mut monitor, 0).extra_features.is_none(), "and the next window none");
}

/// As many rows of a feature that is new: in one request, which is one thing that happened, or in many.
#[test]
fn a_request_of_many_rows_is_one_that_has_a_feature_too_many() {
    let reference = baseline(&rows(even(10_000)));
    let extra = |sizes: &[(usize, usize, bool)], grouped: bool| {
        let mut monitor = monitor(&reference);
        if !grouped {
            monitor = monitor.of_table();
        }
        for (requests, size, has_it) in sizes {
            for _ in 0..*requests {
                let mut request = rows(even(u32::try_from(*size).unwrap()));
                if *has_it {
                    let mut column = Column::new("session");
                    (0..*size).for_each(|_| column.push(Cell::Text("s")));
                    request.push(column);
                }
                monitor.observe(&request, &Rows::new());
            }
        }
        let (first, second) = (close(&mut monitor, 0), close(&mut monitor, 1));
        assert_eq!(first.extra_features, second.extra_features, "longer windows say the same");
        let found = first.extra_features.unwrap();
        (found[0].checked.ratio, found[0].checked.detected)
    };
    let (one_large, alike) =
        ([(9900, 1, false), (1, 100, true)], [(99, 100, false), (1, 100, true)]);
    assert_eq!(extra(&one_large, true), (0.01, false));
    assert_eq!(extra(&alike, true), (0.01, false));
    assert_eq!(extra(&[(9900, 1, false), (100, 1, true)], true), (0.01, true));
    // Rows of a table are a request each.
    assert_eq!(extra(&alike, false), (0.01, true));
}

#[test]
fn what_is_excluded_or_may_have_been_over_the_limit_is_not_extra() {
    let reference = baseline(&rows(even(2000)));
    let mut request = rows(even(200));
    request.push(request.columns()[0].clone());
    request.push(named("session", even(200)).columns()[0].clone());
    let excluding = crate::drift::FeatureFilter::new(["*"], ["sess*"]);
    for settings in [
        Settings { filter: excluding, ..Settings::default() },
        Settings { max_features: 1, ..Settings::default() },
    ] {
        let mut monitor = Monitor::new(settings, Reference::Baseline(Arc::clone(&reference)));
        monitor.observe(&request, &Rows::new());
        assert!(close(&mut monitor, 0).extra_features.is_none());
    }
}

#[test]
fn one_value_throughout_is_constant_unless_the_baseline_is_too() {
    let report = judged(&rows(even(2000)), &rows([Cell::Number(42.0); 200]));
    assert_eq!(found(&report), [(Check::Constant, 1.0, 0.02, true)]);
    let report = judged(&rows(levels(2000)), &rows([Cell::Text("b"); 200]));
    assert_eq!(found(&report), [(Check::Constant, 1.0, 0.3335, true)]);
    let constant = judged(
        &rows(std::iter::repeat_n(Cell::Number(1.0), 2000)),
        &rows([Cell::Number(1.0); 200]),
    );
    assert_eq!(found(&constant), []);
}

#[test]
fn a_level_never_seen_throughout_is_constant_as_well_as_new() {
    let report = judged(&rows(levels(2000)), &rows([Cell::Text("z"); 200]));
    let checks: Vec<_> = found(&report).iter().map(|it| (it.0, it.3)).collect();
    assert_eq!(checks, [(Check::NewCategory, true), (Check::Constant, true)]);
}

#[test]
fn one_value_that_is_nearly_all_of_the_baseline_is_no_fault() {
    let mostly = |count: usize| (0..count).map(|n| Cell::Bool(n % 100 == 50));
    let report = judged(&rows(mostly(2000)), &rows([Cell::Bool(false); 50]));
    assert_eq!(found(&report), [(Check::Constant, 1.0, 0.99, false)]);
}

#[test]
fn a_value_that_stands_still_for_a_while_is_frozen() {
    let frozen = even(300).chain([Cell::Number(42.0); 60]).chain(even(300));
    let report = judged(&rows(even(2000)), &rows(frozen));
    let checks: Vec<_> = found(&report).iter().map(|it| (it.0, it.3)).collect();
    assert_eq!(checks, [(Check::Frozen, true)]);
}

#[test]
fn a_value_that_is_frequent_anyway_is_not_frozen() {
    // Dry days come in a row, though each fourth day is wet.
    let days = |dry: usize, wet: usize| {
        (0..dry + wet).map(move |n| if n < dry { 0.0 } else { (n % 97) as f64 + 1.0 })
    };
    let weather = |spells: usize| (0..spells).flat_map(move |_| days(3, 1)).map(Cell::Number);
    let dry_spell = weather(40).chain(days(60, 1).map(Cell::Number)).chain(weather(40));
    let report = judged(&rows(weather(500)), &rows(dry_spell));
    let checks = report.checks.as_ref();
    assert!(checks.is_none_or(|checks| checks.get(Check::Frozen).is_none()), "{checks:?}");
}

#[test]
fn requests_that_come_in_runs_are_not_frozen() {
    let mut random = Rng::with_seed(5);
    let reference = baseline(&rows((0..5000).map(|_| Cell::Number(random.f64()))));
    let mut monitor = monitor(&reference);
    for window in 0..100 {
        // Users of one to fifteen requests, and among them a batch of 400 rows of one shop.
        for _ in 0..100 {
            let value = random.f64();
            for _ in 0..random.u32(1..=15) {
                monitor.observe(&rows([Cell::Number(value)]), &Rows::new());
            }
        }
        monitor.observe(&rows([Cell::Number(0.5); 400]), &Rows::new());
        let report = close(&mut monitor, 0);
        let checks = report.features[0].checks.as_ref();
        let frozen = checks.and_then(|checks| checks.get(Check::Frozen));
        assert!(frozen.is_none_or(|frozen| !frozen.detected), "{window}: {frozen:?}");
    }
}

#[test]
fn few_rows_are_not_judged() {
    let report = judged(&rows(even(2000)), &rows(every(2, Cell::Null, even(40))));
    let null = report.checks.unwrap().get(Check::Null).cloned().unwrap();
    assert_eq!((null.ratio, null.p_value, null.detected), (0.5, None, false));
}

/// Of windows in which nothing is wrong at most the promised share has any failure.
#[test]
fn windows_in_order_fail_no_check_more_often_than_is_promised() {
    let mut random = Rng::with_seed(17);
    let names: Vec<String> = (0..200).map(|level| format!("level {level}")).collect();
    let mut draw = |count: usize| {
        let mut columns: Vec<Column> = (0..12).map(|n| Column::new(format!("x{n}"))).collect();
        for _ in 0..count {
            for (n, column) in columns.iter_mut().enumerate() {
                let uniform = random.f64();
                column.push(match n % 6 {
                    _ if random.f64() < 0.01 * n as f64 => Cell::Null,
                    0 => Cell::Number(normal(&mut random)),
                    1 => Cell::Number((1.5 * normal(&mut random)).exp()),
                    2 => Cell::Number((4.0 * uniform).floor()),
                    3 => Cell::Bool(uniform < 0.02),
                    4 => Cell::Text(&names[random.usize(0..200).min(random.usize(0..200))]),
                    _ if uniform < 0.03 => Cell::Text("n/a"),
                    _ => Cell::Number(normal(&mut random)),
                });
            }
        }
        let mut rows = Rows::new();
        for column in columns {
            rows.push(column);
        }
        rows
    };
    let (mut failed, mut windows) = (0, 0);
    for _ in 0..10 {
        let reference = baseline(&draw(2000));
        let mut monitor = monitor(&reference).of_table();
        for _ in 0..40 {
            monitor.observe(&draw(300), &Rows::new());
            windows += 1;
            failed += usize::from(!close(&mut monitor, 0).failures().is_empty());
        }
    }
    assert!(failed * 100 <= windows, "{failed} of {windows}");
}
