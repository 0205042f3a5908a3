use super::tick::{BANDS, band, middle};
use super::*;
use crate::capture::{Fault, RouteId};
use crate::distribution::Distribution;
use crate::latency::{Outcome, Phase, PhaseTimes, RequestSeries};
use axum::http::{Method, StatusCode};
use std::time::Duration;

/// The cumulative state of a service, to which requests are added.
struct Service {
    snapshot: Snapshot,
    capture: Totals,
}

impl Service {
    fn new() -> Self {
        let series = |status, fault| RequestSeries {
            route: RouteId::OTHER,
            method: Method::POST,
            outcome: Outcome { status: Some(status), fault },
            duration: Distribution::of_seconds(),
            upstream_duration: Distribution::of_seconds(),
            request_size: Distribution::of_counts(),
            response_size: Distribution::of_counts(),
        };
        let times = |phase| PhaseTimes {
            route: RouteId::OTHER,
            phase,
            all: Distribution::of_seconds(),
            recent: Distribution::of_seconds(),
        };
        let snapshot = Snapshot {
            requests: vec![
                series(StatusCode::OK, None),
                series(StatusCode::BAD_GATEWAY, Some(Fault::UpstreamConnect)),
            ],
            phases: vec![times(Phase::Total), times(Phase::Upstream)],
            ..Snapshot::default()
        };
        Self { snapshot, capture: Totals::default() }
    }

    fn serve(&mut self, count: u64, millis: u64, failed: bool) {
        let duration = Duration::from_millis(millis);
        for _ in 0..count {
            self.snapshot.requests[usize::from(failed)].duration.record_duration(duration);
            self.snapshot.phases.iter_mut().for_each(|times| times.all.record_duration(duration));
        }
        self.capture.kept += count;
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn within(actual: Option<f64>, expected: f64) -> bool {
    actual.is_some_and(|actual| (actual / expected - 1.0).abs() < 0.035)
}

#[test]
fn a_tick_holds_only_what_came_after_the_one_before() {
    let (history, mut service) = (History::default(), Service::new());
    service.serve(1000, 500, true);
    history.push(second(0), &service.snapshot, service.capture);
    service.serve(99, 10, false);
    service.serve(1, 80, true);
    history.push(second(1), &service.snapshot, service.capture);

    let slots = history.recent(60, 1).slots;
    assert_eq!(slots.len(), 1);
    let slot = &slots[0];
    assert_eq!((slot.requests, slot.errors, slot.seen), (100, 1, 100));
    assert!((slot.throughput() - 100.0).abs() < 1e-9);
    assert_eq!(slot.error_ratio(), Some(0.01));
    assert!(within(slot.p50, 0.010) && within(slot.p99, 0.010), "{slot:?}");
}

#[test]
fn a_slot_of_many_ticks_ranks_all_their_requests_together() {
    let (history, mut service) = (History::default(), Service::new());
    history.push(second(0), &service.snapshot, service.capture);
    service.serve(90, 10, false);
    history.push(second(1), &service.snapshot, service.capture);
    service.serve(10, 1000, false);
    history.push(second(2), &service.snapshot, service.capture);

    let slots = history.recent(60, 5).slots;
    assert_eq!(slots.len(), 1);
    assert!(within(slots[0].p50, 0.010), "{slots:?}");
    assert!(within(slots[0].p95, 1.0), "{slots:?}");
    assert!((slots[0].seconds - 2.0).abs() < 1e-9);
}

#[test]
fn a_second_without_requests_has_no_quantile_and_no_ratio() {
    let (history, service) = (History::default(), Service::new());
    history.push(second(0), &service.snapshot, service.capture);
    history.push(second(1), &service.snapshot, service.capture);
    let slot = &history.recent(60, 1).slots[0];
    assert_eq!((slot.p50, slot.p99, slot.error_ratio(), slot.coverage()), (None, None, None, None));
    assert!(slot.throughput().abs() < 1e-9);
}

#[test]
fn losses_lower_the_coverage_of_their_slot() {
    let (history, mut service) = (History::default(), Service::new());
    history.push(second(0), &service.snapshot, service.capture);
    service.serve(30, 1, false);
    service.capture.dropped_bytes += 10;
    history.push(second(1), &service.snapshot, service.capture);
    assert_eq!(history.recent(60, 1).slots[0].coverage(), Some(0.75));
}

#[test]
fn memory_is_bounded_and_finished_slots_keep_their_place() {
    let (history, mut service) = (History::default(), Service::new());
    for tick in 0..2000 {
        service.serve(1, 1, false);
        history.push(second(tick), &service.snapshot, service.capture);
    }
    assert_eq!(history.len(), SECONDS);
    let before = history.recent(600, 10).slots;
    service.serve(1, 1, false);
    history.push(second(2000), &service.snapshot, service.capture);
    let after = history.recent(600, 10).slots;
    let finished = &before[1..before.len() - 1];
    assert!(after.windows(finished.len()).any(|run| run == finished));
}

#[test]
fn a_clock_set_back_does_not_break_the_rate() {
    let (history, mut service) = (History::default(), Service::new());
    history.push(second(100), &service.snapshot, service.capture);
    service.serve(5, 1, false);
    history.push(second(40), &service.snapshot, service.capture);
    assert!((history.recent(60, 1).slots[0].throughput() - 5.0).abs() < 1e-9);
}

#[test]
fn every_duration_has_a_band() {
    for seconds in [0.0, 1e-12, 1e-9, 0.5, 1e6, f64::INFINITY, f64::NAN] {
        assert!(band(seconds) < BANDS, "{seconds}");
    }
    assert!((middle(band(0.25)) / 0.25 - 1.0).abs() < 0.022);
}

#[test]
fn a_day_is_kept_by_the_minute_and_the_open_minute_is_its_end() {
    let (history, mut service) = (History::default(), Service::new());
    let before = Cumulative::of(second(0), &service.snapshot, service.capture);
    let idle = Cumulative::of(second(1), &service.snapshot, service.capture).since(&before);
    service.serve(1, 20, false);
    let busy = Cumulative::of(second(1), &service.snapshot, service.capture).since(&before);
    for tick in 0..25 * 3600 + 30 {
        history.lock().fill_minute(if tick % 60 == 7 { &busy } else { &idle });
    }
    let hour = history.stretch(Range::Hour).slots;
    assert_eq!(hour.len(), 60);
    assert!(hour[..59].iter().all(|slot| slot.requests == 1 && within(Some(slot.seconds), 60.0)));
    assert!((hour[59].seconds - 30.0).abs() < 1e-9, "the open minute");
    let day = history.stretch(Range::Day).slots;
    assert!((96..=97).contains(&day.len()), "{}", day.len());
    assert_eq!(day.iter().map(|slot| slot.requests).sum::<u64>(), 24 * 60);
    assert_eq!(history.lock().minutes.ticks.len(), MINUTES);
}

#[test]
fn the_heat_map_has_every_request_once_and_bands_without_a_gap() {
    let (history, mut service) = (History::default(), Service::new());
    history.push(second(0), &service.snapshot, service.capture);
    for (tick, millis) in [(1, 2), (2, 40), (3, 900)] {
        service.serve(10, millis, false);
        service.serve(1, 3, true);
        history.push(second(tick), &service.snapshot, service.capture);
    }
    let Stretch { slots, heat } = history.recent(60, 1);
    assert_eq!(heat.counts.len(), slots.len());
    assert!(heat.counts.iter().all(|slot| slot.iter().sum::<u64>() == 11), "{heat:?}");
    assert!(heat.bands.len() <= 24 && heat.max() == 10, "{heat:?}");
    for pair in heat.bands.windows(2) {
        assert!(within(Some(pair[0].to_seconds), pair[1].from_seconds));
    }
    let holding = |slot: usize, count: u64| {
        let band = heat.counts[slot].iter().position(|found| *found == count).unwrap();
        heat.bands[band]
    };
    let band = holding(2, 10);
    assert!(band.from_seconds <= 0.9 && 0.9 < band.to_seconds, "{band:?}");
}

#[test]
fn the_heat_map_of_no_request_has_no_band() {
    let (history, service) = (History::default(), Service::new());
    (0..3).for_each(|tick| history.push(second(tick), &service.snapshot, service.capture));
    let heat = history.recent(60, 1).heat;
    assert_eq!((heat.bands.len(), heat.counts.len(), heat.max()), (0, 2, 0));
}
