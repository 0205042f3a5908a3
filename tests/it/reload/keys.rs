//! Every key that promises it is seen to take effect, by what the sidecar does.

use super::{
    Sidecar, around, baseline, exchange, labelled, model, parsed, parts, request, text, traffic,
    until,
};
use crate::support::raw::Raw;
use crate::support::sidecar::PATIENCE;
use crate::support::wire::{Upstream, sized};
use crate::support::witness::{Witness, response};
use serde_json::{Value, json};
use taffrail::archive::{Part, Reader};
use taffrail::config::keys::{KEYS, Reload};

pub(super) const QUIET: (&str, &str) = ("reload.watch", "off");

/// Keys, and what shows that they changed.
type Case = (&'static [&'static str], fn());

const CASES: &[Case] = &[
    (&["drift.min_rows", "windows", "baseline"], thresholds_and_windows),
    (&["drift.false_discovery_rate"], false_discovery_rate),
    (&["drift.persistence"], persistence),
    (&["drift.references"], references),
    (&["drift.early_warning", "drift.average_run_length"], early_warning),
    (&["features.include", "features.exclude", "features.max"], features),
    (&["features.segments", "features.max_segments"], parts::segments),
    (&["features.importance", "features.importance_file"], parts::importance),
    (&["features.attribution_prefix"], parts::attribution_prefix),
    (&["baseline.learn.rows"], learnt_rows),
    (&["model.feature_names", "model.signature"], names_of_features),
    (&["model.pointers.inputs", "model.pointers.outputs", "model.protocol"], pointers),
    (&["capture.sample"], sample),
    (&["capture.cpu_budget"], cpu_budget),
    (&["capture.max_body_bytes"], max_body_bytes),
    (&["capture.headers"], headers),
    (&["labels.max_pending"], || labels("labels.max_pending", "1")),
    (&["labels.max_delay"], || labels("labels.max_delay", "1ms")),
    (&["labels.reference_rows"], labelled::reference_rows),
    (&["labels.response_header"], labelled::response_header),
    (&["labels.files"], labelled::files),
    (&["archive.rotate_interval"], || rotation("archive.rotate_interval", "1ms")),
    (&["archive.rotate_bytes"], || rotation("archive.rotate_bytes", "64KiB")),
    (&["archive.max_bytes"], size_of_the_archive),
    (&["upstream.response_timeout"], || traffic::answer_in_time("upstream.response_timeout")),
    (&["upstream.request_timeout"], || traffic::answer_in_time("upstream.request_timeout")),
    (&["upstream.connect_timeout"], traffic::connect_timeout),
    (&["upstream.max_idle_connections"], || traffic::kept("upstream.max_idle_connections", "0")),
    (&["upstream.idle_timeout"], || traffic::kept("upstream.idle_timeout", "1ms")),
    (&["upstream.max_connection_age"], || traffic::kept("upstream.max_connection_age", "1ms")),
    (&["upstream.protocol"], traffic::protocol),
    (&["client.max_connections"], traffic::max_connections),
    (&["client.max_headers"], || traffic::head("client.max_headers", "3", 431)),
    (&["client.max_header_bytes"], || traffic::head("client.max_header_bytes", "1KiB", 431)),
    (&["client.header_timeout"], || traffic::silent("client.header_timeout", "GET / HT", 408)),
    (&["client.idle_timeout"], traffic::idle_client),
    (&["client.max_streams"], traffic::max_streams),
    (&["admin.token_file"], token),
    (&["drain.timeout", "drain.delay"], drain),
    (&["reload.watch"], watch),
];

/// See `exports`: exporters are built anew from all of their keys together.
const TOGETHER: &str = "export.";

#[test]
fn every_key_that_promises_it_has_a_case() {
    let live = KEYS.iter().filter(|key| key.reload() == Reload::Live).map(|key| key.name);
    let has_case = |name: &&str| CASES.iter().any(|(keys, _)| keys.contains(name));
    let without: Vec<_> =
        live.filter(|name| !name.starts_with(TOGETHER)).filter(|name| !has_case(name)).collect();
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn every_key_takes_effect() {
    std::thread::scope(|scope| {
        let quarter = CASES.len().div_ceil(4);
        for cases in CASES.chunks(quarter) {
            scope.spawn(move || {
                for (keys, case) in cases {
                    println!("{keys:?}");
                    case();
                }
            });
        }
    });
}

fn changed(answer: &Value) -> Vec<&str> {
    answer["changed"].as_array().unwrap().iter().map(|c| c["key"].as_str().unwrap()).collect()
}

fn judged(status: &Value, window: &str, verdict: &str) -> bool {
    let mut windows = status["windows"].as_array().unwrap().iter();
    windows.any(|judged| judged["window"] == window && judged["verdict"] == verdict)
}

fn hash(status: &Value) -> String {
    status["reference"]["hash"].as_str().unwrap().to_owned()
}

/// Windows of an hour become ones of a second; their verdicts follow the least rows and the baseline.
fn thresholds_and_windows() {
    let upstream = model();
    let directory = tempfile::tempdir().unwrap();
    let files = [("low.json", 0.0), ("high.json", 500.0)].map(|(name, middle)| {
        let file = directory.path().join(name);
        baseline(&file, middle);
        file
    });
    let [low, high] = [0, 1].map(|n| ("baseline", text(&files[n])));
    let sidecar = Sidecar::before(upstream.address, &[QUIET, low, ("windows", "1h")]);
    let sees = |window: &str, verdict: &str| {
        sidecar.status_when(|status| {
            sidecar.predict("a", &around(500.0, 200));
            judged(status, window, verdict)
        })
    };
    let every_second = ("windows", "1s");
    let many = ("drift.min_rows", "100000000");
    let answer = sidecar.reload_with(&[QUIET, low, every_second, many]);
    assert_eq!(changed(&answer), ["windows", "drift.min_rows"]);
    sees("1s", "insufficient_data");
    sidecar.reload_with(&[QUIET, low, every_second]);
    let before = sees("1s", "drifting");
    let answer = sidecar.reload_with(&[QUIET, high, every_second]);
    assert_eq!(changed(&answer), ["baseline"]);
    assert_ne!(hash(&sidecar.status()), hash(&before));
    let status = sees("1s", "stable");
    // What was said of the other baseline is gone.
    assert!(!judged(&status, "1s", "drifting"));
    sidecar.end();
}

/// A difference that is chance at one rate is none at another. Which it is follows from the rows.
fn false_discovery_rate() {
    let upstream = model();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("baseline.json");
    baseline(&file, 0.0);
    let base = [QUIET, ("baseline", text(&file)), ("windows", "1s")];
    let with = |rate| [&base[..], &[("drift.false_discovery_rate", rate)]].concat();
    let sidecar = Sidecar::before(upstream.address, &with("0.000000000001"));
    let significant = |wanted: bool| {
        until(
            || {
                sidecar.predict("a", &around(5.0, 100));
                let drift = sidecar.json("/api/v1/drift");
                let last = drift["windows"].as_array().unwrap().last().cloned();
                last.unwrap_or_default()
            },
            |window| {
                let feature = &window["features"][0];
                window["rows"].as_u64().is_some_and(|rows| rows >= 100)
                    && feature["significant"] == json!(wanted)
            },
        )
    };
    sidecar.reload_with(&with("0.999"));
    significant(true);
    sidecar.reload_with(&with("0.000000000000000000000000000000000000000000000000000000000001"));
    significant(false);
    sidecar.end();
}

/// A feature that is far off in one window drifts once that is enough.
fn persistence() {
    let upstream = model();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("baseline.json");
    baseline(&file, 0.0);
    let with =
        |of| vec![QUIET, ("baseline", text(&file)), ("windows", "1s"), ("drift.persistence", of)];
    let sidecar = Sidecar::before(upstream.address, &with("1000 of 1000"));
    let sees = |detected: bool| {
        until(
            || {
                sidecar.predict("a", &around(500.0, 200));
                let drift = sidecar.json("/api/v1/drift");
                let last = drift["windows"].as_array().unwrap().last().cloned();
                last.unwrap_or_default()
            },
            |window| {
                let feature = &window["features"][0];
                feature["significant"] == json!(true) && feature["detected"] == json!(detected)
            },
        )
    };
    sees(false);
    sidecar.reload_with(&with("1 of 1"));
    sees(true);
    sidecar.end();
}

/// Each window is compared with the one before it from the reload on, and no more after the next.
fn references() {
    let upstream = model();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("baseline.json");
    baseline(&file, 0.0);
    let base = [QUIET, ("baseline", text(&file)), ("windows", "1s")];
    let sidecar = Sidecar::before(upstream.address, &base);
    let compared_with = |wanted: Option<&str>| {
        until(
            || {
                sidecar.predict("a", &around(0.0, 60));
                let drift = sidecar.json("/api/v1/drift");
                let last = drift["windows"].as_array().unwrap().last().cloned();
                last.unwrap_or_default()
            },
            |window| {
                let references = &window["features"][0]["references"];
                window["rows"].as_u64().is_some_and(|rows| rows >= 60)
                    && references[0]["reference"].as_str() == wanted
                    && wanted.is_none_or(|_| references[0]["rows"].as_u64().unwrap() >= 60)
            },
        )
    };
    compared_with(None);
    sidecar.reload_with(&[&base[..], &[("drift.references", "[previous]")]].concat());
    compared_with(Some("previous"));
    let metrics = sidecar.get("/metrics").text();
    assert!(metrics.contains("taffrail_drift_reference_detected{"), "{metrics}");
    sidecar.reload_with(&base);
    compared_with(None);
    sidecar.end();
}

/// Before an hour is over, rows that are far from the baseline are warned of, and no more once that is
/// off.
fn early_warning() {
    let upstream = model();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("baseline.json");
    baseline(&file, 0.0);
    let base = [QUIET, ("baseline", text(&file)), ("windows", "1h")];
    let with = |key, value| [&base[..], &[(key, value)]].concat();
    let sidecar = Sidecar::before(upstream.address, &with("drift.early_warning", "off"));
    sidecar.predict("a", &around(500.0, 100));
    sidecar.status_when(|status| status["traffic"]["requests"] == 1);
    let told = |sidecar: &Sidecar| sidecar.json("/api/v1/drift")["early_warning"].clone();
    assert_eq!(told(&sidecar), Value::Null);
    sidecar.reload_with(&with("drift.average_run_length", "77"));
    let early = until(
        || {
            sidecar.predict("a", &around(500.0, 100));
            told(&sidecar)
        },
        |early| early["features"][0]["state"] == "warned",
    );
    assert_eq!(early["average_run_length"], 77);
    assert_eq!(early["features"][0]["change"], "out_of_bounds");
    let metrics = sidecar.get("/metrics").text();
    let warned =
        |line: &str| line.starts_with("taffrail_drift_early_warning{") && line.ends_with(" 1");
    assert!(metrics.lines().any(warned), "{metrics}");
    sidecar.reload_with(&with("drift.early_warning", "off"));
    until(|| told(&sidecar), Value::is_null);
    sidecar.end();
}

fn watched(sidecar: &Sidecar) -> Vec<String> {
    let features = sidecar.json("/api/v1/features");
    let features = features["features"].as_array().unwrap();
    features.iter().map(|f| f["feature"].as_str().unwrap().to_owned()).collect()
}

fn features() {
    let upstream = model();
    let learn = ("baseline.learn.rows", "10");
    let sidecar = Sidecar::before(upstream.address, &[QUIET, learn]);
    sidecar.predict("a", &around(0.0, 20));
    sidecar.status_when(|status| status["reference"]["state"] == "learned");
    assert_eq!(watched(&sidecar), ["f0", "prediction"]);
    sidecar.reload_with(&[QUIET, learn, ("features.exclude", "pred*")]);
    assert_eq!(watched(&sidecar), ["f0"]);
    sidecar.reload_with(&[QUIET, learn, ("features.include", "pred*")]);
    assert_eq!(watched(&sidecar), ["prediction"]);
    sidecar.reload_with(&[QUIET, learn, ("features.max", "1")]);
    assert_eq!(watched(&sidecar), ["f0"]);
    let features = sidecar.json("/api/v1/features");
    assert_eq!(features["features_over_limit"], 1);
    // What was learned is still what it is compared with.
    assert_eq!(sidecar.status()["reference"]["state"], "learned");
    sidecar.end();
}

fn learnt_rows() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.predict("a", &around(0.0, 20));
    sidecar.status_when(|status| status["reference"]["rows"] == 20);
    sidecar.reload_with(&[QUIET, ("baseline.learn.rows", "30")]);
    assert_eq!(sidecar.status()["reference"]["needed"], 30);
    sidecar.predict("b", &around(0.0, 10));
    let status = sidecar.status_when(|status| status["reference"]["state"] == "learned");
    assert_eq!(status["reference"]["rows"], 30);
    sidecar.end();
}

fn names_of_features() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    let sees = |name: &str| {
        until(
            || {
                sidecar.predict("a", &[1.0]);
                watched(&sidecar)
            },
            |names| names.iter().any(|found| found == name),
        )
    };
    sidecar.reload_with(&[QUIET, ("model.feature_names", "[age]")]);
    sees("age");
    let signature = sidecar.path("MLmodel");
    let named = |name: &str| {
        let inputs = json!([{ "type": "double", "name": name, "required": true }]).to_string();
        std::fs::write(&signature, format!("signature:\n  inputs: '{inputs}'\n")).unwrap();
    };
    named("height");
    let with = [QUIET, ("model.signature", text(&signature))];
    sidecar.reload_with(&with);
    sees("height");
    // The same file with another content.
    named("weight");
    let answer = parsed(&sidecar.reload());
    assert_eq!(changed(&answer), ["model.signature"]);
    sees("weight");
    sidecar.end();
}

fn pointers() {
    let upstream = Upstream::answering(|_| {
        sized("HTTP/1.1 200 OK\r\ncontent-type: application/json", br#"{"deep":{"out":[7]}}"#)
    });
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.reload_with(&[
        QUIET,
        ("model.protocol", "pointers"),
        ("model.pointers.inputs", "/deep/rows"),
        ("model.pointers.outputs", "/deep/out"),
    ]);
    let status = sidecar.status_when(|status| {
        sidecar.send("a", "", br#"{"deep":{"rows":[[1],[2]]}}"#);
        status["decoded"]["output_rows"].as_u64().unwrap() > 0
    });
    assert!(status["decoded"]["input_rows"].as_u64().unwrap() > 0, "{status:#}");
    sidecar.end();
}

fn captured(status: &Value, outcome: &str) -> u64 {
    status["capture"][outcome].as_u64().unwrap()
}

fn sample() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET, ("capture.sample", "0")]);
    sidecar.predict("a", &[1.0]);
    let status = sidecar.status_when(|status| captured(status, "sampled_out") == 1);
    assert_eq!(captured(&status, "kept"), 0);
    sidecar.reload_with(&[QUIET]);
    sidecar.status_when(|status| {
        sidecar.predict("b", &[1.0]);
        captured(status, "kept") > 0
    });
    sidecar.reload_with(&[QUIET, ("capture.sample", "0")]);
    let before = sidecar.status();
    let after = sidecar.status_when(|status| {
        sidecar.predict("c", &[1.0]);
        captured(status, "sampled_out") > captured(&before, "sampled_out") + 5
    });
    assert!(captured(&after, "kept") <= captured(&before, "kept") + 1);
    sidecar.end();
}

fn cpu_budget() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET, ("capture.cpu_budget", "1")]);
    sidecar.reload_with(&[QUIET, ("capture.cpu_budget", "0.000001")]);
    sidecar.status_when(|status| {
        sidecar.predict("a", &[1.0]);
        captured(status, "sampled_out") > 0
    });
    sidecar.end();
}

fn max_body_bytes() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.predict("a", &[1.0]);
    let status = sidecar.status_when(|status| captured(status, "kept") == 1);
    assert_eq!(captured(&status, "truncated"), 0);
    sidecar.reload_with(&[QUIET, ("capture.max_body_bytes", "4B")]);
    sidecar.status_when(|status| {
        assert_eq!(sidecar.predict("b", &[1.0]).text(), r#"{"predictions":[1.0]}"#);
        captured(status, "truncated") > 0
    });
    sidecar.end();
}

fn headers() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    let tenant = "\r\nx-tenant: acme";
    sidecar.send("before", tenant, b"{}");
    sidecar.reload_with(&[QUIET, ("capture.headers", "[x-tenant]")]);
    // A serving thread takes it over as soon as it runs again.
    (0..20).for_each(|n| drop(sidecar.send(&format!("after-{n}"), tenant, b"{}")));
    let data = sidecar.end();
    let reader = Reader::open(data.path()).unwrap();
    let of = |id: &str| {
        let record = reader.find(id, Part::WithoutBodies).next().unwrap().unwrap();
        record.request.headers.is_some_and(|headers| headers.contains("acme"))
    };
    assert_eq!((of("before"), of("after-19")), (false, true));
}

fn labels(key: &str, value: &str) {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.predict("a", &[1.0, 2.0, 3.0]);
    let status = sidecar.status_when(|status| status["labels"]["predictions"] == 3);
    assert_eq!(status["labels"]["expired"], 0);
    sidecar.reload_with(&[QUIET, (key, value)]);
    sidecar.status_when(|status| status["labels"]["expired"] == 3);
    sidecar.end();
}

/// Nothing is written before a file is closed, and none is by itself for an hour.
fn rotation(key: &str, value: &str) {
    let upstream = model();
    let hour = ("archive.rotate_interval", "1h");
    let sidecar = Sidecar::before(upstream.address, &[QUIET, hour]);
    let body = noise();
    sidecar.send("a", "", &body);
    let status = sidecar.status_when(|status| status["archive"]["open_exchanges"] == 1);
    assert_eq!(status["archive"]["files"], 0);
    let mut keys = vec![QUIET, (key, value)];
    keys.extend(Some(hour).filter(|(hour, _)| *hour != key));
    sidecar.reload_with(&keys);
    sidecar.status_when(|status| {
        sidecar.send("b", "", &body);
        status["archive"]["files"].as_u64().unwrap() > 0
    });
    sidecar.end();
}

/// Half a megabyte that does not compress.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..1 << 16).flat_map(|_| next()).collect()
}

fn size_of_the_archive() {
    let upstream = model();
    let soon = ("archive.rotate_interval", "1ms");
    let sidecar = Sidecar::before(upstream.address, &[QUIET, soon]);
    let body = noise();
    sidecar.status_when(|status| {
        sidecar.send("a", "", &body);
        status["archive"]["files"].as_u64().unwrap() >= 4
    });
    assert_eq!(sidecar.status()["archive"]["expired_files"], 0);
    sidecar.reload_with(&[QUIET, soon, ("archive.max_bytes", "1MiB")]);
    sidecar.status_when(|status| {
        let archive = &status["archive"];
        archive["expired_files"].as_u64().unwrap() > 0
            && archive["bytes"].as_u64().unwrap() <= 1 << 20
    });
    sidecar.end();
}

/// The token of the moment is needed to see payloads, and to change it.
fn token() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    let file = sidecar.path("token");
    std::fs::write(&file, "first\n").unwrap();
    let seen_with = |token: &str| {
        let path = "/api/v1/exchanges?payloads=true";
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {token}"
        );
        exchange(sidecar.running.admin, &sized(&head, b"")).status()
    };
    let reload_with = |token: &str| {
        let head = format!(
            "POST /api/v1/reload HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             authorization: Bearer {token}"
        );
        exchange(sidecar.running.admin, &sized(&head, b""))
    };
    assert_eq!(seen_with("first"), 403);
    sidecar.reload_with(&[QUIET, ("admin.token_file", text(&file))]);
    assert_eq!((seen_with("first"), seen_with("second")), (200, 401));
    std::fs::write(&file, "second\n").unwrap();
    assert_eq!(sidecar.reload().status(), 401);
    let answer = reload_with("first");
    assert_eq!(changed(&parsed(&answer)), ["admin.token_file"]);
    assert!(!answer.text().contains("second"), "{}", answer.text());
    assert_eq!((seen_with("first"), seen_with("second")), (401, 200));
    sidecar.end();
}

fn drain() {
    let (reached, begun) = std::sync::mpsc::sync_channel(1);
    let witness = Witness::playing(move |raw| {
        let _ = raw.hear_through("\r\n\r\n");
        let _ = reached.try_send(());
        drop(raw.hear_all());
    });
    let hours = [QUIET, ("drain.delay", "1h"), ("drain.timeout", "1h")];
    let sidecar = Sidecar::before(witness.address, &hours);
    let mut client = Raw::connect(sidecar.running.listen).patient();
    client.say(request("a", "", b"{}"));
    begun.recv_timeout(PATIENCE).unwrap();
    sidecar.reload_with(&[QUIET, ("drain.delay", "0s"), ("drain.timeout", "0s")]);
    let drained = sidecar.running.shutdown();
    assert!(drained.clean && !drained.in_time);
    assert!(response(&mut client).is_err());
}

/// Off, a file is looked at when that is asked for; on, without.
fn watch() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.reload_with(&[("reload.watch", "on")]);
    sidecar.write(&[("reload.watch", "on"), ("drift.min_rows", "70")]);
    let status = sidecar.status_when(|status| status["reload"]["reloaded"] == 2);
    assert_eq!(status["reload"]["rejected"], 0);
    sidecar.end();
}
