//! `taffrail doctor`: every check where all is well, and where it is not.

use crate::cli_support::Weather;
use crate::support::h2;
use crate::support::sidecar::PATIENCE;
use crate::support::tls::Place;
use crate::support::wire::{Message, Peer, Upstream, sized};
use crate::support::witness::Witness;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use taffrail::app::{Bound, Running, start};
use taffrail::config::Config;

/// The findings of one call, and how it ended.
struct Told {
    code: Option<i32>,
    report: Value,
}

impl Told {
    fn of(check: &Self, name: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let checks = check.report["checks"].as_array().unwrap().iter();
        let named = checks.filter(|finding| finding["check"] == name);
        named
            .map(|f| (text(&f["state"]), format!("{} {}", text(&f["seen"]), text(&f["advice"]))))
            .collect()
    }

    /// The one finding of that check is of that state, and says all of `parts`.
    #[track_caller]
    fn is(&self, name: &str, state: &str, parts: &[&str]) {
        let found = Self::of(self, name);
        let [(found_state, said)] = &found[..] else { panic!("{name}: {:#}", self.report) };
        assert_eq!(found_state, state, "{name}: {said}");
        for part in parts {
            assert!(said.contains(part), "{name}: {part}: {said}");
        }
        assert_eq!(self.code == Some(1), self.report["failures"] != 0, "{:#}", self.report);
    }
}

fn doctor_with(variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Told {
    let data = tempfile::tempdir().unwrap();
    let own = data.path().display().to_string();
    let usual = [
        ("listen", "127.0.0.1:0"),
        ("admin", "127.0.0.1:0"),
        ("data-dir", own.as_str()),
        ("upstream", "http://127.0.0.1:1"),
    ];
    let given = |name: &str| flags.iter().any(|(flag, _)| *flag == name);
    let usual = usual.iter().filter(|(name, _)| !given(name));
    let mut command = Command::new(env!("CARGO_BIN_EXE_taffrail"));
    command.env_clear().envs(variables.iter().copied()).args(["doctor", "--format", "json"]);
    command.args(usual.chain(flags).map(|(flag, value)| format!("--{flag}={value}")));
    let output = command.output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = std::fs::read_dir(data.path()).unwrap().count();
    assert_eq!(left, 0, "it leaves nothing behind");
    Told { code: output.status.code(), report: serde_json::from_slice(&output.stdout).unwrap() }
}

fn doctor(flags: &[(&str, &str)]) -> Told {
    doctor_with(&[], flags)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn answering(head: &'static str) -> Upstream {
    Upstream::answering(move |_| sized(head, b"{}"))
}

#[test]
fn a_configuration_that_is_wrong_is_told_in_full() {
    let told = doctor(&[("listen", "nowhere"), ("capture-sample", "2")]);
    let seen: Vec<_> = Told::of(&told, "config").into_iter().map(|(state, _)| state).collect();
    assert_eq!((seen, told.code), (vec!["fail".to_owned(), "fail".to_owned()], Some(1)));
    let told = doctor_with(&[("TAFFRAIL_LISTN", "x")], &[]);
    let findings = Told::of(&told, "config");
    assert_eq!(findings[0].0, "ok");
    assert!(findings[1].0 == "warn" && findings[1].1.contains("TAFFRAIL_LISTN"), "{findings:?}");
}

#[test]
fn a_model_that_answers_is_well_and_asked_no_more_than_how_it_does() {
    let upstream = Witness::answering(|_| sized("HTTP/1.1 200 OK", b"{}"));
    let told = doctor(&[("upstream", &url(upstream.address))]);
    told.is("upstream", "ok", &["accepts connections"]);
    told.is("upstream http", "ok", &["GET /v2/health/ready: 200", "HTTP/1.1"]);
    assert_eq!(told.code, Some(0), "{:#}", told.report);
    for bytes in upstream.finish_bytes().iter().filter(|bytes| !bytes.is_empty()) {
        assert!(bytes.starts_with(b"GET /"), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn other_paths_of_health_are_tried_below_the_path_of_the_url() {
    let upstream = Upstream::answering(|request: &Message| {
        let is_ping = request.start_line().starts_with("GET /base/ping ");
        sized(if is_ping { "HTTP/1.1 200 OK" } else { "HTTP/1.1 404 Not Found" }, b"")
    });
    let told = doctor(&[("upstream", &format!("{}/base", url(upstream.address)))]);
    told.is("upstream http", "ok", &["GET /base/ping: 200"]);
    let never = answering("HTTP/1.1 404 Not Found");
    let told = doctor(&[("upstream", &url(never.address))]);
    told.is("upstream http", "ok", &["404", "no known path of health"]);
}

#[test]
fn a_model_that_is_away_or_unready_or_none_is_told_apart() {
    let told = doctor(&[]);
    told.is("upstream", "fail", &["127.0.0.1:1", "refused", "start the model"]);
    let unready = answering("HTTP/1.1 503 Service Unavailable");
    let told = doctor(&[("upstream", &url(unready.address))]);
    told.is("upstream http", "warn", &["503", "loading"]);
    let mute = Upstream::play(|peer: Peer| peer.close());
    let told = doctor(&[("upstream", &url(mute.address))]);
    told.is("upstream http", "fail", &["no answer", "upstream.protocol"]);
    let told = doctor(&[("upstream", "http://no-such-host.invalid:8080")]);
    told.is("dns", "fail", &["no-such-host.invalid", "resolv.conf"]);
}

#[test]
fn a_model_of_http2_alone_is_asked_in_it() {
    let address = h2::upstream(|_, _, _| http::Response::new(h2::whole("")));
    let told = doctor(&[("upstream", &url(address)), ("upstream-protocol", "http2")]);
    told.is("upstream http", "ok", &["200", "HTTP/2"]);
    let told = doctor(&[("upstream", &url(address)), ("upstream-protocol", "http1")]);
    told.is("upstream http", "fail", &["set upstream.protocol to http2"]);
}

#[test]
fn a_certificate_that_is_not_trusted_names_the_keys() {
    let place = Place::new();
    let identity = place.identity_for("upstream", "127.0.0.1");
    let tls = place.upstream_as(&identity, &["http/1.1"]);
    let upstream = Witness::answering_tls(&tls, |_| sized("HTTP/1.1 200 OK", b"{}"));
    let address = format!("https://{}", upstream.address);
    let authority = place.ca.display().to_string();
    let told = doctor(&[("upstream", &address), ("upstream-tls-ca", &authority)]);
    told.is("upstream tls", "ok", &["its certificate is good", "HTTP/1.1"]);
    told.is("upstream http", "ok", &["200"]);
    let told = doctor(&[("upstream", &address)]);
    told.is("upstream tls", "fail", &["upstream.tls.ca"]);
}

#[test]
fn own_certificates_are_looked_at() {
    let own = Place::new().identity("own");
    let path = |path: &Path| path.display().to_string();
    let told =
        doctor(&[("tls-certificate", &path(&own.certificate)), ("tls-key", &path(&own.key))]);
    // The place is gone with its files: what is wrong is told once, by the configuration.
    assert_eq!(told.code, Some(1));
    let place = Place::new();
    let own = place.identity("own");
    let told =
        doctor(&[("tls-certificate", &path(&own.certificate)), ("tls-key", &path(&own.key))]);
    told.is("certificate", "ok", &["days more"]);
}

#[test]
fn a_port_that_somebody_else_holds_is_a_failure() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let told = doctor(&[("listen", &taken), ("admin", "203.0.113.9:80")]);
    told.is("listen", "fail", &[&taken, "another process", "listen"]);
    told.is("admin", "fail", &["no address of this host", "admin.address"]);
    drop(holder);
    doctor(&[("listen", &taken)]).is("listen", "ok", &["is free"]);
}

#[test]
fn a_collector_takes_an_export_of_nothing_or_says_why_not() {
    let otlp = |collector: &Upstream| doctor(&[("export-otlp-endpoint", &url(collector.address))]);
    let good = Upstream::answering(|request: &Message| {
        let is_empty = request.body.is_empty() && request.start_line().starts_with("POST /v1/");
        sized(if is_empty { "HTTP/1.1 200 OK" } else { "HTTP/1.1 400 Bad Request" }, b"")
    });
    let told = otlp(&good);
    for check in ["otlp metrics", "otlp logs", "otlp traces"] {
        told.is(check, "ok", &["takes exports"]);
    }
    for (head, state, part) in [
        ("HTTP/1.1 401 Unauthorized", "fail", "export.otlp.headers"),
        ("HTTP/1.1 404 Not Found", "fail", "4318"),
        ("HTTP/1.1 503 Service Unavailable", "warn", "tried again"),
        ("HTTP/1.1 400 Bad Request", "fail", "export.otlp.protocol"),
    ] {
        otlp(&answering(head)).is("otlp metrics", state, &[part]);
    }
    let told = doctor(&[("export-otlp-endpoint", "http://127.0.0.1:1")]);
    told.is("otlp metrics", "fail", &["127.0.0.1:1", "refused", "export.otlp.endpoint"]);
    doctor(&[]).is("otlp", "ok", &["nothing is sent"]);
}

#[test]
fn application_insights_is_reached_or_not() {
    let with = |text: &str| doctor_with(&[("APPLICATIONINSIGHTS_CONNECTION_STRING", text)], &[]);
    let ingestion = answering("HTTP/1.1 200 OK");
    let key = "InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=";
    with(&format!("{key}{}/", url(ingestion.address))).is("app insights", "ok", &["is reached"]);
    with(&format!("{key}http://127.0.0.1:1/")).is("app insights", "fail", &["refused", "egress"]);
    with("IngestionEndpoint=http://127.0.0.1:1/").is("config", "fail", &["InstrumentationKey"]);
}

#[test]
fn a_directory_that_cannot_be_written_and_a_token_for_all_to_read_are_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret").unwrap();
    let path = file.path().display().to_string();
    let mode = |mode| std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode));
    mode(0o644).unwrap();
    let told = doctor(&[("data-dir", &path), ("admin-token-file", &path)]);
    told.is("data", "fail", &["cannot be written", "fsGroup"]);
    told.is("token", "warn", &["644", "defaultMode"]);
    mode(0o600).unwrap();
    let told = doctor(&[("admin-token-file", &path), ("archive-max-bytes", "8000TiB")]);
    told.is("token", "ok", &["600"]);
    told.is("data", "warn", &["archive.max_bytes"]);
    doctor(&[]).is("data", "ok", &["can be written"]);
}

#[test]
fn limits_are_compared_with_what_would_be_used() {
    let told = doctor(&[("threads", "999"), ("client-max-connections", "100000000")]);
    told.is("cpu", "warn", &["999 serving threads"]);
    told.is("open files", "warn", &["client.max_connections"]);
    let told = doctor(&[("threads", "1"), ("client-max-connections", "1")]);
    told.is("cpu", "ok", &["1 serving threads"]);
    told.is("open files", "ok", &[]);
}

#[test]
fn a_clock_that_is_years_from_the_models_is_warned_of() {
    let old = answering("HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT");
    let told = doctor(&[("upstream", &url(old.address))]);
    told.is("clock", "warn", &["the model", "behind", "NTP"]);
    doctor(&[]).is("clock", "ok", &["UTC"]);
}

const MLMODEL: &str = r#"signature:
  inputs: '[{"type": "double", "name": "precipitation"}, {"type": "double", "name": "humidity"}]'
"#;

#[test]
fn a_baseline_is_loaded_and_compared_with_the_signature() {
    let weather = Weather::with_baseline();
    let path = |name: &str| weather.path().join(name).display().to_string();
    let told = doctor(&[("baseline", &path("baseline.json"))]);
    told.is("baseline", "ok", &["rows", "hash", "days old"]);
    std::fs::write(weather.path().join("MLmodel"), MLMODEL).unwrap();
    let flags = [("baseline", path("baseline.json")), ("model-signature", path("MLmodel"))];
    let flags = flags.each_ref().map(|(name, value)| (*name, value.as_str()));
    doctor(&flags).is("signature", "warn", &["lacks humidity", "does not take", "temp_max"]);
    std::fs::write(weather.path().join("MLmodel"), "flavors: {}").unwrap();
    doctor(&flags).is("signature", "fail", &["has no `signature`", "model.signature"]);
    std::fs::write(weather.path().join("broken.json"), "{}").unwrap();
    let told = doctor(&[("baseline", &path("broken.json"))]);
    told.is("baseline", "fail", &["broken.json", "taffrail baseline build"]);
    doctor(&[]).is("baseline", "ok", &["first 5000 rows"]);

    let by =
        |names: &str| doctor(&[("baseline", &path("baseline.json")), ("features-segments", names)]);
    by("wind").is("segments", "warn", &["no rows by wind", "--segments wind"]);
    by("country").is("segments", "warn", &["no input country"]);
    let parted = ["--from", "summers.csv", "--segments", "weather", "--out", "parted.json"];
    weather.taffrail(&[&["baseline", "build"], &parted[..]].concat());
    let parted = path("parted.json");
    let told = doctor(&[("baseline", &parted), ("features-segments", "weather")]);
    told.is("segments", "ok", &["weather: the baseline has recorded 4 values"]);
}

/// A sidecar at work in this process, on addresses of its own.
fn at_work(upstream: &Upstream, data: &Path, baseline: &str) -> Running {
    let (url, data) = (url(upstream.address), data.display().to_string());
    let pairs = [
        ("upstream.url", url.as_str()),
        ("listen", "127.0.0.1:0"),
        ("admin.address", "127.0.0.1:0"),
        ("data_dir", &data),
        ("baseline", baseline),
    ];
    start(&Config::from_pairs(&pairs).unwrap(), Bound::default()).unwrap()
}

fn ask(running: &Running, body: &Value) {
    let head = "POST /invocations HTTP/1.1\r\nhost: m\r\ncontent-type: application/json";
    let answer =
        Peer::connect(running.listen).send(sized(head, body.to_string().as_bytes())).receive();
    assert_eq!(answer.status(), 200);
}

/// Asks again until a condition holds; analysis comes after the answer.
fn until(flags: &[(&str, &str)], holds: impl Fn(&Told) -> bool) -> Told {
    let since = Instant::now();
    loop {
        let told = doctor(flags);
        if holds(&told) {
            return told;
        }
        assert!(since.elapsed() < PATIENCE, "not reached: {:#}", told.report);
    }
}

#[test]
fn a_sidecar_at_work_is_asked_how_it_does_and_what_it_sees() {
    let weather = Weather::with_baseline();
    let baseline = weather.path().join("baseline.json").display().to_string();
    let model = answering("HTTP/1.1 200 OK\r\ncontent-type: application/json");
    let data = tempfile::tempdir().unwrap();
    let running = at_work(&model, data.path(), &baseline);
    let (listen, admin) = (running.listen.to_string(), running.admin.to_string());
    let flags = [
        ("listen", listen.as_str()),
        ("admin", admin.as_str()),
        ("upstream", &url(model.address)),
        ("baseline", &baseline),
    ];
    let told = until(&flags, |told| Told::of(told, "readiness")[0].0 == "ok");
    told.is("listen", "ok", &["held by the sidecar at work"]);
    told.is("admin", "ok", &["held by the sidecar at work"]);
    told.is("sidecar", "ok", &["at work for"]);
    told.is("coverage", "ok", &["0 dropped"]);
    told.is("live data", "ok", &["too few"]);
    let rows: Vec<_> = (0..200).map(|day| json!([1.0, f64::from(day), "x"])).collect();
    let columns = ["temp_max", "temp_min", "unheard_of"];
    ask(&running, &json!({ "dataframe_split": { "columns": columns, "data": rows } }));
    let told = until(&flags, |told| Told::of(told, "live data").len() == 2);
    let said = Told::of(&told, "live data");
    assert!(said[0].1.contains("none with precipitation, wind"), "{said:?}");
    assert!(said[1].1.contains("1 features that requests carry"), "{said:?}");
    let other = doctor(&[flags[1], flags[2]]);
    other.is("listen", "warn", &["another listen"]);
    drop(model);
    running.shutdown();
}

#[test]
fn a_person_reads_aligned_lines_without_colours_in_a_pipe() {
    let output = Command::new(env!("CARGO_BIN_EXE_taffrail"))
        .env_clear()
        .args(["doctor", "--upstream", "http://127.0.0.1:1", "--archive", "off"])
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!text.contains('\x1b'), "{text}");
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("ok    config"), "{text}");
    let failed = lines.iter().position(|line| line.starts_with("fail  upstream")).unwrap();
    let column = lines[failed].find("127.0.0.1:1").unwrap();
    assert_eq!(lines[failed + 1].find('→'), Some(column), "{text}");
    assert!(lines.last().unwrap().contains("1 failure"), "{text}");
}
