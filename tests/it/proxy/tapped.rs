//! What is kept of the traffic, and what is only counted.

use crate::support::sidecar::before;
use crate::support::wire::{Upstream, chunked, noise, sized};
use taffrail::capture::BodyEnd;
use taffrail::config::TraceSampler;
use taffrail::latency::Phase;
use taffrail::tap::Tracing;

const POST: &str =
    "POST /v2/models/risk/infer HTTP/1.1\r\nhost: m\r\ncontent-type: application/json";

#[test]
fn an_exchange_is_kept_with_its_heads_bodies_and_times() {
    let upstream = Upstream::answering(|_| {
        sized("HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\nset-cookie: s\r\nx-model: 7", b"answer")
    });
    let sidecar = before(upstream.address)
        .keep_headers(&["x-tenant", "authorization", "x-model", "set-cookie"])
        .start();
    let head = format!("{POST}\r\nauthorization: secret\r\nx-tenant: acme\r\nx-request-id: id-1");
    sidecar.client().send(sized(&head, b"question")).receive();
    let record = sidecar.stop();
    let [exchange] = &*record.exchanges else { panic!("{:?}", record.exchanges) };
    assert_eq!(exchange.id.row(1), "id-1#1");
    assert_eq!(exchange.target, "/v2/models/risk/infer");
    assert_eq!(exchange.status.unwrap().as_u16(), 200);
    assert_eq!(exchange.fault, None);
    assert_eq!(exchange.request.body.to_bytes(), "question");
    assert_eq!(exchange.response.body.to_bytes(), "answer");
    assert_eq!(exchange.request.content_type.as_ref().unwrap(), "application/json");
    assert_eq!(exchange.response.content_type.as_ref().unwrap(), "text/csv");
    let kept = |headers: &[(http::HeaderName, http::HeaderValue)]| {
        headers.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(kept(&exchange.request.headers), ["x-tenant"]);
    assert_eq!(kept(&exchange.response.headers), ["x-model"]);
    let timing = exchange.timing;
    assert!(timing.upstream.unwrap() <= timing.total && timing.first_byte.unwrap() <= timing.total);
    assert_eq!(timing.overhead().unwrap() + timing.upstream.unwrap(), timing.total);
}

#[test]
fn latency_is_recorded_by_route_and_phase() {
    let upstream = Upstream::answering(|_| sized("HTTP/1.1 200 OK", b"answer"));
    let sidecar = before(upstream.address).sample(0.0).start();
    let mut client = sidecar.client();
    (0..3).for_each(|_| drop(client.send(sized(POST, b"question")).receive()));
    drop(client);
    let record = sidecar.stop();
    assert_eq!((record.totals.sampled_out, record.totals.kept), (3, 0));
    let [series] = &*record.latency.requests else { panic!("{:?}", record.latency.requests) };
    assert_eq!((series.duration.count(), series.upstream_duration.count()), (3, 3));
    assert_eq!(series.request_size.max(), Some(8.0));
    assert_eq!(series.response_size.max(), Some(6.0));
    for phase in Phase::ALL {
        let times = record.latency.phases.iter().find(|times| times.phase == phase).unwrap();
        assert_eq!((times.all.count(), times.recent.count()), (3, 3), "{phase:?}");
    }
    assert_eq!((record.latency.active_requests, record.latency.open_connections), (0, 0));
}

#[test]
fn a_long_body_keeps_a_prefix_and_the_peer_gets_it_all() {
    let upstream = Upstream::echo();
    let sidecar = before(upstream.address).max_body_bytes(10_000).start();
    let body = noise(3 << 20);
    let response = sidecar.client().send(chunked(POST, &body, 4000)).receive();
    assert_eq!(response.body, body);
    let record = sidecar.stop();
    for kept in [&record.exchanges[0].request.body, &record.exchanges[0].response.body] {
        assert_eq!(kept.to_bytes(), body[..10_000]);
        assert_eq!((kept.total_bytes(), kept.end), (3 << 20, BodyEnd::Complete));
    }
    assert_eq!(record.totals.truncated, 1);
}

#[test]
fn a_full_queue_drops_and_counts_while_traffic_passes() {
    let upstream = Upstream::echo();
    let sidecar = before(upstream.address).queue_items(3).start();
    let mut client = sidecar.client();
    for round in 0..10 {
        let body = format!("round {round}");
        assert_eq!(client.send(sized(POST, body.as_bytes())).receive().text(), body);
    }
    let record = sidecar.stop();
    assert_eq!((record.totals.kept, record.totals.dropped_items), (3, 7));
    assert_eq!(record.exchanges[0].request.body.to_bytes(), "round 0");
    assert_eq!(record.latency.requests[0].duration.count(), 10);
}

#[test]
fn a_request_id_is_made_when_there_is_none_and_sent_both_ways() {
    let upstream = Upstream::answering(|request| {
        sized("HTTP/1.1 200 OK", request.field("x-request-id").unwrap().as_bytes())
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    let kept = client.send(sized(&format!("{POST}\r\nx-request-id: mine"), b"")).receive();
    assert_eq!((kept.text().as_str(), kept.field("x-request-id")), ("mine", Some("mine")));
    let made = client.send(sized(POST, b"")).receive();
    assert_eq!(made.field("x-request-id"), Some(made.text().as_str()));
    assert_eq!(uuid::Uuid::parse_str(&made.text()).unwrap().get_version_num(), 7);
    let record = sidecar.stop();
    assert_eq!(record.exchanges[1].id.text(), made.text());
}

#[test]
fn the_client_is_told_the_id_that_labels_join_on_whatever_the_upstream_says() {
    let upstream = Upstream::answering(|request| {
        let sent = request.field("x-request-id").unwrap();
        let head = match request.text().as_str() {
            "echo" => format!("HTTP/1.1 200 OK\r\nx-first: 1\r\nx-request-id: {sent}\r\nx-last: 2"),
            _ => "HTTP/1.1 200 OK\r\nx-first: 1\r\nx-request-id: a\r\nx-last: 2\r\nx-request-id: b"
                .into(),
        };
        sized(&head, b"")
    });
    let sidecar = before(upstream.address).start();
    let mut client = sidecar.client();
    let mut told = Vec::new();
    for body in ["echo", "own"] {
        let response = client.send(sized(POST, body.as_bytes())).receive();
        let names: Vec<_> = response.fields().iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, ["x-first", "x-request-id", "x-last", "content-length"], "{body}");
        told.push(response.field("x-request-id").unwrap().to_owned());
    }
    let record = sidecar.stop();
    let joined: Vec<_> = record.exchanges.iter().map(|exchange| exchange.id.text()).collect();
    assert_eq!(told, joined);
}

#[test]
fn a_trace_is_continued_when_tracing_is_on_and_untouched_when_off() {
    let upstream = Upstream::answering(|request| {
        let sent = request.field("traceparent").unwrap_or("none");
        sized("HTTP/1.1 200 OK", sent.as_bytes())
    });
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = format!("{POST}\r\ntraceparent: {caller}");

    let off = before(upstream.address).start();
    assert_eq!(off.client().send(sized(&traced, b"")).receive().text(), caller);
    assert_eq!(off.client().send(sized(POST, b"")).receive().text(), "none");

    let on = before(upstream.address).tracing(Tracing::On(TraceSampler::ParentBased(1.0))).start();
    let sent = on.client().send(sized(&traced, b"")).receive().text();
    let trace = on.stop().exchanges[0].trace.unwrap();
    assert_eq!((&sent[..36], &sent[52..]), (&caller[..36], "-01"));
    let span = u64::from_be_bytes(trace.client_span_id);
    assert_eq!(sent[36..52], format!("{span:016x}"));
}

#[test]
fn an_exchange_whose_bodies_find_no_room_passes_and_is_counted_as_dropped() {
    let upstream = Upstream::echo();
    let sidecar = before(upstream.address).room_bytes(1000).start();
    let mut client = sidecar.client();
    for body in [noise(300), noise(600), noise(1001)] {
        assert_eq!(client.send(sized(POST, &body)).receive().body, body);
        // Of a length that no head tells: known to be too much when much of it was kept.
        assert_eq!(client.send(chunked(POST, &body, 100)).receive().body, body);
    }
    drop(client);
    let record = sidecar.stop();
    let kept = |exchange: &taffrail::capture::Exchange| {
        [&exchange.request, &exchange.response].map(|message| message.body.kept_bytes())
    };
    let kept: Vec<_> = record.exchanges.iter().map(kept).collect();
    assert_eq!(kept, [[300, 300], [300, 300]]);
    assert_eq!((record.totals.kept, record.totals.dropped_bytes), (2, 4));
}
