//! What changed, twice: as a custom event, for charts and alerts, and as a trace message, for reading.

use super::chunk::{Press, Pressing};
use super::envelope::{Cutter, Item, MAX_EVENT_NAME, Properties};
use super::store::Store;
use crate::export::batch::{Entry, Sink};
use crate::export::counters::Signal;
use crate::export::event::Event;
use opentelemetry::logs::{AnyValue, Severity};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub(super) struct Happenings {
    pub(super) press: Arc<Press>,
    pub(super) store: Arc<Store>,
}

impl Sink for Happenings {
    type Entry = Event;

    async fn take(&self, batch: Vec<Event>) {
        let queued: u64 = batch.iter().map(Entry::items).sum();
        let mut pressing = self.press.begin(Signal::Logs);
        for event in &batch {
            self.say(event, &mut pressing);
        }
        let chunks = pressing.finish();
        self.press.counts(Signal::Logs).queued.fetch_sub(queued, Relaxed);
        for chunk in chunks {
            self.store.put(chunk).await;
        }
    }
}

#[derive(Serialize)]
struct EventData<'a> {
    ver: u8,
    name: Cow<'a, str>,
    properties: Properties<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageData<'a> {
    ver: u8,
    message: Cow<'a, str>,
    severity_level: u8,
    properties: Properties<'a>,
}

impl Happenings {
    fn say<'a>(&'a self, event: &'a Event, pressing: &mut Pressing<'a>) {
        pressing.push(|cutter| {
            let name = cutter.cut(event.name, MAX_EVENT_NAME);
            let data = EventData { ver: 2, name, properties: self.properties(event, cutter) };
            item("Event", "EventData", event, data)
        });
        pressing.push(|cutter| {
            let data = MessageData {
                ver: 2,
                message: cutter.cut(event.body.as_str(), cutter.limits.message),
                severity_level: severity(event.severity),
                properties: self.properties(event, cutter),
            };
            item("Message", "MessageData", event, data)
        });
    }

    fn properties<'a>(&'a self, event: &'a Event, cutter: &mut Cutter) -> Properties<'a> {
        let own = event.attributes.iter().map(|(name, value)| (*name, text(value)));
        cutter.properties(self.press.speaker.model().chain(own))
    }
}

fn item<'a, D>(
    kind: &'static str,
    base_type: &'static str,
    event: &'a Event,
    data: D,
) -> Item<'a, D> {
    Item { kind, base_type, at: event.at, share: 1.0, operation: None, data }
}

/// Verbose, information, warning, error, critical: 0 to 4.
fn severity(severity: Severity) -> u8 {
    match severity {
        severity if severity >= Severity::Fatal => 4,
        severity if severity >= Severity::Error => 3,
        severity if severity >= Severity::Warn => 2,
        severity if severity >= Severity::Info => 1,
        _ => 0,
    }
}

fn text(value: &AnyValue) -> Cow<'_, str> {
    match value {
        AnyValue::String(text) => Cow::Borrowed(text.as_str()),
        AnyValue::Int(number) => Cow::Owned(number.to_string()),
        AnyValue::Double(number) => Cow::Owned(number.to_string()),
        AnyValue::Boolean(is) => Cow::Owned(is.to_string()),
        AnyValue::ListAny(values) => {
            let texts: Vec<_> = values.iter().map(text).collect();
            Cow::Owned(texts.join(", "))
        }
        // No event of ours has any.
        _ => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests;
