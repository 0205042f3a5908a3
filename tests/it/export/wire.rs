//! The ways to a collector: under TLS, compressed, over gRPC.

use super::collector::{Answer, Arrival, Collector, Wire};
use super::support::{Running, change, exchange, families, receiver, settings};
use crate::support::tls::Place;
use http::StatusCode;
use std::sync::atomic::Ordering::Relaxed;
use taffrail::config::{Compression, Otlp, OtlpProtocol, OutboundTls, Receiver};
use taffrail::drift::Verdict;
use taffrail::export::otlp::Settings;
use taffrail::export::{Counters, Loss, Signal};
use tokio_rustls::TlsAcceptor;

async fn collector(wire: Wire, answers: &[Answer]) -> Collector {
    Collector::speaking(wire, "127.0.0.1:0".parse().unwrap(), answers).await
}

fn receivers(otlp: &mut Otlp) -> impl Iterator<Item = &mut Receiver> {
    [&mut otlp.metrics, &mut otlp.logs, &mut otlp.traces].into_iter().flatten()
}

/// Of a collector that speaks gRPC.
fn over_grpc(collector: &Collector) -> Settings {
    let mut settings = settings(collector.address);
    for to in receivers(&mut settings.otlp) {
        *to = Receiver { protocol: OtlpProtocol::Grpc, ..receiver(collector.url("/")) };
    }
    settings
}

/// One of each signal goes out, and all of it arrives.
async fn everything_arrives(settings: &Settings, collector: &mut Collector) {
    let running = Running::start(settings, || families(10));
    running.spans.offer(&exchange(200, None), "/invocations");
    running.events.offer(&change(Verdict::Stable, Verdict::Drifting));
    let counters = running.stop().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (arrival, headers) = collector.next().await;
        assert_eq!(headers["authorization"], "Bearer a%20b");
        seen.push(match arrival {
            Arrival::Metrics(request) => {
                assert_eq!(super::support::counter(&request).0, 10);
                Signal::Metrics
            }
            Arrival::Traces(request) => {
                assert_eq!(request.resource_spans[0].scope_spans[0].spans.len(), 2);
                Signal::Traces
            }
            Arrival::Logs(request) => {
                let record = &request.resource_logs[0].scope_logs[0].log_records[0];
                assert_eq!(record.event_name, "taffrail.drift.changed");
                Signal::Logs
            }
        });
    }
    assert!(Signal::ALL.iter().all(|signal| seen.contains(signal)), "{seen:?}");
    assert_eq!(sent(&counters), [3, 2, 1]);
}

fn sent(counters: &Counters) -> [u64; 3] {
    Signal::ALL.map(|signal| counters.otlp(signal).sent.load(Relaxed))
}

#[tokio::test]
async fn all_signals_arrive_compressed() {
    let mut collector = collector(Wire::default(), &[]).await;
    let mut settings = settings(collector.address);
    receivers(&mut settings.otlp).for_each(|to| to.compression = Compression::Gzip);
    everything_arrives(&settings, &mut collector).await;
}

#[tokio::test]
async fn all_signals_arrive_over_grpc() {
    let mut collector = collector(Wire { is_grpc: true, ..Wire::default() }, &[]).await;
    everything_arrives(&over_grpc(&collector), &mut collector).await;
}

#[tokio::test]
async fn all_signals_arrive_over_grpc_compressed() {
    let mut collector = collector(Wire { is_grpc: true, ..Wire::default() }, &[]).await;
    let mut settings = over_grpc(&collector);
    receivers(&mut settings.otlp).for_each(|to| to.compression = Compression::Gzip);
    everything_arrives(&settings, &mut collector).await;
}

/// A collector whose certificate is for localhost, and how to reach it.
async fn under_tls(place: &Place, is_grpc: bool) -> (Collector, Settings) {
    let files = place.identity_for("collector", "localhost");
    let protocols: &[&str] = if is_grpc { &["h2"] } else { &["http/1.1"] };
    let tls = Some(TlsAcceptor::from(place.upstream_as(&files, protocols)));
    let collector = collector(Wire { tls, is_grpc }, &[]).await;
    let mut settings = if is_grpc { over_grpc(&collector) } else { settings(collector.address) };
    for to in receivers(&mut settings.otlp) {
        let path = to.url.path();
        to.url = format!("https://localhost:{}{path}", collector.address.port()).parse().unwrap();
    }
    settings.otlp.tls = OutboundTls { ca: Some(place.ca.clone()), identity: None };
    (collector, settings)
}

#[tokio::test]
async fn all_signals_arrive_under_tls() {
    let place = Place::new();
    let (mut collector, settings) = under_tls(&place, false).await;
    everything_arrives(&settings, &mut collector).await;
}

#[tokio::test]
async fn all_signals_arrive_over_grpc_under_tls() {
    let place = Place::new();
    let (mut collector, settings) = under_tls(&place, true).await;
    everything_arrives(&settings, &mut collector).await;
}

#[tokio::test]
async fn a_partial_success_over_grpc_is_counted() {
    let answers = [Answer::Reject(1)];
    let mut collector = collector(Wire { is_grpc: true, ..Wire::default() }, &answers).await;
    let mut settings = over_grpc(&collector);
    (settings.otlp.metrics, settings.otlp.logs) = (None, None);
    let running = Running::start(&settings, Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    collector.traces().await;
    let counters = running.stop().await;
    let counts = counters.otlp(Signal::Traces);
    assert_eq!((counts.sent.load(Relaxed), counts.lost(Loss::Rejected)), (1, 1));
}

#[tokio::test]
async fn grpc_retries_what_may_mend_and_gives_up_what_does_not() {
    let unavailable = Answer::Grpc("14");
    let gateway = Answer::Status(StatusCode::SERVICE_UNAVAILABLE);
    let answers = [unavailable, gateway, Answer::Accept, Answer::Grpc("3")];
    let mut collector = collector(Wire { is_grpc: true, ..Wire::default() }, &answers).await;
    let mut settings = over_grpc(&collector);
    (settings.otlp.metrics, settings.otlp.logs) = (None, None);
    let running = Running::start(&settings, Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    for _ in 0..3 {
        collector.traces().await;
    }
    running.spans.offer(&exchange(200, None), "/invocations");
    collector.traces().await;
    let counters = running.stop().await;
    let counts = counters.otlp(Signal::Traces);
    assert_eq!((counts.sent.load(Relaxed), counts.lost(Loss::Refused)), (2, 2));
    assert_eq!(counts.requests_failed.load(Relaxed), 3);
}

#[tokio::test]
async fn a_server_that_knows_no_grpc_takes_nothing() {
    let answers = [Answer::Status(StatusCode::OK)];
    let mut collector = collector(Wire { is_grpc: true, ..Wire::default() }, &answers).await;
    let mut settings = over_grpc(&collector);
    (settings.otlp.metrics, settings.otlp.logs) = (None, None);
    let running = Running::start(&settings, Vec::new);
    running.spans.offer(&exchange(200, None), "/invocations");
    collector.traces().await;
    let counters = running.stop().await;
    assert_eq!(counters.otlp(Signal::Traces).lost(Loss::Refused), 2);
}
