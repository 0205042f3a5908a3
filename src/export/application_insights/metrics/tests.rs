use super::*;
use crate::distribution::Distribution;
use crate::export::application_insights::envelope::tests::speaker;
use crate::export::collect::tests::Sample;
use crate::export::counters::{Counters, ExporterName};
use serde_json::Value as Json;

fn press() -> Press {
    let counters = Arc::new(Counters::listing([ExporterName::ApplicationInsights]));
    Press { speaker: speaker(), counters }
}

fn items(deltas: &mut Deltas, families: Vec<Family>, press: &Press) -> Vec<Json> {
    let chunks = deltas.press(families, SystemTime::UNIX_EPOCH, press);
    let lines = chunks.iter().flat_map(Chunk::lines);
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn lost(press: &Press, loss: Loss) -> u64 {
    press.counts(Signal::Metrics).lost(loss)
}

fn point(item: &Json) -> &Json {
    &item["data"]["baseData"]["metrics"][0]
}

fn millis(values: &[u64]) -> Value {
    let mut distribution = Distribution::of_seconds();
    values.iter().for_each(|ms| distribution.record_duration(Duration::from_millis(*ms)));
    Value::Histogram(Box::new(distribution))
}

#[test]
fn everything_but_what_is_by_bin_goes_out_under_its_own_name() {
    let (press, families) = (press(), Sample::new().families());
    let wanted: Vec<_> = families.iter().map(|family| family.metric.name).collect();
    let items = items(&mut Deltas::new(10_000), families, &press);
    for name in wanted {
        let found = items.iter().any(|item| point(item)["name"] == name);
        let is_left_out = name == names::FEATURE_ROWS.name || name == names::BASELINE_SHARE.name;
        let is_sum = names::ALL.iter().any(|metric| {
            metric.name == name && metric.kind == crate::export::names::Kind::Counter
        });
        assert!(found != is_left_out || is_sum, "{name}");
        assert!(!(found && is_left_out), "{name}");
    }
    for item in &items {
        assert_eq!(item["data"]["baseData"]["properties"]["model.name"], "weather");
        assert_eq!(item["data"]["baseData"]["metrics"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn sums_are_said_as_what_was_added_and_not_at_all_if_nothing_was() {
    let (press, mut deltas) = (press(), Deltas::new(10));
    let mut said = |count| {
        let family = Family::count(&names::DECODE_EXCHANGES, count);
        let items = items(&mut deltas, vec![family], &press);
        items.first().map(|item| point(item)["value"].as_f64().unwrap())
    };
    assert_eq!([said(0), said(5), said(5), said(9)], [None, Some(5.0), None, Some(4.0)]);
    assert_eq!(said(3), Some(3.0), "a restart: everything is new");
}

#[test]
fn a_histogram_is_said_as_sum_count_least_and_most_of_what_came() {
    let (press, mut deltas) = (press(), Deltas::new(10));
    let mut said = |values: &[u64]| {
        let family = Family::single(&names::LABELS_DELAY, millis(values));
        items(&mut deltas, vec![family], &press)
    };
    assert_eq!(point(&said(&[1000, 3000])[0])["value"], 4.0);
    let second = said(&[1000, 3000, 2000, 5000]);
    let close = |name: &str, wanted: f64| {
        (point(&second[0])[name].as_f64().unwrap() / wanted - 1.0).abs() < 0.01
    };
    assert_eq!(
        (point(&second[0])["count"].as_u64(), point(&second[0])["value"].as_f64()),
        (Some(2), Some(7.0))
    );
    assert!(close("min", 2.0) && close("max", 5.0), "{second:?}");
    assert!(said(&[1000, 3000, 2000, 5000]).is_empty());
}

#[test]
fn what_is_no_number_is_left_out_and_counted() {
    let press = press();
    let families =
        [f64::NAN, f64::INFINITY, 1.5].map(|value| Family::gauge(&names::CAPTURE_COVERAGE, value));
    let items = items(&mut Deltas::new(10), families.into(), &press);
    assert_eq!((items.len(), lost(&press, Loss::Unfit)), (1, 2));
}

#[test]
fn over_the_bound_series_by_feature_go_first_and_are_counted() {
    let (press, mut deltas) = (press(), Deltas::new(3));
    let mut by_feature = Family::new(&names::QUALITY_NULL_RATIO);
    for feature in ["a", "b", "c"] {
        by_feature.push(vec![(key::FEATURE, feature.into())], Value::Gauge(0.5));
    }
    let total = |count| Family::count(&names::DECODE_EXCHANGES, count);
    let coverage = Family::gauge(&names::CAPTURE_COVERAGE, 1.0);
    let said = items(&mut deltas, vec![by_feature, total(1), coverage], &press);
    let said: Vec<_> =
        said.iter().map(|item| point(item)["name"].as_str().unwrap().to_owned()).collect();
    let wanted = [&names::DECODE_EXCHANGES, &names::CAPTURE_COVERAGE, &names::QUALITY_NULL_RATIO];
    assert_eq!(said, wanted.map(|metric| metric.name));
    assert_eq!(lost(&press, Loss::OverLimit), 2);
}

#[test]
fn a_sum_that_was_over_the_bound_is_said_whole_once_there_is_room() {
    let (press, mut deltas) = (press(), Deltas::new(1));
    let coverage = || Family::gauge(&names::CAPTURE_COVERAGE, 1.0);
    let total = |count| Family::count(&names::DECODE_EXCHANGES, count);
    assert_eq!(items(&mut deltas, vec![coverage(), total(2)], &press).len(), 1);
    let next = items(&mut deltas, vec![total(5)], &press);
    assert_eq!(point(&next[0])["value"], 5.0);
}
