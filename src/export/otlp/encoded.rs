//! Spans and events as OTLP messages, by the exporters of opentelemetry-otlp.
//!
//! Those speak to a collector through a client that they are given. Ours keeps the message instead of
//! sending it: what is delivered, how often and by which protocol is the matter of `delivery`, whose
//! retries do not hold up a thread and which counts what is rejected.

use super::OtlpError;
use crate::export::counters::Signal;
use crate::export::resource::Resource;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::InstrumentationScope;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig,
    WithHttpConfig,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, SdkLogRecord};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use std::sync::{Arc, Mutex, PoisonError};

/// An address for exporters that need one; nothing is sent there.
const NOWHERE: &str = "http://localhost/";

/// Keeps what an exporter would send, until it is taken. One exporter and one export at a time.
#[derive(Debug, Default)]
struct Kept(Mutex<Bytes>);

impl Kept {
    /// The message of an export that went well; one that did not has none.
    fn message(&self, exported: OTelSdkResult, signal: Signal) -> Option<Bytes> {
        let message = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = exported {
            tracing::error!(signal = signal.as_str(), %error, "telemetry cannot be encoded");
            return None;
        }
        Some(message)
    }
}

#[async_trait]
impl HttpClient for Kept {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = request.into_body();
        Ok(Response::new(Bytes::new()))
    }
}

pub(super) struct SpanEncoder {
    exporter: SpanExporter,
    kept: Arc<Kept>,
}

impl SpanEncoder {
    pub(super) fn new(resource: &Resource) -> Result<Self, OtlpError> {
        let kept = Arc::default();
        let builder = configured(SpanExporter::builder().with_http(), &kept);
        let mut exporter = builder.build().map_err(failed(Signal::Traces))?;
        exporter.set_resource(&resource.to_sdk());
        Ok(Self { exporter, kept })
    }

    pub(super) async fn encode(&self, spans: Vec<SpanData>) -> Option<Bytes> {
        self.kept.message(self.exporter.export(spans).await, Signal::Traces)
    }
}

pub(super) struct LogEncoder {
    exporter: LogExporter,
    scope: InstrumentationScope,
    kept: Arc<Kept>,
}

impl LogEncoder {
    pub(super) fn new(resource: &Resource, scope: InstrumentationScope) -> Result<Self, OtlpError> {
        let kept = Arc::default();
        let builder = configured(LogExporter::builder().with_http(), &kept);
        let mut exporter = builder.build().map_err(failed(Signal::Logs))?;
        exporter.set_resource(&resource.to_sdk());
        Ok(Self { exporter, scope, kept })
    }

    pub(super) async fn encode(&self, records: &[SdkLogRecord]) -> Option<Bytes> {
        let scoped: Vec<_> = records.iter().map(|record| (record, &self.scope)).collect();
        let exported = self.exporter.export(LogBatch::new(&scoped)).await;
        self.kept.message(exported, Signal::Logs)
    }
}

/// What is said here wins over variables, which are for the delivery. One of them, the compression,
/// cannot be: without its feature an exporter leaves it alone.
fn configured<B: WithExportConfig + WithHttpConfig>(builder: B, kept: &Arc<Kept>) -> B {
    builder
        .with_endpoint(NOWHERE)
        .with_protocol(Protocol::HttpBinary)
        .with_shared_http_client(Arc::clone(kept) as _)
        .with_retry_policy(RetryPolicy::disabled())
}

fn failed(signal: Signal) -> impl Fn(ExporterBuildError) -> OtlpError {
    move |source| OtlpError::Build { signal: signal.as_str(), source }
}
