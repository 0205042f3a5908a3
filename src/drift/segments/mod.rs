//! Parts of the traffic, each with windows of its own: rows in, verdicts on segments out.
//!
//! A segment is `key=value`: rows with that value of an input, or the rows of requests with that value of
//! a header. It is judged by the tests that judge the whole, in a family of its own: Benjamini and
//! Hochberg over all features of all segments of a window. What is said of segments changes nothing in
//! the verdict on the whole, nor its error rate.
//!
//! The promise: memory is bounded by [`SegmentSettings`]. Values over the bound are counted together as
//! `(other)`, which is judged against nothing.

mod file;
mod key;
mod recorded;
mod reference;
mod registry;
mod report;
mod survey;
mod windows;

#[cfg(test)]
mod tests;

pub(super) use file::Section;
pub use key::{SegmentKey, SegmentKeyError};
pub use recorded::RecordedSegment;
pub use registry::{Assigned, SegmentId};
pub use report::{SegmentFeature, SegmentReference, SegmentReport, SegmentWindow};
pub use survey::{SegmentCounter, SegmentSurvey};
pub use windows::LearnedSegments;

use super::verdict::WindowTime;
use super::{Baseline, Settings, WindowSpan};
use crate::decode::Rows;
use crate::sketch::{FrameError, Unpacker};
use registry::Registry;
use std::sync::Arc;
use windows::Windows;

/// Which parts of the traffic are looked at by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSettings {
    pub keys: Vec<SegmentKey>,
    /// Values of a key that are told apart.
    pub max_values: usize,
    /// Windows of a feature in a segment, at most; segments that come later have none.
    pub max_cells: usize,
}

impl Default for SegmentSettings {
    fn default() -> Self {
        Self { keys: Vec::new(), max_values: 20, max_cells: 20_000 }
    }
}

impl SegmentSettings {
    /// Whether both tell rows apart alike.
    pub fn tells_as(&self, other: &Self) -> bool {
        self.keys == other.keys && self.max_values == other.max_values
    }
}

#[derive(Debug)]
pub(super) struct Segments {
    settings: SegmentSettings,
    registry: Registry,
    /// Once there is a baseline.
    windows: Option<Windows>,
}

/// Where the baseline came from: rows that it was learnt from are no part of a segment's windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Baselined {
    Given,
    Learned,
}

impl Segments {
    /// `None` without keys.
    pub(super) fn new(settings: &SegmentSettings) -> Option<Box<Self>> {
        let registry = || Registry::new(&settings.keys, settings.max_values);
        let segments =
            || Box::new(Self { settings: settings.clone(), registry: registry(), windows: None });
        (!settings.keys.is_empty()).then(segments)
    }

    /// Goes on with other bounds on windows.
    pub(super) fn retune(&mut self, settings: &SegmentSettings) {
        self.settings = settings.clone();
    }

    /// Segments keep their ids; their windows begin anew.
    pub(super) fn begin_anew(&mut self) {
        self.windows = None;
    }

    /// Which segments each row is in. `header` tells the value of a header of the request.
    pub(super) fn assign<'h>(
        &mut self,
        inputs: &Rows,
        header: impl Fn(&str) -> Option<&'h str>,
    ) -> Assigned {
        self.registry.assign(inputs, header)
    }

    /// Counts rows in the windows of their segments. Outputs of rows that are not as many as the inputs
    /// are counted where all rows are in one segment.
    pub(super) fn observe(
        &mut self,
        settings: &Settings,
        (baseline, origin): (&Arc<Baseline>, Baselined),
        (inputs, outputs, rate): (&Rows, &Rows, f64),
        assigned: &Assigned,
    ) {
        let (windows, registry) = self.windows(settings, (baseline, origin));
        windows.observe(registry, (inputs, outputs, rate), assigned);
    }

    fn windows(
        &mut self,
        settings: &Settings,
        (baseline, origin): (&Arc<Baseline>, Baselined),
    ) -> (&mut Windows, &mut Registry) {
        let (registry, segments) = (&mut self.registry, &self.settings);
        let windows = self.windows.get_or_insert_with(|| {
            registry.expect(baseline.segments());
            Windows::new(settings, segments.max_cells, baseline, origin)
        });
        (windows, registry)
    }

    /// What was learnt of segments' own rows; `None` where nothing was.
    pub(super) fn learned(&self) -> Option<LearnedSegments> {
        self.windows.as_ref().and_then(|windows| windows.learned(&self.registry))
    }

    /// Goes on with what was learnt by others on the same baseline. Where it fails, some segments learn
    /// anew.
    pub(super) fn restore(
        &mut self,
        settings: &Settings,
        reference: (&Arc<Baseline>, Baselined),
        saved: &mut Unpacker<'_>,
    ) -> Result<(), FrameError> {
        let (windows, registry) = self.windows(settings, reference);
        windows.restore(registry, saved)
    }

    /// Takes over what `before` knows of windows that closed and of references that it learnt.
    pub(super) fn follow(&mut self, before: &mut Self) {
        if let (Some(windows), Some(known)) = (&mut self.windows, &mut before.windows) {
            windows.follow(&mut self.registry, known, &before.registry);
        } else if self.windows.is_none() {
            // Nothing was seen since: what was known stays known.
            std::mem::swap(&mut self.windows, &mut before.windows);
            std::mem::swap(&mut self.registry, &mut before.registry);
        }
    }

    /// Judges the open window of a level in every segment that has rows, and opens the next.
    pub(super) fn close(
        &mut self,
        settings: &Settings,
        span: WindowSpan,
    ) -> Option<Arc<SegmentWindow>> {
        let window = settings.windows.get(span.level)?.clone();
        let at = (span.level, WindowTime::of(span));
        let segments = self.windows.as_mut()?.close(&self.registry, settings, at);
        Some(Arc::new(SegmentWindow { window, start: span.start, end: span.end, segments }))
    }

    /// The name of each segment, by id.
    pub(super) fn names(&self) -> &[Arc<str>] {
        self.registry.names()
    }
}
