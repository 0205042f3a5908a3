//! `taffrail decode`: an exchange from files, read as the sidecar would.

use crate::cli_support::{Run, taffrail_with};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn write(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn decode(arguments: &[&str], files: &[(&str, &Path)]) -> Run {
    let files = files.iter().flat_map(|(flag, path)| [*flag, path.to_str().unwrap()]);
    let arguments: Vec<&str> =
        std::iter::once("decode").chain(arguments.iter().copied()).chain(files).collect();
    taffrail_with(&[], &arguments)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_captured_exchange_is_read_as_it_crossed() {
    let directory = tempfile::tempdir().unwrap();
    let body = gzip(br#"{"instances": [{"age": 39.5, "job": "clerk"}, {"age": 50, "job": null}]}"#);
    let head = format!(
        "POST /v1/models/income:predict HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\n\
         Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    );
    let request = [head.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let request = write(directory.path(), "request", &request);
    let response = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"predictions\":[0,1]}";
    let response = write(directory.path(), "response", response);
    let files = [("--request", &*request), ("--response", &*response)];
    let run = decode(&[], &files);
    let expected = "\
dialect   kserve_v1 (its member `instances`)
model     income
inputs    2 rows of 2 columns
  age   job
  39.5  \"clerk\"
  50    null
outputs   2 rows of 1 column
  prediction
  0
  1
";
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (Some(0), expected, ""));
    let run = decode(&["--format", "json", "--rows", "1"], &files);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["inputs"], json!({ "age": [39.5, 50.0], "job": ["clerk", null] }));
    assert_eq!(report["problems"], json!([]));
    let run = decode(&["--rows", "1"], &files);
    assert!(run.stdout.contains("  39.5  \"clerk\"\n  and 1 row more\n"), "{run:?}");
}

#[test]
fn a_wide_row_is_shown_a_column_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let body = br#"{"model": "tiny", "messages": [{"role": "user", "content": "Tell me more"}]}"#;
    let request = write(directory.path(), "body.json", body);
    let run = decode(&["--path", "/v1/chat/completions"], &[("--request", &request)]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.starts_with("dialect   openai (its path)\n"), "{run:?}");
    assert!(run.stdout.contains("\n  prompt_words              3\n"), "{run:?}");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 100), "{run:?}");
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let rows = write(directory.path(), "rows.json", br#"{"records": {"rows": [[1, 2]]}}"#);
    let run = decode(&["--path", "/predict"], &[("--request", &rows)]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let problem = "problem: request: unrecognised: no dialect has rows like these; say where they \
                   stand with model.pointers.inputs";
    assert!(run.stdout.contains(problem), "{run:?}");
    let config =
        "model: { pointers: { inputs: /records/rows } }\nupstream: { url: 'http://127.0.0.1:1' }\n";
    let config = write(directory.path(), "taffrail.yaml", config.as_bytes());
    let run = decode(&[], &[("--request", &rows), ("--config", &config)]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("inputs    1 row of 2 columns\n  f0  f1\n  1   2\n"), "{run:?}");
}

#[test]
fn files_that_are_none_of_an_exchange_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let run = decode(&[], &[("--request", &missing)]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("missing: cannot be read"), "{run:?}");
    let response = write(directory.path(), "response", b"HTTP/1.1 200 OK\r\n\r\n[1]");
    let run = decode(&[], &[("--request", &response)]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("is a response"), "{run:?}");
}
