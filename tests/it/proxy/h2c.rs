//! HTTP/2 with prior knowledge: in, out, and translated either way.

use crate::support::h2::{self, broken_after, client, run, whole, with_trailer};
use crate::support::sidecar::before;
use crate::support::wire::{Upstream, noise, sized};
use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use taffrail::capture::{BodyEnd, Fault};
use taffrail::config::UpstreamProtocol;

fn post(body: h2::Body) -> Request<h2::Body> {
    Request::post("http://model/v2/models/risk/infer").body(body).unwrap()
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    let upstream = h2::upstream(|head, body, trailers| {
        assert_eq!(head.version, Version::HTTP_2);
        assert_eq!(head.uri.authority().unwrap(), "model");
        assert_eq!(body, "question");
        assert_eq!(trailers.unwrap()["checksum"], "1");
        Response::new(with_trailer(b"answer", "grpc-status", "0"))
    });
    let sidecar = before(upstream).start();
    run(async {
        let mut client = client(sidecar.address).await;
        let response = client.send_request(post(with_trailer(b"question", "checksum", "1")));
        let response = response.await.unwrap();
        assert!(response.headers().contains_key("x-request-id"));
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(body.to_bytes(), "answer");
    });
    let exchange = sidecar.stop().exchanges.remove(0);
    assert_eq!(exchange.response.body.to_bytes(), "answer");
    assert_eq!((exchange.request.body.end, exchange.fault), (BodyEnd::Complete, None));
}

#[test]
fn streams_of_one_connection_share_one_upstream_connection() {
    let upstream = h2::upstream(|_, body, _| Response::new(whole(body)));
    let sidecar = before(upstream).start();
    run(async {
        let client = client(sidecar.address).await;
        let mut streams = tokio::task::JoinSet::new();
        for size in [0, 1, 70_000, 3 << 20] {
            let mut client = client.clone();
            streams.spawn_local(async move {
                let body = Bytes::from(noise(size));
                let response = client.send_request(post(whole(body.clone()))).await.unwrap();
                assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
            });
        }
        while let Some(done) = streams.join_next().await {
            done.unwrap();
        }
    });
    assert_eq!(sidecar.stop().exchanges.len(), 4);
}

#[test]
fn an_http_1_upstream_can_be_asked_over_http_2() {
    let upstream = Upstream::answering(|request| {
        assert_eq!(request.fields()[0], ("host".to_owned(), "model"));
        sized("HTTP/1.1 200 Fine\r\nkeep-alive: timeout=5\r\nconnection: keep-alive", &request.body)
    });
    let sidecar = before(upstream.address)
        .upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1)
        .start();
    run(async {
        let mut client = client(sidecar.address).await;
        let response = client.send_request(post(whole("question"))).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("keep-alive"));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "question");
    });
}

#[test]
fn an_h2c_upstream_can_be_asked_over_http_1() {
    let upstream = h2::upstream(|head, body, _| {
        assert_eq!(head.uri.authority().unwrap(), "m");
        assert!(!head.headers.contains_key("host"));
        Response::new(whole(body))
    });
    let sidecar =
        before(upstream).upstream(|upstream| upstream.protocol = UpstreamProtocol::H2c).start();
    let mut client = sidecar.client();
    for body in [noise(0), noise(100_000)] {
        let request = sized("POST /score HTTP/1.1\r\nhost: m\r\nconnection: keep-alive", &body);
        let response = client.send(request).receive();
        assert_eq!((response.start_line(), &response.body), ("HTTP/1.1 200 OK", &body));
    }
}

#[test]
fn a_cut_answer_resets_the_stream() {
    let cut = Arc::new(AtomicBool::new(false));
    let cuts = Arc::clone(&cut);
    let upstream = h2::upstream(move |_, _, _| Response::new(broken_after(b"half", &cuts)));
    let sidecar = before(upstream).start();
    run(async {
        let mut client = client(sidecar.address).await;
        let response = client.send_request(post(whole("question"))).await.unwrap();
        assert_eq!(response.status(), 200);
        cut.store(true, Ordering::SeqCst);
        assert!(response.into_body().collect().await.is_err());
    });
    assert_eq!(sidecar.stop().exchanges[0].fault, Some(Fault::UpstreamBodyAborted));
}

#[test]
fn a_chunked_answer_cut_by_an_http_1_upstream_resets_the_stream() {
    let upstream = Upstream::play(|mut peer| {
        peer.receive_message(true).unwrap();
        peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").close();
    });
    let sidecar = before(upstream.address)
        .upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1)
        .start();
    run(async {
        let mut client = client(sidecar.address).await;
        let response = client.send_request(post(whole("question"))).await.unwrap();
        assert!(response.into_body().collect().await.is_err());
    });
}

#[test]
fn draining_ends_the_connection_after_its_streams() {
    let upstream = h2::upstream(|_, body, _| Response::new(whole(body)));
    let sidecar = before(upstream).start();
    run(async {
        let mut client = client(sidecar.address).await;
        client.send_request(post(whole("question"))).await.unwrap();
        sidecar.drain();
        while client.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn an_upstream_that_is_down_sends_the_client_elsewhere() {
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let sidecar = before(nobody).start();
    run(async {
        let mut client = client(sidecar.address).await;
        let response = client.send_request(post(whole("question"))).await.unwrap();
        assert_eq!(response.status(), 502);
        assert!(!response.headers().contains_key("connection"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("upstream_connect"), "{body:?}");
        while client.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(sidecar.stop().exchanges[0].fault, Some(Fault::UpstreamConnect));
}

#[test]
fn a_client_that_resets_its_stream_cancels_the_upstreams() {
    let (report, closed) = std::sync::mpsc::sync_channel(2);
    let upstream = Upstream::play(move |mut peer| {
        peer.receive_head().unwrap();
        report.send(()).unwrap();
        // Cut, and not ended by the last chunk as a whole body would be.
        let rest = peer.receive_rest();
        assert!(!rest.ends_with(b"0\r\n\r\n"));
        report.send(()).unwrap();
    });
    let sidecar = before(upstream.address)
        .upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1)
        .start();
    run(async {
        let mut client = client(sidecar.address).await;
        let never = Arc::new(AtomicBool::new(false));
        let request = client.send_request(post(broken_after(b"half", &never)));
        tokio::select! {
            _ = request => panic!("answered"),
            () = async {
                while closed.try_recv().is_err() {
                    tokio::task::yield_now().await;
                }
            } => {}
        }
    });
    closed.recv_timeout(crate::support::sidecar::PATIENCE).unwrap();
    let exchange = sidecar.stop().exchanges.remove(0);
    assert_ne!(exchange.request.body.end, BodyEnd::Complete);
    assert!(matches!(exchange.fault, Some(Fault::ClientGone | Fault::ClientBodyAborted)));
}
