//! What a client may ask of a connection, and how long it may take: the `client.*` keys.
//!
//! A limit in time is kept to within two ticks of a second; where a test has to outwait one, it
//! waits for a connection that the same limit ends.

use crate::support::cases::check;
use crate::support::frames::{
    self, Connection, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Outcome, SETTINGS, WHOLE,
    frame, request,
};
use crate::support::message::Message;
use crate::support::raw::{End, Raw};
use crate::support::sidecar::{PATIENCE, Setup, Sidecar, before};
use crate::support::witness::{OK, Witness, closed, response};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use taffrail::capture::Fault;
use taffrail::config::UpstreamProtocol;

const GET: &str = "GET / HTTP/1.1\r\nHost: m\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);
/// A limit of a second, two ticks, and some room.
const SOON: Duration = Duration::from_secs(6);

fn impatient(witness: &Witness) -> Setup {
    before(witness.address).client(|client| {
        client.header_timeout = SECOND;
        client.idle_timeout = SECOND;
    })
}

/// Longer than any limit of an impatient sidecar.
fn outwait(sidecar: &Sidecar) {
    for _ in 0..2 {
        closed(&mut Raw::connect(sidecar.address).patient()).unwrap();
    }
}

fn refusal(raw: &mut Raw, status: u16, word: &str) -> Result<Message, String> {
    let answer = response(raw)?;
    closed(raw)?;
    let says_why = answer.body.windows(word.len()).any(|window| window == word.as_bytes());
    if answer.status() == status && answer.field("connection") == Some("close") && says_why {
        Ok(answer)
    } else {
        Err(format!("{answer:?}"))
    }
}

#[test]
fn one_connection_too_many_is_told_and_the_others_are_served() {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address)
        .client(|client| client.max_connections = 2.try_into().unwrap())
        .start();
    let mut served = [(); 2].map(|()| Raw::connect(sidecar.address));
    for client in &mut served {
        assert_eq!(response(client.say(GET)).unwrap().status(), 200);
    }
    for said in ["", GET, "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 9\r\n\r\nabc"] {
        let mut client = Raw::connect(sidecar.address);
        let answer = refusal(client.say(said), 503, "client_connection_limit").unwrap();
        assert_eq!(answer.field("retry-after"), Some("1"), "{said:?}");
    }
    for client in &mut served {
        assert_eq!(response(client.say(GET)).unwrap().status(), 200);
    }
    let [gone, mut staying] = served;
    drop(gone);
    let since = Instant::now();
    let mut refused = 3;
    while response(Raw::connect(sidecar.address).say(GET)).unwrap().status() == 503 {
        refused += 1;
        assert!(since.elapsed() < PATIENCE, "the place is not free again");
    }
    assert_eq!(response(staying.say(GET)).unwrap().status(), 200);
    drop(staying);
    let record = sidecar.stop();
    assert_eq!(record.count_of(Fault::ClientConnectionLimit), refused);
    assert_eq!((record.exchanges.len(), record.latency.open_connections), (6, 0));
}

#[test]
fn a_flood_over_the_limit_is_closed_and_not_held() {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address)
        .client(|client| client.max_connections = 1.try_into().unwrap())
        .start();
    let mut served = Raw::connect(sidecar.address);
    assert_eq!(response(served.say(GET)).unwrap().status(), 200);
    // Nobody leaves, so that each who is told holds a place for that.
    let mut flood: Vec<_> = (0..200).map(|_| Raw::connect(sidecar.address)).collect();
    let told = flood.iter_mut().map(|client| {
        let heard = client.hear_all().0;
        assert!(heard.is_empty() || heard.starts_with(b"HTTP/1.1 503 "));
        usize::from(!heard.is_empty())
    });
    let told: usize = told.sum();
    assert!((1..200).contains(&told), "{told}");
    assert_eq!(response(served.say(GET)).unwrap().status(), 200);
    drop((served, flood));
    assert_eq!(sidecar.stop().count_of(Fault::ClientConnectionLimit), 200);
}

#[test]
fn a_head_that_is_not_finished_is_408() {
    let heads = [
        "G",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: m\r\n",
        "GET / HTTP/1.1\r\nHost: m\r\nX: ",
        "P",
        "PRI",
    ];
    let cases = heads.map(|head| (head.to_owned(), head));
    check(&cases, |head| {
        for before_it in ["", GET] {
            let witness = Witness::agreeing();
            let sidecar = impatient(&witness).start();
            let mut client = Raw::connect(sidecar.address).patient();
            if !before_it.is_empty() {
                response(client.say(before_it))?;
            }
            let since = Instant::now();
            refusal(client.say(head), 408, "client_header_timeout")?;
            let took = since.elapsed();
            if !(SECOND..SOON).contains(&took) {
                return Err(format!("after {took:?}"));
            }
            let counted = sidecar.stop().count_of(Fault::ClientHeaderTimeout);
            let seen = witness.finish();
            let expected = usize::from(!before_it.is_empty());
            if counted != 1 || seen.whole.len() != expected || !seen.broken.is_empty() {
                return Err(format!("{counted} counted, {seen:?}"));
            }
        }
        Ok(())
    });
}

/// A byte now and then is no progress.
#[test]
fn a_head_that_trickles_is_408_as_well() {
    let witness = Witness::agreeing();
    let sidecar = impatient(&witness).start();
    let mut client = Raw::connect(sidecar.address);
    client.say("GET / HTTP/1.1\r\nHost: m\r\nX: ");
    let since = Instant::now();
    while client.say("a").is_quiet_for(SECOND / 10) {
        assert!(since.elapsed() < SOON, "still waited for");
    }
    refusal(&mut client, 408, "client_header_timeout").unwrap();
}

#[test]
fn a_connection_that_never_says_a_byte_is_closed() {
    let witness = Witness::agreeing();
    let sidecar = impatient(&witness).client(|client| client.idle_timeout = PATIENCE).start();
    let since = Instant::now();
    closed(&mut Raw::connect(sidecar.address).patient()).unwrap();
    assert!((SECOND..SOON).contains(&since.elapsed()), "{:?}", since.elapsed());
    let record = sidecar.stop();
    assert!(record.latency.requests.is_empty());
    assert!(witness.finish_bytes().is_empty());
}

#[test]
fn a_connection_that_idles_is_closed() {
    let witness = Witness::agreeing();
    let sidecar = impatient(&witness).client(|client| client.header_timeout = PATIENCE).start();
    let mut client = Raw::connect(sidecar.address).patient();
    for _ in 0..2 {
        assert_eq!(response(client.say(GET)).unwrap().status(), 200);
    }
    let since = Instant::now();
    closed(&mut client).unwrap();
    assert!((SECOND..SOON).contains(&since.elapsed()), "{:?}", since.elapsed());
    assert_eq!(sidecar.stop().exchanges.len(), 2);
}

/// The first frame of a GOAWAY, and then the end.
fn goes_away(client: &mut Connection<Raw>) -> Result<(), String> {
    match client.next() {
        Ok(heard) if heard.kind == GOAWAY && frames::code(&heard.payload[4..]) == 0 => {}
        other => return Err(format!("{other:?}")),
    }
    while let Ok(heard) = client.next() {
        if heard.kind != GOAWAY {
            return Err(format!("{heard:?}"));
        }
    }
    Ok(())
}

#[test]
fn a_connection_of_http_2_that_idles_is_sent_away() {
    let witness = Witness::agreeing();
    let sidecar = impatient(&witness)
        .upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1)
        .start();
    let mut client = Connection::over(Raw::connect(sidecar.address).patient());
    for stream in [1, 3] {
        client.say(frame(HEADERS, WHOLE, stream, request("GET", &[])));
        assert_eq!(client.outcome(stream), Outcome::Answered(200));
    }
    let since = Instant::now();
    goes_away(&mut client).unwrap();
    assert!((SECOND..SOON).contains(&since.elapsed()), "{:?}", since.elapsed());
    let unused = &mut Connection::over(Raw::connect(sidecar.address).patient());
    goes_away(unused).unwrap();
}

/// It would keep its place for as long as it likes.
#[test]
fn a_client_of_http_2_that_does_not_go_away_is_closed() {
    let witness = Witness::agreeing();
    let sidecar = impatient(&witness).start();
    let mut client = Connection::over(Raw::connect(sidecar.address).patient());
    // Not even a PING is answered.
    while client.hear().is_ok() {}
    assert_ne!(client.raw.hear_all().1, End::Silent);
    assert_eq!(sidecar.stop().latency.open_connections, 0);
}

/// An upstream that does a part when a request's head has come, and the rest when it is told to.
struct TwoParts {
    witness: Witness,
    begun: Receiver<()>,
    release: SyncSender<()>,
}

impl TwoParts {
    fn new(act: impl Fn(&mut Raw, &mut dyn FnMut()) + Send + Sync + 'static) -> Self {
        let (reached, begun) = mpsc::sync_channel(1);
        let (release, released) = mpsc::sync_channel(1);
        let released = Arc::new(Mutex::new(released));
        let witness = Witness::playing(move |raw| {
            if raw.hear_through("\r\n\r\n").is_ok() {
                act(raw, &mut || {
                    reached.send(()).unwrap();
                    released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                });
            }
        });
        Self { witness, begun, release }
    }

    fn start(&self) -> Sidecar {
        let setup = impatient(&self.witness);
        setup.upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1).start()
    }

    fn pass_the_limits(&self, sidecar: &Sidecar) {
        self.begun.recv_timeout(PATIENCE).unwrap();
        outwait(sidecar);
        self.release.try_send(()).unwrap();
    }
}

#[test]
fn a_slow_answer_is_not_cut() {
    let parts = TwoParts::new(|raw, wait| {
        wait();
        raw.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        raw.say("9\r\ndata: 1\n\n\r\n");
        wait();
        raw.say("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    });
    let sidecar = parts.start();
    let mut client = Raw::connect(sidecar.address).patient();
    client.say(GET);
    (0..2).for_each(|_| parts.pass_the_limits(&sidecar));
    assert_eq!(response(&mut client).unwrap().body, b"data: 1\n\ndata: 2\n\n");
    let mut stream = Connection::over(Raw::connect(sidecar.address).patient());
    stream.say(frame(HEADERS, WHOLE, 1, request("GET", &[])));
    (0..2).for_each(|_| parts.pass_the_limits(&sidecar));
    assert_eq!(stream.outcome(1), Outcome::Answered(200));
}

#[test]
fn a_slow_request_is_not_cut() {
    let parts = TwoParts::new(|raw, wait| {
        wait();
        raw.hear_through("abc").unwrap();
        raw.say(OK);
    });
    let sidecar = parts.start();
    let mut client = Raw::connect(sidecar.address).patient();
    client.say("POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\na");
    parts.pass_the_limits(&sidecar);
    assert_eq!(response(client.say("bc")).unwrap().status(), 200);
    let mut stream = Connection::over(Raw::connect(sidecar.address).patient());
    let head = request("POST", &[("content-length", "3")]);
    stream.say(frame(HEADERS, END_HEADERS, 1, head)).say(frame(DATA, 0, 1, "a"));
    parts.pass_the_limits(&sidecar);
    stream.say(frame(DATA, END_STREAM, 1, "bc"));
    assert_eq!(stream.outcome(1), Outcome::Answered(200));
}

#[test]
fn a_quiet_tunnel_is_not_cut() {
    let parts = TwoParts::new(|raw, wait| {
        raw.say("HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        wait();
        raw.say("late").hear_through("bye").unwrap();
    });
    let sidecar = parts.start();
    let mut client = Raw::connect(sidecar.address).patient();
    client.say("GET / HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(response(&mut client).unwrap().status(), 101);
    parts.pass_the_limits(&sidecar);
    assert_eq!(client.hear_exactly(4).unwrap(), b"late");
    client.say("bye");
    assert!(client.hear_all().0.is_empty());
}

#[test]
fn heads_over_the_limits_are_431_in_either_version() {
    let small: &[(&str, &str)] = &[("a", "1"), ("b", "2")];
    let many: &[(&str, &str)] = &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")];
    let value = "x".repeat(3000);
    let long: &[(&str, &str)] = &[("a", &value)];
    let witness = Witness::agreeing();
    let sidecar = before(witness.address)
        .client(|client| (client.max_headers, client.max_header_bytes) = (4, 2048))
        .upstream(|upstream| upstream.protocol = UpstreamProtocol::Http1)
        .start();
    for (fields, status) in [(small, 200), (many, 431), (long, 431)] {
        let lines: Vec<_> =
            fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        let mut client = Raw::connect(sidecar.address);
        let answer = response(client.say(format!("GET / HTTP/1.1\r\nHost: m\r\n{lines}\r\n")));
        assert_eq!(answer.unwrap().status(), status, "HTTP/1.1, {fields:?}");
        let mut client = Connection::open(sidecar.address);
        client.say(frame(HEADERS, WHOLE, 1, request("GET", fields)));
        assert_eq!(client.outcome(1), Outcome::Answered(status), "HTTP/2, {fields:?}");
    }
    drop(sidecar.stop());
    assert_eq!(witness.finish().whole.len(), 2);
}

#[test]
fn the_limit_of_streams_is_told_in_the_settings() {
    let witness = Witness::agreeing();
    let sidecar = before(witness.address).client(|client| client.max_streams = 7).start();
    let mut client = Connection::open(sidecar.address);
    let settings = client.hear().unwrap();
    assert_eq!(settings.kind, SETTINGS);
    let told = settings.payload.chunks(6).find(|setting| setting[..2] == [0, 3]).unwrap();
    assert_eq!(frames::code(&told[2..]), 7);
}

#[test]
fn two_hundred_heads_that_never_end_stop_nobody_and_are_all_told() {
    let witness = Witness::agreeing();
    let sidecar = impatient(&witness).client(|client| client.idle_timeout = PATIENCE).start();
    let mut slow: Vec<_> = (0..200)
        .map(|_| {
            let mut client = Raw::connect(sidecar.address).patient();
            client.say("GET / HTTP/1.1\r\nHost: m\r\nX: ");
            client
        })
        .collect();
    let mut client = Raw::connect(sidecar.address);
    for _ in 0..100 {
        assert_eq!(response(client.say(GET)).unwrap().status(), 200);
    }
    for client in &mut slow {
        refusal(client, 408, "client_header_timeout").unwrap();
    }
    assert_eq!(response(client.say(GET)).unwrap().status(), 200);
    drop(client);
    let record = sidecar.stop();
    assert_eq!(record.count_of(Fault::ClientHeaderTimeout), 200);
    assert_eq!((record.exchanges.len(), record.latency.open_connections), (101, 0));
}
