//! Metrics while a collector is away or refuses: nothing that was counted is lost.

use super::collector::{Answer, Arrival, Collector};
use super::support::{Running, counter, families, often, settings, vacant};
use http::StatusCode;
use opentelemetry_proto::tonic::metrics::v1::metric;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use taffrail::config::Temporality;
use taffrail::export::{Loss, Signal};

#[tokio::test]
async fn deltas_of_an_outage_arrive_with_the_first_push_after_it() {
    let address = vacant();
    let (running, mut collections, started_at) = often(address, Temporality::Delta);
    collections.recv().await.unwrap();
    collections.recv().await.unwrap();
    let mut collector = Collector::at(address, &[]).await;
    let (first, start, time) = counter(&collector.metrics().await);
    assert!(first >= 20, "the failed intervals are in it: {first}");
    assert_eq!(start, started_at);
    let (second, start, _) = counter(&collector.metrics().await);
    assert_eq!((second, start), (10, time));
    let counters = running.stop().await;
    let counts = counters.otlp(Signal::Metrics);
    assert!(counts.requests_failed.load(Relaxed) >= 1);
    assert!(Loss::ALL.iter().all(|loss| counts.lost(*loss) == 0));
}

#[tokio::test]
async fn cumulative_sums_go_on_after_an_outage() {
    let away = Answer::Status(StatusCode::SERVICE_UNAVAILABLE);
    let mut collector = Collector::answering(&[away]).await;
    let (running, _collections, started_at) = often(collector.address, Temporality::Cumulative);
    let values = [
        counter(&collector.metrics().await),
        counter(&collector.metrics().await),
        counter(&collector.metrics().await),
    ];
    assert_eq!(
        values.map(|(value, start, _)| (value, start)),
        [10, 20, 30].map(|v| (v, started_at))
    );
    running.stop().await;
}

#[tokio::test]
async fn a_refused_delta_is_part_of_the_next() {
    let refuse = Answer::Status(StatusCode::BAD_REQUEST);
    let mut collector = Collector::answering(&[refuse]).await;
    let (running, _collections, started_at) = often(collector.address, Temporality::Delta);
    collector.metrics().await;
    let (value, start, _) = counter(&collector.metrics().await);
    assert_eq!((value, start), (20, started_at));
    running.stop().await;
}

/// How many intervals a collector refuses in a row.
const REFUSED: usize = 40;

#[tokio::test]
async fn deltas_over_many_outages_add_up_to_what_was_counted() {
    let refuse = [Answer::Status(StatusCode::BAD_REQUEST); REFUSED];
    let away = [Answer::RetryAfter(StatusCode::SERVICE_UNAVAILABLE, "0"); 2];
    let accept = [Answer::Accept];
    let answers = [&accept[..], &refuse, &accept, &away, &refuse].concat();
    let mut collector = Collector::answering(&answers).await;
    let mut settings = settings(collector.address);
    (settings.otlp.traces, settings.otlp.logs) = (None, None);
    settings.otlp.interval = Duration::from_millis(1);
    settings.otlp.temporality = Temporality::Delta;
    let collected = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&collected);
    let running =
        Running::start(&settings, move || families(10 * (count.fetch_add(1, Relaxed) + 1)));
    let (mut sum, mut observations, mut until) = (0, 0, None);
    let mut take = |request: &_| {
        let (delta, start, time) = counter(request);
        assert!(until.is_none_or(|until| until == start), "no time is missing or told twice");
        sum += u64::try_from(delta).unwrap();
        observations += histogram_count(request);
        until = Some(time);
    };
    for answer in answers {
        let request = collector.metrics().await;
        assert!(running.counters.otlp(Signal::Metrics).queued.load(Relaxed) <= 3, "one push");
        if matches!(answer, Answer::Accept) {
            take(&request);
        }
    }
    let counters = running.stop().await;
    while let Some((Arrival::Metrics(request), _)) = collector.try_next() {
        take(&request);
    }
    let counted = 10 * collected.load(Relaxed);
    assert_eq!((sum, observations), (counted, counted));
    let counts = counters.otlp(Signal::Metrics);
    assert_eq!(counts.requests_failed.load(Relaxed), 2 * REFUSED as u64 + 2);
    assert!(Loss::ALL.iter().all(|loss| counts.lost(*loss) == 0));
}

fn histogram_count(
    request: &opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest,
) -> u64 {
    let metric = &request.resource_metrics[0].scope_metrics[0].metrics[1];
    let Some(metric::Data::ExponentialHistogram(histogram)) = &metric.data else {
        panic!("{metric:?}")
    };
    histogram.data_points.iter().map(|point| point.count).sum()
}

#[tokio::test]
async fn what_is_refused_at_the_end_is_counted_as_lost() {
    let collector = Collector::answering(&[Answer::Status(StatusCode::BAD_REQUEST)]).await;
    let running = Running::start(&settings(collector.address), || families(10));
    let counters = running.stop().await;
    assert_eq!(counters.otlp(Signal::Metrics).lost(Loss::Refused), 3);
}
