//! A monitor that was saved and restored goes on as one that was never stopped.

use super::*;
use crate::sketch::{Packer, Unpacker};
use proptest::prelude::*;

fn reference() -> Rows {
    let level = |n: u32| Cell::Text(["a", "b", "c"][n as usize % 3]);
    let levels: Vec<Cell<'_>> = (0..2000).map(level).collect();
    rows([numbers("x", even(0, 2000)), column("level", &levels)])
}

/// Of a window; `by` moves the numbers, and beyond 0.5 brings a level that is new.
fn batch(from: u32, count: u32, by: f64) -> Rows {
    // Whole, so that sums are exact in any order.
    let numbers_of = even(from, count).into_iter().map(|x| x + (30.0 * by).round());
    let level = |n: u32| Cell::Text(if by > 0.5 && n.is_multiple_of(4) { "new" } else { "b" });
    let levels: Vec<Cell<'_>> = (0..count).map(level).collect();
    rows([numbers("x", numbers_of), column("level", &levels)])
}

fn saved(monitor: &Monitor) -> Vec<u8> {
    monitor.take(Packer::default()).packed()
}

fn restored(bytes: &[u8], baseline: &Arc<Baseline>) -> Result<Monitor, StateError> {
    let reference = Reference::Baseline(Arc::clone(baseline));
    Monitor::restored(Settings::default(), reference, &mut Unpacker::new(bytes), None)
}

fn feed(monitor: &mut Monitor, id: usize, rows: &Rows) {
    monitor.observe(rows, &Rows::new());
    monitor.exemplify(&format!("request-{id}").into(), rows, &Rows::new());
}

/// Levels that end with the fifth, tenth, … batch, as the clock would have it.
fn close(monitor: &mut Monitor, batch: usize) -> Vec<String> {
    let levels = [5, 10, 20].iter().enumerate().filter(|(_, every)| batch.is_multiple_of(**every));
    let reports = levels.map(|(level, _)| monitor.close(span(level)).unwrap());
    let without_quantiles = |mut report: WindowReport| {
        // Words name quantiles, which a sketch draws by a coin of its own.
        report.features.iter_mut().for_each(|feature| feature.explanation = None);
        serde_json::to_string(&report).unwrap()
    };
    reports.map(without_quantiles).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn verdicts_are_the_same_wherever_it_was_stopped(
        stops in proptest::collection::btree_set(0_usize..40, 0..4),
        by in proptest::collection::vec(prop_oneof![3 => Just(0.0), 1 => 0.0..1.0_f64], 8),
    ) {
        let baseline = baseline_of(&reference());
        let (mut whole, mut stopped) = (monitor(&baseline), monitor(&baseline));
        for number in 0..40 {
            if stops.contains(&number) {
                stopped = restored(&saved(&stopped), &baseline).unwrap();
            }
            let rows = batch(u32::try_from(number).unwrap() * 31, 31, by[number / 5]);
            feed(&mut whole, number, &rows);
            feed(&mut stopped, number, &rows);
            prop_assert_eq!(close(&mut whole, number + 1), close(&mut stopped, number + 1));
        }
    }
}

#[test]
fn counters_begin_at_none_and_what_is_drawn_goes_on() {
    let baseline = baseline_of(&reference());
    let mut monitor = monitor(&baseline);
    feed(&mut monitor, 0, &batch(0, 40, 0.0));
    let mut next = restored(&saved(&monitor), &baseline).unwrap();
    let rows = |monitor: &Monitor| {
        let view = &monitor.views()[0];
        let sum = |count: fn(&Bin) -> u64| view.bins.iter().map(count).sum::<u64>();
        (view.rows_total, sum(|bin| bin.total_rows), sum(|bin| bin.recent_rows))
    };
    assert_eq!(rows(&next), (0, 0, 40));
    feed(&mut next, 1, &batch(40, 10, 0.0));
    assert_eq!(rows(&next), (10, 10, 50));
    assert_eq!(next.close(span(0)).unwrap().features[0].rows, 50);
    assert_eq!(rows(&next), (10, 10, 50));
    assert_eq!(next.close(span(1)).unwrap().features[0].rows, 50);
}

#[test]
fn a_second_restart_in_one_window_loses_nothing() {
    let baseline = baseline_of(&reference());
    let mut monitor = monitor(&baseline);
    for number in 0..4 {
        feed(&mut monitor, number, &batch(0, 25, 0.0));
        monitor = restored(&saved(&monitor), &baseline).unwrap();
    }
    let report = monitor.close(span(0)).unwrap();
    assert_eq!((report.rows, report.features[0].rows), (100, 100));
}

#[test]
fn a_learnt_baseline_is_gone_on_with() {
    let needed = NonZeroU64::new(200).unwrap();
    let learn = Reference::Learn { rows: needed };
    let mut monitor = Monitor::new(Settings::default(), learn.clone());
    monitor.observe(&batch(0, 200, 0.0), &Rows::new());
    monitor.observe(&batch(0, 60, 0.0), &Rows::new());
    let json = monitor.learned_baseline().unwrap().to_json();
    let bytes = saved(&monitor);
    let restored = |json: Option<&[u8]>| {
        Monitor::restored(Settings::default(), learn.clone(), &mut Unpacker::new(&bytes), json)
    };
    let mut next = restored(Some(json.as_bytes())).unwrap();
    assert_eq!(next.reference_state(), monitor.reference_state());
    assert_eq!(next.close(span(0)).unwrap().rows, 60);
    assert!(matches!(restored(None), Err(StateError::LearnedLost)));
    assert!(matches!(restored(Some(b"{}")), Err(StateError::Learned(_))));
    let other = baseline_of(&rows([numbers("y", even(0, 100))])).to_json();
    assert!(matches!(restored(Some(other.as_bytes())), Err(StateError::Baseline { .. })));
}

#[test]
fn state_of_another_baseline_is_refused() {
    let monitor = monitor(&baseline_of(&reference()));
    let other = baseline_of(&rows([numbers("x", even(0, 100))]));
    assert!(matches!(restored(&saved(&monitor), &other), Err(StateError::Baseline { .. })));
    let learn = Reference::Learn { rows: NonZeroU64::new(9).unwrap() };
    let bytes = saved(&monitor);
    let refused = Monitor::restored(Settings::default(), learn, &mut Unpacker::new(&bytes), None);
    assert!(matches!(refused, Err(StateError::Origin { .. })));
}

#[test]
fn a_feature_that_is_watched_no_more_is_left_out() {
    let baseline = baseline_of(&reference());
    let mut monitor = monitor(&baseline);
    feed(&mut monitor, 0, &batch(0, 60, 0.0));
    let filter = FeatureFilter::new(["x"], ["nothing"]);
    let settings = Settings { filter, ..Settings::default() };
    let reference = Reference::Baseline(Arc::clone(&baseline));
    let bytes = saved(&monitor);
    let mut next =
        Monitor::restored(settings, reference, &mut Unpacker::new(&bytes), None).unwrap();
    let report = next.close(span(0)).unwrap();
    assert_eq!((report.features.len(), report.features[0].rows), (1, 60));
}

#[test]
fn a_feature_that_is_newly_watched_is_not_missing_from_what_was_saved() {
    let baseline = baseline_of(&reference());
    let filter = FeatureFilter::new(["x"], ["nothing"]);
    let settings = Settings { filter, ..Settings::default() };
    let mut monitor = Monitor::new(settings, Reference::Baseline(Arc::clone(&baseline)));
    feed(&mut monitor, 0, &batch(0, 200, 0.0));
    let mut next = restored(&saved(&monitor), &baseline).unwrap();
    let levels: Vec<_> = (0..300).map(|n| Cell::Text(["a", "b", "c"][n % 3])).collect();
    next.observe(&rows([numbers("x", even(0, 300)), column("level", &levels)]), &Rows::new());
    // A second restart knows it still, in longer windows too.
    let mut next = restored(&saved(&next), &baseline).unwrap();
    for level in 0..3 {
        let report = next.close(span(level)).unwrap();
        assert_eq!((report.rows, report.features[1].rows), (500, 300));
        assert_eq!(report.failures(), []);
    }
}

#[test]
fn no_damage_makes_it_panic_or_take_much() {
    let baseline = baseline_of(&reference());
    let mut monitor = monitor(&baseline);
    for number in 0..3 {
        feed(&mut monitor, number, &batch(0, 40, 0.9));
        monitor.close(span(0));
    }
    let bytes = saved(&monitor);
    for at in 0..bytes.len() {
        assert!(restored(&bytes[..at], &baseline).is_err(), "first {at}");
    }
    let mut random = fastrand::Rng::with_seed(9);
    for _ in 0..2000 {
        let mut damaged = bytes.clone();
        let at = random.usize(..damaged.len());
        damaged[at] ^= 1 << random.u8(..8);
        // The file's checksum would refuse it; without, what is read must still be of use.
        if let Ok(mut monitor) = restored(&damaged, &baseline) {
            feed(&mut monitor, 9, &batch(0, 40, 0.0));
            (0..3).for_each(|level| drop(monitor.close(span(level))));
        }
    }
}
