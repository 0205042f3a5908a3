//! `taffrail baseline build` and `taffrail drift` on recorded traffic: real weather, asked about in
//! requests of a few days each.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up or read is its failure")]

use crate::cli_support::{Run, Weather};
use http::{HeaderValue, Method, StatusCode};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use taffrail::archive::{Entry, Settings, Writer};
use taffrail::capture::{Exchange, Message, RequestId, RouteId, Timing};
use taffrail::decode::{Cell, Column, Rows};

const DAYS_A_REQUEST: usize = 4;
/// 2014-01-01T00:00:00Z, and a request every ten minutes from there on.
const START: u64 = 1_388_534_400;
const PAUSE: u64 = 600;

/// What one CSV holds, recorded as traffic under `data`, and written again as a table with `ts`.
struct Recorded {
    weather: Weather,
}

impl Recorded {
    fn new() -> Self {
        let recorded = Self { weather: Weather::with_baseline() };
        let csv = std::fs::read_to_string(recorded.path("summers.csv")).unwrap();
        let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let names = lines.next().unwrap();
        let days: Vec<_> = lines.collect();
        let requests: Vec<_> = days.chunks(DAYS_A_REQUEST).collect();
        recorded.archive(requests.iter().enumerate().map(|(index, days)| {
            entry(index as u64, columns(&names[1..5], days, 1), columns(&names[5..], days, 5))
        }));
        let rows = requests.iter().enumerate().flat_map(|(index, days)| {
            let ts = START + index as u64 * PAUSE;
            days.iter().map(move |day| format!("{ts},{}\n", day[1..].join(",")))
        });
        let table = format!("ts,{}\n{}", names[1..].join(","), rows.collect::<String>());
        std::fs::write(recorded.path("rows.csv"), table).unwrap();
        recorded
    }

    fn archive(&self, entries: impl Iterator<Item = Entry>) {
        let writer = Writer::open(Settings::new(self.path("data/archive"))).unwrap();
        entries.for_each(|entry| writer.offer(Arc::new(entry)));
        writer.close();
        assert_eq!(writer.state().lost_exchanges, 0);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.weather.path().join(name)
    }

    fn build(&self, from: &str, more: &[&str]) -> Run {
        let build = ["baseline", "build", "--from", from, "--out", "built.json"];
        self.weather.taffrail(&[&build[..], more].concat())
    }

    fn drift(&self, from: &str, more: &[&str]) -> Run {
        let drift = ["drift", "--baseline", "baseline.json", "--from", from, "--min-rows", "20"];
        self.weather.taffrail(&[&drift[..], more].concat())
    }
}

fn columns(names: &[&str], days: &[Vec<&str>], first: usize) -> Rows {
    let mut rows = Rows::new();
    for (offset, name) in names.iter().enumerate() {
        let mut column = Column::new(*name);
        for day in days {
            let cell = day[first + offset];
            column.push(cell.parse().map_or(Cell::Text(cell), Cell::Number));
        }
        rows.push(column);
    }
    rows
}

fn entry(index: u64, inputs: Rows, outputs: Rows) -> Entry {
    let exchange = Exchange {
        id: RequestId::new(HeaderValue::from(index)),
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(START + index * PAUSE),
        timing: Timing::default(),
        route: RouteId::OTHER,
        method: Method::POST,
        target: "/invocations".parse().unwrap(),
        status: Some(StatusCode::OK),
        fault: None,
        trace: None,
        sample_rate: 1.0,
        request: Message::default(),
        response: Message::default(),
    };
    Entry {
        exchange: Box::new(exchange),
        route: "/invocations".into(),
        model_name: "weather".into(),
        model_version: "1".into(),
        dialect: Some("mlflow"),
        inputs,
        outputs,
        counted_at: None,
    }
}

#[test]
fn a_baseline_of_recorded_traffic_is_that_of_its_rows() {
    let recorded = Recorded::new();
    let archived = std::fs::read_dir(recorded.path("data/archive")).unwrap().next().unwrap();
    std::fs::copy(archived.unwrap().path(), recorded.path("renamed.parquet")).unwrap();
    for from in ["data", "data/archive", "renamed.parquet"] {
        let built = recorded.build(from, &[]);
        assert_eq!(built.code, Some(0), "{from}: {built:?}");
        assert_eq!(built.stderr, "", "{from}");
        let read = |name: &str| std::fs::read(recorded.path(name)).unwrap();
        assert_eq!(read("built.json"), read("baseline.json"), "{from}");
    }
}

#[test]
fn recorded_traffic_is_stable_against_its_own_baseline() {
    let recorded = Recorded::new();
    let run = recorded.drift("data", &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.stderr, "");
    assert!(run.stdout.contains("window 2014-01-01 00:00 – 12:40 (UTC), 306 rows"), "{run:?}");
    assert!(run.stdout.ends_with("verdict: stable\n"), "{run:?}");
}

#[test]
fn windows_of_recorded_traffic_are_those_of_its_rows() {
    let recorded = Recorded::new();
    for window in ["1h", "50", "1d"] {
        let more = ["--window", window, "--format", "json"];
        let (from_archive, from_rows) =
            (recorded.drift("data", &more), recorded.drift("rows.csv", &more));
        assert!(from_archive.stdout.contains("\"start\": \"2014-01-01T00:00:00Z\""), "{window}");
        assert_eq!(but_for_runs(&from_archive), but_for_runs(&from_rows), "{window}");
        assert_eq!(from_archive.code, from_rows.code, "{window}");
    }
}

/// A run of one value is counted in requests where they are known, and in rows of a table.
fn but_for_runs(run: &Run) -> serde_json::Value {
    let mut report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    for window in report["windows"].as_array_mut().unwrap() {
        for feature in window["features"].as_array_mut().unwrap() {
            if let Some(checks) = feature.get_mut("checks").and_then(|it| it.as_array_mut()) {
                checks.retain(|checked| {
                    checked["check"] != "frozen" && checked["check"] != "constant"
                });
            }
            feature.as_object_mut().unwrap().retain(|key, value| {
                key != "checks" || value.as_array().is_some_and(|checks| !checks.is_empty())
            });
        }
    }
    report
}

#[test]
fn outputs_of_an_archive_are_not_chosen() {
    let recorded = Recorded::new();
    let run = recorded.build("data", &["--outputs", "weather"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("data is an archive, which says of its own what is"), "{run:?}");
}

#[test]
fn an_archive_without_rows_is_told_apart_from_no_archive() {
    let recorded = Recorded { weather: Weather::with_baseline() };
    let run = recorded.drift(".", &[]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains(".: is a directory without an archive"), "{run:?}");
    recorded.archive(std::iter::once(entry(0, Rows::new(), Rows::new())));
    for run in [recorded.drift("data", &[]), recorded.build("data", &[])] {
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains("no exchange was decoded into rows"), "{run:?}");
    }
}

#[test]
fn labels_in_a_file_are_joined_by_request_id() {
    let recorded = Recorded::new();
    // Of request 0 the second row, of request 1 all but one, of request 2 nothing that fits, and one unknown.
    let labels = [
        r#"{"id": "0#1", "label": "rain"}"#,
        r#"{"id": "1", "label": ["sun", null, "fog", "rain"]}"#,
        r#"{"id": "2", "label": "sun"}"#,
        r#"{"id": "nobody", "label": "sun"}"#,
    ];
    std::fs::write(recorded.path("labels.jsonl"), labels.join("\n")).unwrap();
    let built = recorded.build("data", &["--labels", "labels.jsonl"]);
    assert_eq!(built.code, Some(0), "{built:?}");
    let baseline = std::fs::read(recorded.path("built.json")).unwrap();
    let baseline: serde_json::Value = serde_json::from_slice(&baseline).unwrap();
    let said = std::fs::read_to_string(recorded.path("rows.csv")).unwrap();
    let said: Vec<_> = said.lines().skip(1).map(|row| row.rsplit(',').next().unwrap()).collect();
    let pairs = [(said[1], "rain"), (said[4], "sun"), (said[6], "fog"), (said[7], "rain")];
    let right = pairs.iter().filter(|(said, truth)| said == truth).count();
    let summary = &baseline["performance"]["summary"];
    assert_eq!(summary["rows"], 4);
    assert_eq!(summary["figures"][0]["measure"], "accuracy");
    let accuracy = summary["figures"][0]["value"].as_f64().unwrap();
    assert!((accuracy - right as f64 / 4.0).abs() < 1e-12, "{right} of {pairs:?}: {accuracy}");
    std::fs::write(recorded.path("none.jsonl"), labels[3]).unwrap();
    let refused = recorded.build("data", &["--labels", "none.jsonl"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("no label names a recorded request"), "{refused:?}");
    let refused = recorded.build("data", &["--label", "weather", "--score", "x"]);
    assert!(refused.stderr.contains("give a file of them by --labels"), "{refused:?}");
}
