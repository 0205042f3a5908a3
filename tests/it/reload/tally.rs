//! A collector that adds up what it gets.

use crate::export::collector::{Arrival, Collector};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

pub(super) struct Tally {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Heard {
    arrivals: u64,
    spans: u64,
    /// Of `http.server.request.duration`: deltas added up, and the last cumulative sum.
    delta: u64,
    cumulative: u64,
    events: Vec<Event>,
    resource: Vec<(String, String)>,
    headers: http::HeaderMap,
}

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) body: String,
    pub(super) attributes: Map<String, Value>,
}

impl Tally {
    pub(super) fn start() -> Self {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, address) = std::sync::mpsc::sync_channel(1);
        let hearing = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut collector = Collector::answering(&[]).await;
                told.send(collector.address).unwrap();
                let listen = async {
                    while let Some((arrival, headers)) = collector.any().await {
                        hearing.lock().unwrap().add(&arrival, headers);
                    }
                };
                tokio::select! {
                    () = listen => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().unwrap();
        Self { address, heard, stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn arrivals(&self) -> u64 {
        self.heard.lock().unwrap().arrivals
    }

    pub(super) fn spans(&self) -> u64 {
        self.heard.lock().unwrap().spans
    }

    /// By deltas.
    pub(super) fn requests(&self) -> u64 {
        self.heard.lock().unwrap().delta
    }

    pub(super) fn cumulative(&self) -> u64 {
        self.heard.lock().unwrap().cumulative
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.heard.lock().unwrap().events.clone()
    }

    pub(super) fn resource(&self) -> Vec<(String, String)> {
        self.heard.lock().unwrap().resource.clone()
    }

    pub(super) fn last_header(&self, name: &str) -> Option<String> {
        let heard = self.heard.lock().unwrap();
        heard.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Heard {
    fn add(&mut self, arrival: &Arrival, headers: http::HeaderMap) {
        self.arrivals += 1;
        self.headers = headers;
        match arrival {
            Arrival::Metrics(request) => self.metrics(request),
            Arrival::Traces(request) => self.traces(request),
            Arrival::Logs(request) => self.logs(request),
        }
    }

    fn metrics(&mut self, request: &ExportMetricsServiceRequest) {
        let resource =
            request.resource_metrics.iter().find_map(|metrics| metrics.resource.as_ref());
        let attributes = resource.unwrap().attributes.iter();
        let pair = |pair: &opentelemetry_proto::tonic::common::v1::KeyValue| {
            (pair.key.clone(), plain(pair.value.as_ref()).as_str().unwrap_or_default().to_owned())
        };
        self.resource = attributes.map(pair).collect();
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| &scope.metrics);
        for metric in metrics.filter(|metric| metric.name == "http.server.request.duration") {
            let Some(metric::Data::ExponentialHistogram(data)) = &metric.data else { panic!() };
            let count = data.data_points.iter().map(|point| point.count).sum::<u64>();
            if data.aggregation_temporality == AggregationTemporality::Delta as i32 {
                self.delta += count;
            } else {
                self.cumulative = count;
            }
        }
    }

    fn traces(&mut self, request: &ExportTraceServiceRequest) {
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        self.spans += scopes.map(|scope| scope.spans.len() as u64).sum::<u64>();
    }

    fn logs(&mut self, request: &ExportLogsServiceRequest) {
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        for record in scopes.flat_map(|scope| &scope.log_records) {
            let attributes = record.attributes.iter();
            self.events.push(Event {
                name: record.event_name.clone(),
                body: plain(record.body.as_ref()).as_str().unwrap_or_default().to_owned(),
                attributes: attributes
                    .map(|pair| (pair.key.clone(), plain(pair.value.as_ref())))
                    .collect(),
            });
        }
    }
}

fn plain(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::BoolValue(yes)) => json!(yes),
        Some(Any::ArrayValue(all)) => all.values.iter().map(|value| plain(Some(value))).collect(),
        _ => Value::Null,
    }
}
