//! The API's own description: every route is in it, and every answer is as it says.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use crate::admin::Served;
use crate::admin_state::{TOKEN, busy, fresh};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::sync::Arc;
use taffrail::admin::{ExporterState, Readiness, State};

const ONE: &str = "/api/v1/exchanges/0199b7c2-7a1e-7c3d-9f00-000000000004";

fn document(served: &Served) -> Value {
    served.get("/api/v1/openapi.json").json()
}

/// The schema of one answer, with the components that it refers to. What is not described is refused.
fn validator(document: &Value, path: &str, method: &str, status: u16) -> Validator {
    let answer = &document["paths"][path][method]["responses"][status.to_string()];
    let mut schema = answer["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{method} {path} {status} is not described");
    schema["components"] = closed(&document["components"]);
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Objects of fixed shape may have no member beyond those described. Those that are put together from
/// several stay open: which member is whose cannot be said of a part.
fn closed(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(closed).collect(),
        Value::Object(members) => {
            let mut members: serde_json::Map<_, _> =
                members.iter().map(|(name, value)| (name.clone(), closed(value))).collect();
            let is_part = members.contains_key("oneOf") || members.contains_key("anyOf");
            if members.get("properties").is_some_and(Value::is_object) && !is_part {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            Value::Object(members)
        }
        other => other.clone(),
    }
}

fn check(document: &Value, path: &str, method: &str, status: u16, answer: &Value) {
    let validator = validator(document, path, method, status);
    let errors: Vec<_> = validator
        .iter_errors(answer)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{method} {path} {status}: {errors:#?}");
}

fn everything() -> State {
    let exporters = vec![ExporterState {
        name: "otlp metrics".into(),
        sent: 3,
        failed: 1,
        dropped: 0,
        last_error: Some("refused".into()),
    }];
    State { exporters: Arc::new(move || exporters.clone()), ..busy() }
}

#[test]
fn every_answer_is_as_the_document_says() {
    for state in [fresh(), everything()] {
        let served = Served::new(state);
        let document = document(&served);
        for (path, request) in [
            ("/api/v1/status", "/api/v1/status"),
            ("/api/v1/latency", "/api/v1/latency?range=1h"),
            ("/api/v1/latency", "/api/v1/latency"),
            ("/api/v1/features", "/api/v1/features"),
            ("/api/v1/drift", "/api/v1/drift"),
            ("/api/v1/performance", "/api/v1/performance"),
            ("/api/v1/system", "/api/v1/system"),
            ("/api/v1/exchanges", "/api/v1/exchanges"),
            ("/api/v1/openapi.json", "/api/v1/openapi.json"),
        ] {
            check(&document, path, "get", 200, &served.get(request).json());
        }
    }
    let served = Served::new(everything());
    let document = document(&served);
    for feature in ["temp_max", "weather?role=output&window=1h"] {
        let answer = served.get(&format!("/api/v1/features/{feature}")).json();
        check(&document, "/api/v1/features/{name}", "get", 200, &answer);
        assert!(!answer["windows"].as_array().unwrap().is_empty());
    }
    let bearer = format!("Bearer {TOKEN}");
    let with_token =
        |path: &str| served.send("GET", path, &[("authorization", &bearer)], b"").json();
    check(&document, "/api/v1/exchanges/{id}", "get", 200, &with_token(ONE));
    check(
        &document,
        "/api/v1/exchanges",
        "get",
        200,
        &with_token("/api/v1/exchanges?payloads=true"),
    );
    let labels = served.post("/api/v1/labels", "text/csv", b"id,label\na,1\n").json();
    check(&document, "/api/v1/labels", "post", 200, &labels);
    let drain = served.send("POST", "/api/v1/drain", &[], b"").json();
    check(&document, "/api/v1/drain", "post", 200, &drain);
}

#[test]
fn every_refusal_is_as_the_document_says() {
    let served = Served::new(busy());
    let document = document(&served);
    for (path, method, request, status) in [
        ("/api/v1/latency", "get", "/api/v1/latency?range=2h", 400),
        ("/api/v1/features/{name}", "get", "/api/v1/features/none", 404),
        ("/api/v1/features/{name}", "get", "/api/v1/features/temp_max?window=9m", 400),
        ("/api/v1/drift", "get", "/api/v1/drift?last=few", 400),
        ("/api/v1/exchanges", "get", "/api/v1/exchanges?answer=rain", 401),
        ("/api/v1/exchanges/{id}", "get", ONE, 401),
        ("/api/v1/reload", "post", "/api/v1/reload", 401),
    ] {
        let answer = served.send(&method.to_uppercase(), request, &[], b"");
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        check(&document, path, method, status, &answer.json());
    }
    let reload = served.send("POST", "/api/v1/reload", &[("sec-fetch-site", "cross-site")], b"");
    check(&document, "/api/v1/reload", "post", 403, &reload.json());
}

#[test]
fn an_answer_that_is_not_as_described_is_found() {
    let served = Served::new(busy());
    let document = document(&served);
    let mut answer = served.get("/api/v1/status").json();
    assert!(validator(&document, "/api/v1/status", "get", 200).is_valid(&answer));
    answer["traffic"]["requests"] = json!("many");
    assert!(!validator(&document, "/api/v1/status", "get", 200).is_valid(&answer));
    answer["traffic"] = json!({ "requests": 1 });
    assert!(!validator(&document, "/api/v1/status", "get", 200).is_valid(&answer), "incomplete");
}

/// The source is the list of routes: one that nobody described fails.
#[test]
fn every_route_is_in_the_document() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/api/mod.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let routes: Vec<_> = source
        .split(".route(\"")
        .skip(1)
        .map(|rest| format!("/api/v1{}", rest.split('"').next().unwrap()))
        .collect();
    assert!(routes.len() >= 12, "{routes:?}");
    let document = document(&Served::new(fresh()));
    let described: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let sorted = |mut paths: Vec<String>| {
        paths.sort();
        paths
    };
    assert_eq!(sorted(routes), sorted(described));
    let ids: std::collections::BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 13);
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn readiness_is_described_in_all_its_states() {
    for readiness in [
        Readiness::Draining,
        Readiness::UpstreamUnreachable {
            since: crate::admin_state::minute(0),
            reason: "refused".into(),
        },
    ] {
        let served =
            Served::new(State { readiness: Arc::new(move || readiness.clone()), ..fresh() });
        check(
            &document(&served),
            "/api/v1/system",
            "get",
            200,
            &served.get("/api/v1/system").json(),
        );
    }
}
