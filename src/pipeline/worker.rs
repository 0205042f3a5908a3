//! An analysis thread: drains the queue in batches, decodes, hands on, and ticks.
//!
//! It runs at lower priority than serving, wakes on a timer and not for each exchange, and keeps to
//! its CPU budget by lowering the share of exchanges that the taps keep. A panic while decoding costs
//! the one exchange it happened in.

use super::budget::CpuBudget;
use super::hub::Hub;
use crate::archive::Entry;
use crate::capture::{CapturedBody, Exchange, Message, Queue};
use crate::decode::{self, Decoded, Decoder, Dialect, Part, Payload};
use crate::labels::{self, Parsed, Source};
use crate::pulse::Pulse;
use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const BATCH: usize = 256;
/// How long an exchange may lie in a queue that is not filling up.
const NAP: Duration = Duration::from_millis(25);
const TICK: Duration = Duration::from_millis(250);

/// Reads one exchange's payloads. Made anew after a panic, so no half-changed state is used again.
pub type Decode = Box<dyn FnMut(&Payload<'_>, &mut Decoded) + Send>;
pub type MakeDecode = Box<dyn Fn() -> Decode + Send + Sync>;

/// What a worker goes by, and follows from one batch to the next; swapped whole.
pub struct Tuning {
    pub decode: MakeDecode,
    /// The highest share of exchanges to keep, in [0, 1].
    pub sample: f64,
    /// Cores.
    pub cpu_budget: f64,
    /// The response header that tells labels of earlier exchanges.
    pub labels_header: Option<HeaderName>,
}

/// The decoders of [`crate::decode`].
pub fn every_dialect(settings: decode::Settings) -> MakeDecode {
    Box::new(move || {
        let mut decoder = Decoder::new(settings.clone());
        Box::new(move |payload, decoded| decoder.decode(payload, decoded))
    })
}

pub struct Worker {
    queue: Arc<Queue>,
    hub: Arc<Hub>,
    tuning: Arc<ArcSwap<Tuning>>,
    tuned_by: Arc<Tuning>,
    decode: Decode,
    budget: CpuBudget,
    /// Payload that is decoded at a time; one exchange may be more.
    batch_bytes: usize,
    pulse: Pulse,
    last_tick: Instant,
}

struct Analysed {
    exchange: Box<Exchange>,
    decoded: Decoded,
    /// Of earlier exchanges, from headers of the response, and when that was over.
    labels: Vec<(Parsed, Timestamp)>,
    counted_at: Option<Timestamp>,
}

impl Worker {
    pub fn new(
        queue: Arc<Queue>,
        hub: Arc<Hub>,
        tuning: Arc<ArcSwap<Tuning>>,
        budget: CpuBudget,
        batch_bytes: usize,
        pulse: Pulse,
    ) -> Self {
        let tuned_by = tuning.load_full();
        let (decode, last_tick) = ((tuned_by.decode)(), Instant::now());
        Self { queue, hub, tuning, tuned_by, decode, budget, batch_bytes, pulse, last_tick }
    }

    /// Until `stop` is set and the queue is empty.
    pub fn run(mut self, stop: &AtomicBool) {
        lower_priority();
        // Windows that a process before this one left open, and that have ended since, take no more rows.
        self.hub.tick(Timestamp::now());
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.pulse.beat();
            let stopping = stop.load(Ordering::Acquire);
            self.queue.drain(&mut batch, BATCH, self.batch_bytes);
            if batch.is_empty() {
                if stopping {
                    break;
                }
                self.queue.wait(NAP);
            }
            self.follow();
            self.work_through(&mut batch);
            if self.last_tick.elapsed() >= TICK {
                self.last_tick = Instant::now();
                self.budget.adjust(self.tuned_by.sample, self.tuned_by.cpu_budget);
                self.hub.tick(Timestamp::now());
            }
        }
        self.hub.tick(Timestamp::now());
    }

    fn follow(&mut self) {
        let tuning = self.tuning.load();
        if !Arc::ptr_eq(&tuning, &self.tuned_by) {
            self.tuned_by = Arc::clone(&tuning);
            self.decode = (tuning.decode)();
        }
    }

    #[expect(clippy::vec_box, reason = "the queue hands over boxes, which go on as they are")]
    fn work_through(&mut self, batch: &mut Vec<Box<Exchange>>) {
        if batch.is_empty() {
            return;
        }
        let mut analysed: Vec<_> = batch.drain(..).map(|exchange| self.decode(exchange)).collect();
        {
            let mut watch = self.hub.watch();
            let counts_at = watch.counts_at(Timestamp::now());
            for Analysed { exchange, decoded, labels, counted_at } in &mut analysed {
                *counted_at = Some(counts_at);
                let at = Timestamp::try_from(exchange.started_at).unwrap_or(Timestamp::UNIX_EPOCH);
                watch.segment(decoded, exchange.sample_rate, &exchange.request.headers);
                watch.observe_sampled(&exchange.id.text(), decoded, exchange.sample_rate, at);
                if let Some(header) = &self.tuned_by.labels_header {
                    for (parsed, at) in labels.drain(..) {
                        let place = InResponse { header, exchange };
                        watch.take_labels(Source::Header, place, parsed, at);
                    }
                }
            }
        }
        for analysed in analysed {
            let at = analysed.counted_at.unwrap_or_default();
            self.hub.hear(analysed.exchange.route, &analysed.decoded, at);
            self.hub.hand_on(entry(analysed, &self.hub));
        }
    }

    fn decode(&mut self, mut exchange: Box<Exchange>) -> Analysed {
        self.pulse.beat();
        exchange.request.body.join();
        exchange.response.body.join();
        let mut decoded = Decoded::default();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            decode_exchange(&mut self.decode, &exchange, &mut decoded);
        }));
        if outcome.is_err() {
            self.decode = (self.tuned_by.decode)();
            self.hub.watch().count_problem("decoder_panic");
            decoded = Decoded::default();
        }
        let header = self.tuned_by.labels_header.as_ref();
        let labels = header.map(|header| header_labels(header, &exchange)).unwrap_or_default();
        Analysed { exchange, decoded, labels, counted_at: None }
    }
}

/// The labels that a model server tells in its response, of the time when that was over.
fn header_labels(header: &HeaderName, exchange: &Exchange) -> Vec<(Parsed, Timestamp)> {
    let over = exchange.started_at.checked_add(exchange.timing.total);
    let at = over.and_then(|over| Timestamp::try_from(over).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let named = exchange.response.headers.iter().filter(|(name, _)| name == header);
    let parse =
        |value: &HeaderValue| labels::parse_header(&String::from_utf8_lossy(value.as_bytes()), at);
    named.map(|(_, value)| (parse(value), at)).collect()
}

/// Where a label stood that could not be read.
struct InResponse<'a> {
    header: &'a HeaderName,
    exchange: &'a Exchange,
}

impl fmt::Display for InResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the response to {}", self.header, self.exchange.id.text())
    }
}

fn decode_exchange(decode: &mut Decode, exchange: &Exchange, decoded: &mut Decoded) {
    let (request, response) = (exchange.request.body.to_bytes(), exchange.response.body.to_bytes());
    let payload = Payload {
        method: exchange.method.as_str(),
        path: exchange.target.path(),
        request: part(&exchange.request, &request),
        response: part(&exchange.response, &response),
        status: exchange.status.map(|status| status.as_u16()),
    };
    decode(&payload, decoded);
}

fn part<'a>(message: &'a Message, body: &'a [u8]) -> Part<'a> {
    Part {
        content_type: text(message.content_type.as_ref()),
        content_encoding: text(message.content_encoding.as_ref()),
        json_len: message.json_len,
        body,
        truncated: CapturedBody::is_truncated(&message.body),
    }
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}

fn entry(analysed: Analysed, hub: &Hub) -> Entry {
    let Analysed { exchange, decoded, labels: _, counted_at } = analysed;
    let model = decoded.model.as_ref();
    Entry {
        route: hub.routes().template(exchange.route).into(),
        model_name: model.map_or_else(|| hub.model_name(), |model| Arc::from(&*model.name)),
        model_version: model
            .and_then(|model| model.version.as_deref())
            .map_or_else(|| hub.model_version(), Into::into),
        dialect: decoded.dialect.map(Dialect::as_str),
        inputs: decoded.inputs,
        outputs: decoded.outputs,
        exchange,
        counted_at,
    }
}

/// Serving goes first when cores are short. Without the right to change it, the priority stays.
fn lower_priority() {
    let thread = rustix::process::Pid::from_raw(rustix::thread::gettid().as_raw_nonzero().get());
    if let Err(error) = rustix::process::setpriority_process(thread, 10) {
        tracing::debug!(%error, "analysis keeps its priority");
    }
}
