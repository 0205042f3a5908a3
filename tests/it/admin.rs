//! The admin address over a real socket: paths, shapes, who may see what, and the page.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use crate::admin_state::{self, TOKEN, busy, fresh, minute};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use taffrail::admin::{self, LabelsAccepted, LabelsRefused, Readiness, RejectedLabel, State};
use tokio::sync::oneshot;

pub(crate) struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn new(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let shutdown = async { stopped.await.unwrap() };
            runtime.block_on(admin::serve(listener, Arc::new(state), shutdown)).unwrap();
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        self.send("POST", path, &[("content-type", content_type)], body)
    }

    /// A server that does not answer fails the test rather than holding it up.
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let length = format!("content-length: {}\r\n", body.len());
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let headers = headers.chain([length]);
        let headers = headers.collect::<String>();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        // A refusal may come, and the connection close, before all of a body was sent.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::parse(&String::from_utf8(answer).unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }
}

#[test]
fn the_process_is_healthy_whatever_the_model_does() {
    let mut state = fresh();
    state.readiness = Arc::new(|| Readiness::UpstreamUnreachable {
        since: minute(0),
        reason: "connection refused".into(),
    });
    let served = Served::new(state);
    assert_eq!(served.get("/healthz").status, 200);
    let ready = served.get("/readyz");
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.json(),
        json!({
            "state": "upstream_unreachable",
            "since": "2026-01-01T00:00:00Z",
            "reason": "connection refused",
        })
    );
}

#[test]
fn readiness_follows_the_probe() {
    let readiness = Arc::new(Mutex::new(Readiness::Ready));
    let probe = Arc::clone(&readiness);
    let served = Served::new(State {
        readiness: Arc::new(move || probe.lock().unwrap().clone()),
        ..fresh()
    });
    assert_eq!(served.get("/readyz").status, 200);
    *readiness.lock().unwrap() = Readiness::Draining;
    let draining = served.get("/readyz");
    assert_eq!((draining.status, draining.json()), (503, json!({ "state": "draining" })));
}

#[test]
fn metrics_are_negotiated() {
    let served = Served::new(fresh());
    let answer = served.send("GET", "/metrics", &[("accept", "application/openmetrics-text")], b"");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text"));
    assert!(answer.body.starts_with("taffrail_capture_coverage 1"));
}

#[test]
fn status_says_what_the_sidecar_is_and_does() {
    let status = Served::new(busy()).get("/api/v1/status").json();
    assert_eq!(status["model"], json!({ "name": "seattle-weather", "version": "3" }));
    assert_eq!(status["verdict"], "drifting");
    assert_eq!(status["readiness"]["state"], "ready");
    assert_eq!(status["reference"]["state"], "given");
    assert_eq!(status["capture"]["dropped_items"], 50);
    assert_eq!(status["capture"]["queue"]["max_items"], 4096);
    assert_eq!(status["labels"]["joined"], 6600);
    assert_eq!(status["labels"]["overall"]["classification"]["accuracy"], 0.836);
    assert_eq!(status["decoded"]["problems"][0]["reason"], "unknown_content_type");
    assert_eq!(status["windows"][0]["window"], "5m");
    assert_eq!(status["windows"][1]["window"], "1h");
    assert_eq!(status["config"][1]["source"], "--upstream");
    assert!(status["traffic"]["requests"].as_u64().unwrap() > 10_000);
}

#[test]
fn latency_has_quantiles_by_phase_and_route_and_a_history() {
    let latency = Served::new(busy()).get("/api/v1/latency").json();
    let total = &latency["phases"][0];
    assert_eq!((&total["phase"], &total["over"]), (&json!("total"), &json!("last_minute")));
    for quantile in ["p50", "p90", "p95", "p99", "p999", "max"] {
        assert!(total[quantile].as_f64().unwrap() > 0.0, "{quantile}");
    }
    assert_eq!(latency["routes"][0]["route"], "/v2/models/{model}/infer");
    assert_eq!(latency["requests"][1]["status"], 500);
    assert!(latency["history"].as_array().unwrap().len() >= 10);
    assert!(latency["history"][3]["p99"].as_f64().unwrap() > 0.0);
}

#[test]
fn drift_has_the_shape_of_the_offline_report() {
    let drift = Served::new(busy()).get("/api/v1/drift").json();
    assert_eq!(drift["baseline"], json!({ "rows": 920 }));
    let window = &drift["windows"][30];
    for key in ["window", "start", "end", "rows", "coverage", "verdict", "features"] {
        assert!(!window[key].is_null(), "{key}");
    }
    let feature = &window["features"][0];
    assert_eq!((&feature["feature"], &feature["role"]), (&json!("temp_max"), &json!("input")));
    assert!(
        feature["distances"]["psi"].is_number() && feature["quality"]["null_ratio"].is_number()
    );
}

#[test]
fn features_carry_their_bins() {
    let features = Served::new(busy()).get("/api/v1/features").json();
    assert_eq!(features["features_over_limit"], 0);
    let weather = &features["features"][4];
    assert_eq!((&weather["feature"], &weather["role"]), (&json!("weather"), &json!("output")));
    assert_eq!(weather["bins"][0]["label"], "sun");
}

#[test]
fn nothing_has_happened_is_an_answer_too() {
    let served = Served::new(fresh());
    assert_eq!(served.get("/api/v1/status").json()["verdict"], Value::Null);
    assert_eq!(served.get("/api/v1/drift").json()["windows"], json!([]));
    assert_eq!(served.get("/api/v1/exchanges").json(), json!({ "exchanges": [] }));
    assert_eq!(served.get("/api/v1/latency").json()["phases"], json!([]));
}

#[test]
fn the_list_of_exchanges_holds_no_payload() {
    let served = Served::new(busy());
    let answer = served.get("/api/v1/exchanges?limit=2");
    let exchanges = answer.json();
    assert_eq!(exchanges["exchanges"].as_array().unwrap().len(), 2);
    let newest = &exchanges["exchanges"][0];
    assert_eq!(newest["id"], "0199b7c2-7a1e-7c3d-9f00-00000000001d");
    assert_eq!((&newest["status"], &newest["request_bytes"]), (&json!(200), &json!(45)));
    for payload in ["temp_max", "rain", "tenant", "acme"] {
        assert!(!answer.body.contains(payload), "{payload}");
    }
}

#[test]
fn exchanges_are_found_by_failure_and_by_trace() {
    let served = Served::new(busy());
    let failed = served.get("/api/v1/exchanges?failed=true").json();
    let faults: Vec<_> =
        failed["exchanges"].as_array().unwrap().iter().map(|one| &one["fault"]).collect();
    assert_eq!(faults, ["upstream_connect"; 3]);
    let traced = served.get("/api/v1/exchanges?trace_id=00000000000000000000000000000005").json();
    assert_eq!(traced["exchanges"][0]["id"], "0199b7c2-7a1e-7c3d-9f00-000000000004");
    assert_eq!(served.get("/api/v1/exchanges?limit=many").status, 400);
    assert_eq!(served.get("/api/v1/exchanges?colour=red").json()["error"], "bad_query");
}

#[test]
fn payloads_are_for_callers_with_the_token() {
    let served = Served::new(busy());
    let one = "/api/v1/exchanges/0199b7c2-7a1e-7c3d-9f00-000000000004";
    for path in [one, "/api/v1/exchanges?payloads=true"] {
        let without = served.get(path);
        assert_eq!((without.status, &without.json()["error"]), (401, &json!("token_required")));
        assert!(without.header("www-authenticate").unwrap().starts_with("Bearer"));
        for wrong in ["Bearer aye-ay", "Bearer aye-aye!", "Basic aye-aye", "Bearer ", "aye-aye"] {
            let answer = served.send("GET", path, &[("authorization", wrong)], b"");
            assert_eq!(answer.status, 401, "{wrong}");
            assert!(!answer.body.contains("rain"));
        }
    }
    let bearer = format!("Bearer {TOKEN}");
    let answer = served.send("GET", one, &[("authorization", &bearer)], b"").json();
    assert_eq!(answer["target"], "/v2/models/weather/infer?tenant=acme");
    assert!(answer["request"]["body"]["content"].as_str().unwrap().contains("temp_max"));
    assert_eq!(answer["inputs"], json!([{ "temp_max": 3.5 }]));
    assert_eq!(answer["outputs"], json!([{ "weather": "rain" }]));
    let all = served.send(
        "GET",
        "/api/v1/exchanges?payloads=true&limit=3",
        &[("authorization", &bearer)],
        b"",
    );
    assert_eq!(all.json()["exchanges"][2]["outputs"][0]["weather"], "rain");
    let unknown = served.send("GET", "/api/v1/exchanges/none", &[("authorization", &bearer)], b"");
    assert_eq!((unknown.status, &unknown.json()["error"]), (404, &json!("unknown_exchange")));
}

#[test]
fn without_a_configured_token_payloads_are_for_nobody() {
    let served = Served::new(State { token: Arc::default(), ..busy() });
    let path = "/api/v1/exchanges/0199b7c2-7a1e-7c3d-9f00-000000000004";
    let answer = served.send("GET", path, &[("authorization", "Bearer ")], b"");
    assert_eq!(answer.status, 403);
    assert!(answer.json()["message"].as_str().unwrap().contains("admin.token_file"));
}

#[test]
fn labels_reach_the_sink_with_their_type() {
    let mut state = fresh();
    state.labels = Arc::new(|content_type, body| {
        assert_eq!((content_type, body), (Some("text/csv"), &b"id,label\na,1\nb\n"[..]));
        let rejected = vec![RejectedLabel { line: 3, reason: "no label".into() }];
        Ok(LabelsAccepted { accepted: 1, rejected })
    });
    let answer = Served::new(state).post("/api/v1/labels", "text/csv", b"id,label\na,1\nb\n");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({ "accepted": 1, "rejected": [{ "line": 3, "reason": "no label" }] })
    );
}

#[test]
fn a_refusal_of_labels_says_whose_fault_it_is() {
    let refused = |refusal: LabelsRefused| {
        let labels = Arc::new(move |_: Option<&str>, _: &[u8]| Err(refusal.clone()));
        Served::new(State { labels, ..fresh() }).post("/api/v1/labels", "text/csv", b"x")
    };
    let malformed = refused(LabelsRefused::Malformed("no column `id`".into()));
    assert_eq!(malformed.status, 400);
    assert_eq!(
        malformed.json(),
        json!({ "error": "malformed_labels", "message": "no column `id`" })
    );
    assert_eq!(refused(LabelsRefused::UnsupportedType("xml".into())).status, 415);
    assert_eq!(refused(LabelsRefused::Busy("draining".into())).status, 503);
}

#[test]
fn draining_is_begun_by_this_host_and_by_no_page_of_another_site() {
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let drain = Arc::new(move || *counted.lock().unwrap() += 1);
    let readiness = Arc::new(|| Readiness::Draining);
    let served = Served::new(State { drain, readiness, ..fresh() });
    let foreign = [("sec-fetch-site", "cross-site")];
    assert_eq!(served.send("POST", "/api/v1/drain", &foreign, b"").status, 403);
    assert_eq!(served.get("/api/v1/drain").status, 405);
    assert_eq!(*asked.lock().unwrap(), 0);
    let answer = served.send("POST", "/api/v1/drain", &[], b"");
    assert_eq!((answer.status, answer.json()), (200, json!({ "state": "draining" })));
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[test]
fn labels_over_the_limit_are_refused() {
    let served = Served::new(fresh());
    let most = vec![b' '; 8 << 20];
    assert_eq!(served.post("/api/v1/labels", "application/json", &most).status, 200);
    // Only announced: the refusal does not wait for the body.
    let length = (8 << 20) + 1;
    let mut stream = served.connect();
    write!(
        stream,
        "POST /api/v1/labels HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let answer = Answer::parse(&answer);
    assert_eq!((answer.status, &answer.json()["error"]), (413, &json!("too_large")));
}

#[test]
fn another_site_cannot_post_through_a_browser() {
    let served = Served::new(fresh());
    for path in ["/api/v1/labels", "/api/v1/reload"] {
        let answer = served.send("POST", path, &[("sec-fetch-site", "cross-site")], b"{}");
        assert_eq!((answer.status, &answer.json()["error"]), (403, &json!("cross_site")), "{path}");
    }
}

#[test]
fn an_unknown_path_answers_in_the_language_of_its_place() {
    let served = Served::new(fresh());
    for path in ["/api", "/api/v2/status", "/api/v1/nothing", "/api/v1/"] {
        let answer = served.get(path);
        assert_eq!((answer.status, &answer.json()["error"]), (404, &json!("not_found")), "{path}");
    }
    let page = served.get("/nothing");
    assert_eq!(page.status, 404);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let wrong = served.post("/api/v1/status", "application/json", b"");
    assert_eq!((wrong.status, &wrong.json()["error"]), (405, &json!("method_not_allowed")));
}

#[test]
fn every_answer_forbids_what_the_page_does_not_need() {
    let served = Served::new(busy());
    let pages = ["/", "/drift", "/features/temp_max", "/performance", "/exchanges", "/system"];
    let others = ["/api/v1/status", "/assets/app.js", "/nothing", "/metrics", "/exchanges/none"];
    for path in pages.into_iter().chain(others) {
        let answer = served.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        assert!(
            policy.contains("form-action 'self'") && policy.contains("base-uri 'none'"),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        let cache = if path.starts_with("/assets") { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), Some(cache), "{path}");
    }
}

#[test]
fn assets_are_revalidated_by_their_content() {
    let served = Served::new(fresh());
    for (path, content_type) in [
        ("/assets/app.css", "text/css; charset=utf-8"),
        ("/assets/app.js", "text/javascript; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let answer = served.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)));
        let tag = answer.header("etag").unwrap();
        let again = served.send("GET", path, &[("if-none-match", tag)], b"");
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
    }
    assert_eq!(served.get("/assets/other.js").status, 404);
}

#[test]
fn recent_exchanges_are_bounded_by_count_and_by_bytes() {
    let by_count = admin::Recent::new(3.try_into().unwrap(), 1 << 20);
    (0..5).for_each(|n| by_count.push(Arc::new(admin_state::exchange(n))));
    let ids: Vec<_> = by_count
        .newest(10, |_| true)
        .iter()
        .map(|entry| entry.exchange().id.text().into_owned())
        .collect();
    assert_eq!(ids.len(), 3);
    assert!(ids[0].ends_with('4') && ids[2].ends_with('2'), "{ids:?}");

    let by_bytes = admin::Recent::new(100.try_into().unwrap(), 2500);
    (0..5).for_each(|n| by_bytes.push(Arc::new(admin_state::exchange(n))));
    assert_eq!(by_bytes.newest(10, |_| true).len(), 2);
    let too_small = admin::Recent::new(100.try_into().unwrap(), 10);
    too_small.push(Arc::new(admin_state::exchange(0)));
    assert!(too_small.newest(1, |_| true).is_empty());
}
