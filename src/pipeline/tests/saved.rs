//! State that a process leaves, and what the next makes of it.

use super::*;
use crate::capture::Totals;
use crate::drift::{
    Baseline, BaselineBuilder, BaselineSettings, Monitor, Reference, Settings, Tumbling, Verdict,
};
use crate::pipeline::watch::{Changes, Closed, NotRestored, Resumed, Saved};
use jiff::SignedDuration;
use std::path::Path;

const START: i64 = 1_767_225_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

fn numbers(values: impl IntoIterator<Item = f64>) -> decode::Rows {
    let mut column = decode::Column::new("x");
    values.into_iter().for_each(|value| column.push_number(value));
    let mut rows = decode::Rows::new();
    rows.push(column);
    rows
}

fn baseline() -> Arc<Baseline> {
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    let even = (0..1000).map(|n| f64::from(n * 37 % 100));
    builder.observe(crate::sketch::Role::Input, &numbers(even));
    Arc::new(builder.finish().unwrap())
}

fn reference() -> Reference {
    Reference::Baseline(baseline())
}

/// Windows of one and of ten minutes; a new process, at that second.
fn watch_as(name: &str, second: i64) -> Watch {
    watch_of(name, second, reference())
}

fn watch_of(name: &str, second: i64, reference: Reference) -> Watch {
    let lengths = [Duration::from_secs(60), Duration::from_secs(600)];
    let windows = vec!["1m".into(), "10m".into()];
    let settings = Settings { min_rows: 10, windows, ..Settings::default() };
    let monitor = Monitor::new(settings, reference);
    let tumbling = Tumbling::new(&lengths, at(second));
    let joiner = labels::Joiner::new(labels::Settings::default());
    Watch::new(name.into(), "1".into(), monitor, tumbling, joiner, usize::MAX)
}

fn watch(second: i64) -> Watch {
    watch_as("risk", second)
}

fn see(watch: &mut Watch, rows: u32, from: f64, second: i64) {
    let inputs = numbers((0..rows).map(|n| from + f64::from(n * 37 % 100)));
    let decoded = crate::decode::Decoded { inputs, ..crate::decode::Decoded::default() };
    watch.observe("a", &decoded, at(second));
}

const fn kept(kept: u64) -> Totals {
    Totals { kept, sampled_out: 0, dropped_items: 0, dropped_bytes: 0, truncated: 0 }
}

fn save(watch: &Watch, second: i64, totals: Totals) -> Saved {
    watch.take(at(second), totals, None).unwrap().packed()
}

fn resume(watch: &mut Watch, saved: &Saved, second: i64) -> Result<Resumed, NotRestored> {
    let closed = saved.closed.as_ref().map(Closed::encoded);
    watch.restore((&saved.open, closed.as_deref()), reference(), None, at(second))
}

fn verdicts(changes: &Changes) -> Vec<(&str, Verdict)> {
    changes.verdicts.iter().map(|change| (&*change.report.window, change.report.verdict)).collect()
}

#[test]
fn a_window_goes_on_and_says_how_long_nobody_watched() {
    let mut first = watch(0);
    see(&mut first, 30, 0.0, 5);
    let totals = Totals { kept: 30, sampled_out: 10, ..kept(0) };
    let saved = save(&first, 15, totals);
    let mut second = watch(30);
    let resumed = resume(&mut second, &saved, 30).unwrap();
    assert_eq!((resumed.saved_at, resumed.unwatched), (at(15), SignedDuration::from_secs(15)));
    see(&mut second, 20, 0.0, 40);
    assert!(verdicts(&second.advance(at(59), kept(20))).is_empty());
    second.advance(at(60), kept(20));
    let report = Arc::clone(&second.snapshot().windows[0]);
    assert_eq!((report.rows, report.start, report.end), (50, Some(at(0)), Some(at(60))));
    // 50 of 60 exchanges, in 45 of 60 seconds.
    assert!((report.coverage - 50.0 / 60.0 * 0.75).abs() < 1e-12, "{}", report.coverage);
    assert_eq!(report.unwatched_seconds, Some(15.0));
    second.advance(at(120), kept(20));
    let next = second.snapshot().windows[1].clone();
    assert_eq!((next.coverage.to_bits(), next.unwatched_seconds), (1.0_f64.to_bits(), None));
    second.advance(at(600), kept(20));
    let longer = second.snapshot().windows.back().unwrap().clone();
    assert_eq!((&*longer.window, longer.rows), ("10m", 50));
    assert_eq!(longer.unwatched_seconds, Some(15.0));
    assert!((longer.coverage - 50.0 / 60.0 * 585.0 / 600.0).abs() < 1e-12);
}

#[test]
fn gaps_of_several_restarts_in_one_window_add_up() {
    let mut watch_now = watch(0);
    let mut seen = 0;
    for (saved_at, resumed_at) in [(10, 14), (20, 21), (30, 35)] {
        see(&mut watch_now, 10, 0.0, saved_at);
        seen += 10;
        let saved = save(&watch_now, saved_at, kept(10));
        watch_now = watch(resumed_at);
        resume(&mut watch_now, &saved, resumed_at).unwrap();
    }
    watch_now.advance(at(60), kept(0));
    let report = watch_now.snapshot().windows[0].clone();
    assert_eq!((report.rows, report.unwatched_seconds), (seen, Some(10.0)));
    assert!((report.coverage - 50.0 / 60.0).abs() < 1e-12);
}

#[test]
fn windows_that_ended_while_it_was_down_close_with_their_own_times() {
    let mut first = watch(0);
    see(&mut first, 40, 0.0, 5);
    let saved = save(&first, 45, kept(40));
    let mut second = watch(1230);
    resume(&mut second, &saved, 1230).unwrap();
    second.advance(at(1230), kept(0));
    let windows = second.snapshot().windows;
    let told: Vec<_> = windows.iter().map(|r| (&*r.window, r.rows, r.start, r.end)).collect();
    assert_eq!(
        told,
        [("1m", 40, Some(at(0)), Some(at(60))), ("10m", 40, Some(at(0)), Some(at(600)))]
    );
    assert!((windows[0].coverage - 0.75).abs() < 1e-12);
    assert!((windows[1].coverage - 45.0 / 600.0).abs() < 1e-12);
    // The one that holds the start began without anybody who watched.
    see(&mut second, 20, 0.0, 1235);
    second.advance(at(1260), kept(20));
    let next = second.snapshot().windows.back().unwrap().clone();
    assert_eq!((next.start, next.rows), (Some(at(1200)), 20));
    assert_eq!((next.unwatched_seconds, next.coverage.to_bits()), (Some(30.0), 0.5_f64.to_bits()));
}

#[test]
fn a_verdict_that_stays_is_not_told_again() {
    let mut first = watch(0);
    see(&mut first, 100, 60.0, 5);
    let told = first.advance(at(60), kept(100));
    assert_eq!(verdicts(&told), [("1m", Verdict::Drifting)]);
    assert_eq!(told.quality.len(), 1, "out of bounds");
    let saved = save(&first, 61, kept(100));
    let mut second = watch(62);
    resume(&mut second, &saved, 62).unwrap();
    let shown = second.snapshot().windows;
    assert_eq!((shown.len(), shown[0].verdict), (1, Verdict::Drifting), "what is known is shown");
    let before = first.snapshot().windows;
    assert_eq!(shown[0].features[0].shape, before[0].features[0].shape);
    let json = |windows: &std::collections::VecDeque<_>| serde_json::to_string(windows).unwrap();
    assert_eq!(json(&shown), json(&before), "with all sections that it has");
    see(&mut second, 100, 60.0, 70);
    let told = second.advance(at(120), kept(100));
    assert!(told.verdicts.is_empty() && told.quality.is_empty(), "{told:?}");
    see(&mut second, 300, 0.0, 130);
    assert_eq!(verdicts(&second.advance(at(180), kept(200))), [("1m", Verdict::Stable)]);
}

#[test]
fn an_unchanged_watch_is_not_saved_again_and_reports_only_when_windows_close() {
    let mut watch = watch(0);
    let first = save(&watch, 1, kept(0));
    assert!(first.closed.is_some());
    assert!(watch.take(at(2), kept(0), Some(&first.mark)).is_none());
    see(&mut watch, 30, 0.0, 5);
    let second = watch.take(at(6), kept(30), Some(&first.mark)).unwrap().packed();
    assert!(second.closed.is_none());
    watch.advance(at(60), kept(30));
    assert!(second.mark.is_before(watch.closings()));
    assert!(watch.take(at(61), kept(30), Some(&second.mark)).unwrap().packed().closed.is_some());
}

#[test]
fn what_is_of_something_else_is_refused() {
    let saved = save(&watch(0), 1, kept(0));
    let mut other = watch_as("income", 2);
    assert!(matches!(resume(&mut other, &saved, 2), Err(NotRestored::Model { .. })));
    let mut early = watch(-600);
    assert!(matches!(resume(&mut early, &saved, -600), Err(NotRestored::Windows(_))));
    let mut learns = watch(2);
    let learn = Reference::Learn { rows: NonZeroU64::new(10).unwrap() };
    let refused = learns.restore((&saved.open, None), learn, None, at(2));
    assert!(matches!(refused, Err(NotRestored::Monitor(_))));
    learns.advance(at(60), kept(0));
    assert_eq!(learns.snapshot().windows.len(), 1, "it goes on as the new one that it was");
}

#[test]
fn a_report_of_a_window_that_is_open_again_is_left_out() {
    let mut first = watch(0);
    see(&mut first, 30, 0.0, 5);
    let open = save(&first, 50, kept(30)).open;
    first.advance(at(60), kept(30));
    let closed = save(&first, 61, kept(30)).closed.unwrap().encoded();
    // Killed between the two: the window is open in one, and closed in the other.
    let mut second = watch(62);
    let resumed = second.restore((&open, Some(&closed)), reference(), None, at(62)).unwrap();
    assert_eq!(resumed.reports, 0);
    second.advance(at(62), kept(0));
    assert_eq!(second.snapshot().windows.len(), 1);
}

#[test]
fn a_file_that_was_touched_was_true_until_then() {
    let saved = save(&watch(0), 1, kept(0));
    let gap = |touched: i64| {
        let mut second = watch(50);
        let resumed = second.restore((&saved.open, None), reference(), Some(at(touched)), at(50));
        resumed.unwrap().unwatched.as_secs()
    };
    assert_eq!((gap(40), gap(0), gap(51)), (10, 49, 49), "neither before it nor yet to come");
}

fn store(directory: &Path) -> Store {
    Store::new(directory.join("state"))
}

#[test]
fn what_was_written_is_read_and_damage_is_told() {
    let directory = tempfile::tempdir().unwrap();
    assert!(store(directory.path()).read().unwrap().is_none());
    let mut first = watch(0);
    see(&mut first, 30, 0.0, 5);
    first.advance(at(60), kept(30));
    let saved = save(&first, 61, kept(30));
    let bytes = store(directory.path()).write(&saved).unwrap();
    let open = directory.path().join("state/open");
    let whole = std::fs::read(&open).unwrap();
    assert!(bytes > whole.len() as u64);
    let read = store(directory.path()).read().unwrap().unwrap();
    assert_eq!((&read.open, read.touched), (&saved.open, Some(at(61))));
    assert_eq!(read.closed.unwrap(), saved.closed.as_ref().unwrap().encoded());

    let is_refused = |bytes: &[u8]| {
        std::fs::write(&open, bytes).unwrap();
        matches!(
            store(directory.path()).read(),
            Err(StoreError::Damaged(_) | StoreError::Version { .. })
        )
    };
    for cut in 0..whole.len() {
        assert!(is_refused(&whole[..cut]), "first {cut}");
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(is_refused(&damaged), "byte {at}");
    }
    assert!(is_refused(b""));
}

#[test]
fn a_file_as_large_as_none_of_ours_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    store(directory.path()).write(&save(&watch(0), 1, kept(0))).unwrap();
    let open = std::fs::File::options().write(true).open(directory.path().join("state/open"));
    open.unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(store(directory.path()).read(), Err(StoreError::Damaged(_))));
}

#[test]
fn closed_windows_that_are_damaged_do_not_cost_the_open_ones() {
    let directory = tempfile::tempdir().unwrap();
    let saved = save(&watch(0), 1, kept(0));
    store(directory.path()).write(&saved).unwrap();
    std::fs::write(directory.path().join("state/closed"), "?").unwrap();
    let read = store(directory.path()).read().unwrap().unwrap();
    assert_eq!((read.open, read.closed), (saved.open, None));
}

#[test]
fn one_process_has_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let saved = save(&watch(0), 1, kept(0));
    let mut first = store(directory.path());
    first.write(&saved).unwrap();
    assert!(matches!(store(directory.path()).read(), Err(StoreError::InUse(_))));
    assert!(matches!(store(directory.path()).write(&saved), Err(StoreError::InUse(_))));
    drop(first);
    assert!(store(directory.path()).read().unwrap().is_some());
}

#[test]
fn what_cannot_be_gone_on_from_is_set_aside_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = store(directory.path());
    for second in [1, 2] {
        first.write(&save(&watch(0), second, kept(0))).unwrap();
        first.set_aside();
    }
    let mut names: Vec<_> = std::fs::read_dir(directory.path().join("state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["closed.rejected", "lock", "open.rejected"]);
    first.set_aside();
    assert!(first.read().unwrap().is_none());
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_until_it_can() {
    let directory = tempfile::tempdir().unwrap();
    let saved = save(&watch(0), 1, kept(0));
    let in_the_way = directory.path().join("state");
    std::fs::write(&in_the_way, "").unwrap();
    let mut store = store(directory.path());
    assert!(matches!(store.write(&saved), Err(StoreError::Disk { .. })));
    std::fs::remove_file(&in_the_way).unwrap();
    assert!(store.write(&saved).is_ok());
}

#[test]
fn the_performance_that_was_learnt_is_gone_on_with() {
    let mut first = watch(0);
    let rows = |watch: &mut Watch, second: i64, right: bool| {
        let mut column = decode::Column::new("y");
        (0..1000).for_each(|_| column.push(decode::Cell::Text("a")));
        let mut outputs = decode::Rows::new();
        outputs.push(column);
        let id = format!("at {second}");
        let decoded = decode::Decoded { outputs, ..decode::Decoded::default() };
        watch.observe(&id, &decoded, at(second));
        let truth = labels::Truth::Text(if right { "a" } else { "b" }.to_owned());
        let label = labels::LabelValue::Rows(vec![Some(truth); 1000]);
        let labels = vec![labels::Label { id, label, at: None }];
        let parsed = labels::Parsed { labels, ..labels::Parsed::default() };
        watch.take_labels(labels::Source::Api, "", parsed, at(second));
    };
    let before = save(&first, 1, kept(0)).mark;
    rows(&mut first, 5, true);
    let saved = first.take(at(15), kept(1), Some(&before)).unwrap().packed();
    assert!(saved.closed.is_some(), "it is saved though no window has closed");
    let mut second = watch(30);
    resume(&mut second, &saved, 30).unwrap();
    let reference = |watch: &mut Watch| match watch.snapshot().labels.reference {
        labels::PerformanceReference::Learned { performance } => performance,
        other => panic!("{other:?}"),
    };
    rows(&mut second, 7200, false);
    assert_eq!(reference(&mut second), reference(&mut first));
}

#[test]
fn a_learnt_baseline_that_is_lost_is_told_as_that() {
    let learn = || Reference::Learn { rows: NonZeroU64::new(10).unwrap() };
    let mut first = watch_of("risk", 0, learn());
    see(&mut first, 30, 0.0, 5);
    let saved = save(&first, 15, kept(30));
    for closed in [None, Some(&[][..]), Some(b"no file of closed windows")] {
        let mut second = watch_of("risk", 30, learn());
        let refused = second.restore((&saved.open, closed), learn(), None, at(30)).unwrap_err();
        let told = std::error::Error::source(&refused).unwrap().to_string();
        assert!(told.contains("the baseline it had learnt is lost"), "{told}");
        assert!(told.contains("missing or damaged"), "{told}");
    }
}

#[test]
fn damage_to_closed_windows_does_not_cost_those_that_are_open() {
    let mut first = watch(0);
    first.advance(at(60), kept(0));
    see(&mut first, 30, 0.0, 65);
    let saved = save(&first, 70, kept(30));
    let closed = saved.closed.unwrap().encoded();
    for cut in (0..closed.len()).step_by(11) {
        let mut second = watch(80);
        let lots = (&saved.open[..], Some(&closed[..cut]));
        second.restore(lots, reference(), None, at(80)).unwrap();
        second.advance(at(120), kept(0));
        let rows = second.snapshot().windows.back().map(|report| report.rows);
        assert_eq!(rows, Some(30), "cut at {cut}");
    }
}

/// What may only be written out for what cannot be read.
struct Place<'a>(&'a std::cell::Cell<u32>);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.set(self.0.get() + 1);
        f.write_str("x-labels of the response to r")
    }
}

#[test]
fn where_a_label_stood_is_written_out_only_if_it_cannot_be_read() {
    let (mut watch, written) = (watch(0), std::cell::Cell::new(0));
    let mut take = |header: &str| {
        let parsed = labels::parse_header(header, at(1));
        watch.take_labels(labels::Source::Header, Place(&written), parsed, at(1));
        written.get()
    };
    assert_eq!([take("a=1,b=2"), take("a=1,b")], [0, 1]);
    let faults = watch.snapshot().labels.faults;
    assert_eq!(faults[0].place, "x-labels of the response to r element 2");
}
