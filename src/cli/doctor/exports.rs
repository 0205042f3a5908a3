//! Whoever telemetry is sent to: asked to take an export of nothing.

use super::machine::Clock;
use super::{Finding, chain, millis, peer};
use crate::config::{Config, Otlp};
use crate::export::{Client, SendError};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use std::time::{Duration, Instant};

/// Somebody waits at a terminal; an exporter has more patience.
const PATIENCE: Duration = Duration::from_secs(5);

const APPLICATION_INSIGHTS: &str = "APPLICATIONINSIGHTS_CONNECTION_STRING";

pub(super) async fn check(config: &Config, findings: &mut Vec<Finding>, clock: &mut Clock) {
    match &config.export.otlp {
        None => findings.push(Finding::ok("otlp", "no endpoint is given: nothing is sent")),
        Some(otlp) => collector(otlp, findings, clock).await,
    }
    let text = std::env::var(APPLICATION_INSIGHTS).unwrap_or_default();
    if !text.trim().is_empty() {
        findings.push(application_insights(&text).await);
    }
}

async fn collector(otlp: &Otlp, findings: &mut Vec<Finding>, clock: &mut Clock) {
    let client = match Client::new(otlp.tls.clone()) {
        Ok(client) => client,
        Err(error) => {
            let advice = "correct the certificates of export.otlp.tls";
            return findings.push(Finding::fail("otlp", chain(&error), advice));
        }
    };
    let signals = [
        ("otlp metrics", &otlp.metrics_url),
        ("otlp logs", &otlp.logs_url),
        ("otlp traces", &otlp.traces_url),
    ];
    for (check, url) in signals {
        let Some(url) = url else { continue };
        match signal(check, url, otlp, &client, clock).await {
            Ok(finding) => findings.push(finding),
            Err(error) => {
                // Nobody is there: the other signals would only say so again.
                let seen = format!("{url}: {}", chain(&error));
                return findings.push(Finding::fail("otlp", seen, why(&error)));
            }
        }
    }
}

async fn signal(
    check: &'static str,
    url: &Uri,
    otlp: &Otlp,
    client: &Client,
    clock: &mut Clock,
) -> Result<Finding, SendError> {
    let began = Instant::now();
    let answer = client.send(nothing(url, otlp), otlp.timeout.min(PATIENCE)).await?;
    clock.heard("the collector", peer::date(answer.headers()));
    let status = answer.status();
    let seen = format!("{url}: {} in {}", status.as_u16(), millis(began.elapsed()));
    Ok(match status {
        status if status.is_success() => Finding::ok(check, format!("{seen}, takes exports")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Finding::fail(check, seen, "give the collector's credentials in export.otlp.headers")
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Finding::fail(
            check,
            seen,
            "no OTLP over HTTP is spoken there: the port is usually 4318, the path /v1/metrics, \
             /v1/logs or /v1/traces",
        ),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Finding::warn(check, seen, "the collector is busy; exports wait and are tried again")
        }
        _ => {
            Finding::fail(check, seen, "look at the collector's log, and at its receiver for OTLP")
        }
    })
}

/// An export request without anything in it, which is a message of no bytes.
fn nothing(url: &Uri, otlp: &Otlp) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = url.clone();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    for (name, value) in &otlp.headers {
        if let Ok(value) = HeaderValue::from_str(value.expose()) {
            headers.insert(name.clone(), value);
        }
    }
    request
}

fn why(error: &SendError) -> &'static str {
    match error {
        SendError::Connect(_) => {
            "nothing accepts connections there: correct export.otlp.endpoint, or look for a network \
             policy in between"
        }
        SendError::Handshake { .. } => {
            "its certificate is not trusted, or it speaks no TLS: see export.otlp.endpoint"
        }
        SendError::TimedOut(_) => "it does not answer: look for a network policy in between",
        _ => "no OTLP over HTTP is spoken there: the port is usually 4318, and not 4317",
    }
}

/// Reached, and its certificate checked; nothing that would be stored is sent.
async fn application_insights(connection_string: &str) -> Finding {
    const CHECK: &str = "app insights";
    let field = |name: &str| {
        let mut fields = connection_string.split(';').filter_map(|field| field.split_once('='));
        fields.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    if field("InstrumentationKey").is_none_or(str::is_empty) {
        let seen = format!("{APPLICATION_INSIGHTS} has no InstrumentationKey");
        return Finding::fail(CHECK, seen, "copy the whole connection string from the portal");
    }
    let endpoint = field("IngestionEndpoint").unwrap_or("https://dc.services.visualstudio.com");
    let Ok(uri) = endpoint.parse::<Uri>() else {
        let seen = format!("IngestionEndpoint={endpoint} is no URL");
        return Finding::fail(CHECK, seen, "copy the whole connection string from the portal");
    };
    let began = Instant::now();
    let reached = async { Client::new(crate::config::OutboundTls::default())?.reach(&uri).await };
    match tokio::time::timeout(PATIENCE, reached).await {
        Ok(Ok(())) => {
            let took = millis(began.elapsed());
            Finding::ok(CHECK, format!("{endpoint} is reached and its certificate good, {took}"))
        }
        Ok(Err(error)) => {
            let advice = "allow this pod to reach it: egress, proxy, private link";
            Finding::fail(CHECK, format!("{endpoint}: {}", chain(&error)), advice)
        }
        Err(_) => {
            let advice = "allow this pod to reach it: egress, proxy, private link";
            Finding::fail(CHECK, format!("{endpoint}: no connection within {PATIENCE:?}"), advice)
        }
    }
}
