//! Counts and sums from which performance is computed, exact under taking rows back out.
//!
//! Measures are those of scikit-learn: macro averages over the classes that occur among labels or
//! predictions, with a ratio over nothing counted as 0 (`zero_division=0`).

use std::collections::BTreeMap;

use super::interval::{self, Interval};
use super::numbers::{Numbers, figure};
use super::probabilities::{Probabilities, Scores};
use super::summary::{ClassCounts, Figure, Kind, Measure, Summary};
use super::value::{ClassId, Classes, Value};

/// How predictions are compared with labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// By what was joined so far, of the whole stream:
    ///
    /// 1. a text on either side: classification;
    /// 2. whole numbers below 1000 (or booleans) on both sides: classification;
    /// 3. labels all 0 or 1 and predictions all in [0, 1]: classification, a prediction of 0.5 or
    ///    more being a 1;
    /// 4. else regression.
    #[default]
    Auto,
    /// Rule 3 applies where it fits; else values are compared as they are.
    Classification,
    /// Rows without a number on both sides are left out.
    Regression,
}

impl Task {
    /// Whether rows may turn out to be of that kind.
    pub(super) fn allows(self, kind: Kind) -> bool {
        match self {
            Self::Auto => true,
            Self::Classification => kind != Kind::Numbers,
            Self::Regression => kind == Kind::Numbers,
        }
    }
}

/// A joined row: what was said, what was true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair<'a> {
    pub(super) prediction: Value,
    pub(super) scores: &'a Scores,
    pub(super) label: Value,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    rows: u64,
    /// Rows with a text on either side.
    texts: u64,
    /// Rows with two numbers of which one is no class number.
    continuous: u64,
    /// Rows with a label of 0 or 1 and a prediction in [0, 1].
    probable: u64,
    /// Of these, those that said 0 or 1 and no probability: they order nothing.
    hard: u64,
    equal: u64,
    classes: BTreeMap<ClassId, Counts>,
    /// By what was said and what was true, for the first classes.
    mistakes: BTreeMap<(ClassId, ClassId), u64>,
    /// Of the `probable` rows: by label, by thresholded prediction.
    thresholded: [[u64; 2]; 2],
    numbers: Numbers,
    /// Of class 1 against class 0.
    binary: Probabilities,
    /// Of three classes or more; few models have them.
    several: Option<Box<Probabilities>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    right: u64,
    predicted: u64,
    labelled: u64,
}

/// Of classes whose mistakes are counted by pair: those numbered first.
const MAX_PAIRED: ClassId = 32;

impl Tally {
    pub(super) fn add(&mut self, pair: Pair<'_>, classes: &mut Classes) {
        self.count(pair, classes, |count| *count += 1);
        self.sum(pair, 1.0);
    }

    /// Undoes [`Self::add`].
    pub(super) fn remove(&mut self, pair: Pair<'_>, classes: &mut Classes) {
        self.count(pair, classes, |count| *count = count.saturating_sub(1));
        self.sum(pair, -1.0);
    }

    fn count(&mut self, pair: Pair<'_>, classes: &mut Classes, change: impl Fn(&mut u64)) {
        let Pair { prediction, label, scores } = pair;
        change(&mut self.rows);
        match (prediction.number(), label.number()) {
            (Some(predicted), Some(actual)) => {
                if !(prediction.is_class_number() && label.is_class_number()) {
                    change(&mut self.continuous);
                }
                if let Some(label) = zero_or_one(actual)
                    && (0.0..=1.0).contains(&predicted)
                {
                    change(&mut self.probable);
                    change(&mut self.thresholded[label][usize::from(predicted >= 0.5)]);
                    if *scores == Scores::None && zero_or_one(predicted).is_some() {
                        change(&mut self.hard);
                    }
                }
            }
            _ => change(&mut self.texts),
        }
        let (predicted, labelled) = (classes.number(prediction), classes.number(label));
        change(&mut self.classes.entry(predicted).or_default().predicted);
        change(&mut self.classes.entry(labelled).or_default().labelled);
        if prediction == label {
            change(&mut self.equal);
            change(&mut self.classes.entry(predicted).or_default().right);
        } else if predicted.max(labelled) <= MAX_PAIRED {
            change(self.mistakes.entry((predicted, labelled)).or_default());
        }
    }

    fn sum(&mut self, pair: Pair<'_>, sign: f64) {
        let Some(actual) = pair.label.number() else { return };
        let said = pair.prediction.number();
        if let Some(said) = said {
            self.numbers.add(said, actual, sign);
        }
        let score = match pair.scores {
            Scores::Positive(score) => Some(*score),
            Scores::Classes(shares) => return self.sum_classes(shares, pair.label, sign),
            Scores::None => said.filter(|said| (0.0..=1.0).contains(said)),
        };
        if let (Some(score), Some(label)) = (score, zero_or_one(actual)) {
            self.binary.add_positive(score, label == 1, sign);
        }
    }

    fn sum_classes(&mut self, shares: &[f32], label: Value, sign: f64) {
        if let Some(class) = label.class_number() {
            self.several.get_or_insert_default().add_classes(shares, class, sign);
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// What is held in memory beside the tally itself, in entries of maps.
    pub(super) fn cells(&self) -> usize {
        let several = self.several.as_ref().map_or(0, |several| several.cells());
        self.classes.len() + self.mistakes.len() + self.binary.cells() + several
    }

    /// What predictions and labels are, by all rows so far.
    pub(super) fn kind(&self, task: Task) -> Kind {
        let probabilities = self.probable == self.rows && self.continuous > 0;
        match task {
            Task::Regression => Kind::Numbers,
            Task::Classification | Task::Auto if probabilities => Kind::Probabilities,
            Task::Auto if self.texts == 0 && self.continuous > 0 => Kind::Numbers,
            Task::Classification | Task::Auto => Kind::Classes,
        }
    }

    /// `None` without rows that are of the kind.
    pub(super) fn summary(&self, kind: Kind, names: &Classes) -> Option<Summary> {
        let summary = match kind {
            Kind::Numbers => {
                let (rows, figures) = (self.numbers.rows(), self.numbers.figures());
                Summary { rows, kind, figures, ..Summary::default() }
            }
            Kind::Probabilities => self.of_probabilities(),
            Kind::Classes => self.of_classes(names),
        };
        (summary.rows > 0).then_some(summary)
    }

    fn of_probabilities(&self) -> Summary {
        let counts = self.thresholded;
        let class = |class: usize| Counts {
            right: counts[class][class],
            predicted: counts[0][class] + counts[1][class],
            labelled: counts[class].iter().sum(),
        };
        let pairs = |_: usize, _: usize| Some(counts[0][1] + counts[1][0]);
        let both = [class(0), class(1)].into_iter().zip(["0", "1"]);
        let named: Vec<_> = both.map(|(counts, name)| counts.named(name.into())).collect();
        let rows = counts.as_flattened().iter().sum();
        let figures = classification(rows, counts[0][0] + counts[1][1], &named, pairs);
        let summary = Summary { rows, kind: Kind::Probabilities, figures, ..Summary::default() };
        with_scores(with_classes(summary, named), &self.binary)
    }

    fn of_classes(&self, names: &Classes) -> Summary {
        let seen = |counts: &Counts| counts.predicted + counts.labelled > 0;
        let present = self.classes.iter().filter(|(_, counts)| seen(counts));
        let (ids, classes): (Vec<_>, Vec<_>) =
            present.map(|(id, counts)| (*id, counts.named(names.name(*id)))).unzip();
        let pairs = |one: usize, other: usize| {
            let (one, other) = (ids[one], ids[other]);
            let count = |pair| self.mistakes.get(&pair).copied().unwrap_or_default();
            (one.max(other) <= MAX_PAIRED).then(|| count((one, other)) + count((other, one)))
        };
        let figures = classification(self.rows, self.equal, &classes, pairs);
        let summary =
            Summary { rows: self.rows, kind: Kind::Classes, figures, ..Summary::default() };
        let summary = with_classes(summary, classes);
        let ordered = self.several.as_deref().unwrap_or(&self.binary);
        let hard = if self.several.is_some() { 0 } else { self.hard };
        // Of part of the rows they would be the figures of another stream.
        if ordered.rows() == self.rows && hard == 0 {
            with_scores(summary, ordered)
        } else {
            summary
        }
    }
}

fn with_scores(mut summary: Summary, probabilities: &Probabilities) -> Summary {
    summary.figures.extend(probabilities.figures());
    summary.scores = probabilities.counts();
    summary.calibration = probabilities.calibration();
    summary
}

pub(super) fn with_classes(mut summary: Summary, mut classes: Vec<ClassCounts>) -> Summary {
    classes.retain(|class| class.labelled + class.predicted > 0);
    classes.sort_by(|a, b| {
        let weight = |class: &ClassCounts| (class.labelled, class.predicted);
        weight(b).cmp(&weight(a)).then_with(|| a.class.cmp(&b.class))
    });
    classes.truncate(Summary::MAX_CLASSES);
    summary.classes = classes;
    summary
}

impl Counts {
    fn named(self, class: std::sync::Arc<str>) -> ClassCounts {
        let Self { right, predicted, labelled } = self;
        ClassCounts { class, labelled, predicted, right }
    }
}

impl ClassCounts {
    pub fn precision(&self) -> f64 {
        ratio(self.right, self.predicted)
    }

    pub fn recall(&self) -> f64 {
        ratio(self.right, self.labelled)
    }

    pub fn f1(&self) -> f64 {
        ratio(2 * self.right, self.predicted + self.labelled)
    }

    /// Of precision, recall or F1; all of [0, 1] where no row says anything.
    pub(super) fn interval(&self, measure: Measure) -> Interval {
        let either = self.predicted + self.labelled - self.right;
        let interval = match measure {
            Measure::Precision => interval::wilson(self.right, self.predicted),
            Measure::Recall => interval::wilson(self.right, self.labelled),
            _ => interval::f1(self.right, either),
        };
        interval.unwrap_or(Interval { low: 0.0, high: 1.0 })
    }

    pub(super) fn value(&self, measure: Measure) -> f64 {
        match measure {
            Measure::Precision => self.precision(),
            Measure::Recall => self.recall(),
            _ => self.f1(),
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Accuracy and the macro averages. `mistaken` says how often two classes were taken for each other, or
/// `None` where that was not counted.
pub(super) fn classification(
    rows: u64,
    equal: u64,
    classes: &[ClassCounts],
    mistaken: impl Fn(usize, usize) -> Option<u64>,
) -> Vec<Figure> {
    let accuracy = ratio(equal, rows);
    let variance = accuracy * (1.0 - accuracy) / rows.max(1) as f64;
    let interval = interval::wilson(equal, rows);
    let mut figures = vec![figure(Measure::Accuracy, accuracy, interval, Some(variance), rows)];
    let present: Vec<_> = (0..classes.len()).filter(|n| classes[*n].is_present()).collect();
    for measure in [Measure::Precision, Measure::Recall, Measure::F1] {
        let part = |n: &usize| (classes[*n].value(measure), classes[*n].interval(measure));
        let parts: Vec<_> = present.iter().map(part).collect();
        let value = parts.iter().map(|(value, _)| value).sum::<f64>() / parts.len() as f64;
        // Given labels, classes are recalled apart from each other, and given predictions they are right
        // apart from each other; but one mistake lowers the F1 of two classes.
        let correlation = |one: usize, other: usize| {
            let (one, other) = (present[one], present[other]);
            if measure == Measure::F1 {
                f1_correlation(&classes[one], &classes[other], mistaken(one, other))
            } else {
                0.0
            }
        };
        let interval = (!parts.is_empty()).then(|| interval::of_mean(&parts, correlation));
        // Of the wider arm, which a test that looks either way may rely on.
        let arm = interval.map(|i| (value - i.low).max(i.high - value) / interval::Z);
        figures.push(figure(measure, value, interval, arm.map(|arm| arm * arm), rows));
    }
    figures
}

impl ClassCounts {
    fn is_present(&self) -> bool {
        self.labelled + self.predicted > 0
    }
}

/// From the influence of a row on each F1, with D = labelled + predicted: (2 − 2 F1) / D if it is right,
/// −F1 / D on both classes of a mistake (delta method). 1, the worst, if mistakes are not known.
fn f1_correlation(one: &ClassCounts, other: &ClassCounts, mistaken: Option<u64>) -> f64 {
    let Some(mistaken) = mistaken else { return 1.0 };
    let mistake = |class: &ClassCounts| class.f1() / (class.labelled + class.predicted) as f64;
    let variance = |class: &ClassCounts| {
        let all = class.labelled + class.predicted;
        let right = (2.0 - 2.0 * class.f1()) / all as f64;
        let wrong = (all - 2 * class.right) as f64;
        class.right as f64 * right * right + wrong * mistake(class).powi(2)
    };
    let spread = (variance(one) * variance(other)).sqrt();
    if spread > 0.0 {
        (mistaken as f64 * mistake(one) * mistake(other) / spread).min(1.0)
    } else {
        0.0
    }
}

#[expect(clippy::float_cmp, reason = "a label is 0 or 1 exactly, or it is something else")]
fn zero_or_one(label: f64) -> Option<usize> {
    [0.0, 1.0].iter().position(|class| label == *class)
}
