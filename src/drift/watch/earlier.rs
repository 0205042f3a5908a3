//! A window against earlier ones: the judgement is the one against the baseline, on their counts.

use super::Watch;
use crate::drift::baseline::BaselineFeature;
use crate::drift::references::{ReferenceReport, References};
use crate::drift::verdict::{Case, Judged, WindowTime, judge};
use crate::drift::{Settings, WindowSpan};

impl Watch {
    /// By feature; none at all if no earlier window is asked for.
    pub(super) fn against_earlier(
        &self,
        settings: &Settings,
        span: WindowSpan,
        cases: &[Case<'_>],
    ) -> Vec<Option<Box<References>>> {
        if settings.references.is_empty() {
            return Vec::new();
        }
        let mut reports: Vec<Option<Box<References>>> = vec![None; cases.len()];
        for earlier in &settings.references {
            let Some(mut found) = self.history.find(*earlier, &span, &self.baseline) else {
                continue;
            };
            let same_hour = earlier.before().is_some();
            let reference = |(index, case): (usize, &Case<'_>)| {
                let counts = found.counts.get_mut(self.watched[index].feature)?.take()?;
                Some((index, case.feature.of_window(counts, same_hour)?))
            };
            let references: Vec<(usize, BaselineFeature)> =
                cases.iter().enumerate().filter_map(reference).collect();
            let beside = references.iter().map(|(index, feature)| beside(feature, &cases[*index]));
            let beside: Vec<Case<'_>> = beside.collect();
            let judged = judge(&beside, settings.min_rows, settings.false_discovery_rate);
            for ((index, feature), Judged { report, .. }) in references.iter().zip(judged) {
                reports[*index].get_or_insert_default().0.push(ReferenceReport {
                    reference: *earlier,
                    window: settings.windows.get(found.level).cloned().unwrap_or_default(),
                    start: found.start,
                    end: found.end,
                    rows: feature.rows(),
                    distances: report.distances,
                    p_value: report.p_value,
                    significant: report.significant,
                    detected: report.detected,
                });
            }
        }
        reports
    }
}

/// Of this window alone. Which values came again in an earlier one is not kept, so that those of this
/// one are no evidence.
fn beside<'a>(feature: &'a BaselineFeature, case: &Case<'_>) -> Case<'a> {
    Case {
        feature,
        window: case.window.clone(),
        weighed: case.weighed.clone(),
        merged: None,
        repeated: Vec::new(),
        live: case.live.clone(),
        time: WindowTime { hours: None, ..case.time },
    }
}
