//! Items as the ingestion endpoint takes them: envelopes of JSON, one a line.
//!
//! In: what is said of one call, event or point. Out: lines without the instrumentation key, which is
//! put in when they are sent, so that what waits on disk lets nobody write to the resource. The promise:
//! no item is over what the endpoint takes; texts are cut between characters, and cuts are counted.

use crate::export::resource::Resource;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// Of an item on the wire, in bytes.
const MAX_ITEM_BYTES: usize = 64 * 1024;
/// What the key takes of them.
const KEY_BYTES: usize = 64;
/// Of a property's name, in UTF-16 units, as every limit of texts here: the endpoint is .NET.
const MAX_PROPERTY_NAME: usize = 150;
pub(super) const MAX_NAME: usize = 1024;
pub(super) const MAX_EVENT_NAME: usize = 512;
pub(super) const MAX_URL: usize = 2048;
pub(super) const MAX_DATA: usize = 8192;
const MAX_ROLE: usize = 256;

/// How long texts may be. An item that is too large as a whole is tried again with less.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    value: usize,
    pub(super) message: usize,
}

const LIMITS: [Limits; 2] =
    [Limits { value: 8192, message: 32_768 }, Limits { value: 256, message: 2048 }];

/// Cuts texts to a limit, and counts that.
#[derive(Debug)]
pub(super) struct Cutter {
    pub(super) limits: Limits,
    cuts: u64,
}

impl Cutter {
    /// At most `most` UTF-16 units, and whole characters.
    pub(super) fn cut<'a>(&mut self, text: impl Into<Cow<'a, str>>, most: usize) -> Cow<'a, str> {
        let text = text.into();
        let Some(end) = end_within(&text, most) else { return text };
        self.cuts += 1;
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
            Cow::Owned(mut text) => {
                text.truncate(end);
                Cow::Owned(text)
            }
        }
    }

    pub(super) fn properties<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'static str, Cow<'a, str>)>,
    ) -> Properties<'a> {
        let mut properties = Vec::new();
        for (name, value) in pairs {
            if end_within(name, MAX_PROPERTY_NAME).is_some() {
                self.cuts += 1;
            } else {
                properties.push((name, self.cut(value, self.limits.value)));
            }
        }
        Properties(properties)
    }
}

/// Where a text that is longer than `most` has to end; `None` if it is not.
fn end_within(text: &str, most: usize) -> Option<usize> {
    if text.len() <= most {
        return None;
    }
    let mut units = 0;
    let over = |(_, character): &(usize, char)| {
        units += character.len_utf16();
        units > most
    };
    text.char_indices().find(over).map(|(at, _)| at)
}

/// A JSON object of texts, in the order they were given.
#[derive(Debug)]
pub(super) struct Properties<'a>(Vec<(&'static str, Cow<'a, str>)>);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// What one item says, in the schema's own words.
#[derive(Debug)]
pub(super) struct Item<'a, D> {
    /// `Request`, the last word of the envelope's name.
    pub(super) kind: &'static str,
    pub(super) base_type: &'static str,
    pub(super) at: SystemTime,
    /// The share of its kind that is sent, in (0, 1].
    pub(super) share: f64,
    pub(super) operation: Option<Operation<'a>>,
    pub(super) data: D,
}

/// Which trace an item belongs to.
#[derive(Debug, Clone)]
pub(super) struct Operation<'a> {
    pub(super) trace_id: Cow<'a, str>,
    pub(super) parent_id: Option<Cow<'a, str>>,
    pub(super) name: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, D> {
    name: String,
    time: String,
    /// In percent: what one item stands for is 100 over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_rate: Option<f64>,
    tags: Properties<'a>,
    data: Typed<'a, D>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Typed<'a, D> {
    base_type: &'static str,
    base_data: &'a D,
}

/// Who speaks, as the tags of every item, and the model as properties.
#[derive(Debug)]
pub(super) struct Speaker {
    role: String,
    instance: String,
    version: String,
    model: Vec<(&'static str, String)>,
}

impl Speaker {
    /// `instance` is who this process is among its like.
    pub(super) fn new(resource: &Resource, instance: &str) -> Self {
        let role = match resource.get("service.namespace") {
            "" => resource.get("service.name").to_owned(),
            // As Azure's own exporters join the two.
            namespace => format!("{namespace}.{}", resource.get("service.name")),
        };
        let model = resource.model().map(|(name, value)| (name, value.to_owned()));
        let [_, (_, version)] = model.clone();
        Self { role, instance: instance.to_owned(), version, model: model.into() }
    }

    pub(super) fn model(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        self.model.iter().map(|(name, value)| (*name, Cow::Borrowed(value.as_str())))
    }

    fn tags<'a>(&'a self, operation: Option<Operation<'a>>, cutter: &mut Cutter) -> Properties<'a> {
        let mut tags = vec![
            ("ai.cloud.role", cutter.cut(self.role.as_str(), MAX_ROLE)),
            ("ai.cloud.roleInstance", cutter.cut(self.instance.as_str(), MAX_ROLE)),
            ("ai.application.ver", cutter.cut(self.version.as_str(), MAX_NAME)),
            ("ai.internal.sdkVersion", concat!("taffrail:", env!("CARGO_PKG_VERSION")).into()),
        ];
        if let Some(operation) = operation {
            tags.push(("ai.operation.id", operation.trace_id));
            tags.extend(operation.parent_id.map(|id| ("ai.operation.parentId", id)));
            tags.push(("ai.operation.name", cutter.cut(operation.name, MAX_NAME)));
        }
        Properties(tags)
    }

    /// One line, and how many of its texts were cut; `None` if it does not fit even so.
    pub(super) fn line<'a, D: Serialize>(
        &'a self,
        say: impl Fn(&mut Cutter) -> Item<'a, D>,
    ) -> Option<(Vec<u8>, u64)> {
        LIMITS.into_iter().find_map(|limits| {
            let mut cutter = Cutter { limits, cuts: 0 };
            let item = say(&mut cutter);
            let envelope = Envelope {
                name: format!("Microsoft.ApplicationInsights.{}", item.kind),
                time: time(item.at),
                sample_rate: (item.share < 1.0).then_some(item.share * 100.0),
                tags: self.tags(item.operation, &mut cutter),
                data: Typed { base_type: item.base_type, base_data: &item.data },
            };
            let mut line = serde_json::to_vec(&envelope).ok()?;
            line.push(b'\n');
            (line.len() + KEY_BYTES <= MAX_ITEM_BYTES).then_some((line, cutter.cuts))
        })
    }
}

/// Puts the instrumentation key, which is in every item, into a line.
pub(super) fn with_key(line: &[u8], key: &str, into: &mut Vec<u8>) {
    into.extend_from_slice(b"{\"iKey\":\"");
    // A GUID, so there is nothing to escape.
    into.extend_from_slice(key.as_bytes());
    into.extend_from_slice(b"\",");
    into.extend_from_slice(line.strip_prefix(b"{").unwrap_or(line));
}

/// ISO 8601, in UTC, to the microsecond.
fn time(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.6}")
}

/// `d.hh:mm:ss.ffffff`.
pub(super) fn duration(duration: Duration) -> String {
    const MOST_DAYS: u64 = 999;
    let (seconds, micros) = (duration.as_secs(), duration.subsec_micros());
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, (seconds / 86_400).min(MOST_DAYS));
    format!("{days}.{:02}:{:02}:{:02}.{micros:06}", hours % 24, minutes % 60, seconds % 60)
}

#[cfg(test)]
pub(in crate::export::application_insights) mod tests;
