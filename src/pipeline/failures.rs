//! Which checks of data quality fail, window after window: what began and what ended.

use crate::drift::{Check, Failure, Verdict, WindowReport};
use crate::sketch::{FrameError, Packer, Role, Unpacker};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Checks that fail in a window and did not in the one before it of the same length, and the reverse.
#[derive(Debug, Clone)]
pub struct QualityChange {
    pub began: Vec<Failure>,
    pub ended: Vec<Failure>,
    pub report: Arc<WindowReport>,
}

/// What failed in the last window of each length that could be judged.
#[derive(Debug, Default)]
pub(super) struct Failures {
    last: BTreeMap<Arc<str>, Vec<Failure>>,
}

impl Failures {
    pub(super) fn follow(&mut self, report: &Arc<WindowReport>) -> Option<QualityChange> {
        let failures = report.failures();
        // Of too few rows nothing is known: what failed goes on failing.
        if failures.is_empty() && report.verdict == Verdict::InsufficientData {
            return None;
        }
        let before = self.last.insert(Arc::clone(&report.window), failures.clone());
        let before = before.unwrap_or_default();
        let without = |all: &[Failure], known: &[Failure]| -> Vec<Failure> {
            all.iter().filter(|failure| !known.contains(failure)).cloned().collect()
        };
        let (began, ended) = (without(&failures, &before), without(&before, &failures));
        (began.len() + ended.len() > 0).then(|| QualityChange {
            began,
            ended,
            report: Arc::clone(report),
        })
    }

    pub(super) fn save(&self, windows: &[Arc<str>], packer: &mut Packer) {
        for failures in windows.iter().map(|window| self.last.get(window)) {
            packer.flag(failures.is_some());
            let failures = failures.map(Vec::as_slice).unwrap_or_default();
            packer.size(failures.len());
            for Failure { role, feature, check } in failures {
                packer.flag(*role == Role::Output);
                packer.flag(feature.is_some());
                packer.text(feature.as_deref().unwrap_or_default());
                packer.text(check.as_str());
            }
        }
    }

    pub(super) fn restored(
        windows: &[Arc<str>],
        saved: &mut Unpacker<'_>,
    ) -> Result<Self, FrameError> {
        let mut last = BTreeMap::new();
        for window in windows {
            let is_known = saved.flag()?;
            let mut failures = Vec::new();
            for _ in 0..saved.size(usize::MAX)? {
                let role = if saved.flag()? { Role::Output } else { Role::Input };
                let (has_feature, feature) = (saved.flag()?, saved.text()?);
                let feature = has_feature.then(|| feature.into());
                let check = Check::named(saved.text()?).ok_or(FrameError::Content)?;
                failures.push(Failure { role, feature, check });
            }
            if is_known {
                last.insert(Arc::clone(window), failures);
            }
        }
        Ok(Self { last })
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Arc<str>) -> bool) {
        self.last.retain(|window, _| keep(window));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{Checked, ExtraFeatures};

    fn report(window: &str, fails: bool, verdict: Verdict) -> Arc<WindowReport> {
        let checked = Checked {
            check: Check::ExtraFeature,
            ratio: 0.5,
            baseline_ratio: 0.0,
            p_value: Some(0.0),
            significant: true,
            detected: fails,
            unit_change: None,
        };
        let extra =
            ExtraFeatures { role: Role::Input, features: Vec::new(), features_total: 1, checked };
        let extra_features = Some([extra].into());
        Arc::new(WindowReport {
            window: window.into(),
            verdict,
            extra_features,
            ..WindowReport::default()
        })
    }

    #[test]
    fn only_what_begins_and_what_ends_is_a_change() {
        let mut failures = Failures::default();
        let mut counts = |window, fails, verdict| {
            let change = failures.follow(&report(window, fails, verdict));
            change.map(|change| (change.began.len(), change.ended.len()))
        };
        assert_eq!(counts("5m", false, Verdict::Stable), None);
        assert_eq!(counts("5m", true, Verdict::Stable), Some((1, 0)));
        assert_eq!(counts("5m", true, Verdict::Drifting), None);
        assert_eq!(counts("1h", true, Verdict::Stable), Some((1, 0)), "each length for itself");
        assert_eq!(counts("5m", false, Verdict::InsufficientData), None, "nothing is known");
        assert_eq!(counts("5m", false, Verdict::Stable), Some((0, 1)));
    }
}
