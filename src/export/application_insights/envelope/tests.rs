use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn cutter() -> Cutter {
    Cutter { limits: LIMITS[0], cuts: 0 }
}

pub(in crate::export::application_insights) fn speaker() -> Speaker {
    let attributes =
        [("service.name", "weather-sidecar"), ("model.name", "weather"), ("model.version", "3")];
    Speaker::new(&Resource::of(&attributes), "weather-0")
}

#[derive(Serialize)]
struct Body<'a> {
    message: Cow<'a, str>,
    properties: Properties<'a>,
}

fn line(name: &'static str, text: &str) -> Option<(Value, u64)> {
    let speaker = speaker();
    let (line, cuts) = speaker.line(|cutter| Item {
        kind: "Message",
        base_type: "MessageData",
        at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_500_000),
        share: 0.25,
        operation: None,
        data: Body {
            message: cutter.cut(text.to_owned(), cutter.limits.message),
            properties: cutter.properties([(name, Cow::Owned(text.to_owned()))]),
        },
    })?;
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "one line an item");
    assert!(line.len() + KEY_BYTES <= MAX_ITEM_BYTES);
    Some((serde_json::from_slice(&line).unwrap(), cuts))
}

#[test]
fn an_envelope_says_who_when_and_for_how_many() {
    let (value, cuts) = line("key", "text").unwrap();
    assert_eq!(cuts, 0);
    assert_eq!(value["name"], "Microsoft.ApplicationInsights.Message");
    assert_eq!(value["time"], "1970-01-01T00:00:01.500000Z");
    assert_eq!(value["sampleRate"], 25.0);
    assert_eq!(value["tags"]["ai.cloud.role"], "weather-sidecar");
    assert_eq!(value["tags"]["ai.cloud.roleInstance"], "weather-0");
    assert_eq!(value["tags"]["ai.application.ver"], "3");
    assert_eq!(value["data"]["baseType"], "MessageData");
    assert_eq!(value["data"]["baseData"]["properties"]["key"], "text");
    assert_eq!(value.get("iKey"), None, "what may come to lie on disk has no key");
}

#[test]
fn the_key_is_put_in_when_it_is_sent() {
    let mut body = Vec::new();
    with_key(b"{\"name\":\"x\"}\n", "the-key", &mut body);
    assert_eq!(body, b"{\"iKey\":\"the-key\",\"name\":\"x\"}\n");
}

#[test]
fn a_namespace_stands_before_the_role() {
    let resource = Resource::of(&[("service.name", "a"), ("service.namespace", "ml")]);
    assert_eq!(Speaker::new(&resource, "i").role, "ml.a");
}

#[test]
fn a_text_is_cut_before_the_character_that_does_not_fit() {
    // Two UTF-16 units and four bytes each.
    let text = "🦀".repeat(10);
    let mut cutter = cutter();
    assert_eq!(cutter.cut(text.as_str(), 20), text);
    assert_eq!(cutter.cuts, 0);
    assert_eq!(cutter.cut(text.as_str(), 7), "🦀🦀🦀");
    assert_eq!(cutter.cut("äöü".to_owned(), 2), "äö");
    assert_eq!(cutter.cuts, 2);
}

#[test]
fn a_property_whose_name_is_too_long_is_left_out_and_counted() {
    let long: &'static str = Box::leak("n".repeat(151).into_boxed_str());
    let just: &'static str = Box::leak("n".repeat(150).into_boxed_str());
    let (value, cuts) = line(long, "text").unwrap();
    assert_eq!((value["data"]["baseData"]["properties"].as_object().unwrap().len(), cuts), (0, 1));
    let (value, cuts) = line(just, &"v".repeat(8193)).unwrap();
    assert_eq!(value["data"]["baseData"]["properties"][just].as_str().unwrap().len(), 8192);
    assert_eq!(cuts, 1);
}

#[test]
fn an_item_over_the_limit_is_said_again_with_less() {
    // Each becomes six bytes of JSON.
    let (value, cuts) = line("key", &"\u{1}".repeat(20_000)).unwrap();
    assert_eq!(value["data"]["baseData"]["message"].as_str().unwrap().chars().count(), 2048);
    assert_eq!(cuts, 2);
}

#[test]
fn an_item_that_no_cut_makes_fit_is_given_up() {
    let speaker = speaker();
    let huge = || Item {
        kind: "Event",
        base_type: "EventData",
        at: SystemTime::UNIX_EPOCH,
        share: 1.0,
        operation: None,
        data: "x".repeat(MAX_ITEM_BYTES),
    };
    assert!(speaker.line(|_| huge()).is_none());
}

#[test]
fn durations_are_written_by_days() {
    for (micros, text) in [
        (0, "0.00:00:00.000000"),
        (1_234_567, "0.00:00:01.234567"),
        (86_400_000_000 * 2 + 3_723_000_001, "2.01:02:03.000001"),
        (86_400_000_000 * 1000, "999.00:00:00.000000"),
    ] {
        assert_eq!(duration(Duration::from_micros(micros)), text);
    }
}

proptest! {
    #[test]
    fn a_cut_text_is_a_prefix_within_the_limit(text in ".{0,40}", most in 0usize..60) {
        let cut = cutter().cut(text.as_str(), most);
        prop_assert!(text.starts_with(&*cut));
        prop_assert!(cut.encode_utf16().count() <= most);
        let next = text[cut.len()..].chars().next().map_or(0, char::len_utf16);
        prop_assert!(next == 0 || cut.encode_utf16().count() + next > most, "and as long as may be");
    }
}
