use super::*;
use crate::decode::{Cell, Column, Rows};
use crate::drift::{
    Baseline, BaselineBuilder, BaselineSettings, Monitor, Persistence, Reference, Settings,
    WindowSpan,
};
use crate::sketch::Role;

fn rows<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Rows {
    let mut column = Column::new("x");
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

fn monitor(reference: &Rows) -> Monitor {
    let windows = vec!["5m".into(), "1h".into()];
    let settings = Settings { windows, ..Settings::default() };
    Monitor::new(settings, Reference::Baseline(baseline(reference))).of_table()
}

fn minute(minute: i64) -> Option<Timestamp> {
    Timestamp::from_second(1_767_607_200 + 60 * minute).ok()
}

fn report(monitor: &mut Monitor, level: usize, start: i64) -> FeatureReport {
    let span = WindowSpan { level, start: minute(start), end: minute(start + 5), coverage: 1.0 };
    monitor.close(span).unwrap().features.remove(0)
}

fn sentence(reference: &Rows, window: &Rows) -> String {
    let mut monitor = monitor(reference);
    monitor.observe(window, &Rows::new());
    let span = WindowSpan { level: 0, start: None, end: None, coverage: 1.0 };
    let report = monitor.close(span).unwrap().features.remove(0);
    let explanation = report.explanation.clone();
    let explanation = explanation.unwrap_or_else(|| panic!("{report:#?}"));
    assert!(explanation.findings.len() <= MAX_FINDINGS && explanation.moved.len() <= MAX_MOVED);
    explanation.sentence.into()
}

/// 0 to 99.9 in another order, evenly.
fn even(count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(|n| (n * 377 % 1000) as f64 / 10.0)
}

fn numbers(values: impl Iterator<Item = f64>) -> Rows {
    rows(values.map(Cell::Number))
}

fn levels(of: &'static [&'static str], count: usize) -> Rows {
    rows((0..count).map(|n| Cell::Text(of[n % of.len()])))
}

#[test]
fn a_shift_is_told_by_the_median_and_by_where_both_are_furthest_apart() {
    // So few that the sketch of quantiles, which tosses coins, holds every value.
    let told = sentence(&numbers(even(4000)), &numbers(even(200).map(|x| x * 0.5)));
    let expected = "x fell by 0.86 σ, to a median of 24.9 from 49.9; 98 % of rows are below 49.1, where \
                    the baseline has 49 %.";
    assert_eq!(told, expected);
    let told = sentence(&numbers(even(4000)), &numbers(even(200).map(|x| x + 20.0)));
    let expected = "x rose by 0.69 σ, to a median of 69.9 from 49.9; 63 % of rows are below 83.3, where \
                    the baseline has 83 %; outside the baseline's range in 19 % of rows.";
    assert_eq!(told, expected);
}

#[test]
fn a_spread_is_told_by_the_middle_half() {
    let told = sentence(&numbers(even(4000)), &numbers(even(1000).map(|x| 25.0 + x / 2.0)));
    assert!(told.starts_with("x narrowed, its middle half 0.5"), "{told}");
    assert!(told.contains("times as wide: 3") && told.contains(", before 2"), "{told}");
}

#[test]
fn a_tail_and_a_repeated_value_are_told_by_their_shares() {
    let tailed = even(1000).enumerate().map(|(n, x)| if n % 25 == 0 { 99.95 } else { x });
    let told = sentence(&numbers(even(4000)), &numbers(tailed));
    assert!(told.contains("of rows are at or above 99"), "{told}");
    let zero =
        |every: usize| move |(n, x): (usize, f64)| if n % every == 0 { 0.0 } else { x + 0.05 };
    let reference = numbers(even(4000).enumerate().map(zero(5)));
    let told = sentence(&reference, &numbers(even(1000).enumerate().map(zero(2))));
    assert!(told.contains("50 % of rows are 0 or below, where the baseline has 20 %"), "{told}");
}

#[test]
fn nulls_and_wrong_types_are_told_with_what_the_baseline_has() {
    let holes = |every: usize, cell: Cell<'static>, count: usize| {
        let fill = move |(n, x)| if n % every == 0 { cell } else { Cell::Number(x) };
        rows(even(count).enumerate().map(fill))
    };
    let told = sentence(&holes(1000, Cell::Null, 4000), &holes(11, Cell::Null, 1001));
    assert_eq!(told, "x: null in 9.1 % of rows, where the baseline has 0.1 %.");
    let told = sentence(&numbers(even(4000)), &holes(11, Cell::Text("12,5"), 1001));
    assert_eq!(told, "x: of another type in 9.1 % of rows, where the baseline has 0 %.");
}

#[test]
fn levels_that_come_go_and_move_are_told_by_name() {
    let reference = levels(&["sun", "sun", "rain", "fog"], 4000);
    let told = sentence(&reference, &levels(&["sun", "rain", "rain", "hail"], 1000));
    assert_eq!(
        told,
        "x: new level \"hail\" in 25 % of rows; no row is \"fog\", where the baseline has 25 %; \
         25 % of rows are sun, where the baseline has 50 %; of a level that the baseline never saw \
         in 25 % of rows, where 0 % are usual."
    );
}

#[test]
fn another_unit_is_told_instead_of_a_shift() {
    let told = sentence(&numbers(even(4000)), &numbers(even(1000).map(|x| x * 1000.0)));
    assert!(told.starts_with("x: the baseline's values × 1000, as in km → m"), "{told}");
    assert!(!told.contains("median"), "{told}");
}

#[test]
fn a_feature_that_stays_away_is_told_though_it_has_no_row() {
    let mut reference = numbers(even(4000));
    let mut other = Column::new("y");
    even(4000).for_each(|x| other.push_number(x));
    reference.push(other);
    let mut monitor = monitor(&reference);
    let mut window = Rows::new();
    window.push(reference.columns()[1].clone());
    monitor.observe(&window, &Rows::new());
    let report = report(&mut monitor, 0, 0);
    let explanation = report.explanation.unwrap();
    assert_eq!(
        &*explanation.sentence,
        "x: left out of 100 % of rows, where the baseline lacks it in 0 %; since 2026-01-05 10:00 UTC."
    );
}

#[test]
fn since_is_the_first_of_the_windows_that_drift_one_after_the_other() {
    let mut monitor = monitor(&numbers(even(4000)));
    let mut since = |shift: f64, rows: usize, start: i64| {
        monitor.observe(&numbers(even(rows).map(|x| x + shift)), &Rows::new());
        let report = report(&mut monitor, 0, start);
        report.explanation.and_then(|explanation| explanation.since)
    };
    assert_eq!(since(0.0, 1000, 0), None);
    assert_eq!(since(30.0, 1000, 5), minute(5));
    assert_eq!(since(30.0, 1000, 10), minute(5));
    assert_eq!(since(30.0, 20, 15), None, "too few rows");
    assert_eq!(since(30.0, 1000, 20), minute(5), "which is no sign of an end");
    assert_eq!(since(0.0, 1000, 25), None);
    assert_eq!(since(30.0, 1000, 30), minute(30));
}

#[test]
fn a_window_that_persistence_holds_on_to_is_explained_too() {
    let two_of_three = Persistence::new(2.try_into().unwrap(), 3.try_into().unwrap()).unwrap();
    let settings = Settings { persistence: two_of_three, ..Settings::default() };
    let baseline = Reference::Baseline(baseline(&numbers(even(4000))));
    let mut monitor = Monitor::new(settings, baseline).of_table();
    // The middle alone, which is within bounds.
    let mut report = |margin: f64, start: i64| {
        let middle = even(1000).map(|x| margin + x * (100.0 - 2.0 * margin) / 100.0);
        monitor.observe(&numbers(middle), &Rows::new());
        let report = report(&mut monitor, 0, start);
        let explanation = report.explanation;
        (report.detected, report.significant, explanation.and_then(|it| it.since))
    };
    assert_eq!(report(30.0, 0), (false, true, None), "once may be chance");
    assert_eq!(report(30.0, 5), (true, true, minute(0)), "the first was found already");
    assert_eq!(report(0.0, 10), (true, false, minute(0)));
    assert_eq!(report(30.0, 15), (true, true, minute(0)));
    for start in [20, 25, 30] {
        assert!(!report(0.0, start).0, "{start}");
    }
    assert_eq!(report(30.0, 35), (false, true, None));
    assert_eq!(report(30.0, 40), (true, true, minute(35)), "what ended is not gone on with");
}
