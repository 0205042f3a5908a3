use super::*;
use crate::distribution::Distribution;
use crate::export::names;

const START: SystemTime = UNIX_EPOCH;

fn at(seconds: u64) -> SystemTime {
    START + Duration::from_secs(seconds)
}

fn families(rows: u64, requests: &[u64]) -> Vec<Family> {
    let mut counter = Family::new(&names::FEATURE_ROWS);
    counter.push(vec![("feature", "age".into())], Value::Counter(rows));
    let mut values = Distribution::of_seconds();
    for ms in requests {
        values.record(ms * 1_000_000);
    }
    let mut histogram = Family::new(&names::HTTP_SERVER_REQUEST_DURATION);
    let status = vec![("http.response.status_code", "200".into())];
    histogram.push(status, Value::Histogram(Box::new(values)));
    vec![counter, histogram, Family::gauge(&names::HTTP_SERVER_ACTIVE_REQUESTS, 3.0)]
}

fn encoder(temporality: Temporality) -> Encoder {
    let resource = Resource::of(&[("model.name", "m"), ("model.version", "1")]);
    Encoder::new(&resource, temporality, START)
}

/// The counter's value, its start in seconds, and the histogram's points.
fn read(
    encoder: &Encoder,
    families: &[Family],
    now: u64,
) -> (i64, u64, Vec<ExponentialHistogramDataPoint>) {
    let request = encoder.encode(families, at(now));
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let (Some(metric::Data::Sum(sum)), Some(metric::Data::ExponentialHistogram(histogram))) =
        (&metrics[0].data, &metrics[1].data)
    else {
        panic!("{metrics:?}")
    };
    let point = &sum.data_points[0];
    let Some(number_data_point::Value::AsInt(value)) = point.value else { panic!("{point:?}") };
    (value, point.start_time_unix_nano / 1_000_000_000, histogram.data_points.clone())
}

#[test]
fn cumulative_sums_start_with_the_process() {
    let mut encoder = encoder(Temporality::Cumulative);
    encoder.acknowledge(families(5, &[1]), at(10), false);
    let (value, start, histogram) = read(&encoder, &families(8, &[1, 2]), 20);
    assert_eq!((value, start, histogram[0].count), (8, 0, 2));
}

#[test]
fn a_delta_is_what_came_since_the_last_acknowledged_one() {
    let mut encoder = encoder(Temporality::Delta);
    encoder.acknowledge(families(5, &[1]), at(10), false);
    let (value, start, histogram) = read(&encoder, &families(8, &[1, 2]), 20);
    assert_eq!((value, start, histogram[0].count), (3, 10, 1));
    assert!((histogram[0].sum.unwrap() - 0.002).abs() < 1e-12);
}

#[test]
fn an_undelivered_delta_is_part_of_the_next() {
    let mut encoder = encoder(Temporality::Delta);
    encoder.acknowledge(families(5, &[1]), at(10), false);
    let _undelivered = encoder.encode(&families(8, &[1, 2]), at(20));
    let (value, start, histogram) = read(&encoder, &families(9, &[1, 2, 3]), 30);
    assert_eq!((value, start, histogram[0].count), (4, 10, 2));
}

#[test]
fn a_quiet_interval_has_no_histogram_point() {
    let mut encoder = encoder(Temporality::Delta);
    encoder.acknowledge(families(5, &[1]), at(10), false);
    let (value, _, histogram) = read(&encoder, &families(5, &[1]), 20);
    assert_eq!((value, histogram.len()), (0, 0));
}

#[test]
fn a_sum_that_fell_was_started_anew() {
    let mut encoder = encoder(Temporality::Delta);
    encoder.acknowledge(families(5, &[]), at(10), false);
    assert_eq!(read(&encoder, &families(2, &[]), 20).0, 2);
}

#[test]
fn levels_stay_cumulative_and_status_codes_are_numbers() {
    let request = encoder(Temporality::Delta).encode(&families(1, &[1]), at(1));
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let Some(metric::Data::Sum(level)) = &metrics[2].data else { panic!("{metrics:?}") };
    assert_eq!(level.aggregation_temporality(), AggregationTemporality::Cumulative);
    assert!(!level.is_monotonic);
    let Some(metric::Data::ExponentialHistogram(histogram)) = &metrics[1].data else { panic!() };
    let status = histogram.data_points[0].attributes.last().unwrap();
    assert_eq!(status.value.clone().unwrap().value, Some(any_value::Value::IntValue(200)));
    assert_eq!(histogram.data_points[0].attributes[0].key, "model.name");
}

#[test]
fn a_point_names_the_exchanges_that_came_since_the_last_push() {
    for temporality in [Temporality::Cumulative, Temporality::Delta] {
        let exemplars = export::Exemplars::default();
        exemplars.offer(&crate::export::exemplars::tests::exchange(7, 30, 5));
        let mut families = families(1, &[30]);
        let series = crate::latency::RequestSeries {
            route: crate::capture::RouteTable::new::<&str>(&[]).unwrap().classify("/invocations"),
            method: http::Method::POST,
            outcome: crate::latency::Outcome { status: Some(http::StatusCode::OK), fault: None },
            duration: Distribution::of_seconds(),
            upstream_duration: Distribution::of_seconds(),
            request_size: Distribution::of_counts(),
            response_size: Distribution::of_counts(),
        };
        families[1].points[0].exemplars = exemplars.server(&series);
        let mut encoder = encoder(temporality);
        let (_, _, points) = read(&encoder, &families, 10);
        let [exemplar] = &points[0].exemplars[..] else { panic!("{points:?}") };
        assert_eq!(
            (exemplar.trace_id.as_slice(), exemplar.span_id.as_slice()),
            (&[7; 16][..], &[2; 8][..])
        );
        assert_eq!(exemplar.value, Some(exemplar::Value::AsDouble(0.03)));
        assert_eq!(exemplar.time_unix_nano, 5_030_000_000);
        assert_eq!(exemplar.filtered_attributes[0].key, "taffrail.request.id");
        encoder.acknowledge(families.clone(), at(10), false);
        if temporality == Temporality::Cumulative {
            let (_, _, points) = read(&encoder, &families, 20);
            assert!(points[0].exemplars.is_empty(), "it was told");
        }
    }
}

#[test]
fn who_comes_after_goes_on_where_the_other_left_off() {
    let ledger = Ledger::default();
    let mut first = encoder(Temporality::Delta).after(ledger.clone());
    first.acknowledge(families(5, &[1]), at(10), false);
    let _undelivered = first.encode(&families(8, &[1, 2]), at(20));
    let mut second = encoder(Temporality::Delta).after(ledger.clone());
    let (value, start, histogram) = read(&second, &families(9, &[1, 2, 3]), 30);
    assert_eq!((value, start, histogram[0].count), (4, 10, 2));
    second.acknowledge(families(9, &[1, 2, 3]), at(30), true);
    // All of it is in a cumulative sum, whoever sent it before.
    let mut third = encoder(Temporality::Cumulative).after(ledger.clone());
    assert_eq!(read(&third, &families(10, &[1, 2, 3]), 40).0, 10);
    third.acknowledge(families(10, &[1, 2, 3]), at(40), false);
    third.acknowledge(families(12, &[1, 2, 3]), at(50), true);
    let fourth = encoder(Temporality::Delta).after(ledger);
    assert_eq!(read(&fourth, &families(13, &[1, 2, 3]), 60).0, 1);
}

#[test]
fn a_sum_that_was_begun_anew_says_since_when_and_owes_nothing_to_the_one_before() {
    let mut anew = families(9, &[1, 2]);
    anew[0].since = Some(at(15));
    let mut delta = encoder(Temporality::Delta);
    delta.acknowledge(families(5, &[1]), at(10), false);
    let (value, start, histogram) = read(&delta, &anew, 20);
    assert_eq!((value, start, histogram[0].count), (9, 15, 1));
    delta.acknowledge(anew.clone(), at(20), false);
    anew[0].points[0].value = Value::Counter(11);
    assert_eq!(read(&delta, &anew, 30).0, 2);
    let cumulative = encoder(Temporality::Cumulative);
    let (value, start, _) = read(&cumulative, &anew, 30);
    assert_eq!((value, start), (11, 15));
}
