//! Closed windows, kept for pages and the API.
//!
//! The promise: bounded by windows of each length and by reports of features over all of them, as the
//! memory limit allows. A report takes up to 400 bytes with its shape, so the usual 100,000 of them are
//! 100 windows of 1,000 features in 40 MB; up to 115 features, every length keeps all of its windows.

use crate::drift::WindowReport;
use std::collections::VecDeque;
use std::sync::Arc;

/// Of each length: a day of `5m`, twelve days of `1h`.
const MAX_WINDOWS: usize = 288;

#[derive(Debug)]
pub(super) struct KeptWindows {
    /// In the order in which they closed.
    windows: VecDeque<Arc<WindowReport>>,
    /// Of features, over all windows.
    reports: usize,
    max_reports: usize,
}

impl KeptWindows {
    /// The newest window is kept whatever its size.
    pub(super) fn new(max_reports: usize) -> Self {
        Self { windows: VecDeque::new(), reports: 0, max_reports }
    }

    pub(super) fn push(&mut self, report: Arc<WindowReport>) {
        let of_its_length = self.windows.iter().filter(|kept| kept.window == report.window).count();
        if of_its_length >= MAX_WINDOWS {
            self.forget_oldest(&report.window);
        }
        self.reports += reports_of(&report);
        self.windows.push_back(report);
        while self.reports > self.max_reports && self.windows.len() > 1 {
            let most = self.longest_row();
            self.forget_oldest(&most);
        }
    }

    pub(super) fn retain(&mut self, keeps: impl Fn(&WindowReport) -> bool) {
        self.windows.retain(|report| keeps(report));
        self.reports = self.windows.iter().map(|report| reports_of(report)).sum();
    }

    pub(super) fn clear(&mut self) {
        self.windows.clear();
        self.reports = 0;
    }

    pub(super) fn oldest_first(&self) -> VecDeque<Arc<WindowReport>> {
        self.windows.clone()
    }

    /// The length that has most windows: the long ones, of which there are few, are kept.
    fn longest_row(&self) -> Arc<str> {
        let count =
            |length: &str| self.windows.iter().filter(|kept| *kept.window == *length).count();
        let most = self.windows.iter().max_by_key(|kept| count(&kept.window));
        most.map_or_else(|| "".into(), |kept| Arc::clone(&kept.window))
    }

    fn forget_oldest(&mut self, length: &str) {
        let Some(oldest) = self.windows.iter().position(|kept| *kept.window == *length) else {
            return;
        };
        if let Some(forgotten) = self.windows.remove(oldest) {
            self.reports -= reports_of(&forgotten);
        }
    }
}

/// Of features, in the whole and in each segment: a segment is no larger than one of them, one with an
/// explanation takes as much as two, and so does one beside an earlier window.
fn reports_of(window: &WindowReport) -> usize {
    let of_segments = window.segments.iter().map(|segment| 1 + segment.features.len());
    let explained = window.features.iter().filter(|report| report.explanation.is_some());
    let beside = window.features.iter().flat_map(|feature| &feature.references);
    let beside = beside.map(|references| references.0.len());
    window.features.len() + explained.count() + of_segments.sum::<usize>() + beside.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{FeatureReport, Shape, Verdict};

    fn window(length: &str, rows: u64, features: usize) -> Arc<WindowReport> {
        let feature = FeatureReport {
            feature: "x".into(),
            rows,
            shape: Shape { shares: vec![0.0; 12].into(), quantiles: Some([0.0; 5]) },
            ..FeatureReport::default()
        };
        Arc::new(WindowReport {
            window: length.into(),
            rows,
            coverage: 1.0,
            verdict: Verdict::Stable,
            features: vec![feature; features],
            ..WindowReport::default()
        })
    }

    fn rows_of(kept: &KeptWindows, length: &str) -> Vec<u64> {
        let windows = kept.oldest_first();
        windows.iter().filter(|kept| *kept.window == *length).map(|kept| kept.rows).collect()
    }

    #[test]
    fn short_windows_do_not_push_out_long_ones() {
        let mut kept = KeptWindows::new(131_072);
        for n in 0..600 {
            kept.push(window("5m", n, 1));
            if n % 12 == 11 {
                kept.push(window("1h", n, 1));
            }
        }
        assert_eq!(rows_of(&kept, "5m"), (312..600).collect::<Vec<_>>());
        assert_eq!(rows_of(&kept, "1h").len(), 50);
    }

    #[test]
    fn many_features_shorten_the_longest_row() {
        let mut kept = KeptWindows::new(131_072);
        kept.push(window("1d", 0, 1000));
        (0..200).for_each(|n| kept.push(window("5m", n, 1000)));
        assert_eq!(kept.reports, 131_000);
        assert_eq!(rows_of(&kept, "1d"), [0]);
        assert_eq!(rows_of(&kept, "5m"), (70..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_report_is_as_small_as_said() {
        let report = &window("5m", 1, 1).features[0];
        let shape = size_of_val(&*report.shape.shares);
        // Two allocations, each with up to 16 bytes of the allocator's own.
        assert!(size_of::<FeatureReport>() + shape + 16 <= 400, "{}", size_of::<FeatureReport>());
    }
}
