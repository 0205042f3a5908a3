use super::*;
use crate::export::application_insights::envelope::tests::speaker;
use crate::export::application_insights::store::Room;
use crate::export::counters::{Counters, ExporterName, Loss};
use crate::export::names::event;
use serde_json::Value;
use std::time::SystemTime;

fn said(event: &Event) -> (Vec<Value>, Arc<Counters>) {
    let counters = Arc::new(Counters::listing([ExporterName::ApplicationInsights]));
    let room = Room { directory: "/nowhere".into(), limit_bytes: 1 };
    let store = Arc::new(Store::new(room, Arc::clone(&counters)));
    let press = Arc::new(Press { speaker: speaker(), counters: Arc::clone(&counters) });
    let happenings = Happenings { press: Arc::clone(&press), store };
    let mut pressing = press.begin(Signal::Logs);
    happenings.say(event, &mut pressing);
    let chunks = pressing.finish();
    let lines = chunks.iter().flat_map(super::super::chunk::Chunk::lines);
    (lines.map(|line| serde_json::from_slice(line).unwrap()).collect(), counters)
}

fn drift(body: &str, severity: Severity) -> Event {
    let features: AnyValue = ["temp_max", "wind"].into_iter().map(AnyValue::from).collect();
    Event {
        name: event::DRIFT_CHANGED,
        at: SystemTime::UNIX_EPOCH,
        severity,
        body: body.to_owned(),
        attributes: vec![
            (event::FEATURES_DETECTED, features),
            (event::ROWS, AnyValue::Int(80)),
            (event::COVERAGE, AnyValue::Double(0.9)),
        ],
    }
}

#[test]
fn a_verdict_is_an_event_to_count_and_a_message_to_read() {
    let (items, _) = said(&drift("Drift in the 5m window", Severity::Warn));
    let [event, message] = &items[..] else { panic!("{items:#?}") };
    assert_eq!(event["data"]["baseType"], "EventData");
    assert_eq!(event["data"]["baseData"]["name"], "taffrail.drift.changed");
    assert_eq!(message["data"]["baseData"]["message"], "Drift in the 5m window");
    assert_eq!(message["data"]["baseData"]["severityLevel"], 2);
    for item in [event, message] {
        let properties = &item["data"]["baseData"]["properties"];
        assert_eq!(properties[event::FEATURES_DETECTED], "temp_max, wind");
        assert_eq!(
            (&properties[event::ROWS], &properties[event::COVERAGE]),
            (&"80".into(), &"0.9".into())
        );
        assert_eq!(properties["model.version"], "3");
    }
    let (items, _) = said(&drift("stable again", Severity::Info));
    assert_eq!(items[1]["data"]["baseData"]["severityLevel"], 1);
}

#[test]
fn a_message_over_the_limit_is_cut_between_characters_and_counted() {
    let (items, counters) = said(&drift(&"🌧".repeat(20_000), Severity::Warn));
    let message = items[1]["data"]["baseData"]["message"].as_str().unwrap();
    assert!(message.chars().all(|c| c == '🌧') && message.encode_utf16().count() <= 32_768);
    let counts = counters.of(ExporterName::ApplicationInsights, Signal::Logs);
    assert!(counts.cut.load(Relaxed) > 0);
    assert_eq!(counts.lost(Loss::Unfit), 0);
}
