//! Reloads under load: good ones, faulty ones, exporters that are swapped. No client notices, and
//! what was counted before, during and after adds up.

use super::exports::counted;
use super::tally::Tally;
use super::{Sidecar, around, baseline, model, request, text, until};
use crate::support::wire::Peer;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

const RELOADS: usize = 50;
const CLIENTS: usize = 8;
/// On one connection; then comes another.
const REQUESTS: usize = 25;

/// Asks until it is over, and takes every answer to pieces.
fn client(sidecar: &Sidecar, number: usize, asked: &AtomicU64, is_over: &AtomicBool) {
    let values = around(f64::from(u32::try_from(number).unwrap()), 3);
    let rows: Vec<_> = values.iter().map(|value| [value]).collect();
    let body = json!({ "instances": rows }).to_string();
    while !is_over.load(SeqCst) {
        let mut peer = Peer::connect(sidecar.running.listen);
        for _ in 0..REQUESTS {
            let id = asked.fetch_add(1, SeqCst).to_string();
            let answer = peer.send(request(&id, "", body.as_bytes())).receive();
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert_eq!(answer.field("x-request-id"), Some(id.as_str()));
            let answer: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(answer["predictions"], json!(values));
        }
    }
}

/// What the file says in each round. Every key takes part that could trip an exchange under way.
fn keys<'a>(
    round: usize,
    endpoints: &'a [String; 2],
    baselines: &'a [std::path::PathBuf; 2],
) -> Vec<(&'static str, &'a str)> {
    let side = round % 2;
    let mut keys = vec![
        ("reload.watch", ["on", "off"][side]),
        ("capture.cpu_budget", ["1", "0.9"][side]),
        ("capture.max_body_bytes", ["1MiB", "10B"][round / 3 % 2]),
        ("capture.headers", ["[x-a]", "[content-length]"][side]),
        ("export.otlp.temporality", "delta"),
        ("export.otlp.interval", ["20ms", "30ms"][side]),
        ("export.otlp.endpoint", &endpoints[round / 2 % 2]),
        ("baseline", text(&baselines[round / 4 % 2])),
        ("windows", ["[1s, 5s]", "[1s]"][round / 5 % 2]),
        ("features.exclude", ["[]", "[prediction]"][side]),
        ("drift.min_rows", ["50", "60"][side]),
        ("labels.max_pending", ["1000", "10"][side]),
        ("archive.rotate_bytes", ["64KiB", "64MiB"][side]),
        ("upstream.idle_timeout", ["60s", "50ms"][side]),
        ("upstream.max_idle_connections", ["64", "1"][side]),
        ("upstream.max_connection_age", ["none", "20ms"][side]),
        ("upstream.response_timeout", ["none", "30s"][side]),
        ("client.idle_timeout", ["1h", "30m"][side]),
        ("client.max_connections", ["10000", "9000"][side]),
        ("client.max_headers", ["100", "50"][side]),
    ];
    if round % 5 == 4 {
        keys.push(("drift.false_discovery_rate", "2"));
    }
    keys
}

#[test]
fn fifty_reloads_fail_no_request_and_lose_no_count() {
    let upstream = model();
    let collectors = [Tally::start(), Tally::start()];
    let endpoints = [collectors[0].endpoint(), collectors[1].endpoint()];
    let directory = tempfile::tempdir().unwrap();
    let baselines = ["a.json", "b.json"].map(|name| directory.path().join(name));
    baselines.iter().zip([0.0, 50.0]).for_each(|(file, middle)| baseline(file, middle));
    let sidecar = Sidecar::before(upstream.address, &keys(0, &endpoints, &baselines));
    let (asked, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let rejected = std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (sidecar, asked, is_over) = (&sidecar, &asked, &is_over);
            scope.spawn(move || client(sidecar, number, asked, is_over));
        }
        let mut rejected = 0;
        for round in 1..=RELOADS {
            let before = asked.load(SeqCst);
            sidecar.write(&keys(round, &endpoints, &baselines));
            let status = sidecar.reload().status();
            assert_eq!(status, if round % 5 == 4 { 422 } else { 200 }, "{round}");
            rejected += u64::from(status == 422);
            // Traffic goes on between one and the next.
            until(|| asked.load(SeqCst), |asked| *asked > before + 10);
        }
        is_over.store(true, SeqCst);
        rejected
    });
    let asked = asked.load(SeqCst);
    // Files were looked at by themselves too, so that there may be more of each.
    let standing = sidecar.status()["reload"].clone();
    let done = ["reloaded", "unchanged", "rejected"].map(|what| standing[what].as_u64().unwrap());
    assert!(rejected == 10 && done[2] >= rejected && done[0] >= 40, "{standing}");

    let status = sidecar.status_when(|status| {
        let seen = ["kept", "sampled_out", "dropped_items", "dropped_bytes"];
        let seen = seen.map(|what| status["capture"][what].as_u64().unwrap());
        seen.iter().sum::<u64>() == asked && status["traffic"]["requests"] == asked
    });
    assert_eq!(status["traffic"]["errors"], 0);
    let received = || collectors.iter().map(Tally::requests).sum::<u64>();
    until(received, |requests| *requests == asked);
    until(|| counted(&sidecar, "queue_length", "traces"), |queued| *queued == 0);
    let (sent, dropped) =
        (counted(&sidecar, "sent_total", "traces"), counted(&sidecar, "dropped_total", "traces"));
    let kept = status["capture"]["kept"].as_u64().unwrap();
    assert_eq!(sent + dropped, 2 * kept);
    assert_eq!(collectors.iter().map(Tally::spans).sum::<u64>(), sent);
    println!("{asked} requests, {sent} spans, {dropped} dropped, {standing}");
    sidecar.end();
    assert_eq!(received(), asked);
}
