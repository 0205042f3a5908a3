//! The sums of the open windows of every length, and the verdict where one ends.

use super::judge::{Against, Rules};
use super::moments::Moments;
use super::{ERROR_SHARE, JointReport};
use crate::decode::Column;
use crate::drift::baseline::Baseline;
use crate::drift::found::Found;
use crate::drift::{Settings, WindowSpan};
use crate::sketch::{FeatureCounts, FrameError, Packer, Unpacker};
use jiff::SignedDuration;
use std::collections::HashMap;

#[derive(Debug)]
pub(in crate::drift) struct JointWatch {
    against: Against,
    /// By place in the baseline, the coordinates that are made of the feature.
    of_feature: Vec<Vec<usize>>,
    /// By level.
    open: Vec<Moments>,
    found: Vec<Found>,
    /// Scores of the payload at hand, coordinate by coordinate.
    scores: Vec<f64>,
    rows: usize,
}

impl JointWatch {
    /// `None` where the baseline says nothing of how features go together.
    pub(in crate::drift) fn new(settings: &Settings, baseline: &Baseline) -> Option<Self> {
        let against = Against::new(baseline.joint()?, baseline)?;
        let coordinates = &against.joint.coordinates;
        let mut of_feature = vec![Vec::new(); baseline.features().len()];
        for (at, coordinate) in coordinates.iter().enumerate() {
            of_feature[coordinate.feature].push(at);
        }
        let open = vec![Moments::new(coordinates.len()); settings.windows.len()];
        let found = vec![Found::default(); settings.windows.len()];
        Some(Self { against, of_feature, open, found, scores: Vec::new(), rows: 0 })
    }

    /// A payload of so many rows begins: a column that it does not have is of missing values.
    pub(in crate::drift) fn begin(&mut self, rows: usize) {
        self.rows = rows;
        self.scores.clear();
        self.scores.resize(rows * self.against.scores.len(), 0.0);
    }

    pub(in crate::drift) fn score(&mut self, place: usize, column: &Column) {
        for at in &self.of_feature[place] {
            let into = &mut self.scores[at * self.rows..][..self.rows];
            self.against.scores[*at].score(column, into);
        }
    }

    pub(in crate::drift) fn end(&mut self) {
        if let Some(finest) = self.open.first_mut() {
            finest.add(&self.scores, self.rows);
        }
    }

    /// Takes over what `before` has found in windows that closed.
    pub(in crate::drift) fn follow(&mut self, before: &mut Self) {
        self.found = std::mem::take(&mut before.found);
        before.found.resize_with(before.open.len(), Found::default);
    }

    pub(in crate::drift) fn save(&self, packer: &mut Packer) {
        for (open, found) in self.open.iter().zip(&self.found) {
            open.save(packer);
            found.save(packer);
        }
    }

    /// On the same baseline, with as many levels.
    pub(in crate::drift) fn restore(&mut self, saved: &mut Unpacker<'_>) -> Result<(), FrameError> {
        for (open, found) in self.open.iter_mut().zip(&mut self.found) {
            open.restore(saved)?;
            *found = Found::restored(saved)?;
        }
        Ok(())
    }

    /// Whether a feature is part of any coordinate.
    pub(in crate::drift) fn looks_at(&self, place: usize) -> bool {
        self.of_feature.get(place).is_some_and(|coordinates| !coordinates.is_empty())
    }

    /// Whether the open window may have a verdict: else features need not share their error rate.
    pub(in crate::drift) fn may_judge(&self, settings: &Settings, span: WindowSpan) -> bool {
        let open = self.open.get(span.level);
        let rows =
            open.is_some_and(|open| Against::has_enough(open.rows as f64, settings.min_rows));
        rows && self.against.tells_of_pairs(holds_days(span))
    }

    /// Judges the open window of a level and opens the next. The finest is merged into all longer ones.
    /// Rows count as one `design_effect` at a time, here as in the baseline: the largest of the features
    /// that are looked at. `None` where rows were kept at several rates: the sums are of rows as they were
    /// kept, and are not judged.
    pub(in crate::drift) fn close(
        &mut self,
        settings: &Settings,
        baseline: &Baseline,
        span: WindowSpan,
        counts: &HashMap<usize, FeatureCounts>,
        design_effect: Option<f64>,
    ) -> Option<JointReport> {
        let coordinates = &self.against.joint.coordinates;
        let empty = Moments::new(coordinates.len());
        let closed = std::mem::replace(self.open.get_mut(span.level)?, empty);
        if span.level == 0 {
            self.open.iter_mut().skip(1).for_each(|longer| longer.merge(&closed));
        }
        let counts: Vec<_> =
            coordinates.iter().map(|coordinate| counts.get(&coordinate.feature)).collect();
        let rules = |design_effect| Rules {
            level: ERROR_SHARE * settings.false_discovery_rate,
            min_rows: settings.min_rows,
            design_effects: (design_effect, design_effect),
            holds_days: holds_days(span),
        };
        let judged = design_effect
            .and_then(|effect| self.against.judge(baseline, &closed, &counts, rules(effect)));
        let found = self.found.get_mut(span.level)?;
        let detected = found.push(settings.persistence, judged.as_ref().map(|it| it.detected));
        judged.map(|judged| JointReport { detected, ..judged })
    }
}

/// Whether a window is of whole days, or of rows without a time, which may be of any hours.
fn holds_days(span: WindowSpan) -> bool {
    let (Some(start), Some(end)) = (span.start, span.end) else { return true };
    end.duration_since(start) >= SignedDuration::from_hours(24)
}
