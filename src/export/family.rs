//! Metrics as data, before any wire format: what is collected once and written by every exporter.

use super::exemplars::Exemplar;
use super::names::Metric;
use crate::distribution::Distribution;
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::SystemTime;

/// All points of one metric.
#[derive(Debug, Clone)]
pub struct Family {
    pub metric: &'static Metric,
    pub points: Vec<Point>,
    /// When its sums began to be counted; `None` with the process.
    pub since: Option<SystemTime>,
}

#[derive(Debug, Clone)]
pub struct Point {
    pub attributes: Vec<Attribute>,
    pub value: Value,
    /// Exchanges that a histogram counted: one a bucket, of each series that was merged into it.
    pub exemplars: Vec<Exemplar>,
}

/// A key of the metric's own list (see [`Metric::attributes`]) and its value.
pub type Attribute = (&'static str, Cow<'static, str>);

#[derive(Debug, Clone)]
pub enum Value {
    Gauge(f64),
    /// Monotonic, see [`Family::since`].
    Counter(u64),
    /// A sum too.
    Histogram(Box<Distribution>),
}

impl Family {
    pub fn new(metric: &'static Metric) -> Self {
        Self { metric, points: Vec::new(), since: None }
    }

    /// A family of one point without attributes.
    pub fn single(metric: &'static Metric, value: Value) -> Self {
        Self {
            metric,
            points: vec![Point { attributes: Vec::new(), value, exemplars: Vec::new() }],
            since: None,
        }
    }

    pub fn gauge(metric: &'static Metric, value: f64) -> Self {
        Self::single(metric, Value::Gauge(value))
    }

    pub fn count(metric: &'static Metric, value: u64) -> Self {
        Self::single(metric, Value::Counter(value))
    }

    pub fn push(&mut self, attributes: Vec<Attribute>, value: Value) {
        self.push_with(attributes, value, Vec::new());
    }

    pub fn push_with(
        &mut self,
        attributes: Vec<Attribute>,
        value: Value,
        exemplars: Vec<Exemplar>,
    ) {
        self.points.push(Point { attributes, value, exemplars });
    }

    /// Points with the same attributes are one series: they are added up.
    #[must_use]
    pub fn merged(mut self) -> Self {
        let mut places: HashMap<Vec<Attribute>, usize> = HashMap::new();
        let mut merged: Vec<Point> = Vec::with_capacity(self.points.len());
        for point in self.points.drain(..) {
            if let Some(&place) = places.get(&point.attributes) {
                merged[place].value.add(point.value);
                merged[place].exemplars.extend(point.exemplars);
            } else {
                places.insert(point.attributes.clone(), merged.len());
                merged.push(point);
            }
        }
        Self { points: merged, ..self }
    }
}

impl Value {
    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Counter(sum), Self::Counter(more)) => *sum += more,
            (Self::Histogram(sum), Self::Histogram(more)) => sum.merge(&more),
            (Self::Gauge(sum), Self::Gauge(more)) => *sum += more,
            (mine, other) => *mine = other,
        }
    }
}

/// Text that lives as long as the program, or a copy of what does not.
pub(crate) fn text(value: impl Into<String>) -> Cow<'static, str> {
    Cow::Owned(value.into())
}
