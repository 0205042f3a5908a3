use super::*;
use crate::archive::State as ArchiveState;
use crate::capture::{Fault, Limits, RouteTable, Totals};
use crate::config;
use crate::distribution::Distribution;
use crate::drift::ReferenceState;
use crate::drift::{
    Bin, Change, Check, Checked, Checks, Distances, Earlier, EarlyWarning, EarlyWarnings, Expected,
    ExtraFeatures, FeatureReport, FeatureView, HeldReferences, Quality, ReferenceReport,
    References, Verdict, WarningState, WindowReport,
};
use crate::export::family::{Point, Value};
use crate::export::names::{self, Metric};
use crate::labels::{
    ClassPerformance, Classification, Concept, ConceptVerdict, LabelWindow, Measure, Performance,
    PerformanceReference, Report,
};
use crate::latency::{Course, Operation, Outcome, Phase, PhaseTimes, RequestSeries, Signal};
use crate::pipeline::{Problem, Snapshot, StateReport};
use crate::sketch::{Kind, Role};
use http::{Method, StatusCode};
use jiff::Timestamp;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// A process that has seen a little of everything.
pub(crate) struct Sample {
    pub(crate) snapshot: Snapshot,
    pub(crate) latency: latency::Snapshot,
    routes: RouteTable,
    counters: Counters,
    pub(crate) exemplars: Exemplars,
    standing: config::Standing,
    upstream: Authority,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let routes = RouteTable::new::<&str>(&[]).unwrap();
        Self {
            snapshot: snapshot(),
            latency: latency_of(&routes),
            routes,
            counters: Counters::default(),
            exemplars: Exemplars::default(),
            standing: config::Standing::new("00ff".into(), jiff::Timestamp::UNIX_EPOCH),
            upstream: Authority::from_static("127.0.0.1:8080"),
        }
    }

    pub(crate) fn families(&self) -> Vec<Family> {
        let some = |n| NonZeroUsize::new(n).unwrap();
        collect(&Sources {
            snapshot: &self.snapshot,
            latency: &self.latency,
            capture: Totals { kept: 8, sampled_out: 1, dropped_items: 1, ..Totals::default() },
            queue: QueueState {
                items: 2,
                bytes: 4096,
                limits: Limits { items: some(1024), bytes: some(1 << 26) },
            },
            routes: &self.routes,
            exporters: &self.counters,
            exemplars: &self.exemplars,
            config: &self.standing,
            scheme: "http",
            upstream: &self.upstream,
            upstream_scheme: "http",
        })
    }
}

fn distribution_ms(values: &[u64]) -> Distribution {
    let mut distribution = Distribution::of_seconds();
    for ms in values {
        distribution.record_duration(Duration::from_millis(*ms));
    }
    distribution
}

fn latency_of(routes: &RouteTable) -> latency::Snapshot {
    let route = routes.classify("/invocations");
    let series = |method: &str, status, fault, times: &[u64]| {
        let mut sizes = Distribution::of_counts();
        for _ in times {
            sizes.record(300);
        }
        RequestSeries {
            route,
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            outcome: Outcome { status: Some(status), fault },
            duration: distribution_ms(times),
            upstream_duration: distribution_ms(times),
            request_size: sizes.clone(),
            response_size: sizes,
        }
    };
    latency::Snapshot {
        requests: vec![
            series("POST", StatusCode::OK, None, &[3, 30, 300]),
            series("BREW", StatusCode::OK, None, &[1]),
            series("STEW", StatusCode::OK, None, &[1]),
            series("POST", StatusCode::BAD_GATEWAY, Some(Fault::UpstreamReset), &[2]),
        ],
        phases: vec![PhaseTimes {
            route,
            phase: Phase::Total,
            all: distribution_ms(&[3, 30, 300]),
            recent: distribution_ms(&[30]),
        }],
        active_requests: 1,
        open_connections: 4,
        operations: vec![
            operation(Signal::ErrorRatio, Course::Risen),
            operation(Signal::LatencyP50, Course::Fallen),
            operation(Signal::LatencyP95, Course::Learning),
        ],
    }
}

fn operation(signal: Signal, course: Course) -> Operation {
    Operation { signal, course, since: None, usual: None, now: None }
}

fn bin(label: &str, baseline_share: f64, total_rows: u64) -> Bin {
    Bin {
        label: label.into(),
        lower: None,
        upper: None,
        baseline_share,
        recent_rows: 0,
        total_rows,
    }
}

fn beside() -> ReferenceReport {
    ReferenceReport {
        reference: Earlier::SameHourYesterday,
        window: "1h".into(),
        start: None,
        end: None,
        rows: 640,
        distances: Distances { psi: Some(0.01), ks: Some(0.02), ..Distances::default() },
        p_value: Some(0.4),
        significant: false,
        detected: false,
    }
}

fn checked(check: Check, detected: bool) -> Checked {
    Checked {
        check,
        ratio: 0.5,
        baseline_ratio: 0.25,
        p_value: Some(0.125),
        significant: detected,
        detected,
        unit_change: None,
    }
}

fn window(length: &str, rows: u64, verdict: Verdict) -> Arc<WindowReport> {
    let feature = FeatureReport {
        feature: "temp\"max".into(),
        role: Role::Input,
        kind: Kind::Numeric,
        rows,
        distances: Distances { psi: Some(0.5), ks: Some(0.25), ..Distances::default() },
        p_value: Some(0.001),
        significant: true,
        detected: verdict == Verdict::Drifting,
        checks: Some(Box::new(Checks::from(vec![checked(Check::Null, true)]))),
        references: Some(Box::new(References(vec![beside()]))),
        ..FeatureReport::default()
    };
    let window = length.into();
    let features = vec![feature];
    let extra = ExtraFeatures {
        role: Role::Input,
        features: Vec::new(),
        features_total: 3,
        checked: checked(Check::ExtraFeature, false),
    };
    Arc::new(WindowReport {
        window,
        rows,
        coverage: 0.8,
        verdict,
        features,
        extra_features: Some([extra].into()),
        ..WindowReport::default()
    })
}

fn snapshot() -> Snapshot {
    let view = FeatureView {
        feature: "temp\"max".into(),
        role: Role::Input,
        kind: Kind::Numeric,
        bins: vec![bin("[0,9)", 0.75, 9), bin("[9,20)", 0.25, 0)],
        rows_total: 9,
        quality: Quality { null_ratio: 0.1, ..Quality::default() },
        baseline: Some(Arc::new(Expected {
            quality: Quality { null_ratio: 0.05, ..Quality::default() },
            ..Expected::default()
        })),
    };
    let scores = Classification {
        rows: 4,
        accuracy: 0.75,
        precision: 0.7,
        recall: 0.6,
        f1: 0.65,
        intervals: [("accuracy", [0.3, 0.95])].into(),
        classes: vec![ClassPerformance {
            class: "rain".into(),
            support: 3,
            predicted: 2,
            precision: 1.0,
            recall: 0.5,
            f1: 0.625,
            intervals: [("precision", [0.3, 1.0])].into(),
        }],
        ..Classification::default()
    };
    let scores = Performance::Classification(scores);
    Snapshot {
        model_name: "weather".into(),
        model_version: "1".into(),
        reference: ReferenceState::Learning { rows: 9, needed: 36 },
        features: vec![view],
        counted_since: None,
        features_over_limit: 2,
        extra_features: 0,
        windows: [
            window("5m", 50, Verdict::Stable),
            window("1h", 600, Verdict::Stable),
            window("5m", 70, Verdict::Drifting),
        ]
        .into(),
        segments: Vec::new(),
        early: Some(Arc::new(EarlyWarnings {
            average_run_length: 10_000,
            threshold: 4.0,
            features: vec![EarlyWarning {
                feature: "temp\"max".into(),
                role: Role::Input,
                state: WarningState::Warned,
                since: Some(Timestamp::UNIX_EPOCH),
                warned_at: Some(Timestamp::UNIX_EPOCH),
                change: Some(Change::Lower),
                level: None,
                statistic: Some(0.5),
            }],
        })),
        labels: Report {
            predictions: 8,
            joined: 4,
            unknown_ids: 1,
            duplicates: 0,
            expired: 2,
            delay: distribution_ms(&[2000, 90_000]),
            overall: Some(scores.clone()),
            windows: vec![Arc::new(label_window(&scores))],
            reference: PerformanceReference::Learned { performance: Arc::new(scores) },
            ..Report::default()
        },
        decoded_exchanges: 8,
        input_rows: 9,
        output_rows: 9,
        dialects: Vec::new(),
        problems: vec![Problem { reason: "invalid_json", count: 3 }],
        archive: Some(ArchiveState { exchanges: 7, lost_exchanges: 1, ..ArchiveState::default() }),
        state: Some(Arc::new(StateReport {
            bytes: 4096,
            saves: 12,
            failures: 2,
            saved_at: Some(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_millis(1500)),
            unwatched_seconds: 2.5,
            ..StateReport::default()
        })),
        held_references: HeldReferences { windows: 3, bytes: 900, max_bytes: 1000, forgotten: 4 },
    }
}

fn label_window(scores: &Performance) -> LabelWindow {
    let change = crate::labels::Change {
        measure: Measure::Accuracy,
        value: 0.75,
        reference: 0.875,
        p_value: 0.001,
        significant: true,
        detected: true,
        worse: true,
    };
    let verdict = ConceptVerdict::Drifting;
    let (rows, reference_rows) = (4, 100);
    LabelWindow {
        window: "1h".into(),
        revision: 2,
        joined: 4,
        predictions: 8,
        performance: Some(scores.clone()),
        concept: Some(Concept { verdict, rows, reference_rows, looks: 2, changes: vec![change] }),
        ..LabelWindow::default()
    }
}

fn points<'a>(families: &'a [Family], metric: &Metric) -> &'a [Point] {
    let mut found = families.iter().filter(|family| family.metric.name == metric.name);
    let family = found.next().unwrap_or_else(|| panic!("{} is missing", metric.name));
    assert!(found.next().is_none(), "{} is there twice", metric.name);
    &family.points
}

fn value(families: &[Family], metric: &Metric, wanted: &[(&str, &str)]) -> String {
    let has = |point: &&Point| {
        wanted.iter().all(|w| point.attributes.iter().any(|a| a.0 == w.0 && a.1 == w.1))
    };
    let found: Vec<_> = points(families, metric).iter().filter(has).collect();
    assert_eq!(found.len(), 1, "{} {wanted:?}: {found:?}", metric.name);
    match &found[0].value {
        Value::Gauge(value) => value.to_string(),
        Value::Counter(count) => count.to_string(),
        Value::Histogram(values) => values.count().to_string(),
    }
}

#[test]
fn an_earlier_window_stands_beside_the_baseline_and_apart_from_it() {
    let families = Sample::new().families();
    let hour = [("feature", "temp\"max"), ("window", "1h"), ("reference", "same_hour_yesterday")];
    assert_eq!(value(&families, &names::DRIFT_REFERENCE_P_VALUE, &hour), "0.4");
    assert_eq!(value(&families, &names::DRIFT_REFERENCE_DETECTED, &hour), "0");
    assert_eq!(value(&families, &names::DRIFT_REFERENCE_SIGNIFICANT, &hour), "0");
    assert_eq!(value(&families, &names::DRIFT_REFERENCE_ROWS, &hour), "640");
    assert_eq!(value(&families, &names::DRIFT_REFERENCE_DISTANCE, &hour), "0.01");
    assert_eq!(value(&families, &names::DRIFT_REFERENCE_SIZE, &[]), "900");
    assert_eq!(value(&families, &names::DRIFT_REFERENCE_SIZE_LIMIT, &[]), "1000");
    assert_eq!(value(&families, &names::DRIFT_REFERENCE_FORGOTTEN, &[]), "4");
    assert_eq!(value(&families, &names::DRIFT_P_VALUE, &hour[..2]), "0.001", "as it was");
}

#[test]
fn saving_is_counted_and_a_restart_s_gap_is_known() {
    let families = Sample::new().families();
    assert_eq!(value(&families, &names::STATE_SAVES, &[("outcome", "ok")]), "12");
    assert_eq!(value(&families, &names::STATE_SAVES, &[("outcome", "failed")]), "2");
    assert_eq!(value(&families, &names::STATE_SIZE, &[]), "4096");
    assert_eq!(value(&families, &names::STATE_HEALTHY, &[]), "1");
    assert_eq!(value(&families, &names::STATE_LAST_SAVE, &[]), "1.5");
    assert_eq!(value(&families, &names::STATE_REJECTED, &[]), "0");
    assert_eq!(value(&families, &names::STATE_UNWATCHED, &[]), "2.5");
}

#[test]
fn every_point_carries_declared_attributes_only_and_stands_alone() {
    for family in Sample::new().families() {
        let mut seen = std::collections::HashSet::new();
        for point in &family.points {
            assert!(seen.insert(point.attributes.clone()), "{}: {point:?}", family.metric.name);
            for (key, _) in &point.attributes {
                assert!(family.metric.attributes.contains(key), "{}: {key}", family.metric.name);
            }
        }
    }
}

#[test]
fn values_are_of_their_metric_s_kind() {
    for family in Sample::new().families() {
        for point in &family.points {
            let fits = match family.metric.kind {
                names::Kind::Gauge | names::Kind::UpDownCounter => {
                    matches!(point.value, Value::Gauge(_))
                }
                names::Kind::Counter => matches!(point.value, Value::Counter(_)),
                names::Kind::Histogram { .. } => matches!(point.value, Value::Histogram(_)),
            };
            assert!(fits, "{}", family.metric.name);
        }
    }
}

#[test]
fn empty_bins_are_exported_and_shares_have_the_same_keys() {
    let families = Sample::new().families();
    let keys = |metric| points(&families, metric).iter().map(|p| p.attributes.clone()).collect();
    let (rows, shares): (Vec<_>, Vec<_>) =
        (keys(&names::FEATURE_ROWS), keys(&names::BASELINE_SHARE));
    assert_eq!(rows, shares);
    assert_eq!(value(&families, &names::FEATURE_ROWS, &[("bin", "[9,20)")]), "0");
}

#[test]
fn a_level_that_is_called_as_a_bin_is_makes_no_second_series() {
    let mut sample = Sample::new();
    sample.snapshot.features[0].bins.extend([bin("other", 0.5, 4), bin("other", 0.25, 3)]);
    let families = sample.families();
    let other = [("bin", "other")];
    assert_eq!(value(&families, &names::FEATURE_ROWS, &other), "7");
    assert_eq!(value(&families, &names::BASELINE_SHARE, &other), "0.75");
}

#[test]
fn quality_is_also_counted_so_that_a_recent_share_can_be_had() {
    let families = Sample::new().families();
    assert_eq!(value(&families, &names::QUALITY_ROWS_CHECKED, &[]), "9");
    for (check, rows) in
        [("null", "1"), ("type_error", "0"), ("out_of_bounds", "0"), ("new_category", "0")]
    {
        assert_eq!(value(&families, &names::QUALITY_ROWS_FLAGGED, &[("check", check)]), rows);
    }
}

#[test]
fn checks_of_the_last_window_stand_beside_the_baseline_and_extra_features_have_no_name() {
    let families = Sample::new().families();
    let of = |metric, check| value(&families, metric, &[("window", "5m"), ("check", check)]);
    for (metric, expected) in [
        (&names::QUALITY_WINDOW_RATIO, "0.5"),
        (&names::QUALITY_P_VALUE, "0.125"),
        (&names::QUALITY_DETECTED, "1"),
    ] {
        assert_eq!(of(metric, "null"), expected, "{}", metric.name);
    }
    assert_eq!(of(&names::QUALITY_DETECTED, "extra_feature"), "0");
    let mut detected = points(&families, &names::QUALITY_DETECTED).iter();
    let extra = detected.find(|p| p.attributes.iter().any(|a| a.1 == "extra_feature")).unwrap();
    assert!(extra.attributes.iter().all(|(key, _)| *key != "feature"), "{extra:?}");
    assert_eq!(value(&families, &names::QUALITY_EXTRA_FEATURES, &[("window", "5m")]), "3");
    assert_eq!(value(&families, &names::QUALITY_BASELINE_RATIO, &[("check", "null")]), "0.05");
}

#[test]
fn drift_is_that_of_the_last_closed_window_of_each_length() {
    let families = Sample::new().families();
    let drift = |metric, window| value(&families, metric, &[("window", window)]);
    assert_eq!(drift(&names::DRIFT_ROWS, "5m"), "70");
    assert_eq!(drift(&names::DRIFT_DETECTED, "5m"), "1");
    assert_eq!(drift(&names::DRIFT_ROWS, "1h"), "600");
    assert_eq!(drift(&names::DRIFT_DETECTED, "1h"), "0");
}

#[test]
fn early_warnings_and_changes_of_operation_are_gauges() {
    let families = Sample::new().families();
    assert_eq!(value(&families, &names::DRIFT_EARLY_WARNING, &[("role", "input")]), "1");
    for (signal, course) in [("error_ratio", "1"), ("latency_p50", "-1"), ("latency_p95", "0")] {
        assert_eq!(value(&families, &names::OPERATION_CHANGE, &[("signal", signal)]), course);
    }
}

#[test]
fn a_baseline_being_learned_says_so() {
    let families = Sample::new().families();
    let state = |state| value(&families, &names::BASELINE_STATE, &[("state", state)]);
    assert_eq!([state("learning"), state("learned"), state("given")], ["1", "0", "0"]);
    assert_eq!(value(&families, &names::BASELINE_PROGRESS, &[]), "0.25");
}

#[test]
fn every_loss_has_a_counter_from_the_start() {
    let families = Sample::new().families();
    let count = |metric, attributes: &[_]| value(&families, metric, attributes);
    let exchanges = &names::CAPTURE_EXCHANGES;
    assert_eq!(count(exchanges, &[("outcome", "dropped"), ("reason", "queue_bytes")]), "0");
    assert_eq!(count(exchanges, &[("outcome", "undecodable"), ("reason", "invalid_json")]), "3");
    assert_eq!(count(&names::ARCHIVE_EXCHANGES, &[("outcome", "lost")]), "1");
    assert_eq!(count(&names::LABELS_EXPIRED, &[]), "2");
    for reason in ["queue_full", "rejected", "refused", "shutdown"] {
        let of = [("exporter", "otlp"), ("signal", "traces"), ("reason", reason)];
        assert_eq!(count(&names::EXPORT_DROPPED, &of), "0");
    }
}

#[test]
fn unknown_methods_are_one_series() {
    let families = Sample::new().families();
    let other = [("http.request.method", "_OTHER")];
    assert_eq!(value(&families, &names::HTTP_SERVER_REQUEST_DURATION, &other), "2");
}

#[test]
fn an_answer_in_the_model_s_stead_is_not_the_model_s() {
    let families = Sample::new().families();
    let fault = [("error.type", "upstream_reset")];
    let of = |metric| {
        let point = points(&families, metric).iter();
        let mut found = point.filter(|p| p.attributes.iter().any(|a| a.1 == fault[0].1));
        found.next().unwrap().attributes.iter().any(|a| a.0 == "http.response.status_code")
    };
    assert!(of(&names::HTTP_SERVER_REQUEST_DURATION));
    assert!(!of(&names::HTTP_CLIENT_REQUEST_DURATION));
}
