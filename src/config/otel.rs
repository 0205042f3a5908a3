//! `OTEL_*` variables of the OpenTelemetry specification, and the one that Azure names its connection
//! string by, as settings of our own keys.
//!
//! What the specification calls invalid is warned of and ignored, as it asks; a protocol that we do
//! not speak is a problem, since ignoring it would send to a port that does not answer.

use super::keys;
use super::layers::{Layers, Value};
use super::problem::Origin;
use percent_encoding::percent_decode_str;

/// Variables that set one key, and how their text becomes ours.
const PLAIN: &[(&str, &str, Reading)] = &[
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "export.otlp.endpoint", Reading::AsIs),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "export.otlp.protocol", Reading::Protocol),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "export.otlp.compression", COMPRESSION),
    ("OTEL_EXPORTER_OTLP_HEADERS", "export.otlp.headers", Reading::Pairs),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "export.otlp.timeout", Reading::Milliseconds),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "export.otlp.tls.ca", Reading::AsIs),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "export.otlp.tls.certificate", Reading::AsIs),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "export.otlp.tls.key", Reading::AsIs),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "export.otlp.metrics_url", Reading::AsIs),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "export.otlp.metrics_protocol", Reading::Protocol),
    ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "export.otlp.metrics_compression", COMPRESSION),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "export.otlp.metrics_headers", Reading::Pairs),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "export.otlp.metrics_timeout", Reading::Milliseconds),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "export.otlp.logs_url", Reading::AsIs),
    ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "export.otlp.logs_protocol", Reading::Protocol),
    ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "export.otlp.logs_compression", COMPRESSION),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "export.otlp.logs_headers", Reading::Pairs),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "export.otlp.logs_timeout", Reading::Milliseconds),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "export.otlp.traces_url", Reading::AsIs),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "export.otlp.traces_protocol", Reading::Protocol),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "export.otlp.traces_compression", COMPRESSION),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "export.otlp.traces_headers", Reading::Pairs),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "export.otlp.traces_timeout", Reading::Milliseconds),
    ("OTEL_METRIC_EXPORT_INTERVAL", "export.otlp.interval", Reading::Milliseconds),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "export.otlp.temporality",
        Reading::OneOf(keys::TEMPORALITIES),
    ),
    ("OTEL_TRACES_SAMPLER", "export.otlp.sampler", Reading::OneOf(keys::SAMPLERS)),
    ("OTEL_TRACES_SAMPLER_ARG", "export.otlp.sampler_ratio", Reading::Share),
    ("OTEL_SERVICE_NAME", "export.service_name", Reading::AsIs),
    ("OTEL_METRIC_EXPORT_INTERVAL", "export.application_insights.interval", Reading::Milliseconds),
    (
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        "export.application_insights.connection_string",
        Reading::AsIs,
    ),
    ("OTEL_RESOURCE_ATTRIBUTES", "export.resource", Reading::Attributes),
];

const COMPRESSION: Reading = Reading::OneOf(keys::COMPRESSIONS);

/// `none` turns the signal off.
const EXPORTERS: &[(&str, &str)] = &[
    ("OTEL_METRICS_EXPORTER", "export.otlp.metrics_url"),
    ("OTEL_LOGS_EXPORTER", "export.otlp.logs_url"),
    ("OTEL_TRACES_EXPORTER", "export.otlp.traces_url"),
];

#[derive(Clone, Copy)]
enum Reading {
    AsIs,
    Milliseconds,
    Share,
    OneOf(&'static [&'static str]),
    /// As it is, so that one that is not spoken is a problem.
    Protocol,
    /// `k=v,k=v`, percent-encoded as in the W3C Baggage.
    Pairs,
    /// The same, and one that cannot be decoded spoils them all, as the specification asks.
    Attributes,
}

pub(super) fn gather(variables: &[(String, String)], layers: &mut Layers) {
    // The specification: an empty variable is as good as none.
    let given = |name: &str| {
        let found = variables.iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    for (name, key, reading) in PLAIN {
        if let Some(text) = given(name) {
            plain(name, key, *reading, text, layers);
        }
    }
    for (name, key) in EXPORTERS {
        if let Some(text) = given(name) {
            exporter(name, key, text, layers);
        }
    }
    warn_of_unread(variables, layers);
    match given("OTEL_SDK_DISABLED") {
        Some(text) if text.eq_ignore_ascii_case("true") => {
            for key in ["export.otlp.enabled", "export.application_insights.enabled"] {
                set("OTEL_SDK_DISABLED", key, Value::Text("off".into()), layers);
            }
        }
        _ => {}
    }
}

/// Files of TLS are those of all signals; what else is not read has no meaning here.
fn warn_of_unread(variables: &[(String, String)], layers: &mut Layers) {
    let is_read = |name: &str| PLAIN.iter().any(|(known, ..)| *known == name);
    for (name, value) in variables {
        let is_exporters = name.starts_with("OTEL_EXPORTER_OTLP_") && !value.trim().is_empty();
        if !is_exporters || is_read(name) {
            continue;
        }
        let is_of_one = ["_CERTIFICATE", "_CLIENT_KEY"].iter().any(|end| name.ends_with(end));
        let message = if is_of_one {
            "files are those of all signals here; this variable is ignored, \
             set OTEL_EXPORTER_OTLP_CERTIFICATE, …_CLIENT_CERTIFICATE and …_CLIENT_KEY"
        } else {
            "this version does not read this variable; it is ignored"
        };
        layers.warn(Origin::OtelVariable(name.clone()), message);
    }
}

fn plain(name: &str, key: &str, reading: Reading, text: &str, layers: &mut Layers) {
    let lowered = text.to_ascii_lowercase();
    let value = match reading {
        Reading::AsIs => Ok(Value::Text(text.to_owned())),
        Reading::Protocol => Ok(Value::Text(lowered)),
        Reading::Milliseconds => match text.parse::<u64>() {
            Ok(millis) => Ok(Value::Text(format!("{millis}ms"))),
            Err(_) => Err("is not a whole number of milliseconds".to_owned()),
        },
        Reading::Share => match text.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Value::Text(text.to_owned())),
            _ => Err("is not a number from 0 to 1".to_owned()),
        },
        Reading::OneOf(allowed) if allowed.contains(&&*lowered) => Ok(Value::Text(lowered)),
        Reading::OneOf(allowed) => Err(format!("is none of {}", allowed.join(", "))),
        Reading::Attributes => attributes(text).map(Value::Map),
        Reading::Pairs => {
            pairs(text).map(Value::Map).ok_or("is not key=value,key=value".to_owned())
        }
    };
    match value {
        Ok(value) => set(name, key, value, layers),
        Err(why) => layers
            .warn(Origin::OtelVariable(name.to_owned()), format!("{text:?} {why}; it is ignored")),
    }
}

fn exporter(name: &str, key: &str, text: &str, layers: &mut Layers) {
    match text {
        "none" => set(name, key, Value::Text("none".into()), layers),
        "otlp" => {}
        _ => layers.warn(
            Origin::OtelVariable(name.to_owned()),
            format!("{text:?} is neither otlp nor none; it is ignored"),
        ),
    }
}

fn set(variable: &str, key: &str, value: Value, layers: &mut Layers) {
    if let Some(key) = keys::find(key) {
        layers.put(key, value, Origin::OtelVariable(variable.to_owned()));
    }
}

fn attributes(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').ok_or("is not key=value,key=value")?;
        let (name, value) = (decoded(name)?, decoded(value)?);
        if name.is_empty() { Err("has a value without a key") } else { Ok((name, value)) }
    };
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    parts.map(pair).collect::<Result<_, _>>().map_err(str::to_owned)
}

/// Every `%` must begin an escape, and what comes out must be text.
fn decoded(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let is_escape = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_escape) {
        return Err("has a % that is no percent-encoded byte; write it as %25");
    }
    let bytes = percent_decode_str(text).decode_utf8();
    bytes.map(Into::into).map_err(|_| "is not UTF-8 once it is percent-decoded")
}

fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        (!name.trim().is_empty()).then(|| (decoded(name), decoded(value)))
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}
