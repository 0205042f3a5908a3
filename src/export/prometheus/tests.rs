use super::*;
use crate::export::collect::tests::Sample;
use crate::export::names;

fn resource() -> Resource {
    Resource::of(&[
        ("model.name", "weather"),
        ("model.version", "1"),
        ("service.instance.id", "pod-7"),
        ("service.name", "weather \"sidecar\""),
    ])
}

fn page(format: Format) -> String {
    encode(&Sample::new().families(), &resource(), format)
}

#[test]
fn text_is_what_promtool_accepted() {
    let expected = include_str!("../../../tests/fixtures/export/metrics.txt");
    assert_eq!(page(Format::Text), expected);
}

#[test]
fn open_metrics_is_what_a_prometheus_parsed() {
    let expected = include_str!("../../../tests/fixtures/export/metrics.openmetrics.txt");
    assert_eq!(page(Format::OpenMetrics), expected);
}

#[test]
fn names_follow_the_rules_of_open_telemetry() {
    for (metric, name) in [
        (&names::HTTP_SERVER_REQUEST_DURATION, "http_server_request_duration_seconds"),
        (&names::HTTP_SERVER_REQUEST_BODY_SIZE, "http_server_request_body_size_bytes"),
        (&names::HTTP_SERVER_ACTIVE_REQUESTS, "http_server_active_requests"),
        (&names::REQUEST_LATENCY, "taffrail_request_latency_seconds"),
        (&names::FEATURE_ROWS, "taffrail_feature_rows"),
        (&names::BASELINE_SHARE, "taffrail_baseline_share"),
        (&names::QUALITY_NULL_RATIO, "taffrail_quality_null_ratio"),
        (&names::DRIFT_P_VALUE, "taffrail_drift_p_value"),
    ] {
        assert_eq!(family_name(metric), name);
    }
}

#[test]
fn no_two_metrics_share_a_name_there() {
    let names: std::collections::HashSet<_> = names::ALL.iter().map(|m| family_name(m)).collect();
    assert_eq!(names.len(), names::ALL.len());
}

#[test]
fn a_histogram_s_buckets_only_grow_and_end_at_its_count() {
    let mut values = Distribution::of_seconds();
    for ms in [1, 7, 80, 20_000] {
        values.record(ms * 1_000_000);
    }
    assert_eq!(cumulative(&values, &[0.005, 0.01, 0.1, 10.0]), [1, 2, 3, 3]);
}

#[test]
fn open_metrics_is_given_to_those_who_prefer_it() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;q=0.5,*/*;q=0.1";
    assert_eq!(Format::negotiate(Some(prometheus)), Format::OpenMetrics);
    for text in
        [None, Some("*/*"), Some("text/html"), Some("text/plain, application/openmetrics-text;q=0")]
    {
        assert_eq!(Format::negotiate(text), Format::Text, "{text:?}");
    }
}

#[test]
fn numbers_that_are_none_are_spelled_as_prometheus_does() {
    let spelled = |value| Number(value, Format::Text).to_string();
    assert_eq!([f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(spelled), ["+Inf", "-Inf", "NaN"]);
}

#[test]
fn buckets_name_an_exchange_that_fell_in_them_in_open_metrics_only() {
    let sample = Sample::new();
    let with = |id: &'static str| {
        let mut exchange = crate::export::exemplars::tests::exchange(0xab, 30, 1_700_000_000);
        exchange.id = crate::capture::RequestId::new(http::HeaderValue::from_static(id));
        sample.exemplars.offer(&exchange);
        encode(&sample.families(), &resource(), Format::OpenMetrics)
    };
    let page = with("a\"b");
    let named: Vec<_> = page.lines().filter(|line| line.contains(" # {")).collect();
    assert_eq!(named.len(), 2, "{named:#?}");
    let (server, exemplar) = named[0].split_once(" # ").unwrap();
    assert!(server.starts_with("http_server_request_duration_seconds_bucket{"), "{server}");
    assert!(server.contains("http_response_status_code=\"200\""), "{server}");
    assert!(server.contains(",le=\"0.05\"} "), "{server}");
    let trace = "ab".repeat(16);
    let labels = format!("trace_id=\"{trace}\",span_id=\"0202020202020202\",request_id=\"a\\\"b\"");
    assert_eq!(exemplar, format!("{{{labels}}} 0.03 1700000000.030"));
    assert!(named[1].contains("http_client_request_duration_seconds_bucket{"), "{}", named[1]);
    assert!(named[1].contains(",le=\"0.025\"} "), "{}", named[1]);
    let long = with("0123456789012345678901234567890123456789012345678901234567890");
    assert!(long.contains("span_id=\"0202020202020202\"} 0.03"), "128 characters are the most");
    assert!(!encode(&sample.families(), &resource(), Format::Text).contains(" # {"));
}
