//! The detectors of all features, fed with what the finest window has counted since the last look.

use super::detector::{Batch, Detector};
use super::tilt::{self, Belief, Categories, Tilt};
use super::{EarlySettings, EarlyWarning, EarlyWarnings, WarningChange, WarningState};
use crate::drift::baseline::{BaselineFeature, CategoricalReference, Content};
use crate::sketch::{FeatureSketch, NumericCounts};
use jiff::Timestamp;
use statrs::function::erf::erfc_inv;
use std::collections::HashMap;
use std::f64::consts::{LN_10, SQRT_2};
use std::sync::Arc;

/// The share of baselines with whose errors the run length may be shorter than stated.
const UNLUCKY: f64 = 0.01;
/// Bounds of the truth that each feature's tilts rely on, about: two of location, two of scale, nulls,
/// types, bounds, and a few of levels.
const BOUNDS_OF_A_FEATURE: f64 = 10.0;
/// Levels that are tested each by itself: those with most rows.
const MAX_LEVELS: usize = 24;
/// Of a window, where it is not known how much has passed.
const LEAST_TIME: f64 = 1e-4;

/// One watched feature at a look.
#[derive(Clone, Copy)]
pub(in crate::drift) struct Seen<'a> {
    /// Its place in the baseline.
    pub(in crate::drift) place: usize,
    pub(in crate::drift) feature: &'a BaselineFeature,
    /// The finest window that is open.
    pub(in crate::drift) open: &'a FeatureSketch,
    /// Rows that count as one, as they go together: of the baseline, and of live ones.
    pub(in crate::drift) design_effects: (f64, f64),
}

#[derive(Debug, Default)]
pub(in crate::drift) struct EarlyWatch {
    /// By place in the baseline.
    watched: HashMap<usize, Watched>,
    last_look: Option<Timestamp>,
}

#[derive(Debug)]
struct Watched {
    detector: Detector,
    /// Counted in the open window at the last look.
    counted: Vec<f64>,
}

impl EarlyWatch {
    /// Takes in what came since the last look; says what has changed by it.
    pub(in crate::drift) fn look<'a>(
        &mut self,
        settings: &EarlySettings,
        seen: impl ExactSizeIterator<Item = Seen<'a>>,
        now: Timestamp,
    ) -> Vec<WarningChange> {
        let begin = self.last_look.replace(now).unwrap_or(now);
        let passed = now.duration_since(begin).as_secs_f64() / settings.window.as_secs_f64();
        let time = passed.clamp(LEAST_TIME, 1.0);
        let features = seen.len();
        let threshold = threshold(settings, features);
        let mut changes = Vec::new();
        let mut cells = Vec::new();
        for seen in seen {
            let watched = self.watched.entry(seen.place);
            let watched = watched.or_insert_with(|| Watched::new(&seen, features));
            let before = watched.detector.warned();
            if !watched.take(&seen, &mut cells) {
                continue;
            }
            let design_effect = seen.design_effects.1.max(1.0);
            let batch = Batch { cells: &cells, design_effect, time, begin, end: now };
            watched.detector.observe(&batch, threshold);
            let after = watched.detector.state();
            if before.is_some() != (after == WarningState::Warned) {
                let ended = before.filter(|_| after == WarningState::Quiet);
                let ended = ended.map(|(warned, change, _)| (change, warned.since));
                changes.push(WarningChange { warning: watched.warning(&seen), ended });
            }
        }
        changes
    }

    /// The feature begins anew.
    pub(in crate::drift) fn forget(&mut self, place: usize) {
        self.watched.remove(&place);
    }

    /// The open window is another: it has counted nothing yet.
    pub(in crate::drift) fn window_closed(&mut self) {
        self.watched.values_mut().for_each(|watched| watched.counted.fill(0.0));
    }

    /// Of the features that are watched now.
    pub(in crate::drift) fn warnings<'a>(
        &self,
        settings: &EarlySettings,
        seen: impl ExactSizeIterator<Item = Seen<'a>>,
    ) -> EarlyWarnings {
        let threshold = threshold(settings, seen.len()) / LN_10;
        let warning = |seen: Seen<'_>| match self.watched.get(&seen.place) {
            Some(watched) => watched.warning(&seen),
            None => quiet(seen.feature, None),
        };
        let average_run_length = settings.average_run_length.get();
        EarlyWarnings { average_run_length, threshold, features: seen.map(warning).collect() }
    }
}

/// The mean of all features' statistics has the run length asked for where each alone is given so many
/// times more.
fn threshold(settings: &EarlySettings, features: usize) -> f64 {
    (settings.average_run_length.get() as f64 * features.max(1) as f64).ln()
}

impl Watched {
    fn new(seen: &Seen<'_>, features: usize) -> Self {
        let bounds = BOUNDS_OF_A_FEATURE * features.max(1) as f64;
        let errors = SQRT_2 * erfc_inv(2.0 * UNLUCKY / bounds);
        let belief = Belief { design_effect: seen.design_effects.0.max(1.0), errors };
        let detector = Detector::new(tilts(&seen.feature.content, belief));
        Self { detector, counted: Vec::new() }
    }

    /// Puts what was counted since the last look into `cells`; false if that is nothing.
    fn take(&mut self, seen: &Seen<'_>, cells: &mut Vec<f64>) -> bool {
        cells.clear();
        fill(seen.open, cells);
        self.counted.resize(cells.len(), 0.0);
        let mut any = false;
        for (cell, counted) in cells.iter_mut().zip(&mut self.counted) {
            let total = *cell;
            *cell -= *counted;
            *counted = total;
            any |= *cell > 0.0;
        }
        any
    }

    fn warning(&self, seen: &Seen<'_>) -> EarlyWarning {
        let statistic = self.detector.statistic();
        let mut warning = quiet(seen.feature, statistic.is_finite().then_some(statistic / LN_10));
        if let Some((warned, change, level)) = self.detector.warned() {
            warning.state = WarningState::Warned;
            warning.since = Some(warned.since);
            warning.warned_at = Some(warned.at);
            warning.change = Some(change);
            warning.level = level.and_then(|level| name(seen.feature, level));
        }
        warning
    }
}

fn quiet(feature: &BaselineFeature, statistic: Option<f64>) -> EarlyWarning {
    let key = feature.key();
    EarlyWarning {
        feature: Arc::clone(&key.name),
        role: key.role,
        state: WarningState::Quiet,
        since: None,
        warned_at: None,
        change: None,
        level: None,
        statistic,
    }
}

fn name(feature: &BaselineFeature, level: usize) -> Option<Arc<str>> {
    feature.categorical().and_then(|counts| counts.levels().names().get(level).cloned())
}

fn tilts(content: &Content, belief: Belief) -> Vec<Tilt> {
    match content {
        Content::Numeric(reference) => {
            let counts = &reference.counts;
            tilt::numeric(counts.bins(), counts.missing(), wrong(counts), belief)
        }
        Content::Categorical(reference) => tilt::categorical(levels(reference), belief),
    }
}

fn levels(reference: &CategoricalReference) -> Categories<'_> {
    let counts = &reference.counts;
    Categories {
        levels: &counts.level_rows()[..counts.level_rows().len().min(MAX_LEVELS)],
        values: counts.values(),
        // Good and Turing: a row is of a new level as often as one of the reference was alone in its.
        unseen: counts.other() + reference.singletons,
        missing: counts.nulls(),
        wrong: counts.type_errors(),
    }
}

fn wrong(counts: &NumericCounts) -> u64 {
    counts.type_errors() + counts.infinities
}

/// Rows in each cell, as [`tilt`] orders them.
fn fill(open: &FeatureSketch, cells: &mut Vec<f64>) {
    match open {
        FeatureSketch::Numeric(sketch) => {
            let counts = sketch.counts();
            cells.extend(counts.bins().iter().map(|rows| *rows as f64));
            let beyond = counts.below + counts.above;
            cells.extend([counts.missing(), wrong(counts), beyond].map(|rows| rows as f64));
        }
        FeatureSketch::Categorical(sketch) => {
            let counts = sketch.counts();
            let (shown, rest) =
                counts.level_rows().split_at(counts.level_rows().len().min(MAX_LEVELS));
            cells.extend(shown.iter().map(|rows| *rows as f64));
            let rest = rest.iter().sum::<u64>();
            let others = [rest, counts.other(), counts.nulls(), counts.type_errors()];
            cells.extend(others.map(|rows| rows as f64));
        }
    }
}
