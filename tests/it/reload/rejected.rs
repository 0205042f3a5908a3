//! What is wrong changes nothing, and is told in full; what needs a restart is told too.

use super::{Sidecar, baseline, model, parsed, text, until, write};
use crate::support::wire::Upstream;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use taffrail::config::keys::{KEYS, Key, Reload};
use taffrail::config::{Config, Sources};

const QUIET: (&str, &str) = ("reload.watch", "off");

fn value_of(sidecar: &Sidecar, key: &str) -> String {
    let status = sidecar.status();
    let settings = status["config"].as_array().unwrap();
    let setting = settings.iter().find(|setting| setting["key"] == key).unwrap();
    setting["value"].as_str().unwrap().to_owned()
}

#[test]
fn a_faulty_file_changes_nothing_and_every_problem_is_told_with_its_line() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET, ("drift.min_rows", "60")]);
    let before = sidecar.status()["reload"]["hash"].clone();
    let broken = sidecar.path("broken.json");
    std::fs::write(&broken, "{}").unwrap();
    sidecar.write(&[
        QUIET,
        ("drift.min_rows", "70"),
        ("drift.false_discovery_rate", "2"),
        ("capture.sampel", "0.5"),
        ("listen", "nowhere"),
    ]);
    let answer = sidecar.reload();
    assert_eq!(answer.status(), 422, "{}", answer.text());
    let told = parsed(&answer);
    let places: Vec<_> =
        told["problems"].as_array().unwrap().iter().map(|p| (&p["key"], &p["line"])).collect();
    let expected =
        [(json!("drift.false_discovery_rate"), json!(3)), (json!("capture.sampel"), json!(4))];
    assert_eq!(places, expected.iter().map(|(key, line)| (key, line)).collect::<Vec<_>>());
    assert_eq!(value_of(&sidecar, "drift.min_rows"), "60");
    let metrics = sidecar.get("/metrics").text();
    assert!(
        metrics
            .contains("taffrail_config_healthy{model_name=\"model\",model_version=\"unknown\"} 0")
    );
    assert!(metrics.contains("outcome=\"rejected\"} 1"), "{metrics}");

    // What stands in the files that keys name is looked at too, all of it.
    sidecar.write(&[QUIET, ("baseline", text(&broken)), ("model.signature", text(&broken))]);
    let answer = sidecar.reload();
    let told = parsed(&answer);
    let keys: Vec<_> = told["problems"].as_array().unwrap().iter().map(|p| &p["key"]).collect();
    assert_eq!((answer.status(), keys), (422, vec![&json!("baseline"), &json!("model.signature")]));
    assert_eq!(told["problems"][0]["line"], 2);
    assert_eq!(told["hash"], before);
    assert_eq!(sidecar.status()["reference"]["state"], "learning");

    // A good one ends the complaint.
    sidecar.reload_with(&[QUIET, ("drift.min_rows", "80")]);
    assert_eq!(value_of(&sidecar, "drift.min_rows"), "80");
    let standing = sidecar.status()["reload"].clone();
    assert_eq!((&standing["rejected"], &standing["last_rejection"]), (&json!(2), &Value::Null));
    assert_ne!(standing["hash"], before);
    sidecar.end();
}

#[test]
fn a_file_that_is_gone_or_no_yaml_is_told_and_the_old_stays() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET, ("drift.min_rows", "60")]);
    std::fs::write(sidecar.path("taffrail.yaml"), "drift: [1,").unwrap();
    let answer = sidecar.reload();
    assert_eq!(answer.status(), 422);
    assert!(answer.text().contains("is not YAML"), "{}", answer.text());
    std::fs::remove_file(sidecar.path("taffrail.yaml")).unwrap();
    let answer = sidecar.reload();
    assert!(answer.text().contains("cannot be read"), "{}", answer.text());
    assert_eq!((answer.status(), value_of(&sidecar, "drift.min_rows").as_str()), (422, "60"));
    assert_eq!(sidecar.predict("a", &[1.0]).status(), 200);
    sidecar.end();
}

#[test]
fn nothing_new_is_said_to_be_nothing_new() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    let before = sidecar.status()["reload"].clone();
    let answer = sidecar.reload_with(&[QUIET]);
    assert_eq!(answer["unchanged"], true);
    assert_eq!((&answer["changed"], &answer["restart_required"]), (&json!([]), &json!([])));
    let after = sidecar.status()["reload"].clone();
    assert_eq!((&after["unchanged"], &after["since"]), (&json!(1), &before["since"]));
    sidecar.end();
}

#[test]
fn a_secret_is_told_to_have_changed_and_shown_to_nobody() {
    let upstream = model();
    let endpoint = ("export.otlp.endpoint", "http://127.0.0.1:1");
    let headers = |value| [QUIET, endpoint, ("export.otlp.headers", value)];
    let sidecar = Sidecar::before(upstream.address, &headers("{ authorization: first-secret }"));
    let answer = sidecar.reload_with(&headers("{ authorization: second-secret }"));
    let changed = &answer["changed"][0];
    assert_eq!(changed["key"], "export.otlp.headers");
    assert_eq!(changed["before"], "authorization=***");
    assert_eq!(changed["after"], "authorization=*** (new content)");
    sidecar.write(&[QUIET, ("export.otlp.endpoint", "http://user:third-secret@127.0.0.1:1")]);
    let refused = sidecar.reload();
    assert_eq!(refused.status(), 422);
    let said = [answer.to_string(), refused.text(), sidecar.status().to_string()].concat();
    assert!(said.contains("***@127.0.0.1:1") && !said.contains("-secret"), "{said}");
    sidecar.end();
}

/// Another good value for each key that needs a restart.
fn restart_keys(directory: &std::path::Path) -> Vec<(&'static str, String)> {
    let place = crate::support::tls::Place::new();
    let identity = place.identity("own");
    let owned = |path: &std::path::Path| {
        let copy = directory.join(path.file_name().unwrap());
        std::fs::copy(path, &copy).unwrap();
        text(&copy).to_owned()
    };
    let (certificate, key) = (owned(&identity.certificate), owned(&identity.key));
    let ca = owned(&place.ca);
    vec![
        ("listen", "127.0.0.1:1".into()),
        ("threads", "2".into()),
        ("data_dir", text(&directory.join("elsewhere")).into()),
        ("routes", "[\"/tenants/{tenant}\"]".into()),
        ("upstream.url", "https://127.0.0.1:2".into()),
        ("upstream.tls.ca", ca.clone()),
        ("upstream.tls.certificate", certificate.clone()),
        ("upstream.tls.key", key.clone()),
        ("upstream.tls.server_name", "model.example".into()),
        ("tls.certificate", certificate),
        ("tls.key", key),
        ("tls.client_ca", ca),
        ("admin.address", "127.0.0.1:3".into()),
        ("model.name", "income".into()),
        ("model.version", "4".into()),
        ("model.track", "canary".into()),
        ("kubernetes.pod_info", text(directory).into()),
        ("capture.enabled", "off".into()),
        ("capture.queue_items", "77".into()),
        ("capture.queue_bytes", "77MiB".into()),
        ("archive", "off".into()),
        ("state", "off".into()),
        ("archive.url", "file:///nowhere".into()),
    ]
}

/// Those that have only one value yet.
const SINGLE: &[&str] = &["archive.formats"];

#[test]
fn every_key_that_needs_a_restart_says_so_and_stays() {
    let upstream = model();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("taffrail.yaml");
    let url = format!("http://{}", upstream.address);
    let data = text(directory.path()).to_owned();
    let base = [
        ("upstream.url", url.as_str()),
        ("listen", "127.0.0.1:0"),
        ("admin.address", "127.0.0.1:0"),
        ("threads", "1"),
        ("data_dir", &data),
        QUIET,
    ];
    write(&file, &base);
    let changed = restart_keys(directory.path());
    let named: BTreeSet<_> =
        changed.iter().map(|(key, _)| *key).chain(SINGLE.iter().copied()).collect();
    let needing = KEYS.iter().filter(|key| key.reload() == Reload::Restart);
    let missing: Vec<_> =
        needing.map(|key| key.name).filter(|name| !named.contains(name)).collect();
    assert!(missing.is_empty(), "give each another value here: {missing:?}");

    let sources = Sources { file: Some(file.clone()), ..Sources::default() };
    let sidecar = Sidecar::of(&sources, directory);
    let before: Vec<_> = changed.iter().map(|(key, _)| value_of(&sidecar, key)).collect();
    let mut lines: Vec<_> = changed.iter().map(|(key, value)| (*key, value.as_str())).collect();
    lines.extend([QUIET, ("drift.min_rows", "60")]);
    write(&file, &lines);
    let answer = sidecar.reload();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let answer = parsed(&answer);
    let told: BTreeSet<_> = answer["restart_required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| k.as_str().unwrap())
        .collect();
    let expected: BTreeSet<_> = changed.iter().map(|(key, _)| *key).collect();
    assert_eq!(told, expected);
    assert_eq!(answer["changed"].as_array().unwrap().len(), 1, "{answer:#}");
    let after: Vec<_> = changed.iter().map(|(key, _)| value_of(&sidecar, key)).collect();
    assert_eq!(after, before);
    assert_eq!(value_of(&sidecar, "drift.min_rows"), "60");
    // They are named until the restart, and traffic goes where it went.
    assert_eq!(sidecar.predict("a", &[1.0]).status(), 200);
    assert_eq!(
        parsed(&sidecar.reload())["restart_required"].as_array().unwrap().len(),
        changed.len()
    );
    assert!(sidecar.get("/system").text().contains("After a restart"));
    // What a restart would take is good.
    assert!(Config::load(&sources).is_ok());
    sidecar.end();
}

#[test]
fn two_keys_that_fit_each_other_only_after_a_restart_are_a_problem_until_then() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.write(&[
        QUIET,
        ("capture.max_body_bytes", "100MiB"),
        ("capture.queue_bytes", "200MiB"),
    ]);
    let answer = sidecar.reload();
    assert_eq!(answer.status(), 422, "{}", answer.text());
    assert!(answer.text().contains("64MiB"), "{}", answer.text());
    sidecar.end();
}

#[test]
fn reloads_at_the_same_time_are_done_one_after_the_other() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    let files: Vec<_> = (0..2).map(|n| sidecar.path(&format!("{n}.json"))).collect();
    files.iter().zip([0.0, 500.0]).for_each(|(file, middle)| baseline(file, middle));
    std::thread::scope(|scope| {
        for asker in 0..4 {
            let (sidecar, files) = (&sidecar, &files);
            scope.spawn(move || {
                for round in 0..5 {
                    if asker == 0 {
                        let temporary = sidecar.path("next.yaml");
                        write(&temporary, &[QUIET, ("baseline", text(&files[round % 2]))]);
                        std::fs::rename(temporary, sidecar.path("taffrail.yaml")).unwrap();
                    }
                    assert_eq!(sidecar.reload().status(), 200);
                }
            });
        }
    });
    let standing = sidecar.status()["reload"].clone();
    let done = standing["reloaded"].as_u64().unwrap() + standing["unchanged"].as_u64().unwrap();
    assert_eq!((done, &standing["rejected"]), (20, &json!(0)));
    // In force, all of it, is what the file said last.
    assert_eq!(value_of(&sidecar, "baseline"), text(&files[0]));
    let hash = |sidecar: &Sidecar| sidecar.status()["reference"]["hash"].clone();
    let first = hash(&sidecar);
    sidecar.reload_with(&[QUIET, ("baseline", text(&files[1]))]);
    assert_ne!(until(|| hash(&sidecar), |hash| !hash.is_null()), first);
    sidecar.end();
}

#[test]
fn a_draining_sidecar_takes_no_new_configuration() {
    let upstream = Upstream::echo();
    let sidecar = Sidecar::before(upstream.address, &[QUIET, ("drain.delay", "1s")]);
    let admin = sidecar.running.admin;
    let running = sidecar.running;
    let ending = std::thread::spawn(move || running.shutdown());
    let ask = |request: &str| super::exchange(admin, request.as_bytes());
    until(
        || ask("GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").text(),
        |text| text.contains("draining"),
    );
    let answer = ask(
        "POST /api/v1/reload HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    );
    assert_eq!((answer.status(), &parsed(&answer)["error"]), (503, &json!("busy")));
    assert!(ending.join().unwrap().clean);
}

#[test]
fn the_table_knows_what_each_key_needs() {
    let reload = |name: &str| KEYS.iter().find(|key| key.name == name).map(Key::reload);
    assert_eq!(reload("drift.min_rows"), Some(Reload::Live));
    assert_eq!(reload("listen"), Some(Reload::Restart));
    assert_eq!(reload("archive.max_bytes"), Some(Reload::Live));
    assert_eq!(reload("archive"), Some(Reload::Restart));
}
