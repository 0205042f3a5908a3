//! What changed: a window's verdict, the checks of its data that fail, and what live rows are compared with.

mod performance;

use super::batch::{Entry, Outbox};
use super::names::{event, key};
use crate::config::{Outcome, Rejected, Reloaded};
use crate::drift::{
    Explanation, Failure, ReferenceState, SegmentReport, Verdict, WarningChange, WarningState,
    WindowReport,
};
use crate::latency::{Course, OperationChange};
use crate::pipeline::{QualityChange, VerdictChange};
use opentelemetry::logs::{AnyValue, Severity};
use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Features that one event names, at most; their number is always told.
const MAX_NAMES: usize = 50;
/// Features that one event explains, at most.
const MAX_EXPLANATIONS: usize = 10;
/// Requests that one event names, at most.
const MAX_EXAMPLES: usize = 10;
/// Segments, and important features, that a sentence names.
const MAX_IMPORTANT: usize = 5;

/// Turns verdicts into events where they change; without a receiver of logs it takes nothing.
#[derive(Clone)]
pub struct Events {
    outboxes: Vec<Outbox<Event>>,
    /// What was last said of the reference, so that only a change is.
    reference: Arc<Mutex<Option<Said>>>,
}

/// The state of the reference, and its hash where there is one.
type Said = (&'static str, Option<String>);

impl Events {
    /// Exports nothing and counts nothing.
    pub fn off() -> Self {
        Self { outboxes: Vec::new(), reference: Arc::default() }
    }

    pub(in crate::export) fn new(outbox: Outbox<Event>) -> Self {
        Self { outboxes: vec![outbox], reference: Arc::default() }
    }

    /// Says of the reference only what `before` has not said.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        Self { reference: Arc::clone(&before.reference), ..self }
    }

    /// For the receivers of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.outboxes.extend(other.outboxes);
        self
    }

    /// Queues `taffrail.drift.changed`, or `taffrail.drift.segments_changed` where the verdict on the
    /// whole is what it was.
    pub fn offer(&self, change: &VerdictChange) {
        if !self.outboxes.is_empty() {
            self.queue(&Event::drift_changed(change));
        }
    }

    /// Queues `taffrail.quality.changed`.
    pub fn offer_quality(&self, change: &QualityChange) {
        if !self.outboxes.is_empty() {
            self.queue(&Event::quality_changed(change));
        }
    }

    /// Queues `taffrail.drift.early_warning`.
    pub fn offer_warning(&self, change: &WarningChange) {
        if !self.outboxes.is_empty() {
            self.queue(&Event::early_warning(change));
        }
    }

    /// Queues `taffrail.operation.changed`.
    pub fn offer_operation(&self, change: &OperationChange) {
        if !self.outboxes.is_empty() {
            self.queue(&Event::operation_changed(change));
        }
    }

    /// Queues `taffrail.baseline.changed` when learning starts, when it ends, or when a baseline is
    /// given.
    pub fn offer_reference(&self, reference: &ReferenceState) {
        if self.outboxes.is_empty() {
            return;
        }
        let said = match reference {
            ReferenceState::Learning { .. } => (reference.as_str(), None),
            ReferenceState::Learned { hash, .. } | ReferenceState::Given { hash, .. } => {
                (reference.as_str(), Some(hash.clone()))
            }
        };
        let mut last = self.reference.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&said) {
            *last = Some(said);
            self.queue(&Event::baseline_changed(reference));
        }
    }

    /// Queues `taffrail.config.reloaded` or `taffrail.config.rejected`; nothing for a reload that found
    /// all as it was.
    pub fn offer_reload(&self, outcome: &Outcome) {
        match outcome {
            _ if self.outboxes.is_empty() => {}
            Outcome::Reloaded(reloaded) if reloaded.unchanged => {}
            Outcome::Reloaded(reloaded) => self.queue(&Event::config_reloaded(reloaded)),
            Outcome::Rejected(rejected) => self.queue(&Event::config_rejected(rejected)),
        }
    }

    fn queue(&self, event: &Event) {
        for outbox in &self.outboxes {
            outbox.offer(event.clone());
        }
    }
}

#[derive(Debug, Clone)]
pub(in crate::export) struct Event {
    pub(in crate::export) name: &'static str,
    pub(in crate::export) at: SystemTime,
    pub(in crate::export) severity: Severity,
    pub(in crate::export) body: String,
    pub(in crate::export) attributes: Vec<(&'static str, AnyValue)>,
}

impl Entry for Event {
    fn items(&self) -> u64 {
        1
    }
}

impl Event {
    fn drift_changed(change: &VerdictChange) -> Self {
        let VerdictChange { before, report, reference } = change;
        let detected: Vec<&str> =
            report.features.iter().filter(|f| f.detected).map(|f| &*f.feature).collect();
        let names = &detected[..detected.len().min(MAX_NAMES)];
        let mut attributes = vec![
            (event::WINDOW, text(&report.window)),
            (event::VERDICT_BEFORE, text(before.as_str())),
            (event::VERDICT_AFTER, text(report.verdict.as_str())),
            (event::FEATURES_DETECTED, names.iter().map(|name| text(name)).collect()),
            (event::FEATURES_DETECTED_COUNT, count(detected.len() as u64)),
            (event::ROWS, count(report.rows)),
            (event::COVERAGE, AnyValue::Double(report.coverage)),
            (event::BASELINE_STATE, text(reference.as_str())),
        ];
        attributes.extend(parts(report));
        let ids = examples(report);
        if !ids.is_empty() {
            attributes.push((event::EXAMPLES, ids.into_iter().map(text).collect()));
        }
        attributes.extend(report.start.map(|start| (event::START, text(&start.to_string()))));
        attributes.extend(report.end.map(|end| (event::END, text(&end.to_string()))));
        let segments_drift = report.segments.iter().any(SegmentReport::is_drifting);
        let said = explanations(report);
        if !said.is_empty() {
            let said = said.iter().map(|sentence| text(sentence));
            attributes.push((event::EXPLANATIONS, said.collect()));
        }
        attributes.extend(report.provenance.iter().flat_map(|it| {
            [
                (event::VERDICT_BASELINE_HASH, text(&it.baseline_hash)),
                (event::VERDICT_CONFIG_HASH, text(&it.config_hash)),
                (event::SKETCH_HASH, text(&it.sketch_hash)),
            ]
        }));
        let severity = match report.verdict {
            Verdict::Drifting => Severity::Warn,
            _ if segments_drift => Severity::Warn,
            Verdict::Stable | Verdict::InsufficientData => Severity::Info,
        };
        let mut body = sentence(report, *before, names, detected.len());
        body.push_str(&of_parts(report));
        if let Some(first) = said.first() {
            body.push_str(". ");
            body.push_str(first);
        }
        let of_the_whole = *before != report.verdict;
        let name = if of_the_whole { event::DRIFT_CHANGED } else { event::SEGMENTS_CHANGED };
        Self { name, at: SystemTime::now(), severity, body, attributes }
    }

    fn quality_changed(change: &QualityChange) -> Self {
        let QualityChange { began, ended, report } = change;
        let named = |failures: &[Failure]| -> AnyValue {
            failures.iter().take(MAX_NAMES).map(|failure| text(&failure.to_string())).collect()
        };
        let now = report.failures().len() as u64;
        let mut attributes = vec![
            (event::WINDOW, text(&report.window)),
            (event::QUALITY_BEGAN, named(began)),
            (event::QUALITY_ENDED, named(ended)),
            (event::QUALITY_FAILED_COUNT, count(now)),
            (event::ROWS, count(report.rows)),
            (event::COVERAGE, AnyValue::Double(report.coverage)),
        ];
        attributes.extend(report.start.map(|start| (event::START, text(&start.to_string()))));
        attributes.extend(report.end.map(|end| (event::END, text(&end.to_string()))));
        let listed = |failures: &[Failure]| {
            let named = failures.iter().take(MAX_NAMES).map(ToString::to_string);
            let more = if failures.len() > MAX_NAMES { ", …" } else { "" };
            format!("{}{more}", named.collect::<Vec<_>>().join(", "))
        };
        let (window, rows) = (&report.window, report.rows);
        let mut body = format!("Data quality in the {window} window of {rows} rows");
        for (what, failures) in [("fails", began), ("no longer fails", ended)] {
            if !failures.is_empty() {
                body = format!("{body}; {what}: {}", listed(failures));
            }
        }
        let severity = if began.is_empty() { Severity::Info } else { Severity::Warn };
        Self { name: event::QUALITY_CHANGED, at: SystemTime::now(), severity, body, attributes }
    }

    fn early_warning(change: &WarningChange) -> Self {
        let WarningChange { warning, ended } = change;
        let about = warning.change.zip(warning.since).or(*ended);
        let mut attributes = vec![
            (key::FEATURE, text(&warning.feature)),
            (key::ROLE, text(warning.role.as_str())),
            (event::STATE, text(warning.state.as_str())),
        ];
        if let Some((change, since)) = about {
            attributes.push((event::CHANGE, text(change.as_str())));
            attributes.push((event::SINCE, text(&since.to_string())));
        }
        attributes.extend(warning.level.as_ref().map(|level| (event::LEVEL, text(level))));
        let (feature, words) =
            (&warning.feature, about.map_or("", |(change, _)| change.in_words()));
        let since = about.map(|(_, since)| format!(" since {since}")).unwrap_or_default();
        let (severity, body) = match warning.state {
            WarningState::Warned => {
                (Severity::Warn, format!("Early warning: {feature}: {words}{since}"))
            }
            WarningState::Quiet => (
                Severity::Info,
                format!("{feature} is as in the baseline again; before: {words}{since}"),
            ),
        };
        Self { name: event::EARLY_WARNING, at: SystemTime::now(), severity, body, attributes }
    }

    fn operation_changed(change: &OperationChange) -> Self {
        let OperationChange { before, operation } = change;
        let (signal, course) = (operation.signal.as_str(), operation.course);
        let mut attributes = vec![
            (key::SIGNAL, text(signal)),
            (event::COURSE_BEFORE, text(before.as_str())),
            (event::COURSE_AFTER, text(course.as_str())),
        ];
        attributes.extend(operation.since.map(|since| (event::SINCE, text(&since.to_string()))));
        attributes.extend(operation.usual.map(|usual| (event::USUAL, AnyValue::Double(usual))));
        attributes.extend(operation.now.map(|now| (event::NOW, AnyValue::Double(now))));
        let number = |number: Option<f64>| number.map_or_else(|| "–".into(), |n| format!("{n:.4}"));
        let (usual, now) = (number(operation.usual), number(operation.now));
        let body = match course {
            Course::Risen | Course::Fallen => {
                format!("{signal} has {}: {now}, usually {usual}", course.as_str())
            }
            Course::Usual | Course::Learning => format!("{signal} is as usual: {usual}"),
        };
        let severity = match course {
            Course::Risen => Severity::Warn,
            _ => Severity::Info,
        };
        Self { name: event::OPERATION_CHANGED, at: SystemTime::now(), severity, body, attributes }
    }

    fn baseline_changed(reference: &ReferenceState) -> Self {
        let (rows, body) = match reference {
            ReferenceState::Learning { rows, needed } => {
                (rows, format!("No baseline was given: it is learned from the first {needed} rows"))
            }
            ReferenceState::Learned { rows, .. } => {
                (rows, format!("The baseline was learned from the first {rows} live rows"))
            }
            ReferenceState::Given { rows, .. } => {
                (rows, format!("Live rows are compared with a baseline of {rows} rows"))
            }
        };
        let attributes = vec![
            (event::BASELINE_STATE, text(reference.as_str())),
            (event::BASELINE_ROWS, count(*rows)),
        ];
        let (name, severity) = (event::BASELINE_CHANGED, Severity::Info);
        Self { name, at: SystemTime::now(), severity, body, attributes }
    }
}

/// Segments that drift, by most features first.
fn drifting_segments(report: &WindowReport) -> Vec<&SegmentReport> {
    let mut segments: Vec<_> = report.segments.iter().filter(|s| s.is_drifting()).collect();
    segments.sort_by_key(|segment| Reverse(segment.features_detected));
    segments
}

/// Features that drift and have an importance, what matters most first.
fn important(report: &WindowReport) -> Vec<&str> {
    let ranked = report.features.iter().filter(|feature| feature.detected);
    let mut ranked: Vec<(usize, &str)> =
        ranked.filter_map(|f| Some((f.weight.as_ref()?.rank?, &*f.feature))).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(MAX_IMPORTANT).map(|(_, name)| name).collect()
}

fn parts(report: &WindowReport) -> Vec<(&'static str, AnyValue)> {
    let mut attributes = Vec::new();
    if !report.segments.is_empty() {
        let drifting = drifting_segments(report);
        let named = drifting.iter().take(MAX_NAMES).map(|segment| text(&segment.segment));
        attributes.push((event::SEGMENTS_DRIFTING, named.collect()));
        attributes.push((event::SEGMENTS_DRIFTING_COUNT, count(drifting.len() as u64)));
    }
    let important = important(report);
    if !important.is_empty() {
        attributes.push((event::FEATURES_IMPORTANT, important.into_iter().map(text).collect()));
    }
    if let Some(drift) = &report.attribution {
        attributes.push((event::ATTRIBUTION_NDCG, AnyValue::Double(drift.ndcg)));
    }
    attributes
}

/// What is added to the sentence on the whole.
fn of_parts(report: &WindowReport) -> String {
    let mut told = Vec::new();
    let important = important(report);
    if !important.is_empty() {
        told.push(format!("; most important: {}", important.join(", ")));
    }
    let drifting = drifting_segments(report);
    if !drifting.is_empty() {
        let names: Vec<&str> =
            drifting.iter().take(MAX_IMPORTANT).map(|segment| &*segment.segment).collect();
        let more = if drifting.len() > names.len() { ", …" } else { "" };
        let (many, all) = (drifting.len(), report.segments.len());
        told.push(format!("; {many} of {all} segments drift: {}{more}", names.join(", ")));
    }
    if report.attribution.as_ref().is_some_and(|drift| drift.detected) {
        told.push("; the ranking of features by attribution is another".to_owned());
    }
    told.concat()
}

/// Why features drift, in a sentence each: those whose shares of rows moved most first.
fn explanations(report: &WindowReport) -> Vec<&str> {
    let detected = report.features.iter().filter(|feature| feature.detected);
    let mut explained: Vec<_> = detected.filter_map(|it| it.explanation.as_deref()).collect();
    let furthest = |it: &Explanation| it.moved.first().map_or(0.0, |moved| moved.difference.abs());
    explained.sort_by(|a, b| furthest(b).total_cmp(&furthest(a)));
    explained.iter().take(MAX_EXPLANATIONS).map(|explanation| &*explanation.sentence).collect()
}

/// Ids of requests whose values are where drifting features grew, each once.
fn examples(report: &WindowReport) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for example in report.features.iter().flat_map(|feature| feature.examples.iter()) {
        if ids.len() < MAX_EXAMPLES && !ids.contains(&&*example.request_id) {
            ids.push(&example.request_id);
        }
    }
    ids
}

impl Event {
    fn config_reloaded(reloaded: &Reloaded) -> Self {
        let keys: Vec<_> = reloaded.changed.iter().map(|change| change.key).collect();
        let waiting = &reloaded.restart_required;
        let mut body = match keys.len() {
            0 => "No key of the configuration can be taken over".to_owned(),
            _ => format!("The configuration was reloaded: {}", keys.join(", ")),
        };
        if !waiting.is_empty() {
            body.push_str("; after a restart: ");
            body.push_str(&waiting.join(", "));
        }
        let changes = reloaded.changed.iter().map(ToString::to_string);
        Self {
            name: event::CONFIG_RELOADED,
            at: reloaded.at.into(),
            severity: Severity::Info,
            body,
            attributes: vec![
                (event::CONFIG_CAUSE, text(reloaded.cause.as_str())),
                (event::CONFIG_HASH, text(&reloaded.hash)),
                (event::CONFIG_CHANGED, changes.map(AnyValue::from).collect()),
                (event::CONFIG_RESTART_REQUIRED, waiting.iter().map(|key| text(key)).collect()),
            ],
        }
    }

    fn config_rejected(rejected: &Rejected) -> Self {
        let problems: Vec<_> = rejected.problems.iter().map(ToString::to_string).collect();
        let told = problems[..problems.len().min(MAX_NAMES)].iter();
        let first = problems.first().map_or("", String::as_str);
        let more = if problems.len() > 1 { "; …" } else { "" };
        Self {
            name: event::CONFIG_REJECTED,
            at: rejected.at.into(),
            severity: Severity::Error,
            body: format!(
                "The configuration was rejected, the one before stays in force: {first}{more}"
            ),
            attributes: vec![
                (event::CONFIG_CAUSE, text(rejected.cause.as_str())),
                (event::CONFIG_HASH, text(&rejected.hash)),
                (event::CONFIG_PROBLEMS, told.map(|problem| text(problem)).collect()),
                (event::CONFIG_PROBLEMS_COUNT, count(problems.len() as u64)),
            ],
        }
    }
}

fn sentence(report: &WindowReport, before: Verdict, names: &[&str], detected: usize) -> String {
    let (window, rows, of) = (&report.window, report.rows, report.features.len());
    let (was, joint) = (spoken(before), report.joint_in_words());
    match report.verdict {
        Verdict::Drifting if names.is_empty() && joint.is_some() => {
            let joint = joint.unwrap_or_default();
            format!("Drift in the {window} window of {rows} rows, before: {was}; {joint}")
        }
        Verdict::Drifting if names.is_empty() => {
            format!("Drift in the {window} window of {rows} rows, before: {was}")
        }
        Verdict::Drifting => {
            let more = if detected > names.len() { ", …" } else { "" };
            let names = names.join(", ");
            let joint = joint.map(|joint| format!("; {joint}")).unwrap_or_default();
            format!(
                "Drift in the {window} window of {rows} rows, before: {was}; \
                 {detected} of {of} features: {names}{more}{joint}"
            )
        }
        after => format!("The {window} window of {rows} rows: {}, before: {was}", spoken(after)),
    }
}

const fn spoken(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Stable => "stable",
        Verdict::Drifting => "drifting",
        Verdict::InsufficientData => "too few rows to tell",
    }
}

fn text(text: &str) -> AnyValue {
    AnyValue::from(text.to_owned())
}

fn count(count: u64) -> AnyValue {
    AnyValue::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{FeatureReport, SegmentReference, Weight};

    fn segment(name: &str, verdict: Verdict, features_detected: usize) -> SegmentReport {
        SegmentReport {
            segment: name.into(),
            rows: 60,
            verdict,
            reference: SegmentReference::Segment,
            features_detected,
            features: Vec::new(),
        }
    }

    fn feature(name: &str, rank: usize) -> FeatureReport {
        let weight = Weight { importance: 0.5, weighted_distance: 0.1, rank: Some(rank) };
        FeatureReport {
            feature: name.into(),
            significant: true,
            detected: true,
            weight: Some(Box::new(weight)),
            ..FeatureReport::default()
        }
    }

    fn event(before: Verdict, verdict: Verdict) -> Event {
        let report = WindowReport {
            window: "5m".into(),
            rows: 180,
            verdict,
            features: vec![feature("wind", 2), feature("temp_max", 1)],
            segments: vec![
                segment("country=FR", Verdict::Drifting, 1),
                segment("country=DE", Verdict::Stable, 0),
                segment("country=IT", Verdict::Drifting, 3),
            ],
            ..WindowReport::default()
        };
        let reference = ReferenceState::Given { rows: 1000, hash: "abc".into() };
        Event::drift_changed(&VerdictChange { before, report: Arc::new(report), reference })
    }

    fn of<'e>(event: &'e Event, key: &str) -> &'e AnyValue {
        &event.attributes.iter().find(|(known, _)| *known == key).unwrap().1
    }

    fn list(names: &[&str]) -> AnyValue {
        names.iter().map(|name| text(name)).collect()
    }

    #[test]
    fn an_event_names_the_segments_that_drift_and_the_features_that_matter() {
        let event = event(Verdict::Stable, Verdict::Drifting);
        assert_eq!(event.name, event::DRIFT_CHANGED);
        let drifting = ["country=IT", "country=FR"];
        assert_eq!(*of(&event, event::SEGMENTS_DRIFTING), list(&drifting));
        assert_eq!(*of(&event, event::SEGMENTS_DRIFTING_COUNT), AnyValue::Int(2));
        assert_eq!(*of(&event, event::FEATURES_IMPORTANT), list(&["temp_max", "wind"]));
        assert!(
            event.body.ends_with(
                "; most important: temp_max, wind; 2 of 3 segments drift: country=IT, country=FR"
            ),
            "{}",
            event.body
        );
    }

    #[test]
    fn other_segments_under_the_same_verdict_are_an_event_of_their_own() {
        let event = event(Verdict::Stable, Verdict::Stable);
        assert_eq!((event.name, event.severity), (event::SEGMENTS_CHANGED, Severity::Warn));
    }
}
