//! What handing an exchange to analysis costs the serving thread.
//!
//! `cargo bench --bench queue`. An exchange is made on the serving thread before it is offered, so
//! "make" is timed alone as well: take it from the others. Bodies are shared, as taps share them.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use taffrail::capture::{
    Counters, Exchange, Limits, Message, Offer, Queue, RequestId, RouteId, Timing,
};

const BODY_BYTES: usize = 1024;
const BATCH: usize = 256;
const LIMITS: Limits = Limits {
    items: NonZeroUsize::new(8192).expect("8192 is not 0"),
    bytes: NonZeroUsize::new(64 << 20).expect("64 MiB is not 0"),
};

/// What a tap hands over: two bodies by reference count, the rest its own.
fn exchange(body: &Bytes) -> Box<Exchange> {
    let message = || Message { body: body.clone().into(), ..Message::default() };
    Box::new(Exchange {
        id: RequestId::new(HeaderValue::from_static("018f3a5c-0000-7000-8000-000000000000")),
        started_at: SystemTime::UNIX_EPOCH,
        timing: Timing::default(),
        route: RouteId::OTHER,
        method: Method::POST,
        target: PathAndQuery::from_static("/v2/models/bench/infer"),
        status: Some(StatusCode::OK),
        fault: None,
        trace: None,
        sample_rate: 1.0,
        request: message(),
        response: message(),
    })
}

fn body() -> Bytes {
    Bytes::from(vec![b'1'; BODY_BYTES])
}

fn queue() -> Queue {
    Queue::new(LIMITS, Arc::new(Counters::default()))
}

/// The offer itself: exchanges are made before the clock starts, and drained after it has stopped.
fn offer(criterion: &mut Criterion) {
    let (queue, body) = (queue(), body());
    let mut batch = Vec::with_capacity(BATCH);
    let mut group = criterion.benchmark_group("an exchange");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("offer", |bencher| {
        let make = || {
            queue.drain(&mut batch, BATCH, usize::MAX);
            batch.clear();
            (0..BATCH).map(|_| exchange(&body)).collect::<Vec<_>>()
        };
        bencher.iter_batched(
            make,
            |made| made.into_iter().for_each(|made| taken(queue.offer(made))),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// One thread does both, a batch at a time, as the queue of a busy sidecar does.
fn offer_and_drain(criterion: &mut Criterion) {
    let (queue, body) = (queue(), body());
    let mut batch = Vec::with_capacity(BATCH);
    let mut group = criterion.benchmark_group("an exchange");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("make", |bencher| {
        bencher.iter(|| (0..BATCH).for_each(|_| drop(black_box(exchange(&body)))));
    });
    group.bench_function("make, offer, drain", |bencher| {
        bencher.iter(|| {
            (0..BATCH).for_each(|_| taken(queue.offer(exchange(&body))));
            queue.drain(&mut batch, BATCH, usize::MAX);
            black_box(&mut batch).clear();
        });
    });
    group.finish();
}

/// Two serving threads offer while analysis drains: the time that each of the two spends on one.
fn two_producers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("an exchange");
    group.throughput(Throughput::Elements(1));
    group.bench_function("make and offer, two producers", |bencher| {
        bencher.iter_custom(|each| two_producers_offer(each, &queue()));
    });
    group.finish();
}

/// A full queue drops, as it does in earnest: producers never wait for the one that drains.
fn two_producers_offer(each: u64, queue: &Queue) -> Duration {
    let (body, done) = (body(), AtomicBool::new(false));
    let produce = || {
        let began = Instant::now();
        for _ in 0..each {
            let _ = black_box(queue.offer(exchange(&body)));
        }
        began.elapsed()
    };
    std::thread::scope(|scope| {
        let analysis = scope.spawn(|| drain_until(&done, queue));
        let producers = [scope.spawn(produce), scope.spawn(produce)];
        let spent = producers.map(|producer| producer.join().expect("a producer does not panic"));
        done.store(true, Ordering::Release);
        analysis.join().expect("draining does not panic");
        spent.into_iter().sum::<Duration>() / 2
    })
}

fn drain_until(done: &AtomicBool, queue: &Queue) {
    let mut batch = Vec::with_capacity(BATCH);
    while !done.load(Ordering::Acquire) || !queue.is_empty() {
        queue.drain(&mut batch, BATCH, usize::MAX);
        if batch.is_empty() {
            queue.wait(Duration::from_millis(1));
        }
        batch.clear();
    }
}

fn taken(offer: Offer) {
    assert_eq!(offer, Offer::Taken);
}

criterion_group!(benches, offer, offer_and_drain, two_producers);
criterion_main!(benches);
