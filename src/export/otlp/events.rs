//! What changed, as OTLP log events.

use super::OtlpError;
use super::delivery::Delivery;
use super::encoded::LogEncoder;
use crate::export::batch::Sink;
use crate::export::event::Event;
use crate::export::resource::Resource;
use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use std::sync::Arc;

pub(super) struct EventSink {
    encoder: LogEncoder,
    /// Makes records; has no processor, so nothing goes out through it.
    logger: SdkLogger,
    delivery: Arc<Delivery>,
}

impl EventSink {
    pub(super) fn new(resource: &Resource, delivery: Arc<Delivery>) -> Result<Self, OtlpError> {
        let version = env!("CARGO_PKG_VERSION");
        let scope = InstrumentationScope::builder(super::SCOPE).with_version(version).build();
        let logger = SdkLoggerProvider::builder().build().logger(super::SCOPE);
        Ok(Self { encoder: LogEncoder::new(resource, scope)?, logger, delivery })
    }
}

impl Sink for EventSink {
    type Entry = Event;

    async fn take(&self, batch: Vec<Event>) {
        let items = batch.len() as u64;
        let records: Vec<_> = batch.into_iter().map(|event| record(event, &self.logger)).collect();
        self.delivery.deliver(self.encoder.encode(&records).await, items).await;
    }
}

fn record(event: Event, logger: &SdkLogger) -> SdkLogRecord {
    let mut record = logger.create_log_record();
    record.set_event_name(event.name);
    record.set_timestamp(event.at);
    record.set_observed_timestamp(event.at);
    record.set_severity_number(event.severity);
    record.set_severity_text(event.severity.name());
    record.set_body(AnyValue::from(event.body));
    record.add_attributes(event.attributes);
    record
}
