//! Rows in, verdicts on windows out.

use super::attribution::{self, Attributions};
use super::quality::Grouping;
use super::segments::{Baselined, Segments};
use super::watch::Watch;
use super::{
    Assigned, Baseline, BaselineBuilder, BaselineSettings, EarlyWarnings, FeatureView,
    HeldReferences, Reference, ReferenceState, SegmentReport, SegmentSettings, SegmentWindow,
    Settings, WarningChange, WindowReport, WindowSpan,
};
use crate::decode::Rows;
use crate::sketch::Role;
use jiff::Timestamp;
use std::num::NonZeroU64;
use std::sync::Arc;

/// Watches inputs and outputs against a baseline, or learns one first.
///
/// Rows enter the finest window; closing it gives its verdict and merges it into every longer one.
/// Memory is bounded by features and levels of windows, not by rows.
#[derive(Debug)]
pub struct Monitor {
    pub(super) settings: Settings,
    pub(super) phase: Phase,
    pub(super) segments: Option<Box<Segments>>,
    pub(super) attributions: Attributions,
    /// By level, of the last closed windows.
    segment_windows: Vec<Option<Arc<SegmentWindow>>>,
    grouping: Grouping,
}

#[derive(Debug)]
pub(super) enum Phase {
    Learning { builder: Box<BaselineBuilder>, needed: NonZeroU64 },
    Watching { watch: Box<Watch>, origin: Origin },
}

/// Whether a reference is another than before.
#[must_use = "what was said of another reference is true no more"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Referred {
    AsBefore,
    Anew,
}

/// Where the baseline came from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    Given,
    Learned { over_limit: u64 },
}

impl Origin {
    pub(super) fn baselined(self) -> Baselined {
        match self {
            Self::Given => Baselined::Given,
            Self::Learned { .. } => Baselined::Learned,
        }
    }
}

impl Monitor {
    pub fn new(settings: Settings, reference: Reference) -> Self {
        let phase = match reference {
            Reference::Baseline(baseline) => Phase::Watching {
                watch: Box::new(Watch::new(&settings, baseline)),
                origin: Origin::Given,
            },
            Reference::Learn { rows } => Phase::learning(&settings, rows),
        };
        let segments = Segments::new(&settings.segments);
        let attributions = Attributions::default();
        let (segment_windows, grouping) = (Vec::new(), Grouping::Request);
        Self { settings, phase, segments, attributions, segment_windows, grouping }
    }

    /// Takes what comes in one call for rows of a table, each for itself, and not for one request.
    #[must_use]
    pub fn of_table(mut self) -> Self {
        self.grouping = Grouping::Rows;
        self
    }

    /// Goes on with other settings. What is watched before and after keeps its open windows, unless
    /// their lengths change: then all begin anew. A feature that was not watched begins with none.
    /// While a baseline is learned, other features to watch begin it anew.
    pub fn retune(&mut self, settings: Settings) {
        let features_stay = settings.filter == self.settings.filter
            && settings.max_features == self.settings.max_features;
        match &mut self.phase {
            Phase::Learning { needed, .. } if !features_stay => {
                self.phase = Phase::learning(&settings, *needed);
            }
            Phase::Watching { watch, .. }
                if !features_stay || settings.windows != self.settings.windows =>
            {
                watch.refit(&settings, settings.windows == self.settings.windows);
            }
            Phase::Learning { .. } | Phase::Watching { .. } => {}
        }
        if let Phase::Watching { watch, .. } = &mut self.phase {
            watch.keep_for(&settings);
        }
        self.retune_parts(&settings, features_stay);
        self.settings = settings;
    }

    /// Compares with `reference` from now on. A baseline with the content of the one in use changes
    /// nothing, nor does being told to learn where that was done: then only the rows that are still
    /// needed may differ.
    pub fn refer(&mut self, reference: Reference) -> Referred {
        match (&mut self.phase, &reference) {
            (Phase::Watching { watch, origin: Origin::Given }, Reference::Baseline(baseline))
                if watch.baseline().hash() == baseline.hash() =>
            {
                Referred::AsBefore
            }
            (Phase::Watching { origin: Origin::Learned { .. }, .. }, Reference::Learn { .. }) => {
                Referred::AsBefore
            }
            (Phase::Learning { needed, .. }, Reference::Learn { rows }) => {
                *needed = *rows;
                Referred::AsBefore
            }
            _ => {
                // The segments of rows that wait for their label are still those.
                let (segments, grouping) = (self.segments.take(), self.grouping);
                *self = Self::new(self.settings.clone(), reference);
                (self.segments, self.grouping) = (segments, grouping);
                self.begin_parts_anew();
                Referred::Anew
            }
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Counts a payload's rows. While learning they become part of the baseline instead.
    pub fn observe(&mut self, inputs: &Rows, outputs: &Rows) {
        self.observe_sampled(inputs, outputs, 1.0);
    }

    /// The same, of an exchange that was kept at `rate`, in (0, 1]: its rows stand for 1 / rate each. A
    /// baseline that is learnt takes all rows alike.
    pub fn observe_sampled(&mut self, inputs: &Rows, outputs: &Rows, rate: f64) {
        match &mut self.phase {
            Phase::Learning { builder, needed } => {
                builder.observe(Role::Input, inputs);
                builder.observe(Role::Output, outputs);
                let needed = *needed;
                if builder.rows() >= needed.get() {
                    self.learned(needed);
                }
            }
            Phase::Watching { watch, .. } => {
                let rate = if rate > 0.0 && rate <= 1.0 { rate } else { 1.0 };
                watch.sampled(rate, inputs.len().max(outputs.len()) as u64);
                watch.observe(&self.settings, Role::Input, inputs, (rate, self.grouping));
                watch.observe(&self.settings, Role::Output, outputs, (rate, self.grouping));
                self.attributions.observe(&self.settings, outputs, rate);
            }
        }
    }

    /// Keeps the exchange as an example of the bins that its rows fall in, for reports to name.
    pub fn exemplify(&mut self, request_id: &Arc<str>, inputs: &Rows, outputs: &Rows) {
        if let Phase::Watching { watch, .. } = &mut self.phase {
            watch.exemplify(Role::Input, request_id, inputs);
            watch.exemplify(Role::Output, request_id, outputs);
        }
    }

    /// Rows without any watched feature teach nothing: then learning starts again.
    fn learned(&mut self, needed: NonZeroU64) {
        let again = Phase::learning(&self.settings, needed);
        let Phase::Learning { builder, .. } = std::mem::replace(&mut self.phase, again) else {
            return;
        };
        let over_limit = builder.features_over_limit();
        if let Ok(baseline) = builder.finish() {
            let watch = Box::new(Watch::new(&self.settings, Arc::new(baseline)));
            self.phase = Phase::Watching { watch, origin: Origin::Learned { over_limit } };
        }
    }

    /// Makes the open window the one after those that `before` has closed, so that it is judged with
    /// them: for windows that are filled side by side. Both must have the same settings and baseline.
    pub fn follow(&mut self, before: &mut Self) {
        if let (Phase::Watching { watch, .. }, Phase::Watching { watch: before, .. }) =
            (&mut self.phase, &mut before.phase)
        {
            watch.follow(before);
        }
        if let (Some(segments), Some(before)) = (&mut self.segments, &mut before.segments) {
            segments.follow(before);
        }
    }

    /// Rows come on from those that `before` has by now: the first of a window are next to its last, which
    /// tells how rows that follow each other hang together.
    pub fn resume(&mut self, before: &Self) {
        if let (Phase::Watching { watch, .. }, Phase::Watching { watch: before, .. }) =
            (&mut self.phase, &before.phase)
        {
            watch.resume(before);
        }
    }

    /// Ends a window. `None` while the baseline is being learnt, or for a level that does not exist.
    ///
    /// Where windows of several lengths end together, the finest is closed first.
    pub fn close(&mut self, span: WindowSpan) -> Option<WindowReport> {
        let report = match &mut self.phase {
            Phase::Learning { .. } => None,
            Phase::Watching { watch, .. } => watch.close(&self.settings, span),
        };
        report.map(|mut report| {
            let baseline = self.baseline().cloned();
            let level = span.level;
            let settings = &self.settings;
            report.attribution = self.attributions.close(settings, baseline.as_deref(), level);
            attribution::rank(&mut report.features, &settings.attribution);
            report.segments = self.close_segments(span);
            report
        })
    }

    /// What early warning says anew, by the rows since it was last asked; nothing while the baseline is
    /// being learnt. To be asked before windows that end by `now` are closed.
    pub fn warn(&mut self, now: Timestamp) -> Vec<WarningChange> {
        match &mut self.phase {
            Phase::Learning { .. } => Vec::new(),
            Phase::Watching { watch, .. } => watch.warn(&self.settings, now),
        }
    }

    /// `None` where there is no early warning, or no baseline yet.
    pub fn warnings(&self) -> Option<EarlyWarnings> {
        self.watch().and_then(|watch| watch.warnings(&self.settings))
    }

    /// Every watched feature, inputs first; without bins while the baseline is being learnt.
    pub fn views(&self) -> Vec<FeatureView> {
        match &self.phase {
            Phase::Learning { builder, .. } => builder.views(),
            Phase::Watching { watch, .. } => watch.views(),
        }
    }

    pub fn reference_state(&self) -> ReferenceState {
        match &self.phase {
            Phase::Learning { builder, needed } => {
                ReferenceState::Learning { rows: builder.rows(), needed: needed.get() }
            }
            Phase::Watching { watch, origin } => {
                let (rows, hash) = (watch.baseline().rows(), watch.baseline().hash().to_owned());
                match origin {
                    Origin::Given => ReferenceState::Given { rows, hash },
                    Origin::Learned { .. } => ReferenceState::Learned { rows, hash },
                }
            }
        }
    }

    /// Features that are not watched because there are more than `max_features`.
    pub fn features_over_limit(&self) -> u64 {
        match &self.phase {
            Phase::Learning { builder, .. } => builder.features_over_limit(),
            Phase::Watching { watch, origin: Origin::Given } => watch.over_limit(),
            Phase::Watching { watch, origin: Origin::Learned { over_limit } } => {
                *over_limit + watch.over_limit()
            }
        }
    }

    /// Features that were seen but that the baseline does not have: counted, not judged.
    pub fn extra_features(&self) -> u64 {
        self.watch().map_or(0, Watch::extra_features)
    }

    /// What is held of earlier windows for `drift.references`.
    pub fn held_references(&self) -> HeldReferences {
        self.watch().map(Watch::held_references).unwrap_or_default()
    }

    /// The baseline given or learnt.
    pub fn baseline(&self) -> Option<&Arc<Baseline>> {
        self.watch().map(Watch::baseline)
    }

    fn watch(&self) -> Option<&Watch> {
        match &self.phase {
            Phase::Learning { .. } => None,
            Phase::Watching { watch, .. } => Some(watch),
        }
    }
}

impl Phase {
    fn learning(settings: &Settings, needed: NonZeroU64) -> Self {
        let builder = BaselineBuilder::new(BaselineSettings {
            max_features: settings.max_features,
            filter: settings.filter.clone(),
        });
        Self::Learning { builder: Box::new(builder), needed }
    }
}

/// Parts of the traffic.
impl Monitor {
    /// Counts a payload's rows in the windows of their segments, and tells which those are. To be called
    /// before [`Self::observe`], so that rows which end the learning of a baseline are no window's too.
    ///
    /// `rate` is the share of exchanges that were kept when this one was, in (0, 1].
    pub fn segment<'h>(
        &mut self,
        (inputs, outputs): (&Rows, &Rows),
        rate: f64,
        header: impl Fn(&str) -> Option<&'h str>,
    ) -> Assigned {
        let Some(segments) = &mut self.segments else { return Assigned::default() };
        let assigned = segments.assign(inputs, header);
        if let Phase::Watching { watch, origin } = &self.phase {
            let reference = (watch.baseline(), origin.baselined());
            segments.observe(&self.settings, reference, (inputs, outputs, rate), &assigned);
        }
        assigned
    }

    pub fn segment_settings(&self) -> &SegmentSettings {
        &self.settings.segments
    }

    /// The name of each segment seen so far, by id.
    pub fn segment_names(&self) -> &[Arc<str>] {
        self.segments.as_deref().map_or(&[], Segments::names)
    }

    /// All features of all segments, in the last closed window of each length.
    pub fn segment_windows(&self) -> Vec<Arc<SegmentWindow>> {
        self.segment_windows.iter().flatten().cloned().collect()
    }

    fn close_segments(&mut self, span: WindowSpan) -> Vec<SegmentReport> {
        let segments = self.segments.as_mut();
        let closed = segments.and_then(|segments| segments.close(&self.settings, span));
        let Some(closed) = closed else { return Vec::new() };
        let short = closed.in_short();
        if self.segment_windows.len() <= span.level {
            self.segment_windows.resize(span.level + 1, None);
        }
        self.segment_windows[span.level] = Some(closed);
        short
    }

    fn retune_parts(&mut self, settings: &Settings, features_stay: bool) {
        let stay = features_stay && settings.windows == self.settings.windows;
        if !settings.segments.tells_as(&self.settings.segments) {
            self.segments = Segments::new(&settings.segments);
            self.segment_windows.clear();
        } else if let Some(segments) = &mut self.segments {
            segments.retune(&settings.segments);
        }
        if !stay || settings.attribution.prefixes != self.settings.attribution.prefixes {
            self.begin_parts_anew();
        }
    }

    fn begin_parts_anew(&mut self) {
        self.attributions.clear();
        self.segments.iter_mut().for_each(|segments| segments.begin_anew());
        self.segment_windows.clear();
    }
}
