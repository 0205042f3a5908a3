//! Keys of `labels` that say where labels come from and what they are tested against.

use super::keys::QUIET;
use super::{Sidecar, exchange, model};
use crate::support::wire::{Upstream, sized};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write as _;

/// Whether `sidecar` has so many labels joined.
fn joined(status: &Value, count: u64) -> bool {
    status["labels"]["joined"] == count
}

pub(super) fn reference_rows() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.predict("a", &[1.0, 2.0, 3.0]);
    let label = json!({ "id": "a", "label": [1, 2, 4] }).to_string();
    let head = "POST /api/v1/labels HTTP/1.1\r\nhost: admin\r\ncontent-type: application/json\
                \r\nconnection: close";
    exchange(sidecar.running.admin, &sized(head, label.as_bytes()));
    let status = sidecar.status_when(|status| joined(status, 3));
    let learning = json!({ "state": "learning", "rows": 3, "needed": 1000 });
    assert_eq!(status["labels"]["reference"], learning);
    sidecar.reload_with(&[QUIET, ("labels.reference_rows", "2")]);
    let learned = sidecar.status_when(|s| s["labels"]["reference"]["state"] == "learned");
    let accuracy = &learned["labels"]["reference"]["performance"]["classification"]["accuracy"];
    assert_eq!(*accuracy, json!(2.0 / 3.0));
    sidecar.end();
}

/// A model that answers feedback with the label it made of it.
fn model_with_feedback() -> Upstream {
    Upstream::answering(|request| {
        if request.body.starts_with(b"feedback") {
            let told = "HTTP/1.1 200 OK\r\nx-label: a#0=1, a#1=5,b\r\nx-label: c=1";
            return sized(told, b"");
        }
        let body = json!({ "predictions": [1, 2] }).to_string();
        sized("HTTP/1.1 200 OK\r\ncontent-type: application/json", body.as_bytes())
    })
}

pub(super) fn response_header() {
    let upstream = model_with_feedback();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.predict("a", &[1.0, 2.0]);
    sidecar.send("f1", "", b"feedback");
    let status = sidecar.status_when(|status| status["labels"]["predictions"] == 2);
    assert!(joined(&status, 0));
    sidecar.reload_with(&[QUIET, ("labels.response_header", "X-Label")]);
    // A serving thread takes it over as soon as it runs again.
    let mut sent = 1;
    let status = sidecar.status_when(|status| {
        sent += 1;
        sidecar.send(&format!("f{sent}"), "", b"feedback");
        joined(status, 2)
    });
    assert_eq!(status["labels"]["overall"]["classification"]["accuracy"], 0.5);
    // A client cannot say what is true.
    sidecar.predict("d", &[1.0, 2.0]);
    sidecar.send("f0", "\r\nx-label: d#0=1", b"{}");
    let status = sidecar.status_when(|status| status["labels"]["predictions"] == 6);
    assert!(joined(&status, 2));
    let header = &status["labels"]["sources"][2];
    assert_eq!(header["source"], "header");
    assert!(header["unreadable"].as_u64() >= Some(1), "{header}");
    let fault = &status["labels"]["faults"][0];
    assert_eq!(fault["reason"], "`label` is missing");
    assert!(
        fault["place"].as_str().unwrap().starts_with("x-label of the response to f"),
        "{fault}"
    );
    sidecar.end();
}

pub(super) fn files() {
    let upstream = model();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.predict("a", &[1.0, 2.0]);
    sidecar.status_when(|status| status["labels"]["predictions"] == 2);
    let file = sidecar.path("truth-1.jsonl");
    let write = |text: &str| {
        let mut file = OpenOptions::new().create(true).append(true).open(&file).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    write("{\"id\":\"a#0\",\"label\":1}\nnonsense\n");
    let pattern = sidecar.path("truth-*.jsonl").display().to_string();
    sidecar.reload_with(&[QUIET, ("labels.files", &format!("[\"{pattern}\"]"))]);
    let status = sidecar.status_when(|status| joined(status, 1));
    let fault = &status["labels"]["faults"][0];
    assert_eq!(fault["place"], format!("{} line 2", file.display()));
    // In the form of SageMaker's ground truth.
    write("{\"groundTruthData\":{\"data\":\"3\",\"encoding\":\"CSV\"},");
    write("\"eventMetadata\":{\"eventId\":\"a#1\"},\"eventVersion\":\"0\"}\n");
    let status = sidecar.status_when(|status| joined(status, 2));
    assert_eq!(status["labels"]["overall"]["classification"]["accuracy"], 0.5);
    assert_eq!(status["labels"]["sources"][1]["unreadable"], 1);
    // A file that is there no more is no fault of anybody.
    std::fs::remove_file(&file).unwrap();
    sidecar.end();
}
