//! `GET /api/v1/openapi.json`: the API's own description, `OpenAPI` 3.1, its schemas made from the types
//! that are answered.

use super::exchanges::{Full, Listed};
use super::features::{Drift, Feature, Watched};
use super::latency::Latency;
use super::status::{Labels, Status};
use super::system::System;
use crate::admin::filter;
use crate::admin::refusal::Refusal;
use crate::admin::state::{LabelsAccepted, Readiness};
use crate::config::Reloaded;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// One path and method.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    /// `None` for JSON of no fixed shape.
    answer: Value,
    /// Statuses of refusals.
    errors: &'static [(&'static str, &'static str)],
    needs_token: Token,
    body: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Never,
    /// For payloads.
    Sometimes,
    Always,
}

const BAD_QUERY: (&str, &str) = ("400", "A parameter that does not exist or cannot be read.");
const NO_TOKEN: (&str, &str) = ("401", "The admin token is missing or wrong.");
const NONE_CONFIGURED: (&str, &str) = ("403", "No admin token is configured.");

static DOCUMENT: LazyLock<String> = LazyLock::new(|| made().to_string());

pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

fn made() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let refusal = schemas.subschema_for::<Refusal>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations(&mut schemas) {
        let described = described(&operation, &refusal);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(operation.method.to_owned(), described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Taffrail",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a sidecar in front of a model knows: traffic, drift, performance, \
                            exchanges. Every error is `{\"error\": \"<word>\", \"message\": \"<text>\"}`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "The admin token." },
            },
        },
    })
}

fn described(operation: &Operation, refusal: &Value) -> Value {
    let json_of = |schema: &Value| json!({ "application/json": { "schema": schema } });
    let mut responses = Map::new();
    responses.insert(
        "200".into(),
        json!({ "description": operation.summary, "content": json_of(&operation.answer) }),
    );
    for (status, description) in operation.errors {
        let answer = json!({ "description": description, "content": json_of(refusal) });
        responses.insert((*status).into(), answer);
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": operation.parameters,
        "responses": responses,
    });
    match operation.needs_token {
        Token::Never => {}
        Token::Sometimes => described["security"] = json!([{}, { "token": [] }]),
        Token::Always => described["security"] = json!([{ "token": [] }]),
    }
    if let Some(body) = &operation.body {
        described["requestBody"] = body.clone();
    }
    described
}

fn read<T: JsonSchema>(
    schemas: &mut SchemaGenerator,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
) -> Operation {
    Operation {
        path,
        method: "get",
        id,
        summary,
        parameters,
        answer: schemas.subschema_for::<T>().to_value(),
        errors: &[BAD_QUERY],
        needs_token: Token::Never,
        body: None,
    }
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn segment(name: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "path", "required": true, "description": description,
        "schema": { "type": "string" },
    })
}

fn operations(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let mut operations = Vec::from(health(schemas));
    operations.extend(features(schemas));
    operations.extend(exchanges(schemas));
    operations.extend(changes(schemas));
    operations.push(reload(schemas));
    operations.push(Operation {
        path: "/api/v1/openapi.json",
        method: "get",
        id: "openapi",
        summary: "This document.",
        parameters: Vec::new(),
        answer: json!({ "type": "object" }),
        errors: &[],
        needs_token: Token::Never,
        body: None,
    });
    operations
}

fn health(schemas: &mut SchemaGenerator) -> [Operation; 4] {
    let range = query("range", "How far back.", &json!({ "enum": ["10m", "1h", "24h"] }));
    let window =
        query("window", "Length of the windows, such as `5m`.", &json!({ "type": "string" }));
    let whole = json!({ "type": "integer", "minimum": 0 });
    let last = query("last", "Only the newest so many of each length.", &whole);
    let status = read::<Status<'_>>(
        schemas,
        "/api/v1/status",
        "status",
        "What the sidecar is, and how it does.",
        vec![],
    );
    [
        Operation { errors: &[], ..status },
        read::<Latency<'_>>(
            schemas,
            "/api/v1/latency",
            "latency",
            "Quantiles now, requests since start, and a stretch of time with its heat map.",
            vec![range],
        ),
        read::<Labels<'_>>(
            schemas,
            "/api/v1/performance",
            "performance",
            "How right the model was, on the rows whose label has come.",
            vec![window, last],
        ),
        read::<System<'_>>(
            schemas,
            "/api/v1/system",
            "system",
            "Queues, losses, exporters, archive, and the configuration with its secrets hidden.",
            vec![],
        ),
    ]
}

fn features(schemas: &mut SchemaGenerator) -> [Operation; 3] {
    let text = json!({ "type": "string" });
    let window = query("window", "Length of the windows, such as `5m`.", &text);
    let roles = json!({ "enum": ["input", "output"] });
    let role = query("role", "On which side of the model.", &roles);
    let whole = json!({ "type": "integer", "minimum": 0 });
    let last = query("last", "Only the newest so many.", &whole);
    let name = segment("name", "The feature's name, percent-encoded.");
    let one = read::<Feature<'_>>(
        schemas,
        "/api/v1/features/{name}",
        "feature",
        "One feature: its bins, which of them moved, and its windows.",
        vec![name, role, window.clone()],
    );
    [
        read::<Watched<'_>>(
            schemas,
            "/api/v1/features",
            "features",
            "Every watched feature on the baseline's bins.",
            vec![],
        ),
        Operation { errors: &[BAD_QUERY, ("404", "No such feature is watched.")], ..one },
        read::<Drift<'_>>(
            schemas,
            "/api/v1/drift",
            "drift",
            "Verdicts on windows, as `taffrail drift --format json` prints them.",
            vec![window, last],
        ),
    ]
}

fn exchanges(schemas: &mut SchemaGenerator) -> [Operation; 2] {
    let filters = filter::PARAMETERS.iter().map(|(name, description)| {
        let schema = match *name {
            "failed" | "payloads" => json!({ "type": "boolean" }),
            "limit" => json!({ "type": "integer", "minimum": 0, "default": 50 }),
            _ => json!({ "type": "string" }),
        };
        query(name, description, &schema)
    });
    [
        Operation {
            errors: &[BAD_QUERY, NO_TOKEN, NONE_CONFIGURED],
            needs_token: Token::Sometimes,
            ..read::<Listed>(
                schemas,
                "/api/v1/exchanges",
                "exchanges",
                "The last exchanges, newest first.",
                filters.collect(),
            )
        },
        Operation {
            errors: &[NO_TOKEN, NONE_CONFIGURED, ("404", "Not among the last exchanges.")],
            needs_token: Token::Always,
            ..read::<Full>(
                schemas,
                "/api/v1/exchanges/{id}",
                "exchange",
                "One exchange with headers, bodies and rows.",
                vec![segment("id", "The `x-request-id`, percent-encoded.")],
            )
        },
    ]
}

fn changes(schemas: &mut SchemaGenerator) -> [Operation; 2] {
    let labels = json!({
        "required": true,
        "description": "`{\"id\": \"<x-request-id>\", \"label\": …}`, an array of them, NDJSON, or CSV.",
        "content": {
            "application/json": { "schema": { "type": ["object", "array"] } },
            "application/x-ndjson": { "schema": { "type": "string" } },
            "text/csv": { "schema": { "type": "string" } },
        },
    });
    [
        Operation {
            method: "post",
            errors: &[
                ("400", "No label could be read."),
                ("403", "A browser sent it on behalf of another site."),
                ("413", "More than 8 MiB."),
                ("415", "None of JSON, NDJSON and CSV."),
                ("503", "Analysis is behind: send the same again."),
            ],
            body: Some(labels),
            ..read::<LabelsAccepted>(
                schemas,
                "/api/v1/labels",
                "labels",
                "Takes ground truth.",
                vec![],
            )
        },
        Operation {
            method: "post",
            errors: &[(
                "403",
                "Not from this host, or a browser sent it on behalf of another site.",
            )],
            ..read::<Readiness>(
                schemas,
                "/api/v1/drain",
                "drain",
                "From now on no new traffic should come here.",
                vec![],
            )
        },
    ]
}

fn reload(schemas: &mut SchemaGenerator) -> Operation {
    let summary = "Puts a changed configuration in force.";
    Operation {
        method: "post",
        errors: &[
            ("401", "The admin token is configured, and missing or wrong."),
            ("403", "A browser sent it on behalf of another site."),
            ("422", "The configuration is refused, with its `problems`; the one before stays."),
            ("503", "The process is ending, or has more reloads to do than it remembers."),
        ],
        needs_token: Token::Sometimes,
        ..read::<Reloaded>(schemas, "/api/v1/reload", "reload", summary, vec![])
    }
}
