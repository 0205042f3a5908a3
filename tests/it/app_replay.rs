//! What the sidecar said of its windows is what `taffrail drift` says of the archive that it kept.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up or read is its failure")]

use crate::app::{Sidecar, doubling_model};
use crate::cli_support::taffrail;
use crate::support::sidecar::PATIENCE;
use serde_json::Value;
use std::path::Path;
use std::time::Instant;
use taffrail::decode::{Column, Rows};
use taffrail::drift::{BaselineBuilder, BaselineSettings};
use taffrail::sketch::Role;

const CONFIG: &str = "\
upstream: { url: http://127.0.0.1:1 }
drift: { min_rows: 20, false_discovery_rate: 0.02 }
features: { exclude: [ignored] }
";
/// As in [`CONFIG`].
const SETTINGS: [(&str, &str); 4] = [
    ("windows", "1s"),
    ("drift.min_rows", "20"),
    ("drift.false_discovery_rate", "0.02"),
    ("features.exclude", "ignored"),
];
/// Closed windows that are compared.
const WINDOWS: usize = 3;

fn baseline(path: &Path) {
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    for (role, name, factor) in [(Role::Input, "f0", 1.0), (Role::Output, "prediction", 2.0)] {
        let mut column = Column::new(name);
        (0..5000).for_each(|n| column.push_number(f64::from(n % 100) * factor));
        let mut rows = Rows::new();
        rows.push(column);
        builder.observe(role, &rows);
    }
    std::fs::write(path, builder.finish().unwrap().to_json()).unwrap();
}

fn windows(json: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(json).unwrap_or_else(|_| panic!("{json}"));
    let windows = report["windows"].as_array().unwrap().iter();
    windows.filter(|window| window["rows"].as_u64() > Some(0)).cloned().collect()
}

/// Requests of seven rows, which move once a window has closed, until enough windows have.
fn windows_of_traffic(sidecar: &Sidecar) -> Vec<Value> {
    let since = Instant::now();
    let mut closed = Vec::new();
    for request in 0_u32.. {
        let shift = if closed.is_empty() { 0.0 } else { 40.0 };
        let rows: Vec<f64> =
            (0..7).map(|row| f64::from((request * 7 + row) * 37 % 100) + shift).collect();
        sidecar.predict(&format!("r{request}"), &rows);
        if request % 20 == 0 {
            closed = windows(&sidecar.get("/api/v1/drift"));
        }
        if closed.len() >= WINDOWS {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "{closed:#?}");
    }
    closed
}

/// What must not depend on where a window is judged.
fn verdict_of(window: &Value) -> Value {
    let of_feature = |feature: &Value| {
        let mut kept = serde_json::Map::new();
        for key in ["feature", "role", "rows", "p_value", "significant", "detected", "quality"] {
            kept.insert(key.to_owned(), feature[key].clone());
        }
        kept.insert("checks".to_owned(), feature["checks"].clone());
        kept.insert("since".to_owned(), feature["explanation"]["since"].clone());
        Value::Object(kept)
    };
    let features = window["features"].as_array().unwrap().iter().map(of_feature).collect();
    let mut kept = serde_json::Map::new();
    for key in ["start", "end", "rows", "verdict", "provenance"] {
        kept.insert(key.to_owned(), window[key].clone());
    }
    kept.insert("features".to_owned(), Value::Array(features));
    Value::Object(kept)
}

#[test]
fn the_archive_gives_the_verdicts_again_that_were_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    baseline(Path::new(&path("baseline.json")));
    std::fs::write(path("taffrail.yaml"), CONFIG).unwrap();
    let given = path("baseline.json");
    let pairs = [&[("baseline", given.as_str())], &SETTINGS[..]].concat();
    let sidecar = Sidecar::before(&doubling_model(), &pairs);
    let live = windows_of_traffic(&sidecar);
    let archive = sidecar.data().to_owned();
    let Sidecar { running, directory: _kept } = sidecar;
    running.shutdown();

    let again = ["drift", "--baseline", &given, "--window", "1s", "--format", "json", "--from"];
    let judge = |more: &[&str]| {
        let from = archive.display().to_string();
        let run = taffrail(directory.path(), &[&again[..], &[from.as_str()], more].concat());
        assert_eq!((run.code, &*run.stderr), (Some(3), ""), "{run:?}");
        windows(&run.stdout)
    };
    let config = path("taffrail.yaml");
    let replayed = judge(&["--config", &config]);
    assert!(live.iter().any(|window| window["verdict"] == "drifting"), "{live:#?}");
    for window in &live {
        let twin = replayed.iter().find(|twin| twin["start"] == window["start"]);
        let twin = twin.unwrap_or_else(|| panic!("{window:#}"));
        assert_eq!(verdict_of(twin), verdict_of(window));
        for hash in ["baseline_hash", "config_hash", "sketch_hash"] {
            assert_eq!(window["provenance"][hash].as_str().unwrap().len(), 16, "{hash}");
        }
    }
    let otherwise = judge(&["--config", &config, "--min-rows", "30"]);
    let hashes = |window: &Value, key: &str| window["provenance"][key].clone();
    assert_ne!(hashes(&otherwise[0], "config_hash"), hashes(&replayed[0], "config_hash"));
    assert_eq!(hashes(&otherwise[0], "sketch_hash"), hashes(&replayed[0], "sketch_hash"));
}
