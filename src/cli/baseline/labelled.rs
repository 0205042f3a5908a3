//! `baseline build` with labels: how right the model was on the rows of the reference.
//!
//! A table has them in a column; of recorded traffic they come in a file, as the API takes them, and are
//! joined by request id.

use super::note;
use crate::archive::{self, DecodedExchange};
use crate::cli::columns::Batch;
use crate::cli::input::BadInput;
use crate::cli::source::Source;
use crate::decode::{Cell, Column, Rows};
use crate::drift::{Baseline, PerformanceBuilder, ReferencePerformance};
use crate::labels::estimate::LabelledCounts;
use crate::labels::{self, Figure, Label, LabelValue, Measure, Prediction};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// The column of a table that holds the truth. It is no feature; the baseline tells how right the model
    /// was, which live performance is tested against, and what its scores mean
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// The outputs that are probabilities: one of class 1, or one for each of the classes 0, 1, 2…
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    score: Vec<String>,
    /// The output that is the predicted class or number [default: what the scores, or else the outputs,
    /// say]
    #[arg(long, value_name = "COLUMN")]
    prediction: Option<String>,
    /// The truth of recorded traffic, as POST /api/v1/labels takes it: .jsonl, .json or .csv
    #[arg(long, value_name = "FILE", conflicts_with = "label")]
    labels: Option<PathBuf>,
}

/// Rows of a chunk: a cell of a column with texts is found by going through those before it.
const CHUNK: usize = 256;

pub(super) struct Labelled<'a> {
    flags: &'a Flags,
    score_columns: Vec<Arc<str>>,
    builder: PerformanceBuilder,
    by_id: HashMap<String, Label>,
    /// Labelled rows of which the model said nothing that can be used.
    unsaid: u64,
}

impl Flags {
    pub(super) fn open(&self, outputs: &[String]) -> Result<Option<Labelled<'_>>, BadInput> {
        let said = if self.score.is_empty() { "--prediction" } else { "--score" };
        if self.label.is_none() && self.labels.is_none() {
            if self.score.is_empty() && self.prediction.is_none() {
                return Ok(None);
            }
            return Err(BadInput::text(format!(
                "{said} says nothing without the truth: name its column by --label, or a file by \
                 --labels for recorded traffic"
            )));
        }
        let nothing_said = self.score.is_empty() && self.prediction.is_none() && outputs.is_empty();
        if let Some(label) = self.label.as_ref().filter(|_| nothing_said) {
            return Err(BadInput::text(format!(
                "--label {label} is compared with what the model said: name those columns by --score, \
                 --prediction or --outputs"
            )));
        }
        let by_id = self.labels.as_deref().map(read_labels).transpose()?.unwrap_or_default();
        let score_columns: Vec<_> = self.score.iter().map(|name| Arc::from(&**name)).collect();
        let prediction = self.prediction.as_deref().map(Arc::from);
        let builder = PerformanceBuilder::new(score_columns.clone(), prediction);
        Ok(Some(Labelled { flags: self, score_columns, builder, by_id, unsaid: 0 }))
    }

    /// Whether a column of a table is named as what the model said.
    pub(super) fn is_output(&self, name: &str) -> bool {
        self.prediction.as_deref() == Some(name) || self.score.iter().any(|score| score == name)
    }
}

impl Labelled<'_> {
    /// Takes the label's column out of a table's rows, and counts them.
    pub(super) fn observe(
        &mut self,
        path: &Path,
        is_archive: bool,
        batch: &mut Batch,
    ) -> Result<(), BadInput> {
        let Some(name) = &self.flags.label else {
            return if is_archive { Ok(()) } else { Err(self.no_archive(path)) };
        };
        let shown = path.display();
        if is_archive {
            return Err(BadInput::text(format!(
                "--label: {shown} is an archive, which has no column of labels; give a file of them by \
                 --labels"
            )));
        }
        let names = batch.names();
        let label = take(&mut batch.inputs, name).or_else(|| take(&mut batch.outputs, name));
        let missing = |flag: &str, name: &str| {
            BadInput::text(format!("{flag}: {shown} has no column {name:?}; it has {names}"))
        };
        let label = label.ok_or_else(|| missing("--label", name))?;
        for score in &self.flags.score {
            batch.outputs.column(score).ok_or_else(|| missing("--score", score))?;
        }
        if let Some(prediction) = &self.flags.prediction {
            batch.outputs.column(prediction).ok_or_else(|| missing("--prediction", prediction))?;
        }
        let mut labels = Rows::new();
        labels.push(label);
        let part_of: Vec<_> = (0..labels.len()).map(|row| row / CHUNK).collect();
        let parts = labels.len().div_ceil(CHUNK);
        let chunks = batch.outputs.scatter(&part_of, parts);
        for (outputs, labels) in chunks.iter().zip(labels.scatter(&part_of, parts)) {
            let labels = labels.columns().iter().flat_map(Column::cells);
            labels.enumerate().for_each(|(row, label)| self.add(outputs, row, label));
        }
        Ok(())
    }

    fn no_archive(&self, path: &Path) -> BadInput {
        let labels = self.flags.labels.as_deref().unwrap_or(Path::new(""));
        BadInput::text(format!(
            "--labels {}: {} is a table, whose labels stand in a column: name it by --label",
            labels.display(),
            path.display()
        ))
    }

    /// Reads recorded traffic once more, for the exchanges whose labels are known.
    pub(super) fn join(&mut self, path: &Path) -> Result<(), BadInput> {
        if self.by_id.is_empty() || !Source::open(path)?.is_archive() {
            return Ok(());
        }
        let reader = archive::Reader::open(path).map_err(BadInput::new)?;
        for exchange in reader.rows() {
            self.join_exchange(&exchange.map_err(BadInput::new)?);
        }
        Ok(())
    }

    fn join_exchange(&mut self, exchange: &DecodedExchange) {
        let rows = exchange.outputs.len();
        for row in 0..rows {
            let of_row = self.by_id.get(&format!("{}#{row}", exchange.id));
            let of_row = of_row.or_else(|| self.by_id.get(&exchange.id));
            let truth = match of_row.map(|label| &label.label) {
                Some(LabelValue::Rows(truths)) => truths.get(row).cloned().flatten(),
                Some(LabelValue::One(truth)) => Some(truth.clone()),
                None => None,
            };
            // One label for a request of several rows says nothing of any.
            let is_whole = of_row.is_some_and(|label| label.id == exchange.id);
            let is_one = of_row.is_some_and(|label| matches!(label.label, LabelValue::One(_)));
            if let Some(truth) = truth.filter(|_| !(is_whole && is_one && rows > 1)) {
                self.add(&exchange.outputs, row, truth.as_cell());
            }
        }
    }

    fn add(&mut self, outputs: &Rows, row: usize, label: Cell<'_>) {
        let scores = match &*self.score_columns {
            [] => labels::scores(outputs, row),
            named => labels::named_scores(outputs, named, row),
        };
        let prediction = self.flags.prediction.as_deref();
        let said = if prediction.is_none() && self.score_columns.is_empty() {
            labels::prediction(outputs, row).map(Prediction::as_cell)
        } else {
            labels::named_prediction(outputs, prediction, row, &scores)
        };
        match said {
            Some(said) => self.builder.add(said, &scores, label),
            None => self.unsaid += u64::from(label != Cell::Null),
        }
    }

    /// The baseline with what was found; notes tell what was not.
    pub(super) fn finish(self, baseline: Baseline) -> Result<Baseline, BadInput> {
        let (rows, scored) = (self.builder.rows(), self.builder.rows_with_scores());
        let Some(performance) = self.builder.finish() else {
            return Err(BadInput::text(match &self.flags.labels {
                Some(file) => format!(
                    "--labels {}: no label names a recorded request; its `id` is the `x-request-id`, with \
                     #0, #1… for the rows of one request",
                    file.display()
                ),
                None => "--label: no row has both a label and a prediction".to_owned(),
            }));
        };
        if self.unsaid > 0 {
            note(&format!(
                "{} labelled rows were left out: they have no prediction, or no score in [0, 1]",
                self.unsaid
            ));
        }
        match &performance.scores {
            None if !self.flags.score.is_empty() => note(&format!(
                "{scored} of {rows} labelled rows have scores in [0, 1] and a class to go with them: \
                 performance is not estimated before labels come; labels of two classes are 0 and 1, of \
                 several the number of the class"
            )),
            Some(counts) if !counts.is_enough() => note(&format!(
                "{rows} labelled rows are too few to estimate performance before labels come: it takes \
                 {}, with {} of two classes",
                LabelledCounts::MIN_ROWS,
                LabelledCounts::MIN_OF_CLASS
            )),
            _ => {}
        }
        Ok(baseline.with_performance(performance))
    }
}

/// What labels said, for a person: a line of figures, and what scores are good for.
pub(super) fn shown(performance: &ReferencePerformance) -> String {
    let summary = &performance.summary;
    let is_of_classes = summary.kind != labels::Kind::Numbers;
    let figure = |figure: &Figure| {
        let is_share = is_of_classes && figure.measure != Measure::LogLoss;
        let text = |value: f64| {
            if is_share { format!("{:.1}", value * 100.0) } else { format!("{value:.4}") }
        };
        let unit = if is_share { " %" } else { "" };
        let interval = figure.low.zip(figure.high);
        let interval = interval.map(|(low, high)| format!(" ({} to {})", text(low), text(high)));
        let name = figure.measure.as_str().replace('_', " ");
        format!("  {name} {}{unit}{}\n", text(figure.value), interval.unwrap_or_default())
    };
    let figures: String = summary.figures.iter().map(figure).collect();
    let scores = performance.scores.as_ref().filter(|scores| scores.is_enough());
    let scores = match scores {
        Some(scores) => format!(
            "  scores of {} classes on {} rows: performance is estimated before labels come\n",
            scores.classes(),
            scores.rows()
        ),
        None => String::new(),
    };
    format!("\n\nperformance on {} labelled rows\n{figures}{scores}", summary.rows)
        .trim_end()
        .to_owned()
}

/// Removes a column.
fn take(rows: &mut Rows, name: &str) -> Option<Column> {
    let (mut taken, mut others) = (None, Rows::new());
    for column in rows.drain() {
        if **column.name() == *name {
            taken = Some(column);
        } else {
            others.push(column);
        }
    }
    *rows = others;
    taken
}

/// By id; of several for one the latest, and of equals the last.
fn read_labels(path: &Path) -> Result<HashMap<String, Label>, BadInput> {
    let shown = path.display();
    let body = std::fs::read(path)
        .map_err(|error| BadInput::text(format!("--labels {shown}: cannot be read: {error}")))?;
    let is_csv = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let parsed = labels::parse(is_csv.then_some("text/csv"), &body)
        .map_err(|error| BadInput::text(format!("--labels {shown}: {error}")))?;
    if let Some(first) = parsed.bad.first() {
        let (bad, good) = (parsed.bad_total, parsed.labels.len());
        note(&format!("{shown}: {bad} labels could not be read, {good} were; {first}"));
    }
    let mut by_id: HashMap<String, Label> = HashMap::with_capacity(parsed.labels.len());
    for label in parsed.labels {
        let is_newer = by_id.get(&label.id).is_none_or(|known| label.at >= known.at);
        if is_newer {
            by_id.insert(label.id.clone(), label);
        }
    }
    Ok(by_id)
}
