//! Every folder of `tests/fixtures/decode` is an exchange and what is to be read from it: `request.bin`
//! and `response.bin` are the bodies, `expected.json` says the rest. A new case is a new folder.

use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use taffrail::decode::{
    Cell, Decoded, Decoder, Limits, Part, Payload, Pointers, Protocol, Rows, Settings, Signature,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case shows, and where its bodies are from.
    #[serde(rename = "about")]
    _about: String,
    #[serde(default = "post")]
    method: String,
    path: String,
    status: Option<u16>,
    #[serde(default)]
    settings: CaseSettings,
    #[serde(default)]
    request: Head,
    #[serde(default)]
    response: Head,
    expected: Value,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Head {
    content_type: Option<String>,
    content_encoding: Option<String>,
    json_len: Option<usize>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CaseSettings {
    protocol: Option<String>,
    feature_names: Vec<String>,
    signature: Option<String>,
    inputs: Option<String>,
    outputs: Option<String>,
    max_depth: Option<usize>,
    max_columns: Option<usize>,
    max_rows: Option<usize>,
    max_cells: Option<usize>,
    max_plain_bytes: Option<usize>,
}

fn post() -> String {
    "POST".to_owned()
}

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decode")
}

pub(super) fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn protocol(name: &str) -> Protocol {
    match name {
        "open_inference_v2" => Protocol::OpenInferenceV2,
        "kserve_v1" => Protocol::KserveV1,
        "mlflow" => Protocol::Mlflow,
        "azure_ml" => Protocol::AzureMl,
        "csv" => Protocol::Csv,
        "pointers" => Protocol::Pointers,
        other => panic!("no protocol is called {other}"),
    }
}

impl CaseSettings {
    fn build(&self) -> Settings {
        let signature = self.signature.as_ref().map(|file| {
            let yaml = std::fs::read_to_string(folder().join(file)).unwrap();
            Signature::from_mlmodel(&yaml).unwrap()
        });
        let pointer = |text: &Option<String>| text.as_ref().map(|text| text.parse().unwrap());
        let limits = Limits::default();
        Settings {
            protocol: self.protocol.as_deref().map_or(Protocol::Auto, protocol),
            feature_names: self.feature_names.iter().map(|name| name.as_str().into()).collect(),
            signature,
            pointers: Pointers { inputs: pointer(&self.inputs), outputs: pointer(&self.outputs) },
            limits: Limits {
                max_depth: self.max_depth.unwrap_or(limits.max_depth),
                max_columns: self.max_columns.unwrap_or(limits.max_columns),
                max_rows: self.max_rows.unwrap_or(limits.max_rows),
                max_cells: self.max_cells.unwrap_or(limits.max_cells),
                max_plain_bytes: self.max_plain_bytes.unwrap_or(limits.max_plain_bytes),
            },
        }
    }
}

impl Head {
    fn part<'a>(&'a self, body: &'a [u8]) -> Part<'a> {
        Part {
            content_type: self.content_type.as_deref(),
            content_encoding: self.content_encoding.as_deref(),
            json_len: self.json_len,
            body,
            truncated: self.truncated,
        }
    }
}

/// Numbers that JSON has no word for are written `{"number": "NaN"}`.
fn cell(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Number(number) if number.is_finite() => json!(number),
        Cell::Number(number) => json!({ "number": number.to_string() }),
        Cell::Bool(value) => json!(value),
        Cell::Text(text) => json!(text),
    }
}

fn columns(rows: &Rows) -> Value {
    let columns = rows.columns().iter().map(|column| {
        assert_eq!(column.len(), rows.len(), "{}", column.name());
        json!([&**column.name(), column.cells().map(cell).collect::<Vec<_>>()])
    });
    columns.collect()
}

/// As `expected` is written: what is empty is left out.
fn seen(decoded: &Decoded) -> Value {
    let mut seen = serde_json::Map::new();
    if let Some(dialect) = decoded.dialect {
        seen.insert("dialect".to_owned(), json!(dialect.as_str()));
    }
    if let Some(model) = &decoded.model {
        seen.insert("model".to_owned(), json!([&*model.name, model.version.as_deref()]));
    }
    for (name, rows) in [("inputs", &decoded.inputs), ("outputs", &decoded.outputs)] {
        if !rows.columns().is_empty() {
            seen.insert(name.to_owned(), columns(rows));
        }
    }
    for (side, problem) in &decoded.problems {
        seen.insert(format!("{}_problem", side.as_str()), json!(problem.as_str()));
    }
    Value::Object(seen)
}

fn read(path: PathBuf) -> Vec<u8> {
    if path.exists() { std::fs::read(path).unwrap() } else { Vec::new() }
}

/// Equal, but for the last bit that `serde_json` may get wrong in reading `expected.json`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= one.abs() * f64::EPSILON
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}

#[test]
fn every_exchange_is_read_as_expected() {
    let mut wrong = String::new();
    for folder in cases() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        let case: Case =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (request, response) =
            (read(folder.join("request.bin")), read(folder.join("response.bin")));
        let payload = Payload {
            method: &case.method,
            path: &case.path,
            status: case.status,
            request: case.request.part(&request),
            response: case.response.part(&response),
        };
        let mut reader = Decoder::new(case.settings.build());
        let mut decoded = Decoded::default();
        let expected = &case.expected;
        // Twice: what one exchange leaves in the decoder's memory must not show in the next.
        for round in ["fresh", "used"] {
            reader.decode(&payload, &mut decoded);
            let seen = seen(&decoded);
            if !same(&seen, expected) {
                writeln!(
                    wrong,
                    "\n{name} ({round} decoder)\n  expected {expected}\n  seen     {seen}"
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn one_decoder_for_all_exchanges_reads_each_as_a_fresh_one_does() {
    let mut shared = Decoder::new(Settings::default());
    let mut reused = Decoded::default();
    for folder in cases() {
        let (request, response) =
            (read(folder.join("request.bin")), read(folder.join("response.bin")));
        for path in [
            "/invocations",
            "/score",
            "/v2/models/m/infer",
            "/v1/models/m:predict",
            "/inference.GRPCInferenceService/ModelInfer",
            "/any",
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/responses",
            "/v1/embeddings",
        ] {
            let payload = Payload {
                method: "POST",
                path,
                status: Some(200),
                request: Part { body: &request, ..Part::default() },
                response: Part { body: &response, ..Part::default() },
            };
            let mut fresh = Decoded::default();
            Decoder::new(Settings::default()).decode(&payload, &mut fresh);
            shared.decode(&payload, &mut reused);
            assert_eq!(seen(&reused), seen(&fresh), "{} on {path}", folder.display());
        }
    }
}
