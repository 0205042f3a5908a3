//! A window that ends: its counts in; its report out, and what is kept of it for those that follow.

use super::{KEPT_WINDOWS, Kept, MOST_REPEATED, TWICE, Watch, Watched, Windows};
use crate::drift::baseline::BaselineFeature;
use crate::drift::dependence::{HoursOfDay, RowScale};
use crate::drift::joint::{ERROR_SHARE, JointReport};
use crate::drift::quality::{ExtraFeatures, Extras};
use crate::drift::report::{FeatureReport, WindowReport};
use crate::drift::verdict::{Case, Judged, Merged, WindowTime, judge, verdict};
use crate::drift::{Settings, WindowSpan};
use crate::sketch::{EdgesDiffer, FeatureCounts, FeatureSketch, ValueKey};
use std::collections::HashMap;
use std::sync::Arc;

impl Watch {
    /// Judges the open window of a level and opens the next. The finest is merged into all longer ones.
    pub(in crate::drift) fn close(
        &mut self,
        settings: &Settings,
        span: WindowSpan,
    ) -> Option<WindowReport> {
        let window = settings.windows.get(span.level)?.clone();
        let open = std::mem::take(self.open_rows.get_mut(span.level)?);
        if span.level == 0 {
            let longer = self.open_rows.iter_mut().skip(1);
            longer.for_each(|rows| *rows = [rows[0] + open[0], rows[1] + open[1]]);
        }
        let rows = open[0].max(open[1]);
        if span.level == 0 {
            self.watched.iter_mut().for_each(Watched::settle);
        }
        let extras = std::mem::take(&mut self.extras[span.level]);
        let sampled = std::mem::take(&mut self.sampled[span.level]);
        if span.level == 0 {
            self.extras.iter_mut().skip(1).for_each(|longer| longer.append(&extras));
            self.sampled.iter_mut().skip(1).for_each(|longer| longer.append(&sampled));
        }
        let counts = self.counts_together(span.level);
        let provenance = self.provenance(settings, span.level, open, &sampled);
        let (features, extra_features) = self.close_features(settings, span, open, &extras);
        let joint = self.close_joint(settings, span, (&counts, sampled.is_even()), &features);
        let verdict = verdict(rows, settings.min_rows, &features);
        let is_drifting = joint.as_ref().is_some_and(|joint| joint.detected);
        if span.level == 0 {
            self.closed += 1;
            self.early.window_closed();
        }
        self.opened_at[span.level] = self.closed;
        Some(WindowReport {
            window,
            start: span.start,
            end: span.end,
            rows,
            coverage: span.coverage,
            verdict: if is_drifting { verdict.or_drifting() } else { verdict },
            features,
            extra_features,
            provenance: Some(Box::new(provenance)),
            joint: joint.map(Box::new),
            ..WindowReport::default()
        })
    }

    /// By place in the baseline, what the open window has counted; for the joint test.
    fn counts_together(&self, level: usize) -> HashMap<usize, FeatureCounts> {
        let Some(joint) = &self.joint else { return HashMap::new() };
        let looked_at = self.watched.iter().filter(|watched| joint.looks_at(watched.feature));
        looked_at.map(|watched| (watched.feature, watched.windows[level].open.counts())).collect()
    }

    /// `features` are judged already: what is known of their rows' dependence holds for them together.
    fn close_joint(
        &mut self,
        settings: &Settings,
        span: WindowSpan,
        (counts, is_even): (&HashMap<usize, FeatureCounts>, bool),
        features: &[FeatureReport],
    ) -> Option<JointReport> {
        let joint = self.joint.as_mut()?;
        let looked_at = self.watched.iter().zip(features);
        let looked_at = looked_at.filter(|(watched, _)| joint.looks_at(watched.feature));
        let design_effect = looked_at.map(|(_, report)| report.design_effect).fold(1.0, f64::max);
        let design_effect = is_even.then_some(design_effect);
        joint.close(settings, &self.baseline, span, counts, design_effect)
    }

    fn close_features(
        &mut self,
        settings: &Settings,
        span: WindowSpan,
        rows: [u64; 2],
        extras: &Extras,
    ) -> (Vec<FeatureReport>, Option<Box<[ExtraFeatures]>>) {
        let (baseline, level) = (self.baseline.clone(), span.level);
        let since = self.opened_at[level];
        let live = self.dependence();
        let case = |(watched, live): (&Watched, Vec<RowScale>)| {
            watched.case(&baseline.features()[watched.feature], span, live)
        };
        let cases: Vec<Case<'_>> = self.watched.iter().zip(live).map(case).collect();
        let is_joint = self.joint.as_ref().is_some_and(|joint| joint.may_judge(settings, span));
        let apart = if is_joint { ERROR_SHARE } else { 0.0 };
        let rate = settings.false_discovery_rate * (1.0 - apart);
        let judged = judge(&cases, settings.min_rows, rate);
        let mut beside = self.against_earlier(settings, span, &cases).into_iter();
        if rows != [0; 2] {
            let counts = self.watched.iter().zip(&cases);
            let counts = counts.map(|(watched, case)| (watched.feature, &case.weighed));
            self.history.push(settings.wanted(), &span, counts);
        }
        let checked = self.check(settings, level, (&cases, &judged), rows, extras);
        let closed = cases.into_iter().map(|case| (case.feature, Closed::from(case)));
        let mut reports = Vec::with_capacity(judged.len());
        let judged = judged.into_iter().zip(checked.features);
        for ((watched, (feature, closed)), (mut judged, checks)) in
            self.watched.iter_mut().zip(closed).zip(judged)
        {
            let found = judged.found();
            judged.report.detected = watched.windows[level].found.push(settings.persistence, found);
            judged.report.checks = checks;
            judged.report.references = beside.next().flatten();
            watched.tell((span, since), feature, &closed, &mut judged);
            watched.close(level, feature, closed, &judged);
            reports.push(judged.report);
        }
        (reports, checked.extra)
    }
}

impl Watched {
    /// Values of the open window that came again, or levels that the reference does not have.
    fn repeated(&self, level: usize) -> Vec<(ValueKey, u32)> {
        let windows = &self.windows[level];
        if level > 0 {
            return most_frequent(windows.repeated.iter().map(|(key, count)| (*key, *count)));
        }
        match (&self.repeats, &windows.open) {
            (Some(repeats), _) => repeats.frequent(TWICE, MOST_REPEATED),
            (None, FeatureSketch::Categorical(sketch)) => {
                sketch.repeated_unknown(TWICE, MOST_REPEATED)
            }
            (None, FeatureSketch::Numeric(_)) => Vec::new(),
        }
    }

    fn case<'a>(
        &self,
        feature: &'a BaselineFeature,
        span: WindowSpan,
        live: Vec<RowScale>,
    ) -> Case<'a> {
        let windows = &self.windows[span.level];
        let window = windows.open.counts();
        let time = time(span, window.rows());
        // Each row counts once among those that came again: beside rows of other weights that says nothing.
        let repeated = if window.is_weighted() { Vec::new() } else { self.repeated(span.level) };
        let all_repeated = |counts: &FeatureCounts| {
            let kept = windows.kept.iter().flat_map(|kept| &kept.repeated).chain(&repeated);
            let mut sums: HashMap<ValueKey, u32> = HashMap::new();
            if !counts.is_weighted() {
                kept.for_each(|(key, count)| *sums.entry(*key).or_default() += count);
            }
            most_frequent(sums.into_iter())
        };
        let all_hours = || windows.kept.iter().map(|kept| kept.hours).chain([time.hours]);
        let merged = (!windows.kept.is_empty()).then(|| {
            let kept = windows.kept.iter();
            let counts = kept.fold(window.clone(), |sum, kept| add(sum, &kept.counts));
            Merged {
                repeated: all_repeated(&counts),
                counts: counts.effective(),
                tainted: windows.kept.iter().any(|kept| kept.significant_alone),
                hours: all_hours().collect::<Option<Vec<_>>>().unwrap_or_default(),
                windows: windows.kept.len() + 1,
            }
        });
        let weighed = window.clone().effective();
        Case { feature, window, weighed, merged, repeated, live, time }
    }

    fn close(
        &mut self,
        level: usize,
        feature: &BaselineFeature,
        Closed { counts, repeated, hours, .. }: Closed,
        judged: &Judged,
    ) {
        let open = std::mem::replace(&mut self.windows[level].open, feature.content.window());
        let runs = std::mem::take(&mut self.windows[level].runs);
        let rows_before = std::mem::take(&mut self.windows[level].rows_before);
        if level == 0 {
            // All windows of a feature stand on the same edges, so merging cannot be refused.
            for longer in self.windows.iter_mut().skip(1) {
                let _: Result<(), EdgesDiffer> = longer.open.merge(&open);
                longer.runs.append(&runs);
                longer.rows_before += rows_before;
            }
            self.last = Some(counts.clone());
            self.blocks.settle();
            if let Some(repeats) = &mut self.repeats {
                repeats.clear();
            }
            for longer in self.windows.iter_mut().skip(1) {
                longer.take_repeated(&repeated);
            }
        }
        self.windows[level].repeated.clear();
        let kept = &mut self.windows[level].kept;
        if judged.recovered && kept.iter().any(|kept| kept.significant_alone) {
            kept.clear();
        }
        if kept.len() >= KEPT_WINDOWS {
            kept.pop_front();
        }
        if counts.rows() > 0 {
            let significant_alone = judged.significant_alone;
            kept.push_back(Arc::new(Kept { counts, repeated, significant_alone, hours }));
        }
    }
}

/// A window of one feature that ends.
pub(super) struct Closed {
    pub(super) counts: FeatureCounts,
    /// What its rows are worth, and those of it and the windows it was merged with.
    pub(super) weighed: FeatureCounts,
    pub(super) merged: Option<FeatureCounts>,
    pub(super) repeated: Vec<(ValueKey, u32)>,
    pub(super) hours: Option<HoursOfDay>,
}

impl From<Case<'_>> for Closed {
    fn from(case: Case<'_>) -> Self {
        let merged = case.merged.map(|merged| merged.counts);
        let (counts, weighed, repeated) = (case.window, case.weighed, case.repeated);
        Self { counts, weighed, merged, repeated, hours: case.time.hours }
    }
}

impl Windows {
    /// Bounded: over the bound the rarest go.
    fn take_repeated(&mut self, repeated: &[(ValueKey, u32)]) {
        for (key, count) in repeated {
            *self.repeated.entry(*key).or_default() += count;
        }
        if self.repeated.len() > 4 * MOST_REPEATED {
            self.repeated = most_frequent(self.repeated.drain()).into_iter().collect();
        }
    }
}

fn most_frequent(repeated: impl Iterator<Item = (ValueKey, u32)>) -> Vec<(ValueKey, u32)> {
    let mut repeated: Vec<_> = repeated.collect();
    repeated.sort_unstable_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
    repeated.truncate(MOST_REPEATED);
    repeated
}

fn time(span: WindowSpan, rows: u64) -> WindowTime {
    let (Some(start), Some(end)) = (span.start, span.end) else { return WindowTime::default() };
    let (start, end) = (start.as_second(), end.as_second());
    WindowTime {
        seconds: (end > start).then(|| (end - start) as f64),
        hours: HoursOfDay::of(start, end, rows as f64),
    }
}

/// Both stand on the same edges: merging cannot be refused.
pub(super) fn add(mut sum: FeatureCounts, part: &FeatureCounts) -> FeatureCounts {
    let _: Result<(), EdgesDiffer> = sum.merge(part);
    sum
}
