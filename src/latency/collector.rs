//! The reader of all recorders: cumulative since start, and a ring of slots for what is recent.

use super::interval::{Interval, Phases};
use super::recorder::Link;
use super::{Phase, PhaseTimes, RequestSeries, Snapshot};
use crate::capture::{RouteId, RouteTable};
use crate::distribution::Distribution;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// `recent` covers whole slots and the one under way: 60 to 70 seconds.
const SLOTS: usize = 7;
const SLOT: Duration = Duration::from_secs(10);

/// Merges what the serving threads hand over. Called by one thread, about once a second.
pub struct Collector {
    links: Vec<Arc<Link>>,
    routes: Arc<RouteTable>,
    total: Interval,
    /// Phases only; the newest at the back.
    recent: VecDeque<Interval>,
    slot_started: Instant,
}

impl Collector {
    pub(super) fn new(links: Vec<Arc<Link>>, routes: Arc<RouteTable>) -> Self {
        let recent = VecDeque::from([Interval::default()]);
        Self { links, routes, total: Interval::default(), recent, slot_started: Instant::now() }
    }

    pub fn routes(&self) -> &Arc<RouteTable> {
        &self.routes
    }

    /// Everything handed over so far, all threads together.
    pub fn snapshot(&mut self) -> Snapshot {
        self.snapshot_at(Instant::now())
    }

    fn snapshot_at(&mut self, now: Instant) -> Snapshot {
        self.advance(now);
        for link in &self.links {
            while let Some(mut interval) = link.full.pop() {
                self.total.merge(&interval);
                if let Some(slot) = self.recent.back_mut() {
                    slot.merge_phases(&interval);
                }
                interval.clear();
                // A full ring of spares lets this one go.
                drop(link.empty.push(interval));
            }
        }
        Snapshot {
            requests: self.requests(),
            phases: self
                .total
                .phases
                .iter()
                .flat_map(|(route, all)| self.times(*route, all))
                .collect(),
            active_requests: self.links.iter().map(|link| link.active_requests.load(Relaxed)).sum(),
            open_connections: self
                .links
                .iter()
                .map(|link| link.open_connections.load(Relaxed))
                .sum(),
            operations: Vec::new(),
        }
    }

    fn advance(&mut self, now: Instant) {
        let mut passed =
            now.saturating_duration_since(self.slot_started).as_nanos() / SLOT.as_nanos();
        passed = passed.min(SLOTS as u128);
        for _ in 0..passed {
            let mut slot = match self.recent.len() {
                SLOTS => self.recent.pop_front().unwrap_or_default(),
                _ => Interval::default(),
            };
            slot.clear();
            self.recent.push_back(slot);
            self.slot_started += SLOT;
        }
        if passed == SLOTS as u128 {
            self.slot_started = now;
        }
    }

    fn requests(&self) -> Vec<RequestSeries> {
        let series = self.total.series.iter().map(|(key, series)| RequestSeries {
            route: key.route,
            method: key.method(),
            outcome: key.outcome(),
            duration: series.duration.clone(),
            upstream_duration: series.upstream_duration.clone(),
            request_size: series.request_size.clone(),
            response_size: series.response_size.clone(),
        });
        series.collect()
    }

    fn times<'a>(
        &'a self,
        route: RouteId,
        all: &'a Phases,
    ) -> impl Iterator<Item = PhaseTimes> + 'a {
        Phase::ALL.into_iter().enumerate().map(move |(index, phase)| {
            let mut recent = Distribution::of_seconds();
            for slot in self.recent.iter().filter_map(|slot| slot.phases(route)) {
                recent.merge(&slot[index]);
            }
            PhaseTimes { route, phase, all: all[index].clone(), recent }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Observation, Outcome, recorders};
    use super::*;
    use crate::capture::Timing;
    use http::{Method, StatusCode};

    fn routes() -> Arc<RouteTable> {
        Arc::new(RouteTable::new::<&str>(&[]).unwrap())
    }

    fn observation(millis: u64) -> Observation<'static> {
        let total = Duration::from_millis(millis);
        Observation {
            route: RouteId::OTHER,
            method: &Method::POST,
            outcome: Outcome { status: Some(StatusCode::OK), fault: None },
            timing: Timing { total, upstream: Some(total / 2), first_byte: None },
            request_bytes: 10,
            response_bytes: 20,
        }
    }

    fn total(snapshot: &Snapshot) -> &PhaseTimes {
        snapshot.phases.iter().find(|times| times.phase == Phase::Total).unwrap()
    }

    #[test]
    fn nothing_is_lost_when_the_collector_is_slow() {
        let (mut recorders, mut collector) = recorders(2, routes());
        for millis in 1..=100 {
            for recorder in &mut recorders {
                recorder.record(&observation(millis));
                recorder.flush();
            }
        }
        drop(recorders);
        let snapshot = collector.snapshot();
        assert_eq!(total(&snapshot).all.count(), 200);
        assert_eq!(snapshot.requests.len(), 1);
        assert_eq!(snapshot.requests[0].duration.count(), 200);
        assert_eq!(snapshot.requests[0].request_size.quantile(1.0), Some(10.0));
    }

    #[test]
    fn intervals_are_recycled_without_their_values() {
        let (mut recorders, mut collector) = recorders(1, routes());
        for round in 1..=10 {
            recorders[0].record(&observation(5));
            recorders[0].flush();
            assert_eq!(total(&collector.snapshot()).all.count(), round);
        }
    }

    #[test]
    fn recent_forgets_what_all_remembers() {
        let (mut recorders, mut collector) = recorders(1, routes());
        let start = Instant::now();
        recorders[0].record(&observation(5));
        recorders[0].flush();
        assert_eq!(total(&collector.snapshot_at(start)).recent.count(), 1);
        assert_eq!(
            total(&collector.snapshot_at(start + Duration::from_secs(59))).recent.count(),
            1
        );
        let later = collector.snapshot_at(start + Duration::from_secs(75));
        assert_eq!((total(&later).recent.count(), total(&later).all.count()), (0, 1));
        let hours_later = collector.snapshot_at(start + Duration::from_secs(7200));
        assert_eq!(total(&hours_later).all.count(), 1);
    }

    #[test]
    fn gauges_are_summed_over_threads() {
        let (recorders, mut collector) = recorders(2, routes());
        recorders[0].request_started();
        recorders[1].request_started();
        recorders[0].connection_opened();
        recorders[1].request_ended();
        let snapshot = collector.snapshot();
        assert_eq!((snapshot.active_requests, snapshot.open_connections), (1, 1));
    }
}
