//! Families as OTLP metrics, pushed on an interval.
//!
//! The messages are built here, since the SDK takes no metrics that are already aggregated.
//! Histograms go out exponential. With delta temporality a push carries what came since the last one
//! that was accepted: an interval that could not be delivered is part of the next, and nothing has
//! to be kept for it but the state that was last acknowledged.

use super::delivery::{Attempt, Delivery};
use super::exponential;
use crate::config::Temporality;
use crate::export;
use crate::export::counters::Loss;
use crate::export::family::{Attribute, Family, Point, Value};
use crate::export::names::{Kind, key};
use crate::export::resource::Resource;
use crate::export::retry::Backoff;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use prost::Message;
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::Instant;

/// Asks the process for everything it knows.
pub(super) type Collect = Box<dyn FnMut() -> Vec<Family> + Send>;

/// What was last acknowledged, handed from an exporter to the one that replaces it, so that a delta is
/// sent once, whichever of them sends it. One pushes at a time, in the order they were made.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    turn: Arc<tokio::sync::Mutex<()>>,
    acknowledged: Arc<Mutex<Acknowledged>>,
}

#[derive(Debug, Default)]
struct Acknowledged {
    sums: HashMap<Series, Value>,
    /// `None` before the first.
    at: Option<SystemTime>,
    /// Exemplars from before it were told, whatever the temporality.
    told_until: Option<SystemTime>,
}

impl Ledger {
    fn acknowledged(&self) -> MutexGuard<'_, Acknowledged> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Pusher {
    collect: Collect,
    encoder: Encoder,
    delivery: Arc<Delivery>,
    interval: Duration,
}

enum Pushed {
    Done,
    /// So many points, which the next push carries too.
    Refused(u64),
    Later {
        retry_after: Option<Duration>,
    },
}

impl Pusher {
    pub(super) fn new(
        collect: Collect,
        encoder: Encoder,
        delivery: Arc<Delivery>,
        interval: Duration,
    ) -> Self {
        Self { collect, encoder, delivery, interval }
    }

    /// Pushes on each interval and, told to stop, once more; begins when it is its turn.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let turn = Arc::clone(&self.encoder.ledger.turn);
        let _turn = turn.lock().await;
        let mut next = Instant::now() + self.interval;
        let mut backoff = Backoff::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
            let last = *stopping.borrow();
            match self.push(last).await {
                Pushed::Done if last => return,
                // There is no next one.
                Pushed::Refused(points) if last => {
                    return self.delivery.counts().lose(Loss::Refused, points);
                }
                Pushed::Done | Pushed::Refused(_) => {
                    backoff = Backoff::default();
                    next = (next + self.interval).max(Instant::now());
                }
                Pushed::Later { retry_after } => {
                    self.delivery.pause(&mut backoff, retry_after).await;
                    next = Instant::now();
                }
            }
        }
    }

    async fn push(&mut self, last: bool) -> Pushed {
        let (families, at) = ((self.collect)(), SystemTime::now());
        let request = self.encoder.encode(&families, at);
        let points = count_points(&families);
        let counts = self.delivery.counts();
        counts.queued.store(points, Relaxed);
        let message = request.encode_to_vec().into();
        let pushed = match self.delivery.attempt(&message).await {
            Attempt::Accepted { rejected } => {
                counts.sent.fetch_add(points.saturating_sub(rejected), Relaxed);
                self.encoder.acknowledge(families, at, last);
                Pushed::Done
            }
            Attempt::Refused => Pushed::Refused(points),
            Attempt::Later { retry_after } => return Pushed::Later { retry_after },
        };
        counts.queued.store(0, Relaxed);
        pushed
    }
}

fn count_points(families: &[Family]) -> u64 {
    families.iter().map(|family| family.points.len() as u64).sum()
}

type Series = (&'static str, Vec<Attribute>);

/// Turns cumulative families into messages of the temporality that was asked for.
pub(super) struct Encoder {
    resource: ProtoResource,
    model: Vec<KeyValue>,
    temporality: Temporality,
    started_at: SystemTime,
    ledger: Ledger,
}

impl Encoder {
    pub(super) fn new(
        resource: &Resource,
        temporality: Temporality,
        started_at: SystemTime,
    ) -> Self {
        let attributes = resource.iter().map(|(key, value)| key_value(key, value)).collect();
        Self {
            resource: ProtoResource { attributes, ..Default::default() },
            model: resource.model().iter().map(|(key, value)| key_value(key, value)).collect(),
            temporality,
            started_at,
            ledger: Ledger::default(),
        }
    }

    /// Goes on from what another has sent.
    pub(super) fn after(self, ledger: Ledger) -> Self {
        Self { ledger, ..self }
    }

    pub(super) fn encode(
        &self,
        families: &[Family],
        at: SystemTime,
    ) -> ExportMetricsServiceRequest {
        let metrics = families.iter().map(|family| self.metric(family, at)).collect();
        let scope = InstrumentationScope {
            name: super::SCOPE.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..Default::default()
        };
        let scope = ScopeMetrics { scope: Some(scope), metrics, ..Default::default() };
        let resource = Some(self.resource.clone());
        let of_resource =
            ResourceMetrics { resource, scope_metrics: vec![scope], ..Default::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![of_resource] }
    }

    /// The collector has `families` now. Only deltas need to remember all of it, and who comes after
    /// the `last` push.
    pub(super) fn acknowledge(&mut self, families: Vec<Family>, at: SystemTime, last: bool) {
        let mut acknowledged = self.ledger.acknowledged();
        acknowledged.told_until = Some(at);
        if self.temporality == Temporality::Cumulative && !last {
            return;
        }
        acknowledged.at = Some(at);
        acknowledged.sums.clear();
        for family in families {
            let name = family.metric.name;
            let points = family.points.into_iter();
            let sums = points.filter(|point| !matches!(point.value, Value::Gauge(_)));
            acknowledged.sums.extend(sums.map(|point| ((name, point.attributes), point.value)));
        }
    }

    fn metric(&self, family: &Family, at: SystemTime) -> Metric {
        let data = match family.metric.kind {
            Kind::Gauge => {
                metric::Data::Gauge(Gauge { data_points: self.numbers(family, None, at) })
            }
            // A level has no delta: by the specification it stays cumulative.
            Kind::UpDownCounter => metric::Data::Sum(Sum {
                data_points: self.numbers(family, Some(self.started_at), at),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: false,
            }),
            Kind::Counter => metric::Data::Sum(Sum {
                data_points: self.numbers(family, Some(self.start(family)), at),
                aggregation_temporality: self.aggregation().into(),
                is_monotonic: true,
            }),
            Kind::Histogram { .. } => metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.histograms(family, at),
                aggregation_temporality: self.aggregation().into(),
            }),
        };
        Metric {
            name: family.metric.name.into(),
            description: family.metric.description.into(),
            unit: family.metric.unit.into(),
            data: Some(data),
            ..Default::default()
        }
    }

    fn start(&self, family: &Family) -> SystemTime {
        let start = match self.temporality {
            Temporality::Cumulative => self.started_at,
            Temporality::Delta => self.ledger.acknowledged().at.unwrap_or(self.started_at),
        };
        family.since.map_or(start, |since| since.max(start))
    }

    fn aggregation(&self) -> AggregationTemporality {
        match self.temporality {
            Temporality::Cumulative => AggregationTemporality::Cumulative,
            Temporality::Delta => AggregationTemporality::Delta,
        }
    }

    fn numbers(
        &self,
        family: &Family,
        start: Option<SystemTime>,
        at: SystemTime,
    ) -> Vec<NumberDataPoint> {
        let number = |point: &Point| {
            let value = match self.pending(family, point) {
                Value::Gauge(value) => number_data_point::Value::AsDouble(value),
                Value::Counter(value) => {
                    number_data_point::Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX))
                }
                Value::Histogram(_) => return None,
            };
            Some(NumberDataPoint {
                attributes: self.attributes(point),
                start_time_unix_nano: start.map_or(0, nanos),
                time_unix_nano: nanos(at),
                value: Some(value),
                ..Default::default()
            })
        };
        family.points.iter().filter_map(number).collect()
    }

    /// A delta without a value in it is left out.
    fn histograms(&self, family: &Family, at: SystemTime) -> Vec<ExponentialHistogramDataPoint> {
        let histogram = |point: &Point| {
            let Value::Histogram(values) = self.pending(family, point) else { return None };
            (values.count() > 0).then(|| ExponentialHistogramDataPoint {
                attributes: self.attributes(point),
                start_time_unix_nano: nanos(self.start(family)),
                time_unix_nano: nanos(at),
                exemplars: self.exemplars(point),
                ..exponential::point(&values)
            })
        };
        family.points.iter().filter_map(histogram).collect()
    }

    /// What the collector does not have yet, or everything if it wants that each time.
    fn pending(&self, family: &Family, point: &Point) -> Value {
        let acknowledged = self.ledger.acknowledged();
        // What was counted before is another sum.
        let began_after = acknowledged.at.zip(family.since).is_some_and(|(at, since)| since > at);
        let has_nothing = acknowledged.sums.is_empty() || began_after;
        if self.temporality == Temporality::Cumulative || has_nothing {
            return point.value.clone();
        }
        let series = (family.metric.name, point.attributes.clone());
        match (&point.value, acknowledged.sums.get(&series)) {
            // A sum that fell was started anew, so all of it is new.
            (Value::Counter(now), Some(Value::Counter(then))) => {
                Value::Counter(now.checked_sub(*then).unwrap_or(*now))
            }
            (Value::Histogram(now), Some(Value::Histogram(then))) => {
                Value::Histogram(Box::new(now.since(then)))
            }
            (value, _) => value.clone(),
        }
    }

    /// Those that the collector has not seen.
    fn exemplars(&self, point: &Point) -> Vec<Exemplar> {
        let told_until = self.ledger.acknowledged().told_until.unwrap_or(self.started_at);
        let is_new = |exemplar: &&export::Exemplar| exemplar.at > told_until;
        point.exemplars.iter().filter(is_new).map(exemplar).collect()
    }

    fn attributes(&self, point: &Point) -> Vec<KeyValue> {
        let own = point.attributes.iter().map(|(key, value)| key_value(key, value));
        self.model.iter().cloned().chain(own).collect()
    }
}

fn exemplar(exemplar: &export::Exemplar) -> Exemplar {
    let id = Some(&exemplar.request_id).filter(|id| !id.is_empty());
    Exemplar {
        filtered_attributes: id.iter().map(|id| key_value(key::REQUEST_ID, id)).collect(),
        time_unix_nano: nanos(exemplar.at),
        span_id: exemplar.span_id.to_vec(),
        trace_id: exemplar.trace_id.to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
    }
}

fn key_value(name: &str, text: &str) -> KeyValue {
    let value = match text.parse() {
        Ok(number) if key::INTEGERS.contains(&name) => any_value::Value::IntValue(number),
        _ => any_value::Value::StringValue(text.to_owned()),
    };
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: name.to_owned(), value, ..Default::default() }
}

fn nanos(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
