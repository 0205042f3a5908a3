//! Telemetry as a collector gets it: from one that is well to one that is away.

pub(crate) mod azure;
pub(crate) mod collector;
mod outage;
pub(crate) mod support;
mod wire;

use collector::{Answer, Arrival, Collector};
use http::StatusCode;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric;
use opentelemetry_proto::tonic::trace::v1::{
    Span, Status, span::SpanKind, status::StatusCode as Judged,
};
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use support::*;
use taffrail::capture::{Exchange, Fault};
use taffrail::drift::{
    Change, Check, EarlyWarning, Failure, ReferenceState, Verdict, WarningChange, WarningState,
};
use taffrail::export::{Loss, Signal};
use taffrail::latency::{self, Course, Operation, OperationChange};
use taffrail::pipeline::QualityChange;
use taffrail::sketch::Role;

#[tokio::test]
async fn metrics_arrive_with_their_values_and_the_whole_resource() {
    let mut collector = Collector::answering(&[]).await;
    let settings = settings(collector.address);
    let started_at = unix_nanos(settings.started_at);
    let running = Running::start(&settings, growing());
    let counters = running.stop().await;
    let (Arrival::Metrics(request), headers) = collector.next().await else { panic!() };
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["authorization"], "Bearer a%20b", "a header goes out as it was written");
    let (value, start, time) = counter(&request);
    assert_eq!((value, start), (10, started_at));
    assert!(time > start);
    let resource = &request.resource_metrics[0].resource.as_ref().unwrap().attributes;
    assert_eq!(text(resource, "service.name"), "weather-sidecar");
    assert_eq!(text(resource, "k8s.pod.name"), "weather-0");
    assert_eq!(text(resource, "model.version"), "3");
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let Some(metric::Data::ExponentialHistogram(histogram)) = &metrics[1].data else { panic!() };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.min.is_some(), point.zero_count), (10, true, 0));
    assert!((point.sum.unwrap() - 0.055).abs() < 1e-9);
    assert_eq!(point.positive.as_ref().unwrap().bucket_counts.iter().sum::<u64>(), 10);
    assert_eq!(text(&point.attributes, "model.name"), "weather");
    assert_eq!(counters.otlp(Signal::Metrics).sent.load(Relaxed), 3);
}

async fn spans_of(exchange: Exchange) -> Vec<Span> {
    let mut collector = Collector::answering(&[]).await;
    let running = Running::start(&settings(collector.address), Vec::new);
    running.spans.offer(&exchange, "/invocations");
    let request = collector.traces().await;
    assert_eq!(running.stop().await.otlp(Signal::Traces).queued.load(Relaxed), 0);
    request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

#[tokio::test]
async fn an_exchange_is_a_server_span_with_a_client_span_below_it() {
    let spans = spans_of(exchange(200, None)).await;
    let [server, client] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((server.kind(), client.kind()), (SpanKind::Server, SpanKind::Client));
    assert_eq!(server.name, "POST /invocations");
    assert_eq!((&server.trace_id[..], &server.span_id[..]), (&[7; 16][..], &[2; 8][..]));
    assert_eq!(server.parent_span_id, [1; 8]);
    assert_eq!((&client.parent_span_id[..], &client.span_id[..]), (&[2; 8][..], &[3; 8][..]));
    assert_eq!(server.end_time_unix_nano - server.start_time_unix_nano, 30_000_000);
    assert_eq!(client.end_time_unix_nano - client.start_time_unix_nano, 20_000_000);
    assert_eq!(text(&server.attributes, "url.path"), "/invocations");
    assert_eq!(text(&client.attributes, "server.address"), "model");
    assert_eq!(text(&client.attributes, "url.full"), "http://model:8080/invocations");
    let ok = Some(any_value::Value::IntValue(200));
    assert_eq!(get(&server.attributes, "http.response.status_code"), ok);
    assert!(get(&server.attributes, "error.type").is_none());
    let all = format!("{spans:?}");
    assert!(!all.contains("patient"), "a query string stays here");
}

#[tokio::test]
async fn a_call_that_failed_is_an_error_of_both_spans() {
    let spans = spans_of(exchange(502, Some(Fault::UpstreamReset))).await;
    for span in &spans {
        assert_eq!(span.status.as_ref().unwrap().code(), Judged::Error);
        assert_eq!(text(&span.attributes, "error.type"), "upstream_reset");
    }
    assert!(get(&spans[1].attributes, "http.response.status_code").is_none());
}

#[tokio::test]
async fn a_bad_request_is_an_error_of_the_client_span_only() {
    let spans = spans_of(exchange(422, None)).await;
    let codes = spans.iter().map(|span| span.status.as_ref().map_or(Judged::Unset, Status::code));
    assert_eq!(codes.collect::<Vec<_>>(), [Judged::Unset, Judged::Error]);
}

#[tokio::test]
async fn what_is_not_sampled_makes_no_span() {
    let mut collector = Collector::answering(&[]).await;
    let running = Running::start(&settings(collector.address), Vec::new);
    let mut unsampled = exchange(200, None);
    unsampled.trace.as_mut().unwrap().sampled = false;
    running.spans.offer(&unsampled, "/invocations");
    running.stop().await;
    assert!(matches!(collector.next().await.0, Arrival::Metrics(_)), "only the last push");
}

#[tokio::test]
async fn each_change_of_a_verdict_is_an_event() {
    let mut collector = Collector::answering(&[]).await;
    let running = Running::start(&settings(collector.address), Vec::new);
    running.events.offer(&change(Verdict::InsufficientData, Verdict::Stable));
    running.events.offer(&change(Verdict::Stable, Verdict::Drifting));
    let mut records = Vec::new();
    while records.len() < 2 {
        let request = collector.logs().await;
        let scopes = request.resource_logs.into_iter().flat_map(|r| r.scope_logs);
        records.extend(scopes.flat_map(|scope| scope.log_records));
    }
    assert_eq!(running.stop().await.otlp(Signal::Logs).sent.load(Relaxed), 2);
    let drift = &records[1];
    assert_eq!(drift.event_name, "taffrail.drift.changed");
    assert_eq!(drift.severity_text, "WARN");
    let body = drift.body.clone().and_then(|body| body.value);
    let sentence = "Drift in the 5m window of 80 rows, before: stable; 1 of 2 features: temp_max";
    assert_eq!(body, Some(any_value::Value::StringValue(sentence.into())));
    let said = |key| text(&drift.attributes, key);
    assert_eq!(said("taffrail.verdict.before"), "stable");
    assert_eq!(said("taffrail.verdict.after"), "drifting");
    assert_eq!(said("taffrail.window"), "5m");
    assert_eq!(said("taffrail.baseline.state"), "learned");
    for (key, listed) in
        [("taffrail.features.detected", "temp_max"), ("taffrail.window.examples", "req-7")]
    {
        let Some(any_value::Value::ArrayValue(list)) = get(&drift.attributes, key) else {
            panic!("{drift:?}")
        };
        let listed = any_value::Value::StringValue(listed.into());
        assert_eq!(list.values, [AnyValue { value: Some(listed) }], "{key}");
    }
}

#[tokio::test]
async fn checks_of_quality_that_begin_and_end_to_fail_are_an_event() {
    let mut collector = Collector::answering(&[]).await;
    let running = Running::start(&settings(collector.address), Vec::new);
    let failure =
        |name: &str, check| Failure { role: Role::Input, feature: Some(name.into()), check };
    running.events.offer_quality(&QualityChange {
        began: vec![failure("temp_max", Check::UnitChange)],
        ended: vec![failure("wind", Check::Null)],
        report: change(Verdict::Stable, Verdict::Stable).report,
    });
    let request = collector.logs().await;
    running.stop().await;
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((&*record.event_name, &*record.severity_text), ("taffrail.quality.changed", "WARN"));
    let sentence = "Data quality in the 5m window of 80 rows; fails: unit_change of temp_max; no \
                    longer fails: null of wind";
    let body = record.body.clone().and_then(|body| body.value);
    assert_eq!(body, Some(any_value::Value::StringValue(sentence.into())));
    assert_eq!(text(&record.attributes, "taffrail.window"), "5m");
    for (key, listed) in [
        ("taffrail.quality.began", "unit_change of temp_max"),
        ("taffrail.quality.ended", "null of wind"),
    ] {
        let Some(any_value::Value::ArrayValue(list)) = get(&record.attributes, key) else {
            panic!("{record:?}")
        };
        let listed = any_value::Value::StringValue(listed.into());
        assert_eq!(list.values, [AnyValue { value: Some(listed) }], "{key}");
    }
}

#[tokio::test]
async fn early_warnings_and_changes_of_operation_are_events_when_they_come_and_go() {
    let mut collector = Collector::answering(&[]).await;
    let running = Running::start(&settings(collector.address), Vec::new);
    let since = jiff::Timestamp::UNIX_EPOCH;
    let quiet = EarlyWarning {
        feature: "wind".into(),
        role: Role::Input,
        state: WarningState::Quiet,
        since: None,
        warned_at: None,
        change: None,
        level: None,
        statistic: None,
    };
    let warned = EarlyWarning {
        state: WarningState::Warned,
        since: Some(since),
        change: Some(Change::Higher),
        ..quiet.clone()
    };
    running.events.offer_warning(&WarningChange { warning: warned, ended: None });
    let ended = Some((Change::Higher, since));
    running.events.offer_warning(&WarningChange { warning: quiet, ended });
    let operation = Operation {
        signal: latency::Signal::ErrorRatio,
        course: Course::Risen,
        since: Some(since),
        usual: Some(0.0),
        now: Some(0.125),
    };
    running.events.offer_operation(&OperationChange { before: Course::Usual, operation });
    let mut records = Vec::new();
    while records.len() < 3 {
        let request = collector.logs().await;
        let scopes = request.resource_logs.into_iter().flat_map(|r| r.scope_logs);
        records.extend(scopes.flat_map(|scope| scope.log_records));
    }
    running.stop().await;
    let names: Vec<_> = records.iter().map(|record| &*record.event_name).collect();
    let early = "taffrail.drift.early_warning";
    assert_eq!(names, [early, early, "taffrail.operation.changed"]);
    let severities: Vec<_> = records.iter().map(|record| &*record.severity_text).collect();
    assert_eq!(severities, ["WARN", "INFO", "WARN"]);
    let said = |record: usize, key| text(&records[record].attributes, key);
    assert_eq!([said(0, "taffrail.state"), said(1, "taffrail.state")], ["warned", "quiet"]);
    assert_eq!([said(0, "feature"), said(1, "taffrail.change")], ["wind", "higher"]);
    assert_eq!(said(0, "taffrail.since"), "1970-01-01T00:00:00Z");
    assert_eq!([said(2, "signal"), said(2, "taffrail.course.after")], ["error_ratio", "risen"]);
    let now = get(&records[2].attributes, "taffrail.now");
    assert_eq!(now, Some(any_value::Value::DoubleValue(0.125)));
}

#[tokio::test]
async fn a_baseline_that_starts_to_be_learned_is_an_event() {
    let mut collector = Collector::answering(&[]).await;
    let running = Running::start(&settings(collector.address), Vec::new);
    for rows in [0, 100] {
        running.events.offer_reference(&ReferenceState::Learning { rows, needed: 5000 });
    }
    let request = collector.logs().await;
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(record.event_name, "taffrail.baseline.changed");
    assert_eq!(text(&record.attributes, "taffrail.baseline.state"), "learning");
    assert_eq!(running.stop().await.otlp(Signal::Logs).sent.load(Relaxed), 1);
}

#[tokio::test]
async fn what_a_collector_rejects_is_counted_and_not_sent_again() {
    let mut collector = Collector::answering(&[Answer::Reject(1)]).await;
    let running = Running::start(&spans_only(&collector), Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    collector.traces().await;
    let counters = running.stop().await;
    let counts = counters.otlp(Signal::Traces);
    assert_eq!(counts.requests_ok.load(Relaxed), 1);
    assert_eq!((counts.sent.load(Relaxed), counts.lost(Loss::Rejected)), (1, 1));
}

#[tokio::test]
async fn spans_wait_for_a_collector_that_asks_to_be_left_alone() {
    let busy = [
        Answer::RetryAfter(StatusCode::SERVICE_UNAVAILABLE, "0"),
        Answer::RetryAfter(StatusCode::TOO_MANY_REQUESTS, "0"),
    ];
    let mut collector = Collector::answering(&busy).await;
    let running = Running::start(&spans_only(&collector), Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    let attempts = [collector.traces().await, collector.traces().await, collector.traces().await];
    assert_eq!(attempts[0], attempts[2]);
    let counters = running.stop().await;
    let counts = counters.otlp(Signal::Traces);
    assert_eq!(counts.requests_failed.load(Relaxed), 2);
    assert_eq!(counts.sent.load(Relaxed), 2);
}

#[tokio::test]
async fn spans_that_are_refused_for_good_are_counted() {
    let mut collector = Collector::answering(&[Answer::Status(StatusCode::BAD_REQUEST)]).await;
    let running = Running::start(&spans_only(&collector), Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    collector.traces().await;
    let counters = running.stop().await;
    assert_eq!(counters.otlp(Signal::Traces).lost(Loss::Refused), 2);
}

#[tokio::test]
async fn a_silent_collector_costs_a_queue_and_no_more() {
    let mut collector = Collector::answering(&[Answer::Silence; 64]).await;
    let mut settings = spans_only(&collector);
    settings.span_queue = NonZeroUsize::new(16).unwrap();
    settings.flush_timeout = Duration::ZERO;
    let running = Running::start(&settings, Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    collector.traces().await;
    (0..1000).for_each(|_| running.spans.offer(&exchange(200, None), "/invocations"));
    let counts = running.counters.otlp(Signal::Traces);
    assert_eq!(counts.queued.load(Relaxed), 2 + 2 * 16, "one under way, the rest in the queue");
    assert_eq!(counts.lost(Loss::QueueFull), 2 * (1000 - 16));
    let counters = running.stop().await;
    let counts = counters.otlp(Signal::Traces);
    assert_eq!(counts.lost(Loss::Shutdown), 2 + 2 * 16);
    assert_eq!((counts.sent.load(Relaxed), counts.queued.load(Relaxed)), (0, 0));
}

#[tokio::test]
async fn what_waits_at_the_end_is_flushed() {
    let mut collector = Collector::answering(&[]).await;
    let mut settings = settings(collector.address);
    settings.batch_delay = LONG;
    let running = Running::start(&settings, growing());
    running.spans.offer(&exchange(200, None), "/invocations");
    running.events.offer(&change(Verdict::Stable, Verdict::Drifting));
    let counters = running.stop().await;
    for (signal, items) in [(Signal::Metrics, 3), (Signal::Traces, 2), (Signal::Logs, 1)] {
        assert_eq!(counters.otlp(signal).sent.load(Relaxed), items, "{signal:?}");
        collector.next().await;
    }
}

#[tokio::test]
async fn what_is_offered_after_the_end_is_counted() {
    let collector = Collector::answering(&[]).await;
    let running = Running::start(&spans_only(&collector), Vec::new);
    let spans = running.spans.clone();
    let counters = running.stop().await;
    spans.offer(&exchange(200, None), "/invocations");
    assert_eq!(counters.otlp(Signal::Traces).lost(Loss::Shutdown), 2);
}
