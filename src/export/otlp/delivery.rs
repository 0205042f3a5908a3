//! Hands encoded telemetry of one signal to a collector, until it is taken or refused.
//!
//! Retries what the OTLP specification calls retryable (429, 502, 503, 504, and a collector that
//! cannot be reached) with exponential backoff and jitter; a `Retry-After` is waited for. Partial
//! success counts what was rejected and is final. Stands in as the HTTP client of the exporters of
//! opentelemetry-otlp, whose own retry would block the thread and hides what it gave up.

use crate::config::Secret;
use crate::export::counters::{Counters, Loss, Signal, SignalCounters};
use crate::export::http::{Client, SendError};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// A collector that asks for more is asked again after this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

pub(super) struct Delivery {
    client: Arc<Client>,
    url: Uri,
    headers: Vec<(HeaderName, Secret)>,
    timeout: Duration,
    signal: Signal,
    counters: Arc<Counters>,
    stopping: watch::Receiver<bool>,
    /// Items rejected since the caller last asked.
    rejected: AtomicU64,
    /// So that an outage is logged when it starts and when it ends, not at each attempt.
    failing: AtomicBool,
}

/// What one attempt came to.
#[derive(Debug)]
pub(super) enum Attempt {
    Accepted(Response<Bytes>),
    /// No retry would mend it.
    Refused(Response<Bytes>),
    /// Not now; `retry_after` if the collector said when.
    Later {
        retry_after: Option<Duration>,
    },
}

impl Delivery {
    pub(super) fn new(
        client: Arc<Client>,
        otlp: &crate::config::Otlp,
        url: Uri,
        signal: Signal,
        counters: Arc<Counters>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            client,
            url,
            headers: otlp.headers.clone(),
            timeout: otlp.timeout,
            signal,
            counters,
            stopping,
            rejected: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }
    }

    pub(super) fn counts(&self) -> &SignalCounters {
        self.counters.otlp(self.signal)
    }

    pub(super) fn url(&self) -> &Uri {
        &self.url
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Items that were rejected since this was last called.
    pub(super) fn take_rejected(&self) -> u64 {
        self.rejected.swap(0, Relaxed)
    }

    /// An OTLP request of `body`, for [`Self::attempt`].
    pub(super) fn request(&self, body: Vec<u8>) -> Request<Bytes> {
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        let agent = HeaderValue::from_static(concat!("taffrail/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::CONTENT_TYPE, protobuf);
        request.headers_mut().insert(header::USER_AGENT, agent);
        request
    }

    /// Tries once, and counts how it went.
    pub(super) async fn attempt(&self, mut request: Request<Bytes>) -> Attempt {
        for (name, value) in &self.headers {
            if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
                value.set_sensitive(true);
                request.headers_mut().insert(name, value);
            }
        }
        let attempt = match self.client.send(request, self.timeout).await {
            Ok(response) => self.judge(response),
            Err(error) => self.unreached(&error),
        };
        let counted = match attempt {
            Attempt::Accepted(_) => &self.counts().requests_ok,
            Attempt::Refused(_) | Attempt::Later { .. } => &self.counts().requests_failed,
        };
        counted.fetch_add(1, Relaxed);
        attempt
    }

    fn judge(&self, response: Response<Bytes>) -> Attempt {
        let status = response.status();
        if status.is_success() {
            self.recovered();
            self.count_rejected(response.body());
            return Attempt::Accepted(response);
        }
        self.failed(&format_args!("it answered {status}"));
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Attempt::Later { retry_after: retry_after(&response) },
            _ => Attempt::Refused(response),
        }
    }

    fn unreached(&self, error: &SendError) -> Attempt {
        self.failed(&crate::export::otlp::Chain(error));
        if error.is_permanent() {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return Attempt::Refused(response);
        }
        Attempt::Later { retry_after: None }
    }

    /// The answers of the three signals are the same on the wire: field 1 of field 1 is how many
    /// items were rejected, field 2 of it is why.
    fn count_rejected(&self, body: &[u8]) {
        let Ok(answer) = ExportTraceServiceResponse::decode(body) else { return };
        let Some(partial) = answer.partial_success else { return };
        let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0);
        self.rejected.fetch_add(rejected, Relaxed);
        self.counts().lose(Loss::Rejected, rejected);
        if rejected > 0 || !partial.error_message.is_empty() {
            let (signal, said) = (self.signal.as_str(), partial.error_message);
            tracing::warn!(signal, rejected, said, "the OTLP collector took only a part");
        }
    }

    fn failed(&self, reason: &dyn std::fmt::Display) {
        let (signal, url) = (self.signal.as_str(), &self.url);
        if self.failing.swap(true, Relaxed) {
            tracing::debug!(signal, %url, %reason, "the OTLP collector still takes nothing");
        } else {
            tracing::warn!(signal, %url, %reason, "the OTLP collector takes nothing; trying on");
        }
    }

    fn recovered(&self) {
        if self.failing.swap(false, Relaxed) {
            tracing::info!(
                signal = self.signal.as_str(),
                "the OTLP collector takes telemetry again"
            );
        }
    }

    /// Waits before the next attempt. Being told to stop ends the wait once, for a last try at
    /// once; but who was asked to come later does.
    pub(super) async fn pause(&self, backoff: &mut Backoff, retry_after: Option<Duration>) {
        let delay = backoff.next();
        let mut stopping = self.stopping.clone();
        if let Some(asked) = retry_after {
            tokio::time::sleep(asked + delay / 4).await;
        } else if *stopping.borrow() {
            tokio::time::sleep(delay).await;
        } else {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = stopping.wait_for(|stop| *stop) => *backoff = Backoff::default(),
            }
        }
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delivery({} to {})", self.signal.as_str(), self.url)
    }
}

#[async_trait]
impl HttpClient for Delivery {
    /// Returns what was accepted, or refused for good; tries for as long as it takes.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut backoff = Backoff::default();
        loop {
            match self.attempt(request.clone()).await {
                Attempt::Accepted(response) | Attempt::Refused(response) => return Ok(response),
                Attempt::Later { retry_after } => self.pause(&mut backoff, retry_after).await,
            }
        }
    }
}

/// Delays that double, each shortened at random by up to a half, so that a fleet does not return
/// in step.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Duration::from_millis(500))
    }
}

impl Backoff {
    const LONGEST: Duration = Duration::from_secs(30);

    pub(super) fn next(&mut self) -> Duration {
        let delay = self.0;
        self.0 = (delay * 2).min(Self::LONGEST);
        delay.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// In seconds, or until a date (RFC 9110, 10.2.3).
fn retry_after(response: &Response<Bytes>) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = text.parse().ok().map(Duration::from_secs).or_else(|| until_date(text))?;
    Some(delay.min(LONGEST_RETRY_AFTER))
}

fn until_date(text: &str) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let date = SystemTime::from(date.timestamp());
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
