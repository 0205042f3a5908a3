//! The `export.otlp` section: where each signal goes, and how. What is said of one signal wins over
//! what is said of all, unless that was said in a stronger place.

use super::checked::{
    Compression, Otlp, OtlpAuth, OtlpProtocol, Receiver, Secret, Temporality, TraceSampler,
};
use super::keys::{COMPRESSIONS, OTLP_AUTHS, OTLP_PROTOCOLS, TEMPORALITIES};
use super::reader::Reader;
use super::tls;
use http::{HeaderName, HeaderValue, Uri};
use std::net::IpAddr;
use std::time::Duration;

const ENDPOINT: &str = "export.otlp.endpoint";
const AUTH: &str = "export.otlp.auth";
const TEMPORALITY: &str = "export.otlp.temporality";
const TLS: tls::OutboundKeys = tls::OutboundKeys {
    ca: "export.otlp.tls.ca",
    identity: tls::IdentityKeys {
        certificate: "export.otlp.tls.certificate",
        key: "export.otlp.tls.key",
    },
};

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no export")]
pub(super) fn otlp(reader: &mut Reader<'_>, sampler: Option<TraceSampler>) -> Option<Option<Otlp>> {
    let enabled = reader.switch("export.otlp.enabled");
    let auth = reader.one_of(AUTH, &zipped(OTLP_AUTHS, &[OtlpAuth::None, OtlpAuth::Azure]));
    let metrics = receiver(reader, "metrics");
    let logs = receiver(reader, "logs");
    let traces = receiver(reader, "traces");
    let tls = tls::outbound(reader, &TLS);
    let interval = reader.duration("export.otlp.interval");
    let temporalities = zipped(TEMPORALITIES, &[Temporality::Cumulative, Temporality::Delta]);
    let temporality = reader.one_of(TEMPORALITY, &temporalities);
    let mut otlp = Otlp {
        metrics: metrics?,
        logs: logs?,
        traces: traces?,
        tls: tls?,
        auth: auth?,
        interval: interval?,
        temporality: temporality?,
        sampler: sampler?,
    };
    if !enabled? || otlp.receivers().next().is_none() {
        return Some(None);
    }
    if otlp.auth == OtlpAuth::Azure {
        fit_azure(reader, &mut otlp)?;
    }
    warn_of_idle_tls(reader, &otlp);
    Some(Some(otlp))
}

fn zipped<T: Copy>(words: &[&'static str], values: &[T]) -> Vec<(&'static str, T)> {
    words.iter().copied().zip(values.iter().copied()).collect()
}

/// What wins of the signal's own key and the one of all signals.
fn stronger(reader: &Reader<'_>, signal: &str, setting: &str) -> String {
    let own = format!("export.otlp.{signal}_{setting}");
    let all = format!("export.otlp.{setting}");
    let own_counts =
        reader.is_given(&own) && reader.origin(&own).rank() >= reader.origin(&all).rank();
    if own_counts { own } else { all }
}

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no export")]
fn receiver(reader: &mut Reader<'_>, signal: &str) -> Option<Option<Receiver>> {
    let protocol = protocol(reader, &stronger(reader, signal, "protocol"));
    let compressions = zipped(COMPRESSIONS, &[Compression::None, Compression::Gzip]);
    let compression = once(reader, &stronger(reader, signal, "compression"), |reader, key| {
        reader.one_of(key, &compressions)
    });
    let headers = once(reader, &stronger(reader, signal, "headers"), headers);
    let timeout = once(reader, &stronger(reader, signal, "timeout"), timeout);
    let url = url(reader, signal, protocol?)?;
    let (compression, headers, timeout) = (compression?, headers?, timeout?);
    let receiver = |url| Receiver {
        url,
        protocol: protocol.unwrap_or_default(),
        compression,
        headers,
        timeout,
    };
    Some(url.map(receiver))
}

/// A key of all signals is read once a signal; its fault is told once.
fn once<T>(
    reader: &mut Reader<'_>,
    key: &str,
    read: impl FnOnce(&mut Reader<'_>, &str) -> Option<T>,
) -> Option<T> {
    let was_told = reader.problems.iter().any(|problem| problem.key == key);
    if was_told { None } else { read(reader, key) }
}

fn timeout(reader: &mut Reader<'_>, key: &str) -> Option<Duration> {
    reader.duration(key)
}

fn protocol(reader: &mut Reader<'_>, key: &str) -> Option<OtlpProtocol> {
    let protocols = zipped(OTLP_PROTOCOLS, &[OtlpProtocol::Http, OtlpProtocol::Grpc]);
    once(reader, key, |reader, key| reader.one_of(key, &protocols))
}

#[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no export")]
fn url(reader: &mut Reader<'_>, signal: &str, protocol: OtlpProtocol) -> Option<Option<Uri>> {
    let own = format!("export.otlp.{signal}_url");
    let own_counts =
        reader.is_given(&own) && reader.origin(&own).rank() >= reader.origin(ENDPOINT).rank();
    if own_counts {
        return match reader.text(&own).as_str() {
            "none" => Some(None),
            _ => fitting(reader, &own, protocol).map(Some),
        };
    }
    if !reader.is_given(ENDPOINT) {
        return Some(None);
    }
    let endpoint = once(reader, ENDPOINT, |reader, key| fitting(reader, key, protocol))?;
    match protocol {
        OtlpProtocol::Grpc => Some(Some(endpoint)),
        OtlpProtocol::Http => {
            let endpoint = endpoint.to_string();
            format!("{}/v1/{signal}", endpoint.trim_end_matches('/')).parse().ok().map(Some)
        }
    }
}

/// gRPC names its services by paths of its own.
fn fitting(reader: &mut Reader<'_>, key: &str, protocol: OtlpProtocol) -> Option<Uri> {
    let url = reader.url_or_tls(key)?;
    if protocol == OtlpProtocol::Grpc && url.path() != "/" {
        let message = format!("{:?} has a path; for gRPC write http://host:4317", url.to_string());
        reader.problem(key, message);
        return None;
    }
    Some(url)
}

fn headers(reader: &mut Reader<'_>, key: &str) -> Option<Vec<(HeaderName, Secret)>> {
    let pairs = reader.pairs(key);
    let mut headers = Vec::new();
    for (name, value) in &pairs {
        match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            (Ok(name), Ok(_)) => headers.push((name, Secret::new(value))),
            (Err(_), _) => reader.problem(key, format!("{name:?} is no name of a header")),
            (_, Err(_)) => {
                let message = format!("the value of {name:?} has characters no header may have");
                reader.problem(key, message);
            }
        }
    }
    (headers.len() == pairs.len()).then_some(headers)
}

/// Azure Monitor takes binary protobuf over HTTP; its views of Application Insights read deltas. A
/// token opens what the identity may do, so it goes out in plain text to nobody but this host.
fn fit_azure(reader: &mut Reader<'_>, otlp: &mut Otlp) -> Option<()> {
    for receiver in otlp.receivers() {
        let url = &receiver.url;
        let told = url.to_string();
        if receiver.protocol == OtlpProtocol::Grpc {
            let message = "\"azure\" goes with http/protobuf only; change export.otlp.protocol";
            return refuse(reader, message.to_owned());
        }
        if !is_private(url) {
            let message =
                format!("\"azure\" would send its token in plain text to {told:?}; write https://");
            return refuse(reader, message);
        }
        if receiver.headers.iter().any(|(name, _)| *name == http::header::AUTHORIZATION) {
            let message = "\"azure\" and a header \"authorization\" are one too many; remove one";
            return refuse(reader, message.to_owned());
        }
    }
    if otlp.receivers().any(|receiver| receiver.compression != Compression::None) {
        let message = "Azure Monitor promises nothing for compressed requests; leave it at none";
        reader.warn("export.otlp.compression", message);
    }
    if !reader.is_given(TEMPORALITY) {
        otlp.temporality = Temporality::Delta;
    } else if otlp.temporality == Temporality::Cumulative {
        let message =
            "\"cumulative\" is not what the views of Application Insights read; leave it at delta";
        reader.warn(TEMPORALITY, message);
    }
    Some(())
}

fn refuse(reader: &mut Reader<'_>, message: String) -> Option<()> {
    reader.problem(AUTH, message);
    None
}

/// Whether what is sent there stays between its two ends.
pub(super) fn is_private(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    url.scheme_str() == Some("https") || is_loopback || host == "localhost"
}

fn warn_of_idle_tls(reader: &mut Reader<'_>, otlp: &Otlp) {
    let is_idle = otlp.receivers().all(|receiver| receiver.url.scheme_str() == Some("http"));
    if !is_idle {
        return;
    }
    for key in [TLS.ca, TLS.identity.certificate] {
        if reader.is_given(key) {
            reader.warn(key, "is of no use: no URL of export.otlp is https://");
        }
    }
}

pub(super) fn sampler(reader: &mut Reader<'_>) -> Option<TraceSampler> {
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
