use super::super::compare::ConceptVerdict;
use super::super::report::{
    Classification, Performance, PerformanceReference, Regression, Standing,
};
use super::super::summary::{Kind, Measure};
use super::*;
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn label(id: &str, truth: Truth) -> Label {
    Label { id: id.to_owned(), label: LabelValue::One(truth), at: None }
}

fn number(value: f64) -> Truth {
    Truth::Number(value)
}

fn text(value: &str) -> Truth {
    Truth::Text(value.to_owned())
}

fn windows_of(seconds: u64) -> Settings {
    let length = Duration::from_secs(seconds);
    let windows = vec![WindowLength { name: format!("{seconds}s").into(), length }];
    Settings { windows, ..Settings::default() }
}

fn joiner() -> Joiner {
    Joiner::new(windows_of(10))
}

/// One prediction and one label a row, as request `r<n>` of one row.
fn joined<'a>(pairs: impl IntoIterator<Item = (Cell<'a>, Truth)>) -> Joiner {
    let mut joiner = joiner();
    for (n, (prediction, truth)) in pairs.into_iter().enumerate() {
        joiner.predicted(&format!("r{n}"), (0, 1), prediction, Scores::None, at(0));
        assert_eq!(joiner.labelled(label(&format!("r{n}"), truth), at(5)).joined, 1);
    }
    joiner
}

fn classification(report: &Report) -> Classification {
    match &report.overall {
        Some(Performance::Classification(classification)) => classification.clone(),
        other => panic!("{other:?}"),
    }
}

fn regression(report: &Report) -> Regression {
    match &report.overall {
        Some(Performance::Regression(regression)) => regression.clone(),
        other => panic!("{other:?}"),
    }
}

fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

/// scikit-learn 1.9.1: `precision_score(y, p, average="macro", zero_division=0)` and its siblings.
#[test]
fn macro_measures_of_classes_are_those_of_scikit_learn() {
    let actual = ["cat", "dog", "dog", "bird", "cat", "dog", "cat", "bird"];
    let predicted = ["cat", "dog", "cat", "dog", "cat", "dog", "dog", "fish"];
    let pairs = predicted.iter().zip(actual).map(|(p, y)| (Cell::Text(p), text(y)));
    let found = classification(&joined(pairs).report());
    assert_eq!(found.rows, 8);
    assert_close(found.accuracy, 0.5);
    // bird 0/0, cat 2/3, dog 2/4, fish 0/1
    assert_close(found.precision, (0.0 + 2.0 / 3.0 + 0.5 + 0.0) / 4.0);
    assert_close(found.recall, 0.333_333_333_333_333_3);
    assert_close(found.f1, 0.309_523_809_523_809_53);
}

/// scikit-learn 1.9.1: `mean_absolute_error`, `mean_squared_error`, `r2_score`.
#[test]
fn measures_of_numbers_are_those_of_scikit_learn() {
    let pairs = [(2.5, 3.0), (0.0, -0.5), (2.0, 2.0), (8.0, 7.0), (4.0, 4.2)];
    let pairs = pairs.map(|(p, y)| (Cell::Number(p), number(y)));
    let found = regression(&joined(pairs).report());
    assert_close(found.mae.unwrap(), 0.44);
    assert_close(found.mse.unwrap(), 0.308);
    assert_close(found.rmse.unwrap(), 0.554_977_477_020_464_3);
    assert_close(found.r2.unwrap(), 0.949_660_041_841_004_2);
}

#[test]
fn probabilities_against_zero_and_one_are_cut_at_a_half() {
    let pairs = [(0.9, 1.0), (0.4, 0.0), (0.5, 1.0), (0.2, 1.0), (0.7, 0.0)];
    let pairs = pairs.map(|(p, y)| (Cell::Number(p), number(y)));
    let found = classification(&joined(pairs).report());
    // label 0: one of two recalled, one of two right; label 1: two of three, two of three
    assert_close(found.accuracy, 0.6);
    assert_close(found.precision, f64::midpoint(0.5, 2.0 / 3.0));
    assert_close(found.recall, f64::midpoint(0.5, 2.0 / 3.0));
}

#[test]
fn values_are_compared_however_they_are_spelt() {
    let pairs = [
        (Cell::Number(1.0), text("1")),
        (Cell::Text("1.0"), number(1.0)),
        (Cell::Bool(true), number(1.0)),
        (Cell::Number(0.0), Truth::Bool(false)),
    ];
    assert_close(classification(&joined(pairs).report()).accuracy, 1.0);
}

#[test]
fn a_configured_task_overrules_what_the_values_look_like() {
    let mut joiner = Joiner::new(Settings { task: Task::Regression, ..Settings::default() });
    joiner.predicted("a", (0, 1), Cell::Number(3.0), Scores::None, at(0));
    assert_eq!(joiner.labelled(label("a", number(5.0)), at(1)).joined, 1);
    assert_close(regression(&joiner.report()).mae.unwrap(), 2.0);
}

#[test]
fn errors_that_no_number_holds_have_no_figure_and_are_never_the_best_of_all() {
    let with = |far: f64| {
        let near = [(2.5, 3.0), (0.0, -0.5), (2.5, 2.0)].into_iter();
        let pairs = near.chain([(far, 4.0)]);
        regression(&joined(pairs.map(|(p, y)| (Cell::Number(p), number(y)))).report())
    };
    let found = with(1e200);
    assert_eq!((found.rows, found.mse, found.rmse, found.r2), (4, None, None, None));
    assert_close(found.mae.unwrap() / 1e200, 0.25);
    // The mean is known, and nothing of how sure it is: its square is too large.
    let found = with(1e100);
    assert_close(found.mse.unwrap() / 1e200, 0.25);
    assert_eq!((found.intervals.get("mse"), found.intervals.get("r2")), (None, None));
    let found = with(f64::MAX);
    assert!(found.mse.is_none() && !found.intervals.contains_key("mae"), "{found:?}");
}

#[test]
fn r_squared_is_unknown_while_all_labels_are_equal() {
    let pairs = [(1.5, 1e9), (2.5, 1e9)].map(|(p, y)| (Cell::Number(p), number(y)));
    assert_eq!(regression(&joined(pairs).report()).r2, None);
}

#[test]
fn a_far_origin_does_not_drown_the_spread() {
    let near = [(2.5, 3.0), (0.0, -0.5), (2.0, 2.0), (8.0, 7.0)];
    let far = near.map(|(p, y)| (Cell::Number(p + 1e9), number(y + 1e9)));
    let near = near.map(|(p, y)| (Cell::Number(p), number(y)));
    let r2 = |mut joiner: Joiner| regression(&joiner.report()).r2.unwrap();
    assert!((r2(joined(near)) - r2(joined(far))).abs() < 1e-6);
}

#[test]
fn an_array_labels_every_row_and_an_index_labels_one() {
    let mut joiner = joiner();
    (0..3).for_each(|row| joiner.predicted("a", (row, 3), Cell::Number(1.0), Scores::None, at(0)));
    let rows = vec![Some(number(1.0)), None, Some(number(0.0))];
    let array = Label { id: "a".into(), label: LabelValue::Rows(rows), at: None };
    assert_eq!(joiner.labelled(array, at(1)), Joined { joined: 2, ..Joined::default() });
    assert_eq!(joiner.labelled(label("a#1", number(1.0)), at(1)).joined, 1);
    let report = joiner.report();
    assert_eq!((report.predictions, report.joined), (3, 3));
    assert_close(classification(&report).accuracy, 2.0 / 3.0);
}

#[test]
fn labels_that_fit_no_row_are_refused_and_counted() {
    let mut joiner = joiner();
    (0..2).for_each(|row| joiner.predicted("a", (row, 2), Cell::Number(1.0), Scores::None, at(0)));
    assert_eq!(joiner.labelled(label("a#2", number(1.0)), at(1)).refused, 1);
    assert_eq!(joiner.labelled(label("a", number(1.0)), at(1)).refused, 1);
    assert_eq!(joiner.report().unknown_ids, 2);
}

#[test]
fn a_request_id_may_end_like_a_row() {
    let mut joiner = joiner();
    joiner.predicted("a#1", (0, 1), Cell::Number(1.0), Scores::None, at(0));
    assert_eq!(joiner.labelled(label("a#1", number(1.0)), at(1)).joined, 1);
    assert_eq!(joiner.labelled(label("b#1", number(1.0)), at(1)).held, 1);
    joiner.predicted("b#1", (0, 1), Cell::Number(1.0), Scores::None, at(0));
    assert_eq!(joiner.report().joined, 2);
}

#[test]
fn a_label_before_its_prediction_is_held_and_joined() {
    let mut joiner = joiner();
    assert_eq!(joiner.labelled(label("a", number(1.0)), at(1)).held, 1);
    assert_eq!(joiner.report().joined, 0);
    joiner.predicted("a", (0, 1), Cell::Number(1.0), Scores::None, at(2));
    assert_eq!((joiner.report().joined, joiner.held()), (1, 0));
}

#[test]
fn a_held_label_whose_prediction_never_comes_is_unknown() {
    let mut joiner =
        Joiner::new(Settings { max_early: Duration::from_secs(60), ..Settings::default() });
    assert_eq!(joiner.labelled(label("a", number(1.0)), at(0)).held, 1);
    let _ = joiner.advance(at(60));
    assert_eq!(joiner.report().unknown_ids, 0);
    let _ = joiner.advance(at(61));
    assert_eq!((joiner.report().unknown_ids, joiner.held()), (1, 0));
}

#[test]
fn the_last_label_counts_and_statistics_are_corrected() {
    let mut joiner = joined([(Cell::Text("x"), text("y")), (Cell::Text("z"), text("z"))]);
    assert_close(classification(&joiner.report()).accuracy, 0.5);
    assert_eq!(joiner.labelled(label("r0", text("x")), at(6)).duplicates, 1);
    let report = joiner.report();
    assert_eq!((report.joined, report.duplicates), (2, 1));
    // As if the first label had never come: nothing of it is left anywhere.
    let mut never = joined([(Cell::Text("x"), text("x")), (Cell::Text("z"), text("z"))]);
    assert_eq!(classification(&report), classification(&never.report()));
    assert_eq!(report.delay.count(), 2);
}

#[test]
fn a_row_predicted_again_counts_once_as_last_said() {
    let mut joiner = joined([(Cell::Text("x"), text("y"))]);
    joiner.predicted("r0", (0, 1), Cell::Text("y"), Scores::None, at(25));
    let report = joiner.report();
    assert_eq!((report.predictions, report.joined), (1, 1));
    assert_close(classification(&report).accuracy, 1.0);
    let counts: Vec<_> = report.windows.iter().map(|w| (w.predictions, w.joined)).collect();
    assert_eq!(counts, [(0, 0), (1, 1)]);
}

#[test]
fn predictions_without_label_expire_after_the_delay() {
    let mut joiner =
        Joiner::new(Settings { max_delay: Duration::from_secs(100), ..Settings::default() });
    joiner.predicted("a", (0, 1), Cell::Number(1.0), Scores::None, at(0));
    joiner.predicted("b", (0, 1), Cell::Number(1.0), Scores::None, at(50));
    assert_eq!(joiner.labelled(label("a", number(1.0)), at(1)).joined, 1);
    let _ = joiner.advance(at(200));
    let report = joiner.report();
    assert_eq!((report.predictions, report.joined, report.expired), (2, 1, 1));
    assert_close(report.coverage(), 0.5);
}

#[test]
fn the_oldest_prediction_is_forgotten_over_the_bound() {
    let max_pending = NonZeroUsize::new(2).unwrap();
    let mut joiner = Joiner::new(Settings { max_pending, ..Settings::default() });
    for (id, second) in [("new", 3), ("old", 1), ("mid", 2)] {
        joiner.predicted(id, (0, 1), Cell::Number(1.0), Scores::None, at(second));
    }
    assert_eq!(joiner.report().expired, 1);
    assert_eq!(joiner.labelled(label("old", number(1.0)), at(4)).late, 1);
    assert_eq!(joiner.labelled(label("mid", number(1.0)), at(4)).joined, 1);
    assert_eq!(joiner.labelled(label("new", number(1.0)), at(4)).joined, 1);
    let held = |joiner: &mut Joiner, id: &str| joiner.labelled(label(id, number(1.0)), at(5)).held;
    (0..9).for_each(|n| assert_eq!(held(&mut joiner, &format!("stray{n}")), 1));
    assert_eq!((joiner.held(), joiner.report().unknown_ids), (2, 7));
}

#[test]
fn windows_are_of_prediction_time_and_bounded() {
    let mut joiner = Joiner::new(Settings {
        max_windows: NonZeroUsize::new(3).unwrap(),
        max_delay: Duration::from_secs(60),
        ..windows_of(10)
    });
    for second in [0, 12, 13, 25, 31] {
        let id = format!("at{second}");
        joiner.predicted(&id, (0, 1), Cell::Text("a"), Scores::None, at(second));
        let truth = text(if second == 13 { "b" } else { "a" });
        assert_eq!(joiner.labelled(label(&id, truth), at(32)).joined, 1);
    }
    let report = joiner.report();
    let starts: Vec<_> = report.windows.iter().map(|w| w.start.as_second()).collect();
    assert_eq!(starts, [10, 20, 30]);
    assert_eq!(report.windows[0].end, at(20));
    let measures = report.windows[0].performance.as_ref().unwrap().measures();
    assert_eq!(measures[0], ("accuracy", 0.5));
    // What is shown no more still takes labels, for as long as they may come.
    assert_eq!(joiner.labelled(label("at0", text("b")), at(33)).duplicates, 1);
    assert_close(classification(&joiner.report()).accuracy, 3.0 / 5.0);
    let emitted = joiner.advance(at(65));
    let before = |told: &Emitted| told.window.start == at(0) && told.window.joined == 1;
    assert!(emitted.iter().any(before), "{emitted:?}");
    assert!(joiner.advance(at(200)).iter().all(|told| told.window.start == at(30)));
    assert_eq!(joiner.report().forgotten_windows, 0);
}

#[test]
fn late_labels_open_a_window_again_until_the_delay_is_over() {
    let mut joiner =
        Joiner::new(Settings { max_delay: Duration::from_secs(600), ..windows_of(10) });
    for n in 0..6 {
        let id = format!("r{n}");
        joiner.predicted(&id, (0, 1), Cell::Text("a"), Scores::None, at(5));
    }
    let told = |joiner: &mut Joiner, now: i64| {
        let emitted = joiner.advance(at(now));
        let told = emitted.iter().map(|told| {
            let before = told.before.as_ref().map(|before| before.joined);
            (told.window.revision, told.window.joined, before)
        });
        told.collect::<Vec<_>>()
    };
    // Open, and over without a label: nothing to tell.
    assert_eq!(told(&mut joiner, 9), []);
    assert_eq!(told(&mut joiner, 10), []);
    let _ = joiner.labelled(label("r0", text("a")), at(11));
    assert_eq!(told(&mut joiner, 12), [(1, 1, None)]);
    // Not again at once, and not without a change.
    let _ = joiner.labelled(label("r1", text("b")), at(13));
    assert_eq!(told(&mut joiner, 14), []);
    assert_eq!(told(&mut joiner, 72), [(2, 2, Some(1))]);
    assert_eq!(told(&mut joiner, 200), []);
    // It waits for as long again as it is old; the figures that are shown do not.
    let _ = joiner.labelled(label("r2", text("b")), at(201));
    assert_eq!(joiner.report().windows[0].joined, 3);
    assert_eq!(told(&mut joiner, 202), [(3, 3, Some(2))]);
    let _ = joiner.labelled(label("r3", text("b")), at(203));
    assert_eq!(told(&mut joiner, 300), []);
    assert_eq!(joiner.report().windows[0].standing, Standing::Waiting);
    // The last word, however short a time after the one before.
    assert_eq!(told(&mut joiner, 610), [(4, 4, Some(3))]);
    let report = joiner.report();
    assert_eq!(report.windows[0].standing, Standing::Final);
    assert_eq!((report.windows[0].joined, report.revisions, report.expired), (4, 3, 2));
    // Its predictions are forgotten with it: a label for one is late, and not unknown.
    assert_eq!(joiner.labelled(label("r4", text("a")), at(611)).late, 1);
    assert_eq!(told(&mut joiner, 5000), []);
    let report = joiner.report();
    assert_eq!((report.late, report.unknown_ids, report.windows[0].joined), (1, 0, 4));
}

#[test]
fn a_window_whose_labels_come_all_week_is_emitted_so_often() {
    let mut joiner = joiner();
    let mut emitted = Vec::new();
    for minute in 0..=7 * 24 * 60 {
        let (id, now) = (format!("r{minute}"), 10 + minute * 60);
        joiner.predicted(&id, (0, 1), Cell::Text("a"), Scores::None, at(5));
        let _ = joiner.labelled(label(&id, text("a")), at(now));
        emitted
            .extend(joiner.advance(at(now)).into_iter().filter(|told| told.window.start == at(0)));
    }
    assert_eq!((emitted.len(), emitted[15].window.revision), (16, 16));
}

#[test]
fn a_window_of_every_length_counts_each_row_once() {
    let lengths = [10, 60].map(|seconds| windows_of(seconds).windows.swap_remove(0));
    let mut joiner = Joiner::new(Settings { windows: lengths.into(), ..Settings::default() });
    for second in [5, 15, 25, 65] {
        let id = format!("at{second}");
        joiner.predicted(&id, (0, 1), Cell::Text("a"), Scores::None, at(second));
        let _ = joiner.labelled(label(&id, text("a")), at(66));
    }
    let report = joiner.report();
    let rows_of = |length: &str| report.of_length(length).map(|w| w.joined).collect::<Vec<_>>();
    assert_eq!(report.lengths(), ["10s".into(), "60s".into()]);
    assert_eq!((rows_of("10s"), rows_of("60s")), (vec![1, 1, 1, 1], vec![3, 1]));
}

#[test]
fn windows_over_the_bound_of_memory_are_given_up_and_counted() {
    let max_windows = NonZeroUsize::new(100).unwrap();
    let mut joiner = Joiner::new(Settings { max_cells: 40, max_windows, ..windows_of(10) });
    for n in 0..40u32 {
        let (id, second) = (format!("r{n}"), i64::from(n) * 5);
        let score = f64::from(n) / 40.0 + 0.01;
        joiner.predicted(&id, (0, 1), Cell::Number(score), Scores::None, at(second));
        // Of two rows of a window one waits for its label.
        if n % 2 == 0 {
            let _ = joiner.labelled(label(&id, number(f64::from(n / 2 % 2))), at(second));
        }
    }
    let before = joiner.report();
    let _ = joiner.advance(at(200));
    let report = joiner.report();
    let kept = report.windows.len() as u64;
    assert_eq!(before.windows.len() as u64, kept + report.forgotten_windows);
    assert!(report.forgotten_windows > 0 && kept > 1, "{kept} kept");
    // Since start nothing is missing.
    assert_eq!(report.overall, before.overall);
}

/// Half of the rows of the first window are right, of the second nine in ten, and so on.
fn judged(shares: &[f64], reference_rows: u64) -> (Joiner, Vec<Emitted>) {
    let reference_rows = NonZeroU64::new(reference_rows).unwrap();
    let mut joiner = Joiner::new(Settings { reference_rows, ..windows_of(1000) });
    let mut emitted = Vec::new();
    for (window, share) in shares.iter().enumerate() {
        for n in 0..400i64 {
            let second = i64::try_from(window).unwrap() * 1000 + n;
            let id = format!("w{window}r{n}");
            joiner.predicted(&id, (0, 1), Cell::Text("a"), Scores::None, at(second));
            // Mistakes are spread evenly: which rows are the first does not matter.
            let step = |n: i64| (n as f64 * (1.0 - share)).floor();
            let is_right = step(n) >= step(n + 1);
            let truth = text(if is_right { "a" } else { "b" });
            let _ = joiner.labelled(label(&id, truth), at(second));
        }
        emitted.extend(joiner.advance(at((i64::try_from(window).unwrap() + 1) * 1000)));
    }
    (joiner, emitted)
}

#[test]
fn a_window_is_tested_against_the_first_labelled_rows() {
    let (mut joiner, emitted) = judged(&[0.9, 0.9, 0.9, 0.7, 0.7, 0.9], 500);
    let verdicts: Vec<_> =
        emitted.iter().map(|e| e.window.concept.as_ref().map(|c| c.verdict)).collect();
    // The first windows share rows with the reference, so they cannot be tested against it.
    let (stable, drifting) = (Some(ConceptVerdict::Stable), Some(ConceptVerdict::Drifting));
    assert_eq!(verdicts, [None, None, stable, drifting, drifting, stable]);
    let changed: Vec<_> = emitted.iter().map(|e| e.verdict_before).collect();
    let none = ConceptVerdict::InsufficientData;
    let [was_stable, was_drifting] = [ConceptVerdict::Stable, ConceptVerdict::Drifting].map(Some);
    assert_eq!(changed, [None, None, Some(none), was_stable, None, was_drifting]);
    let concept = emitted[3].window.concept.as_ref().unwrap();
    assert_eq!((concept.rows, concept.reference_rows), (400, 500));
    let accuracy = concept.changes[0];
    assert_eq!(accuracy.measure, Measure::Accuracy);
    assert!(accuracy.detected && accuracy.worse && accuracy.p_value < 1e-9, "{accuracy:?}");
    assert!(matches!(joiner.report().reference, PerformanceReference::Learned { .. }));
}

#[test]
fn a_given_reference_judges_from_the_first_window() {
    let (mut learned, _) = judged(&[0.9, 0.9], 500);
    let names = &learned.scored.classes;
    let given = learned.scored.reference.summary(Kind::Classes, names).unwrap();
    let mut joiner = Joiner::new(Settings { reference: Some(given), ..windows_of(1000) });
    for n in 0..60 {
        let id = format!("r{n}");
        joiner.predicted(&id, (0, 1), Cell::Text("a"), Scores::None, at(n));
        let _ = joiner.labelled(label(&id, text("b")), at(n));
    }
    let emitted = joiner.advance(at(1000));
    assert_eq!(emitted[0].window.concept.as_ref().unwrap().verdict, ConceptVerdict::Drifting);
    assert!(matches!(joiner.report().reference, PerformanceReference::Given { .. }));
}

#[test]
fn a_given_reference_of_another_kind_judges_nothing_and_says_so() {
    let given = |kind| Arc::new(Summary { rows: 1000, kind, ..Summary::default() });
    for (kind, is_like) in [(Kind::Numbers, false), (Kind::Probabilities, true)] {
        let reference = Some(given(kind));
        let mut joiner = Joiner::new(Settings { reference, ..windows_of(1000) });
        for n in 0..60 {
            let id = format!("r{n}");
            joiner.predicted(&id, (0, 1), Cell::Number(1.0), Scores::None, at(n));
            let _ = joiner.labelled(label(&id, number(1.0)), at(n));
        }
        let verdict = joiner.advance(at(1000))[0].window.concept.as_ref().unwrap().verdict;
        assert_eq!(verdict != ConceptVerdict::InsufficientData, is_like, "{kind:?}");
        assert_eq!(joiner.scored.told_alien, !is_like, "{kind:?}");
    }
}

#[test]
fn a_window_with_few_labelled_rows_is_not_judged() {
    let rows = NonZeroU64::new(100).unwrap();
    let mut joiner = Joiner::new(Settings { reference_rows: rows, ..windows_of(1000) });
    for n in 0..149 {
        let (id, second) = (format!("r{n}"), if n < 100 { n } else { n + 1000 });
        joiner.predicted(&id, (0, 1), Cell::Text("a"), Scores::None, at(second));
        let truth = if n < 100 { "a" } else { "b" };
        let _ = joiner.labelled(label(&id, text(truth)), at(second));
    }
    let emitted = joiner.advance(at(2000));
    let concept = emitted[1].window.concept.as_ref().unwrap();
    assert_eq!((concept.verdict, concept.rows), (ConceptVerdict::InsufficientData, 49));
    assert_eq!((concept.changes.len(), emitted[1].verdict_before), (0, None));
}

#[test]
fn delay_is_from_prediction_to_when_the_truth_was_known() {
    let mut joiner = joiner();
    joiner.predicted("a", (0, 1), Cell::Number(1.0), Scores::None, at(100));
    let known = Label { at: Some(at(130)), ..label("a", number(1.0)) };
    assert_eq!(joiner.labelled(known, at(500)).joined, 1);
    assert_close(joiner.report().delay.sum(), 30.0);
}

#[derive(Debug, Clone)]
enum Event {
    Predicted { request: usize, row: usize },
    Labelled { request: usize, row: usize, version: u8 },
}

/// Every row predicted once and labelled up to twice, in any order.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let row = |request: usize, row: usize| {
        [
            Event::Predicted { request, row },
            Event::Labelled { request, row, version: 1 },
            Event::Labelled { request, row, version: 2 },
        ]
    };
    let all = (0..8).flat_map(|request| (0..2).flat_map(move |n| row(request, n)));
    Just(all.collect::<Vec<_>>()).prop_shuffle()
}

fn play(events: &[Event], numeric: bool) -> Report {
    let mut joiner = joiner();
    for event in events {
        match *event {
            Event::Predicted { request, row } => {
                let value = (request * 3 + row) as f64 * if numeric { 0.37 } else { 1.0 };
                let time = at(i64::try_from(request * 7).unwrap());
                joiner.predicted(
                    &format!("r{request}"),
                    (row, 2),
                    Cell::Number(value),
                    Scores::None,
                    time,
                );
            }
            Event::Labelled { request, row, version } => {
                let value = number((request * 3 + row * usize::from(version)) as f64);
                let truth = label(&format!("r{request}#{row}"), value);
                let _ = joiner
                    .labelled(Label { at: Some(at(100 + i64::from(version))), ..truth }, at(200));
            }
        }
    }
    joiner.report()
}

/// With the ends of their intervals.
fn measures(performance: Option<&Performance>) -> Vec<(&'static str, f64)> {
    let mut measures = performance.map(Performance::measures).unwrap_or_default();
    let intervals = performance.iter().flat_map(|performance| performance.intervals());
    let intervals = intervals.collect::<Vec<_>>();
    measures.extend(intervals.iter().flat_map(|(name, ends)| ends.map(|end| (**name, end))));
    let classes = performance.iter().flat_map(|performance| performance.classes());
    measures.extend(classes.map(|class| ("support", class.support as f64)));
    measures
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter(shuffled in events(), numeric: bool) {
        let mut sorted = shuffled.clone();
        sorted.sort_by_key(|event| match *event {
            Event::Predicted { request, row } => (0, request, row),
            Event::Labelled { request, row, version } => (version, request, row),
        });
        let (expected, found) = (play(&sorted, numeric), play(&shuffled, numeric));
        prop_assert_eq!(
            (found.predictions, found.joined, found.duplicates, found.unknown_ids),
            (16, 16, 16, 0)
        );
        prop_assert_eq!(expected.windows.len(), found.windows.len());
        let all = |report: &Report| {
            let windows = report.windows.iter().map(|w| measures(w.performance.as_ref()));
            windows.chain([measures(report.overall.as_ref())]).flatten().collect::<Vec<_>>()
        };
        for (expected, found) in all(&expected).into_iter().zip(all(&found)) {
            prop_assert_eq!(expected.0, found.0);
            prop_assert!((expected.1 - found.1).abs() < 1e-9, "{:?} {:?}", expected, found);
        }
    }
}

#[test]
fn other_bounds_hold_from_the_next_call_on_and_scores_stay() {
    let mut joiner = joined([(Cell::Number(1.0), number(1.0)), (Cell::Number(2.0), number(2.0))]);
    (0..5).for_each(|n| {
        joiner.predicted(&format!("p{n}"), (0, 1), Cell::Number(1.0), Scores::None, at(6));
    });
    joiner.retune(Settings { max_pending: NonZeroUsize::MIN, ..windows_of(10) });
    let _ = joiner.advance(at(7));
    // Of seven one is left, and two of those that went had their label.
    assert_eq!((joiner.report().expired, joiner.report().joined), (4, 2));
    assert_eq!(joiner.report().windows.len(), 1);
    joiner.retune(windows_of(3));
    assert_eq!((joiner.report().windows.len(), joiner.report().joined), (0, 2));
    assert_eq!(joiner.labelled(label("p4", number(1.0)), at(8)).joined, 1);
    assert_eq!(joiner.report().joined, 3);
}

fn of_length(report: &Report, length: &str) -> Vec<(i64, u64, u64)> {
    let windows = report.of_length(length);
    windows.map(|w| (w.start.as_second(), w.predictions, w.joined)).collect()
}

#[test]
fn windows_of_another_length_have_all_of_their_rows_and_no_others() {
    let mut joiner = joiner();
    let said = |joiner: &mut Joiner, id: &str, second: i64| {
        joiner.predicted(id, (0, 1), Cell::Number(0.7), Scores::None, at(second));
    };
    (0..20).for_each(|n| said(&mut joiner, &format!("r{n}"), n));
    let lengths = [10, 7].map(|seconds| windows_of(seconds).windows.swap_remove(0));
    joiner.retune(Settings { windows: lengths.into(), ..Settings::default() });
    (20..28).for_each(|n| said(&mut joiner, &format!("r{n}"), n));
    for n in 0..28 {
        let _ = joiner.labelled(label(&format!("r{n}"), number(1.0)), at(30));
        let _ = joiner.labelled(label(&format!("r{n}"), number(0.0)), at(31));
    }
    let report = joiner.report();
    assert_eq!(of_length(&report, "10s"), [(0, 10, 10), (10, 10, 10), (20, 8, 8)]);
    // Of 14 to 20 the first rows were predicted before: that window is not begun half-filled.
    assert_eq!(of_length(&report, "7s"), [(21, 7, 7)]);
    let window = report.of_length("7s").next().unwrap();
    let of = window.performance.as_ref().unwrap().measures();
    assert_eq!(of[0], ("accuracy", 0.0));
    // Windows of a length that is no more are lost, where labels might have come.
    joiner.retune(windows_of(7));
    assert_eq!(joiner.report().forgotten_windows, 0);
    said(&mut joiner, "late", 35);
    joiner.retune(windows_of(3));
    assert_eq!(joiner.report().forgotten_windows, 1);
}

#[test]
fn another_reference_judges_windows_anew_and_forgets_those_that_are_final() {
    let (mut learned, _) = judged(&[0.9, 0.9], 500);
    let good = learned.scored.reference.summary(Kind::Classes, &learned.scored.classes).unwrap();
    let (mut learned, _) = judged(&[0.5, 0.5], 500);
    let bad = learned.scored.reference.summary(Kind::Classes, &learned.scored.classes).unwrap();
    let max_delay = Duration::from_secs(1500);
    let settings = |reference: &Arc<Summary>| Settings {
        reference: Some(Arc::clone(reference)),
        max_delay,
        ..windows_of(1000)
    };
    let mut joiner = Joiner::new(settings(&good));
    for n in 0..400 {
        let (id, second) = (format!("r{n}"), if n < 200 { n } else { n + 1000 });
        joiner.predicted(&id, (0, 1), Cell::Text("a"), Scores::None, at(second));
        let _ = joiner.labelled(label(&id, text(if n % 2 == 0 { "a" } else { "b" })), at(second));
    }
    let told = |joiner: &mut Joiner, now| {
        let emitted = joiner.advance(at(now));
        let told = emitted.iter().map(|e| {
            let concept = e.window.concept.as_ref().unwrap();
            (concept.verdict, concept.looks, e.verdict_before)
        });
        told.collect::<Vec<_>>()
    };
    let (stable, drifting) = (ConceptVerdict::Stable, ConceptVerdict::Drifting);
    let first = Some(ConceptVerdict::InsufficientData);
    assert_eq!(told(&mut joiner, 1100), [(drifting, 1, first)]);
    assert_eq!(told(&mut joiner, 2600), [(drifting, 1, None)]);
    joiner.retune(settings(&bad));
    let concepts: Vec<_> = joiner.report().windows.iter().map(|w| w.concept.clone()).collect();
    assert_eq!(concepts, [None, None]);
    // The first is final: its rows are gone, and so is what was said of them.
    assert_eq!(told(&mut joiner, 2601), [(stable, 1, first)]);
    // The same again is no other.
    joiner.retune(settings(&bad));
    assert_eq!(told(&mut joiner, 2602), []);
}
