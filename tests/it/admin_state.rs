//! An admin state made by hand: a weather model whose summer turns into winter.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use arc_swap::{ArcSwap, ArcSwapOption};
use http::{HeaderValue, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use taffrail::admin::{History, LabelsAccepted, Readiness, Recent, Recorded, Setting, State};
use taffrail::capture::{
    Counters, Exchange, Limits, Message, Queue, RequestId, RouteTable, Timing, Trace,
};
use taffrail::config::{Config, Secret, Standing};
use taffrail::decode::{Cell, Column, Rows};
use taffrail::distribution::Distribution;
use taffrail::drift::{
    Bin, Change, Distances, Earlier, EarlyWarning, EarlyWarnings, Example, Expected, FeatureReport,
    FeatureView, HeldReferences, Quality, ReferenceReport, References, Shape, Verdict,
    WarningState, WindowReport,
};
use taffrail::labels::estimate::{
    Estimate, EstimatedFigure, Estimates, LearntFrom, Realised, State as Estimation, TrackRecord,
    Trust,
};
use taffrail::latency::{Course, Operation, Outcome, Phase, PhaseTimes, RequestSeries, Signal};
use taffrail::sketch::{Kind, Role};
use taffrail::{capture, labels, latency, pipeline};

pub(crate) const TOKEN: &str = "aye-aye";

pub(crate) fn minute(minute: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + minute * 60).unwrap()
}

/// Nothing has happened yet.
pub(crate) fn fresh() -> State {
    let snapshot = pipeline::Snapshot {
        model_name: "seattle-weather".into(),
        model_version: "3".into(),
        reference: taffrail::drift::ReferenceState::Learning { rows: 1234, needed: 5000 },
        features: Vec::new(),
        counted_since: None,
        features_over_limit: 0,
        extra_features: 0,
        windows: [].into(),
        segments: Vec::new(),
        early: None,
        labels: labels::Report::default(),
        decoded_exchanges: 0,
        input_rows: 0,
        output_rows: 0,
        problems: Vec::new(),
        dialects: Vec::new(),
        archive: None,
        state: None,
        held_references: HeldReferences::default(),
    };
    let limits = Limits {
        items: NonZeroUsize::new(4096).unwrap(),
        bytes: NonZeroUsize::new(64 << 20).unwrap(),
    };
    State {
        analysis: Arc::new(ArcSwap::from_pointee(snapshot)),
        latency: Arc::new(ArcSwap::from_pointee(latency::Snapshot::default())),
        queue: Arc::new(Queue::new(limits, Arc::new(Counters::default()))),
        routes: Arc::new(RouteTable::new::<&str>(&[]).unwrap()),
        history: Arc::new(History::default()),
        recent: Arc::new(Recent::new(NonZeroUsize::new(100).unwrap(), 8 << 20)),
        readiness: Arc::new(|| Readiness::Ready),
        liveness: Arc::new(Vec::new),
        metrics: Arc::new(|accept| {
            (accept.unwrap_or("text/plain").to_owned(), "taffrail_capture_coverage 1\n".into())
        }),
        labels: Arc::new(|_, _| Ok(LabelsAccepted { accepted: 1, rejected: Vec::new() })),
        drain: Arc::new(|| ()),
        reload: Arc::new(|| Box::pin(std::future::ready(None))),
        exporters: Arc::new(Vec::new),
        settings: Arc::new(ArcSwap::from_pointee(vec![
            setting("listen", "0.0.0.0:9000", "default"),
            setting("upstream.url", "http://127.0.0.1:8080", "--upstream"),
            setting("drift.min_rows", "50", "taffrail.yaml:14"),
            setting("export.otlp.headers", "***", "OTEL_EXPORTER_OTLP_HEADERS"),
        ])),
        standing: Arc::new(ArcSwap::from_pointee(Standing::new(
            "5d0c7f4e21ab9368".into(),
            Timestamp::now() - SignedDuration::from_mins(7),
        ))),
        memory: Config::from_pairs(&[("upstream.url", "http://127.0.0.1:8080")]).unwrap().memory,
        token: Arc::default(),
        traffic_url: "http://127.0.0.1:9000".into(),
        upstream_url: "http://127.0.0.1:8080".into(),
        started_at: Timestamp::now() - SignedDuration::from_mins(7),
        version: "0.1.0",
    }
}

/// In the middle of a busy winter.
pub(crate) fn busy() -> State {
    let state = State { token: token(TOKEN), ..fresh() };
    let mut snapshot = pipeline::Snapshot::clone(&state.analysis.load());
    snapshot.reference =
        taffrail::drift::ReferenceState::Given { rows: 920, hash: "9f31c2a47be0d5518c".into() };
    snapshot.features = features();
    snapshot.windows = windows().into();
    snapshot.early = Some(Arc::new(early()));
    snapshot.labels = performance();
    snapshot.decoded_exchanges = 48_211;
    snapshot.input_rows = 96_422;
    snapshot.output_rows = 96_422;
    snapshot.problems = vec![
        pipeline::Problem { reason: "unknown_content_type", count: 12 },
        pipeline::Problem { reason: "invalid_json", count: 3 },
    ];
    snapshot.archive = Some(taffrail::archive::State {
        exchanges: 48_190,
        bytes: 18_400_000,
        files: 7,
        ..taffrail::archive::State::default()
    });
    state.analysis.store(Arc::new(snapshot));
    traffic(&state);
    (0..30).for_each(|n| state.recent.push(Arc::new(exchange(n))));
    state
}

fn early() -> EarlyWarnings {
    let quiet = |(name, role): (&str, Role)| EarlyWarning {
        feature: name.into(),
        role,
        state: WarningState::Quiet,
        since: None,
        warned_at: None,
        change: None,
        level: None,
        statistic: Some(-2.5),
    };
    let names = ["temp_max", "temp_min", "wind", "precipitation"];
    let names = names.into_iter().map(|name| (name, Role::Input));
    let mut features: Vec<_> = names.chain([("weather", Role::Output)]).map(quiet).collect();
    for (place, change, level) in [(0, Change::Lower, None), (4, Change::MoreOf, Some("rain"))] {
        features[place].state = WarningState::Warned;
        features[place].since = Some(minute(178));
        features[place].warned_at = Some(minute(179));
        features[place].change = Some(change);
        features[place].level = level.map(Into::into);
    }
    EarlyWarnings { average_run_length: 10_000, threshold: 4.7, features }
}

pub(crate) fn token(text: &str) -> Arc<ArcSwapOption<Secret>> {
    Arc::new(ArcSwapOption::from_pointee(Secret::new(text)))
}

fn setting(key: &str, value: &str, source: &str) -> Setting {
    Setting { key: key.into(), value: value.into(), source: source.into() }
}

fn performance() -> labels::Report {
    let measures = |accuracy: f64, rows| {
        labels::Performance::Classification(labels::Classification {
            rows,
            accuracy,
            precision: accuracy - 0.03,
            recall: accuracy - 0.05,
            f1: accuracy - 0.04,
            ..labels::Classification::default()
        })
    };
    let window = |index: i64| labels::LabelWindow {
        window: "5m".into(),
        start: minute(index * 5),
        end: minute(index * 5 + 5),
        joined: 300,
        predictions: 340,
        performance: (index < 22).then(|| {
            let wobble = f64::from(u8::try_from(index * 7 % 5).unwrap()) * 0.006;
            let fall = f64::from(u8::try_from((index - 9).max(0)).unwrap()) * 0.017;
            measures(0.885 + wobble - fall, 300)
        }),
        ..labels::LabelWindow::default()
    };
    let mut delay = Distribution::of_seconds();
    (1..200).for_each(|n| delay.record_duration(Duration::from_millis(40 * n)));
    labels::Report {
        predictions: 8160,
        joined: 6600,
        unknown_ids: 4,
        delay,
        overall: Some(measures(0.836, 6600)),
        windows: (0..24).map(|index| Arc::new(window(index))).collect(),
        estimates: Arc::new(estimates()),
        ..labels::Report::default()
    }
}

/// What scores said, which did not see the concept change.
fn estimates() -> Estimates {
    let window = |index: i64| {
        let realised = Realised { rows: 300, value: 0.871, error: 0.004, inside: true };
        let missed = Realised { value: 0.72, error: 0.155, inside: false, ..realised };
        let figure = EstimatedFigure {
            measure: labels::Measure::Accuracy,
            value: 0.875,
            low: 0.83,
            high: 0.92,
            realised: (index < 22).then_some(if index < 15 { realised } else { missed }),
        };
        Estimate {
            window: "5m".into(),
            start: minute(index * 5),
            end: minute(index * 5 + 5),
            closed: index < 23,
            rows: 340,
            state: Estimation::Estimated,
            source: Some(LearntFrom::Reference),
            figures: vec![figure],
        }
    };
    let record = TrackRecord {
        measure: labels::Measure::Accuracy,
        windows: 22,
        inside: 15,
        mean_absolute_error: 0.052,
        error_of_no_change: Some(0.061),
    };
    Estimates {
        source: Some(LearntFrom::Reference),
        calibration_rows: 2500,
        trust: Trust::NotTrusted,
        records: vec![record],
        windows: (0..24).map(window).map(Arc::new).collect(),
    }
}

fn features() -> Vec<FeatureView> {
    let temperature = [4, 9, 16, 25, 31, 38, 29, 22, 14, 8, 3, 1];
    let cold = [88, 71, 46, 22, 9, 4, 2, 0, 0, 0, 0, 0];
    let wind = [12, 30, 44, 38, 24, 14, 8, 4, 2, 1, 1, 1];
    let windy = [10, 27, 41, 40, 27, 16, 9, 5, 2, 1, 1, 0];
    let levels = ["sun", "rain", "drizzle", "fog", "snow"];
    vec![
        numeric("temp_max", &temperature, &cold, 10.0, 2.5),
        numeric("temp_min", &temperature, &cold, 2.0, 1.8),
        numeric("wind", &wind, &windy, 0.0, 0.8),
        numeric("precipitation", &[70, 12, 8, 4, 3, 2, 1], &[31, 18, 16, 14, 9, 7, 5], 0.0, 4.0),
        categorical("weather", Role::Output, &levels, &[62, 22, 9, 6, 1], &[18, 55, 6, 8, 13]),
    ]
}

fn numeric(name: &str, baseline: &[u64], live: &[u64], low: f64, width: f64) -> FeatureView {
    let bin = |index: usize| {
        let lower = low + width * index as f64;
        (format!("[{lower:.1},{:.1})", lower + width), Some(lower), Some(lower + width))
    };
    view(name, Role::Input, Kind::Numeric, (0..baseline.len()).map(bin), baseline, live)
}

pub(crate) fn categorical(
    name: &str,
    role: Role,
    levels: &[&str],
    baseline: &[u64],
    live: &[u64],
) -> FeatureView {
    let bins = levels.iter().map(|level| ((*level).to_owned(), None, None));
    view(name, role, Kind::Categorical, bins, baseline, live)
}

fn view(
    name: &str,
    role: Role,
    kind: Kind,
    bins: impl Iterator<Item = (String, Option<f64>, Option<f64>)>,
    baseline: &[u64],
    live: &[u64],
) -> FeatureView {
    let all: u64 = baseline.iter().sum();
    let bin = |(index, (label, lower, upper)): (usize, (String, Option<f64>, Option<f64>))| Bin {
        label: label.into(),
        lower,
        upper,
        baseline_share: baseline[index] as f64 / all as f64,
        recent_rows: live[index],
        total_rows: live[index] * 40,
    };
    let quality = match name {
        "temp_max" => {
            Quality { null_ratio: 0.004, out_of_bounds_ratio: 0.113, ..Quality::default() }
        }
        _ => Quality::default(),
    };
    FeatureView {
        feature: name.into(),
        role,
        kind,
        bins: bins.enumerate().map(bin).collect(),
        rows_total: 96_422,
        quality,
        baseline: Some(Arc::new(Expected {
            rows: 920,
            quantiles: (kind == Kind::Numeric).then_some([2.0, 6.0, 11.0, 17.0, 26.0]),
            quality: Quality::default(),
        })),
    }
}

fn windows() -> Vec<Arc<WindowReport>> {
    let mut windows: Vec<_> = (0..36)
        .map(|index| Arc::new(window("5m", minute(index * 5), 5, index > 20 && index != 24, index)))
        .collect();
    windows.insert(30, Arc::new(window("1h", minute(60), 60, false, 2)));
    windows.push(Arc::new(window("1h", minute(120), 60, true, 2)));
    windows
}

/// The season, unlike the hour, was the same the day before.
fn yesterday(start: Timestamp, minutes: i64, was_cold_too: bool) -> References {
    let start = start - SignedDuration::from_hours(24);
    References(vec![ReferenceReport {
        reference: Earlier::SameHourYesterday,
        window: "1h".into(),
        start: Some(start),
        end: Some(start + SignedDuration::from_mins(minutes)),
        rows: if was_cold_too { 803 } else { 798 },
        distances: Distances { psi: Some(0.012), ..Distances::default() },
        p_value: Some(0.47),
        significant: false,
        detected: false,
    }])
}

pub(crate) fn window(
    label: &str,
    start: Timestamp,
    minutes: i64,
    cold: bool,
    n: i64,
) -> WindowReport {
    let has_few_rows = n == 0;
    let report = |feature: &str, role, kind, follows_cold: bool| {
        let detected = cold && follows_cold;
        let example = (kind == Kind::Numeric).then(|| Example {
            request_id: "req 1/7".into(),
            row: 2,
            bin: "(-inf,3.9)".into(),
        });
        FeatureReport {
            feature: feature.into(),
            role,
            kind,
            rows: if has_few_rows { 31 } else { 812 },
            distances: Distances {
                psi: Some(if detected { 0.71 } else { 0.031 }),
                jensen_shannon: Some(if detected { 0.384 } else { 0.057 }),
                ks: (kind == Kind::Numeric).then_some(if detected { 0.42 } else { 0.036 }),
                l_infinity: (kind == Kind::Categorical).then_some(if detected {
                    0.44
                } else {
                    0.02
                }),
                ..Distances::default()
            },
            p_value: (!has_few_rows).then_some(if detected { 1e-9 } else { 0.31 }),
            significant: detected,
            detected,
            examples: example.filter(|_| detected).into_iter().collect(),
            shape: Shape {
                shares: vec![0.25; 4].into(),
                quantiles: (kind == Kind::Numeric).then_some([1.5, 4.0, 7.5, 9.0, 13.0]),
            },
            references: Some(Box::new(yesterday(start, minutes, detected))),
            ..FeatureReport::default()
        }
    };
    let verdict = match (has_few_rows, cold) {
        (true, _) => Verdict::InsufficientData,
        (false, true) => Verdict::Drifting,
        (false, false) => Verdict::Stable,
    };
    WindowReport {
        window: label.into(),
        start: Some(start),
        end: Some(start + SignedDuration::from_mins(minutes)),
        rows: if has_few_rows { 31 } else { 812 },
        coverage: 0.998,
        verdict,
        features: vec![
            report("temp_max", Role::Input, Kind::Numeric, true),
            report("temp_min", Role::Input, Kind::Numeric, true),
            report("wind", Role::Input, Kind::Numeric, false),
            report("precipitation", Role::Input, Kind::Numeric, n % 2 == 0),
            report("weather", Role::Output, Kind::Categorical, true),
        ],
        ..WindowReport::default()
    }
}

/// Two minutes of requests, a second at a time, of which a few fail.
fn operation(signal: Signal) -> Operation {
    match signal {
        Signal::LatencyP95 => Operation {
            signal,
            course: Course::Risen,
            since: Some(minute(177)),
            usual: Some(0.021),
            now: Some(0.084),
        },
        _ => Operation { signal, course: Course::Usual, since: None, usual: Some(0.01), now: None },
    }
}

fn traffic(state: &State) {
    let route = state.routes.classify("/v2/models/weather/infer");
    let series = |status: StatusCode| RequestSeries {
        route,
        method: Method::POST,
        outcome: Outcome { status: Some(status), fault: None },
        duration: Distribution::of_seconds(),
        upstream_duration: Distribution::of_seconds(),
        request_size: Distribution::of_counts(),
        response_size: Distribution::of_counts(),
    };
    let times = |phase: &Phase| PhaseTimes {
        route,
        phase: *phase,
        all: Distribution::of_seconds(),
        recent: Distribution::of_seconds(),
    };
    let mut latency = latency::Snapshot {
        requests: vec![series(StatusCode::OK), series(StatusCode::INTERNAL_SERVER_ERROR)],
        phases: Phase::ALL.iter().map(times).collect(),
        active_requests: 3,
        open_connections: 16,
        operations: Signal::ALL.map(operation).to_vec(),
    };
    let mut totals = capture::Totals::default();
    let counters = state.queue.counters();
    for second in 0..110u64 {
        state.history.push(
            minute(0) + SignedDuration::from_secs(second.cast_signed()),
            &latency,
            totals,
        );
        for request in 0..(340 + second * 31 % 90) {
            let micros =
                700 + request * 37 % 900 + if request % 67 == 0 { 9000 + second * 60 } else { 0 };
            let failed = usize::from(second % 30 > 22 && request % 61 == 0);
            latency.requests[failed].duration.record_duration(Duration::from_micros(micros));
            for times in &mut latency.phases {
                let micros = match times.phase {
                    Phase::Total => micros,
                    Phase::Upstream => micros - 60,
                    Phase::FirstByte => micros - 90,
                    Phase::Overhead => 40 + request % 40,
                };
                times.all.record_duration(Duration::from_micros(micros));
                times.recent.record_duration(Duration::from_micros(micros));
            }
            totals.kept += 1;
        }
        totals.dropped_items += u64::from(second % 40 == 39) * 25;
    }
    counters.kept.store(totals.kept, std::sync::atomic::Ordering::Relaxed);
    counters.dropped_items.store(totals.dropped_items, std::sync::atomic::Ordering::Relaxed);
    state.latency.store(Arc::new(latency));
}

pub(crate) struct Entry {
    pub(crate) exchange: Exchange,
    pub(crate) inputs: Rows,
    pub(crate) outputs: Rows,
}

impl Recorded for Entry {
    fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    fn route(&self) -> &'static str {
        "/v2/models/{model}/infer"
    }

    fn dialect(&self) -> Option<&'static str> {
        Some("open_inference_v2")
    }

    fn inputs(&self) -> &Rows {
        &self.inputs
    }

    fn outputs(&self) -> &Rows {
        &self.outputs
    }
}

pub(crate) fn exchange(n: u64) -> Entry {
    let id = format!("0199b7c2-7a1e-7c3d-9f00-{n:012x}");
    let message = |body: &'static str| Message {
        content_type: Some(HeaderValue::from_static("application/json")),
        body: bytes::Bytes::from_static(body.as_bytes()).into(),
        ..Message::default()
    };
    let failed = n % 11 == 5;
    let status = if failed { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
    let mut column = Column::new("temp_max");
    column.push(Cell::Number(3.5));
    let mut inputs = Rows::new();
    inputs.push(column);
    let mut column = Column::new("weather");
    column.push(Cell::Text("rain"));
    let mut outputs = Rows::new();
    outputs.push(column);
    let exchange = Exchange {
        id: RequestId::new(HeaderValue::from_str(&id).unwrap()),
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_229_000 + n),
        timing: Timing {
            total: Duration::from_micros(900 + n * 31),
            upstream: Some(Duration::from_micros(850 + n * 31)),
            first_byte: Some(Duration::from_micros(800)),
        },
        route: capture::RouteId::OTHER,
        method: Method::POST,
        target: "/v2/models/weather/infer?tenant=acme".parse().unwrap(),
        status: Some(status),
        fault: failed.then_some(capture::Fault::UpstreamConnect),
        trace: Some(Trace {
            trace_id: u128::from(n + 1).to_be_bytes(),
            parent_span_id: None,
            server_span_id: [1; 8],
            client_span_id: [2; 8],
            sampled: true,
        }),
        sample_rate: 1.0,
        request: message("{\"inputs\":[{\"name\":\"temp_max\",\"data\":[3.5]}]}"),
        response: message("{\"outputs\":[{\"name\":\"weather\",\"data\":[\"rain\"]}]}"),
    };
    Entry { exchange, inputs, outputs }
}
