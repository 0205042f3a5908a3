//! Families as text for `/metrics`: Prometheus 0.0.4, or `OpenMetrics` 1.0 for those who ask for it.
//!
//! Names follow the OpenTelemetry rules for Prometheus: underscores, the unit spelled out, `_total`
//! on counters, nothing for unit 1. Every series carries the model's name and version, and
//! `target_info` the whole resource. Written here rather than by prometheus-client, which writes
//! `OpenMetrics` only and does not escape help texts.

use super::exemplars::Exemplar;
use super::family::{Family, Point, Value};
use super::names::{Kind, Metric};
use super::resource::Resource;
use crate::distribution::Distribution;
use std::borrow::Cow;
use std::fmt::{Display, Formatter, Write};
use std::time::UNIX_EPOCH;

/// All labels of an exemplar have 128 characters, of which the ids of a trace take 63 and the name of
/// this one 10.
const MAX_ID_CHARS: usize = 55;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text, version 0.0.4.
    Text,
    OpenMetrics,
}

impl Format {
    /// From an `Accept` header; text unless `OpenMetrics` is preferred.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let offers = accept.unwrap_or_default().split(',').map(weigh);
        let (mut open_metrics, mut text) = (0.0, 0.0);
        for (media, weight) in offers {
            match media {
                "application/openmetrics-text" => open_metrics = f64::max(open_metrics, weight),
                "text/plain" | "text/*" | "*/*" => text = f64::max(text, weight),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= text { Self::OpenMetrics } else { Self::Text }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A media range without its parameters, and its weight (RFC 9110, 12.4.2).
fn weigh(offer: &str) -> (&str, f64) {
    let mut parts = offer.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let weight = parts.filter_map(|part| part.strip_prefix("q=")).find_map(|q| q.parse().ok());
    (media, weight.unwrap_or(1.0))
}

pub fn encode(families: &[Family], resource: &Resource, format: Format) -> String {
    let mut page = Page { text: String::with_capacity(64 * 1024), format };
    page.target_info(resource);
    let model = resource.model().map(|(key, value)| (key, Cow::Borrowed(value)));
    for family in families {
        page.family(family, &model);
    }
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

/// The name of a family: for a counter, without the `_total` that its samples carry.
pub fn family_name(metric: &Metric) -> String {
    let mut name = label_name(metric.name);
    let unit = unit_suffix(metric);
    if !unit.is_empty() && !name.ends_with(&format!("_{unit}")) {
        name = format!("{name}_{unit}");
    }
    name
}

/// Words for UCUM units; what stands in braces only annotates.
fn unit_suffix(metric: &Metric) -> &'static str {
    match (metric.unit, metric.kind) {
        ("s", _) => "seconds",
        ("By", _) => "bytes",
        _ => "",
    }
}

fn label_name(key: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = key.chars().map(legal).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

type Labels<'a> = &'a [(&'static str, Cow<'a, str>)];

struct Page {
    text: String,
    format: Format,
}

impl Page {
    fn target_info(&mut self, resource: &Resource) {
        let (name, kind) = match self.format {
            Format::Text => ("target_info", "gauge"),
            Format::OpenMetrics => ("target", "info"),
        };
        self.line(format_args!("# HELP {name} The process that reports."));
        self.line(format_args!("# TYPE {name} {kind}"));
        self.text.push_str("target_info{");
        // Two keys that come out as one label would make the page invalid: the first stands.
        let mut seen = Vec::new();
        for (key, value) in resource.iter() {
            let name = label_name(key);
            if !seen.contains(&name) {
                let comma = if seen.is_empty() { "" } else { "," };
                self.write(format_args!("{comma}{name}=\"{}\"", Escaped(value)));
                seen.push(name);
            }
        }
        self.line(format_args!("}} 1"));
    }

    fn family(&mut self, family: &Family, model: Labels<'_>) {
        let metric = family.metric;
        let name = family_name(metric);
        self.head(metric, &name);
        for point in &family.points {
            match &point.value {
                Value::Gauge(value) => self.sample(&name, model, point, None, *value),
                Value::Counter(value) => {
                    self.sample(&format!("{name}_total"), model, point, None, Whole(*value));
                }
                Value::Histogram(values) => self.histogram(metric, &name, model, point, values),
            }
        }
    }

    fn head(&mut self, metric: &Metric, name: &str) {
        let kind = match metric.kind {
            Kind::Gauge | Kind::UpDownCounter => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram { .. } => "histogram",
        };
        let unit = unit_suffix(metric);
        let described = match (self.format, metric.kind) {
            (Format::Text, Kind::Counter) => format!("{name}_total"),
            _ => name.to_owned(),
        };
        self.line(format_args!("# HELP {described} {}", Escaped(metric.description)));
        self.line(format_args!("# TYPE {described} {kind}"));
        if self.format == Format::OpenMetrics && !unit.is_empty() {
            self.line(format_args!("# UNIT {described} {unit}"));
        }
    }

    fn histogram(
        &mut self,
        metric: &Metric,
        name: &str,
        model: Labels<'_>,
        point: &Point,
        values: &Distribution,
    ) {
        let Kind::Histogram { bounds } = metric.kind else { return };
        let bucket = format!("{name}_bucket");
        let mut above = f64::NEG_INFINITY;
        let counts = cumulative(values, bounds).into_iter().chain([values.count()]);
        for (bound, count) in bounds.iter().copied().chain([f64::INFINITY]).zip(counts) {
            let le = Number(bound, self.format).to_string();
            self.sample(&bucket, model, point, Some(("le", &le)), Whole(count));
            self.exemplar(point, above, bound);
            above = bound;
        }
        self.sample(&format!("{name}_sum"), model, point, None, values.sum());
        self.sample(&format!("{name}_count"), model, point, None, Whole(values.count()));
    }

    fn sample(
        &mut self,
        name: &str,
        model: Labels<'_>,
        point: &Point,
        extra: Option<(&str, &str)>,
        value: impl Sample,
    ) {
        self.text.push_str(name);
        let mut separator = '{';
        for (key, label) in model.iter().chain(&point.attributes) {
            self.write(format_args!("{separator}{}=\"{}\"", label_name(key), Escaped(label)));
            separator = ',';
        }
        if let Some((key, label)) = extra {
            self.write(format_args!("{separator}{key}=\"{label}\""));
        }
        self.text.push_str("} ");
        value.write(self);
        self.text.push('\n');
    }

    /// At the end of a bucket's line, as only `OpenMetrics` has it: the newest within its bounds.
    fn exemplar(&mut self, point: &Point, above: f64, bound: f64) {
        let is_within = |e: &&Exemplar| above < e.value && e.value <= bound;
        let newest = point.exemplars.iter().filter(is_within).max_by_key(|exemplar| exemplar.at);
        let Some(exemplar) = newest.filter(|_| self.format == Format::OpenMetrics) else { return };
        // The line was ended by its sample.
        self.text.pop();
        let (trace_id, span_id) = (Hex(&exemplar.trace_id), Hex(&exemplar.span_id));
        self.write(format_args!(" # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\""));
        let id = &exemplar.request_id;
        if !id.is_empty() && id.chars().count() <= MAX_ID_CHARS {
            self.write(format_args!(",request_id=\"{}\"", Escaped(id)));
        }
        let at = exemplar.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let value = Number(exemplar.value, self.format);
        self.line(format_args!("}} {value} {}.{:03}", at.as_secs(), at.subsec_millis()));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.write(text);
        self.text.push('\n');
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(text);
    }
}

/// How many values were at or below each bound.
fn cumulative(values: &Distribution, bounds: &[f64]) -> Vec<u64> {
    let mut counts = Vec::with_capacity(bounds.len());
    let mut buckets = values.buckets().peekable();
    let mut below = 0;
    for bound in bounds {
        while let Some((_, count)) = buckets.next_if(|(value, _)| value <= bound) {
            below += count;
        }
        counts.push(below);
    }
    counts
}

trait Sample {
    fn write(self, page: &mut Page);
}

impl Sample for f64 {
    fn write(self, page: &mut Page) {
        let number = Number(self, page.format);
        page.write(format_args!("{number}"));
    }
}

/// A count; exact beyond what a float holds.
struct Whole(u64);

impl Sample for Whole {
    fn write(self, page: &mut Page) {
        page.write(format_args!("{}", self.0));
    }
}

/// `OpenMetrics` wants a point in every float (`le="1.0"`); text has none in whole ones.
struct Number(f64, Format);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match (self.0, self.1) {
            (v, _) if v == f64::INFINITY => f.write_str("+Inf"),
            (v, _) if v == f64::NEG_INFINITY => f.write_str("-Inf"),
            (v, Format::Text) => write!(f, "{v}"),
            (v, Format::OpenMetrics) => write!(f, "{v:?}"),
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Backslash, quote and line feed, the three that the formats escape. Help of text 0.0.4 knows no
/// `\"`, so descriptions have no quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
