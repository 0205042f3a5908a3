//! Windows against earlier ones, beside the baseline.

use super::*;
use jiff::{SignedDuration, Timestamp};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap() + HOUR * i32::try_from(hour).unwrap()
}

fn hour(level: usize, number: i64) -> WindowSpan {
    WindowSpan { level, start: Some(at(number)), end: Some(at(number + 1)), coverage: 1.0 }
}

/// Rows of an hour, whose numbers follow the time of the day.
fn of_hour(number: i64, count: u32, by: f64) -> Vec<f64> {
    let angle = number as f64 * std::f64::consts::TAU / 24.0;
    even(u32::try_from(number).unwrap() * 7, count)
        .into_iter()
        .map(|x| x + 60.0 * angle.sin() + by)
        .collect()
}

fn settings(references: &[Earlier], windows: &[&str]) -> Settings {
    let windows = windows.iter().map(|window| Arc::from(*window)).collect();
    Settings { windows, references: references.to_vec(), ..Settings::default() }
}

fn day() -> Arc<Baseline> {
    let mut whole: Vec<f64> = (0..24).flat_map(|number| of_hour(number, 200, 0.0)).collect();
    // In their order rows would show that they vary with the hour.
    fastrand::Rng::with_seed(5).shuffle(&mut whole);
    baseline_of(&rows([numbers("x", whole)]))
}

fn watch(settings: Settings, baseline: &Arc<Baseline>) -> Monitor {
    Monitor::new(settings, Reference::Baseline(Arc::clone(baseline)))
}

fn judged(monitor: &mut Monitor, values: Vec<f64>, span: WindowSpan) -> FeatureReport {
    monitor.observe(&rows([numbers("x", values)]), &Rows::new());
    monitor.close(span).unwrap().features.remove(0)
}

fn beside(report: &FeatureReport) -> &[ReferenceReport] {
    report.references.as_ref().map(|references| &*references.0).unwrap_or_default()
}

#[test]
fn a_daily_cycle_drifts_from_the_baseline_and_not_from_the_same_hour_yesterday() {
    let references = [Earlier::Previous, Earlier::SameHourYesterday];
    let mut monitor = watch(settings(&references, &["1h"]), &day());
    let mut from_baseline = 0;
    for number in 0..72 {
        let report = judged(&mut monitor, of_hour(number, 1200, 0.0), hour(0, number));
        from_baseline += u32::from(report.detected);
        let asked: Vec<_> = beside(&report).iter().map(|beside| beside.reference).collect();
        let expected = usize::from(number > 0) + usize::from(number >= 24);
        assert_eq!(asked, references[..expected], "{number}");
        if let [_, yesterday] = beside(&report) {
            assert_eq!(
                (yesterday.start, yesterday.end),
                (Some(at(number - 24)), Some(at(number - 23)))
            );
            assert_eq!((yesterday.rows, &*yesterday.window), (1200, "1h"));
            assert!(!yesterday.significant && !yesterday.detected, "{number}: {yesterday:?}");
            assert!(yesterday.p_value.unwrap() > 0.01 && yesterday.distances.psi.unwrap() < 0.1);
        }
    }
    assert!(from_baseline > 40, "{from_baseline} of 72 hours are unlike the whole day");
    let moved = judged(&mut monitor, of_hour(72, 1200, 25.0), hour(0, 72));
    let [previous, yesterday] = beside(&moved) else { panic!("{moved:?}") };
    assert!(yesterday.detected && yesterday.significant, "a shift is one of the hour too");
    assert!(previous.detected);
}

#[test]
fn an_earlier_window_is_judged_by_what_it_had_itself() {
    let mut monitor = watch(settings(&[Earlier::Previous], &["1h"]), &day());
    // Out of the baseline's bounds, both of them, and no more than each other.
    let beyond = || even(0, 300).into_iter().map(|x| x + 500.0).collect();
    judged(&mut monitor, beyond(), hour(0, 0));
    let report = judged(&mut monitor, beyond(), hour(0, 1));
    assert!(report.detected, "it is far from the baseline");
    let [previous] = beside(&report) else { panic!("{report:?}") };
    assert_eq!(previous.p_value, Some(1.0), "{previous:?}");
    assert!(!previous.detected);
    assert_eq!(previous.distances.psi, Some(0.0));
}

#[test]
fn the_same_hour_of_the_last_week_is_held_for_a_week_and_no_longer() {
    let mut monitor = watch(settings(&[Earlier::SameHourLastWeek], &["1h"]), &day());
    for number in 0..400 {
        let report = judged(&mut monitor, of_hour(number, 60, 0.0), hour(0, number));
        let starts: Vec<_> = beside(&report).iter().map(|beside| beside.start).collect();
        let expected = (number >= 168).then(|| Some(at(number - 168)));
        assert_eq!(starts, expected.into_iter().collect::<Vec<_>>(), "{number}");
    }
    assert!(monitor.held_references().windows <= 170, "{:?}", monitor.held_references());
    assert_eq!(monitor.held_references().forgotten, 0);
}

/// Twelve windows of five minutes, then the hour that they make.
fn five_minutes(monitor: &mut Monitor, number: i64) -> Vec<FeatureReport> {
    let part = |n: i64| {
        let start = at(number) + SignedDuration::from_mins(5 * n);
        let end = start + SignedDuration::from_mins(5);
        WindowSpan { level: 0, start: Some(start), end: Some(end), coverage: 1.0 }
    };
    let parts = (0..12).map(|n| judged(monitor, of_hour(number, 60, 0.0), part(n)));
    let reports = parts.collect();
    monitor.close(hour(1, number)).unwrap();
    reports
}

#[test]
fn what_does_not_fit_is_let_go_counted_and_its_hour_stands_in() {
    let references = [Earlier::Previous, Earlier::SameHourYesterday];
    let reference_bytes = 24_000;
    let settings = Settings { reference_bytes, ..settings(&references, &["5m", "1h"]) };
    let mut monitor = watch(settings, &day());
    for number in 0..25 {
        let reports = five_minutes(&mut monitor, number);
        let held = monitor.held_references();
        assert!(held.bytes <= held.max_bytes && held.max_bytes == 24_000, "{held:?}");
        if number < 24 {
            continue;
        }
        for (n, report) in reports.iter().enumerate() {
            let [previous, yesterday] = beside(report) else { panic!("{n}: {report:?}") };
            assert_eq!(&*previous.window, "5m");
            assert_eq!((&*yesterday.window, yesterday.rows), ("1h", 720), "{n}");
            assert_eq!(yesterday.start, Some(at(0)));
        }
    }
    let held = monitor.held_references();
    assert!(held.forgotten > 0 && held.windows >= 24, "{held:?}");
}

#[test]
fn earlier_windows_survive_a_restart() {
    let references = [Earlier::SameHourYesterday];
    let baseline = day();
    let mut monitor = watch(settings(&references, &["1h"]), &baseline);
    for number in 0..30 {
        judged(&mut monitor, of_hour(number, 60, 0.0), hour(0, number));
    }
    let mut packer = crate::sketch::Packer::default();
    monitor.take_past().pack(&mut packer);
    let bytes = packer.into_bytes();
    let restored = |bytes: &[u8], open: i64| {
        let mut next = watch(settings(&references, &["1h"]), &baseline);
        next.restore_history(&mut crate::sketch::Unpacker::new(bytes), &[at(open)]).map(|()| next)
    };
    let mut next = restored(&bytes, 30).unwrap();
    assert_eq!(next.held_references(), monitor.held_references());
    let compared = |monitor: &mut Monitor| {
        beside(&judged(monitor, of_hour(30, 60, 0.0), hour(0, 30))).to_vec()
    };
    assert_eq!(compared(&mut next), compared(&mut monitor));
    let held = |open| restored(&bytes, open).unwrap().held_references().windows;
    assert_eq!((held(30), held(28)), (25, 23), "those that are open are not closed");
    for cut in 0..bytes.len() {
        assert!(restored(&bytes[..cut], 30).is_err(), "first {cut}");
    }
}

#[test]
fn without_being_asked_nothing_is_held_and_what_was_is_let_go() {
    let mut monitor = watch(settings(&[Earlier::Previous], &["1h"]), &day());
    judged(&mut monitor, of_hour(0, 60, 0.0), hour(0, 0));
    assert_eq!(monitor.held_references().windows, 1);
    monitor.retune(settings(&[], &["1h"]));
    assert_eq!((monitor.held_references().windows, monitor.held_references().bytes), (0, 0));
    let report = judged(&mut monitor, of_hour(1, 60, 0.0), hour(0, 1));
    assert_eq!(report.references, None);
    assert_eq!(monitor.held_references().windows, 0);
}
