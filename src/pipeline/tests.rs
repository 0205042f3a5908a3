mod estimates;

use super::*;
use crate::capture::{
    CapturedBody, Counters, Exchange, Limits, Message, Queue, RequestId, RouteId, RouteTable,
    SampleRate, Timing,
};
use crate::decode;
use crate::drift;
use crate::labels;
use crate::pulse::Pulses;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

mod saved;

fn exchange(
    id: &str,
    path: &'static str,
    request: &'static str,
    response: &'static str,
) -> Box<Exchange> {
    let message = |body: &'static str| Message {
        content_type: Some(HeaderValue::from_static("application/json")),
        body: CapturedBody::from(Bytes::from_static(body.as_bytes())),
        ..Message::default()
    };
    Box::new(Exchange {
        id: RequestId::new(HeaderValue::from_str(id).unwrap()),
        started_at: SystemTime::now(),
        timing: Timing::default(),
        route: RouteId::OTHER,
        method: Method::POST,
        target: http::uri::PathAndQuery::from_static(path),
        status: Some(StatusCode::OK),
        fault: None,
        trace: None,
        sample_rate: 1.0,
        request: message(request),
        response: message(response),
    })
}

fn queue() -> Arc<Queue> {
    let limits = Limits {
        items: NonZeroUsize::new(64).unwrap(),
        bytes: NonZeroUsize::new(1 << 20).unwrap(),
    };
    Arc::new(Queue::new(limits, Arc::new(Counters::default())))
}

fn hub(queue: &Queue, handed_on: Arc<AtomicUsize>) -> (Arc<Hub>, Arc<ArcSwap<Snapshot>>) {
    let settings = drift::Settings::default();
    let windows = [Duration::from_secs(3600)];
    let mut watch = Watch::new(
        "risk".into(),
        "1".into(),
        drift::Monitor::new(
            settings,
            drift::Reference::Learn { rows: NonZeroU64::new(1000).unwrap() },
        ),
        drift::Tumbling::new(&windows, Timestamp::now()),
        labels::Joiner::new(labels::Settings::default()),
        usize::MAX,
    );
    let outlets = Outlets {
        archive: None,
        on_entry: Box::new(move |_| {
            handed_on.fetch_add(1, Ordering::Relaxed);
        }),
        on_verdict: Box::new(|_| {}),
        on_warning: Box::new(|_| {}),
        on_performance: Box::new(|_| {}),
        on_quality: Box::new(|_| {}),
    };
    let routes = Arc::new(RouteTable::new::<&str>(&[]).unwrap());
    let published = Arc::new(ArcSwap::from_pointee(watch.snapshot()));
    let hub = Hub::new(watch, &published, &routes, queue.counters(), outlets);
    (Arc::new(hub), published)
}

fn run_to_the_end(queue: &Arc<Queue>, hub: &Arc<Hub>, make_decode: MakeDecode) {
    let budget = CpuBudget::new(Arc::new(SampleRate::new(1.0)));
    let tuning = Tuning { decode: make_decode, sample: 1.0, cpu_budget: 1.0, labels_header: None };
    let tuning = Arc::new(ArcSwap::from_pointee(tuning));
    let pulse = Pulses::default().add("analysis", Duration::MAX);
    Worker::new(Arc::clone(queue), Arc::clone(hub), tuning, budget, usize::MAX, pulse)
        .run(&AtomicBool::new(true));
}

const REQUEST: &str = r#"{"dataframe_split":{"columns":["age"],"data":[[44],[60]]}}"#;
const RESPONSE: &str = r#"{"predictions":[0,1]}"#;

#[test]
fn rows_of_a_payload_reach_the_snapshot() {
    let queue = queue();
    let handed_on = Arc::new(AtomicUsize::new(0));
    let (hub, published) = hub(&queue, Arc::clone(&handed_on));
    let _ = queue.offer(exchange("a", "/invocations", REQUEST, RESPONSE));
    run_to_the_end(&queue, &hub, every_dialect(decode::Settings::default()));
    let snapshot = published.load_full();
    assert_eq!((snapshot.input_rows, snapshot.output_rows), (2, 2));
    assert_eq!(snapshot.labels.predictions, 2);
    assert_eq!(handed_on.load(Ordering::Relaxed), 1);
}

#[test]
fn a_panic_in_a_decoder_costs_one_exchange() {
    let queue = queue();
    let (hub, published) = hub(&queue, Arc::default());
    for (id, path) in [("a", "/invocations"), ("b", "/panic"), ("c", "/invocations")] {
        let _ = queue.offer(exchange(id, path, REQUEST, RESPONSE));
    }
    let decoders = Arc::new(Mutex::new(0));
    let count = Arc::clone(&decoders);
    let inner = every_dialect(decode::Settings::default());
    let make: MakeDecode = Box::new(move || {
        *count.lock().unwrap() += 1;
        let mut decode = inner();
        Box::new(move |payload, decoded| {
            assert_ne!(payload.path, "/panic", "this decoder fails on purpose");
            decode(payload, decoded);
        })
    });
    run_to_the_end(&queue, &hub, make);
    let snapshot = published.load_full();
    assert_eq!(snapshot.input_rows, 4);
    let problems: Vec<_> = snapshot.problems.iter().map(|p| (p.reason, p.count)).collect();
    assert_eq!(problems, [("decoder_panic", 1)]);
    assert_eq!(*decoders.lock().unwrap(), 2);
}

#[test]
fn a_malformed_payload_is_counted_and_handed_on() {
    let queue = queue();
    let handed_on = Arc::new(AtomicUsize::new(0));
    let (hub, published) = hub(&queue, Arc::clone(&handed_on));
    let _ = queue.offer(exchange("a", "/invocations", "{\"dataframe_split\":", RESPONSE));
    run_to_the_end(&queue, &hub, every_dialect(decode::Settings::default()));
    assert_eq!(published.load().problems.len(), 1);
    assert_eq!(handed_on.load(Ordering::Relaxed), 1);
}

/// A watch over `f` against rows around `middle`, and what makes it go on with others.
fn retune(windows: &[u64], middle: f64) -> Retune {
    let mut column = crate::decode::Column::new("f");
    (0..200).for_each(|n| column.push_number(middle + f64::from(n % 10)));
    let mut rows = crate::decode::Rows::new();
    rows.push(column);
    let mut builder = drift::BaselineBuilder::new(drift::BaselineSettings::default());
    builder.observe(crate::sketch::Role::Input, &rows);
    let names = windows.iter().map(|seconds| format!("{seconds}s").into());
    Retune {
        drift: drift::Settings { windows: names.collect(), ..drift::Settings::default() },
        windows: windows.iter().map(|seconds| Duration::from_secs(*seconds)).collect(),
        labels: labels::Settings::default(),
        reference: drift::Reference::Baseline(Arc::new(builder.finish().unwrap())),
    }
}

#[test]
fn windows_that_begin_anew_cover_what_came_since_and_old_verdicts_go() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let totals =
        |kept, sampled_out| crate::capture::Totals { kept, sampled_out, ..Default::default() };
    let Retune { drift, windows, labels, reference } = retune(&[10, 60], 0.0);
    let mut watch = Watch::new(
        "risk".into(),
        "1".into(),
        drift::Monitor::new(drift, reference),
        drift::Tumbling::new(&windows, at(0)),
        labels::Joiner::new(labels),
        usize::MAX,
    );
    watch.advance(at(60), totals(10, 30));
    let told = |watch: &mut Watch| {
        let windows = watch.snapshot().windows;
        windows
            .iter()
            .map(|report| (report.window.to_string(), report.coverage))
            .collect::<Vec<_>>()
    };
    let first = [("10s".to_owned(), 0.25), ("60s".to_owned(), 0.25)];
    assert_eq!(told(&mut watch), first);
    // The same again is no change.
    watch.retune(retune(&[10, 60], 0.0), at(61), totals(10, 40));
    assert_eq!(told(&mut watch), first);
    // Of other lengths: what was said of those that stay is still true.
    watch.retune(retune(&[10, 30], 0.0), at(62), totals(10, 40));
    assert_eq!(told(&mut watch), first[..1]);
    watch.advance(at(90), totals(20, 50));
    assert_eq!(told(&mut watch)[1..], [("10s".to_owned(), 0.5), ("30s".to_owned(), 0.5)]);
    // Another baseline: nothing is.
    watch.retune(retune(&[10, 30], 5.0), at(91), totals(100, 50));
    assert_eq!(told(&mut watch), []);
    watch.advance(at(100), totals(110, 50));
    assert_eq!(told(&mut watch), [("10s".to_owned(), 1.0)]);
}
