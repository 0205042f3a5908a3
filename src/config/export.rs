//! The `export` section: resource, and OTLP where an endpoint is given.

use super::checked::{Export, Otlp, OutboundTls, Secret, Temporality, TraceSampler};
use super::keys::TEMPORALITIES;
use super::pod::Pod;
use super::reader::Reader;
use http::{HeaderName, HeaderValue, Uri};

pub(super) fn export(reader: &mut Reader<'_>, pod: &Pod) -> Option<Export> {
    let otlp = otlp(reader);
    let track = pod.model_track(reader);
    let mut resource = pod.attributes(&track?, reader.pairs("export.resource"));
    let attribute = resource.iter().position(|(name, _)| name == "service.name");
    let attribute = attribute.map(|position| resource.remove(position).1);
    // The specification: OTEL_SERVICE_NAME over service.name among the attributes.
    let service_name = match attribute {
        Some(name) if !reader.is_given("export.service_name") => name,
        _ => reader.text("export.service_name"),
    };
    Some(Export { otlp: otlp?, resource, service_name })
}

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no export")]
fn otlp(reader: &mut Reader<'_>) -> Option<Option<Otlp>> {
    let enabled = reader.switch("export.otlp.enabled");
    let metrics_url = signal_url(reader, "metrics");
    let logs_url = signal_url(reader, "logs");
    let traces_url = signal_url(reader, "traces");
    let headers = headers(reader);
    let interval = reader.duration("export.otlp.interval");
    let timeout = reader.duration("export.otlp.timeout");
    let temporalities = [Temporality::Cumulative, Temporality::Delta];
    let words: Vec<_> = TEMPORALITIES.iter().copied().zip(temporalities).collect();
    let temporality = reader.one_of("export.otlp.temporality", &words);
    let sampler = sampler(reader);
    let otlp = Otlp {
        metrics_url: metrics_url?,
        logs_url: logs_url?,
        traces_url: traces_url?,
        headers: headers?,
        tls: OutboundTls::default(),
        interval: interval?,
        timeout: timeout?,
        temporality: temporality?,
        sampler: sampler?,
    };
    let urls = [&otlp.metrics_url, &otlp.logs_url, &otlp.traces_url];
    let sends = enabled? && urls.iter().any(|url| url.is_some());
    Some(sends.then_some(otlp))
}

/// The signal's own URL, unless the endpoint was given in a stronger place.
#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no export")]
fn signal_url(reader: &mut Reader<'_>, signal: &str) -> Option<Option<Uri>> {
    const ENDPOINT: &str = "export.otlp.endpoint";
    let own = format!("export.otlp.{signal}_url");
    let own_counts =
        reader.is_given(&own) && reader.origin(&own).rank() >= reader.origin(ENDPOINT).rank();
    if own_counts {
        return match reader.text(&own).as_str() {
            "none" => Some(None),
            _ => reader.url(&own).map(Some),
        };
    }
    if !reader.is_given(ENDPOINT) {
        return Some(None);
    }
    // The same fault would be told once a signal.
    if reader.problems.iter().any(|problem| problem.key == ENDPOINT) {
        return None;
    }
    let endpoint = reader.url(ENDPOINT)?.to_string();
    format!("{}/v1/{signal}", endpoint.trim_end_matches('/')).parse().ok().map(Some)
}

fn headers(reader: &mut Reader<'_>) -> Option<Vec<(HeaderName, Secret)>> {
    const KEY: &str = "export.otlp.headers";
    let pairs = reader.pairs(KEY);
    let mut headers = Vec::new();
    for (name, value) in &pairs {
        match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            (Ok(name), Ok(_)) => headers.push((name, Secret::new(value))),
            (Err(_), _) => reader.problem(KEY, format!("{name:?} is no name of a header")),
            (_, Err(_)) => {
                reader.problem(
                    KEY,
                    format!("the value of {name:?} has characters no header may have"),
                );
            }
        }
    }
    (headers.len() == pairs.len()).then_some(headers)
}

fn sampler(reader: &mut Reader<'_>) -> Option<TraceSampler> {
    let share = |share: f64| (0.0..=1.0).contains(&share);
    let ratio = reader.number("export.otlp.sampler_ratio", "from 0 to 1", share)?;
    let samplers = [
        ("always_on", TraceSampler::Ratio(1.0)),
        ("always_off", TraceSampler::Ratio(0.0)),
        ("traceidratio", TraceSampler::Ratio(ratio)),
        ("parentbased_always_on", TraceSampler::ParentBased(1.0)),
        ("parentbased_always_off", TraceSampler::ParentBased(0.0)),
        ("parentbased_traceidratio", TraceSampler::ParentBased(ratio)),
    ];
    reader.one_of("export.otlp.sampler", &samplers)
}
