use super::*;
use crate::capture::{CapturedBody, Message, RequestId, RouteId, Timing};
use bytes::Bytes;
use http::{HeaderValue, Method};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::SystemTime;

fn exchange(payload_bytes: usize, serial: u32) -> Box<Exchange> {
    let id = HeaderValue::from_str(&serial.to_string()).unwrap();
    let body = CapturedBody::from(Bytes::from(vec![0; payload_bytes]));
    Box::new(Exchange {
        id: RequestId::new(id),
        started_at: SystemTime::UNIX_EPOCH,
        timing: Timing::default(),
        route: RouteId::OTHER,
        method: Method::POST,
        target: http::uri::PathAndQuery::from_static("/"),
        status: Some(http::StatusCode::OK),
        fault: None,
        trace: None,
        sample_rate: 1.0,
        request: Message { body, ..Message::default() },
        response: Message::default(),
    })
}

fn queue(items: usize, bytes: usize) -> Queue {
    let limits = Limits {
        items: NonZeroUsize::new(items).unwrap(),
        bytes: NonZeroUsize::new(bytes).unwrap(),
    };
    Queue::new(limits, Arc::new(Counters::default()))
}

#[test]
fn full_queue_drops_the_newest() {
    let queue = queue(2, 1 << 20);
    assert_eq!(queue.offer(exchange(1, 0)), Offer::Taken);
    assert_eq!(queue.offer(exchange(1, 1)), Offer::Taken);
    assert_eq!(queue.offer(exchange(1, 2)), Offer::QueueFullOfItems);
    let mut batch = Vec::new();
    queue.drain(&mut batch, 10, usize::MAX);
    let ids: Vec<_> = batch.iter().map(|e| e.id.text().into_owned()).collect();
    assert_eq!(ids, ["0", "1"]);
    assert_eq!(queue.counters().totals().dropped_items, 1);
}

#[test]
fn bytes_are_bounded_apart_from_items() {
    let queue = queue(100, 10 * 1024);
    assert_eq!(queue.offer(exchange(8 * 1024, 0)), Offer::Taken);
    assert_eq!(queue.offer(exchange(8 * 1024, 1)), Offer::QueueFullOfBytes);
    assert_eq!(queue.offer(exchange(10, 2)), Offer::QueueFullOfBytes);
    queue.drain(&mut Vec::new(), 1, usize::MAX);
    assert_eq!(queue.held_bytes(), 0);
    assert_eq!(queue.offer(exchange(10, 3)), Offer::Taken);
}

#[test]
fn a_half_full_queue_wakes_the_waiting_thread() {
    let queue = Arc::new(queue(4, 1 << 20));
    let waiting = Arc::clone(&queue);
    let waiter = std::thread::spawn(move || {
        while waiting.is_empty() {
            waiting.wait(Duration::from_secs(60));
        }
    });
    while queue.waiter.get().is_none() {
        std::thread::yield_now();
    }
    let _ = queue.offer(exchange(1, 0));
    let _ = queue.offer(exchange(1, 1));
    waiter.join().unwrap();
}

proptest! {
    /// Against a plain model: what was taken comes out, in order, and every refusal was counted.
    #[test]
    fn nothing_is_lost_unseen(steps in proptest::collection::vec((0usize..4000, any::<bool>()), 1..200)) {
        let (items, bytes) = (8, 16 * 1024);
        let queue = queue(items, bytes);
        let mut model: VecDeque<(u32, usize)> = VecDeque::new();
        let mut refused = 0;
        for (serial, (size, offer)) in (0u32..).zip(steps) {
            if offer {
                let held: usize = model.iter().map(|(_, size)| size + EXCHANGE_OVERHEAD_BYTES).sum();
                let fits = model.len() < items && held + size + EXCHANGE_OVERHEAD_BYTES <= bytes;
                prop_assert_eq!(queue.offer(exchange(size, serial)) == Offer::Taken, fits);
                if fits { model.push_back((serial, size)) } else { refused += 1 }
            } else {
                let mut batch = Vec::new();
                queue.drain(&mut batch, 1, usize::MAX);
                let got = batch.first().map(|e| e.id.text().parse::<u32>().unwrap());
                prop_assert_eq!(got, model.pop_front().map(|(serial, _)| serial));
            }
        }
        prop_assert_eq!(queue.counters().totals().dropped(), refused);
        prop_assert_eq!(queue.len(), model.len());
    }
}
