//! Streams of scores and labels over days of hours, with fixed seeds.

use super::super::super::report::{Classification, Performance};
use super::super::report::{State, Trust};
use super::*;
use fastrand::Rng;

const HOUR: i64 = 3600;
const ROWS: usize = 400;

/// Hours of rows whose scores claim more than is so, and whose labels come when they are told to.
struct Stream {
    random: Rng,
    estimator: Estimator,
    known: BTreeMap<Timestamp, LabelledCounts>,
    hour: i64,
}

struct Hour {
    at: Timestamp,
    rows: Vec<(RowScores, usize)>,
}

fn settings(reference: Option<LabelledCounts>) -> Settings {
    let hour = Duration::from_secs(HOUR.unsigned_abs());
    Settings {
        windows: vec![("1h".into(), hour), ("1d".into(), 24 * hour)],
        min_rows: 50,
        reference: reference.map(Arc::new),
    }
}

/// `turned` is the share of rows whose label is the other one than the scores say: another concept.
fn row(random: &mut Rng, shift: f64, turned: f64) -> (RowScores, usize) {
    let odds = 8.0 * random.f64() - 4.0 + shift;
    let truth = 1.0 / (1.0 + (-odds).exp());
    let score = 1.0 / (1.0 + (-2.0 * odds).exp());
    let label = usize::from(random.f64() < truth);
    let label = if random.f64() < turned { 1 - label } else { label };
    (RowScores::binary(score, None).unwrap(), label)
}

fn reference(rows: usize) -> LabelledCounts {
    let mut random = Rng::with_seed(99);
    let mut counts = LabelledCounts::default();
    for _ in 0..rows {
        let (scores, label) = row(&mut random, 0.0, 0.0);
        assert!(counts.add(&scores, Some(label)));
    }
    counts
}

impl Stream {
    fn new(reference: Option<LabelledCounts>) -> Self {
        let estimator = Estimator::new(settings(reference));
        Self { random: Rng::with_seed(7), estimator, known: BTreeMap::new(), hour: 0 }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_second(self.hour * HOUR).unwrap()
    }

    /// An hour of predictions goes by.
    fn predict(&mut self, shift: f64, turned: f64) -> Hour {
        let at = self.time();
        let rows: Vec<_> = (0..ROWS).map(|_| row(&mut self.random, shift, turned)).collect();
        for (scores, _) in &rows {
            self.estimator.predicted(scores, at);
        }
        self.hour += 1;
        self.estimator.advance(self.time());
        Hour { at, rows }
    }

    fn label(&mut self, hour: &Hour) {
        for (scores, label) in &hour.rows {
            self.estimator.labelled(scores, Some(*label), hour.at);
            self.known.entry(hour.at).or_default().add(scores, Some(*label));
        }
        self.estimator.advance(self.time());
    }

    fn report(&mut self) -> Arc<Estimates> {
        let labelled = self.known.iter().map(|(start, counts)| {
            let had = matrix::had(counts).unwrap();
            let classification = Classification {
                accuracy: had.accuracy,
                precision: had.precision,
                recall: had.recall,
                f1: had.f1,
                auroc: had.auroc,
                ..Classification::default()
            };
            Arc::new(LabelWindow {
                window: "1h".into(),
                start: *start,
                joined: counts.rows(),
                performance: Some(Performance::Classification(classification)),
                ..LabelWindow::default()
            })
        });
        let labelled: Vec<_> = labelled.collect();
        self.estimator.beside(&labelled)
    }
}

#[test]
fn realised_figures_lie_in_the_interval_while_the_concept_stays() {
    let mut stream = Stream::new(Some(reference(3000)));
    for hour in 0..20 {
        let hour = stream.predict(f64::from(hour) / 10.0, 0.0);
        stream.label(&hour);
    }
    let report = stream.report();
    assert_eq!((report.source, report.calibration_rows), (Some(LearntFrom::Reference), 3000));
    assert_eq!(report.trust, Trust::Trusted);
    let record = &report.records[0];
    assert_eq!((record.measure, record.windows), (Measure::Accuracy, 20));
    assert!(record.inside >= 18, "{record:?}");
    assert!(record.mean_absolute_error < record.error_of_no_change.unwrap(), "{record:?}");
    let hour = report.latest()[0];
    let figure = hour.figure(Measure::Accuracy).unwrap();
    assert!(figure.low < figure.value && figure.value < figure.high);
    assert!(
        (figure.realised.unwrap().error + figure.realised.unwrap().value - figure.value).abs()
            < 1e-12
    );
}

#[test]
fn another_concept_is_not_seen_by_the_estimate_but_by_the_comparison() {
    let mut stream = Stream::new(Some(reference(3000)));
    let estimated = |stream: &mut Stream| {
        let report = stream.report();
        report.latest()[0].figure(Measure::Accuracy).unwrap().value
    };
    let quiet = stream.predict(0.0, 0.0);
    stream.label(&quiet);
    let before = estimated(&mut stream);
    assert_eq!(stream.report().trust, Trust::Trusted);
    let changed = stream.predict(0.0, 0.3);
    assert!((estimated(&mut stream) - before).abs() < 0.03, "scores are as they were");
    stream.label(&changed);
    let report = stream.report();
    let figure = *report.of("1h", changed.at).unwrap().figure(Measure::Accuracy).unwrap();
    let realised = figure.realised.unwrap();
    assert!(!realised.inside && realised.error > 0.1, "{figure:?}");
    assert_eq!(report.trust, Trust::NotTrusted);
}

#[test]
fn intervals_that_are_left_too_often_are_not_trusted_though_none_is_left_far() {
    let mut stream = Stream::new(Some(reference(20_000)));
    for _ in 0..20 {
        let hour = stream.predict(0.0, 0.07);
        stream.label(&hour);
    }
    let report = stream.report();
    assert!(report.records[0].inside < 15, "{:?}", report.records[0]);
    assert_eq!(report.trust, Trust::NotTrusted);
}

#[test]
fn without_a_reference_labels_teach_what_scores_mean() {
    let mut stream = Stream::new(None);
    let first = stream.predict(0.0, 0.0);
    let report = stream.report();
    assert_eq!((report.source, report.trust), (None, Trust::Untested));
    assert_eq!(report.of("1h", first.at).unwrap().state, State::NotCalibrated);
    let second = stream.predict(0.5, 0.0);
    stream.label(&first);
    let report = stream.report();
    assert_eq!((report.source, report.calibration_rows), (Some(LearntFrom::Labels), ROWS as u64));
    // Its own labels would have taught what they are: there is no estimate, then or later.
    assert_eq!(report.of("1h", first.at).unwrap().state, State::NotCalibrated);
    // None of its labels has come: it is estimated, though it was over before labels came.
    let estimate = report.of("1h", second.at).unwrap();
    assert_eq!((estimate.state, estimate.source), (State::Estimated, Some(LearntFrom::Labels)));
    stream.label(&second);
    let report = stream.report();
    assert!(report.calibration_rows > ROWS as u64);
    let figure = report.of("1h", second.at).unwrap().figure(Measure::Accuracy).unwrap();
    assert!(figure.realised.unwrap().inside, "{figure:?}");
}

#[test]
fn labels_of_a_window_never_change_its_estimate() {
    let mut stream = Stream::new(None);
    let first = stream.predict(0.0, 0.0);
    stream.label(&first);
    let second = stream.predict(0.0, 0.4);
    let estimated =
        |stream: &mut Stream| stream.report().of("1h", second.at).unwrap().figures[0].value;
    let before = estimated(&mut stream);
    stream.label(&second);
    assert!((estimated(&mut stream) - before).abs() < 1e-12);
    let third = stream.predict(0.0, 0.4);
    let after = stream.report().of("1h", third.at).unwrap().figures[0].value;
    assert!(after < before - 0.05, "what was learnt since: {after} after {before}");
}

#[test]
fn few_rows_are_not_estimated_and_few_labels_teach_nothing() {
    let mut estimator = Estimator::new(settings(Some(reference(150))));
    let mut random = Rng::with_seed(1);
    let at = Timestamp::UNIX_EPOCH;
    for _ in 0..60 {
        estimator.predicted(&row(&mut random, 0.0, 0.0).0, at);
    }
    estimator.advance(at);
    let report = estimator.beside(&[]);
    assert_eq!((report.source, report.windows[0].state), (None, State::NotCalibrated));
    let mut estimator = Estimator::new(settings(Some(reference(300))));
    for rows in [49, 1] {
        (0..rows).for_each(|_| estimator.predicted(&row(&mut random, 0.0, 0.0).0, at));
        estimator.advance(at);
        let state = estimator.beside(&[]).windows[0].state;
        assert_eq!(state == State::InsufficientData, rows == 49);
    }
}

#[test]
fn with_another_reference_every_window_is_estimated_anew() {
    let mut stream = Stream::new(Some(reference(3000)));
    let [labelled, waiting] = [stream.predict(0.0, 0.0), stream.predict(0.0, 0.0)];
    stream.label(&labelled);
    let figures = |stream: &mut Stream, hour: &Hour| {
        stream.report().of("1h", hour.at).unwrap().figures.iter().map(|f| f.value).collect()
    };
    let before: [Vec<f64>; 2] = [&labelled, &waiting].map(|hour| figures(&mut stream, hour));
    let newest = waiting.at;
    stream.estimator.retune(settings(Some(reference(300))), newest);
    stream.estimator.advance(stream.time());
    let after = [&labelled, &waiting].map(|hour| figures(&mut stream, hour));
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{after:?}");
    assert_eq!(stream.report().calibration_rows, 300);
    // Without one, what labels taught counts, but not for the window that they are of.
    stream.estimator.retune(settings(None), newest);
    stream.estimator.advance(stream.time());
    let report = stream.report();
    assert_eq!((report.source, report.calibration_rows), (Some(LearntFrom::Labels), ROWS as u64));
    assert_eq!(report.of("1h", labelled.at).unwrap().state, State::NotCalibrated);
    assert_eq!(report.of("1h", waiting.at).unwrap().state, State::Estimated);
}

#[test]
fn a_second_label_after_another_reference_takes_out_the_first() {
    let mut stream = Stream::new(Some(reference(3000)));
    let hour = stream.predict(0.0, 0.0);
    stream.label(&hour);
    stream.estimator.retune(settings(None), hour.at);
    for (scores, label) in &hour.rows {
        stream.estimator.unlabelled(scores, Some(*label));
        stream.estimator.labelled(scores, Some(1 - label), hour.at);
    }
    let labels =
        |counts: &LabelledCounts| counts.classes[0].positive.0.as_flattened().iter().sum::<u64>();
    let expected = hour.rows.iter().filter(|(_, label)| *label == 0).count() as u64;
    assert_eq!(
        (stream.estimator.seen.rows(), labels(&stream.estimator.seen)),
        (ROWS as u64, expected)
    );
    // A row that is not there takes nothing with it.
    let mut counts = reference(1);
    let (before, stranger) = (counts.clone(), RowScores::binary(0.123, None).unwrap());
    assert!(!counts.remove(&stranger, Some(1)) && counts == before);
}

#[test]
fn windows_of_another_length_begin_after_the_newest_row() {
    let mut stream = Stream::new(Some(reference(3000)));
    let first = stream.predict(0.0, 0.0);
    let minute = ("1m".into(), Duration::from_secs(60));
    let settings = Settings {
        windows: vec![minute, ("1h".into(), Duration::from_secs(3600))],
        ..settings(Some(reference(3000)))
    };
    stream.estimator.retune(settings, first.at);
    stream.label(&first);
    let second = stream.predict(0.0, 0.0);
    let report = stream.report();
    let starts: Vec<_> = report.windows.iter().map(|w| (&*w.window, w.start, w.rows)).collect();
    let rows = ROWS as u64;
    // Those of an hour stay, as their length does.
    assert_eq!(starts, [("1m", second.at, rows), ("1h", first.at, rows), ("1h", second.at, rows)]);
}

#[test]
fn rows_that_are_taken_back_leave_nothing() {
    let mut stream = Stream::new(Some(reference(3000)));
    let hour = stream.predict(0.0, 0.0);
    let before = stream.report().windows[0].figures.clone();
    let (scores, label) = row(&mut stream.random, 0.0, 0.0);
    stream.estimator.predicted(&scores, hour.at);
    stream.estimator.labelled(&scores, Some(label), hour.at);
    stream.estimator.advance(stream.time());
    assert_ne!(stream.report().windows[0].figures, before);
    stream.estimator.unlabelled(&scores, Some(label));
    stream.estimator.unpredicted(&scores, hour.at);
    stream.estimator.advance(stream.time());
    assert_eq!(stream.report().windows[0].figures, before);
    assert_eq!(stream.estimator.seen.rows(), 0);
}

#[test]
fn windows_are_bounded_and_old_ones_keep_their_figures() {
    let mut stream = Stream::new(Some(reference(3000)));
    for _ in 0..300 {
        let hour = stream.predict(0.0, 0.0);
        if hour.at == Timestamp::UNIX_EPOCH {
            stream.label(&hour);
        }
    }
    let report = stream.report();
    let hours: Vec<_> = report.windows.iter().filter(|window| &*window.window == "1h").collect();
    assert_eq!(hours.len(), REMEMBERED);
    assert!(hours.iter().all(|hour| hour.state == State::Estimated));
    let counted = |window: &&Window| window.scores.is_some();
    assert_eq!(stream.estimator.levels[0].windows.values().filter(counted).count(), COUNTED);
    let rows = |window: &str| report.latest().iter().find(|e| &*e.window == window).unwrap().rows;
    assert_eq!((rows("1h"), rows("1d")), (ROWS as u64, 24 * ROWS as u64));
    // A row of a window that is forgotten or settled changes nothing.
    let late = row(&mut stream.random, 0.0, 0.0).0;
    stream.estimator.predicted(&late, Timestamp::UNIX_EPOCH);
    stream.estimator.advance(stream.time());
    assert_eq!(stream.report().windows[0].start, report.windows[0].start);
}

#[test]
fn another_reference_forgets_what_was_estimated_and_the_same_does_not() {
    let mut stream = Stream::new(Some(reference(3000)));
    let at = stream.predict(0.0, 0.0).at;
    let state = |stream: &mut Stream| stream.report().windows[0].state;
    stream.estimator.retune(settings(Some(reference(3000))), at);
    assert_eq!(state(&mut stream), State::Estimated);
    stream.estimator.retune(settings(None), at);
    assert_eq!(state(&mut stream), State::NotCalibrated);
    assert!(stream.report().windows[0].figures.is_empty());
}

#[test]
fn what_did_not_change_is_not_made_anew() {
    let mut stream = Stream::new(Some(reference(3000)));
    let _ = [stream.predict(0.0, 0.0), stream.predict(0.0, 0.0)];
    let labelled = Arc::new(LabelWindow { window: "1h".into(), ..LabelWindow::default() });
    let first = stream.estimator.beside(&[Arc::clone(&labelled)]);
    stream.estimator.advance(stream.time());
    let same = |one: &[Arc<Estimate>], other: &[Arc<Estimate>]| {
        one.iter().zip(other).map(|(one, other)| Arc::ptr_eq(one, other)).collect::<Vec<_>>()
    };
    assert!(Arc::ptr_eq(&first, &stream.estimator.beside(&[Arc::clone(&labelled)])));
    // Another report of its labels makes the window anew, and a row all that it is in.
    let relabelled = [Arc::new((*labelled).clone())];
    let second = stream.estimator.beside(&relabelled);
    assert_eq!(same(&first.windows, &second.windows), [false, true, true]);
    let _ = stream.predict(0.0, 0.0);
    let third = stream.estimator.beside(&relabelled);
    assert_eq!(same(&second.windows, &third.windows), [true, true, false]);
    let rows: Vec<_> = third.windows[2..].iter().map(|window| window.rows).collect();
    assert_eq!(rows, [ROWS as u64, 3 * ROWS as u64]);
}
