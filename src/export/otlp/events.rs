//! What changed, as OTLP log events.

use super::delivery::Delivery;
use crate::export::batch::Sink;
use crate::export::event::Event;
use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_sdk::logs::{LogBatch, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use prost::Message;
use std::sync::Arc;

pub(super) struct EventSink {
    resource: ResourceAttributesWithSchema,
    scope: InstrumentationScope,
    /// Makes records; has no processor, so nothing goes out through it.
    logger: SdkLogger,
    delivery: Arc<Delivery>,
}

impl EventSink {
    pub(super) fn new(resource: ResourceAttributesWithSchema, delivery: Arc<Delivery>) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let scope = InstrumentationScope::builder(super::SCOPE).with_version(version).build();
        let logger = SdkLoggerProvider::builder().build().logger(super::SCOPE);
        Self { resource, scope, logger, delivery }
    }
}

impl Sink for EventSink {
    type Entry = Event;

    async fn take(&self, batch: Vec<Event>) {
        let items = batch.len() as u64;
        let records: Vec<_> = batch.into_iter().map(|event| record(event, &self.logger)).collect();
        let scoped: Vec<_> = records.iter().map(|record| (record, &self.scope)).collect();
        let batch = LogBatch::new(&scoped);
        let resource_logs = group_logs_by_resource_and_scope(&batch, &self.resource);
        let message = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
        self.delivery.deliver(&message.into(), items).await;
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
