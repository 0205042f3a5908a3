//! Whoever telemetry is sent to: asked to take an export of nothing.

use super::machine::Clock;
use super::{Finding, chain, millis, peer};
use crate::config::{Azure, Config, Otlp, OtlpProtocol, OutboundTls};
use crate::export::otlp::{Outcome, Probed, probe};
use crate::export::{AzureToken, Client, SendError, Signal};
use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Somebody waits at a terminal; an exporter has more patience.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn check(config: &Config, findings: &mut Vec<Finding>, clock: &mut Clock) {
    match &config.export.otlp {
        None => findings.push(Finding::ok("otlp", "no endpoint is given: nothing is sent")),
        Some(otlp) => {
            collector(otlp, config.export.azure.as_ref(), findings).await;
            ask_time(otlp, clock).await;
        }
    }
    if let Some(insights) = &config.export.application_insights {
        findings.push(application_insights(&insights.connection.ingestion).await);
    }
}

async fn collector(otlp: &Otlp, azure: Option<&Azure>, findings: &mut Vec<Finding>) {
    let token = azure.cloned().map(AzureToken::new).transpose();
    let token = match token {
        Ok(token) => token.map(Arc::new),
        Err(error) => {
            let advice = "see export.azure";
            return findings.push(Finding::fail("otlp", chain(&error), advice));
        }
    };
    match probe(otlp, token.as_ref(), PATIENCE).await {
        Ok(probed) => findings.extend(probed.iter().map(finding)),
        Err(error) => {
            let advice = "correct the files of export.otlp.tls";
            findings.push(Finding::fail("otlp", chain(&error), advice));
        }
    }
    // Where nobody is there, the other signals only say so again.
    findings.dedup_by(|next, before| {
        next.check.starts_with("otlp") && next.advice.is_some() && next.advice == before.advice
    });
}

fn finding(Probed { signal, url, outcome }: &Probed) -> Finding {
    let check = match signal {
        Signal::Metrics => "otlp metrics",
        Signal::Logs => "otlp logs",
        Signal::Traces => "otlp traces",
    };
    match outcome {
        Outcome::Taken => Finding::ok(check, format!("{url} takes exports")),
        Outcome::Unreached(error) => {
            Finding::fail(check, format!("{url}: {}", chain(error)), why(error))
        }
        Outcome::Busy(reason) => {
            let advice = "exports wait and are tried again: look at the collector's log";
            Finding::warn(check, format!("{url}: {reason}"), advice)
        }
        Outcome::Refused(reason) => {
            let advice = "give credentials in export.otlp.headers if it asks for them; OTLP over HTTP \
                          is usually at port 4318, gRPC at 4317: export.otlp.endpoint, \
                          export.otlp.protocol";
            Finding::fail(check, format!("{url}: {reason}"), advice)
        }
    }
}

/// Any answer over HTTP/1.1 tells the time, a refusal too.
async fn ask_time(otlp: &Otlp, clock: &mut Clock) {
    let receiver = otlp.receivers().find(|receiver| receiver.protocol == OtlpProtocol::Http);
    let (Some(receiver), Ok(client)) = (receiver, Client::new(otlp.tls.clone())) else { return };
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = receiver.url.clone();
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    request.headers_mut().insert(header::CONTENT_TYPE, protobuf);
    if let Ok(answer) = client.send(request, PATIENCE).await {
        clock.heard("the collector", peer::date(answer.headers()));
    }
}

fn why(error: &SendError) -> &'static str {
    match error {
        SendError::Handshake { .. } | SendError::Files(_) => {
            "its certificate is not trusted, or it speaks no TLS: see export.otlp.tls.ca and \
             export.otlp.endpoint"
        }
        _ => {
            "nothing accepts connections there: correct export.otlp.endpoint, or look for a network \
             policy in between"
        }
    }
}

/// Reached, and its certificate checked; nothing that would be stored is sent.
async fn application_insights(endpoint: &Uri) -> Finding {
    const CHECK: &str = "app insights";
    let began = Instant::now();
    let reached = async { Client::new(OutboundTls::default())?.reach(endpoint).await };
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
