//! Live rows against a baseline: the open windows of every length, and the few that closed last.

use super::baseline::{Baseline, BaselineFeature, NameCount};
use super::examples::Examples;
use super::explain::{self, explain};
use super::provenance::{self, Provenance, Sampled};
use super::quality::{self as checks, Around, ExtraFeatures, Extras, Grouping, Runs, Subject};
use super::report::{Expected, FeatureReport, FeatureView, Shape, WindowReport};
use super::verdict::{Case, Judged, Merged, judge, quality, verdict};
use super::{Settings, WindowSpan};
use crate::decode::{Column, Rows};
use crate::sketch::{EdgesDiffer, FeatureCounts, FeatureSketch, Role};
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Closed windows that are kept to be merged with the next.
const KEPT_WINDOWS: usize = 4;

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
}

#[derive(Debug)]
struct Watched {
    /// Its place in the baseline.
    feature: usize,
    /// By level.
    windows: Vec<Windows>,
    /// Of closed windows of the finest length, since start.
    total: FeatureCounts,
    last: Option<FeatureCounts>,
    examples: Examples,
    expected: Arc<Expected>,
}

#[derive(Debug)]
struct Windows {
    open: FeatureSketch,
    runs: Runs,
    kept: VecDeque<Kept>,
    /// When the windows began that were not in order one after the other, up to the last.
    since: Option<Timestamp>,
}

#[derive(Debug)]
struct Kept {
    counts: FeatureCounts,
    significant_alone: bool,
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
        Self {
            reference_rows: reference_rows(&baseline),
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
                None => {}
            }
        }
        if windows_stay {
            next.open_rows = std::mem::take(&mut self.open_rows);
            next.extras = std::mem::take(&mut self.extras);
            next.sampled = std::mem::take(&mut self.sampled);
        }
        *self = next;
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

    pub(super) fn observe(
        &mut self,
        settings: &Settings,
        role: Role,
        rows: &Rows,
        grouping: Grouping,
    ) {
        let Some(open) = self.open_rows.first_mut() else { return };
        open[role as usize] += rows.len() as u64;
        for column in rows.columns() {
            match self.index[role as usize].get(column.name()) {
                Some(watched) => {
                    let window = &mut self.watched[*watched].windows[0];
                    window.open.observe(column);
                    window.runs.observe(column, grouping);
                }
                None if settings.filter.admits(column.name()) => {
                    self.extra.count(role, column.name());
                }
                None => {}
            }
        }
        let known = &self.index[role as usize];
        let is_extra =
            |name: &&Arc<str>| !known.contains_key(*name) && settings.filter.admits(name);
        let names = rows.columns().iter().map(Column::name).filter(is_extra);
        self.extras[0].observe(role, names, rows.len() as u64);
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

    /// Takes over the closed windows that `before` keeps to be merged with the next.
    pub(super) fn follow(&mut self, before: &mut Self) {
        for (watched, before) in self.watched.iter_mut().zip(&mut before.watched) {
            for (windows, before) in watched.windows.iter_mut().zip(&mut before.windows) {
                windows.kept = std::mem::take(&mut before.kept);
                windows.since = before.since.take();
            }
        }
    }

    /// Judges the open window of a level and opens the next. The finest is merged into all longer ones.
    pub(super) fn close(&mut self, settings: &Settings, span: WindowSpan) -> Option<WindowReport> {
        let window = settings.windows.get(span.level)?.clone();
        let open = std::mem::take(self.open_rows.get_mut(span.level)?);
        if span.level == 0 {
            let longer = self.open_rows.iter_mut().skip(1);
            longer.for_each(|rows| *rows = [rows[0] + open[0], rows[1] + open[1]]);
        }
        let rows = open[0].max(open[1]);
        let extras = std::mem::take(&mut self.extras[span.level]);
        if span.level == 0 {
            self.extras.iter_mut().skip(1).for_each(|longer| longer.append(&extras));
        }
        let sampled = std::mem::take(&mut self.sampled[span.level]);
        if span.level == 0 {
            self.sampled.iter_mut().skip(1).for_each(|longer| longer.append(&sampled));
        }
        let provenance = self.provenance(settings, span.level, open, &sampled);
        let (features, extra_features) = self.close_features(settings, span, open, &extras);
        if span.level == 0 {
            self.closed += 1;
        }
        self.opened_at[span.level] = self.closed;
        Some(WindowReport {
            window,
            start: span.start,
            end: span.end,
            rows,
            coverage: span.coverage,
            verdict: verdict(rows, settings.min_rows, &features),
            features,
            extra_features,
            provenance: Some(Box::new(provenance)),
        })
    }

    fn close_features(
        &mut self,
        settings: &Settings,
        span: WindowSpan,
        rows: [u64; 2],
        extras: &Extras,
    ) -> (Vec<FeatureReport>, Option<Box<[ExtraFeatures]>>) {
        let baseline = self.baseline.clone();
        let level = span.level;
        let since = self.opened_at[level];
        let case = |watched: &Watched| watched.case(&baseline.features()[watched.feature], level);
        let cases: Vec<Case<'_>> = self.watched.iter().map(case).collect();
        let judged = judge(&cases, settings.min_rows, settings.false_discovery_rate);
        let checked = self.check(settings, level, (&cases, &judged), rows, extras);
        let closed = cases.into_iter().map(|case| (case.feature, case.window, case.merged));
        let mut reports = Vec::with_capacity(judged.len());
        let judged = judged.into_iter().zip(checked.features);
        for ((watched, (feature, counts, merged)), (mut judged, checks)) in
            self.watched.iter_mut().zip(closed).zip(judged)
        {
            judged.report.checks = checks;
            if judged.report.detected {
                judged.report.examples = watched.examples.of_grown(feature, &counts, since).into();
            }
            judged.report.shape = watched.shape(level, feature, &counts);
            let alone = judged.significant_alone;
            let told = merged.filter(|_| !alone).map(|merged| merged.counts);
            watched.explain(span, feature, told.as_ref().unwrap_or(&counts), &mut judged.report);
            watched.close(level, feature, counts, &judged);
            reports.push(judged.report);
        }
        (reports, checked.extra)
    }

    fn provenance(
        &self,
        settings: &Settings,
        level: usize,
        rows: [u64; 2],
        sampled: &Sampled,
    ) -> Provenance {
        let mut hash = provenance::Hash::default();
        rows.into_iter().for_each(|rows| hash.number(rows));
        for watched in &self.watched {
            let feature = &self.baseline.features()[watched.feature];
            hash.feature(feature, &watched.windows[level].open.counts());
        }
        Provenance {
            baseline_hash: self.baseline.hash().into(),
            config_hash: provenance::config_hash(settings, &settings.windows[level]),
            sketch_hash: hash.finish(),
            weights: sampled.weights(),
            engine: provenance::engine(),
        }
    }

    fn check(
        &self,
        settings: &Settings,
        level: usize,
        (cases, judged): (&[Case<'_>], &[Judged]),
        rows: [u64; 2],
        extras: &Extras,
    ) -> checks::Judged {
        let of_each = self.watched.iter().zip(cases).zip(judged);
        let subjects: Vec<_> = of_each
            .map(|((watched, case), judged)| Subject {
                feature: case.feature,
                counts: &case.window,
                sketch: &watched.windows[level].open,
                runs: &watched.windows[level].runs,
                drifts: judged.report.p_value.filter(|_| judged.report.detected),
            })
            .collect();
        // A baseline with as many features as are allowed may lack some for that reason.
        let is_whole = self.baseline.features().len() < settings.max_features;
        let extras = is_whole.then_some(extras);
        let around = Around { rows, reference_rows: self.reference_rows, extras };
        checks::judge(&subjects, &around, settings.min_rows, settings.false_discovery_rate)
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
            since: None,
        };
        let total = feature.content.window().counts();
        Self {
            feature: place,
            windows: std::iter::repeat_with(window).take(levels).collect(),
            total,
            last: None,
            examples: Examples::default(),
            expected: Arc::new(feature.expected()),
        }
    }

    /// Of the open window, which ends.
    fn shape(&self, level: usize, feature: &BaselineFeature, counts: &FeatureCounts) -> Shape {
        let rows = feature.content.reported_of(counts);
        let total: u64 = rows.iter().sum();
        let share = |rows: u64| rows as f64 / total as f64;
        #[expect(clippy::cast_possible_truncation, reason = "a share to seven digits is enough")]
        let shares = rows.into_iter().map(|rows| share(rows) as f32);
        let quantiles = match &self.windows[level].open {
            FeatureSketch::Numeric(sketch) => all(Shape::RANKS.map(|rank| sketch.quantile(rank))),
            FeatureSketch::Categorical(_) => None,
        };
        Shape { shares: if total == 0 { Box::default() } else { shares.collect() }, quantiles }
    }

    /// Follows since when the feature drifts or its rows are not in order, and says why where it does.
    fn explain(
        &mut self,
        span: WindowSpan,
        feature: &BaselineFeature,
        counts: &FeatureCounts,
        report: &mut FeatureReport,
    ) {
        let fails = report.checks.as_ref().is_some_and(|checks| checks.fail());
        let windows = &mut self.windows[span.level];
        if report.detected || fails {
            windows.since = windows.since.or(span.start);
        } else if report.p_value.is_some() {
            windows.since = None;
        }
        if report.significant || fails {
            let since = windows.since.filter(|_| report.detected || fails);
            let (shape, sketch) = (&report.shape, &windows.open);
            let case = explain::Case { feature, counts, sketch, shape, report, since };
            let explanation = explain(&case);
            report.explanation = Some(Box::new(explanation));
        }
    }

    fn case<'a>(&self, feature: &'a BaselineFeature, level: usize) -> Case<'a> {
        let windows = &self.windows[level];
        let window = windows.open.counts();
        let merged = (!windows.kept.is_empty()).then(|| Merged {
            counts: windows.kept.iter().fold(window.clone(), |sum, kept| add(sum, &kept.counts)),
            tainted: windows.kept.iter().any(|kept| kept.significant_alone),
        });
        Case { feature, window, merged }
    }

    fn close(
        &mut self,
        level: usize,
        feature: &BaselineFeature,
        counts: FeatureCounts,
        judged: &Judged,
    ) {
        let open = std::mem::replace(&mut self.windows[level].open, feature.content.window());
        let runs = std::mem::take(&mut self.windows[level].runs);
        if level == 0 {
            // All windows of a feature stand on the same edges, so merging cannot be refused.
            for longer in self.windows.iter_mut().skip(1) {
                let _: Result<(), EdgesDiffer> = longer.open.merge(&open);
                longer.runs.append(&runs);
            }
            self.total = add(std::mem::replace(&mut self.total, counts.clone()), &counts);
            self.last = Some(counts.clone());
        }
        let kept = &mut self.windows[level].kept;
        if judged.recovered {
            kept.retain(|kept| !kept.significant_alone);
        }
        if kept.len() >= KEPT_WINDOWS {
            kept.pop_front();
        }
        if counts.rows() > 0 {
            kept.push_back(Kept { counts, significant_alone: judged.significant_alone });
        }
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
        let recent = self.last.as_ref().map_or_else(|| open.clone(), |last| Some(sum(last)));
        let recent = recent.map(|recent| feature.content.reported_of(&recent)).unwrap_or_default();
        FeatureView {
            feature: feature.key().name.clone(),
            role: feature.key().role,
            kind: feature.kind(),
            bins: feature.bins(&recent, &feature.content.reported_of(&total)),
            rows_total: total.rows(),
            quality: quality(&total),
            baseline: Some(Arc::clone(&self.expected)),
        }
    }
}

/// By role: the most that a feature has, for one may stay away from some.
fn reference_rows(baseline: &Baseline) -> [u64; 2] {
    let mut rows = [0; 2];
    for feature in baseline.features() {
        let most = &mut rows[feature.key().role as usize];
        *most = feature.rows().max(*most);
    }
    rows
}

fn all(values: [Option<f64>; 5]) -> Option<[f64; 5]> {
    let mut found = [0.0; 5];
    for (place, value) in found.iter_mut().zip(values) {
        *place = value?;
    }
    Some(found)
}

/// Both stand on the same edges: merging cannot be refused.
fn add(mut sum: FeatureCounts, part: &FeatureCounts) -> FeatureCounts {
    let _: Result<(), EdgesDiffer> = sum.merge(part);
    sum
}
