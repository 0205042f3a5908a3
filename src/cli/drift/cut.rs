//! Rows in file order, reports on windows out.
//!
//! Rows need not be sorted: several windows stay open, each with its own sketches, and the oldest is
//! closed once there are many. A row whose window was closed by then is counted, not judged. Windows
//! are closed in the order of time and each is judged with those before it, as the sidecar does.

use crate::cli::columns::Batch;
use crate::cli::window::{TimeWindow, Window};
use crate::decode::Rows;
use crate::drift::{Baseline, Monitor, Reference, Settings, WindowReport, WindowSpan};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bounds memory: a window holds one set of sketches a feature.
const OPEN_WINDOWS: usize = 256;

pub(super) struct Cutter {
    settings: Settings,
    baseline: Arc<Baseline>,
    window: Window,
    /// Whether rows come as they were recorded, those of a request together.
    recorded: bool,
    /// By start in nanoseconds since 1970, or by the window's number where rows are counted.
    open: BTreeMap<i128, Open>,
    /// The monitor of the window that was closed last: the next is judged with what it knows.
    last: Option<Monitor>,
    /// Monitors of windows closed before, to be used again.
    spare: Vec<Monitor>,
    rows_seen: u64,
    /// The greatest key of a closed window.
    closed: Option<i128>,
    cut: Cut,
}

#[derive(Default)]
pub(super) struct Cut {
    pub reports: Vec<WindowReport>,
    pub late_rows: u64,
}

struct Open {
    monitor: Monitor,
    span: Option<(Timestamp, Timestamp)>,
}

impl Cutter {
    pub(super) fn new(
        settings: Settings,
        baseline: Arc<Baseline>,
        window: Window,
        recorded: bool,
    ) -> Self {
        Self {
            settings,
            baseline,
            window,
            recorded,
            open: BTreeMap::new(),
            last: None,
            spare: Vec::new(),
            rows_seen: 0,
            closed: None,
            cut: Cut::default(),
        }
    }

    /// `times` has one for each row; windows of time need them.
    pub(super) fn observe(&mut self, batch: &Batch, times: Option<&[Timestamp]>) {
        let Batch { inputs, outputs, sample_rate, .. } = batch;
        let rows = inputs.len().max(outputs.len());
        let windows = self.assign(rows, times);
        let mut keys: Vec<_> = windows.iter().map(|window| window.key).collect();
        keys.sort_unstable();
        keys.dedup();
        self.rows_seen += rows as u64;
        if let [key] = keys[..] {
            self.fold(key, span(&windows, key), (inputs, outputs), *sample_rate);
            return;
        }
        let part = |window: &RowWindow| keys.binary_search(&window.key).unwrap_or(0);
        let part_of: Vec<_> = windows.iter().map(part).collect();
        let inputs = inputs.scatter(&part_of, keys.len());
        let outputs = outputs.scatter(&part_of, keys.len());
        for (key, (inputs, outputs)) in keys.iter().zip(inputs.iter().zip(&outputs)) {
            self.fold(*key, span(&windows, *key), (inputs, outputs), *sample_rate);
        }
    }

    /// The last window is reported too, full or not.
    pub(super) fn finish(mut self) -> Cut {
        while self.close_oldest() {}
        self.cut
    }

    fn assign(&self, rows: usize, times: Option<&[Timestamp]>) -> Vec<RowWindow> {
        let time = |row: usize| times.and_then(|times| times.get(row)).copied();
        match self.window {
            Window::Time(length) => {
                let mut last = None;
                (0..rows).filter_map(|row| Some(in_time(length, time(row)?, &mut last))).collect()
            }
            Window::All | Window::Rows(_) => {
                let row_key = |row: usize| match self.window {
                    Window::Rows(length) => i128::from((self.rows_seen + row as u64) / length),
                    Window::All | Window::Time(_) => 0,
                };
                let at = |row| time(row).map(|time| (time, time));
                (0..rows).map(|row| RowWindow { key: row_key(row), span: at(row) }).collect()
            }
        }
    }

    fn fold(
        &mut self,
        key: i128,
        span: Option<(Timestamp, Timestamp)>,
        (inputs, outputs): (&Rows, &Rows),
        sample_rate: f64,
    ) {
        if self.closed.is_some_and(|closed| key <= closed) {
            self.cut.late_rows += inputs.len().max(outputs.len()) as u64;
            return;
        }
        if !self.open.contains_key(&key) {
            let open_limit = if matches!(self.window, Window::Time(_)) { OPEN_WINDOWS } else { 1 };
            if self.open.len() >= open_limit {
                self.close_oldest();
            }
            let mut monitor = self.spare.pop().unwrap_or_else(|| self.monitor());
            let earlier = self.open.range(..key).next_back().map(|(_, open)| &open.monitor);
            if let Some(before) = earlier.or(self.last.as_ref()) {
                monitor.resume(before);
            }
            self.open.insert(key, Open { monitor, span: None });
        }
        if let Some(open) = self.open.get_mut(&key) {
            let rows = inputs.len().max(outputs.len());
            open.monitor.segment((inputs, outputs), sample_rate, |_| None);
            open.monitor.sampled(sample_rate, rows as u64);
            open.monitor.observe_sampled(inputs, outputs, sample_rate);
            open.span = union(open.span, span);
        }
    }

    fn monitor(&self) -> Monitor {
        let reference = Reference::Baseline(Arc::clone(&self.baseline));
        let monitor = Monitor::new(self.settings.clone(), reference);
        if self.recorded { monitor } else { monitor.of_table() }
    }

    fn close_oldest(&mut self) -> bool {
        let Some((key, mut open)) = self.open.pop_first() else { return false };
        let (start, end) = open.span.unzip();
        if let Some(mut before) = self.last.take() {
            open.monitor.follow(&mut before);
            self.spare.push(before);
        }
        let report = open.monitor.close(WindowSpan { level: 0, start, end, coverage: 1.0 });
        self.cut.reports.extend(report);
        self.last = Some(open.monitor);
        self.closed = Some(key);
        true
    }
}

/// The window that a row is in.
#[derive(Clone, Copy)]
struct RowWindow {
    key: i128,
    span: Option<(Timestamp, Timestamp)>,
}

/// Neighbours mostly share a window: `last` saves its arithmetic.
fn in_time(
    length: TimeWindow,
    at: Timestamp,
    last: &mut Option<(Timestamp, Timestamp)>,
) -> RowWindow {
    let span = match *last {
        Some((start, end)) if (start..end).contains(&at) => Some((start, end)),
        _ => length.around(at),
    };
    *last = span;
    RowWindow { key: span.map_or(at, |(start, _)| start).as_nanosecond(), span }
}

fn span(windows: &[RowWindow], key: i128) -> Option<(Timestamp, Timestamp)> {
    let spans = windows.iter().filter(|window| window.key == key).map(|window| window.span);
    spans.reduce(union).flatten()
}

fn union(
    a: Option<(Timestamp, Timestamp)>,
    b: Option<(Timestamp, Timestamp)>,
) -> Option<(Timestamp, Timestamp)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (one, other) => one.or(other),
    }
}
