use super::*;
use crate::decode::{Cell, Column, Rows};
use crate::sketch::{Kind, Role};
use std::num::NonZeroU64;
use std::sync::Arc;

mod retuned;
mod weather;

fn column(name: &str, cells: &[Cell<'_>]) -> Column {
    let mut column = Column::new(name);
    for cell in cells {
        column.push(*cell);
    }
    column
}

fn rows(columns: impl IntoIterator<Item = Column>) -> Rows {
    let mut rows = Rows::new();
    columns.into_iter().for_each(|column| rows.push(column));
    rows
}

fn numbers(name: &str, values: impl IntoIterator<Item = f64>) -> Column {
    let mut column = Column::new(name);
    values.into_iter().for_each(|value| column.push_number(value));
    column
}

fn baseline_of(inputs: &Rows) -> Arc<Baseline> {
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Input, inputs);
    Arc::new(builder.finish().unwrap())
}

fn monitor(baseline: &Arc<Baseline>) -> Monitor {
    Monitor::new(Settings::default(), Reference::Baseline(baseline.clone()))
}

const fn span(level: usize) -> WindowSpan {
    WindowSpan { level, start: None, end: None, coverage: 1.0 }
}

/// 0, 1, … 99 and round again: evenly spread, so that nothing differs but what a test changes.
fn even(from: u32, count: u32) -> Vec<f64> {
    (from..from + count).map(|n| f64::from(n * 37 % 100)).collect()
}

#[test]
fn the_first_rows_become_the_baseline_and_the_next_are_judged() {
    let needed = NonZeroU64::new(200).unwrap();
    let mut monitor = Monitor::new(Settings::default(), Reference::Learn { rows: needed });
    monitor.observe(&rows([numbers("x", even(0, 150))]), &Rows::new());
    assert_eq!(monitor.reference_state(), ReferenceState::Learning { rows: 150, needed: 200 });
    assert!(monitor.close(span(0)).is_none() && monitor.baseline().is_none());
    monitor.observe(&rows([numbers("x", even(150, 50))]), &Rows::new());
    let hash = monitor.baseline().unwrap().hash().to_owned();
    assert_eq!(monitor.reference_state(), ReferenceState::Learned { rows: 200, hash });
    monitor.observe(&rows([numbers("x", even(0, 100))]), &Rows::new());
    let report = monitor.close(span(0)).unwrap();
    assert_eq!((report.rows, report.verdict), (100, Verdict::Stable));
}

#[test]
fn learning_starts_again_where_rows_had_no_feature() {
    let reference = Reference::Learn { rows: NonZeroU64::new(2).unwrap() };
    let filter = FeatureFilter::new(["x"], ["nothing"]);
    let mut monitor = Monitor::new(Settings { filter, ..Settings::default() }, reference);
    monitor.observe(&rows([numbers("y", even(0, 5))]), &Rows::new());
    assert_eq!(monitor.reference_state(), ReferenceState::Learning { rows: 0, needed: 2 });
}

#[test]
fn longer_windows_hold_what_the_finest_closed() {
    let baseline = baseline_of(&rows([numbers("x", even(0, 1000))]));
    let mut monitor = monitor(&baseline);
    for _ in 0..3 {
        monitor.observe(&rows([numbers("x", even(0, 60))]), &Rows::new());
        assert_eq!(monitor.close(span(0)).unwrap().rows, 60);
    }
    let hour = monitor.close(span(1)).unwrap();
    assert_eq!((hour.rows, hour.features[0].rows, &*hour.window), (180, 180, "1h"));
    assert_eq!(monitor.close(span(1)).unwrap().rows, 0);
    assert_eq!(monitor.close(span(2)).unwrap().rows, 180);
    assert!(monitor.close(span(3)).is_none());
}

#[test]
fn few_rows_are_insufficient_however_far_they_are() {
    let baseline = baseline_of(&rows([numbers("x", even(0, 1000))]));
    let mut monitor = monitor(&baseline);
    monitor.observe(&rows([numbers("x", vec![1e6; 20])]), &Rows::new());
    let report = monitor.close(span(0)).unwrap();
    assert_eq!(report.verdict, Verdict::InsufficientData);
    assert_eq!(report.features[0].p_value, None);
    assert!(report.features[0].distances.ks.unwrap() > 0.9);
}

#[test]
fn a_shift_a_new_level_and_lost_values_are_each_detected() {
    let level = |n: u32| Cell::Text(["a", "b", "c"][n as usize % 3]);
    let texts: Vec<Cell<'_>> = (0..2000).map(level).collect();
    let reference = rows([
        numbers("x", even(0, 2000)),
        column("level", &texts),
        numbers("full", even(0, 2000)),
    ]);
    let mut monitor = monitor(&baseline_of(&reference));
    let shifted = even(0, 500).into_iter().map(|x| x + 15.0);
    let with_new: Vec<Cell<'_>> =
        (0..500).map(|n| if n % 20 == 0 { Cell::Text("new") } else { level(n) }).collect();
    let holes: Vec<Cell<'_>> = even(0, 500)
        .into_iter()
        .enumerate()
        .map(|(n, x)| if n % 10 == 0 { Cell::Null } else { Cell::Number(x) })
        .collect();
    let window = rows([numbers("x", shifted), column("level", &with_new), column("full", &holes)]);
    monitor.observe(&window, &Rows::new());
    let report = monitor.close(span(0)).unwrap();
    assert_eq!(report.verdict, Verdict::Drifting);
    assert!(report.features.iter().all(|feature| feature.detected && feature.significant));
    assert!((report.features[0].quality.out_of_bounds_ratio - 0.15).abs() < 1e-12);
    assert!((report.features[1].quality.new_category_ratio - 0.05).abs() < 1e-12);
    assert!((report.features[2].quality.null_ratio - 0.1).abs() < 1e-12);
}

#[test]
fn significance_without_size_is_not_detected() {
    // Neighbours are far apart: values that go up row by row would tell less than independent ones.
    let value = |n: u32| f64::from(n % 1000 * 619 % 1000);
    let reference: Vec<f64> = (0..400_000).map(value).collect();
    let baseline = baseline_of(&rows([numbers("x", reference)]));
    let mut monitor = monitor(&baseline);
    // 0.01 σ, on very many rows.
    let window = (0..400_000).map(|n| value(n) + 3.0);
    monitor.observe(&rows([numbers("x", window)]), &Rows::new());
    let report = monitor.close(span(0)).unwrap();
    assert!(report.features[0].significant && !report.features[0].detected);
    assert_eq!(report.verdict, Verdict::Stable);
}

#[test]
fn a_window_like_the_reference_is_stable_right_after_a_drift() {
    let baseline = baseline_of(&rows([numbers("x", even(0, 2000))]));
    let mut monitor = monitor(&baseline);
    let mut verdict_of = |values: Vec<f64>| {
        monitor.observe(&rows([numbers("x", values)]), &Rows::new());
        monitor.close(span(0)).unwrap().verdict
    };
    let far = || even(0, 300).into_iter().map(|x| x + 50.0).collect();
    assert_eq!(verdict_of(even(0, 300)), Verdict::Stable);
    assert_eq!(verdict_of(far()), Verdict::Drifting);
    assert_eq!(verdict_of(far()), Verdict::Drifting);
    assert_eq!(verdict_of(even(0, 300)), Verdict::Stable);
}

#[test]
fn a_feature_that_stays_away_is_shown_with_no_rows_and_a_new_one_is_counted() {
    let reference = rows([numbers("x", even(0, 500)), numbers("gone", even(0, 500))]);
    let mut monitor = monitor(&baseline_of(&reference));
    let window = rows([numbers("x", even(0, 500)), numbers("extra", even(0, 500))]);
    monitor.observe(&window, &Rows::new());
    monitor.observe(&window, &Rows::new());
    let report = monitor.close(span(0)).unwrap();
    let seen: Vec<_> = report.features.iter().map(|f| (&*f.feature, f.rows)).collect();
    assert_eq!(seen, [("x", 1000), ("gone", 0)]);
    assert_eq!(monitor.extra_features(), 1);
}

#[test]
fn features_over_the_limit_are_counted_and_not_watched() {
    let columns = (0..10).map(|n| numbers(&format!("x{n}"), even(0, 100)));
    let reference = rows(columns);
    let settings = Settings { max_features: 4, ..Settings::default() };
    let given = Monitor::new(settings.clone(), Reference::Baseline(baseline_of(&reference)));
    assert_eq!((given.views().len(), given.features_over_limit()), (4, 6));
    let learn = Reference::Learn { rows: NonZeroU64::MIN };
    let mut learned = Monitor::new(settings, learn);
    learned.observe(&reference, &Rows::new());
    assert_eq!((learned.views().len(), learned.features_over_limit()), (4, 6));
}

#[test]
fn views_count_every_row_once_and_show_every_bin() {
    let cells = [Cell::Bool(true), Cell::Bool(false), Cell::Bool(true), Cell::Null];
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Output, &rows([column("y", &cells)]));
    let baseline = Arc::new(builder.finish().unwrap());
    let mut monitor = monitor(&baseline);
    for _ in 0..3 {
        monitor.observe(&Rows::new(), &rows([column("y", &cells), numbers("z", [1.0])]));
        monitor.close(span(0));
    }
    monitor.observe(&Rows::new(), &rows([column("y", &[Cell::Text("maybe"), Cell::Number(1.0)])]));
    let views = monitor.views();
    let bins: Vec<_> = views[0]
        .bins
        .iter()
        .map(|bin| (&*bin.label, bin.baseline_share, bin.recent_rows, bin.total_rows))
        .collect();
    let expected =
        [("true", 0.5, 2, 6), ("false", 0.25, 1, 3), ("other", 0.0, 1, 1), ("null", 0.25, 1, 3)];
    assert_eq!(bins, expected);
    assert_eq!((views[0].rows_total, views[0].kind), (14, Kind::Categorical));
    assert!((views[0].quality.type_error_ratio - 1.0 / 14.0).abs() < 1e-12);
}
