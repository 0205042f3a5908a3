//! What is told of a window beside its verdict: its shape, checks of its rows, why, and what it was made
//! of.

use super::closing::Closed;
use super::{Watch, Watched};
use crate::drift::baseline::{Baseline, BaselineFeature};
use crate::drift::explain::{self, explain};
use crate::drift::provenance::{self, Provenance, Sampled};
use crate::drift::quality::{self, Around, Extras, Subject};
use crate::drift::report::{FeatureReport, Shape};
use crate::drift::verdict::{Case, Judged};
use crate::drift::{Settings, WindowSpan};
use crate::sketch::{FeatureCounts, FeatureSketch, NumericCounts};

impl Watch {
    pub(super) fn provenance(
        &self,
        settings: &Settings,
        level: usize,
        rows: [u64; 2],
        sampled: &Sampled,
    ) -> Provenance {
        let mut hash = provenance::Hash::default();
        for rows in rows {
            hash.number(rows);
        }
        for watched in &self.watched {
            let feature = &self.baseline.features()[watched.feature];
            hash.feature(feature, &watched.windows[level].open.counts().effective());
        }
        Provenance {
            baseline_hash: self.baseline.hash().into(),
            config_hash: provenance::config_hash(settings, &settings.windows[level]),
            sketch_hash: hash.finish(),
            weights: sampled.weights(),
            engine: provenance::engine(),
        }
    }

    pub(super) fn check(
        &self,
        settings: &Settings,
        level: usize,
        (cases, judged): (&[Case<'_>], &[Judged]),
        rows: [u64; 2],
        extras: &Extras,
    ) -> quality::Judged {
        let of_each = self.watched.iter().zip(cases).zip(judged);
        let subjects: Vec<_> = of_each
            .map(|((watched, case), judged)| Subject {
                feature: case.feature,
                rows: case.window.rows(),
                counts: &case.weighed,
                sketch: &watched.windows[level].open,
                runs: &watched.windows[level].runs,
                rows_before: watched.windows[level].rows_before,
                effects: &judged.effects,
                drifts: judged.report.p_value.filter(|_| judged.report.detected),
            })
            .collect();
        // A baseline with as many features as are allowed may lack some for that reason.
        let is_whole = self.baseline.features().len() < settings.max_features;
        let extras = is_whole.then_some(extras);
        let around = Around { rows, reference_rows: self.reference_rows, extras };
        quality::judge(&subjects, &around, settings.min_rows, settings.false_discovery_rate)
    }
}

impl Watched {
    /// Of the open window, which ends: its shape, and where the feature drifts or its rows are not in
    /// order why, with examples of exchanges since the window `opened_at`.
    pub(super) fn tell(
        &mut self,
        (span, opened_at): (WindowSpan, u64),
        feature: &BaselineFeature,
        closed: &Closed,
        judged: &mut Judged,
    ) {
        let report = &mut judged.report;
        report.shape = self.shape(span.level, feature, closed);
        if report.detected {
            let examples = self.examples.of_grown(feature, &closed.weighed, opened_at);
            report.examples = examples.into();
        }
        let merged = closed.merged.as_ref().filter(|_| !judged.significant_alone);
        self.explain(span, feature, merged.unwrap_or(&closed.weighed), report);
    }

    fn shape(&self, level: usize, feature: &BaselineFeature, closed: &Closed) -> Shape {
        let rows = feature.content.reported_of(&closed.weighed);
        let total: u64 = rows.iter().sum();
        let share = |rows: u64| rows as f64 / total as f64;
        #[expect(clippy::cast_possible_truncation, reason = "a share to seven digits is enough")]
        let shares = rows.into_iter().map(|rows| share(rows) as f32);
        let quantiles = match (&self.windows[level].open, &closed.weighed) {
            (FeatureSketch::Numeric(sketch), FeatureCounts::Numeric(weighed)) => {
                let seen = sketch.counts();
                all(Shape::RANKS.map(|rank| sketch.quantile(rank_among_seen(seen, weighed, rank))))
            }
            _ => None,
        };
        Shape { shares: if total == 0 { Box::default() } else { shares.collect() }, quantiles }
    }

    /// Follows since when windows are found to drift, or not in order.
    fn explain(
        &mut self,
        span: WindowSpan,
        feature: &BaselineFeature,
        counts: &FeatureCounts,
        report: &mut FeatureReport,
    ) {
        let fails = report.checks.as_ref().is_some_and(|checks| checks.fail());
        let windows = &mut self.windows[span.level];
        // One of those that persistence looks back on.
        let drifts = windows.found.any();
        if drifts || fails {
            windows.since = windows.since.or(span.start);
        } else if report.p_value.is_some() {
            windows.since = None;
        }
        if report.detected || report.significant || report.seasonal || fails {
            let since = windows.since.filter(|_| report.detected || fails);
            let (shape, sketch) = (&report.shape, &windows.open);
            let case = explain::Case { feature, counts, sketch, shape, report, since };
            let explanation = explain(&case);
            report.explanation = Some(Box::new(explanation));
        }
    }
}

/// The rank that a value has among the rows as they came, by its rank among what they stand for: exact at
/// each edge, and between two as if rows of one bin had one weight.
fn rank_among_seen(seen: &NumericCounts, weighed: &NumericCounts, rank: f64) -> f64 {
    if !seen.is_weighted() {
        return rank;
    }
    let mut left = rank * weighed.values() as f64;
    let mut below = 0.0;
    for (seen, weighed) in seen.bins().iter().zip(weighed.bins()) {
        let (seen, weighed) = (*seen as f64, *weighed as f64);
        if left <= weighed && weighed > 0.0 {
            below += seen * left / weighed;
            break;
        }
        (left, below) = (left - weighed, below + seen);
    }
    (below / seen.values().max(1) as f64).min(1.0)
}

fn all(values: [Option<f64>; 5]) -> Option<[f64; 5]> {
    let mut found = [0.0; 5];
    for (place, value) in found.iter_mut().zip(values) {
        *place = value?;
    }
    Some(found)
}

/// By role: the most that a feature has, for one may stay away from some.
pub(super) fn reference_rows(baseline: &Baseline) -> [u64; 2] {
    let mut rows = [0; 2];
    for feature in baseline.features() {
        let most = &mut rows[feature.key().role as usize];
        *most = feature.rows().max(*most);
    }
    rows
}
