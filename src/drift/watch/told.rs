//! What is told of a window beside its verdict: checks of its rows, why, and what it was made of.

use super::{Watch, Watched};
use crate::drift::baseline::{Baseline, BaselineFeature};
use crate::drift::explain::{self, explain};
use crate::drift::provenance::{self, Provenance, Sampled};
use crate::drift::quality::{self, Around, Extras, Subject};
use crate::drift::report::FeatureReport;
use crate::drift::verdict::{Case, Judged};
use crate::drift::{Settings, WindowSpan};
use crate::sketch::FeatureCounts;

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
                counts: &case.window,
                sketch: &watched.windows[level].open,
                runs: &watched.windows[level].runs,
                rows_before: watched.windows[level].rows_before,
                design_effect: judged.report.design_effect.max(1.0),
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
    /// Follows since when the feature drifts or its rows are not in order, and says why where it does.
    pub(super) fn explain(
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
        if report.significant || report.seasonal || fails {
            let since = windows.since.filter(|_| report.detected || fails);
            let (shape, sketch) = (&report.shape, &windows.open);
            let case = explain::Case { feature, counts, sketch, shape, report, since };
            let explanation = explain(&case);
            report.explanation = Some(Box::new(explanation));
        }
    }
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
