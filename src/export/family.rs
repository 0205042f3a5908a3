//! Metrics as data, before any wire format: what is collected once and written by every exporter.

use super::names::Metric;
use crate::distribution::Distribution;
use std::borrow::Cow;

/// All points of one metric.
#[derive(Debug, Clone)]
pub struct Family {
    pub metric: &'static Metric,
    pub points: Vec<Point>,
}

#[derive(Debug, Clone)]
pub struct Point {
    pub attributes: Vec<Attribute>,
    pub value: Value,
}

/// A key of the metric's own list (see [`Metric::attributes`]) and its value.
pub type Attribute = (&'static str, Cow<'static, str>);

#[derive(Debug, Clone)]
pub enum Value {
    Gauge(f64),
    /// Monotonic, since the process started.
    Counter(u64),
    /// Since the process started.
    Histogram(Box<Distribution>),
}
