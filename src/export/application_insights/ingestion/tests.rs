use super::*;

fn answered(status: u16, body: &str) -> Verdict {
    let response = Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes()));
    judge(&response.unwrap(), 4)
}

fn judged(body: &str) -> Judgement {
    match answered(206, body) {
        Verdict::Judged(judgement) => judgement,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_item_has_its_own_verdict() {
    let judgement = judged(
        r#"{"itemsReceived":4,"itemsAccepted":1,"errors":[
            {"index":0,"statusCode":500,"message":"Internal server error"},
            {"index":2,"statusCode":400,"message":"107: too long"},
            {"index":3,"statusCode":439,"message":"quota"}]}"#,
    );
    assert_eq!(judgement.later, HashSet::from([0, 3]));
    assert_eq!(judgement.rejected, [400]);
    assert_eq!(judgement.said.as_deref(), Some("500 of an item: Internal server error"));
}

#[test]
fn an_answer_that_makes_no_sense_loses_and_repeats_nothing_beyond_what_was_sent() {
    let twice_and_beyond = judged(
        r#"{"itemsReceived":4,"itemsAccepted":3,"errors":[
            {"index":1,"statusCode":429},{"index":1,"statusCode":400},{"index":9,"statusCode":400}]}"#,
    );
    assert_eq!((twice_and_beyond.later.len(), twice_and_beyond.rejected.len()), (1, 0));
    let unnamed = judged(r#"{"itemsReceived":4,"itemsAccepted":2,"errors":[]}"#);
    assert_eq!(unnamed.rejected, [0, 0], "not taken, and not told why");
    assert_eq!(judged("<html>"), Judgement::default());
    assert_eq!(judged(r#"{"itemsReceived":9999,"itemsAccepted":0}"#).rejected.len(), 4);
}

#[test]
fn statuses_that_pass_are_waited_for_and_others_end_it() {
    for status in [401, 403, 408, 429, 439, 500, 502, 503, 504] {
        assert!(matches!(answered(status, ""), Verdict::Later { .. }), "{status}");
    }
    for status in [400, 402, 404, 405, 413, 501] {
        let refused =
            matches!(answered(status, ""), Verdict::Refused { status: s, .. } if s == status);
        assert!(refused, "{status}");
    }
}

#[test]
fn a_used_up_quota_is_not_asked_about_every_second() {
    let Verdict::Later { retry_after, .. } = answered(439, "") else { panic!() };
    assert_eq!(retry_after, Some(QUOTA_PAUSE));
}

#[test]
fn a_redirect_stays_within_the_registered_domain() {
    let azure = "westeurope-5.in.applicationinsights.azure.com";
    for (ours, theirs, same) in [
        (azure, "northeurope-2.in.applicationinsights.azure.com", true),
        ("dc.services.visualstudio.com", "eu.dc.services.VisualStudio.com", true),
        (azure, "evil.com", false),
        (azure, "azure.com.evil.com", false),
        ("relay.example.co.uk", "other.co.uk", false),
        ("relay.example.co.uk", "dc.example.co.uk", true),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "10.0.0.1", false),
        ("10.0.0.1", "11.0.0.1", false),
        ("localhost", "localhost", true),
        ("localhost", "relay", false),
    ] {
        assert_eq!(is_same_domain(ours, theirs), same, "{ours} {theirs}");
    }
}

#[test]
fn the_path_of_the_protocol_is_put_behind_the_endpoint_once() {
    for (endpoint, url) in [
        ("https://a.b/", "https://a.b/v2.1/track"),
        ("https://a.b", "https://a.b/v2.1/track"),
        ("http://a:1/relay/", "http://a:1/relay/v2.1/track"),
        ("http://a:1/v2.1/track", "http://a:1/v2.1/track"),
    ] {
        assert_eq!(track(&endpoint.parse().unwrap()).to_string(), url);
    }
}
