//! From a drifting feature to requests: the newest exchange in each of its reported bins.
//!
//! Of an exchange of many rows a few are looked at: an example need not be every example.

use super::baseline::{BaselineFeature, Content};
use super::report::Example;
use crate::decode::{Cell, Column};
use crate::sketch::{FeatureCounts, FrameError, Packer, Unpacker};
use std::sync::Arc;

/// Bins that one report gives an example of: those whose share of rows grew most.
const MAX_EXAMPLES: usize = 3;
/// Rows of one exchange that are looked at, evenly spread.
const MAX_LOOKS: usize = 8;

/// Of one feature, by reported bin. Empty until the first is noted.
#[derive(Debug, Clone, Default)]
pub(super) struct Examples {
    newest: Vec<Option<Noted>>,
}

#[derive(Debug, Clone)]
struct Noted {
    request_id: Arc<str>,
    row: usize,
    /// The finest window it came in, counted from the first.
    window: u64,
}

impl Examples {
    pub(super) fn note(
        &mut self,
        feature: &BaselineFeature,
        column: &Column,
        request_id: &Arc<str>,
        window: u64,
    ) {
        self.newest.resize(feature.labels.len(), None);
        let step = column.len().div_ceil(MAX_LOOKS).max(1);
        for (row, cell) in column.cells().enumerate().step_by(step) {
            let bin = reported_bin(&feature.content, cell);
            if let Some(slot) = bin.and_then(|bin| self.newest.get_mut(bin)) {
                *slot = Some(Noted { request_id: Arc::clone(request_id), row, window });
            }
        }
    }

    pub(super) fn save(&self, packer: &mut Packer) {
        packer.size(self.newest.len());
        for noted in &self.newest {
            packer.flag(noted.is_some());
            if let Some(Noted { request_id, row, window }) = noted {
                packer.text(request_id);
                packer.size(*row);
                packer.word(*window);
            }
        }
    }

    pub(super) fn restore(
        &mut self,
        feature: &BaselineFeature,
        saved: &mut Unpacker<'_>,
    ) -> Result<(), FrameError> {
        for _ in 0..saved.size(feature.labels.len())? {
            let noted = if saved.flag()? {
                let request_id = saved.text()?.into();
                Some(Noted { request_id, row: saved.size(usize::MAX)?, window: saved.count()? })
            } else {
                None
            };
            self.newest.push(noted);
        }
        Ok(())
    }

    /// Of exchanges since the finest window `since`, in the bins that grew most against the reference.
    pub(super) fn of_grown(
        &self,
        feature: &BaselineFeature,
        counts: &FeatureCounts,
        since: u64,
    ) -> Vec<Example> {
        let reference = shares(&feature.content.reported());
        let live = shares(&feature.content.reported_of(counts));
        let growth = live.iter().zip(&reference).map(|(live, reference)| live - reference);
        let mut grown: Vec<_> = growth.enumerate().filter(|(_, growth)| *growth > 0.0).collect();
        grown.sort_by(|a, b| b.1.total_cmp(&a.1));
        let bins = feature.bins(&[], &[]);
        let example = |(bin, _): (usize, f64)| {
            let noted = self.newest.get(bin)?.as_ref().filter(|noted| noted.window >= since)?;
            let (request_id, row) = (Arc::clone(&noted.request_id), noted.row);
            Some(Example { request_id, row, bin: Arc::clone(&bins.get(bin)?.label) })
        };
        grown.into_iter().filter_map(example).take(MAX_EXAMPLES).collect()
    }
}

fn shares(rows: &[u64]) -> Vec<f64> {
    let all = rows.iter().sum::<u64>().max(1) as f64;
    rows.iter().map(|rows| *rows as f64 / all).collect()
}

/// Where reports count the cell; `None` where they do not.
fn reported_bin(content: &Content, cell: Cell<'_>) -> Option<usize> {
    match (content, cell) {
        (Content::Numeric(numeric), Cell::Number(number)) if number.is_finite() => {
            let bin = numeric.counts.edges().bin(number);
            numeric.groups.partition_point(|start| *start <= bin).checked_sub(1)
        }
        (Content::Numeric(numeric), Cell::Number(number)) if number.is_nan() => {
            Some(numeric.groups.len())
        }
        (Content::Numeric(numeric), Cell::Null) => Some(numeric.groups.len()),
        (Content::Categorical(levels), Cell::Text(text)) => {
            let level = levels.counts.levels().index(&crate::sketch::Levels::bounded(text));
            Some(level.map_or(levels.shown, |level| level.min(levels.shown)))
        }
        (Content::Categorical(_), Cell::Bool(true)) => reported_bin(content, Cell::Text("true")),
        (Content::Categorical(_), Cell::Bool(false)) => reported_bin(content, Cell::Text("false")),
        (Content::Categorical(levels), Cell::Null) => Some(levels.shown + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Column, Rows};
    use crate::drift::{
        Baseline, BaselineBuilder, BaselineSettings, FeatureReport, Monitor, Reference, Settings,
        WindowSpan,
    };
    use crate::sketch::Role;
    use proptest::prelude::*;

    fn rows(numbers: &[f64], texts: &[&str]) -> Rows {
        let (mut n, mut t) = (Column::new("n"), Column::new("t"));
        for (number, text) in numbers.iter().zip(texts) {
            n.push(Cell::Number(*number));
            t.push(Cell::Text(text));
        }
        let mut rows = Rows::new();
        rows.push(n);
        rows.push(t);
        rows
    }

    fn baseline() -> Arc<Baseline> {
        let mut builder = BaselineBuilder::new(BaselineSettings::default());
        let numbers: Vec<f64> = (0..1000).map(f64::from).collect();
        let texts: Vec<&str> = (0..1000).map(|n| ["a", "b", "c"][n % 3]).collect();
        builder.observe(Role::Input, &rows(&numbers, &texts));
        Arc::new(builder.finish().unwrap())
    }

    fn monitor() -> Monitor {
        let windows = vec!["1m".into(), "2m".into()];
        let settings = Settings { min_rows: 10, windows, ..Settings::default() };
        Monitor::new(settings, Reference::Baseline(baseline()))
    }

    /// One exchange of one row.
    fn see(monitor: &mut Monitor, id: &str, number: f64, text: &str) {
        let rows = rows(&[number], &[text]);
        monitor.observe(&rows, &Rows::new());
        monitor.exemplify(&id.into(), &rows, &Rows::new());
    }

    fn close(monitor: &mut Monitor, level: usize) -> Vec<FeatureReport> {
        let span = WindowSpan { level, start: None, end: None, coverage: 1.0 };
        monitor.close(span).unwrap().features
    }

    fn ids(report: &FeatureReport) -> Vec<&str> {
        report.examples.iter().map(|example| &*example.request_id).collect()
    }

    #[test]
    fn a_drifting_feature_names_the_newest_requests_in_the_bins_that_grew() {
        let mut monitor = monitor();
        for n in 0..200 {
            see(&mut monitor, &format!("high-{n}"), 995.0, ["a", "b", "c"][n % 3]);
        }
        let reports = close(&mut monitor, 0);
        let (number, text) = (&reports[0], &reports[1]);
        assert!(number.detected && !text.detected, "{reports:#?}");
        assert_eq!(ids(number), ["high-199"]);
        assert!(number.examples[0].bin.ends_with(",inf)"), "{:?}", number.examples);
        assert!(text.examples.is_empty(), "what does not drift needs no example");
    }

    #[test]
    fn an_example_lies_in_the_window_that_it_is_of() {
        let mut monitor = monitor();
        for n in 0..200 {
            see(&mut monitor, &format!("first-{n}"), 500.0, "new");
        }
        assert_eq!(ids(&close(&mut monitor, 0)[1]), ["first-199"]);
        for n in 0..200 {
            see(&mut monitor, &format!("second-{n}"), 500.0, "a");
        }
        assert_eq!(ids(&close(&mut monitor, 0)[1]), ["second-199"]);
        let longer = close(&mut monitor, 1);
        assert_eq!(ids(&longer[1]), ["first-199", "second-199"], "both windows are in it");
        for n in 0..200 {
            see(&mut monitor, &format!("third-{n}"), 500.0, "b");
        }
        close(&mut monitor, 0);
        assert_eq!(ids(&close(&mut monitor, 1)[1]), ["third-199"]);
    }

    #[test]
    fn other_thresholds_leave_examples_in_the_windows_they_came_in() {
        let mut monitor = monitor();
        (0..200).for_each(|n| see(&mut monitor, &format!("first-{n}"), 500.0, "new"));
        close(&mut monitor, 0);
        close(&mut monitor, 1);
        (0..200).for_each(|n| see(&mut monitor, &format!("second-{n}"), 500.0, "a"));
        let windows = vec!["1m".into(), "2m".into()];
        monitor.retune(Settings { min_rows: 11, windows, ..Settings::default() });
        assert_eq!(ids(&close(&mut monitor, 0)[1]), ["second-199"]);
        assert_eq!(ids(&close(&mut monitor, 1)[1]), ["second-199"], "the first is not of them");
    }

    #[test]
    fn of_many_rows_the_one_that_is_named_lies_in_the_bin() {
        let mut monitor = monitor();
        let numbers: Vec<f64> = (0..500).map(|n| if n < 250 { 100.0 } else { 5000.0 }).collect();
        let batch = rows(&numbers, &["a"; 500]);
        monitor.observe(&batch, &Rows::new());
        monitor.exemplify(&"batch".into(), &batch, &Rows::new());
        let report = close(&mut monitor, 0).remove(0);
        let above = report.examples.iter().find(|e| e.bin.ends_with(",inf)")).unwrap();
        assert_eq!((&*above.request_id, numbers[above.row]), ("batch", 5000.0));
    }

    proptest! {
        #[test]
        fn a_cell_is_noted_in_the_bin_that_counts_it(number in -100.0..1100.0_f64, text in "[a-e]") {
            let baseline = baseline();
            let rows = rows(&[number], &[&text]);
            for feature in baseline.features() {
                let mut window = feature.content.window();
                let column = rows.column(&feature.key().name).unwrap();
                window.observe(column);
                let counted = feature.content.reported_of(&window.counts());
                let bin = reported_bin(&feature.content, column.cells().next().unwrap()).unwrap();
                prop_assert_eq!(counted[bin], 1);
            }
        }
    }
}
