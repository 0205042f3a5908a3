//! Telemetry as a collector gets it: from one that is well to one that is away.

use crate::export_collector::{Answer, Arrival, Collector, url};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::{
    Span, Status, span::SpanKind, status::StatusCode as Judged,
};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use taffrail::capture::{Exchange, Fault, Message, RequestId, RouteTable, Timing, Trace};
use taffrail::config::{self, Temporality};
use taffrail::distribution::Distribution;
use taffrail::drift::ReferenceState;
use taffrail::drift::{Distances, FeatureReport, Quality, Verdict, WindowReport};
use taffrail::export::otlp::{Events, Exporter, Settings, Spans};
use taffrail::export::{Counters, Family, Loss, Resource, Signal, Value, names};
use taffrail::pipeline::VerdictChange;
use taffrail::sketch::{Kind, Role};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(3600);

fn settings(collector: SocketAddr) -> Settings {
    let otlp = config::Otlp {
        metrics_url: Some(url(collector, "/v1/metrics")),
        logs_url: Some(url(collector, "/v1/logs")),
        traces_url: Some(url(collector, "/v1/traces")),
        headers: vec![(http::header::AUTHORIZATION, config::Secret::new("Bearer a%20b"))],
        tls: config::OutboundTls::default(),
        interval: LONG,
        timeout: Duration::from_secs(10),
        temporality: Temporality::Cumulative,
        sampler: config::TraceSampler::Ratio(1.0),
    };
    let upstream = config::Upstream {
        authority: "model:8080".parse().unwrap(),
        base_path: PathAndQuery::from_static("/"),
        tls: None,
        protocol: config::UpstreamProtocol::Auto,
        connect_timeout: Duration::from_secs(1),
        response_timeout: None,
        request_timeout: None,
        max_connection_age: None,
        max_idle_connections: 8,
        idle_timeout: LONG,
    };
    let mut settings = Settings::new(otlp, "127.0.0.1:9000".parse().unwrap(), upstream);
    settings.batch_delay = Duration::ZERO;
    settings
}

fn resource() -> Resource {
    let export = config::Export {
        otlp: None,
        resource: vec![("k8s.pod.name".into(), "weather-0".into())],
        service_name: "weather-sidecar".into(),
    };
    let model = config::Model {
        name: "weather".into(),
        version: "3".into(),
        protocol: config::PayloadProtocol::Auto,
        signature: None,
        feature_names: Vec::new(),
        pointers: None,
    };
    Resource::new(&export, &model)
}

/// A running exporter, and the ends that a test holds.
struct Running {
    spans: Spans,
    events: Events,
    counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    task: JoinSet<()>,
}

impl Running {
    fn start(settings: &Settings, collect: impl FnMut() -> Vec<Family> + Send + 'static) -> Self {
        let counters = Arc::new(Counters::default());
        let (exporter, spans, events) =
            Exporter::new(settings, &resource(), Arc::clone(&counters), collect).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut task = JoinSet::new();
        task.spawn(exporter.run(async {
            let _ = stopped.await;
        }));
        Self { spans, events, counters, stop, task }
    }

    /// Runs to the end, and hands back what was counted.
    async fn stop(mut self) -> Arc<Counters> {
        let _ = self.stop.send(());
        self.task.join_next().await.unwrap().unwrap();
        self.counters
    }
}

fn exchange(status: u16, fault: Option<Fault>) -> Exchange {
    let ms = Duration::from_millis;
    Exchange {
        id: RequestId::new(HeaderValue::from_static("req-1")),
        started_at: UNIX_EPOCH + Duration::from_secs(1000),
        timing: Timing { total: ms(30), upstream: Some(ms(20)), first_byte: Some(ms(25)) },
        route: RouteTable::new::<&str>(&[]).unwrap().classify("/invocations"),
        method: Method::POST,
        target: PathAndQuery::from_static("/invocations?patient=7"),
        status: StatusCode::from_u16(status).ok(),
        fault,
        trace: Some(Trace {
            trace_id: [7; 16],
            parent_span_id: Some([1; 8]),
            server_span_id: [2; 8],
            client_span_id: [3; 8],
            sampled: true,
        }),
        sample_rate: 1.0,
        request: Message::default(),
        response: Message::default(),
    }
}

fn verdict(verdict: Verdict) -> WindowReport {
    let feature = |name: &str, detected| FeatureReport {
        feature: name.into(),
        role: Role::Input,
        kind: Kind::Numeric,
        rows: 80,
        distances: Distances::default(),
        p_value: Some(0.001),
        significant: detected,
        detected,
        quality: Quality::default(),
    };
    WindowReport {
        window: "5m".into(),
        start: Some(jiff::Timestamp::UNIX_EPOCH),
        end: None,
        rows: 80,
        coverage: 0.9,
        verdict,
        features: vec![feature("temp_max", true), feature("wind", false)],
    }
}

fn change(before: Verdict, after: Verdict) -> VerdictChange {
    let reference = ReferenceState::Learned { rows: 5000, hash: "abc".into() };
    VerdictChange { before, report: Arc::new(verdict(after)), reference }
}

/// A counter that is 10 more each time it is collected, and a histogram.
fn families(count: u64) -> Vec<Family> {
    let mut values = Distribution::of_seconds();
    (1..=count).for_each(|ms| values.record(ms * 1_000_000));
    let mut rows = Family::new(&names::DECODE_ROWS);
    rows.push(vec![("role", "input".into())], Value::Counter(count));
    let mut durations = Family::new(&names::HTTP_SERVER_REQUEST_DURATION);
    durations.push(Vec::new(), Value::Histogram(Box::new(values)));
    vec![rows, durations, Family::gauge(&names::CAPTURE_COVERAGE, 0.5)]
}

fn growing() -> impl FnMut() -> Vec<Family> + Send + 'static {
    let mut count = 0;
    move || {
        count += 10;
        families(count)
    }
}

fn get(attributes: &[KeyValue], key: &str) -> Option<any_value::Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.clone().and_then(|value| value.value)
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    match get(attributes, key) {
        Some(any_value::Value::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

/// Of the counter in [`families`]: value, start and time.
fn counter(
    request: &opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest,
) -> (i64, u64, u64) {
    let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
    assert_eq!(metric.name, "taffrail.decode.rows");
    let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    assert!(sum.is_monotonic);
    let point = &sum.data_points[0];
    let Some(number_data_point::Value::AsInt(value)) = point.value else { panic!("{point:?}") };
    (value, point.start_time_unix_nano, point.time_unix_nano)
}

fn unix_nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

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
    let Some(any_value::Value::ArrayValue(detected)) =
        get(&drift.attributes, "taffrail.features.detected")
    else {
        panic!("{drift:?}")
    };
    let temp_max = any_value::Value::StringValue("temp_max".into());
    assert_eq!(detected.values, [AnyValue { value: Some(temp_max) }]);
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

/// Metrics alone, collected often; each collection is told.
fn often(collector: SocketAddr, temporality: Temporality) -> (Running, mpsc::Receiver<()>, u64) {
    let mut settings = settings(collector);
    settings.otlp.interval = Duration::from_millis(1);
    settings.otlp.temporality = temporality;
    let started_at = unix_nanos(settings.started_at);
    let (told, collections) = mpsc::channel(1024);
    let mut grow = growing();
    let running = Running::start(&settings, move || {
        let _ = told.try_send(());
        grow()
    });
    (running, collections, started_at)
}

/// A free port that nothing listens on yet.
fn vacant() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

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

/// Spans alone: metrics are off, so that every answer is for them.
fn spans_only(collector: &Collector) -> Settings {
    let mut settings = settings(collector.address);
    settings.otlp.metrics_url = None;
    settings.otlp.logs_url = None;
    settings.otlp.traces_url = Some(collector.url("/v1/traces"));
    settings
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
