//! Figures and their intervals are those of scikit-learn 1.9.1, SciPy 1.17.1 and statsmodels 0.15.0,
//! on rows that anyone can make again; the expressions stand beside the numbers.

use super::*;
use crate::decode::Cell;

fn figure(summary: &Summary, measure: Measure) -> Figure {
    *summary.figure(measure).unwrap_or_else(|| panic!("{measure:?} is missing"))
}

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

fn between(figure: &Figure, low: f64, high: f64, tolerance: f64) {
    close(figure.low.unwrap(), low, tolerance);
    close(figure.high.unwrap(), high, tolerance);
}

fn part(n: u64, factor: u64, of: u64) -> f64 {
    (n * factor % of) as f64 / of as f64
}

/// `i = arange(200); score = i*7919 % 1009 / 1009; y = i*104729 % 1013 / 1013 < score`
fn binary() -> impl Iterator<Item = (f64, f64)> {
    (0..200).map(|n| {
        let score = part(n, 7919, 1009);
        (score, f64::from(u8::from(part(n, 104_729, 1013) < score)))
    })
}

fn binary_summary() -> Summary {
    let mut card = Scorecard::new(Task::Auto);
    for (score, label) in binary() {
        assert!(card.add(Cell::Number(score), &Scores::None, Cell::Number(label)));
    }
    card.summary().unwrap()
}

#[test]
fn probabilities_are_scored_as_by_scikit_learn() {
    let summary = binary_summary();
    assert_eq!((summary.kind, summary.rows), (Kind::Probabilities, 200));
    // accuracy_score(y, score >= .5)
    close(figure(&summary, Measure::Accuracy).value, 0.71, 1e-12);
    // roc_auc_score(y, score): steps of the grid tie rows that lie within half a percent.
    close(figure(&summary, Measure::Auroc).value, 0.800_880_088_008_800_8, 5e-4);
    // log_loss(y, score), and scipy.stats.t.interval(.95, 199, l.mean(), scipy.stats.sem(l))
    let loss = figure(&summary, Measure::LogLoss);
    close(loss.value, 0.544_196_487_086_795_7, 1e-12);
    between(&loss, 0.465_723_333_187_739_73, 0.622_669_640_985_851_6, 1e-9);
    // b = minimum((score*10).astype(int), 9); sum(abs((y[b==k]-score[b==k]).sum()) for k in range(10))/200
    close(figure(&summary, Measure::CalibrationError).value, 0.071_689_791_873_141_71, 1e-12);
}

/// `K = (p[:,None] > n[None,:]) + .5*(p[:,None] == n[None,:])`, for the scores of each label;
/// `V = K.mean(1).var(ddof=1)/len(p) + K.mean(0).var(ddof=1)/len(n)`, then on the logit scale.
#[test]
fn the_interval_of_an_area_is_that_of_delong() {
    let area = figure(&binary_summary(), Measure::Auroc);
    close(area.variance.unwrap(), 0.000_959_115_605_366_652_2, 2e-6);
    between(&area, 0.733_250_123_322_706_8, 0.854_759_926_065_434_5, 1e-3);
}

/// Newcombe's method 5 with `m, n = 10, 15; s = (m+n)/2`: `scipy.optimize.brentq(lambda t: (1-t)**2 -
/// z*z*t*(1-t)*(1+(s-1)*((1-t)/(2-t)+t/(1+t)))/(m*n), 1e-9, 1-1e-9)`
#[test]
fn an_area_of_one_has_an_interval_too() {
    let mut card = Scorecard::new(Task::Auto);
    for n in 0..25u32 {
        let label = f64::from(u8::from(n >= 10));
        card.add(Cell::Number(f64::from(n) / 25.0), &Scores::None, Cell::Number(label));
    }
    let area = figure(&card.summary().unwrap(), Measure::Auroc);
    close(area.value, 1.0, 0.0);
    between(&area, 0.832_151_920_202_993_3, 1.0, 1e-9);
}

/// `statsmodels.stats.proportion.proportion_confint(k, n, method="wilson")`
#[test]
fn intervals_of_shares_are_those_of_wilson() {
    for (right, rows, low, high) in [
        (8, 10, 0.490_162_471_536_641_83, 0.943_317_848_545_624_7),
        (0, 20, 0.0, 0.161_125_158_052_819_4),
        (20, 20, 0.838_874_841_947_180_4, 1.0),
        (836, 1000, 0.811_772_606_033_193_8, 0.857_655_812_264_513),
    ] {
        let mut card = Scorecard::new(Task::Classification);
        for n in 0..rows {
            let label = if n < right { "a" } else { "b" };
            card.add(Cell::Text("a"), &Scores::None, Cell::Text(label));
        }
        let summary = card.summary().unwrap();
        between(&figure(&summary, Measure::Accuracy), low, high, 1e-12);
        let said = Performance::of(&summary);
        let class = said.classes().iter().find(|class| &*class.class == "a").unwrap();
        let [below, above] = class.intervals["precision"];
        close(below, low, 1e-12);
        close(above, high, 1e-12);
    }
}

/// `t = (i*5 % 97)/7 - 3; p = t + (i*31 % 89 - 44)/40 * (1 + abs(t)/3)` for `i` up to 200
#[test]
fn numbers_are_scored_as_by_scikit_learn() {
    let mut card = Scorecard::new(Task::Regression);
    for n in 0..200 {
        let truth = (n * 5 % 97) as f64 / 7.0 - 3.0;
        let error = ((n * 31 % 89) as f64 - 44.0) / 40.0;
        let said = truth + error * (1.0 + truth.abs() / 3.0);
        card.add(Cell::Number(said), &Scores::None, Cell::Number(truth));
    }
    let summary = card.summary().unwrap();
    // mean_absolute_error, mean_squared_error, each with t.interval(.95, 199, e.mean(), sem(e))
    let mae = figure(&summary, Measure::Mae);
    close(mae.value, 1.379_464_285_714_285_6, 1e-12);
    between(&mae, 1.232_552_678_287_242_5, 1.526_375_893_141_328_7, 1e-9);
    let mse = figure(&summary, Measure::Mse);
    close(mse.value, 3.007_434_169_501_133, 1e-12);
    between(&mse, 2.420_296_808_620_482_6, 3.594_571_530_381_783_6, 1e-9);
    // root_mean_squared_error, r2_score
    close(figure(&summary, Measure::Rmse).value, 1.734_195_539_580_566_8, 1e-12);
    let r2 = figure(&summary, Measure::R2);
    close(r2.value, 0.815_642_740_975_455, 1e-12);
    // f = -se/t.var() + se.mean()/t.var()**2*(t-t.mean())**2; (f**2).mean()/200; by jackknife 3.58e-4
    close(r2.variance.unwrap(), 0.000_353_490_572_443_845_34, 1e-12);
    // mean_absolute_percentage_error(t[t!=0], p[t!=0]); two are 0
    let mape = figure(&summary, Measure::Mape);
    close(mape.value, 0.539_947_206_174_47, 1e-12);
    assert_eq!(mape.rows, 198);
    let Performance::Regression(shown) = Performance::of(&summary) else { panic!() };
    assert_eq!((shown.rows, shown.zero_labels), (200, 2));
}

/// `raw = stack([i*7919%1009/1009, i*104729%1013/1013, i*15485863%1019/1019], 1) + .05`, `P` its shares,
/// `y = minimum((u[:,None] > P.cumsum(1)).sum(1), 2)` with `u = i*32452843 % 1021 / 1021`
#[test]
fn probabilities_of_three_classes_are_scored_as_by_scikit_learn() {
    let mut card = Scorecard::new(Task::Auto);
    for n in 0..300 {
        let raw = [(7919, 1009), (104_729, 1013), (15_485_863, 1019)]
            .map(|(factor, of)| part(n, factor, of) + 0.05);
        let sum: f64 = raw.iter().sum();
        let shares = raw.map(|share| share / sum);
        let u = part(n, 32_452_843, 1021);
        let truth = [shares[0], shares[0] + shares[1]].iter().filter(|edge| u > **edge).count();
        let scores = Scores::of(&shares);
        let said = (0..3).rev().max_by(|a, b| shares[*a].total_cmp(&shares[*b])).unwrap();
        card.add(Cell::Number(said as f64), &scores, Cell::Number(truth as f64));
    }
    let summary = card.summary().unwrap();
    assert_eq!(summary.kind, Kind::Classes);
    // accuracy_score(y, P.argmax(1)), roc_auc_score(y, P, multi_class="ovr"), log_loss(y, P)
    close(figure(&summary, Measure::Accuracy).value, 0.506_666_666_666_666_7, 1e-12);
    close(figure(&summary, Measure::Auroc).value, 0.704_500_148_798_094_7, 2e-3);
    close(figure(&summary, Measure::LogLoss).value, 0.981_176_832_491_033_4, 1e-6);
    // As above, with score = P.max(1) and y = P.argmax(1) == y
    close(figure(&summary, Measure::CalibrationError).value, 0.063_210_680_947_088_36, 1e-6);
}

#[test]
fn figures_that_need_probabilities_are_not_made_of_answers() {
    let mut card = Scorecard::new(Task::Auto);
    card.add(Cell::Number(1.0), &Scores::None, Cell::Number(1.0));
    card.add(Cell::Number(0.0), &Scores::Positive(0.2), Cell::Number(1.0));
    let summary = card.summary().unwrap();
    assert_eq!(summary.figure(Measure::Auroc), None);
    assert!(summary.scores.is_empty() && summary.calibration.is_empty());
}

#[test]
fn a_summary_that_was_kept_is_the_same_again() {
    let summary = binary_summary();
    let kept = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&kept).unwrap(), summary);
    let rows: u64 = summary.scores.iter().map(|count| count.negatives + count.positives).sum();
    assert_eq!(rows, 200);
}

#[test]
fn classes_have_their_names_and_the_most_labelled_are_first() {
    let mut card = Scorecard::new(Task::Auto);
    for n in 0..60 {
        let class = format!("class {:02}", n % 30);
        card.add(Cell::Text(&class), &Scores::None, Cell::Text(&class));
    }
    card.add(Cell::Bool(true), &Scores::None, Cell::Text("class 29"));
    let summary = card.summary().unwrap();
    assert_eq!(summary.classes.len(), Summary::MAX_CLASSES);
    let first = &summary.classes[0];
    assert_eq!((&*first.class, first.labelled, first.right), ("class 29", 3, 2));
}
