use super::super::report::{Classification, Performance, Regression};
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

fn joiner() -> Joiner {
    Joiner::new(Settings { window: Duration::from_secs(10), ..Settings::default() })
}

/// One prediction and one label a row, as request `r<n>` of one row.
fn joined<'a>(pairs: impl IntoIterator<Item = (Cell<'a>, Truth)>) -> Joiner {
    let mut joiner = joiner();
    for (n, (prediction, truth)) in pairs.into_iter().enumerate() {
        joiner.predicted(&format!("r{n}"), 0, 1, prediction, at(0));
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
    assert_close(found.mae, 0.44);
    assert_close(found.mse, 0.308);
    assert_close(found.rmse, 0.554_977_477_020_464_3);
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
    joiner.predicted("a", 0, 1, Cell::Number(3.0), at(0));
    assert_eq!(joiner.labelled(label("a", number(5.0)), at(1)).joined, 1);
    assert_close(regression(&joiner.report()).mae, 2.0);
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
    let r2 = |joiner: Joiner| regression(&joiner.report()).r2.unwrap();
    assert!((r2(joined(near)) - r2(joined(far))).abs() < 1e-6);
}

#[test]
fn an_array_labels_every_row_and_an_index_labels_one() {
    let mut joiner = joiner();
    (0..3).for_each(|row| joiner.predicted("a", row, 3, Cell::Number(1.0), at(0)));
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
    (0..2).for_each(|row| joiner.predicted("a", row, 2, Cell::Number(1.0), at(0)));
    assert_eq!(joiner.labelled(label("a#2", number(1.0)), at(1)).refused, 1);
    assert_eq!(joiner.labelled(label("a", number(1.0)), at(1)).refused, 1);
    assert_eq!(joiner.report().unknown_ids, 2);
}

#[test]
fn a_request_id_may_end_like_a_row() {
    let mut joiner = joiner();
    joiner.predicted("a#1", 0, 1, Cell::Number(1.0), at(0));
    assert_eq!(joiner.labelled(label("a#1", number(1.0)), at(1)).joined, 1);
    assert_eq!(joiner.labelled(label("b#1", number(1.0)), at(1)).held, 1);
    joiner.predicted("b#1", 0, 1, Cell::Number(1.0), at(0));
    assert_eq!(joiner.report().joined, 2);
}

#[test]
fn a_label_before_its_prediction_is_held_and_joined() {
    let mut joiner = joiner();
    assert_eq!(joiner.labelled(label("a", number(1.0)), at(1)).held, 1);
    assert_eq!(joiner.report().joined, 0);
    joiner.predicted("a", 0, 1, Cell::Number(1.0), at(2));
    assert_eq!((joiner.report().joined, joiner.held()), (1, 0));
}

#[test]
fn a_held_label_whose_prediction_never_comes_is_unknown() {
    let mut joiner =
        Joiner::new(Settings { max_early: Duration::from_secs(60), ..Settings::default() });
    assert_eq!(joiner.labelled(label("a", number(1.0)), at(0)).held, 1);
    joiner.advance(at(60));
    assert_eq!(joiner.report().unknown_ids, 0);
    joiner.advance(at(61));
    assert_eq!((joiner.report().unknown_ids, joiner.held()), (1, 0));
}

#[test]
fn the_last_label_counts_and_statistics_are_corrected() {
    let mut joiner = joined([(Cell::Text("x"), text("y")), (Cell::Text("z"), text("z"))]);
    assert_close(classification(&joiner.report()).accuracy, 0.5);
    assert_eq!(joiner.labelled(label("r0", text("x")), at(6)).duplicates, 1);
    let report = joiner.report();
    assert_eq!((report.joined, report.duplicates), (2, 1));
    let expected = Classification { rows: 2, accuracy: 1.0, precision: 1.0, recall: 1.0, f1: 1.0 };
    assert_eq!(classification(&report), expected);
    assert_eq!(report.delay.count(), 2);
}

#[test]
fn a_row_predicted_again_counts_once_as_last_said() {
    let mut joiner = joined([(Cell::Text("x"), text("y"))]);
    joiner.predicted("r0", 0, 1, Cell::Text("y"), at(25));
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
    joiner.predicted("a", 0, 1, Cell::Number(1.0), at(0));
    joiner.predicted("b", 0, 1, Cell::Number(1.0), at(50));
    assert_eq!(joiner.labelled(label("a", number(1.0)), at(1)).joined, 1);
    joiner.advance(at(200));
    let report = joiner.report();
    assert_eq!((report.predictions, report.joined, report.expired), (2, 1, 1));
    assert_close(report.coverage(), 0.5);
}

#[test]
fn the_oldest_prediction_is_forgotten_over_the_bound() {
    let max_pending = NonZeroUsize::new(2).unwrap();
    let mut joiner = Joiner::new(Settings { max_pending, ..Settings::default() });
    for (id, second) in [("new", 3), ("old", 1), ("mid", 2)] {
        joiner.predicted(id, 0, 1, Cell::Number(1.0), at(second));
    }
    assert_eq!(joiner.report().expired, 1);
    assert_eq!(joiner.labelled(label("old", number(1.0)), at(4)).held, 1);
    assert_eq!(joiner.labelled(label("mid", number(1.0)), at(4)).joined, 1);
    assert_eq!(joiner.labelled(label("new", number(1.0)), at(4)).joined, 1);
    let held = |joiner: &mut Joiner, id: &str| joiner.labelled(label(id, number(1.0)), at(5)).held;
    (0..9).for_each(|n| assert_eq!(held(&mut joiner, &format!("stray{n}")), 1));
    assert_eq!((joiner.held(), joiner.report().unknown_ids), (2, 8));
}

#[test]
fn windows_are_of_prediction_time_and_bounded() {
    let mut joiner = Joiner::new(Settings {
        window: Duration::from_secs(10),
        max_windows: NonZeroUsize::new(3).unwrap(),
        ..Settings::default()
    });
    for second in [0, 12, 13, 25, 31] {
        let id = format!("at{second}");
        joiner.predicted(&id, 0, 1, Cell::Text("a"), at(second));
        let truth = text(if second == 13 { "b" } else { "a" });
        assert_eq!(joiner.labelled(label(&id, truth), at(100)).joined, 1);
    }
    let report = joiner.report();
    let starts: Vec<_> = report.windows.iter().map(|w| w.start.as_second()).collect();
    assert_eq!(starts, [10, 20, 30]);
    assert_eq!(report.windows[0].end, at(20));
    let measures = report.windows[0].performance.as_ref().unwrap().measures();
    assert_eq!(measures[0], ("accuracy", 0.5));
    // The forgotten window does not come back half-filled; overall still counts all five.
    assert_eq!(joiner.labelled(label("at0", text("b")), at(101)).duplicates, 1);
    assert_eq!(joiner.report().windows.len(), 3);
    assert_close(classification(&joiner.report()).accuracy, 3.0 / 5.0);
}

#[test]
fn delay_is_from_prediction_to_when_the_truth_was_known() {
    let mut joiner = joiner();
    joiner.predicted("a", 0, 1, Cell::Number(1.0), at(100));
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
                joiner.predicted(&format!("r{request}"), row, 2, Cell::Number(value), time);
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

fn measures(performance: Option<&Performance>) -> Vec<(&'static str, f64)> {
    performance.map(Performance::measures).unwrap_or_default()
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
    (0..5).for_each(|n| joiner.predicted(&format!("p{n}"), 0, 1, Cell::Number(1.0), at(6)));
    let settings = Settings { window: Duration::from_secs(10), ..Settings::default() };
    joiner.retune(Settings { max_pending: NonZeroUsize::MIN, ..settings.clone() });
    joiner.advance(at(7));
    // Of seven one is left, and two of those that went had their label.
    assert_eq!((joiner.report().expired, joiner.report().joined), (4, 2));
    assert_eq!(joiner.report().windows.len(), 1);
    joiner.retune(Settings { window: Duration::from_secs(3), ..settings });
    assert_eq!((joiner.report().windows.len(), joiner.report().joined), (0, 2));
    assert_eq!(joiner.labelled(label("p4", number(1.0)), at(8)).joined, 1);
    assert_eq!(joiner.report().joined, 3);
}
