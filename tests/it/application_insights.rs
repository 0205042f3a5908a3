//! Telemetry as an Application Insights resource gets it: from an endpoint that is well to one that is
//! away, over restarts, and on a disk that fails.

use crate::export::azure::{Authority, GRANTED, GRANTED_NEXT, managed};
use crate::export::support::{change, exchange, growing, resource, upstream};
use crate::ingestion::{Answer, Arrival, Ingestion};
use serde_json::Value;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use taffrail::capture::Exchange;
use taffrail::config::{self, Azure, Connection, IngestionAuthorization, Secret, TraceSampler};
use taffrail::drift::Verdict;
use taffrail::export::application_insights::{Exporter, Settings};
use taffrail::export::{AzureToken, Counters, Events, ExporterName, Family, Loss, Signal, Spans};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(3600);
const KEY: &str = "00000000-0000-0000-0000-0000000000a7";
const BUFFER: u64 = 8 << 20;

fn settings(endpoint: SocketAddr, directory: &Path) -> Settings {
    let insights = config::ApplicationInsights {
        connection: Connection {
            instrumentation_key: Secret::new(KEY),
            ingestion: format!("http://{endpoint}/").parse().unwrap(),
            authorization: IngestionAuthorization::InstrumentationKey,
        },
        interval: LONG,
        max_series: 1000,
        buffer: directory.join("application_insights"),
        buffer_bytes: BUFFER,
        sampler: TraceSampler::Ratio(1.0),
    };
    let listen = "127.0.0.1:9000".parse().unwrap();
    let mut settings = Settings::new(insights, "weather-0".into(), listen, upstream());
    settings.batch_delay = Duration::ZERO;
    settings
}

/// A running exporter, and the ends that a test holds.
struct Running {
    spans: Spans,
    events: Events,
    counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    task: JoinSet<()>,
}

impl Running {
    fn start(settings: &Settings, collect: impl FnMut() -> Vec<Family> + Send + 'static) -> Self {
        let counters = Arc::new(Counters::listing([ExporterName::ApplicationInsights]));
        let (exporter, spans, events) =
            Exporter::new(settings, &resource(), &counters, collect).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut task = JoinSet::new();
        task.spawn(exporter.run(async {
            let _ = stopped.await;
        }));
        Self { spans, events, counters, stop, task }
    }

    /// Runs to the end, and hands back what was counted.
    async fn stop(mut self) -> Arc<Counters> {
        let _ = self.stop.send(());
        self.task.join_next().await.unwrap().unwrap();
        self.counters
    }

    /// As SIGKILL does: nothing more is run.
    async fn kill(mut self) {
        self.task.abort_all();
        let _ = self.task.join_next().await;
    }

    fn offer(&self, ids: std::ops::Range<u64>) {
        ids.for_each(|id| self.spans.offer(&numbered(id), "/invocations"));
    }

    /// Polls, since what is waited for happens on the disk.
    async fn until(&self, what: &str, condition: impl Fn(&Counters) -> bool) {
        let poll = async {
            while !condition(&self.counters) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), poll)
            .await
            .unwrap_or_else(|_| panic!("{what}"));
    }
}

/// An exchange whose request's span has that number for an id.
fn numbered(id: u64) -> Exchange {
    let mut exchange = exchange(200, None);
    let trace = exchange.trace.as_mut().unwrap();
    trace.server_span_id = (id + 1).to_be_bytes();
    trace.client_span_id = (id + 1 + (1 << 32)).to_be_bytes();
    exchange
}

fn traces(counters: &Counters) -> &taffrail::export::SignalCounters {
    counters.of(ExporterName::ApplicationInsights, Signal::Traces)
}

fn sent(counters: &Counters) -> u64 {
    traces(counters).sent.load(Relaxed)
}

fn queued(counters: &Counters) -> u64 {
    traces(counters).queued.load(Relaxed)
}

fn lost(counters: &Counters) -> u64 {
    Loss::ALL.iter().map(|loss| traces(counters).lost(*loss)).sum()
}

fn buffered(counters: &Counters) -> u64 {
    counters.buffer().unwrap().bytes.load(Relaxed)
}

fn is_failing(counters: &Counters) -> bool {
    counters.buffer().unwrap().is_failing.load(Relaxed)
}

/// The ids of requests, in the order they came.
fn requests(arrivals: &[Arrival]) -> Vec<u64> {
    let items = arrivals.iter().flat_map(|arrival| &arrival.items);
    let requests = items.filter(|item| item["data"]["baseType"] == "RequestData");
    let id = |item: &Value| {
        let id = item["data"]["baseData"]["id"].as_str().unwrap();
        u64::from_str_radix(id, 16).unwrap() - 1
    };
    requests.map(id).collect()
}

fn all_once(ids: &[u64], wanted: std::ops::Range<u64>) {
    let unique: HashSet<_> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "none twice");
    assert_eq!(unique, wanted.collect(), "none missing");
}

/// An address that refuses connections, until somebody listens there.
fn absent() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn everything_arrives_compressed_with_the_key_in_each_item() {
    let directory = tempfile::tempdir().unwrap();
    let mut endpoint = Ingestion::answering(&[]);
    let running = Running::start(&settings(endpoint.address, directory.path()), growing());
    running.offer(0..1);
    running.events.offer(&change(Verdict::Stable, Verdict::Drifting));
    let counters = running.stop().await;
    let arrivals = endpoint.rest();
    for arrival in &arrivals {
        assert_eq!(arrival.path, "/v2.1/track");
        assert_eq!(arrival.headers["content-encoding"], "gzip");
        assert_eq!(arrival.headers["content-type"], "application/x-json-stream");
        assert!(arrival.wire_bytes > 0);
        assert!(arrival.items.iter().all(|item| item["iKey"] == KEY));
    }
    let mut kinds: Vec<_> = arrivals.iter().flat_map(Arrival::base_types).collect();
    kinds.sort_unstable();
    let metrics = ["MetricData"; 3];
    let others = ["EventData", "MessageData", "RemoteDependencyData", "RequestData"];
    let mut wanted: Vec<_> = metrics.into_iter().chain(others).collect();
    wanted.sort_unstable();
    assert_eq!(kinds, wanted);
    for (signal, items) in [(Signal::Metrics, 3), (Signal::Traces, 2), (Signal::Logs, 2)] {
        let counts = counters.of(ExporterName::ApplicationInsights, signal);
        assert_eq!((counts.sent.load(Relaxed), counts.queued.load(Relaxed)), (items, 0));
    }
    assert_eq!(buffered(&counters), 0, "nothing went by way of the disk");
}

#[tokio::test]
async fn of_a_part_that_was_not_taken_only_what_can_be_mended_is_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let part = Answer::Errors(vec![(0, 500), (1, 400), (3, 429)]);
    let mut endpoint = Ingestion::answering(&[part, Answer::Errors(vec![(1, 503)])]);
    let running = Running::start(&settings(endpoint.address, directory.path()), Vec::new);
    // No await between the two, so that they are one batch.
    running.offer(0..2);
    running.until("all is settled", |c| sent(c) == 3).await;
    let counters = running.stop().await;
    let arrivals = endpoint.rest();
    let ids = |arrival: &Arrival| -> Vec<_> {
        arrival.items.iter().map(|item| item["data"]["baseData"]["id"].clone()).collect()
    };
    let [whole, again, last] = &arrivals[..] else { panic!("{}", arrivals.len()) };
    let all = ids(whole);
    assert_eq!(ids(again), [all[0].clone(), all[3].clone()]);
    assert_eq!(ids(last), [all[3].clone()]);
    assert_eq!((sent(&counters), queued(&counters)), (3, 0));
    assert_eq!(traces(&counters).lost(Loss::Rejected), 1);
    assert_eq!(traces(&counters).by_status(), [(400, 1)]);
}

#[tokio::test]
async fn an_endpoint_that_asks_to_be_left_alone_is_and_gets_everything_once() {
    let directory = tempfile::tempdir().unwrap();
    let busy = [Answer::RetryAfter(429, "0"), Answer::Status(503), Answer::RetryAfter(439, "0")];
    let mut endpoint = Ingestion::answering(&busy);
    let running = Running::start(&settings(endpoint.address, directory.path()), Vec::new);
    running.offer(0..1);
    let attempts = [
        endpoint.next().await,
        endpoint.next().await,
        endpoint.next().await,
        endpoint.next().await,
    ];
    assert!(attempts.iter().all(|attempt| attempt.items == attempts[0].items));
    let counters = running.stop().await;
    assert_eq!((sent(&counters), lost(&counters)), (2, 0));
    assert_eq!(traces(&counters).requests_failed.load(Relaxed), 3);
    assert_eq!(buffered(&counters), 0);
}

#[tokio::test]
async fn a_retry_after_is_kept_to_even_at_the_end_and_the_disk_keeps_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let mut endpoint = Ingestion::answering(&[Answer::RetryAfter(429, "600")]);
    let settings = settings(endpoint.address, directory.path());
    let running = Running::start(&settings, Vec::new);
    running.offer(0..1);
    endpoint.next().await;
    let counters = running.stop().await;
    assert!(endpoint.rest().is_empty(), "asked for ten minutes");
    assert_eq!((lost(&counters), queued(&counters)), (0, 2));

    let next = Running::start(&settings, Vec::new);
    all_once(&requests(&[endpoint.next().await]), 0..1);
    assert_eq!(sent(&*next.stop().await), 2);
}

#[tokio::test]
async fn what_is_refused_for_good_is_counted_by_its_status() {
    for status in [400, 402, 404] {
        let directory = tempfile::tempdir().unwrap();
        let mut endpoint = Ingestion::answering(&[Answer::Status(status)]);
        let running = Running::start(&settings(endpoint.address, directory.path()), Vec::new);
        running.offer(0..1);
        endpoint.next().await;
        let counters = running.stop().await;
        assert_eq!(traces(&counters).lost(Loss::Refused), 2);
        assert_eq!(traces(&counters).by_status(), [(status, 2)]);
        assert!(traces(&counters).last_error().unwrap().contains(&status.to_string()));
        assert_eq!(queued(&counters), 0);
    }
}

#[tokio::test]
async fn a_redirect_to_the_same_host_is_followed_and_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let mut there = Ingestion::answering(&[]);
    let to = format!("http://{}/", there.address);
    let mut here = Ingestion::answering(&[Answer::Redirect(308, to)]);
    let running = Running::start(&settings(here.address, directory.path()), Vec::new);
    running.offer(0..1);
    let first = there.next().await;
    running.offer(1..2);
    let second = there.next().await;
    all_once(&requests(&[first, second]), 0..2);
    assert_eq!(sent(&*running.stop().await), 4);
    assert_eq!(here.next().await.items.len(), 2);
    assert!(here.rest().is_empty(), "asked once, then known");
}

#[tokio::test]
async fn a_redirect_elsewhere_gets_nothing_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut elsewhere = Ingestion::answering(&[]);
    // Another name of the same host: to us it is somebody else.
    let to = format!("http://localhost:{}/", elsewhere.address.port());
    let mut here = Ingestion::answering(&[Answer::Redirect(307, to)]);
    let running = Running::start(&settings(here.address, directory.path()), Vec::new);
    running.offer(0..1);
    here.next().await;
    running.until("it says why", |c| traces(c).last_error().is_some()).await;
    assert!(traces(&running.counters).last_error().unwrap().contains("localhost"));
    here.next().await;
    let counters = running.stop().await;
    assert!(elsewhere.rest().is_empty());
    assert_eq!((sent(&counters), lost(&counters)), (2, 0));
}

#[tokio::test]
async fn a_relay_that_cannot_read_gzip_gets_plain_text() {
    let directory = tempfile::tempdir().unwrap();
    let mut endpoint = Ingestion::answering(&[Answer::Status(415)]);
    let running = Running::start(&settings(endpoint.address, directory.path()), Vec::new);
    running.offer(0..1);
    assert_eq!(endpoint.next().await.headers["content-encoding"], "gzip");
    assert!(!endpoint.next().await.headers.contains_key("content-encoding"));
    assert_eq!(sent(&*running.stop().await), 2);
}

#[tokio::test]
async fn an_outage_and_a_restart_in_it_lose_nothing_and_repeat_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let address = absent();
    let settings = settings(address, directory.path());
    let first = Running::start(&settings, Vec::new);
    first.offer(0..700);
    first.until("it is on disk", |c| buffered(c) > 0 && queued(c) == 1400).await;
    first.offer(700..1000);
    let counters = first.stop().await;
    assert_eq!((sent(&counters), lost(&counters), queued(&counters)), (0, 0, 2000));

    let second = Running::start(&settings, Vec::new);
    second.until("what was left is found", |c| queued(c) == 2000).await;
    second.offer(1000..1200);
    let mut endpoint = Ingestion::at(address, &[]);
    second.until("all is sent", |c| sent(c) == 2400).await;
    let counters = second.stop().await;
    all_once(&requests(&endpoint.rest()), 0..1200);
    assert_eq!((lost(&counters), queued(&counters), buffered(&counters)), (0, 0, 0));
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let address = absent();
    let settings = settings(address, directory.path());
    let first = Running::start(&settings, Vec::new);
    first.offer(0..300);
    first.until("it failed once", |c| traces(c).requests_failed.load(Relaxed) > 0).await;
    first.offer(300..600);
    let on_disk = |c: &Counters| c.buffer().unwrap().items.load(Relaxed);
    first.until("all is on disk", |c| on_disk(c) == 1200).await;
    first.kill().await;

    let mut endpoint = Ingestion::at(address, &[]);
    let second = Running::start(&settings, Vec::new);
    second.until("all is sent", |c| sent(c) == 1200).await;
    second.stop().await;
    all_once(&requests(&endpoint.rest()), 0..600);
}

#[tokio::test]
async fn what_waited_goes_oldest_first() {
    let directory = tempfile::tempdir().unwrap();
    let address = absent();
    let settings = settings(address, directory.path());
    let first = Running::start(&settings, Vec::new);
    for block in 0..4 {
        first.offer(block * 10..block * 10 + 10);
        first.until("it is on disk", |c| queued(c) == (block + 1) * 20 && buffered(c) > 0).await;
    }
    first.stop().await;

    let mut endpoint = Ingestion::at(address, &[]);
    let second = Running::start(&settings, Vec::new);
    second.until("all is sent", |c| sent(c) == 80).await;
    second.stop().await;
    let ids = requests(&endpoint.rest());
    assert!(ids.is_sorted(), "{ids:?}");
}

#[tokio::test]
async fn over_the_bound_the_oldest_are_dropped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let address = absent();
    let mut settings = settings(address, directory.path());
    settings.application_insights.buffer_bytes = 64 * 1024;
    let running = Running::start(&settings, Vec::new);
    let mut offered = 0;
    while traces(&running.counters).lost(Loss::BufferFull) == 0 {
        running.offer(offered..offered + 500);
        offered += 500;
        running
            .until("it is taken in", |c| queued(c) + lost(c) == offered * 2 && buffered(c) > 0)
            .await;
        assert!(buffered(&running.counters) <= 64 * 1024);
        assert!(offered < 200_000);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut endpoint = Ingestion::at(address, &[]);
    running.until("all is sent", |c| sent(c) + lost(c) == offered * 2).await;
    let counters = running.stop().await;
    let arrivals = endpoint.rest();
    let (ids, items) =
        (requests(&arrivals), arrivals.iter().map(|one| one.items.len()).sum::<usize>());
    let others = Loss::ALL.into_iter().filter(|loss| *loss != Loss::BufferFull);
    let others: Vec<_> = others.map(|loss| (loss, traces(&counters).lost(loss))).collect();
    assert!(others.iter().all(|(_, items)| *items == 0), "{others:?}");
    assert_eq!(items as u64, sent(&counters));
    assert!(ids.contains(&(offered - 1)) && !ids.contains(&0), "the newest are kept");
}

#[tokio::test]
async fn where_the_disk_fails_telemetry_waits_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let address = absent();
    let settings = settings(address, directory.path());
    // A file where the directory should be.
    std::fs::write(directory.path().join("application_insights"), "").unwrap();
    let running = Running::start(&settings, Vec::new);
    running.offer(0..100);
    running.until("it says so", |c| is_failing(c) && queued(c) == 200).await;
    let mut endpoint = Ingestion::at(address, &[]);
    running.until("all is sent", |c| sent(c) == 200).await;
    let counters = running.stop().await;
    all_once(&requests(&endpoint.rest()), 0..100);
    assert_eq!(lost(&counters), 0);
}

#[tokio::test]
async fn without_disk_or_endpoint_what_is_left_at_the_end_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("application_insights"), "").unwrap();
    let running = Running::start(&settings(absent(), directory.path()), Vec::new);
    running.offer(0..10);
    running.until("it says so", |c| is_failing(c) && queued(c) == 20).await;
    let counters = running.stop().await;
    assert_eq!((traces(&counters).lost(Loss::Shutdown), queued(&counters)), (20, 0));
}

#[tokio::test]
async fn a_silent_endpoint_holds_nobody_up_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut endpoint = Ingestion::answering(&[Answer::Silence]);
    let mut settings = settings(endpoint.address, directory.path());
    settings.flush_timeout = Duration::ZERO;
    let running = Running::start(&settings, Vec::new);
    running.offer(0..1);
    endpoint.next().await;
    running.offer(1..200);
    running.until("it is taken in", |c| queued(c) == 400).await;
    let counters = running.stop().await;
    assert_eq!((lost(&counters), queued(&counters)), (0, 400), "the one under way among them");
    assert!(buffered(&counters) > 0);
}

#[tokio::test]
async fn a_resource_that_wants_a_token_gets_one_and_another_if_it_is_not_taken() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::saying(&[GRANTED, GRANTED_NEXT]).await;
    let mut endpoint = Ingestion::answering(&[Answer::Status(401)]);
    let mut settings = settings(endpoint.address, directory.path());
    let azure = Azure { identity: managed(&authority), scope: "https://m//.default".into() };
    settings.token = Some(Arc::new(AzureToken::new(azure).unwrap()));
    let running = Running::start(&settings, Vec::new);
    running.offer(0..1);
    assert_eq!(endpoint.next().await.headers["authorization"], "Bearer first");
    assert_eq!(endpoint.next().await.headers["authorization"], "Bearer second");
    let counters = running.stop().await;
    assert_eq!((sent(&counters), lost(&counters)), (2, 0));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_nothing_lost() {
    const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n{}";
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::saying(&[REFUSED]).await;
    let mut endpoint = Ingestion::answering(&[]);
    let mut settings = settings(endpoint.address, directory.path());
    let azure = Azure { identity: managed(&authority), scope: "https://m//.default".into() };
    settings.token = Some(Arc::new(AzureToken::new(azure).unwrap()));
    let running = Running::start(&settings, Vec::new);
    running.offer(0..1);
    running.until("it says why", |c| traces(c).last_error().is_some()).await;
    assert!(traces(&running.counters).last_error().unwrap().contains("no token"));
    let counters = running.stop().await;
    assert!(endpoint.rest().is_empty());
    assert_eq!((lost(&counters), queued(&counters)), (0, 2));
}
