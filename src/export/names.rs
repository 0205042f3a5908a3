//! The one table of metric names. Users' dashboards hang on it: names here are kept.

/// What a metric is called, counted in, and told apart by.
#[derive(Debug)]
pub struct Metric {
    /// The OTLP name. Prometheus spells it with underscores, unit and `_total`.
    pub name: &'static str,
    /// UCUM.
    pub unit: &'static str,
    pub kind: Kind,
    pub description: &'static str,
    /// Keys that a point may carry beside the resource's.
    pub attributes: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Gauge,
    Counter,
    UpDownCounter,
    /// Bounds are for exporters that need explicit buckets; OTLP gets exponential ones.
    Histogram {
        bounds: &'static [f64],
    },
}
