use super::*;
use crate::archive::{Entry, Settings, Writer};
use crate::capture::{CapturedBody, Exchange, Message, RequestId, RouteId, Timing};
use crate::decode::Column;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn rows(name: &str, numbers: &[f64]) -> Rows {
    let mut column = Column::new(name);
    for number in numbers {
        column.push_number(*number);
    }
    let mut rows = Rows::new();
    rows.push(column);
    rows
}

fn message(body: &'static [u8]) -> Message {
    Message {
        headers: vec![(HeaderName::from_static("x-tenant"), HeaderValue::from_static("a"))],
        body: CapturedBody::from(Bytes::from_static(body)),
        ..Message::default()
    }
}

fn archive() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let writer = Writer::open(Settings::new(directory.path())).unwrap();
    for n in 0..3 {
        let exchange = Exchange {
            id: RequestId::new(HeaderValue::from_str(&format!("id-{n}")).unwrap()),
            started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + n),
            timing: Timing { total: Duration::from_millis(5), ..Timing::default() },
            route: RouteId::OTHER,
            method: Method::POST,
            target: "/score".parse().unwrap(),
            status: Some(StatusCode::OK),
            fault: None,
            trace: None,
            sample_rate: 1.0,
            request: message(b"{\"x\":1}"),
            response: message(b"\xff\x00"),
        };
        writer.offer(Arc::new(Entry {
            exchange: Box::new(exchange),
            route: "/score".into(),
            model_name: "m".into(),
            model_version: "1".into(),
            dialect: None,
            inputs: rows("x", &[1.5, f64::NAN]),
            outputs: rows("y", &[0.25, 0.75]),
            counted_at: None,
        }));
    }
    writer.close();
    directory
}

fn printed(verb: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<ExitCode>) -> (ExitCode, String) {
    let mut out = Vec::new();
    let code = verb(&mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

#[test]
fn ls_names_each_file_with_its_exchanges_and_times() {
    let directory = archive();
    let (_, text) = printed(|out| ls(directory.path(), out));
    assert!(text.contains("2023-11-14T22:13:20.000000Z  2023-11-14T22:13:22.000000Z"), "{text}");
    assert!(text.contains("3 exchanges in 1 files"), "{text}");
}

#[test]
fn cat_prints_one_object_an_exchange_with_rows_as_json() {
    let directory = archive();
    let (_, text) = printed(|out| cat(directory.path(), None, 2, Part::WithoutBodies, out));
    assert_eq!(text.lines().count(), 2);
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["id"], "id-0");
    assert_eq!(first["started_at"], "2023-11-14T22:13:20.000000Z");
    assert_eq!(first["request"]["headers"]["x-tenant"], "a");
    assert_eq!(first["inputs"], serde_json::json!([{"x": 1.5}, {"x": "NaN"}]));
    assert!(first["request"].get("body").is_none());
}

#[test]
fn cat_of_one_id_shows_bodies_as_text_or_base64() {
    let directory = archive();
    let (_, text) =
        printed(|out| cat(directory.path(), Some("id-1"), usize::MAX, Part::Everything, out));
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["id"], "id-1");
    assert_eq!(found["request"]["body"], "{\"x\":1}");
    assert_eq!(found["response"]["body_base64"], "/wA=");
}

#[test]
fn verify_fails_and_names_the_file_that_was_changed() {
    let directory = archive();
    let (code, text) = printed(|out| verify(directory.path(), out));
    assert_eq!(
        (code, text.as_str()),
        (ExitCode::SUCCESS, "3 exchanges in 1 of 1 files are whole\n")
    );
    let path = Reader::open(directory.path()).unwrap().files()[0].path.clone();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (code, text) = printed(|out| verify(directory.path(), out));
    assert_eq!(code, ExitCode::from(1));
    assert!(text.contains(path.file_name().unwrap().to_str().unwrap()), "{text}");
}

#[test]
fn export_prints_one_row_a_line() {
    let directory = archive();
    let (_, text) = printed(|out| export(directory.path(), out));
    assert_eq!(text.lines().count(), 6);
    let expected = r#"{"id":"id-0#1","ts":"2023-11-14T22:13:20Z","x":null,"output.y":0.75}"#;
    assert_eq!(text.lines().nth(1), Some(expected));
}

#[test]
fn a_place_without_archive_is_an_error_that_names_it() {
    let error = run(Args { verb: Verb::Ls { dir: "/nowhere/at/all".into() } }).unwrap_err();
    assert!(format!("{error:#}").contains("/nowhere/at/all"), "{error:#}");
}

#[test]
fn a_table_of_something_else_is_no_archive() {
    let table = "tests/fixtures/offline/gzip.parquet";
    let error = run(Args { verb: Verb::Ls { dir: table.into() } }).unwrap_err();
    assert!(error.to_string().contains("gzip.parquet is Parquet, but lacks"), "{error:#}");
}
