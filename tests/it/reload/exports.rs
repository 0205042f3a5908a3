//! Exporters that are replaced while they work: what was held is delivered, nothing twice.

use super::tally::Tally;
use super::{Sidecar, baseline, model, text, until};
use serde_json::json;
use std::net::TcpListener;
use taffrail::config::keys::KEYS;

const QUIET: (&str, &str) = ("reload.watch", "off");
/// So that no exchange is left out because the machine is busy.
const AMPLE: (&str, &str) = ("capture.cpu_budget", "1");
const OFTEN: (&str, &str) = ("export.otlp.interval", "20ms");
const DELTA: (&str, &str) = ("export.otlp.temporality", "delta");

/// A line `taffrail_export_<what>{…exporter="otlp",signal="<signal>"…}` of the metrics, summed up.
pub(super) fn counted(sidecar: &Sidecar, what: &str, signal: &str) -> u64 {
    let metrics = sidecar.get("/metrics").text();
    let name = format!("taffrail_export_{what}{{");
    let signal = format!("signal=\"{signal}\"");
    let lines = metrics.lines().filter(|line| line.starts_with(&name) && line.contains(&signal));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Spans that some exporter has been given.
fn taken(sidecar: &Sidecar) -> u64 {
    counted(sidecar, "queue_length", "traces") + counted(sidecar, "sent_total", "traces")
}

#[test]
fn spans_go_where_the_configuration_of_their_time_says_and_each_once() {
    let upstream = model();
    let (first, second) = (Tally::start(), Tally::start());
    let endpoint = |tally: &Tally| tally.endpoint();
    let (to_first, to_second) = (endpoint(&first), endpoint(&second));
    let keys = |to| [QUIET, AMPLE, ("export.otlp.endpoint", to)];
    let sidecar = Sidecar::before(upstream.address, &keys(to_first.as_str()));
    (0..10).for_each(|_| drop(sidecar.predict("a", &[1.0])));
    until(|| taken(&sidecar), |spans| *spans == 20);
    sidecar.reload_with(&keys(to_second.as_str()));
    // It held them back for company, and was told to end.
    until(|| first.spans(), |spans| *spans == 20);
    (0..7).for_each(|_| drop(sidecar.predict("b", &[1.0])));
    until(|| second.spans(), |spans| *spans == 14);
    until(|| counted(&sidecar, "sent_total", "traces"), |sent| *sent == 34);
    assert_eq!(counted(&sidecar, "dropped_total", "traces"), 0);
    sidecar.end();
    assert_eq!((first.spans(), second.spans()), (20, 14));
}

#[test]
fn deltas_add_up_over_exporters_that_were_replaced_off_or_cumulative() {
    let upstream = model();
    let (first, second) = (Tally::start(), Tally::start());
    let (to_first, to_second) = (first.endpoint(), second.endpoint());
    let delta = |to| [QUIET, AMPLE, OFTEN, DELTA, ("export.otlp.endpoint", to)];
    let sidecar = Sidecar::before(upstream.address, &delta(to_first.as_str()));
    let ask = |requests: u64| (0..requests).for_each(|_| drop(sidecar.predict("a", &[1.0])));
    ask(5);
    until(|| first.requests(), |requests| *requests == 5);
    sidecar.reload_with(&delta(to_second.as_str()));
    ask(7);
    until(|| first.requests() + second.requests(), |requests| *requests == 12);
    // Off for a while: that comes with the next.
    sidecar.reload_with(&[QUIET]);
    ask(3);
    sidecar.status_when(|status| status["traffic"]["requests"] == 15);
    sidecar.reload_with(&delta(to_first.as_str()));
    until(|| first.requests() + second.requests(), |requests| *requests == 15);
    // Cumulative sums say all each time; deltas after them begin where the last of them ended.
    sidecar.reload_with(&[QUIET, OFTEN, ("export.otlp.endpoint", to_second.as_str())]);
    until(|| second.cumulative(), |requests| *requests == 15);
    let before = first.requests() + second.requests();
    ask(4);
    until(|| second.cumulative(), |requests| *requests == 19);
    sidecar.reload_with(&delta(to_first.as_str()));
    ask(6);
    until(|| first.requests() + second.requests() - before, |requests| *requests == 6);
    sidecar.end();
    assert_eq!(first.requests() + second.requests(), 15 + 6);
}

#[test]
fn a_collector_that_is_away_holds_nobody_up_and_loses_no_delta() {
    let upstream = model();
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let collector = Tally::start();
    let (gone, there) = (format!("http://{away}"), collector.endpoint());
    let keys = |to| [QUIET, AMPLE, OFTEN, DELTA, ("export.otlp.endpoint", to)];
    let sidecar = Sidecar::before(upstream.address, &keys(gone.as_str()));
    (0..10).for_each(|_| drop(sidecar.predict("a", &[1.0])));
    until(|| taken(&sidecar), |spans| *spans == 20);
    sidecar.reload_with(&keys(there.as_str()));
    // Spans of now go out while the exporter before still tries.
    (0..5).for_each(|_| drop(sidecar.predict("b", &[1.0])));
    until(|| collector.spans(), |spans| *spans == 10);
    until(|| collector.requests(), |requests| *requests == 15);
    // What only it held is lost, and counted.
    until(|| counted(&sidecar, "dropped_total", "traces"), |dropped| *dropped == 20);
    until(|| counted(&sidecar, "queue_length", "traces"), |queued| *queued == 0);
    assert_eq!(counted(&sidecar, "dropped_total", "metrics"), 0);
    sidecar.end();
}

#[test]
fn both_outcomes_are_events_and_nothing_is_said_twice() {
    let upstream = model();
    let collector = Tally::start();
    let to = collector.endpoint();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("baseline.json");
    baseline(&file, 0.0);
    let base = [QUIET, ("export.otlp.endpoint", to.as_str()), ("baseline", text(&file))];
    let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
    let sidecar = Sidecar::before(upstream.address, &base);
    let names = || collector.events().into_iter().map(|event| event.name).collect::<Vec<_>>();
    until(names, |names| names == &["taffrail.baseline.changed"]);

    let secret = "{ authorization: very-secret }";
    sidecar.reload_with(&with(&[
        ("drift.min_rows", "70"),
        ("export.otlp.headers", secret),
        ("model.version", "9"),
    ]));
    until(names, |names| names.len() == 2);
    sidecar.write(&with(&[("drift.min_rows", "0")]));
    assert_eq!(sidecar.reload().status(), 422);
    until(names, |names| names.len() == 3);
    baseline(&file, 500.0);
    sidecar.write(&base);
    assert_eq!(sidecar.reload().status(), 200);
    // Nothing new is no event.
    assert_eq!(sidecar.reload().status(), 200);
    let expected = [
        "taffrail.baseline.changed",
        "taffrail.config.reloaded",
        "taffrail.config.rejected",
        "taffrail.baseline.changed",
        "taffrail.config.reloaded",
    ];
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let expected = sorted(expected.iter().map(ToString::to_string).collect());
    until(|| sorted(names()), |names| *names == expected);
    sidecar.end();

    let events = collector.events();
    let of = |name: &str| events.iter().find(|event| event.name == name).unwrap();
    let reloaded = of("taffrail.config.reloaded");
    let changed = &reloaded.attributes["taffrail.config.changed"];
    assert_eq!(
        *changed,
        json!(["drift.min_rows: 50 → 70", "export.otlp.headers: none → authorization=***"])
    );
    assert_eq!(reloaded.attributes["taffrail.config.restart_required"], json!(["model.version"]));
    assert_eq!(reloaded.attributes["taffrail.config.cause"], "request");
    let rejected = of("taffrail.config.rejected");
    assert_eq!(rejected.attributes["taffrail.config.problems_count"], 1);
    assert!(rejected.body.contains("drift.min_rows: \"0\" is not"), "{rejected:?}");
    assert!(!format!("{events:?}").contains("very-secret"));
}

/// One sidecar, one key after the other.
#[test]
fn every_key_of_the_exporter_takes_effect() {
    let upstream = model();
    let collector = Tally::start();
    let to = collector.endpoint();
    let endpoint = ("export.otlp.endpoint", to.as_str());
    let base = [QUIET, AMPLE, endpoint, OFTEN];
    let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
    let sidecar = Sidecar::before(upstream.address, &[QUIET]);
    sidecar.predict("a", &[1.0]);
    assert_eq!(collector.arrivals(), 0);
    let mut seen = vec!["endpoint", "interval"];
    sidecar.reload_with(&base);
    until(|| collector.cumulative(), |requests| *requests == 1);
    assert!(sidecar.status()["exporters"].as_array().unwrap().len() == 3);

    seen.push("headers");
    sidecar.reload_with(&with(&[("export.otlp.headers", "{ x-team: red }")]));
    until(|| collector.last_header("x-team"), |team| team.as_deref() == Some("red"));

    seen.push("compression");
    sidecar.reload_with(&with(&[("export.otlp.compression", "gzip")]));
    until(|| collector.last_header("content-encoding"), |how| how.as_deref() == Some("gzip"));

    seen.extend(["service_name", "resource"]);
    sidecar.reload_with(&with(&[
        ("export.service_name", "risk"),
        ("export.resource", "{ team: blue }"),
    ]));
    let says = |said: &Vec<(String, String)>| {
        let has = |key: &str, value: &str| said.iter().any(|(k, v)| k == key && v == value);
        has("service.name", "risk") && has("team", "blue")
    };
    let said = until(|| collector.resource(), says);
    let metrics = sidecar.get("/metrics").text();
    let info = metrics.lines().find(|line| line.starts_with("target_info{")).unwrap();
    assert!(info.contains("team=\"blue\"") && info.contains("service_name=\"risk\""), "{info}");
    // Who it is stays the same.
    let id = |said: &[(String, String)]| {
        said.iter().find(|(key, _)| key == "service.instance.id").unwrap().1.clone()
    };
    sidecar.reload_with(&base);
    let again = until(|| collector.resource(), |said| !says(said));
    assert_eq!(id(&again), id(&said));

    seen.push("temporality");
    sidecar.reload_with(&with(&[DELTA]));
    (0..2).for_each(|_| drop(sidecar.predict("b", &[1.0])));
    until(|| collector.requests(), |requests| *requests == 2);

    seen.extend(["sampler", "sampler_ratio"]);
    let ask_and_count = || {
        let before = collector.spans();
        let kept = sidecar.status()["capture"]["kept"].as_u64().unwrap();
        (0..5).for_each(|_| drop(sidecar.predict("c", &[1.0])));
        sidecar.status_when(|status| status["capture"]["kept"] == kept + 5);
        until(|| counted(&sidecar, "queue_length", "traces"), |queued| *queued == 0);
        collector.spans() - before
    };
    until(ask_and_count, |spans| *spans == 10);
    sidecar.reload_with(&with(&[("export.otlp.sampler", "always_off")]));
    until(ask_and_count, |spans| *spans == 0);
    let none = [("export.otlp.sampler", "traceidratio"), ("export.otlp.sampler_ratio", "0")];
    sidecar.reload_with(&with(&none[..1]));
    until(ask_and_count, |spans| *spans == 10);
    sidecar.reload_with(&with(&none));
    until(ask_and_count, |spans| *spans == 0);

    seen.extend(["traces_url", "metrics_url", "logs_url", "enabled"]);
    sidecar.reload_with(&with(&[("export.otlp.traces_url", "none")]));
    until(ask_and_count, |spans| *spans == 0);
    let other = Tally::start();
    let [metrics, logs] =
        ["metrics", "logs"].map(|signal| format!("{}/v1/{signal}", other.endpoint()));
    let mut keys = base.to_vec();
    keys.extend([("export.otlp.metrics_url", metrics.as_str()), ("export.otlp.logs_url", &logs)]);
    sidecar.reload_with(&keys);
    until(|| other.cumulative(), |requests| *requests > 0);
    until(|| other.events().len(), |events| *events == 1);
    assert_eq!(other.spans(), 0);
    sidecar.reload_with(&with(&[("export.otlp.enabled", "off")]));
    assert_eq!(sidecar.status()["exporters"], json!([]));

    seen.push("timeout");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let to_silence = format!("http://{}", silent.local_addr().unwrap());
    let failed = || {
        sidecar.get("/metrics").text().lines().any(|line| {
            let is_failed =
                line.contains("outcome=\"failed\"") && line.contains("signal=\"metrics\"");
            is_failed && line.starts_with("taffrail_export_requests_total") && !line.ends_with(" 0")
        })
    };
    assert!(!failed());
    let silence = ("export.otlp.endpoint", to_silence.as_str());
    sidecar.reload_with(&[QUIET, OFTEN, silence, ("export.otlp.timeout", "30ms")]);
    until(failed, |failed| *failed);
    sidecar.end();

    // Keys of one signal, and how to speak and who to be, go the way of these: into the same exporter.
    let alike = ["application_insights.", "azure.", "otlp.tls.", "otlp.metrics_", "otlp.logs_"];
    let same = ["otlp.protocol", "otlp.auth", "otlp.traces_"];
    let is_alike = |name: &&str| alike.iter().chain(&same).any(|group| name.starts_with(group));
    let own = KEYS.iter().filter_map(|key| key.name.strip_prefix("export."));
    let own = own.filter(|name| !is_alike(name));
    let own = own.map(|name| name.strip_prefix("otlp.").unwrap_or(name));
    let unseen: Vec<_> = own.filter(|name| !seen.contains(name)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}
