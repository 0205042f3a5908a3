//! TLS with clients: what is agreed on, who is let in, and how connections end.

use crate::support::cases::check;
use crate::support::frames::{Connection, HEADERS, Outcome, WHOLE, frame, request};
use crate::support::raw::{End, Raw};
use crate::support::sidecar::{PATIENCE, Sidecar, before};
use crate::support::tls::Place;
use crate::support::wire::{chunked, noise, sized};
use crate::support::witness::{OK, Witness, response};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use taffrail::capture::{BodyEnd, Fault};

const GET: &str = "GET / HTTP/1.1\r\nHost: m\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
/// Of limits of a second, kept to within two more; nothing else in a test takes as long.
const SECOND: Duration = Duration::from_secs(1);

/// Before an upstream in plain text that answers all with 200.
fn start(place: &Place, witness: &Witness) -> Sidecar {
    before(witness.address).tls(&place.server_tls()).start()
}

#[test]
fn clients_speak_what_alpn_agreed_on_or_their_first_bytes_say() {
    let cases: [(&[&str], bool, Option<&str>); 6] = [
        (&["h2"], true, Some("h2")),
        (&["http/1.1"], false, Some("http/1.1")),
        (&["http/1.1", "h2"], true, Some("h2")),
        (&["h2", "http/1.1"], true, Some("h2")),
        (&[], false, None),
        (&[], true, None),
    ];
    let cases = cases.map(|case| (format!("{:?}, {}", case.0, case.1), case));
    let place = Place::new();
    let identity = place.server_tls();
    check(&cases, |(offered, is_http2, agreed)| {
        let witness = Witness::agreeing();
        let sidecar = before(witness.address)
            .tls(&identity)
            .upstream(|upstream| upstream.protocol = taffrail::config::UpstreamProtocol::Http1)
            .start();
        let mut client = Raw::connect_tls(sidecar.address, &place.client(offered));
        let status = if *is_http2 {
            let mut client = Connection::over(client);
            client.say(frame(HEADERS, WHOLE, 1, request("GET", &[])));
            let Outcome::Answered(status) = client.outcome(1) else { return Err("reset".into()) };
            (status, client.raw.alpn())
        } else {
            (response(client.say(GET))?.status(), client.alpn())
        };
        let expected = (200, agreed.map(str::to_owned));
        if status == expected { Ok(()) } else { Err(format!("{status:?}")) }
    });
}

#[test]
fn plain_text_to_a_tls_port_is_refused_and_counted() {
    let place = Place::new();
    let witness = Witness::agreeing();
    let sidecar = start(&place, &witness);
    for said in [GET, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let (heard, end) = Raw::connect(sidecar.address).say(said).hear_all();
        assert!(!heard.starts_with(b"HTTP") && heard.len() < 16, "{heard:?}");
        assert_ne!(end, End::Silent);
    }
    let record = sidecar.stop();
    assert_eq!((record.count_of(Fault::ClientTls), record.latency.open_connections), (2, 0));
    assert!(witness.finish_bytes().is_empty());
}

/// As probes of TCP do, from Kubernetes or a load balancer.
#[test]
fn a_client_that_leaves_without_a_word_is_no_fault() {
    let place = Place::new();
    let witness = Witness::agreeing();
    let sidecar = start(&place, &witness);
    for _ in 0..3 {
        drop(TcpStream::connect(sidecar.address).unwrap());
    }
    let mut client = Raw::connect_tls(sidecar.address, &place.client(&[]));
    assert_eq!(response(client.say(GET)).unwrap().status(), 200);
    assert_eq!(sidecar.stop().count_of(Fault::ClientTls), 0);
}

#[test]
fn only_clients_that_the_authority_vouches_for_are_let_in() {
    let [place, elsewhere] = [Place::new(), Place::new()];
    let (known, stranger) = (place.identity("client"), elsewhere.identity("client"));
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).tls(&place.strict_server_tls()).start();
    for (identity, is_let_in) in [(None, false), (Some(&stranger), false), (Some(&known), true)] {
        let config = place.client_as(identity, &["http/1.1"]);
        let mut client = Raw::connect_tls(sidecar.address, &config);
        let answer = response(client.say(GET));
        assert_eq!(answer.is_ok_and(|answer| answer.status() == 200), is_let_in, "{identity:?}");
    }
    let record = sidecar.stop();
    assert_eq!((record.count_of(Fault::ClientTls), record.exchanges.len()), (2, 1));
    assert_eq!(witness.finish().whole.len(), 1);
}

#[test]
fn an_end_is_said_before_the_connection_is_closed() {
    let place = Place::new();
    let witness = Witness::agreeing();
    let sidecar = before(witness.address)
        .tls(&place.server_tls())
        .client(|client| client.idle_timeout = SECOND)
        .start();
    for (name, asked) in [("close was asked for", LAST), ("nothing comes", GET)] {
        let mut client = Raw::connect_tls(sidecar.address, &place.client(&[])).patient();
        assert_eq!(response(client.say(asked)).unwrap().status(), 200);
        assert_eq!(client.hear_all(), (Vec::new(), End::Closed), "{name}");
    }
    let mut client = Raw::connect_tls(sidecar.address, &place.client(&[]));
    assert_eq!(response(client.say(GET)).unwrap().status(), 200);
    drop(sidecar.stop());
    assert_eq!(client.hear_all(), (Vec::new(), End::Closed), "the sidecar stops");
}

#[test]
fn a_handshake_that_is_not_finished_is_given_up() {
    let place = Place::new();
    let witness = Witness::agreeing();
    let sidecar = before(witness.address)
        .tls(&place.server_tls())
        .client(|client| client.header_timeout = SECOND)
        .start();
    // The beginning of a record that never comes.
    for said in ["", "\x16\x03\x01\x01\x00"] {
        let mut client = Raw::connect(sidecar.address).patient();
        assert_ne!(client.say(said).hear_all().1, End::Silent);
    }
    assert_eq!(sidecar.stop().latency.open_connections, 0);
}

#[test]
fn a_handshake_that_is_not_finished_holds_up_no_end() {
    let place = Place::new();
    let witness = Witness::agreeing();
    let sidecar = start(&place, &witness);
    let [mut silent, mut begun] = [(); 2].map(|()| Raw::connect(sidecar.address));
    begun.say("\x16\x03\x01\x01\x00");
    // Both were accepted before this one, in the order of the kernel's queue.
    let mut client = Raw::connect_tls(sidecar.address, &place.client(&[]));
    assert_eq!(response(client.say(LAST)).unwrap().status(), 200);
    let since = Instant::now();
    drop(sidecar.stop());
    assert!(since.elapsed() < PATIENCE / 2, "{:?}", since.elapsed());
    assert_ne!(silent.hear_all().1, End::Silent);
    assert_ne!(begun.hear_all().1, End::Silent);
}

/// Whether it says that it ends, or not.
#[test]
fn a_client_that_ends_within_its_body_breaks_it() {
    let place = Place::new();
    for is_said in [true, false] {
        let (arrived, arrival) = mpsc::sync_channel(1);
        let witness = Witness::playing(move |raw| {
            raw.hear_through("abc").unwrap();
            arrived.send(()).unwrap();
            assert!(raw.hear_all().0.is_empty());
        });
        let sidecar = start(&place, &witness);
        let mut client = Raw::connect_tls(sidecar.address, &place.client(&[]));
        client.say("POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 9\r\n\r\nabc");
        arrival.recv_timeout(PATIENCE).unwrap();
        if is_said {
            client.finish();
        } else {
            client.break_off();
        }
        assert_ne!(client.hear_all().1, End::Silent);
        let exchange = sidecar.stop().exchanges.remove(0);
        assert_ne!(exchange.request.body.end, BodyEnd::Complete, "{is_said}");
        let fault = exchange.fault;
        assert!(matches!(fault, Some(Fault::ClientBodyAborted | Fault::ClientGone)), "{fault:?}");
    }
}

/// TLS with the client and with the upstream.
fn start_between(place: &Place, witness: &Witness) -> Sidecar {
    before(witness.address)
        .tls(&place.server_tls())
        .upstream(|upstream| upstream.tls = Some(place.client_tls()))
        .start()
}

#[test]
fn large_bodies_pass_both_ways_on_one_connection() {
    let place = Place::new();
    let witness = Witness::answering_tls(&place.upstream(&["http/1.1"]), |request| {
        match request.field("transfer-encoding") {
            Some(_) => chunked("HTTP/1.1 200 OK", &request.body, 10_000),
            None => sized("HTTP/1.1 200 OK", &request.body),
        }
    });
    let sidecar = start_between(&place, &witness);
    let mut client = Raw::connect_tls(sidecar.address, &place.client(&["http/1.1"])).patient();
    for length in [0, 1, 16 << 10, 3 << 20] {
        let body = noise(length);
        let head = "POST / HTTP/1.1\r\nHost: m";
        for request in [sized(head, &body), chunked(head, &body, 7777)] {
            let answer = response(client.say(request)).unwrap();
            assert_eq!(answer.status(), 200);
            assert!(answer.body == body, "{length}");
        }
    }
    drop(client);
    let exchanges = sidecar.stop().exchanges;
    assert!(exchanges.iter().all(|exchange| exchange.fault.is_none()));
    assert_eq!(witness.finish_bytes().len(), 1, "one upstream connection serves them all");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let place = Place::new();
    let witness = Witness::answering_tls(&place.upstream(&[]), |request| {
        sized("HTTP/1.1 200 OK", request.start.as_bytes())
    });
    let sidecar = start_between(&place, &witness);
    let mut client = Raw::connect_tls(sidecar.address, &place.client(&[]));
    let start = |at| format!("GET /{at} HTTP/1.1");
    let requests: Vec<_> = (0..20).map(|at| format!("{}\r\nHost: m\r\n\r\n", start(at))).collect();
    client.say(requests.concat());
    for at in 0..20 {
        assert_eq!(response(&mut client).unwrap().body, start(at).as_bytes());
    }
}

#[test]
fn a_tunnel_passes_bytes_both_ways_and_either_end() {
    let place = Place::new();
    let witness = Witness::playing_tls(&place.upstream(&[]), |raw| {
        if raw.hear_through("\r\n\r\n").is_err() {
            return;
        }
        raw.say("HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst");
        let heard = raw.hear_exactly(1 << 20).unwrap();
        raw.say(heard);
        assert_eq!(raw.hear_all(), (b"done".to_vec(), End::Closed));
        raw.say("last").finish();
    });
    let sidecar = start_between(&place, &witness);
    let mut client = Raw::connect_tls(sidecar.address, &place.client(&["http/1.1"])).patient();
    client.say("GET / HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(response(&mut client).unwrap().status(), 101);
    assert_eq!(client.hear_exactly(5).unwrap(), b"first");
    let body = noise(1 << 20);
    client.say(&body);
    assert!(client.hear_exactly(1 << 20).unwrap() == body);
    client.say("done").finish();
    assert_eq!(client.hear_all(), (b"last".to_vec(), End::Closed));
    drop(sidecar.stop());
    drop(witness.finish_bytes());
}

#[test]
fn new_connections_see_a_new_certificate_and_old_ones_go_on() {
    let place = Place::new();
    let (release, released) = mpsc::sync_channel::<()>(1);
    let released = std::sync::Mutex::new(released);
    let witness = Witness::answering(move |request| {
        if request.start.contains("/slow") {
            released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        OK.to_vec()
    });
    let mut sidecar = start(&place, &witness);
    let address = sidecar.address;
    let shown = || {
        let mut client = Raw::connect_tls(address, &place.client(&[]));
        assert_eq!(response(client.say(LAST)).unwrap().status(), 200);
        client.shown()
    };
    let first = shown();
    let mut old = Raw::connect_tls(address, &place.client(&[]));
    old.say("GET /slow HTTP/1.1\r\nHost: m\r\n\r\n");
    place.identity("sidecar");
    sidecar.reload();
    let second = shown();
    assert_ne!(first, second);
    release.send(()).unwrap();
    assert_eq!(response(&mut old).unwrap().status(), 200);
    assert_eq!(response(old.say(GET)).unwrap().status(), 200, "it is kept as before");
    std::fs::write(place.path().join("sidecar.crt"), "no certificate").unwrap();
    sidecar.reload();
    assert_eq!(shown(), second, "a file of no use changes nothing");
    place.identity("sidecar");
    sidecar.reload();
    assert_ne!(shown(), second);
}

#[test]
fn http_2_over_tls_is_served_with_large_bodies_on_both_sides() {
    use crate::support::h2::{client_tls, run, upstream_over, whole};
    use http_body_util::BodyExt;
    let place = Place::new();
    let upstream = upstream_over(Some(place.upstream(&["h2"])), |head, body, _| {
        assert_eq!(head.uri.scheme_str(), Some("https"));
        http::Response::new(whole(body))
    });
    let sidecar = before(upstream)
        .tls(&place.server_tls())
        .upstream(|upstream| upstream.tls = Some(place.client_tls()))
        .start();
    run(async {
        let mut client = client_tls(sidecar.address, &place.client(&["h2"])).await;
        for length in [0, 1, 3 << 20] {
            let body = bytes::Bytes::from(noise(length));
            let request = http::Request::post("https://m/").body(whole(body.clone())).unwrap();
            let answer = client.send_request(request).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
        }
    });
    let exchanges = sidecar.stop().exchanges;
    assert!(exchanges.iter().all(|exchange| exchange.fault.is_none()), "{exchanges:?}");
}
