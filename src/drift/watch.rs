//! Live rows against a baseline: the open windows of every length, and the few that closed last.

mod closing;
mod earlier;
mod saved;
mod told;

use super::baseline::{Baseline, BaselineFeature, NameCount};
use super::dependence::{self, HoursOfDay, RowBlocks, RowScale, Scores};
use super::early::{EarlyWatch, Seen};
use super::examples::Examples;
use super::found::Found;
use super::history::History;
use super::joint::JointWatch;
use super::provenance::Sampled;
use super::quality::{Extras, Grouping, Runs};
use super::references::HeldReferences;
use super::report::{Expected, FeatureView};
use super::verdict::quality;
use super::{EarlyWarnings, Settings, WarningChange};
use crate::decode::{Column, Rows};
use crate::sketch::{EdgesDiffer, FeatureCounts, FeatureSketch, Repeats, Role, ValueKey};
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use closing::add;
pub(super) use saved::Taken;

/// Closed windows that are kept to be merged with the next.
const KEPT_WINDOWS: usize = 4;
/// Values that came so often are remembered of a window, and how many of them.
const TWICE: u32 = 2;
const MOST_REPEATED: usize = 128;

#[derive(Debug)]
pub(super) struct Watch {
    baseline: Arc<Baseline>,
    watched: Vec<Watched>,
    /// By role and name, where a column is counted.
    index: [HashMap<Arc<str>, usize>; 2],
    /// By level, the rows of the open window: inputs and outputs.
    open_rows: Vec<[u64; 2]>,
    over_limit: u64,
    extra: NameCount,
    /// By level, of the open window.
    extras: Vec<Extras>,
    sampled: Vec<Sampled>,
    /// By role, rows of the baseline.
    reference_rows: [u64; 2],
    /// Finest windows closed so far, and by level how many there were when the open one began.
    closed: u64,
    opened_at: Vec<u64>,
    history: History,
    early: EarlyWatch,
    /// `None` where the baseline does not say how features go together.
    joint: Option<JointWatch>,
}

#[derive(Debug)]
struct Watched {
    /// Its place in the baseline.
    feature: usize,
    /// By level.
    windows: Vec<Windows>,
    /// What the open window of the finest length had when the process before this one saved it.
    carried: Option<FeatureSketch>,
    /// Of closed windows of the finest length, since start.
    total: FeatureCounts,
    last: Option<FeatureCounts>,
    examples: Examples,
    expected: Arc<Expected>,
    scores: Scores,
    /// Of the open window of the finest length; only where bins do not tell values apart.
    repeats: Option<Repeats>,
    /// How rows that follow each other hang together, since start.
    blocks: RowBlocks,
}

#[derive(Debug, Clone)]
struct Windows {
    open: FeatureSketch,
    runs: Runs,
    kept: VecDeque<Arc<Kept>>,
    /// Rows of its role that the open window had before the feature was watched.
    rows_before: u64,
    /// Start of the first of the windows that were not in order one after the other, up to the last.
    since: Option<Timestamp>,
    /// Of what closed within the open window: values that came again, at the finest length not kept here.
    repeated: HashMap<ValueKey, u32>,
    found: Found,
}

#[derive(Debug)]
struct Kept {
    counts: FeatureCounts,
    repeated: Vec<(ValueKey, u32)>,
    significant_alone: bool,
    hours: Option<HoursOfDay>,
}

impl Watch {
    pub(super) fn new(settings: &Settings, baseline: Arc<Baseline>) -> Self {
        let features = baseline.features().iter().enumerate();
        let admitted = features.filter(|(_, f)| settings.filter.admits(&f.key().name));
        let mut index = [HashMap::new(), HashMap::new()];
        let mut watched = Vec::new();
        let mut over_limit = 0;
        for (place, feature) in admitted {
            if watched.len() >= settings.max_features {
                over_limit += 1;
                continue;
            }
            let key = feature.key();
            index[key.role as usize].insert(key.name.clone(), watched.len());
            watched.push(Watched::new(place, feature, settings.windows.len()));
        }
        let levels = settings.windows.len();
        let (open_rows, opened_at) = (vec![[0; 2]; levels], vec![0; levels]);
        let joint = JointWatch::new(settings, &baseline);
        Self {
            reference_rows: told::reference_rows(&baseline),
            baseline,
            watched,
            index,
            open_rows,
            over_limit,
            extra: NameCount::default(),
            extras: vec![Extras::default(); levels],
            sampled: vec![Sampled::default(); levels],
            closed: 0,
            opened_at,
            history: History::new(levels),
            early: EarlyWatch::default(),
            joint,
        }
    }

    /// Watches what `settings` say now. Rows that were counted stay counted; what is watched on keeps
    /// its windows too, if they stay.
    pub(super) fn refit(&mut self, settings: &Settings, windows_stay: bool) {
        let mut next = Self::new(settings, Arc::clone(&self.baseline));
        let before = self.watched.drain(..).map(|watched| (watched.feature, watched));
        let mut before: HashMap<usize, Watched> = before.collect();
        for watched in &mut next.watched {
            match before.remove(&watched.feature) {
                Some(before) if windows_stay => *watched = before,
                Some(before) => watched.total = before.rows_so_far(),
                None => {
                    self.early.forget(watched.feature);
                    if windows_stay {
                        watched.begin_within(&self.baseline, &self.open_rows);
                    }
                }
            }
        }
        if windows_stay {
            next.open_rows = std::mem::take(&mut self.open_rows);
            next.opened_at = std::mem::take(&mut self.opened_at);
            next.closed = self.closed;
            next.history = std::mem::take(&mut self.history);
            next.extras = std::mem::take(&mut self.extras);
            next.sampled = std::mem::take(&mut self.sampled);
            next.early = std::mem::take(&mut self.early);
            next.joint = self.joint.take();
        }
        *self = next;
    }

    /// Lets go of earlier windows that no reference of `settings` asks for.
    pub(super) fn keep_for(&mut self, settings: &Settings) {
        self.history.keep_for(settings.wanted());
    }

    pub(super) fn held_references(&self) -> HeldReferences {
        self.history.held()
    }

    pub(super) fn baseline(&self) -> &Arc<Baseline> {
        &self.baseline
    }

    pub(super) fn over_limit(&self) -> u64 {
        self.over_limit
    }

    pub(super) fn extra_features(&self) -> u64 {
        self.extra.names()
    }

    /// At which rate the rows were kept, and what came in one call.
    pub(super) fn observe(
        &mut self,
        settings: &Settings,
        role: Role,
        rows: &Rows,
        (rate, grouping): (f64, Grouping),
    ) {
        let Some(open) = self.open_rows.first_mut() else { return };
        open[role as usize] += rows.len() as u64;
        let mut joint = self.joint.as_mut().filter(|_| role == Role::Input);
        if let Some(joint) = &mut joint {
            joint.begin(rows.len());
        }
        let mut extra = Vec::new();
        for column in rows.columns() {
            match self.index[role as usize].get(column.name()) {
                Some(watched) => {
                    let watched = &mut self.watched[*watched];
                    watched.observe(&self.baseline, column, rate);
                    watched.windows[0].runs.observe(column, grouping);
                    if let Some(joint) = &mut joint {
                        joint.score(watched.feature, column);
                    }
                }
                None if settings.filter.admits(column.name()) => {
                    self.extra.count(role, column.name());
                    extra.push(column.name());
                }
                None => {}
            }
        }
        if let Some(joint) = joint {
            joint.end();
        }
        self.extras[0].observe(role, extra.into_iter(), (rows.len() as u64, grouping));
    }

    pub(super) fn sampled(&mut self, rate: f64, rows: u64) {
        if let Some(open) = self.sampled.first_mut() {
            open.add(rate, rows);
        }
    }

    /// Notes which bins an exchange's rows fall in.
    pub(super) fn exemplify(&mut self, role: Role, request_id: &Arc<str>, rows: &Rows) {
        for column in rows.columns() {
            let Some(watched) = self.index[role as usize].get(column.name()) else { continue };
            let watched = &mut self.watched[*watched];
            let feature = &self.baseline.features()[watched.feature];
            watched.examples.note(feature, column, request_id, self.closed);
        }
    }

    /// Takes over the closed windows that `before` keeps to be merged or compared with the next.
    pub(super) fn follow(&mut self, before: &mut Self) {
        self.history = std::mem::take(&mut before.history);
        for (watched, before) in self.watched.iter_mut().zip(&mut before.watched) {
            for (windows, before) in watched.windows.iter_mut().zip(&mut before.windows) {
                windows.kept = std::mem::take(&mut before.kept);
                windows.since = before.since.take();
                windows.found = std::mem::take(&mut before.found);
            }
        }
        if let (Some(joint), Some(before)) = (&mut self.joint, &mut before.joint) {
            joint.follow(before);
        }
    }

    /// Rows go on where those of `before` are for now.
    pub(super) fn resume(&mut self, before: &Self) {
        for (watched, before) in self.watched.iter_mut().zip(&before.watched) {
            watched.blocks = before.blocks.clone();
            watched.blocks.settle();
        }
    }

    /// What early warning says anew, by the rows since it was last asked.
    pub(super) fn warn(&mut self, settings: &Settings, now: Timestamp) -> Vec<WarningChange> {
        let Some(early) = settings.early.as_ref().filter(|_| !settings.windows.is_empty()) else {
            self.early = EarlyWatch::default();
            return Vec::new();
        };
        let features = self.baseline.features();
        self.early.look(early, self.watched.iter().map(|w| w.seen(features)), now)
    }

    pub(super) fn warnings(&self, settings: &Settings) -> Option<EarlyWarnings> {
        let features = self.baseline.features();
        let early = settings.early.as_ref().filter(|_| !settings.windows.is_empty())?;
        Some(self.early.warnings(early, self.watched.iter().map(|w| w.seen(features))))
    }

    /// What live rows show of their dependence, by feature: where they show none, nothing.
    fn dependence(&self) -> Vec<Vec<RowScale>> {
        let evidence: Vec<_> =
            self.watched.iter().map(|watched| dependence::evidence(&watched.blocks)).collect();
        let shown = dependence::shown(&evidence);
        let features = self.watched.iter().zip(shown);
        let curve = |(watched, shown): (&Watched, dependence::Shown)| {
            if shown.any() { dependence::curve(&watched.blocks, shown) } else { Vec::new() }
        };
        features.map(curve).collect()
    }

    pub(super) fn views(&self) -> Vec<FeatureView> {
        let view = |watched: &Watched| watched.view(&self.baseline.features()[watched.feature]);
        self.watched.iter().map(view).collect()
    }
}

impl Watched {
    fn new(place: usize, feature: &BaselineFeature, levels: usize) -> Self {
        let window = || Windows {
            open: feature.content.window(),
            runs: Runs::default(),
            kept: VecDeque::new(),
            rows_before: 0,
            since: None,
            repeated: HashMap::new(),
            found: Found::default(),
        };
        let total = feature.content.window().counts();
        Self {
            feature: place,
            windows: std::iter::repeat_with(window).take(levels).collect(),
            carried: None,
            total,
            last: None,
            examples: Examples::default(),
            expected: Arc::new(feature.expected()),
            scores: Scores::of(&feature.content),
            repeats: feature.content.hides_values().then(Repeats::of_window),
            blocks: RowBlocks::without_shares(),
        }
    }

    /// Is watched from here on, in windows that have rows already, by level.
    fn begin_within(&mut self, baseline: &Baseline, open_rows: &[[u64; 2]]) {
        let role = baseline.features()[self.feature].key().role as usize;
        for (windows, open) in self.windows.iter_mut().zip(open_rows) {
            windows.rows_before = open[role];
        }
    }

    /// The finest window ends: what this process counted of it goes to the total, and what was carried
    /// over from the one before joins it.
    fn settle(&mut self) {
        let Some(finest) = self.windows.first_mut() else { return };
        let counts = finest.open.counts();
        self.total = add(std::mem::replace(&mut self.total, counts.clone()), &counts);
        if let Some(carried) = self.carried.take() {
            let _: Result<(), EdgesDiffer> = finest.open.merge(&carried);
        }
    }

    fn observe(&mut self, baseline: &Baseline, column: &Column, rate: f64) {
        self.windows[0].open.observe_sampled(column, rate);
        let content = &baseline.features()[self.feature].content;
        let Self { scores, blocks, .. } = self;
        scores.each(content, column, |scored| blocks.observe(&scored));
        if let (Some(repeats), Some(numbers)) = (&mut self.repeats, column.as_numbers()) {
            let finite = numbers.iter().filter(|number| number.is_finite());
            finite.for_each(|number| repeats.observe(Repeats::key(*number)));
        }
    }

    fn seen<'a>(&'a self, features: &'a [BaselineFeature]) -> Seen<'a> {
        let (place, open) = (self.feature, &self.windows[0].open);
        Seen { place, feature: &features[place], open, design_effects: (1.0, 1.0) }
    }

    /// Of closed windows and the open one.
    fn rows_so_far(&self) -> FeatureCounts {
        let open = self.windows.first().map(|windows| windows.open.counts());
        open.iter().fold(self.total.clone(), add)
    }

    fn view(&self, feature: &BaselineFeature) -> FeatureView {
        let open = self.windows.first().map(|windows| windows.open.counts());
        let sum = |counts: &FeatureCounts| match &open {
            Some(open) => add(counts.clone(), open),
            None => counts.clone(),
        };
        let total = sum(&self.total);
        let carried = self.carried.as_ref().map(FeatureSketch::counts);
        let before = self.last.iter().chain(&carried).cloned().reduce(|sum, part| add(sum, &part));
        let recent = before.map_or_else(|| open.clone(), |before| Some(sum(&before)));
        let recent = recent.map(|recent| feature.content.reported_of(&recent)).unwrap_or_default();
        FeatureView {
            feature: feature.key().name.clone(),
            role: feature.key().role,
            kind: feature.kind(),
            bins: feature.bins(&recent, &feature.content.reported_of(&total)),
            rows_total: total.rows(),
            quality: quality(&total.clone().effective()),
            baseline: Some(Arc::clone(&self.expected)),
        }
    }
}
