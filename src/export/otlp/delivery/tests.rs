use super::*;
use tokio::time::Instant;

fn asked(value: &str) -> Option<Duration> {
    let response = Response::builder().header("retry-after", value).body(Bytes::new());
    retry_after(&response.unwrap())
}

#[test]
fn retry_after_is_read_as_seconds_or_as_a_date() {
    assert_eq!(asked("7"), Some(Duration::from_secs(7)));
    assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
    assert_eq!(asked("Fri, 01 Jan 2100 00:00:00 GMT"), Some(LONGEST_RETRY_AFTER));
    assert_eq!(asked("soon"), None);
}

#[test]
fn delays_double_up_to_a_bound_and_never_fall_below_half() {
    let mut backoff = Backoff::default();
    let delays: Vec<Duration> = (0..12).map(|_| backoff.next()).collect();
    assert!(delays[0] >= Duration::from_millis(250) && delays[0] <= Duration::from_millis(500));
    assert!(delays[11] >= Backoff::LONGEST / 2 && delays[11] <= Backoff::LONGEST);
}

fn delivery() -> (Delivery, watch::Sender<bool>) {
    let otlp = crate::config::Otlp {
        metrics_url: None,
        logs_url: None,
        traces_url: None,
        headers: Vec::new(),
        tls: crate::config::OutboundTls::default(),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(10),
        temporality: crate::config::Temporality::Cumulative,
        sampler: crate::config::TraceSampler::Ratio(1.0),
    };
    let (stop, stopping) = watch::channel(false);
    let url = Uri::from_static("http://127.0.0.1:4318/v1/traces");
    let client = Arc::new(Client::new(otlp.tls.clone()).unwrap());
    (Delivery::new(client, &otlp, url, Signal::Traces, Arc::default(), stopping), stop)
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
