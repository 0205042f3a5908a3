use super::*;
use crate::capture::{Exchange, Message, RequestId, RouteTable, Timing, Trace};
use crate::config::{Upstream, UpstreamProtocol};
use crate::export::application_insights::envelope::tests::speaker;
use crate::export::application_insights::store::Room;
use crate::export::counters::{Counters, ExporterName};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use serde_json::Value;
use std::time::{Duration, UNIX_EPOCH};

const ROUTE: &str = "/tenants/{tenant}/score";

fn calls(sampler: TraceSampler) -> Calls {
    let counters = Arc::new(Counters::listing([ExporterName::ApplicationInsights]));
    let room = Room { directory: "/nowhere".into(), limit_bytes: 1 };
    let upstream = Upstream {
        authority: "model:8080".parse().unwrap(),
        base_path: PathAndQuery::from_static("/base/"),
        tls: None,
        protocol: UpstreamProtocol::Auto,
        connect_timeout: Duration::from_secs(1),
        response_timeout: None,
        request_timeout: None,
        max_connection_age: None,
        max_idle_connections: 8,
        idle_timeout: Duration::from_secs(1),
    };
    let listen = "127.0.0.1:9000".parse().unwrap();
    Calls {
        press: Arc::new(Press { speaker: speaker(), counters: Arc::clone(&counters) }),
        store: Arc::new(Store::new(room, counters)),
        places: Places { listen, scheme: "http", upstream },
        sampler,
    }
}

fn exchange(status: Option<u16>, fault: Option<Fault>) -> Exchange {
    let ms = Duration::from_millis;
    let reached = fault != Some(Fault::ClientProtocol);
    Exchange {
        id: RequestId::new(HeaderValue::from_static("req-1")),
        started_at: UNIX_EPOCH + Duration::from_secs(1000),
        timing: Timing { total: ms(30), upstream: reached.then(|| ms(20)), first_byte: None },
        route: RouteTable::new(&[ROUTE]).unwrap().classify("/tenants/acme/score"),
        method: Method::POST,
        target: PathAndQuery::from_static("/tenants/acme/score?patient=7"),
        status: status.and_then(|status| StatusCode::from_u16(status).ok()),
        fault,
        trace: Some(Trace {
            trace_id: [7; 16],
            parent_span_id: Some([1; 8]),
            server_span_id: [2; 8],
            client_span_id: [3; 8],
            sampled: true,
        }),
        sample_rate: 1.0,
        request: Message::default(),
        response: Message::default(),
    }
}

fn said(exchange: &Exchange, route: &str, sampler: TraceSampler) -> Vec<Value> {
    let calls = calls(sampler);
    let visit = Visit::new(exchange, exchange.trace.unwrap(), route);
    let mut pressing = calls.press.begin(Signal::Traces);
    calls.say(&visit, &mut pressing);
    let chunks = pressing.finish();
    let text = String::from_utf8(chunks[0].lines.to_vec()).unwrap();
    assert!(!text.contains("acme") && !text.contains("patient"), "{text}");
    chunks[0].lines().map(|line| serde_json::from_slice(line).unwrap()).collect()
}

const ALWAYS: TraceSampler = TraceSampler::Ratio(1.0);

#[test]
fn a_request_and_its_call_to_the_model_are_joined_by_their_ids() {
    let items = said(&exchange(Some(200), None), ROUTE, ALWAYS);
    let [request, call] = &items[..] else { panic!("{items:#?}") };
    let (of_request, of_call) = (&request["data"]["baseData"], &call["data"]["baseData"]);
    assert_eq!(request["tags"]["ai.operation.id"], "07".repeat(16));
    assert_eq!(request["tags"]["ai.operation.parentId"], "01".repeat(8));
    assert_eq!(request["tags"]["ai.operation.name"], "POST /tenants/{tenant}/score");
    assert_eq!(of_request["id"], "02".repeat(8));
    assert_eq!(of_request["url"], ROUTE);
    assert_eq!(of_request["duration"], "0.00:00:00.030000");
    assert_eq!(
        (&of_request["responseCode"], &of_request["success"]),
        (&"200".into(), &true.into())
    );
    assert_eq!(of_request["properties"]["taffrail.request.id"], "req-1");
    assert_eq!(request.get("sampleRate"), None);

    assert_eq!(call["tags"]["ai.operation.id"], request["tags"]["ai.operation.id"]);
    assert_eq!(call["tags"]["ai.operation.parentId"], of_request["id"]);
    assert_eq!(of_call["id"], "03".repeat(8));
    assert_eq!((&of_call["type"], &of_call["target"]), (&"HTTP".into(), &"model:8080".into()));
    assert_eq!(of_call["data"], format!("http://model:8080/base{ROUTE}"));
    assert_eq!(of_call["duration"], "0.00:00:00.020000");
    assert_eq!(call["time"], "1970-01-01T00:16:40.010000Z", "the rest is the sidecar's own");
}

#[test]
fn an_error_of_the_model_is_an_exception_by_its_status() {
    let items = said(&exchange(Some(503), None), ROUTE, ALWAYS);
    let [request, call, exception] = &items[..] else { panic!("{items:#?}") };
    assert_eq!(request["data"]["baseData"]["success"], false);
    assert_eq!(call["data"]["baseData"]["resultCode"], "503");
    let data = &exception["data"]["baseData"];
    assert_eq!(data["exceptions"][0]["typeName"], "503");
    let message = data["exceptions"][0]["message"].as_str().unwrap();
    assert_eq!(message, "The model answered 503; POST /tenants/{tenant}/score");
    assert_eq!(exception["tags"]["ai.operation.parentId"], request["data"]["baseData"]["id"]);
}

#[test]
fn a_fault_of_the_path_is_an_exception_by_its_word_and_no_answer_of_the_model() {
    let items = said(&exchange(Some(502), Some(Fault::UpstreamReset)), ROUTE, ALWAYS);
    let [request, call, exception] = &items[..] else { panic!("{items:#?}") };
    assert_eq!(request["data"]["baseData"]["responseCode"], "502");
    assert_eq!(call["data"]["baseData"]["resultCode"], "0");
    assert_eq!(call["data"]["baseData"]["success"], false);
    assert_eq!(exception["data"]["baseData"]["exceptions"][0]["typeName"], "upstream_reset");
    assert_eq!(exception["data"]["baseData"]["severityLevel"], 3);
}

#[test]
fn a_request_that_never_reached_the_model_is_no_call() {
    let items = said(&exchange(None, Some(Fault::ClientProtocol)), ROUTE, ALWAYS);
    let [request, exception] = &items[..] else { panic!("{items:#?}") };
    assert_eq!(request["data"]["baseData"]["responseCode"], "0");
    assert_eq!(exception["data"]["baseData"]["severityLevel"], 2, "a client's doing");
}

#[test]
fn a_clients_error_fails_the_request_and_is_no_exception() {
    let items = said(&exchange(Some(422), None), ROUTE, ALWAYS);
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["data"]["baseData"]["success"], false);
    assert_eq!(items[1]["data"]["baseData"]["properties"]["error.type"], "422");
}

#[test]
fn a_path_of_no_template_is_not_told() {
    let items = said(&exchange(Some(200), None), "other", ALWAYS);
    assert_eq!(items[0]["data"]["baseData"].get("url"), None);
    assert_eq!(items[0]["data"]["baseData"]["name"], "POST");
    assert_eq!(items[1]["data"]["baseData"]["data"], "http://model:8080/base");
}

#[test]
fn an_item_says_how_many_it_stands_for() {
    let half_captured = Exchange { sample_rate: 0.5, ..exchange(Some(200), None) };
    let mut root = Exchange { sample_rate: 0.5, ..exchange(Some(200), None) };
    root.trace.as_mut().unwrap().parent_span_id = None;
    for (exchange, sampler, rate) in [
        (&half_captured, ALWAYS, 50.0),
        (&half_captured, TraceSampler::Ratio(0.5), 25.0),
        // What share its caller sends is the caller's to know.
        (&half_captured, TraceSampler::ParentBased(0.5), 50.0),
        (&root, TraceSampler::ParentBased(0.5), 25.0),
    ] {
        for item in said(exchange, ROUTE, sampler) {
            assert_eq!(item["sampleRate"], rate, "{sampler:?}");
        }
    }
}

#[test]
fn a_long_name_is_cut_and_the_item_still_valid() {
    let route = "/ä".repeat(2000);
    let items = said(&exchange(Some(200), None), &route, ALWAYS);
    for item in items {
        let name = item["data"]["baseData"]["name"].as_str().unwrap();
        assert!(name.encode_utf16().count() <= MAX_NAME);
    }
}
