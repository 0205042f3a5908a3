//! Scores of decoded rows to estimates in the snapshot, and labels beside them.

use super::*;
use crate::capture::Totals;
use crate::decode::{Cell, Column, Decoded, Rows};
use crate::drift::{Baseline, BaselineBuilder, BaselineSettings, PerformanceBuilder, Reference};
use crate::labels::estimate::{Estimates, LearntFrom, State, Trust};
use crate::labels::{Label, LabelValue, Measure, Parsed, Scores, Source, Truth};
use crate::sketch::Role;
use fastrand::Rng;

const HOUR: i64 = 3600;
const ROWS: usize = 400;

/// A score, the same as another class's probability, and what is true: less sure than it says.
fn scored(random: &mut Rng) -> (f64, bool) {
    let odds = 6.0 * random.f64() - 3.0;
    let sigmoid = |odds: f64| 1.0 / (1.0 + (-odds).exp());
    (sigmoid(2.0 * odds), random.f64() < sigmoid(odds))
}

fn outputs(scores: &[f64]) -> Rows {
    let mut class = Column::new("class");
    let mut score = Column::new("risk");
    for value in scores {
        class.push(Cell::Number(f64::from(u8::from(*value >= 0.5))));
        score.push(Cell::Number(*value));
    }
    let mut rows = Rows::new();
    rows.push(class);
    rows.push(score);
    rows
}

/// Its outputs are a class and, by the name of `risk`, a score.
fn baseline() -> Baseline {
    let mut random = Rng::with_seed(3);
    let rows: Vec<_> = (0..2000).map(|_| scored(&mut random)).collect();
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Output, &outputs(&rows.iter().map(|row| row.0).collect::<Vec<_>>()));
    let mut performance = PerformanceBuilder::new(vec!["risk".into()], Some("class".into()));
    for (score, truth) in rows {
        let class = Cell::Number(f64::from(u8::from(score >= 0.5)));
        performance.add(class, &Scores::Positive(score), Cell::Bool(truth));
    }
    builder.finish().unwrap().with_performance(performance.finish().unwrap())
}

fn settings(reference: &Reference) -> labels::Settings {
    let Reference::Baseline(baseline) = reference else { return labels::Settings::default() };
    let performance = baseline.performance().unwrap();
    labels::Settings {
        reference: Some(Arc::clone(&performance.summary)),
        calibration: performance.scores.clone(),
        score_columns: performance.score_columns.clone(),
        prediction: performance.prediction.clone(),
        ..labels::Settings::default()
    }
}

fn watch(reference: Reference) -> Watch {
    let joiner = labels::Joiner::new(settings(&reference));
    let monitor = drift::Monitor::new(drift::Settings::default(), reference);
    let windows = [Duration::from_secs(3600)];
    let tumbling = drift::Tumbling::new(&windows, Timestamp::UNIX_EPOCH);
    Watch::new("risk".into(), "1".into(), monitor, tumbling, joiner, usize::MAX)
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * HOUR).unwrap()
}

fn estimates(watch: &mut Watch, now: Timestamp) -> Arc<Estimates> {
    watch.advance(now, Totals::default());
    let _ = watch.advance_labels(now);
    watch.snapshot().labels.estimates
}

#[test]
fn scores_are_estimated_as_rows_come_and_compared_once_labels_do() {
    let mut watch = watch(Reference::Baseline(Arc::new(baseline())));
    let mut random = Rng::with_seed(4);
    let rows: Vec<_> = (0..ROWS).map(|_| scored(&mut random)).collect();
    for (request, rows) in rows.chunks(10).enumerate() {
        let scores: Vec<_> = rows.iter().map(|row| row.0).collect();
        let decoded = Decoded { outputs: outputs(&scores), ..Decoded::default() };
        watch.observe(&format!("r{request}"), &decoded, at(0));
    }
    let before = estimates(&mut watch, at(1));
    assert_eq!((before.source, before.calibration_rows), (Some(LearntFrom::Reference), 2000));
    let [window] = &*before.windows else { panic!("{before:?}") };
    assert_eq!((window.state, window.rows, window.closed), (State::Estimated, ROWS as u64, true));
    let estimated = *window.figure(Measure::Accuracy).unwrap();
    assert_eq!((estimated.realised, before.trust), (None, Trust::Untested));
    for (request, rows) in rows.chunks(10).enumerate() {
        let truths = rows.iter().map(|row| Some(Truth::Bool(row.1))).collect();
        let label = LabelValue::Rows(truths);
        let label = Label { id: format!("r{request}"), label, at: None };
        let parsed = Parsed { labels: vec![label], ..Parsed::default() };
        watch.take_labels(Source::Api, "", parsed, at(1));
    }
    let after = estimates(&mut watch, at(1));
    let figure = after.windows[0].figure(Measure::Accuracy).unwrap();
    let right = rows.iter().filter(|(score, truth)| (*score >= 0.5) == *truth).count();
    let realised = figure.realised.unwrap();
    assert!((realised.value - right as f64 / ROWS as f64).abs() < 1e-12);
    assert!((figure.value - estimated.value).abs() < 1e-12 && realised.inside, "{figure:?}");
    assert_eq!((after.trust, after.records[0].windows), (Trust::Trusted, 1));
}

#[test]
fn the_output_that_the_baseline_names_is_the_prediction() {
    let mut watch = watch(Reference::Baseline(Arc::new(baseline())));
    let mut noise = Column::new("attempt");
    let mut classes = outputs(&[0.9, 0.2, 0.8, 0.7]);
    (0..4).for_each(|row| noise.push(Cell::Number(f64::from(row) + 5.5)));
    let mut rows = Rows::new();
    rows.push(noise);
    classes.drain().for_each(|column| rows.push(column));
    let decoded = Decoded { outputs: rows, ..Decoded::default() };
    watch.observe("r", &decoded, at(0));
    let truths = [true, false, false, true].map(|truth| Some(Truth::Bool(truth)));
    let label = Label { id: "r".into(), label: LabelValue::Rows(truths.into()), at: None };
    let parsed = Parsed { labels: vec![label], ..Parsed::default() };
    watch.take_labels(Source::Api, "", parsed, at(0));
    let overall = watch.snapshot().labels.overall.unwrap();
    assert_eq!(overall.measures()[0], ("accuracy", 0.75));
}

#[test]
fn an_answer_without_the_outputs_that_were_named_is_read_by_the_rules() {
    let mut watch = watch(Reference::Baseline(Arc::new(baseline())));
    let mut said = Column::new("output");
    said.push(Cell::Number(1.0));
    let mut outputs = Rows::new();
    outputs.push(said);
    watch.observe("r", &Decoded { outputs, ..Decoded::default() }, at(0));
    assert_eq!(watch.snapshot().labels.predictions, 1);
}

#[test]
fn rows_without_scores_are_not_estimated() {
    let mut watch = watch(Reference::Learn { rows: NonZeroU64::new(1000).unwrap() });
    let mut random = Rng::with_seed(5);
    for request in 0..50 {
        // A class beside its score, and nobody said which is which.
        let scores: Vec<_> = (0..10).map(|_| scored(&mut random).0).collect();
        let decoded = Decoded { outputs: outputs(&scores), ..Decoded::default() };
        let id = format!("r{request}");
        watch.observe(&id, &decoded, at(0));
        let truths = scores.iter().map(|score| Some(Truth::Bool(*score > 0.4))).collect();
        let label = Label { id, label: LabelValue::Rows(truths), at: None };
        let parsed = Parsed { labels: vec![label], ..Parsed::default() };
        watch.take_labels(Source::Api, "", parsed, at(0));
    }
    let estimates = estimates(&mut watch, at(1));
    assert_eq!(estimates.source, None);
    assert!(estimates.windows.iter().all(|window| window.figures.is_empty()), "{estimates:?}");
}
