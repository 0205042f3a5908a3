use super::*;
use crate::config::{Compression, OtlpProtocol, OutboundTls, Receiver};
use crate::export::http::Client;
use tokio::time::Instant;

fn delivery() -> (Delivery, watch::Sender<bool>) {
    let receiver = Receiver {
        url: http::Uri::from_static("http://127.0.0.1:4318/v1/traces"),
        protocol: OtlpProtocol::Http,
        compression: Compression::None,
        headers: Vec::new(),
        timeout: Duration::from_secs(10),
    };
    let client = Arc::new(Client::new(OutboundTls::default()).unwrap());
    let transport = Transport::new(client, receiver, Signal::Traces, None);
    let (stop, stopping) = watch::channel(false);
    (Delivery::new(transport, Signal::Traces, Arc::default(), stopping), stop)
}

async fn pause(delivery: &Delivery, retry_after: Option<Duration>) -> Duration {
    let started = Instant::now();
    delivery.pause(&mut Backoff::default(), retry_after).await;
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn who_was_asked_to_come_later_does() {
    let (delivery, stop) = delivery();
    let asked = Duration::from_secs(40);
    assert!(pause(&delivery, Some(asked)).await >= asked);
    stop.send_replace(true);
    assert!(pause(&delivery, Some(asked)).await >= asked, "at the end too");
}

#[tokio::test(start_paused = true)]
async fn being_told_to_stop_brings_one_try_at_once_and_then_waits_again() {
    let (delivery, stop) = delivery();
    let mut backoff = Backoff(Backoff::LONGEST);
    let started = Instant::now();
    tokio::join!(delivery.pause(&mut backoff, None), async { stop.send_replace(true) });
    assert_eq!(started.elapsed(), Duration::ZERO);
    delivery.pause(&mut backoff, None).await;
    let waited = started.elapsed();
    assert!(waited > Duration::ZERO && waited <= Duration::from_millis(501), "{waited:?}");
}
