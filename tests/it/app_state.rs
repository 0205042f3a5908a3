//! The binary, ended or killed in mid-window, goes on where it was.

use crate::app_lifecycle::Process;
use crate::reload::{around, baseline, exchange, model, parsed, request, until};
use crate::support::wire::Upstream;
use serde_json::{Value, json};
use std::path::PathBuf;

const ROWS: u64 = 60;

struct Setting {
    directory: tempfile::TempDir,
    model: Upstream,
}

impl Setting {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        baseline(&directory.path().join("baseline.json"), 0.0);
        Self { directory, model: model() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start(&self) -> Process {
        let upstream = format!("http://{}", self.model.address);
        let baseline = self.path("baseline.json").display().to_string();
        let keys = [
            ("upstream", &*upstream),
            ("baseline", &*baseline),
            ("archive", "off"),
            ("windows", "1s,10s"),
        ];
        Process::start(&self.path("data"), &keys)
    }

    fn state(&self, name: &str) -> PathBuf {
        self.path("data").join("state").join(name)
    }
}

fn get(process: &Process, path: &str) -> Value {
    let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    parsed(&exchange(process.admin, request.as_bytes()))
}

fn predict(process: &Process) {
    let rows: Vec<_> = around(0.0, 60).into_iter().map(|value| [value]).collect();
    let body = json!({ "instances": rows }).to_string();
    let answer = exchange(process.listen, &request("a", "", body.as_bytes()));
    assert_eq!(answer.status(), 200);
}

/// Rows in all windows of ten seconds that have closed.
fn closed_rows(drift: &Value) -> u64 {
    let windows = drift["windows"].as_array().unwrap();
    let long = windows.iter().filter(|window| window["window"] == "10s");
    long.map(|window| window["rows"].as_u64().unwrap()).sum()
}

/// Those rows are in a window that is open, and on the disk.
fn until_saved(process: &Process) {
    let decoded = until(
        || get(process, "/api/v1/status"),
        |status| status["decoded"]["input_rows"] == json!(ROWS),
    );
    let saves = |status: &Value| status["state"]["saves"].as_u64().unwrap_or(0);
    let before = saves(&decoded);
    // One may have been under way, without the rows.
    until(|| get(process, "/api/v1/status"), |status| saves(status) >= before + 2);
}

fn goes_on(signal: &str) {
    let setting = Setting::new();
    let first = setting.start();
    predict(&first);
    if signal == "-KILL" {
        until_saved(&first);
    }
    first.signal(signal);
    let expected = if signal == "-KILL" { None } else { Some(0) };
    assert_eq!(first.exit_code(), expected);
    let second = setting.start();
    predict(&second);
    let drift = until(|| get(&second, "/api/v1/drift"), |drift| closed_rows(drift) == 2 * ROWS);
    let unwatched = |window: &Value| window["unwatched_seconds"].as_f64();
    let windows = drift["windows"].as_array().unwrap();
    let went_on = windows.iter().find(|window| unwatched(window).is_some()).unwrap();
    let coverage = went_on["coverage"].as_f64().unwrap();
    assert!(coverage < 1.0 && unwatched(went_on).unwrap() > 0.0, "{went_on:#}");
    let state = get(&second, "/api/v1/status")["state"].clone();
    assert!(state["resumed_from"].is_string() && state["rejected"] == 0, "{state:#}");
    let rows = get(&second, "/api/v1/status")["decoded"]["input_rows"].clone();
    assert_eq!(rows, json!(ROWS), "counters begin with their process");
}

#[test]
fn a_killed_process_loses_no_row_that_was_saved() {
    goes_on("-KILL");
}

#[test]
fn a_process_that_ends_loses_no_row() {
    goes_on("-TERM");
}

#[test]
fn damage_stops_no_start_and_is_set_aside() {
    let setting = Setting::new();
    std::fs::create_dir_all(setting.path("data/state")).unwrap();
    std::fs::write(setting.state("open"), b"TFST\x01\x01 not what it was").unwrap();
    let process = setting.start();
    predict(&process);
    let state = until(
        || get(&process, "/api/v1/status")["state"].clone(),
        |state| state["saves"].as_u64().is_some_and(|saves| saves > 0),
    );
    assert_eq!(state["rejected"], json!(1), "{state:#}");
    assert!(state["resumed_from"].is_null());
    let kept = std::fs::read(setting.state("open.rejected")).unwrap();
    assert!(kept.ends_with(b"not what it was"));
}

#[test]
fn a_place_that_cannot_be_written_costs_no_traffic_and_heals() {
    let setting = Setting::new();
    std::fs::create_dir_all(setting.path("data")).unwrap();
    std::fs::write(setting.path("data/state"), b"in the way").unwrap();
    let process = setting.start();
    let failing = until(
        || {
            predict(&process);
            get(&process, "/api/v1/status")["state"].clone()
        },
        |state| state["failures"].as_u64().is_some_and(|failures| failures > 0),
    );
    assert!(failing["last_error"].as_str().unwrap().contains("state"), "{failing:#}");
    assert_eq!(failing["saves"], json!(0));
    std::fs::remove_file(setting.path("data/state")).unwrap();
    until(
        || get(&process, "/api/v1/status")["state"].clone(),
        |state| {
            state["saves"].as_u64().is_some_and(|saves| saves > 0) && state["last_error"].is_null()
        },
    );
}
