//! How the model did on the rows whose truth is known, as it is shown.

use super::compare::Concept;
use super::estimate::Estimates;
use super::interval::Interval;
use super::sources::{LabelFault, SourceCounts};
use super::summary::{CalibrationBin, ClassCounts, Figure, Kind, Measure, Summary};
use crate::distribution::Distribution;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What labels said, since start and window by window.
#[derive(Debug, Clone)]
pub struct Report {
    /// Rows predicted since start: with a label, waiting for it, or expired without.
    pub predictions: u64,
    /// Labels that found their prediction.
    pub joined: u64,
    /// Labels that came before or without their prediction and were not joined in time.
    pub unknown_ids: u64,
    /// A second label for a row: the last one counts.
    pub duplicates: u64,
    /// Labels that came when their prediction had been forgotten, after `labels.max_delay` or over
    /// the bound.
    pub late: u64,
    /// Predictions that were forgotten, after `labels.max_delay` or over the bound, without a label.
    pub expired: u64,
    /// From prediction to label; seconds.
    pub delay: Distribution,
    /// Over all rows joined since start; `None` before the first.
    pub overall: Option<Performance>,
    /// The newest of each length by prediction time, shortest length first, then oldest first.
    pub windows: Vec<Arc<LabelWindow>>,
    /// What scores say of performance, before labels do.
    pub estimates: Arc<Estimates>,
    /// Of each part of the traffic with labelled rows.
    pub parts: Vec<Arc<PartPerformance>>,
    pub reference: PerformanceReference,
    /// Windows that were emitted again.
    pub revisions: u64,
    /// Windows that were forgotten before `labels.max_delay`, over a bound of memory or for windows of
    /// other lengths: late labels of their rows count since start only.
    pub forgotten_windows: u64,
    /// In the order of [`Source::ALL`](super::Source::ALL).
    pub sources: [SourceCounts; 3],
    /// Labels that could not be read, the newest few, oldest first.
    pub faults: Vec<LabelFault>,
}

/// What windows are tested against.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PerformanceReference {
    #[default]
    None,
    /// The first labelled rows, so far.
    Learning { rows: u64, needed: u64 },
    /// Of the first labelled rows.
    Learned { performance: Arc<Performance> },
    /// Of the baseline file.
    Given { performance: Arc<Performance> },
}

impl PerformanceReference {
    pub fn performance(&self) -> Option<&Performance> {
        match self {
            Self::None | Self::Learning { .. } => None,
            Self::Learned { performance } | Self::Given { performance } => Some(performance),
        }
    }
}

/// Whether more labels may change a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its time is not over.
    #[default]
    Open,
    /// Its time is over; labels that come up to `labels.max_delay` open it again.
    Waiting,
    /// `labels.max_delay` is over too.
    Final,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Final => "final",
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct LabelWindow {
    /// Its length, such as `1h`.
    pub window: Arc<str>,
    pub start: Timestamp,
    pub end: Timestamp,
    pub standing: Standing,
    /// How often it was emitted: once when its time was over and rows were labelled, and again after
    /// late labels. Figures here are as of now.
    pub revision: u32,
    pub emitted_at: Option<Timestamp>,
    pub joined: u64,
    pub predictions: u64,
    pub performance: Option<Performance>,
    /// Against the reference, as of the last time that it was emitted.
    pub concept: Option<Concept>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            predictions: 0,
            joined: 0,
            unknown_ids: 0,
            duplicates: 0,
            late: 0,
            expired: 0,
            delay: Distribution::of_seconds(),
            overall: None,
            windows: Vec::new(),
            estimates: Arc::default(),
            parts: Vec::new(),
            reference: PerformanceReference::None,
            revisions: 0,
            forgotten_windows: 0,
            sources: [SourceCounts::default(); 3],
            faults: Vec::new(),
        }
    }
}

impl Report {
    /// Share of predictions whose label has come, in [0, 1]; 0 before the first prediction.
    pub fn coverage(&self) -> f64 {
        if self.predictions == 0 { 0.0 } else { self.joined as f64 / self.predictions as f64 }
    }

    /// The windows of one length, oldest first.
    pub fn of_length(&self, length: &str) -> impl Iterator<Item = &Arc<LabelWindow>> {
        self.windows.iter().filter(move |window| *window.window == *length)
    }

    /// Lengths of windows, ascending.
    pub fn lengths(&self) -> Vec<Arc<str>> {
        let mut lengths: Vec<_> = self.windows.iter().map(|w| Arc::clone(&w.window)).collect();
        lengths.dedup();
        lengths
    }
}

/// One part of the traffic, such as `country=FR`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PartPerformance {
    pub segment: Arc<str>,
    /// Labelled, since start.
    pub rows: u64,
    pub performance: Performance,
    /// The newest of the shortest length that have labelled rows, oldest first.
    pub windows: Vec<PartWindow>,
}

/// By prediction time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PartWindow {
    pub start: Timestamp,
    pub end: Timestamp,
    pub rows: u64,
    pub performance: Performance,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Performance {
    Classification(Classification),
    Regression(Regression),
}

/// Low and high: 95 of 100 such intervals hold the true value.
pub type Bounds = [f64; 2];

/// Precision, recall and F1 are unweighted means over classes (macro averages).
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Classification {
    pub rows: u64,
    pub accuracy: f64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    /// These three where probabilities were said for every row.
    pub auroc: Option<f64>,
    pub log_loss: Option<f64>,
    /// Over ten bins of scores.
    pub calibration_error: Option<f64>,
    pub intervals: BTreeMap<&'static str, Bounds>,
    /// The classes with most labelled rows, at most twenty.
    pub classes: Vec<ClassPerformance>,
    pub calibration: Vec<CalibrationBin>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClassPerformance {
    pub class: Arc<str>,
    /// Rows whose label it is.
    pub support: u64,
    pub predicted: u64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    /// Of precision, recall and F1; without an interval where no row says anything.
    pub intervals: BTreeMap<&'static str, Bounds>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Regression {
    pub rows: u64,
    /// In the label's unit, as is `rmse`; `mse` in its square. `None` where errors are so large that no
    /// number holds their sum.
    pub mae: Option<f64>,
    pub mse: Option<f64>,
    pub rmse: Option<f64>,
    /// As a share of the label, over labels that are not 0; `None` if all are.
    pub mape: Option<f64>,
    /// Rows that `mape` leaves out.
    pub zero_labels: u64,
    /// `None` while all labels are equal.
    pub r2: Option<f64>,
    pub intervals: BTreeMap<&'static str, Bounds>,
}

impl Performance {
    pub fn of(summary: &Summary) -> Self {
        let value = |measure| summary.figure(measure).map(|figure| figure.value);
        let known = |measure| value(measure).unwrap_or_default();
        let intervals = summary.figures.iter().filter_map(bounds).collect();
        if summary.kind == Kind::Numbers {
            let relative = summary.figure(Measure::Mape).map_or(0, |figure| figure.rows);
            return Self::Regression(Regression {
                rows: summary.rows,
                mae: value(Measure::Mae),
                mse: value(Measure::Mse),
                rmse: value(Measure::Rmse),
                mape: value(Measure::Mape),
                zero_labels: summary.rows - relative.min(summary.rows),
                r2: value(Measure::R2),
                intervals,
            });
        }
        Self::Classification(Classification {
            rows: summary.rows,
            accuracy: known(Measure::Accuracy),
            precision: known(Measure::Precision),
            recall: known(Measure::Recall),
            f1: known(Measure::F1),
            auroc: value(Measure::Auroc),
            log_loss: value(Measure::LogLoss),
            calibration_error: value(Measure::CalibrationError),
            intervals,
            classes: summary.classes.iter().map(ClassPerformance::of).collect(),
            calibration: summary.calibration.clone(),
        })
    }

    /// Every figure that there is, in the order of [`Measure::ALL`].
    pub fn figures(&self) -> Vec<(Measure, f64)> {
        let all = match self {
            Self::Classification(c) => vec![
                (Measure::Accuracy, Some(c.accuracy)),
                (Measure::Precision, Some(c.precision)),
                (Measure::Recall, Some(c.recall)),
                (Measure::F1, Some(c.f1)),
                (Measure::Auroc, c.auroc),
                (Measure::LogLoss, c.log_loss),
                (Measure::CalibrationError, c.calibration_error),
            ],
            Self::Regression(r) => vec![
                (Measure::Mae, r.mae),
                (Measure::Mse, r.mse),
                (Measure::Rmse, r.rmse),
                (Measure::Mape, r.mape),
                (Measure::R2, r.r2),
            ],
        };
        all.into_iter().filter_map(|(measure, value)| Some((measure, value?))).collect()
    }

    /// Every measure under the name users see: `accuracy`, `mae`…
    pub fn measures(&self) -> Vec<(&'static str, f64)> {
        self.figures().into_iter().map(|(measure, value)| (measure.as_str(), value)).collect()
    }

    pub fn intervals(&self) -> &BTreeMap<&'static str, Bounds> {
        match self {
            Self::Classification(c) => &c.intervals,
            Self::Regression(r) => &r.intervals,
        }
    }

    /// Of classes, those shown; none of numbers.
    pub fn classes(&self) -> &[ClassPerformance] {
        match self {
            Self::Classification(c) => &c.classes,
            Self::Regression(_) => &[],
        }
    }
}

fn bounds(figure: &Figure) -> Option<(&'static str, Bounds)> {
    Some((figure.measure.as_str(), [figure.low?, figure.high?]))
}

impl ClassPerformance {
    fn of(counts: &ClassCounts) -> Self {
        let said = [
            (Measure::Precision, counts.predicted),
            (Measure::Recall, counts.labelled),
            (Measure::F1, counts.predicted + counts.labelled),
        ];
        let interval = |(measure, rows): (Measure, u64)| {
            let Interval { low, high } = counts.interval(measure);
            (rows > 0).then_some((measure.as_str(), [low, high]))
        };
        Self {
            class: Arc::clone(&counts.class),
            support: counts.labelled,
            predicted: counts.predicted,
            precision: counts.precision(),
            recall: counts.recall(),
            f1: counts.f1(),
            intervals: said.into_iter().filter_map(interval).collect(),
        }
    }
}
