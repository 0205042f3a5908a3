//! Files that change by themselves are taken over by themselves: written, replaced, or swapped as
//! Kubernetes swaps a mounted `ConfigMap`.

use super::{Sidecar, baseline, model, text, write};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;
use taffrail::config::Sources;

fn standing(sidecar: &Sidecar, holds: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    sidecar.status_when(|status| holds(&status["reload"]))["reload"].clone()
}

#[test]
fn a_changed_file_is_taken_over_and_a_faulty_one_told_once() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[("drift.min_rows", "60")]);
    sidecar.write(&[("drift.min_rows", "0")]);
    let told = standing(&sidecar, |standing| standing["rejected"] == 1);
    assert_eq!(told["last_rejection"]["cause"], "file");
    sidecar.write(&[("drift.min_rows", "70")]);
    let told = standing(&sidecar, |standing| standing["reloaded"] == 1);
    assert_eq!((&told["rejected"], &told["last_rejection"]), (&json!(1), &json!(null)));
    sidecar.end();
}

#[test]
fn a_baseline_that_is_replaced_is_compared_with_from_then_on() {
    let upstream = model();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("baseline.json");
    baseline(&file, 0.0);
    let sidecar = Sidecar::before(upstream.address, &[("baseline", text(&file))]);
    let hash = sidecar.status()["reference"]["hash"].clone();
    let next = directory.path().join("next.json");
    baseline(&next, 500.0);
    std::fs::rename(&next, &file).unwrap();
    let told = standing(&sidecar, |standing| standing["reloaded"] == 1);
    assert_eq!(told["restart_required"], json!([]));
    assert_ne!(sidecar.status()["reference"]["hash"], hash);
    sidecar.end();
}

/// As the kubelet does it: everything is a link through `..data`, which is renamed over.
fn swap(directory: &Path, version: &str, keys: &[(&str, &str)]) {
    std::fs::create_dir(directory.join(version)).unwrap();
    write(&directory.join(version).join("taffrail.yaml"), keys);
    symlink(version, directory.join("..next")).unwrap();
    std::fs::rename(directory.join("..next"), directory.join("..data")).unwrap();
}

#[test]
fn a_swapped_config_map_is_taken_over() {
    let upstream = model();
    let directory = tempfile::tempdir().unwrap();
    let mounted = directory.path().join("mounted");
    std::fs::create_dir(&mounted).unwrap();
    swap(&mounted, "..1", &[("drift.min_rows", "60")]);
    symlink("..data/taffrail.yaml", mounted.join("taffrail.yaml")).unwrap();
    let flag = |key, value: &str| (key, value.to_owned());
    let sources = Sources {
        file: Some(mounted.join("taffrail.yaml")),
        flags: vec![
            flag("upstream.url", &format!("http://{}", upstream.address)),
            flag("listen", "127.0.0.1:0"),
            flag("admin.address", "127.0.0.1:0"),
            flag("data_dir", text(&directory.path().join("data"))),
        ],
        ..Sources::default()
    };
    let sidecar = Sidecar::of(&sources, directory);
    swap(&mounted, "..2", &[("drift.min_rows", "70")]);
    std::fs::remove_dir_all(mounted.join("..1")).unwrap();
    let told = standing(&sidecar, |standing| standing["reloaded"] == 1);
    assert_eq!(told["rejected"], 0);
    let status = sidecar.status();
    let settings = status["config"].as_array().unwrap();
    let setting = settings.iter().find(|setting| setting["key"] == "drift.min_rows").unwrap();
    assert_eq!(setting["value"], "70");
    sidecar.end();
}
