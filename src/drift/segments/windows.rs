//! The open windows of every segment, and their verdicts when they end.
//!
//! Counts only, without quantile and distinct sketches: 20 segments cost about as much as one more set of
//! windows of the whole.

mod saved;

pub use saved::LearnedSegments;

use super::reference::{Basis, add};
use super::registry::Registry;
use super::{Assigned, Baselined, SegmentFeature, SegmentId, SegmentReference, SegmentReport};
use crate::decode::Rows;
use crate::drift::baseline::{Baseline, BaselineFeature};
use crate::drift::dependence::{self, RowBlocks, RowScale, Scores};
use crate::drift::found::Found;
use crate::drift::report::FeatureReport;
use crate::drift::settings::{Persistence, Settings};
use crate::drift::verdict::{Case, Judged, Merged, WindowTime, judge, verdict};
use crate::sketch::{FeatureCounts, Role};
use std::collections::HashMap;
use std::sync::Arc;

/// Closed windows that are merged with the next, at most.
const MERGED_WINDOWS: u8 = 4;
/// A segment's own first rows become its reference once there are so many times `min_rows`.
const LEARNT: u64 = 20;

#[derive(Debug)]
pub(super) struct Windows {
    baseline: Arc<Baseline>,
    origin: Baselined,
    /// Places in the baseline.
    watched: Vec<usize>,
    /// By role and name, where a column is counted.
    index: [HashMap<Arc<str>, usize>; 2],
    scores: Vec<Scores>,
    levels: usize,
    /// By id; `None` where no row was seen, or there was no room.
    segments: Vec<Option<Box<Segment>>>,
    /// Segments that still may have windows, and how many may in all.
    room: usize,
    max_room: usize,
}

#[derive(Debug)]
struct Segment {
    basis: Basis,
    /// By level, inputs and outputs.
    open_rows: Vec<[u64; 2]>,
    /// By level, then by watched feature.
    levels: Vec<Vec<Cell>>,
    /// How its own rows hang together, by watched feature: those of the whole would take the differences
    /// between segments for dependence.
    blocks: Vec<RowBlocks>,
}

/// One feature's windows of one length.
#[derive(Debug)]
struct Cell {
    open: FeatureCounts,
    before: Option<Before>,
    found: Found,
}

/// The windows before, merged: of the last few, and never more than [`MERGED_WINDOWS`].
#[derive(Debug)]
struct Before {
    counts: FeatureCounts,
    windows: u8,
    /// One of them was significant by itself.
    tainted: bool,
}

impl Windows {
    pub(super) fn new(
        settings: &Settings,
        max_cells: usize,
        baseline: &Arc<Baseline>,
        origin: Baselined,
    ) -> Self {
        let features = baseline.features().iter().enumerate();
        let admitted = features.filter(|(_, f)| settings.filter.admits(&f.key().name));
        let mut index = [HashMap::new(), HashMap::new()];
        let mut watched = Vec::new();
        for (place, feature) in admitted.take(settings.max_features) {
            let key = feature.key();
            index[key.role as usize].insert(key.name.clone(), watched.len());
            watched.push(place);
        }
        let room = max_cells / watched.len().max(1);
        let scores =
            watched.iter().map(|place| Scores::of(&baseline.features()[*place].content)).collect();
        let levels = settings.windows.len();
        let baseline = Arc::clone(baseline);
        let segments = Vec::new();
        let max_room = room;
        Self { baseline, origin, watched, index, scores, levels, segments, room, max_room }
    }

    pub(super) fn observe(
        &mut self,
        registry: &Registry,
        (inputs, outputs, rate): (&Rows, &Rows, f64),
        assigned: &Assigned,
    ) {
        assigned.each(inputs, outputs, |id, inputs, outputs| {
            self.count(registry, id, (inputs, outputs), rate);
        });
    }

    fn count(
        &mut self,
        registry: &Registry,
        id: SegmentId,
        (inputs, outputs): (&Rows, &Rows),
        rate: f64,
    ) {
        let Some(place) = self.place(registry, id) else { return };
        let Some(segment) = &mut self.segments[place] else { return };
        let Some(open_rows) = segment.open_rows.first_mut() else { return };
        open_rows[0] += inputs.len() as u64;
        open_rows[1] += outputs.len() as u64;
        let Some(cells) = segment.levels.first_mut() else { return };
        for (role, rows) in [(Role::Input, inputs), (Role::Output, outputs)] {
            for column in rows.columns() {
                let Some(watched) = self.index[role as usize].get(column.name()) else { continue };
                let Some(cell) = cells.get_mut(*watched) else { continue };
                cell.open.observe_sampled(column, rate);
                let content = &self.baseline.features()[self.watched[*watched]].content;
                let blocks = &mut segment.blocks[*watched];
                self.scores[*watched].each(content, column, |scored| blocks.observe(&scored));
            }
        }
    }

    /// Where the segment's windows are, which begin with its first row. `None` where there is no room.
    fn place(&mut self, registry: &Registry, id: SegmentId) -> Option<usize> {
        let place = usize::from(id);
        if self.segments.len() <= place {
            self.segments.resize_with(place + 1, || None);
        }
        if self.segments[place].is_none() {
            let basis = self.basis(registry, id);
            let takes_room = !matches!(basis, Basis::Nothing);
            if takes_room {
                self.room = self.room.checked_sub(1)?;
            }
            let cells = || if takes_room { self.cells() } else { Vec::new() };
            let levels = std::iter::repeat_with(cells).take(self.levels).collect();
            let open_rows = vec![[0; 2]; self.levels];
            let blocks = if takes_room { self.watched.len() } else { 0 };
            let blocks = std::iter::repeat_with(RowBlocks::without_shares).take(blocks).collect();
            let segment = Segment { basis, open_rows, levels, blocks };
            self.segments[place] = Some(Box::new(segment));
        }
        Some(place)
    }

    fn basis(&self, registry: &Registry, id: SegmentId) -> Basis {
        if registry.is_other(id) {
            return Basis::Nothing;
        }
        let name = &registry.names()[usize::from(id)];
        let recorded = self.baseline.segments().iter().position(|known| known.name() == name);
        match (recorded, self.origin) {
            (Some(recorded), _) => Basis::Recorded(recorded),
            // A value of an input differs from the whole by construction: from what, would be known.
            (None, Baselined::Given) if registry.is_of_header(id) => Basis::Whole,
            (None, _) => Basis::Learning { counts: self.empty(), rows: 0 },
        }
    }

    fn empty(&self) -> Vec<FeatureCounts> {
        let features = self.baseline.features();
        self.watched.iter().map(|place| features[*place].content.window().counts()).collect()
    }

    fn cells(&self) -> Vec<Cell> {
        self.empty()
            .into_iter()
            .map(|open| Cell { open, before: None, found: Found::default() })
            .collect()
    }

    /// Takes over closed windows and learnt references of the segments that `before` has.
    pub(super) fn follow(&mut self, registry: &mut Registry, before: &mut Self, of: &Registry) {
        for (id, known) in before.segments.drain(..).enumerate() {
            let Some(known) = known else { continue };
            let adopted = registry.adopt(&of.names()[id]);
            let place = adopted.and_then(|id| self.place(registry, id));
            let Some(segment) = place.and_then(|place| self.segments[place].as_mut()) else {
                continue;
            };
            segment.basis = known.basis;
            for (blocks, mut known) in segment.blocks.iter_mut().zip(known.blocks) {
                blocks.follow(&mut known);
            }
            for (cells, known) in segment.levels.iter_mut().zip(known.levels) {
                for (cell, known) in cells.iter_mut().zip(known) {
                    (cell.before, cell.found) = (known.before, known.found);
                }
            }
        }
        before.room = self.max_room;
    }

    pub(super) fn close(
        &mut self,
        registry: &Registry,
        settings: &Settings,
        (level, time): (usize, WindowTime),
    ) -> Vec<SegmentReport> {
        let segments = self.segments.iter_mut().enumerate();
        let ended = segments.filter_map(|(id, segment)| {
            let rows = segment.as_mut()?.end_rows(level);
            (rows > 0).then_some((id, rows))
        });
        let ended: Vec<(usize, u64)> = ended.collect();
        let mut judged = self.judged(settings, (level, time), &ended).into_iter();
        let enough = settings.min_rows.saturating_mul(LEARNT);
        let mut reports = Vec::with_capacity(ended.len());
        for (id, rows) in ended {
            let Some(segment) = &mut self.segments[id] else { continue };
            let watched = if segment.basis.is_known() { self.watched.len() } else { 0 };
            let mut own: Vec<Judged> = judged.by_ref().take(watched).collect();
            let reference = segment.basis.word();
            segment.end(level, settings.persistence, &mut own);
            segment.basis.settle(&self.baseline, &self.watched, enough);
            let name = &registry.names()[id];
            reports.push(report(name, rows, reference, own, settings.min_rows));
        }
        reports
    }

    /// For each segment that ended and has a reference, one for each watched feature.
    fn judged(
        &self,
        settings: &Settings,
        (level, time): (usize, WindowTime),
        ended: &[(usize, u64)],
    ) -> Vec<Judged> {
        let segments = ended.iter().filter_map(|(id, _)| self.segments[*id].as_deref());
        let mut cases = Vec::new();
        for segment in segments {
            let Some(cells) = segment.levels.get(level) else { continue };
            let mut live = segment.dependence().into_iter();
            for (watched, cell) in cells.iter().enumerate() {
                let place = self.watched[watched];
                let Some(feature) = segment.basis.feature(&self.baseline, watched, place) else {
                    break;
                };
                cases.push(cell.case(feature, live.next().unwrap_or_default(), time));
            }
        }
        judge(&cases, settings.min_rows, settings.false_discovery_rate)
    }
}

impl Segment {
    /// By watched feature; nothing where rows show none.
    fn dependence(&self) -> Vec<Vec<RowScale>> {
        let evidence: Vec<_> = self.blocks.iter().map(dependence::evidence).collect();
        let shown = dependence::shown(&evidence);
        let curve = |(blocks, shown): (&RowBlocks, dependence::Shown)| {
            if shown.any() { dependence::curve(blocks, shown) } else { Vec::new() }
        };
        self.blocks.iter().zip(shown).map(curve).collect()
    }

    fn end_rows(&mut self, level: usize) -> u64 {
        let Some(open) = self.open_rows.get_mut(level).map(std::mem::take) else { return 0 };
        if level == 0 {
            let longer = self.open_rows.iter_mut().skip(1);
            longer.for_each(|rows| *rows = [rows[0] + open[0], rows[1] + open[1]]);
        }
        open[0].max(open[1])
    }

    /// `judged` has one for each feature, or none.
    fn end(&mut self, level: usize, persistence: Persistence, judged: &mut [Judged]) {
        if level == 0 {
            let Some((finest, longer)) = self.levels.split_first_mut() else { return };
            for cells in longer {
                cells
                    .iter_mut()
                    .zip(&*finest)
                    .for_each(|(sum, cell)| add(&mut sum.open, &cell.open));
            }
            self.basis.learn(finest.iter().map(|cell| &cell.open));
            self.blocks.iter_mut().for_each(RowBlocks::settle);
        }
        let Some(cells) = self.levels.get_mut(level) else { return };
        for (place, cell) in cells.iter_mut().enumerate() {
            cell.end(persistence, judged.get_mut(place));
        }
    }
}

impl Cell {
    fn case<'a>(
        &self,
        feature: &'a BaselineFeature,
        live: Vec<RowScale>,
        time: WindowTime,
    ) -> Case<'a> {
        let merged = self.before.as_ref().map(|before| {
            let mut counts = self.open.clone();
            add(&mut counts, &before.counts);
            let windows = usize::from(before.windows) + 1;
            let (counts, repeated, hours) = (counts.effective(), Vec::new(), Vec::new());
            Merged { counts, repeated, tainted: before.tainted, hours, windows }
        });
        let (window, repeated) = (self.open.clone(), Vec::new());
        let weighed = window.clone().effective();
        Case { feature, window, weighed, merged, repeated, live, time }
    }

    fn end(&mut self, persistence: Persistence, judged: Option<&mut Judged>) {
        let empty = self.open.emptied();
        let counts = std::mem::replace(&mut self.open, empty);
        let Some(judged) = judged else { return };
        judged.report.detected = self.found.push(persistence, judged.found());
        if counts.rows() == 0 {
            return;
        }
        let tainted = judged.significant_alone;
        match &mut self.before {
            Some(before)
                if before.windows < MERGED_WINDOWS && !(judged.recovered && before.tainted) =>
            {
                add(&mut before.counts, &counts);
                before.windows += 1;
                before.tainted |= tainted;
            }
            before => *before = Some(Before { counts, windows: 1, tainted }),
        }
    }
}

fn report(
    segment: &Arc<str>,
    rows: u64,
    reference: SegmentReference,
    judged: Vec<Judged>,
    min_rows: u64,
) -> SegmentReport {
    let features: Vec<FeatureReport> = judged.into_iter().map(|judged| judged.report).collect();
    let verdict = verdict(rows, min_rows, &features);
    let mut features: Vec<SegmentFeature> =
        features.into_iter().map(SegmentFeature::from).collect();
    let rank = |feature: &SegmentFeature| {
        let distance = feature.distances.jensen_shannon.unwrap_or_default();
        (feature.detected, feature.significant, distance)
    };
    features.sort_by(|a, b| {
        let ((detected, significant, distance), b) = (rank(a), rank(b));
        b.0.cmp(&detected).then(b.1.cmp(&significant)).then(b.2.total_cmp(&distance))
    });
    SegmentReport {
        segment: Arc::clone(segment),
        rows,
        verdict,
        reference,
        features_detected: features.iter().filter(|feature| feature.detected).count(),
        features,
    }
}
