use super::super::{Outcome, PhaseTimes, RequestSeries};
use super::*;
use crate::capture::RouteId;
use fastrand::Rng;
use http::{Method, StatusCode};
use std::time::Duration;

/// A process whose requests are made here.
struct Service {
    random: Rng,
    ok: Distribution,
    failed: Distribution,
    at: Timestamp,
    changes: Changes,
}

impl Service {
    fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            ok: Distribution::of_seconds(),
            failed: Distribution::of_seconds(),
            at: Timestamp::UNIX_EPOCH,
            changes: Changes::default(),
        }
    }

    /// Ten seconds of 50 requests of about so many milliseconds, of which some fail.
    fn interval(&mut self, millis: f64, errors: f64) -> Vec<OperationChange> {
        for _ in 0..50 {
            let noise =
                (0.4 * (self.random.f64() + self.random.f64() + self.random.f64() - 1.5)).exp();
            let time = Duration::from_secs_f64(millis * noise / 1e3);
            let failed = self.random.f64() < errors;
            let times = if failed { &mut self.failed } else { &mut self.ok };
            times.record_duration(time);
        }
        let mut said = Vec::new();
        for _ in 0..10 {
            self.at += SignedDuration::from_secs(1);
            said.extend(self.changes.observe(self.at, &self.totals()));
        }
        said
    }

    fn intervals(&mut self, count: usize, millis: f64, errors: f64) -> Vec<OperationChange> {
        (0..count).flat_map(|_| self.interval(millis, errors)).collect()
    }

    fn totals(&self) -> Snapshot {
        let series = |status, times: &Distribution| RequestSeries {
            route: RouteId::OTHER,
            method: Method::POST,
            outcome: Outcome { status: Some(status), fault: None },
            duration: times.clone(),
            upstream_duration: times.clone(),
            request_size: Distribution::of_counts(),
            response_size: Distribution::of_counts(),
        };
        let mut all = self.ok.clone();
        all.merge(&self.failed);
        Snapshot {
            requests: vec![
                series(StatusCode::OK, &self.ok),
                series(StatusCode::INTERNAL_SERVER_ERROR, &self.failed),
            ],
            phases: vec![PhaseTimes {
                route: RouteId::OTHER,
                phase: Phase::Total,
                all,
                recent: Distribution::of_seconds(),
            }],
            ..Snapshot::default()
        }
    }

    fn course(&self, signal: Signal) -> Course {
        let operations = self.changes.operations();
        operations.iter().find(|operation| operation.signal == signal).unwrap().course
    }
}

#[test]
fn steady_traffic_is_usual_after_a_warm_up() {
    let mut service = Service::new(1);
    assert!(service.intervals(29, 20.0, 0.02).is_empty());
    assert_eq!(service.course(Signal::ErrorRatio), Course::Learning);
    assert!(service.intervals(1000, 20.0, 0.02).is_empty());
    assert!(Signal::ALL.iter().all(|signal| service.course(*signal) == Course::Usual));
}

#[test]
fn errors_that_begin_are_told_within_a_minute_and_that_they_end_too() {
    let mut service = Service::new(2);
    assert!(service.intervals(100, 20.0, 0.0).is_empty());
    let began = service.at;
    let said = service.intervals(6, 20.0, 0.1);
    assert_eq!(said.len(), 1, "{said:?}");
    let OperationChange { before, operation } = said[0];
    assert_eq!((before, operation.course), (Course::Usual, Course::Risen));
    assert_eq!((operation.signal, operation.usual), (Signal::ErrorRatio, Some(0.0)));
    let off = operation.since.unwrap().duration_since(began);
    assert!(off.abs() <= SignedDuration::from_secs(10), "{off}");
    assert!(operation.now.unwrap() > 0.02);
    assert_eq!(service.course(Signal::LatencyP50), Course::Usual);
    let said = service.intervals(12, 20.0, 0.0);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((said[0].before, said[0].operation.course), (Course::Risen, Course::Usual));
}

#[test]
fn a_model_that_is_slower_by_half_is_told_and_becomes_usual_after_an_hour() {
    let mut service = Service::new(3);
    service.intervals(100, 20.0, 0.0);
    let said = service.intervals(8, 30.0, 0.0);
    let signals: Vec<_> = said.iter().map(|said| said.operation.signal).collect();
    assert!(signals.contains(&Signal::LatencyP50) && signals.contains(&Signal::LatencyP95));
    assert!(said.iter().all(|said| said.operation.course == Course::Risen));
    let said = service.intervals(400, 30.0, 0.0);
    assert!(said.iter().all(|said| said.operation.course == Course::Usual), "{said:?}");
    assert_eq!(said.len(), 2);
    let usual = said[0].operation.usual.unwrap();
    assert!(usual > 0.028, "{usual}");
}

#[test]
fn a_change_of_a_twentieth_is_no_news() {
    let mut service = Service::new(4);
    service.intervals(100, 20.0, 0.0);
    assert!(service.intervals(200, 21.0, 0.0).is_empty());
}

#[test]
fn few_requests_make_longer_intervals() {
    let mut service = Service::new(5);
    service.ok.record_duration(Duration::from_millis(1));
    for _ in 0..100 {
        service.at += SignedDuration::from_secs(10);
        service.ok.record_duration(Duration::from_millis(1));
        let totals = service.totals();
        assert!(service.changes.observe(service.at, &totals).is_empty());
    }
    // 99 requests after the first look: four intervals of twenty.
    assert_eq!(service.changes.watched[0].began.len(), 4);
}

#[test]
fn a_clock_that_is_set_back_begins_an_interval_anew() {
    let mut service = Service::new(6);
    service.intervals(3, 20.0, 0.0);
    service.at -= SignedDuration::from_hours(1);
    service.intervals(3, 20.0, 0.0);
    assert!(service.changes.watched[0].began.len() >= 4);
}
