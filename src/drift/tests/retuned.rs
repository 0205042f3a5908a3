//! A monitor whose settings or baseline change while its windows are open.

use super::*;

fn observed(monitor: &mut Monitor, columns: impl IntoIterator<Item = Column>) {
    monitor.observe(&rows(columns), &Rows::new());
}

fn both(from: u32, count: u32) -> [Column; 2] {
    [numbers("x", even(from, count)), numbers("y", even(from, count))]
}

fn watched(monitor: &Monitor) -> Vec<(String, u64)> {
    let views = monitor.views();
    views.iter().map(|view| (view.feature.to_string(), view.rows_total)).collect()
}

fn only(features: &[&str]) -> Settings {
    let none: [&str; 0] = [];
    Settings { filter: FeatureFilter::new(features.to_vec(), none), ..Settings::default() }
}

#[test]
fn other_thresholds_judge_the_window_that_is_open() {
    let baseline = baseline_of(&rows(both(0, 1000)));
    let mut monitor = monitor(&baseline);
    observed(&mut monitor, both(0, 60));
    monitor.retune(Settings { min_rows: 70, ..Settings::default() });
    observed(&mut monitor, both(60, 5));
    let report = monitor.close(span(0)).unwrap();
    assert_eq!((report.rows, report.verdict), (65, Verdict::InsufficientData));
    observed(&mut monitor, both(0, 60));
    monitor.retune(Settings::default());
    assert_eq!(monitor.close(span(0)).unwrap().verdict, Verdict::Stable);
}

#[test]
fn another_rate_decides_what_is_chance() {
    let baseline = baseline_of(&rows([numbers("x", even(0, 1000))]));
    let mut monitor = monitor(&baseline);
    let shifted = || [numbers("x", even(0, 100).into_iter().map(|value| value + 8.0))];
    let judged_at = |monitor: &mut Monitor, rate| {
        monitor.retune(Settings { false_discovery_rate: rate, ..Settings::default() });
        observed(monitor, shifted());
        let report = monitor.close(span(0)).unwrap();
        (report.features[0].p_value.unwrap(), report.features[0].significant)
    };
    let (p_value, significant) = judged_at(&mut monitor, 1e-12);
    assert!(!significant && p_value > 1e-12 && p_value < 0.9, "{p_value}");
    let mut monitor = super::monitor(&baseline);
    assert!(judged_at(&mut monitor, 0.999_999).1);
}

#[test]
fn features_that_stay_keep_their_windows_and_counts() {
    let baseline = baseline_of(&rows(both(0, 1000)));
    let mut monitor = monitor(&baseline);
    observed(&mut monitor, both(0, 60));
    monitor.close(span(0)).unwrap();
    observed(&mut monitor, both(60, 50));
    monitor.retune(only(&["x"]));
    assert_eq!(watched(&monitor), [("x".to_owned(), 110)]);
    observed(&mut monitor, both(110, 10));
    let report = monitor.close(span(0)).unwrap();
    assert_eq!((report.rows, report.features.len(), report.features[0].rows), (60, 1, 60));
    monitor.retune(Settings::default());
    assert_eq!(watched(&monitor), [("x".to_owned(), 120), ("y".to_owned(), 0)]);
    // Longer windows have what the closed ones held.
    assert_eq!(monitor.close(span(1)).unwrap().rows, 120);
}

fn failing(report: &WindowReport) -> Vec<String> {
    report.failures().iter().map(ToString::to_string).collect()
}

#[test]
fn a_feature_is_not_missing_from_rows_that_came_before_it_was_watched() {
    let baseline = baseline_of(&rows(both(0, 1000)));
    let mut monitor = Monitor::new(only(&["x"]), Reference::Baseline(Arc::clone(&baseline)));
    observed(&mut monitor, both(0, 300));
    monitor.close(span(0)).unwrap();
    observed(&mut monitor, both(0, 200));
    monitor.retune(Settings::default());
    observed(&mut monitor, both(200, 100));
    let report = monitor.close(span(0)).unwrap();
    assert_eq!((report.rows, report.features[1].rows), (300, 100));
    assert_eq!(failing(&report), [""; 0]);
    observed(&mut monitor, both(0, 100));
    assert_eq!(failing(&monitor.close(span(0)).unwrap()), [""; 0]);
    // In a longer window rows of before are those of two shorter ones.
    let longer = monitor.close(span(1)).unwrap();
    assert_eq!((longer.rows, longer.features[1].rows), (700, 200));
    assert_eq!(failing(&longer), [""; 0]);
    // From the next on it is missing where it is.
    observed(&mut monitor, [numbers("x", even(0, 100))]);
    let report = monitor.close(span(0)).unwrap();
    assert_eq!(failing(&report), ["missing_feature of y"]);
}

#[test]
fn other_lengths_begin_anew_and_what_was_counted_stays_counted() {
    let baseline = baseline_of(&rows(both(0, 1000)));
    let mut monitor = monitor(&baseline);
    observed(&mut monitor, both(0, 60));
    monitor.close(span(0)).unwrap();
    observed(&mut monitor, both(60, 50));
    monitor.retune(Settings { windows: vec!["1m".into()], ..Settings::default() });
    assert_eq!(watched(&monitor), [("x".to_owned(), 110), ("y".to_owned(), 110)]);
    observed(&mut monitor, both(0, 55));
    let report = monitor.close(span(0)).unwrap();
    assert_eq!((&*report.window, report.rows), ("1m", 55));
    assert!(monitor.close(span(1)).is_none());
    assert_eq!(watched(&monitor)[0].1, 165);
}

#[test]
fn another_baseline_begins_anew_and_the_same_one_changes_nothing() {
    let baseline = baseline_of(&rows(both(0, 1000)));
    let mut monitor = monitor(&baseline);
    observed(&mut monitor, both(0, 60));
    let same = Arc::new(Baseline::from_json(baseline.to_json().as_bytes()).unwrap());
    assert_eq!(monitor.refer(Reference::Baseline(same)), Referred::AsBefore);
    assert_eq!(watched(&monitor)[0].1, 60);
    let far = baseline_of(&rows([numbers("x", even(0, 1000).into_iter().map(|v| v + 500.0))]));
    assert_eq!(monitor.refer(Reference::Baseline(Arc::clone(&far))), Referred::Anew);
    assert_eq!(watched(&monitor), [("x".to_owned(), 0)]);
    observed(&mut monitor, [numbers("x", even(0, 100))]);
    assert_eq!(monitor.close(span(0)).unwrap().verdict, Verdict::Drifting);
    // To learn anew is another reference; to go on learning is none.
    let learn = |rows| Reference::Learn { rows: NonZeroU64::new(rows).unwrap() };
    assert_eq!(monitor.refer(learn(50)), Referred::Anew);
    observed(&mut monitor, both(0, 30));
    assert_eq!(monitor.refer(learn(40)), Referred::AsBefore);
    assert_eq!(monitor.reference_state(), ReferenceState::Learning { rows: 30, needed: 40 });
    observed(&mut monitor, both(30, 10));
    assert_eq!(monitor.reference_state().as_str(), "learned");
    assert_eq!(monitor.refer(learn(5000)), Referred::AsBefore);
}

#[test]
fn other_features_begin_learning_anew_and_other_thresholds_do_not() {
    let reference = Reference::Learn { rows: NonZeroU64::new(200).unwrap() };
    let mut monitor = Monitor::new(Settings::default(), reference);
    observed(&mut monitor, both(0, 60));
    monitor.retune(Settings { min_rows: 9, ..Settings::default() });
    assert_eq!(monitor.reference_state(), ReferenceState::Learning { rows: 60, needed: 200 });
    monitor.retune(only(&["y"]));
    assert_eq!(monitor.reference_state(), ReferenceState::Learning { rows: 0, needed: 200 });
}
