//! What labels said: a window's figures that late labels revised, and a verdict on them that changed.

use super::{Event, Events, count, text};
use crate::export::names::event;
use crate::labels::{Change, Concept, ConceptVerdict, Emitted, LabelWindow, Performance};
use opentelemetry::logs::{AnyValue, Severity};
use std::fmt::Write as _;
use std::time::SystemTime;

impl Events {
    /// Queues `taffrail.performance.revised` for a window that had been emitted, and
    /// `taffrail.performance.changed` where its verdict is another than the one before.
    pub fn offer_performance(&self, emitted: &Emitted) {
        if self.outboxes.is_empty() {
            return;
        }
        if let Some(before) = &emitted.before {
            self.queue(&Event::performance_revised(before, &emitted.window));
        }
        if let (Some(before), Some(concept)) = (emitted.verdict_before, &emitted.window.concept) {
            self.queue(&Event::performance_changed(before, concept, &emitted.window));
        }
    }
}

impl Event {
    fn performance_revised(before: &LabelWindow, after: &LabelWindow) -> Self {
        let mut attributes = of_window(after);
        attributes.push((event::REVISION, count(u64::from(after.revision))));
        attributes.push((event::LABELLED_BEFORE, count(before.joined)));
        attributes.push((event::MEASURES, measures(after.performance.as_ref())));
        attributes.push((event::MEASURES_BEFORE, measures(before.performance.as_ref())));
        let body = format!(
            "The {} window from {} was emitted again: {} of {} predictions labelled, before: {}{}",
            after.window,
            after.start,
            after.joined,
            after.predictions,
            before.joined,
            moved(before, after),
        );
        let (name, severity) = (event::PERFORMANCE_REVISED, Severity::Info);
        Self { name, at: SystemTime::now(), severity, body, attributes }
    }

    fn performance_changed(
        before: ConceptVerdict,
        concept: &Concept,
        window: &LabelWindow,
    ) -> Self {
        let detected: Vec<_> = concept.detected().collect();
        let names = detected.iter().map(|change| text(change.measure.as_str())).collect();
        let mut attributes = of_window(window);
        attributes.extend([
            (event::VERDICT_BEFORE, text(before.as_str())),
            (event::VERDICT_AFTER, text(concept.verdict.as_str())),
            (event::MEASURES_DETECTED, names),
            (event::MEASURES, measures(window.performance.as_ref())),
            (event::REFERENCE_ROWS, count(concept.reference_rows)),
        ]);
        let severity = match concept.verdict {
            ConceptVerdict::Drifting => Severity::Warn,
            ConceptVerdict::Stable | ConceptVerdict::InsufficientData => Severity::Info,
        };
        let body = sentence(window, concept, before, &detected);
        let name = event::PERFORMANCE_CHANGED;
        Self { name, at: SystemTime::now(), severity, body, attributes }
    }
}

fn of_window(window: &LabelWindow) -> Vec<(&'static str, AnyValue)> {
    vec![
        (event::WINDOW, text(&window.window)),
        (event::START, text(&window.start.to_string())),
        (event::END, text(&window.end.to_string())),
        (event::LABELLED, count(window.joined)),
        (event::PREDICTIONS, count(window.predictions)),
    ]
}

/// `accuracy=0.87`, one a measure.
fn measures(performance: Option<&Performance>) -> AnyValue {
    let measures = performance.map(Performance::measures).unwrap_or_default();
    measures.into_iter().map(|(name, value)| AnyValue::from(format!("{name}={value}"))).collect()
}

/// How the first measure, by which most know a model, went.
fn moved(before: &LabelWindow, after: &LabelWindow) -> String {
    let first = |window: &LabelWindow| {
        window.performance.as_ref().and_then(|known| known.measures().first().copied())
    };
    match (first(before), first(after)) {
        (Some((name, before)), Some((same, after))) if name == same => {
            format!("; {name} {before:.4}, now {after:.4}")
        }
        _ => String::new(),
    }
}

fn sentence(
    window: &LabelWindow,
    concept: &Concept,
    before: ConceptVerdict,
    detected: &[&Change],
) -> String {
    let (length, rows) = (&window.window, concept.rows);
    let mut sentence = match concept.verdict {
        ConceptVerdict::Drifting => {
            format!(
                "The model does otherwise than it did, in the {length} window of {rows} labelled rows"
            )
        }
        ConceptVerdict::Stable | ConceptVerdict::InsufficientData => {
            format!("The model does as it did, in the {length} window of {rows} labelled rows")
        }
    };
    for change in detected {
        let how = if change.worse { "worse" } else { "better" };
        let _ = write!(
            sentence,
            "; {} {:.4}, reference {:.4}: {how}",
            change.measure.as_str(),
            change.value,
            change.reference,
        );
    }
    let was = match before {
        ConceptVerdict::Stable => "as it did",
        ConceptVerdict::Drifting => "otherwise",
        ConceptVerdict::InsufficientData => "not known",
    };
    let _ = write!(sentence, "; before: {was}");
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::{Classification, Measure};

    fn window(revision: u32, joined: u64, accuracy: f64) -> LabelWindow {
        let performance = Classification { rows: joined, accuracy, ..Classification::default() };
        LabelWindow {
            window: "1h".into(),
            revision,
            joined,
            predictions: 500,
            performance: Some(Performance::Classification(performance)),
            ..LabelWindow::default()
        }
    }

    fn attribute<'a>(event: &'a Event, name: &str) -> &'a AnyValue {
        &event.attributes.iter().find(|(known, _)| *known == name).unwrap().1
    }

    #[test]
    fn a_revision_says_what_was_said_before() {
        let event = Event::performance_revised(&window(1, 100, 0.75), &window(2, 400, 0.5));
        assert_eq!((event.name, event.severity), (event::PERFORMANCE_REVISED, Severity::Info));
        let ending = "400 of 500 predictions labelled, before: 100; accuracy 0.7500, now 0.5000";
        assert!(event.body.ends_with(ending), "{}", event.body);
        assert_eq!(*attribute(&event, event::REVISION), AnyValue::Int(2));
        assert_eq!(*attribute(&event, event::LABELLED_BEFORE), AnyValue::Int(100));
    }

    #[test]
    fn a_verdict_that_changed_names_the_measures_and_which_way_they_went() {
        let change = Change {
            measure: Measure::Accuracy,
            value: 0.5,
            reference: 0.75,
            p_value: 1e-9,
            significant: true,
            detected: true,
            worse: true,
        };
        let concept = Concept {
            verdict: ConceptVerdict::Drifting,
            rows: 400,
            reference_rows: 1000,
            looks: 1,
            changes: vec![change, Change { measure: Measure::F1, detected: false, ..change }],
        };
        let before = ConceptVerdict::Stable;
        let event = Event::performance_changed(before, &concept, &window(1, 400, 0.5));
        assert_eq!((event.name, event.severity), (event::PERFORMANCE_CHANGED, Severity::Warn));
        let ending = "; accuracy 0.5000, reference 0.7500: worse; before: as it did";
        assert!(event.body.ends_with(ending), "{}", event.body);
        let detected: AnyValue = [AnyValue::from("accuracy")].into_iter().collect();
        assert_eq!(*attribute(&event, event::MEASURES_DETECTED), detected);
    }
}
