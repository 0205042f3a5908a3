//! Exchanges that stand for a bucket of a histogram: from a slow or failed request's count to its trace.
//!
//! In: analysed exchanges, from the analysis threads. Out: for each series and bucket the newest exchange
//! that has a trace. Memory is bounded by series; serving threads know nothing of it.

use super::collect::method;
use super::names::{self, Kind};
use crate::capture::{Exchange, RequestId, RouteId, Trace};
use crate::latency::{Outcome, RequestSeries};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Of routes, methods and outcomes; one more has no exemplars.
const MAX_SERIES: usize = 512;
/// A longer id of the client's own is left out.
const MAX_ID_BYTES: usize = 64;
/// A trace that was not sampled leads to nothing but this sidecar's record: for so long it does not
/// take the place of one that was.
const SAMPLED_STAYS: Duration = Duration::from_secs(60);

/// One exchange, as a point of a metric may name it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// In the metric's unit.
    pub value: f64,
    /// When the exchange ended.
    pub at: SystemTime,
    /// Empty if it was too long to keep.
    pub request_id: Box<str>,
    sampled: bool,
}

/// To be shared by those who offer and those who collect. The lock is held for a look.
#[derive(Debug, Default)]
pub struct Exemplars {
    series: Mutex<HashMap<Key, Series>>,
}

type Key = (RouteId, Cow<'static, str>, Outcome);

/// By bucket, of `http.server.request.duration` and of `http.client.request.duration`.
#[derive(Debug, Default)]
struct Series {
    server: Vec<Option<Exemplar>>,
    client: Vec<Option<Exemplar>>,
}

impl Exemplars {
    /// Keeps `exchange` for the buckets that its times fall in, if it has a trace.
    pub fn offer(&self, exchange: &Exchange) {
        let Some(trace) = exchange.trace else { return };
        let outcome = Outcome { status: exchange.status, fault: exchange.fault };
        let key = (exchange.route, method(&exchange.method), outcome);
        let mut all = self.lock();
        if all.len() >= MAX_SERIES && !all.contains_key(&key) {
            return;
        }
        let series = all.entry(key).or_default();
        let timing = exchange.timing;
        keep(&mut series.server, exemplar(exchange, trace, trace.server_span_id, timing.total));
        if let Some(upstream) = timing.upstream {
            keep(&mut series.client, exemplar(exchange, trace, trace.client_span_id, upstream));
        }
    }

    /// Of the inbound requests of a series, in the order of their buckets.
    pub(super) fn server(&self, series: &RequestSeries) -> Vec<Exemplar> {
        self.of(series, |kept| &kept.server)
    }

    /// Of the calls to the model.
    pub(super) fn client(&self, series: &RequestSeries) -> Vec<Exemplar> {
        self.of(series, |kept| &kept.client)
    }

    fn of(
        &self,
        series: &RequestSeries,
        side: impl Fn(&Series) -> &Vec<Option<Exemplar>>,
    ) -> Vec<Exemplar> {
        let key = (series.route, method(&series.method), series.outcome);
        let all = self.lock();
        all.get(&key).map_or_else(Vec::new, |kept| side(kept).iter().flatten().cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn exemplar(exchange: &Exchange, trace: Trace, span_id: [u8; 8], time: Duration) -> Exemplar {
    Exemplar {
        trace_id: trace.trace_id,
        span_id,
        value: time.as_secs_f64(),
        at: exchange.started_at + exchange.timing.total,
        request_id: short(&exchange.id),
        sampled: trace.sampled,
    }
}

fn short(id: &RequestId) -> Box<str> {
    let text = id.text();
    if text.len() > MAX_ID_BYTES { Box::default() } else { text.into() }
}

fn keep(buckets: &mut Vec<Option<Exemplar>>, new: Exemplar) {
    let Kind::Histogram { bounds } = names::HTTP_SERVER_REQUEST_DURATION.kind else { return };
    buckets.resize(bounds.len() + 1, None);
    let slot = &mut buckets[bounds.partition_point(|bound| *bound < new.value)];
    let stays = slot.as_ref().is_some_and(|old| {
        let age = new.at.duration_since(old.at).unwrap_or_default();
        old.sampled && !new.sampled && age < SAMPLED_STAYS
    });
    if !stays {
        *slot = Some(new);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::capture::{Fault, Message, RouteTable, Timing};
    use crate::distribution::Distribution;
    use http::{HeaderValue, Method, StatusCode};
    use std::time::UNIX_EPOCH;

    /// An exchange of the trace with that first byte, `ms` long, `at` seconds after the epoch.
    pub(crate) fn exchange(trace: u8, ms: u64, at: u64) -> Exchange {
        Exchange {
            id: RequestId::new(HeaderValue::from_static("req-1")),
            started_at: UNIX_EPOCH + Duration::from_secs(at),
            timing: Timing {
                total: Duration::from_millis(ms),
                upstream: Some(Duration::from_millis(ms / 2)),
                first_byte: None,
            },
            route: RouteTable::new::<&str>(&[]).unwrap().classify("/invocations"),
            method: Method::POST,
            target: http::uri::PathAndQuery::from_static("/invocations"),
            status: Some(StatusCode::OK),
            fault: None,
            trace: Some(Trace {
                trace_id: [trace; 16],
                parent_span_id: None,
                server_span_id: [2; 8],
                client_span_id: [3; 8],
                sampled: true,
            }),
            sample_rate: 1.0,
            request: Message::default(),
            response: Message::default(),
        }
    }

    fn series(exchange: &Exchange) -> RequestSeries {
        RequestSeries {
            route: exchange.route,
            method: exchange.method.clone(),
            outcome: Outcome { status: exchange.status, fault: exchange.fault },
            duration: Distribution::of_seconds(),
            upstream_duration: Distribution::of_seconds(),
            request_size: Distribution::of_counts(),
            response_size: Distribution::of_counts(),
        }
    }

    fn traces(exemplars: &[Exemplar]) -> Vec<u8> {
        exemplars.iter().map(|exemplar| exemplar.trace_id[0]).collect()
    }

    #[test]
    fn each_bucket_keeps_its_newest_exchange() {
        let exemplars = Exemplars::default();
        for (trace, ms, at) in [(1, 30, 1), (2, 40, 2), (3, 900, 3), (4, 60_000, 4)] {
            exemplars.offer(&exchange(trace, ms, at));
        }
        let of = series(&exchange(0, 0, 0));
        assert_eq!(traces(&exemplars.server(&of)), [2, 3, 4]);
        let client = exemplars.client(&of);
        assert_eq!((traces(&client), client[0].span_id), (vec![2, 3, 4], [3; 8]));
        assert!((client[0].value - 0.02).abs() < 1e-12);
    }

    #[test]
    fn failures_have_exemplars_of_their_own() {
        let exemplars = Exemplars::default();
        exemplars.offer(&exchange(1, 30, 1));
        let mut failed = exchange(2, 30, 2);
        (failed.status, failed.fault) = (Some(StatusCode::BAD_GATEWAY), Some(Fault::UpstreamReset));
        exemplars.offer(&failed);
        assert_eq!(traces(&exemplars.server(&series(&exchange(0, 0, 0)))), [1]);
        assert_eq!(traces(&exemplars.server(&series(&failed))), [2]);
    }

    #[test]
    fn a_trace_that_leads_nowhere_gives_way_to_one_that_does_not() {
        let exemplars = Exemplars::default();
        let unsampled = |trace, at| {
            let mut exchange = exchange(trace, 30, at);
            exchange.trace.as_mut().unwrap().sampled = false;
            exchange
        };
        let seen = || traces(&exemplars.server(&series(&exchange(0, 0, 0))));
        exemplars.offer(&unsampled(1, 1));
        assert_eq!(seen(), [1]);
        exemplars.offer(&exchange(2, 30, 2));
        exemplars.offer(&unsampled(3, 3));
        assert_eq!(seen(), [2]);
        exemplars.offer(&unsampled(4, 90));
        assert_eq!(seen(), [4], "an old one is no example of what happens now");
    }

    #[test]
    fn without_a_trace_there_is_none_and_series_are_bounded() {
        let exemplars = Exemplars::default();
        exemplars.offer(&Exchange { trace: None, ..exchange(1, 30, 1) });
        assert!(exemplars.lock().is_empty());
        for status in 100..1000 {
            let status = StatusCode::from_u16(status).ok();
            exemplars.offer(&Exchange { status, ..exchange(1, 30, 1) });
        }
        assert_eq!(exemplars.lock().len(), MAX_SERIES);
    }
}
