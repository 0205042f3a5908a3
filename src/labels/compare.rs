//! Is the model as good as it was? A window's performance tested against the reference's.
//!
//! A change of performance at equal inputs is what concept drift is to whoever uses the model. In: two
//! summaries. Out: a [`Concept`], which says of each measure whether its change is chance, and whether
//! it is of a size worth acting on. The promise: of windows in which nothing changed, the share with
//! one or more `significant` measures, over all the times that a window is emitted, is at most the rate
//! that was asked for, as far as the tests are exact.

use schemars::JsonSchema;
use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF as _, StudentsT};
use statrs::function::erf::erfc;
use statrs::function::gamma::ln_gamma;

use super::interval::{self, Interval};
use super::summary::{ClassCounts, Figure, Kind, Measure, Summary};

/// What a window says of the concept that the model has learnt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Concept {
    pub verdict: ConceptVerdict,
    pub rows: u64,
    pub reference_rows: u64,
    /// How often the window was tested, this time included: each time has a smaller share of the rate.
    pub looks: u32,
    pub changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConceptVerdict {
    /// Too few labelled rows, no reference yet, or one of classes beside a window of numbers.
    #[default]
    InsufficientData,
    Stable,
    Drifting,
}

impl ConceptVerdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientData => "insufficient_data",
            Self::Stable => "stable",
            Self::Drifting => "drifting",
        }
    }
}

/// One measure of a window beside the reference's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    pub measure: Measure,
    pub value: f64,
    pub reference: f64,
    /// Before correction for many measures and many looks.
    pub p_value: f64,
    /// It is not chance.
    pub significant: bool,
    /// Significant, and of a size worth acting on.
    pub detected: bool,
    /// The model does worse than it did.
    pub worse: bool,
}

/// How windows are judged.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Windows with fewer labelled rows are not judged.
    pub min_rows: u64,
    /// Of false alarms among windows in which nothing changed, in (0, 1).
    pub rate: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Self { min_rows: 50, rate: 0.01 }
    }
}

/// A change by less of a share in [0, 1] is nothing to act on, sure as it may be.
const LEAST_SHARE: f64 = 0.01;
/// As a share of the reference's value, for what has no upper end.
const LEAST_RATIO: f64 = 0.05;

impl Concept {
    /// `looks` counts from 1. The look of number k has 1 / (k (k + 1)) of the rate, which is all of it
    /// over any number of looks.
    pub(super) fn of(window: &Summary, reference: &Summary, rule: Rule, looks: u32) -> Self {
        let mut concept =
            Self { rows: window.rows, reference_rows: reference.rows, looks, ..Self::default() };
        if window.rows < rule.min_rows || !window.kind.is_like(reference.kind) {
            return concept;
        }
        let rate = rule.rate / (f64::from(looks) * f64::from(looks + 1));
        concept.changes = tested(window, reference);
        mark_significant(&mut concept.changes, rate);
        for change in &mut concept.changes {
            change.detected = change.significant && is_sizeable(change, window, reference);
        }
        let drifts = concept.changes.iter().any(|change| change.detected);
        concept.verdict = if drifts { ConceptVerdict::Drifting } else { ConceptVerdict::Stable };
        concept
    }

    /// Measures whose change is worth acting on.
    pub fn detected(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.detected)
    }
}

fn tested(window: &Summary, reference: &Summary) -> Vec<Change> {
    let change = |figure: &Figure| {
        let before = reference.figure(figure.measure)?;
        let p_value = p_value(figure, before, window, reference)?;
        let (value, reference) = (figure.value, before.value);
        let worse = if figure.measure.is_gain() { value < reference } else { value > reference };
        let measure = figure.measure;
        Some(Change {
            measure,
            value,
            reference,
            p_value,
            significant: false,
            detected: false,
            worse,
        })
    };
    window.figures.iter().filter_map(change).collect()
}

/// `None` for a measure that says nothing beside the others: RMSE is the root of MSE, and MAPE hangs on
/// the few labels that are near 0.
fn p_value(figure: &Figure, before: &Figure, window: &Summary, reference: &Summary) -> Option<f64> {
    match figure.measure {
        Measure::Accuracy => Some(shares_differ(figure, before)),
        Measure::Precision | Measure::Recall | Measure::F1 => {
            classes_differ(figure.measure, &window.classes, &reference.classes)
        }
        Measure::Auroc => areas_differ(figure, before, window, reference),
        Measure::LogLoss | Measure::Mae | Measure::Mse | Measure::R2 => {
            means_differ(figure, before)
        }
        Measure::CalibrationError => calibration_differs(window, reference),
        Measure::Rmse | Measure::Mape => None,
    }
}

/// Holm, Scandinavian Journal of Statistics 6, 1979: measures of one window hang together, and this holds
/// whatever they have in common.
fn mark_significant(changes: &mut [Change], rate: f64) {
    let mut order: Vec<_> = (0..changes.len()).collect();
    order.sort_by(|a, b| changes[*a].p_value.total_cmp(&changes[*b].p_value));
    for (rank, index) in order.into_iter().enumerate() {
        let left = (changes.len() - rank) as f64;
        if changes[index].p_value * left > rate {
            break;
        }
        changes[index].significant = true;
    }
}

/// The change is over the floor by more than a standard error.
fn is_sizeable(change: &Change, window: &Summary, reference: &Summary) -> bool {
    let error_of = |summary: &Summary| {
        summary.figure(change.measure).and_then(|figure| figure.variance).unwrap_or_default()
    };
    let error = (error_of(window) + error_of(reference)).sqrt();
    let floor = match change.measure {
        Measure::LogLoss | Measure::Mae | Measure::Mse | Measure::Rmse | Measure::Mape => {
            LEAST_RATIO * change.reference.abs()
        }
        _ => LEAST_SHARE,
    };
    (change.value - change.reference).abs() >= floor + error
}

/// Of each class; with fewer an area is too coarse to be tested.
const LEAST_OF_CLASS: u64 = 5;

fn areas_differ(
    figure: &Figure,
    before: &Figure,
    window: &Summary,
    reference: &Summary,
) -> Option<f64> {
    let labelled = window.classes.iter().chain(&reference.classes).map(|class| class.labelled);
    if labelled.filter(|rows| *rows > 0).min()? < LEAST_OF_CLASS {
        return None;
    }
    arms_differ((figure.value, interval_of(figure)?), (before.value, interval_of(before)?))
}

fn interval_of(figure: &Figure) -> Option<Interval> {
    Some(Interval { low: figure.low?, high: figure.high? })
}

/// Of two sides.
fn normal(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

fn student(t: f64, degrees: f64) -> Option<f64> {
    let distribution = StudentsT::new(0.0, 1.0, degrees).ok()?;
    Some((2.0 * distribution.sf(t.abs())).min(1.0))
}

/// Fisher's exact test: twice the nearer tail of the hypergeometric distribution.
fn shares_differ(figure: &Figure, before: &Figure) -> f64 {
    let (n, m) = (figure.rows as f64, before.rows as f64);
    let seen = (figure.value * n).round();
    let marked = seen + (before.value * m).round();
    let all = n + m;
    let ln_choose = |n: f64, k: f64| ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    let first =
        (ln_choose(marked, seen) + ln_choose(all - marked, n - seen) - ln_choose(all, n)).exp();
    let is_above = seen > marked * n / all;
    let ratio = |k: f64| {
        if is_above {
            (marked - k) * (n - k) / ((k + 1.0) * (all - marked - n + k + 1.0))
        } else {
            k * (all - marked - n + k) / ((marked - k + 1.0) * (n - k + 1.0))
        }
    };
    let (mut sum, mut term, mut k) = (first, first, seen);
    while term > sum * 1e-16 {
        term *= ratio(k).max(0.0);
        sum += term;
        k += if is_above { 1.0 } else { -1.0 };
    }
    (2.0 * sum).min(1.0)
}

/// By the arms of the two intervals that face each other (Zou and Donner, Statistics in Medicine 27,
/// 2008), which have a length where every row is right too.
fn arms_differ(one: (f64, Interval), other: (f64, Interval)) -> Option<f64> {
    let (upper, lower) = if one.0 >= other.0 { (one, other) } else { (other, one) };
    let (down, up) = (upper.0 - upper.1.low, lower.1.high - lower.0);
    let error = down.hypot(up) / interval::Z;
    let difference = upper.0 - lower.0;
    if difference == 0.0 {
        return Some(1.0);
    }
    (error > 0.0).then(|| normal(difference / error))
}

/// Macro averages over the classes that both have, so that a rare class which a window lacks is no
/// change. F1s of one sample are taken as wholly correlated.
fn classes_differ(
    measure: Measure,
    window: &[ClassCounts],
    reference: &[ClassCounts],
) -> Option<f64> {
    let mut parts = [Vec::new(), Vec::new()];
    let rows = |class: &ClassCounts| match measure {
        Measure::Precision => class.predicted,
        Measure::Recall => class.labelled,
        _ => class.predicted.min(class.labelled),
    };
    for now in window {
        let before = reference.iter().find(|before| before.class == now.class);
        let Some(before) = before.filter(|before| rows(before) > 0 && rows(now) > 0) else {
            continue;
        };
        for (parts, class) in parts.iter_mut().zip([now, before]) {
            parts.push((class.value(measure), class.interval(measure)));
        }
    }
    if parts[0].is_empty() {
        return None;
    }
    let correlation = if measure == Measure::F1 { 1.0 } else { 0.0 };
    let [now, before] = parts.map(|parts| {
        let mean = parts.iter().map(|(value, _)| value).sum::<f64>() / parts.len() as f64;
        (mean, interval::of_mean(&parts, |_, _| correlation))
    });
    arms_differ(now, before)
}

/// Welch's test (Biometrika 34, 1947) and Student's, whichever sees less: errors are skewed, and a small
/// sample that lacks the large ones is sure of a low mean by its own variance, though not by the pooled.
fn means_differ(figure: &Figure, before: &Figure) -> Option<f64> {
    let (n, m) = (figure.rows as f64, before.rows as f64);
    let (now, then) = (figure.variance?, before.variance?);
    let difference = figure.value - before.value;
    if n < 2.0 || m < 2.0 {
        return None;
    }
    if difference == 0.0 {
        return Some(1.0);
    }
    let welch = {
        let degrees = (now + then).powi(2) / (now * now / (n - 1.0) + then * then / (m - 1.0));
        student(difference / (now + then).sqrt(), degrees)?
    };
    let pooled = (now * n * (n - 1.0) + then * m * (m - 1.0)) / (n + m - 2.0);
    let error = (pooled * (1.0 / n + 1.0 / m)).sqrt();
    Some(welch.max(student(difference / error, n + m - 2.0)?))
}

/// Do rows of one score come true as often as they did? A χ² over the bins in which both have rows
/// enough for it (Cochran 1954): the errors themselves cannot be compared, as small samples overstate
/// them.
fn calibration_differs(window: &Summary, reference: &Summary) -> Option<f64> {
    if window.kind == Kind::Numbers {
        return None;
    }
    let (mut sum, mut bins) = (0.0, 0.0);
    for (now, before) in window.calibration.iter().zip(&reference.calibration) {
        let (n, m) = (now.rows as f64, before.rows as f64);
        let share = (now.right + before.right) as f64 / (n + m);
        let of_row = share * (1.0 - share);
        if (of_row * n).min(of_row * m).is_nan() || of_row * n.min(m) < 5.0 {
            continue;
        }
        let gap = now.right as f64 / n - now.mean_score;
        let gap_before = before.right as f64 / m - before.mean_score;
        sum += (gap - gap_before).powi(2) / (of_row * (1.0 / n + 1.0 / m));
        bins += 1.0;
    }
    ChiSquared::new(bins).ok().map(|distribution| distribution.sf(sum))
}

#[cfg(test)]
mod tests {
    use super::super::numbers::figure;
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    /// `2 * scipy.stats.hypergeom(1050, 940, 50).cdf(40)`, and for the other tail `sf`.
    #[test]
    fn shares_are_tested_as_by_fisher() {
        let share = |right: f64, rows: u64| {
            figure(Measure::Accuracy, right / rows as f64, None, None, rows)
        };
        close(shares_differ(&share(40.0, 50), &share(900.0, 1000)), 2.0 * 0.029_138_923_117_095_61);
        close(shares_differ(&share(50.0, 50), &share(50.0, 50)), 1.0);
        let (fell, rose) = (share(0.0, 50), share(50.0, 50));
        assert!(shares_differ(&fell, &rose) < 1e-25);
        close(shares_differ(&fell, &rose), shares_differ(&rose, &fell));
    }

    /// `ttest_ind([1,2,4,8,3], [2,2,5,9,9,4,7], equal_var=False)` is 0.29693, with `equal_var=True` this.
    #[test]
    fn means_are_tested_as_by_student_or_welch_whichever_sees_less() {
        let mean = |values: &[f64]| {
            let rows = values.len() as f64;
            let mean = values.iter().sum::<f64>() / rows;
            let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            let variance = Some(squares / (rows - 1.0) / rows);
            figure(Measure::Mae, mean, None, variance, values.len() as u64)
        };
        let (one, other) =
            (mean(&[1.0, 2.0, 4.0, 8.0, 3.0]), mean(&[2.0, 2.0, 5.0, 9.0, 9.0, 4.0, 7.0]));
        let found = means_differ(&one, &other).unwrap();
        assert!((found - 0.303_584_850_728_667_4).abs() < 1e-9, "{found}");
    }

    /// `statsmodels.stats.multitest.multipletests([.001, .004, .02, .03], .01, "holm")[0]`
    #[test]
    fn many_measures_are_corrected_as_by_holm() {
        let change = |p_value| Change {
            measure: Measure::Accuracy,
            value: 0.0,
            reference: 0.0,
            p_value,
            significant: false,
            detected: false,
            worse: false,
        };
        let mut changes = [0.02, 0.001, 0.004, 0.03].map(change);
        mark_significant(&mut changes, 0.01);
        assert_eq!(changes.map(|change| change.significant), [false, true, false, false]);
    }
}
