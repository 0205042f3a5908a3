//! Families as metric items, on an interval: gauges as they are, counters and histograms as what came
//! since the last time, since what arrives is added up.
//!
//! A histogram loses its buckets here: the item takes sum, count, least and most. Quantiles therefore
//! go out as gauges of their own. What is by bin stays at home: it is for a join that only a store of
//! series can do, and costs more than all the rest.

use super::chunk::{Chunk, Press};
use super::envelope::{Cutter, Item, MAX_NAME, Properties};
use super::store::Store;
use crate::export::counters::{Loss, Signal};
use crate::export::family::{Attribute, Family, Value};
use crate::export::names::{self, Metric, key};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Families with a point for each bin of each feature.
const LEFT_OUT: [&Metric; 2] = [&names::FEATURE_ROWS, &names::BASELINE_SHARE];

/// Asks the process for everything it knows.
pub(super) type Collect = Box<dyn FnMut() -> Vec<Family> + Send>;

pub(super) struct Pusher {
    pub(super) collect: Collect,
    pub(super) deltas: Deltas,
    pub(super) press: Arc<Press>,
    pub(super) store: Arc<Store>,
    pub(super) interval: Duration,
}

impl Pusher {
    /// On each interval and, told to stop, once more.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut ticks = interval_at(Instant::now() + self.interval, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running = true;
        while running {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stopping.wait_for(|stop| *stop) => running = false,
            }
            let families = (self.collect)();
            for chunk in self.deltas.press(families, SystemTime::now(), &self.press) {
                self.store.put(chunk).await;
            }
        }
    }
}

type Series = (&'static str, Vec<Attribute>);

/// The sums that were said, and whose turn it is to say more: handed from an exporter to the one that
/// replaces it, which begins once the other has let go of the disk.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    said: Arc<Mutex<HashMap<Series, Value>>>,
}

impl Ledger {
    fn said(&self) -> MutexGuard<'_, HashMap<Series, Value>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Remembers the sums that were said, to say only what was added.
pub(super) struct Deltas {
    max_series: usize,
    ledger: Ledger,
}

#[derive(Serialize)]
struct MetricData<'a> {
    ver: u8,
    metrics: [DataPoint<'a>; 1],
    properties: Properties<'a>,
}

#[derive(Serialize)]
struct DataPoint<'a> {
    name: Cow<'a, str>,
    value: f64,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
}

/// The numbers of one item.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Aggregate {
    value: f64,
    count: u64,
    min: Option<f64>,
    max: Option<f64>,
}

impl Aggregate {
    fn is_finite(self) -> bool {
        [Some(self.value), self.min, self.max].into_iter().flatten().all(f64::is_finite)
    }
}

impl Deltas {
    pub(super) fn new(max_series: usize) -> Self {
        Self { max_series, ledger: Ledger::default() }
    }

    /// Goes on from what another has said.
    pub(super) fn after(self, ledger: Ledger) -> Self {
        Self { ledger, ..self }
    }

    pub(super) fn press(
        &mut self,
        mut families: Vec<Family>,
        at: SystemTime,
        press: &Press,
    ) -> Vec<Chunk> {
        families.retain(|family| !LEFT_OUT.iter().any(|out| out.name == family.metric.name));
        // Last, and so cut first, is what grows with the number of features.
        families.sort_by_key(|family| family.metric.attributes.contains(&key::FEATURE));
        let counts = press.counts(Signal::Metrics);
        let mut pressing = press.begin(Signal::Metrics);
        let mut series = 0;
        for family in families {
            let name = family.metric.name;
            for point in family.points {
                let (attributes, value) = (point.attributes, point.value);
                let Some(aggregate) = self.since_said(name, &attributes, &value) else { continue };
                if !aggregate.is_finite() {
                    counts.lose(Loss::Unfit, 1);
                    continue;
                }
                if series == self.max_series {
                    counts.lose(Loss::OverLimit, 1);
                    continue;
                }
                series += 1;
                pressing.push(|cutter| item(name, &attributes, aggregate, at, press, cutter));
                if !matches!(value, Value::Gauge(_)) {
                    self.ledger.said().insert((name, attributes), value);
                }
            }
        }
        pressing.finish()
    }

    /// `None` for a sum that did not grow.
    fn since_said(
        &self,
        name: &'static str,
        attributes: &[Attribute],
        value: &Value,
    ) -> Option<Aggregate> {
        let one = |value| Some(Aggregate { value, count: 1, min: None, max: None });
        let all = self.ledger.said();
        let said = match value {
            Value::Gauge(value) => return one(*value),
            _ => all.get(&(name, attributes.to_vec())),
        };
        match (value, said) {
            (Value::Counter(now), said) => {
                let before = if let Some(Value::Counter(before)) = said { *before } else { 0 };
                // A sum that fell was started anew, so all of it is new.
                let added = now.checked_sub(before).unwrap_or(*now);
                if added == 0 { None } else { one(added as f64) }
            }
            (Value::Histogram(now), said) => {
                let added = match said {
                    Some(Value::Histogram(before)) => Cow::Owned(now.since(before)),
                    _ => Cow::Borrowed(&**now),
                };
                (added.count() > 0).then(|| Aggregate {
                    value: added.sum(),
                    count: added.count(),
                    min: added.min(),
                    max: added.max(),
                })
            }
            (Value::Gauge(_), _) => None,
        }
    }
}

fn item(
    name: &'static str,
    attributes: &[Attribute],
    aggregate: Aggregate,
    at: SystemTime,
    press: &Press,
    cutter: &mut Cutter,
) -> Item<'static, MetricData<'static>> {
    let Aggregate { value, count, min, max } = aggregate;
    let point = DataPoint { name: cutter.cut(name, MAX_NAME), value, count, min, max };
    let model = press.speaker.model().map(|(name, value)| (name, Cow::Owned(value.into_owned())));
    let own = attributes.iter().cloned();
    let data =
        MetricData { ver: 2, metrics: [point], properties: cutter.properties(model.chain(own)) };
    Item { kind: "Metric", base_type: "MetricData", at, share: 1.0, operation: None, data }
}

#[cfg(test)]
mod tests;
