//! Exporters at work, and what they are given to export.

use super::collector::{Collector, url};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use taffrail::capture::{Exchange, Fault, Message, RequestId, RouteTable, Timing, Trace};
use taffrail::config::{self, Temporality};
use taffrail::distribution::Distribution;
use taffrail::drift::ReferenceState;
use taffrail::drift::{Example, FeatureReport, Verdict, WindowReport};
use taffrail::export::otlp::{Events, Exporter, Settings, Spans};
use taffrail::export::{Counters, Family, Resource, Value, names};
use taffrail::pipeline::VerdictChange;
use taffrail::sketch::{Kind, Role};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

pub(super) const LONG: Duration = Duration::from_secs(3600);

pub(super) fn receiver(url: Uri) -> config::Receiver {
    config::Receiver {
        url,
        protocol: config::OtlpProtocol::Http,
        compression: config::Compression::None,
        headers: vec![(http::header::AUTHORIZATION, config::Secret::new("Bearer a%20b"))],
        timeout: Duration::from_secs(10),
    }
}

pub(super) fn settings(collector: SocketAddr) -> Settings {
    let otlp = config::Otlp {
        metrics: Some(receiver(url(collector, "/v1/metrics"))),
        logs: Some(receiver(url(collector, "/v1/logs"))),
        traces: Some(receiver(url(collector, "/v1/traces"))),
        tls: config::OutboundTls::default(),
        auth: config::OtlpAuth::None,
        interval: LONG,
        temporality: Temporality::Cumulative,
        sampler: config::TraceSampler::Ratio(1.0),
    };
    let mut settings = Settings::new(otlp, "127.0.0.1:9000".parse().unwrap(), upstream());
    settings.batch_delay = Duration::ZERO;
    settings
}

pub(crate) fn resource() -> Resource {
    let export = config::Export {
        otlp: None,
        application_insights: None,
        azure: None,
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
pub(super) struct Running {
    pub(super) spans: Spans,
    pub(super) events: Events,
    pub(super) counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    task: JoinSet<()>,
}

impl Running {
    pub(super) fn start(
        settings: &Settings,
        collect: impl FnMut() -> Vec<Family> + Send + 'static,
    ) -> Self {
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
    pub(super) async fn stop(mut self) -> Arc<Counters> {
        let _ = self.stop.send(());
        self.task.join_next().await.unwrap().unwrap();
        self.counters
    }
}

pub(crate) fn exchange(status: u16, fault: Option<Fault>) -> Exchange {
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

/// The model server that spans and calls name.
pub(crate) fn upstream() -> config::Upstream {
    config::Upstream {
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
    }
}

pub(super) fn verdict(verdict: Verdict) -> WindowReport {
    let feature = |name: &str, detected| FeatureReport {
        feature: name.into(),
        role: Role::Input,
        kind: Kind::Numeric,
        rows: 80,
        p_value: Some(0.001),
        significant: detected,
        detected,
        examples: if detected {
            Box::new([Example { request_id: "req-7".into(), row: 0, bin: "[30,inf)".into() }])
        } else {
            Box::default()
        },
        ..FeatureReport::default()
    };
    WindowReport {
        window: "5m".into(),
        start: Some(jiff::Timestamp::UNIX_EPOCH),
        end: None,
        rows: 80,
        coverage: 0.9,
        verdict,
        features: vec![feature("temp_max", true), feature("wind", false)],
        ..WindowReport::default()
    }
}

pub(crate) fn change(before: Verdict, after: Verdict) -> VerdictChange {
    let reference = ReferenceState::Learned { rows: 5000, hash: "abc".into() };
    VerdictChange { before, report: Arc::new(verdict(after)), reference }
}

/// A counter that is 10 more each time it is collected, and a histogram.
pub(super) fn families(count: u64) -> Vec<Family> {
    let mut values = Distribution::of_seconds();
    (1..=count).for_each(|ms| values.record(ms * 1_000_000));
    let mut rows = Family::new(&names::DECODE_ROWS);
    rows.push(vec![("role", "input".into())], Value::Counter(count));
    let mut durations = Family::new(&names::HTTP_SERVER_REQUEST_DURATION);
    durations.push(Vec::new(), Value::Histogram(Box::new(values)));
    vec![rows, durations, Family::gauge(&names::CAPTURE_COVERAGE, 0.5)]
}

pub(crate) fn growing() -> impl FnMut() -> Vec<Family> + Send + 'static {
    let mut count = 0;
    move || {
        count += 10;
        families(count)
    }
}

pub(super) fn get(attributes: &[KeyValue], key: &str) -> Option<any_value::Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.clone().and_then(|value| value.value)
}

pub(super) fn text(attributes: &[KeyValue], key: &str) -> String {
    match get(attributes, key) {
        Some(any_value::Value::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

/// Of the counter in [`families`]: value, start and time.
pub(super) fn counter(request: &ExportMetricsServiceRequest) -> (i64, u64, u64) {
    let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
    assert_eq!(metric.name, "taffrail.decode.rows");
    let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    assert!(sum.is_monotonic);
    let point = &sum.data_points[0];
    let Some(number_data_point::Value::AsInt(value)) = point.value else { panic!("{point:?}") };
    (value, point.start_time_unix_nano, point.time_unix_nano)
}

pub(super) fn unix_nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// Metrics alone, collected often; each collection is told.
pub(super) fn often(
    collector: SocketAddr,
    temporality: Temporality,
) -> (Running, mpsc::Receiver<()>, u64) {
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
pub(super) fn vacant() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Spans alone: metrics are off, so that every answer is for them.
pub(super) fn spans_only(collector: &Collector) -> Settings {
    let mut settings = settings(collector.address);
    settings.otlp.metrics = None;
    settings.otlp.logs = None;
    settings
}
