//! Estimated performance as it is shown, beside what came true.

use super::super::summary::Measure;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// What scores say of performance, window by window, and how far that could be believed so far.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Estimates {
    /// Labels that tell what a score means now; null before there are enough of them, or without scores.
    pub source: Option<LearntFrom>,
    /// Rows of that source. While there is none, labelled rows with scores so far.
    pub calibration_rows: u64,
    pub trust: Trust,
    /// Of the windows whose labels have come, a figure each; of the length that trust is judged by.
    pub records: Vec<TrackRecord>,
    /// The newest of each length by prediction time, shortest length first, then oldest first.
    pub windows: Vec<Arc<Estimate>>,
}

/// Where the meaning of a score was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LearntFrom {
    /// The labelled rows of the baseline.
    Reference,
    /// Live rows whose labels have come.
    Labels,
}

/// Whether realised figures lie in the intervals as often as they should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// No window could be compared yet.
    #[default]
    Untested,
    Trusted,
    /// They lie outside too often, or the last one lies far outside: the concept has changed, or the
    /// reference was not like the rows that the model sees.
    NotTrusted,
}

/// One window.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Estimate {
    /// Its length, such as `1h`.
    pub window: Arc<str>,
    pub start: Timestamp,
    pub end: Timestamp,
    /// Whether its time is over.
    pub closed: bool,
    /// Predicted rows with scores.
    pub rows: u64,
    pub state: State,
    pub source: Option<LearntFrom>,
    /// Empty unless it is estimated.
    pub figures: Vec<EstimatedFigure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Estimated,
    /// Fewer rows than `drift.min_rows`.
    InsufficientData,
    /// Before enough labels came to tell what a score means.
    NotCalibrated,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct EstimatedFigure {
    pub measure: Measure,
    pub value: f64,
    /// The realised figure should lie between these, 95 times of 100, if the concept stays.
    pub low: f64,
    pub high: f64,
    /// Once enough labels have come.
    pub realised: Option<Realised>,
}

/// A figure that came true, beside its estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Realised {
    /// Labelled rows.
    pub rows: u64,
    pub value: f64,
    /// The estimate less the realised value.
    pub error: f64,
    /// Whether it lies in the interval, which is wider for as many rows if not all are labelled.
    pub inside: bool,
}

/// How near the estimates of one figure were.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct TrackRecord {
    pub measure: Measure,
    /// Windows compared, and those whose realised figure lay in the interval.
    pub windows: u64,
    pub inside: u64,
    pub mean_absolute_error: f64,
    /// The same of assuming that nothing changed since the rows calibrated on; null if these are not known.
    pub error_of_no_change: Option<f64>,
}

impl LearntFrom {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Labels => "labels",
        }
    }
}

impl Trust {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untested => "untested",
            Self::Trusted => "trusted",
            Self::NotTrusted => "not_trusted",
        }
    }
}

impl Estimates {
    /// Of each length the newest closed window that was estimated.
    pub fn latest(&self) -> Vec<&Estimate> {
        let mut latest: Vec<&Estimate> = Vec::new();
        let estimated =
            |estimate: &&Estimate| estimate.closed && estimate.state == State::Estimated;
        for estimate in self.windows.iter().map(|estimate| &**estimate).filter(estimated) {
            match latest.last_mut() {
                Some(last) if last.window == estimate.window => *last = estimate,
                _ => latest.push(estimate),
            }
        }
        latest
    }

    /// With the windows of one length, or of all; of each the newest.
    #[must_use]
    pub fn newest(&self, length: Option<&str>, newest: usize) -> Self {
        let of_length =
            |window: &&Arc<Estimate>| length.is_none_or(|length| *window.window == *length);
        let mut windows: Vec<Arc<Estimate>> = Vec::new();
        let mut taken = 0;
        for window in self.windows.iter().rev().filter(of_length) {
            let goes_on = windows.last().is_some_and(|last| last.window == window.window);
            taken = if goes_on { taken + 1 } else { 1 };
            if taken <= newest {
                windows.push(Arc::clone(window));
            }
        }
        windows.reverse();
        Self { windows, records: self.records.clone(), ..*self }
    }

    /// The window of that length and start.
    pub fn of(&self, window: &str, start: Timestamp) -> Option<&Estimate> {
        let is_it = |estimate: &&Estimate| *estimate.window == *window && estimate.start == start;
        self.windows.iter().map(|estimate| &**estimate).find(is_it)
    }
}

impl Estimate {
    pub fn figure(&self, measure: Measure) -> Option<&EstimatedFigure> {
        self.figures.iter().find(|figure| figure.measure == measure)
    }
}
