//! What was recorded over some span of time, by one thread or by all.

use super::series::Key;
use super::{Observation, Phase};
use crate::capture::RouteId;
use crate::distribution::Distribution;

/// More than a well-behaved upstream ever needs; statuses are its to choose, so they are bounded.
const MAX_SERIES: usize = 2000;

/// Distributions of one series of exchanges.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) duration: Distribution,
    pub(super) upstream_duration: Distribution,
    pub(super) request_size: Distribution,
    pub(super) response_size: Distribution,
}

impl Series {
    fn new() -> Self {
        Self {
            duration: Distribution::of_seconds(),
            upstream_duration: Distribution::of_seconds(),
            request_size: Distribution::of_counts(),
            response_size: Distribution::of_counts(),
        }
    }

    fn record(&mut self, observation: &Observation<'_>) {
        self.duration.record_duration(observation.timing.total);
        if let Some(upstream) = observation.timing.upstream {
            self.upstream_duration.record_duration(upstream);
        }
        self.request_size.record(observation.request_bytes);
        self.response_size.record(observation.response_bytes);
    }

    fn each_with<'a>(
        &'a mut self,
        other: &'a Self,
    ) -> [(&'a mut Distribution, &'a Distribution); 4] {
        [
            (&mut self.duration, &other.duration),
            (&mut self.upstream_duration, &other.upstream_duration),
            (&mut self.request_size, &other.request_size),
            (&mut self.response_size, &other.response_size),
        ]
    }

    fn clear(&mut self) {
        self.duration.clear();
        self.upstream_duration.clear();
        self.request_size.clear();
        self.response_size.clear();
    }
}

/// Times by [`Phase`], in the order of [`Phase::ALL`].
pub(super) type Phases = [Distribution; 4];

/// Sorted by key: few series exist, and a search of few words beats hashing them.
#[derive(Debug, Default)]
pub(super) struct Interval {
    pub(super) series: Vec<(Key, Series)>,
    pub(super) phases: Vec<(RouteId, Phases)>,
}

impl Interval {
    pub(super) fn record(&mut self, observation: &Observation<'_>) {
        let key = Key::new(observation.route, observation.method, observation.outcome);
        self.series_of(key).record(observation);
        let timing = &observation.timing;
        let phases = self.phases_of(observation.route);
        for (phase, distribution) in Phase::ALL.into_iter().zip(phases) {
            let time = match phase {
                Phase::Total => Some(timing.total),
                Phase::Upstream => timing.upstream,
                Phase::FirstByte => timing.first_byte,
                Phase::Overhead => timing.overhead(),
            };
            if let Some(time) = time {
                distribution.record_duration(time);
            }
        }
    }

    /// Adds what `other` holds.
    pub(super) fn merge(&mut self, other: &Self) {
        for (key, series) in other.series.iter().filter(|(_, series)| series.duration.count() > 0) {
            let own = self.series_of(*key);
            own.each_with(series).into_iter().for_each(|(own, other)| own.merge(other));
        }
        self.merge_phases(other);
    }

    pub(super) fn merge_phases(&mut self, other: &Self) {
        for (route, phases) in &other.phases {
            let own = self.phases_of(*route);
            own.iter_mut().zip(phases).for_each(|(own, other)| own.merge(other));
        }
    }

    /// Forgets the values and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.series.iter_mut().for_each(|(_, series)| series.clear());
        self.phases.iter_mut().flat_map(|(_, phases)| phases).for_each(Distribution::clear);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.phases.iter().all(|(_, phases)| phases[0].count() == 0)
    }

    pub(super) fn phases(&self, route: RouteId) -> Option<&Phases> {
        let found = self.phases.binary_search_by_key(&route, |(route, _)| *route);
        found.ok().map(|index| &self.phases[index].1)
    }

    fn series_of(&mut self, key: Key) -> &mut Series {
        let mut found = self.series.binary_search_by_key(&key, |(key, _)| *key);
        let mut key = key;
        if found.is_err() && self.series.len() >= MAX_SERIES {
            key = key.folded();
            found = self.series.binary_search_by_key(&key, |(key, _)| *key);
        }
        let index = found.unwrap_or_else(|index| {
            self.series.insert(index, (key, Series::new()));
            index
        });
        &mut self.series[index].1
    }

    fn phases_of(&mut self, route: RouteId) -> &mut Phases {
        let found = self.phases.binary_search_by_key(&route, |(route, _)| *route);
        let index = found.unwrap_or_else(|index| {
            let phases = std::array::from_fn(|_| Distribution::of_seconds());
            self.phases.insert(index, (route, phases));
            index
        });
        &mut self.phases[index].1
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;
    use crate::capture::Timing;
    use http::{Method, StatusCode};

    #[test]
    fn statuses_without_end_fold_into_a_bounded_number_of_series() {
        let mut interval = Interval::default();
        for method in [Method::GET, Method::PUT, Method::POST, Method::HEAD] {
            for status in 100..1000 {
                let outcome = Outcome { status: StatusCode::from_u16(status).ok(), fault: None };
                let timing = Timing::default();
                interval.record(&Observation {
                    route: RouteId::OTHER,
                    method: &method,
                    outcome,
                    timing,
                    request_bytes: 0,
                    response_bytes: 0,
                });
            }
        }
        assert!(interval.series.len() <= MAX_SERIES + 10, "{}", interval.series.len());
        let counted: u64 = interval.series.iter().map(|(_, series)| series.duration.count()).sum();
        assert_eq!(counted, 3600);
    }
}
