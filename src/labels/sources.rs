//! Where labels come from, and what of each could not be read.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `POST /api/v1/labels`.
    Api,
    /// `labels.files`.
    File,
    /// `labels.response_header`.
    Header,
}

impl Source {
    pub const ALL: [Self; 3] = [Self::Api, Self::File, Self::Header];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::File => "file",
            Self::Header => "header",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceCounts {
    pub read: u64,
    /// Labels, or lines, that could not be read.
    pub unreadable: u64,
}

/// A label that could not be read: where it stands and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LabelFault {
    pub source: Source,
    /// Such as `/data/truth.jsonl line 7`.
    pub place: String,
    pub reason: String,
}

#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) counts: [SourceCounts; 3],
    /// The newest, oldest first.
    pub(super) faults: VecDeque<LabelFault>,
}

impl Sources {
    const MAX_FAULTS: usize = 20;

    pub(super) fn count(&mut self, source: Source, read: u64, unreadable: u64) {
        let counts = &mut self.counts[source as usize];
        counts.read += read;
        counts.unreadable += unreadable;
    }

    pub(super) fn note(&mut self, fault: LabelFault) {
        self.faults.push_back(fault);
        while self.faults.len() > Self::MAX_FAULTS {
            self.faults.pop_front();
        }
    }
}
