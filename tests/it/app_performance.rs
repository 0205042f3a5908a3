//! Baselines built by the command line, and labels of live rows judged against them.

use crate::cli_support::{fixture, taffrail};
use crate::reload::{exchange, parsed, request, until};
use crate::support::wire::{Upstream, sized};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use taffrail::app::{Bound, Running, start};
use taffrail::config::{Config, Sources};

/// A score of class 1 and the label.
type Row = (f64, u8);

/// The rows of the estimate's reference.
fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(fixture("estimate/binary.csv")).unwrap();
    let reference = text.lines().filter_map(|line| line.strip_prefix("reference,"));
    let row = |line: &str| {
        let (score, label) = line.split_once(',').unwrap();
        (score.parse().unwrap(), label.parse().unwrap())
    };
    reference.map(row).collect()
}

/// Builds a baseline of these rows, whose outputs are `p_0` and `p_1`.
fn build(directory: &Path, name: &str, rows: &[Row]) -> PathBuf {
    let lines = rows
        .iter()
        .enumerate()
        .map(|(row, (score, label))| format!("{},{},{score},{label}\n", row % 7, 1.0 - score));
    let text: String = std::iter::once("x,p_0,p_1,label\n".to_owned()).chain(lines).collect();
    let table = format!("{name}.csv");
    std::fs::write(directory.join(&table), text).unwrap();
    let from = ["baseline", "build", "--from", &table, "--out", name];
    let built =
        taffrail(directory, &[&from[..], &["--label", "label", "--score", "p_0,p_1"]].concat());
    assert_eq!(built.code, Some(0), "{built:?}");
    directory.join(name)
}

/// A model that says of each instance what it holds: the probabilities of its two classes.
fn model() -> Upstream {
    Upstream::answering(|request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let scores = asked["instances"].as_array().cloned().unwrap_or_default();
        let both = |row: &Value| [1.0 - row[0].as_f64().unwrap(), row[0].as_f64().unwrap()];
        let predictions: Vec<_> = scores.iter().map(both).collect();
        let body = json!({ "predictions": predictions }).to_string();
        sized("HTTP/1.1 200 OK\r\ncontent-type: application/json", body.as_bytes())
    })
}

struct Sidecar {
    running: Running,
    directory: tempfile::TempDir,
}

impl Sidecar {
    fn before(upstream: &Upstream, directory: tempfile::TempDir, baseline: &Path) -> Self {
        let file = write(directory.path(), baseline);
        let flag = |key, value: &str| (key, value.to_owned());
        let sources = Sources {
            file: Some(file),
            flags: vec![
                flag("upstream.url", &format!("http://{}", upstream.address)),
                flag("listen", "127.0.0.1:0"),
                flag("admin.address", "127.0.0.1:0"),
                flag("data_dir", &directory.path().join("data").display().to_string()),
            ],
            ..Sources::default()
        };
        let (config, _) = Config::load(&sources).unwrap();
        Self { running: start(&config, Bound::default()).unwrap(), directory }
    }

    fn reload_with(&self, baseline: &Path) {
        write(self.directory.path(), baseline);
        let head = "POST /api/v1/reload HTTP/1.1\r\nhost: admin\r\nconnection: close";
        let answer = exchange(self.running.admin, &sized(head, b""));
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    fn serve(&self, id: &str, rows: &[Row]) {
        let scores: Vec<_> = rows.iter().map(|row| [row.0]).collect();
        let body = json!({ "instances": scores }).to_string();
        exchange(self.running.listen, &request(id, "", body.as_bytes()));
        let labels: Vec<_> = rows.iter().map(|row| row.1).collect();
        let body = json!({ "id": id, "label": labels }).to_string();
        let head = "POST /api/v1/labels HTTP/1.1\r\nhost: admin\r\ncontent-type: application/json\
                    \r\nconnection: close";
        assert_eq!(exchange(self.running.admin, &sized(head, body.as_bytes())).status(), 200);
    }

    fn performance(&self) -> Value {
        let get = "GET /api/v1/performance HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n";
        parsed(&exchange(self.running.admin, get.as_bytes()))
    }

    /// What the newest of so many windows with a verdict say.
    fn verdicts(&self, count: usize) -> Vec<String> {
        let told = |performance: &Value| {
            let windows = performance["windows"].as_array().unwrap().iter();
            let verdicts = windows.filter_map(|window| window["concept"]["verdict"].as_str());
            verdicts.map(str::to_owned).collect::<Vec<_>>()
        };
        told(&until(|| self.performance(), |performance| told(performance).len() == count))
    }
}

fn write(directory: &Path, baseline: &Path) -> PathBuf {
    let file = directory.join("taffrail.yaml");
    let keys =
        format!("windows: [1s]\ncapture.cpu_budget: 1.0\nbaseline: {}\n", baseline.display());
    std::fs::write(&file, keys).unwrap();
    file
}

#[test]
fn a_baseline_of_scores_judges_a_model_that_says_classes() {
    let directory = tempfile::tempdir().unwrap();
    let rows = rows();
    let baseline = build(directory.path(), "baseline.json", &rows);
    let upstream = model();
    let sidecar = Sidecar::before(&upstream, directory, &baseline);
    sidecar.serve("same", &rows[..1000]);
    assert_eq!(sidecar.verdicts(1), ["stable"]);
    let wrong: Vec<_> = rows[..1000].iter().map(|(score, label)| (*score, 1 - label)).collect();
    sidecar.serve("wrong", &wrong);
    assert_eq!(sidecar.verdicts(2), ["stable", "drifting"]);
    // The outputs have other names than the table's, and are the same scores.
    let overall = &sidecar.performance()["overall"]["classification"];
    assert!(overall["log_loss"].is_number(), "{overall}");
    assert!(sidecar.running.shutdown().clean);
}

#[test]
fn another_baseline_judges_anew_and_forgets_what_the_one_before_said() {
    let directory = tempfile::tempdir().unwrap();
    let rows = rows();
    let wrong: Vec<_> = rows.iter().map(|(score, label)| (*score, 1 - label)).collect();
    let baseline = build(directory.path(), "baseline.json", &rows);
    let other = build(directory.path(), "other.json", &wrong);
    let upstream = model();
    let sidecar = Sidecar::before(&upstream, directory, &baseline);
    sidecar.serve("same", &rows[..1000]);
    assert_eq!(sidecar.verdicts(1), ["stable"]);
    sidecar.reload_with(&other);
    let window = until(
        || sidecar.performance()["windows"][0].clone(),
        |window| window["concept"]["verdict"] == "drifting",
    );
    // As if it had not been looked at before.
    assert_eq!(window["concept"]["looks"], 1);
    assert!(sidecar.running.shutdown().clean);
}
