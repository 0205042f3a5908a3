//! Estimates against what came true: each window, and all of them together.

use super::super::report::{LabelWindow, Performance};
use super::super::summary::Measure;
use super::estimator::Learnt;
use super::figures::{Estimated, Figures};
use super::report::{Estimate, EstimatedFigure, Realised, TrackRecord, Trust};
use std::sync::Arc;

/// Windows with fewer labelled rows are not compared: chance would be all that is seen.
const MIN_LABELLED: u64 = 30;
/// Trust is judged by the newest of the windows that could be compared.
const JUDGED: usize = 20;
/// Intervals are made for 95 of 100; less is put up with than that, and no more often than this by chance.
const PUT_UP_WITH: f64 = 0.9;
const CHANCE: f64 = 0.01;
/// Half-widths of its interval beyond which one figure is enough.
const FAR: f64 = 2.0;

/// What labels say of a window so far.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub rows: u64,
    pub figures: Vec<(Measure, f64)>,
}

impl Known {
    pub(super) fn of(window: &LabelWindow) -> Self {
        let figures = window.performance.as_ref().map(Performance::figures);
        Self { rows: window.joined, figures: figures.unwrap_or_default() }
    }
}

/// Every figure that was estimated, in the order of [`Measure::ALL`].
pub(super) fn each(figures: &Figures) -> impl Iterator<Item = (Measure, Estimated)> {
    let figures = [
        (Measure::Accuracy, Some(figures.accuracy)),
        (Measure::Precision, Some(figures.precision)),
        (Measure::Recall, Some(figures.recall)),
        (Measure::F1, Some(figures.f1)),
        (Measure::Auroc, figures.auroc),
    ];
    figures.into_iter().filter_map(|(measure, estimated)| Some((measure, estimated?)))
}

/// A window's figures beside what is known of them.
pub(super) fn figures(figures: &Figures, rows: u64, known: &Known) -> Vec<EstimatedFigure> {
    let share = known.rows as f64 / rows.max(1) as f64;
    let figure = |(measure, estimated): (Measure, Estimated)| {
        let (low, high) = estimated.interval();
        let value = known.figures.iter().find(|(known, _)| *known == measure);
        let realised = value.filter(|_| known.rows >= MIN_LABELLED).map(|(_, value)| {
            let error = estimated.value - value;
            let inside = error.abs() <= estimated.margin(share) + f64::EPSILON;
            Realised { rows: known.rows, value: *value, error, inside }
        });
        EstimatedFigure { measure, value: estimated.value, low, high, realised }
    };
    each(figures).map(figure).collect()
}

/// A window's estimate, and what it was made by.
pub(super) type Beside = (Arc<Estimate>, Option<Learnt>);

/// The windows of one length whose labels have come, oldest first.
type Compared<'a> = Vec<&'a Beside>;

/// Records of the shortest length with windows enough to tell, and what they say.
pub(super) fn judge(windows: &[Beside]) -> (Trust, Vec<TrackRecord>) {
    let mut of_length: Vec<Compared<'_>> = Vec::new();
    let has_come = |figure: &EstimatedFigure| figure.realised.is_some();
    for window in windows.iter().filter(|(estimate, _)| estimate.figures.iter().any(has_come)) {
        match of_length.last_mut() {
            Some(last) if last[0].0.window == window.0.window => last.push(window),
            _ => of_length.push(vec![window]),
        }
    }
    let enough = of_length.iter().position(|windows| windows.len() >= 3);
    let Some(compared) = of_length.get(enough.unwrap_or(0)) else {
        return (Trust::Untested, Vec::new());
    };
    let measures = Measure::ALL.into_iter();
    (trust(compared), measures.filter_map(|measure| record(measure, compared)).collect())
}

fn trust(compared: &Compared<'_>) -> Trust {
    let accuracy = |window: &&Beside| {
        let figure = window.0.figure(Measure::Accuracy)?;
        figure.realised.map(|realised| (figure.high - figure.low, realised))
    };
    let newest: Vec<_> = compared.iter().rev().filter_map(accuracy).take(JUDGED).collect();
    let Some((width, last)) = newest.first() else { return Trust::Untested };
    let inside = newest.iter().filter(|(_, realised)| realised.inside).count();
    let is_far = !last.inside && last.error.abs() > FAR * width / 2.0;
    if is_far || at_most(inside, newest.len()) < CHANCE {
        Trust::NotTrusted
    } else {
        Trust::Trusted
    }
}

/// The chance that so few of as many lie inside, if [`PUT_UP_WITH`] do: `scipy.stats.binom.cdf(k, n, 0.9)`.
fn at_most(inside: usize, windows: usize) -> f64 {
    let (mut term, mut sum) = ((1.0 - PUT_UP_WITH).powf(windows as f64), 0.0);
    for k in 0..=inside {
        sum += term;
        term *= (windows - k) as f64 / (k + 1) as f64 * PUT_UP_WITH / (1.0 - PUT_UP_WITH);
    }
    sum
}

fn record(measure: Measure, compared: &Compared<'_>) -> Option<TrackRecord> {
    let pair = |window: &&Beside| {
        let realised = window.0.figure(measure)?.realised?;
        let before = window.1.and_then(|learnt| learnt.had(measure));
        Some((realised, before.map(|before| (before - realised.value).abs())))
    };
    let pairs: Vec<_> = compared.iter().filter_map(pair).collect();
    if pairs.is_empty() {
        return None;
    }
    let windows = pairs.len() as u64;
    let mean = |sum: f64| sum / windows as f64;
    let unchanged: Option<f64> = pairs.iter().map(|(_, change)| *change).sum();
    Some(TrackRecord {
        measure,
        windows,
        inside: pairs.iter().filter(|(realised, _)| realised.inside).count() as u64,
        mean_absolute_error: mean(pairs.iter().map(|(realised, _)| realised.error.abs()).sum()),
        error_of_no_change: unchanged.map(mean),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.binom.cdf([0, 1, 3, 14, 20], [3, 2, 5, 20, 20], 0.9)`
    #[test]
    fn the_chance_of_so_few_is_scipys() {
        let cases =
            [(0, 3, 0.001), (1, 2, 0.19), (3, 5, 0.081_46), (14, 20, 0.011_253), (20, 20, 1.0)];
        for (inside, windows, expected) in cases {
            assert!((at_most(inside, windows) - expected).abs() < 1e-6, "{inside} of {windows}");
        }
    }
}
