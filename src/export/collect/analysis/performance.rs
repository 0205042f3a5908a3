//! How right the model was, and what became of labels. Series are bounded: by measures, by lengths of
//! windows, by the twenty classes that a report names.

use super::flag;
use crate::export::family::{Attribute, Family, Value, text};
use crate::export::names::{self, key};
use crate::labels::{Bounds, Concept, ConceptVerdict, LabelWindow, Performance, Report, Source};
use std::borrow::Cow;
use std::collections::BTreeMap;

pub(super) fn families(report: &Report) -> Vec<Family> {
    let mut families = since_start(report);
    families.extend(classes(report));
    families.extend(windows(report));
    families.extend(labels(report));
    families
}

fn measure(name: &'static str) -> Attribute {
    (key::MEASURE, Cow::Borrowed(name))
}

fn since_start(report: &Report) -> Vec<Family> {
    let all: Attribute = (key::SEGMENT, Cow::Borrowed("all"));
    let measures = report.overall.iter().flat_map(Performance::measures);
    let families = measures.filter_map(|(name, value)| {
        let mut family = Family::new(names::performance(name)?);
        family.push(vec![all.clone()], Value::Gauge(value));
        Some(family)
    });
    let mut families: Vec<_> = families.collect();
    let mut intervals = Family::new(&names::PERFORMANCE_INTERVAL);
    if let Some(overall) = &report.overall {
        push_intervals(&mut intervals, &all, overall.intervals());
    }
    let mut reference = Family::new(&names::PERFORMANCE_REFERENCE);
    for (name, value) in report.reference.performance().iter().flat_map(|p| p.measures()) {
        reference.push(vec![measure(name)], Value::Gauge(value));
    }
    families.extend([intervals, reference]);
    families
}

fn push_intervals(family: &mut Family, of: &Attribute, intervals: &BTreeMap<&'static str, Bounds>) {
    for (name, ends) in intervals {
        for (bound, end) in ["low", "high"].into_iter().zip(ends) {
            let attributes = vec![of.clone(), measure(name), (key::BOUND, Cow::Borrowed(bound))];
            family.push(attributes, Value::Gauge(*end));
        }
    }
}

fn classes(report: &Report) -> [Family; 2] {
    let mut shares = Family::new(&names::PERFORMANCE_CLASS_SHARE);
    let mut rows = Family::new(&names::PERFORMANCE_CLASS_ROWS);
    for class in report.overall.iter().flat_map(Performance::classes) {
        let name: Attribute = (key::CLASS, text(&*class.class));
        for (of, value) in
            [("precision", class.precision), ("recall", class.recall), ("f1", class.f1)]
        {
            shares.push(vec![name.clone(), measure(of)], Value::Gauge(value));
        }
        rows.push(vec![name], Value::Gauge(class.support as f64));
    }
    // Two long names may be cut to the same.
    [shares.merged(), rows.merged()]
}

/// Of each length the newest window that was emitted, and the newest that was judged.
fn windows(report: &Report) -> Vec<Family> {
    let mut values = Family::new(&names::PERFORMANCE_WINDOW_VALUE);
    let mut intervals = Family::new(&names::PERFORMANCE_WINDOW_INTERVAL);
    let mut rows = Family::new(&names::PERFORMANCE_WINDOW_ROWS);
    let mut judged = Judged::default();
    for length in report.lengths() {
        let of: Attribute = (key::WINDOW, text(&*length));
        let windows: Vec<_> = report.of_length(&length).collect();
        let newest = windows.iter().rev();
        if let Some(window) = newest.clone().find(|window| window.revision > 0) {
            rows.push(vec![of.clone()], Value::Gauge(window.joined as f64));
            if let Some(performance) = &window.performance {
                push_intervals(&mut intervals, &of, performance.intervals());
                for (name, value) in performance.measures() {
                    values.push(vec![of.clone(), measure(name)], Value::Gauge(value));
                }
            }
        }
        if let Some(concept) = newest.clone().find_map(|window| verdict(window)) {
            judged.push(&of, concept);
        }
    }
    let Judged { p_values, significant, detected, verdicts } = judged;
    vec![values, intervals, rows, p_values, significant, detected, verdicts]
}

fn verdict(window: &LabelWindow) -> Option<&Concept> {
    let concept = window.concept.as_ref()?;
    (concept.verdict != ConceptVerdict::InsufficientData).then_some(concept)
}

struct Judged {
    p_values: Family,
    significant: Family,
    detected: Family,
    verdicts: Family,
}

impl Default for Judged {
    fn default() -> Self {
        Self {
            p_values: Family::new(&names::PERFORMANCE_P_VALUE),
            significant: Family::new(&names::PERFORMANCE_SIGNIFICANT),
            detected: Family::new(&names::PERFORMANCE_DETECTED),
            verdicts: Family::new(&names::PERFORMANCE_VERDICT),
        }
    }
}

impl Judged {
    fn push(&mut self, of: &Attribute, concept: &Concept) {
        for change in &concept.changes {
            let attributes = vec![of.clone(), measure(change.measure.as_str())];
            self.p_values.push(attributes.clone(), Value::Gauge(change.p_value));
            self.significant.push(attributes.clone(), flag(change.significant));
            self.detected.push(attributes, flag(change.detected));
        }
        for verdict in [ConceptVerdict::Stable, ConceptVerdict::Drifting] {
            let attributes = vec![of.clone(), (key::VERDICT, Cow::Borrowed(verdict.as_str()))];
            self.verdicts.push(attributes, flag(verdict == concept.verdict));
        }
    }
}

fn labels(labels: &Report) -> Vec<Family> {
    let mut received = Family::new(&names::LABELS_RECEIVED);
    let outcomes = [
        ("joined", labels.joined),
        ("unknown_id", labels.unknown_ids),
        ("duplicate", labels.duplicates),
        ("late", labels.late),
    ];
    for (outcome, count) in outcomes {
        received.push(vec![(key::OUTCOME, Cow::Borrowed(outcome))], Value::Counter(count));
    }
    let mut read = Family::new(&names::LABELS_READ);
    let mut unreadable = Family::new(&names::LABELS_UNREADABLE);
    for (source, counts) in Source::ALL.into_iter().zip(labels.sources) {
        let source: Attribute = (key::SOURCE, Cow::Borrowed(source.as_str()));
        read.push(vec![source.clone()], Value::Counter(counts.read));
        unreadable.push(vec![source], Value::Counter(counts.unreadable));
    }
    let mut families = vec![Family::gauge(&names::LABELS_COVERAGE, labels.coverage())];
    if labels.delay.count() > 0 {
        let delay = Value::Histogram(Box::new(labels.delay.clone()));
        families.push(Family::single(&names::LABELS_DELAY, delay));
    }
    families.push(Family::count(&names::LABELS_PREDICTIONS, labels.predictions));
    families.extend([received, read, unreadable]);
    families.push(Family::count(&names::LABELS_EXPIRED, labels.expired));
    families.push(Family::count(&names::PERFORMANCE_REVISIONS, labels.revisions));
    families.push(Family::count(&names::PERFORMANCE_FORGOTTEN, labels.forgotten_windows));
    families
}
