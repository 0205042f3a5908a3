//! The whole sidecar in this process: traffic in, verdicts, labels, metrics and the archive out.

use crate::export::collector::{Arrival, Collector};
use crate::support::sidecar::PATIENCE;
use crate::support::wire::{Message, Peer, Upstream, sized};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, metric, number_data_point};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;
use taffrail::app::{Bound, Running, StartError, start};
use taffrail::archive::{Part, Reader};
use taffrail::config::Config;
use taffrail::decode::{Column, Rows};
use taffrail::drift::{BaselineBuilder, BaselineSettings};
use taffrail::sketch::Role;
use tempfile::TempDir;

pub(crate) struct Sidecar {
    pub(crate) running: Running,
    pub(crate) directory: TempDir,
}

/// A model that doubles: V1 rows of one number in, predictions out.
pub(crate) fn doubling_model() -> Upstream {
    Upstream::answering(|request| {
        let asked: Result<Value, _> = serde_json::from_slice(&request.body);
        let rows = asked.ok().and_then(|asked| asked.get("instances")?.as_array().cloned());
        match rows {
            None => sized("HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain", b"what?"),
            Some(rows) => {
                let twice = |row: &Value| row[0].as_f64().unwrap_or(0.0) * 2.0;
                let predictions: Vec<_> = rows.iter().map(twice).collect();
                let body = json!({ "predictions": predictions }).to_string();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
                sized(head, body.as_bytes())
            }
        }
    })
}

impl Sidecar {
    pub(crate) fn before(upstream: &Upstream, pairs: &[(&'static str, &str)]) -> Self {
        Self::before_address(upstream.address, pairs)
    }

    fn before_address(upstream: SocketAddr, pairs: &[(&'static str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("http://{upstream}");
        let data_dir = directory.path().display().to_string();
        let mut all = vec![
            ("upstream.url", url.as_str()),
            ("listen", "127.0.0.1:0"),
            ("admin.address", "127.0.0.1:0"),
            ("threads", "2"),
            ("data_dir", &data_dir),
        ];
        all.extend(pairs);
        let config = Config::from_pairs(&all).unwrap();
        let running = start(&config, Bound::default()).unwrap();
        Self { running, directory }
    }

    pub(crate) fn predict(&self, id: &str, values: &[f64]) -> Message {
        let rows: Vec<_> = values.iter().map(|value| [value]).collect();
        let body = json!({ "instances": rows }).to_string();
        self.send(id, "application/json", body.as_bytes())
    }

    fn send(&self, id: &str, content_type: &str, body: &[u8]) -> Message {
        let head = format!(
            "POST /v1/models/twice:predict HTTP/1.1\r\nhost: model\r\nx-request-id: {id}\r\n\
             content-type: {content_type}"
        );
        exchange(self.running.listen, &sized(&head, body))
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        exchange(self.running.admin, request.as_bytes()).text()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.get("/api/v1/status")).unwrap()
    }

    /// Polls the status until `holds`; the sidecar publishes a few times a second.
    fn status_when(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            let status = self.status();
            if holds(&status) {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "not reached: {status:#}");
            std::thread::yield_now();
        }
    }

    pub(crate) fn data(&self) -> &Path {
        self.directory.path()
    }
}

fn exchange(address: SocketAddr, request: &[u8]) -> Message {
    Peer::connect(address).send(request).receive()
}

/// The sum of each row, in tensors behind JSON both ways.
fn summing_model() -> Upstream {
    Upstream::answering(|_| {
        let json = r#"{"model_name":"sum","model_version":"3","outputs":[{"name":"sum","datatype":"INT16","shape":[2],"parameters":{"binary_data_size":4}}]}"#;
        let head = format!("HTTP/1.1 200 OK\r\ninference-header-content-length: {}", json.len());
        sized(&head, &[json.as_bytes(), &[4, 0, 9, 0]].concat())
    })
}

#[test]
fn tensors_behind_their_json_are_rows_like_any() {
    let sidecar = Sidecar::before(&summing_model(), &[]);
    let json = r#"{"inputs":[{"name":"x","datatype":"INT8","shape":[2,2],"parameters":{"binary_data_size":4}}]}"#;
    let head = format!(
        "POST /v2/models/sum/infer HTTP/1.1\r\nhost: model\r\nINFERENCE-Header-Content-Length: {}",
        json.len()
    );
    let request = sized(&head, &[json.as_bytes(), &[1, 3, 4, 5]].concat());
    let answer = exchange(sidecar.running.listen, &request);
    assert_eq!((answer.status(), &answer.body[answer.body.len() - 4..]), (200, &[4, 0, 9, 0][..]));
    let status = sidecar.status_when(|status| rows_seen(status) == 2);
    assert_eq!(status["decoded"]["output_rows"], 2);
    assert_eq!(status["decoded"]["problems"], json!([]));
    let features = sidecar.get("/api/v1/features");
    assert!(
        ["f0", "f1", "sum"].iter().all(|name| features.contains(&format!("\"{name}\""))),
        "{features}"
    );
}

fn rows_seen(status: &Value) -> u64 {
    status["decoded"]["input_rows"].as_u64().unwrap()
}

#[test]
fn rows_labels_and_exchanges_are_seen_from_end_to_end() {
    let sidecar = Sidecar::before(&doubling_model(), &[]);
    let answer = sidecar.predict("first", &[1.0, 2.5]);
    assert_eq!(answer.text(), r#"{"predictions":[2.0,5.0]}"#);
    assert_eq!(answer.field("x-request-id"), Some("first"));

    let label = br#"{"id":"first","label":[2.0,5.5]}"#;
    let head = "POST /api/v1/labels HTTP/1.1\r\nhost: admin\r\ncontent-type: application/json";
    let taken = exchange(sidecar.running.admin, &sized(head, label));
    assert_eq!((taken.status(), taken.text().as_str()), (200, r#"{"accepted":1,"rejected":[]}"#));

    let status = sidecar.status_when(|s| rows_seen(s) == 2 && s["labels"]["joined"] == 2);
    assert_eq!(status["reference"]["state"], "learning");
    let spoken = &status["decoded"]["dialects"][0];
    let because = "its member `instances`";
    assert_eq!((&spoken["dialect"], &spoken["because"]), (&json!("kserve_v1"), &json!(because)));
    let features: Value = serde_json::from_str(&sidecar.get("/api/v1/features")).unwrap();
    let found: Vec<_> =
        features["features"].as_array().unwrap().iter().map(|f| &f["feature"]).collect();
    assert_eq!(found, ["f0", "prediction"]);
    assert_eq!(status["capture"]["coverage"], 1.0);
    let metrics = sidecar.get("/metrics");
    assert!(metrics.contains("taffrail_decode_rows_total{"), "{metrics}");

    let data = sidecar.directory;
    let drained = sidecar.running.shutdown();
    assert!(drained.clean && drained.in_time);
    let recorded: Vec<_> = Reader::open(data.path()).unwrap().rows().collect();
    let [Ok(exchange)] = &recorded[..] else { panic!("one exchange: {recorded:?}") };
    assert_eq!((exchange.id.as_str(), exchange.inputs.len()), ("first", 2));
    assert_eq!(exchange.outputs.columns()[0].as_numbers(), Some(&[2.0, 5.0][..]));
}

#[test]
fn without_a_baseline_the_first_rows_become_it() {
    let learn = [("baseline.learn.rows", "100")];
    let sidecar = Sidecar::before(&doubling_model(), &learn);
    let values: Vec<_> = (0..100).map(f64::from).collect();
    sidecar.predict("a", &values);
    let status = sidecar.status_when(|status| status["reference"]["state"] == "learned");
    assert_eq!(status["reference"]["rows"], 100);
    let page = sidecar.get("/");
    assert!(page.contains("baseline learnt from the first"), "{page}");
    sidecar.running.shutdown();
}

#[test]
fn live_rows_far_from_the_baseline_are_drifting_after_one_window() {
    let mut column = Column::new("f0");
    (0..1000).for_each(|n| column.push_number(f64::from(n % 100)));
    let mut rows = Rows::new();
    rows.push(column);
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Input, &rows);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), builder.finish().unwrap().to_json()).unwrap();

    let baseline = file.path().display().to_string();
    let pairs = [("baseline", baseline.as_str()), ("windows", "1s")];
    let sidecar = Sidecar::before(&doubling_model(), &pairs);
    let shifted: Vec<_> = (0..500).map(|n| f64::from(n % 100) + 80.0).collect();
    sidecar.predict("a", &shifted);
    let status = sidecar.status_when(|status| {
        let windows = status["windows"].as_array();
        windows.is_some_and(|w| w.iter().any(|window| window["verdict"] == "drifting"))
            || status["verdict"] == "drifting"
    });
    assert_eq!(status["reference"]["state"], "given");
    let drift: Value = serde_json::from_str(&sidecar.get("/api/v1/drift")).unwrap();
    let windows = drift["windows"].as_array().unwrap();
    let judged = windows.iter().find(|window| window["verdict"] == "drifting").unwrap();
    assert_eq!((judged["rows"].as_u64(), judged["coverage"].as_f64()), (Some(500), Some(1.0)));
    assert_eq!(judged["features"][0]["detected"], true);
    assert_eq!(judged["features"][0]["examples"][0]["request_id"], "a");
    sidecar.running.shutdown();
}

#[test]
fn a_trace_that_passes_by_leads_from_a_bucket_to_the_exchange_and_its_record() {
    let sidecar = Sidecar::before(&doubling_model(), &[]);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let head = format!(
        "POST /v1/models/twice:predict HTTP/1.1\r\nhost: model\r\nx-request-id: traced\r\n\
         content-type: application/json\r\ntraceparent: 00-{trace}-b7ad6b7169203331-01"
    );
    exchange(sidecar.running.listen, &sized(&head, br#"{"instances":[[1]]}"#));
    let listed = sidecar.status_when(|status| rows_seen(status) == 1);
    assert_eq!(listed["traffic"]["errors"], 0);
    let ask = "GET /metrics HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\
               accept: application/openmetrics-text\r\n\r\n";
    let named =
        format!(" # {{trace_id=\"{trace}\",span_id=\"b7ad6b7169203331\",request_id=\"traced\"}} ");
    let since = Instant::now();
    loop {
        let page = exchange(sidecar.running.admin, ask.as_bytes()).text();
        if page.lines().any(|line| line.starts_with("http_server_") && line.contains(&named)) {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "{page}");
        std::thread::yield_now();
    }
    let found = sidecar.get(&format!("/api/v1/exchanges?trace_id={trace}"));
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["exchanges"][0]["id"], "traced", "{found:#}");

    let data = sidecar.directory;
    assert!(sidecar.running.shutdown().clean);
    let recorded: Vec<_> = Reader::open(data.path()).unwrap().records(Part::Everything).collect();
    let [Ok(record)] = &recorded[..] else { panic!("one exchange: {recorded:?}") };
    assert_eq!(record.trace_id.as_deref(), Some(trace));
}

#[test]
fn payloads_that_cannot_be_read_pass_unchanged_and_are_counted() {
    let sidecar = Sidecar::before(&Upstream::echo(), &[]);
    let huge = vec![b'7'; 3 << 20];
    let hostile: [(&str, &[u8]); 7] = [
        ("application/json", b"{\"instances\":"),
        ("application/json", b"{\"instances\":[[NaN],[null],[\"text\"]]}"),
        ("application/json", b""),
        ("application/json", b"{\"instances\":{\"a\":{\"b\":[1,[2]]}}}"),
        ("application/x-unheard-of", b"\x00\xff\xfe"),
        ("application/json", b"\xff\xfe not utf-8"),
        ("application/json", &huge),
    ];
    for (number, (content_type, body)) in hostile.iter().enumerate() {
        let answer = sidecar.send(&number.to_string(), content_type, body);
        assert_eq!((answer.status(), &*answer.body), (200, *body), "{content_type}");
    }
    let status = sidecar.status_when(|status| status["capture"]["kept"] == 7);
    let status = sidecar.status_when(|now| {
        let problems = now["decoded"]["problems"].as_array().unwrap();
        let counted: u64 = problems.iter().filter_map(|p| p["count"].as_u64()).sum();
        counted >= 5 && now["capture"]["kept"] == status["capture"]["kept"]
    });
    assert_eq!(status["traffic"]["errors"], 0);
    assert_eq!(status["capture"]["truncated"], 1);
    sidecar.running.shutdown();
}

#[test]
fn an_upstream_that_is_away_makes_the_sidecar_unready_and_is_told_to_clients() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sidecar = Sidecar::before_address(closed, &[("archive", "off")]);
    let answer = sidecar.predict("a", &[1.0]);
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("upstream_connect"), "{}", answer.text());
    let status = sidecar.status_when(|s| s["readiness"]["state"] == "upstream_unreachable");
    assert_eq!(status["readiness"]["state"], "upstream_unreachable");
    assert!(!sidecar.data().join("archive").exists(), "archive: off writes nothing");
    sidecar.running.shutdown();
}

#[test]
fn what_keeps_it_from_starting_names_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("baseline.json");
    std::fs::write(&broken, "{}").unwrap();
    let refused = |key: &'static str, value: &str| {
        let data_dir = directory.path().display().to_string();
        let mut pairs = vec![
            ("upstream.url", "http://127.0.0.1:1"),
            ("listen", "127.0.0.1:0"),
            ("admin.address", "127.0.0.1:0"),
            ("data_dir", &data_dir),
        ];
        pairs.retain(|(other, _)| *other != key);
        pairs.push((key, value));
        start(&Config::from_pairs(&pairs).unwrap(), Bound::default()).err().unwrap()
    };
    let unusable = refused("baseline", &broken.display().to_string());
    assert!(matches!(unusable, StartError::Baseline { .. }), "{unusable:?}");
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = elsewhere.local_addr().unwrap().to_string();
    let message = refused("admin.address", &taken).to_string();
    assert!(message.contains("admin.address") && message.contains(&taken), "{message}");
}

#[tokio::test]
async fn everything_is_exported_by_the_time_it_ends() {
    let mut collector = Collector::answering(&[]).await;
    let endpoint = format!("http://{}", collector.address);
    let sidecar = tokio::task::spawn_blocking(move || {
        let pairs = [("export.otlp.endpoint", endpoint.as_str()), ("export.otlp.interval", "1h")];
        let sidecar = Sidecar::before(&doubling_model(), &pairs);
        for id in ["a", "b", "c"] {
            assert_eq!(sidecar.predict(id, &[1.0, 2.0]).status(), 200);
        }
        sidecar.running.shutdown()
    });
    assert!(sidecar.await.unwrap().clean);
    let (mut rows, mut spans, mut events) = (0, 0, 0);
    while (rows, spans, events) != (6, 6, 1) {
        match collector.next().await.0 {
            Arrival::Metrics(request) => rows = input_rows(&request),
            Arrival::Traces(request) => spans += span_count(&request),
            Arrival::Logs(request) => events += record_count(&request),
        }
    }
}

/// `taffrail.decode.rows` of role input.
fn input_rows(request: &ExportMetricsServiceRequest) -> i64 {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    let rows = metrics.filter(|metric| metric.name == "taffrail.decode.rows");
    let points = rows.filter_map(|metric| match metric.data.as_ref()? {
        metric::Data::Sum(sum) => Some(&sum.data_points),
        _ => None,
    });
    let is_input = |point: &&NumberDataPoint| {
        point
            .attributes
            .iter()
            .any(|attribute| attribute.key == "role" && is_text(attribute, "input"))
    };
    points.flatten().filter(is_input).map(value).sum()
}

fn is_text(attribute: &KeyValue, text: &str) -> bool {
    let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
    matches!(value, Some(any_value::Value::StringValue(found)) if found == text)
}

fn value(point: &NumberDataPoint) -> i64 {
    match point.value {
        Some(number_data_point::Value::AsInt(value)) => value,
        _ => 0,
    }
}

fn span_count(request: &ExportTraceServiceRequest) -> usize {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}

/// That learning began is the only event here.
fn record_count(request: &ExportLogsServiceRequest) -> usize {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    scopes.map(|scope| scope.log_records.len()).sum()
}
