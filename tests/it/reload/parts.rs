//! Parts of the traffic, and what matters to the model: keys under `features.` that say so.

use super::keys::QUIET;
use super::{Sidecar, around, baseline, exchange, model, text, until};
use crate::support::wire::{Upstream, sized};
use serde_json::{Value, json};

const SECOND: (&str, &str) = ("windows", "1s");

fn instances(values: &[f64]) -> Vec<u8> {
    let rows: Vec<_> = values.iter().map(|value| [value]).collect();
    json!({ "instances": rows }).to_string().into_bytes()
}

/// The last window that holds, of those that close while traffic goes on.
fn window_when(
    sidecar: &Sidecar,
    mut send: impl FnMut(),
    holds: impl FnMut(&Value) -> bool,
) -> Value {
    let look = || {
        send();
        let drift = sidecar.json("/api/v1/drift");
        drift["windows"].as_array().unwrap().last().cloned().unwrap_or_default()
    };
    until(look, holds)
}

fn segment<'a>(window: &'a Value, name: &str) -> Option<&'a Value> {
    window["segments"].as_array()?.iter().find(|segment| segment["segment"] == name)
}

/// One tenant's rows are those of the baseline, the other's are not; then a bound of one value.
pub(super) fn segments() {
    let upstream = model();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("baseline.json");
    baseline(&file, 0.0);
    let base = [QUIET, SECOND, ("baseline", text(&file))];
    let sidecar = Sidecar::before(upstream.address, &base);
    let send = || {
        sidecar.send("a", "\r\nx-tenant: acme", &instances(&around(0.0, 200)));
        sidecar.send("b", "\r\nX-Tenant: umbra", &instances(&around(60.0, 200)));
    };
    // Of tenants that differ so much, rows of the whole hang together: it need not drift.
    let window = window_when(&sidecar, send, |window| window["rows"].as_u64() >= Some(400));
    assert!(window.get("segments").is_none());

    let by_tenant = ("features.segments", "[\"header:x-tenant\"]");
    sidecar.reload_with(&[&base[..], &[by_tenant]].concat());
    let verdict = |window: &Value, name: &str| segment(window, name).map(|s| s["verdict"].clone());
    let window = window_when(&sidecar, send, |window| {
        verdict(window, "header:x-tenant=umbra") == Some(json!("drifting"))
            && verdict(window, "header:x-tenant=acme") == Some(json!("stable"))
    });
    assert_eq!(segment(&window, "header:x-tenant=acme").unwrap()["reference"], "whole");
    let one = sidecar.json("/api/v1/features?segment=header:x-tenant%3Dacme&window=1s");
    assert_eq!((&one["segment"], &one["window"]), (&json!("header:x-tenant=acme"), &json!("1s")));
    assert_eq!(one["features"][0]["feature"], "f0");
    let alone = sidecar.get("/api/v1/features?window=1s");
    assert_eq!(alone.status(), 400);
    assert!(alone.text().contains("none is given"), "{}", alone.text());
    let unknown = sidecar.get("/api/v1/features?segment=header:x-tenant%3Dnobody");
    assert_eq!(unknown.status(), 404, "{}", unknown.text());
    let metrics = until(
        || {
            send();
            sidecar.get("/metrics").text()
        },
        |metrics| {
            let has = |name: &str, value: &str| {
                metrics.lines().any(|line| {
                    line.starts_with(name)
                        && line.contains("segment=\"header:x-tenant=umbra\"")
                        && line.ends_with(value)
                })
            };
            has("taffrail_drift_segment_verdict{", "} 1")
                && has("taffrail_drift_segment_features_detected{", "} 1")
        },
    );
    assert!(metrics.contains("taffrail_drift_segment_rows{"), "{metrics}");
    let page = sidecar.get("/").text();
    assert!(page.contains("header:x-tenant=umbra") && page.contains("the whole baseline"));

    labelled_by_segment(&sidecar);
    sidecar.reload_with(&[&base[..], &[by_tenant, ("features.max_segments", "1")]].concat());
    // Whichever comes first: a busy machine may shed a request from capture.
    let tenants = ["header:x-tenant=acme", "header:x-tenant=umbra"];
    window_when(&sidecar, send, |window| {
        segment(window, "header:x-tenant=(other)").is_some_and(|other| other["reference"] == "none")
            && tenants.iter().filter(|tenant| segment(window, tenant).is_some()).count() == 1
    });
    sidecar.end();
}

/// A label of a tenant's row is one of its segment's performance, and of no other's.
fn labelled_by_segment(sidecar: &Sidecar) {
    sidecar.send("labelled", "\r\nx-tenant: acme", &instances(&[3.0]));
    let label = json!({ "id": "labelled", "label": 5.25 }).to_string();
    let head = "POST /api/v1/labels HTTP/1.1\r\nhost: admin\r\ncontent-type: application/json\r\n\
                connection: close";
    let answer = exchange(sidecar.running.admin, &sized(head, label.as_bytes()));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let performance = until(
        // A busy machine may shed a request from capture: a row that is predicted again counts once.
        || {
            sidecar.send("labelled", "\r\nx-tenant: acme", &instances(&[3.0]));
            sidecar.json("/api/v1/performance")
        },
        |performance| performance["segments"].as_array().is_some_and(|parts| !parts.is_empty()),
    );
    let parts = performance["segments"].as_array().unwrap();
    assert_eq!((parts.len(), &parts[0]["segment"]), (1, &json!("header:x-tenant=acme")));
    assert_eq!(parts[0]["performance"]["regression"]["mae"], 2.25);
    assert_eq!(parts[0]["windows"][0]["rows"], 1);
    let metrics = sidecar.get("/metrics").text();
    let of = |segment: &str| {
        let mut lines =
            metrics.lines().filter(|line| line.starts_with("taffrail_performance_mae{"));
        lines.any(|line| line.contains(segment) && line.ends_with("} 2.25"))
    };
    assert!(of("segment=\"header:x-tenant=acme\"") && of("segment=\"all\""), "{metrics}");
    assert!(sidecar.get("/performance").text().contains("header:x-tenant=acme"));
}

/// The weight that a reload gives to a feature, by the map and by a file.
pub(super) fn importance() {
    let upstream = model();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("baseline.json");
    baseline(&file, 0.0);
    let base = [QUIET, SECOND, ("baseline", text(&file))];
    let sidecar = Sidecar::before(upstream.address, &base);
    let send = || drop(sidecar.predict("a", &around(60.0, 200)));
    let weight = |window: &Value| window["features"][0]["weight"].clone();
    window_when(&sidecar, send, |window| weight(window) == Value::Null);
    let given = ("features.importance", "{ f0: 3, f1: 1 }");
    sidecar.reload_with(&[&base[..], &[given]].concat());
    let window = window_when(&sidecar, send, |window| weight(window)["rank"] == 1);
    assert_eq!(weight(&window)["importance"], 0.75);
    let weights = directory.path().join("importance.json");
    std::fs::write(&weights, "{\"f0\": 0.25, \"f1\": 0.75}").unwrap();
    let by_file = ("features.importance_file", text(&weights));
    sidecar.reload_with(&[&base[..], &[by_file]].concat());
    window_when(&sidecar, send, |window| weight(window)["importance"] == 0.25);
    // Over those of the file, one by one.
    sidecar.reload_with(&[&base[..], &[by_file, ("features.importance", "{ f1: 0.0 }")]].concat());
    window_when(&sidecar, send, |window| weight(window)["importance"] == 1.0);
    sidecar.end();
}

/// Answers that carry attributions under names of their own, whose ranking is not the given one.
pub(super) fn attribution_prefix() {
    let upstream = Upstream::answering(|request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let rows = asked["instances"].as_array().cloned().unwrap_or_default();
        let answer = |row: &Value| json!({ "y": row[0], "why_a": 0.1, "why_b": -0.9 });
        let predictions: Vec<_> = rows.iter().map(answer).collect();
        let body = json!({ "predictions": predictions }).to_string();
        sized("HTTP/1.1 200 OK\r\ncontent-type: application/json", body.as_bytes())
    });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("baseline.json");
    baseline(&file, 0.0);
    let weights = ("features.importance", "{ a: 0.9, b: 0.1 }");
    let base = [QUIET, SECOND, ("baseline", text(&file)), weights];
    let sidecar = Sidecar::before(upstream.address, &base);
    let send = || drop(sidecar.predict("a", &around(0.0, 200)));
    let window = window_when(&sidecar, send, |window| window["verdict"] == "stable");
    assert!(window.get("attribution").is_none());
    sidecar.reload_with(&[&base[..], &[("features.attribution_prefix", "[why_]")]].concat());
    let window = window_when(&sidecar, send, |window| window["attribution"].is_object());
    let drift = &window["attribution"];
    // sklearn.metrics.ndcg_score([[0.9, 0.1]], [[0.1, 0.9]])
    assert!((drift["ndcg"].as_f64().unwrap() - 0.693_429_186_280_438).abs() < 1e-9, "{drift}");
    assert_eq!((&drift["detected"], &drift["reference"]), (&json!(true), &json!("importance")));
    let metrics = sidecar.get("/metrics").text();
    assert!(metrics.contains("taffrail_drift_attribution_ndcg{"), "{metrics}");
    sidecar.end();
}
