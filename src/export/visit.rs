//! What an exchange is exported as a call from, and the end that takes exchanges for it.
//!
//! Only exchanges whose trace is sampled are taken. A query string may hold personal data, and no
//! exporter carries it: it ends here.

use super::batch::{Entry, Outbox};
use super::collect::method;
use crate::capture::{Exchange, Fault, Timing, Trace};
use crate::config;
use http::{Method, StatusCode};
use std::net::SocketAddr;
use std::time::SystemTime;

/// Longer texts are cut, so that a queue of spans has a bound in bytes too.
const MAX_TEXT_BYTES: usize = 1024;

/// Takes sampled exchanges, never waiting; without a receiver of traces it takes nothing.
#[derive(Clone)]
pub struct Spans(Vec<Outbox<Visit>>);

impl Spans {
    /// Exports nothing and counts nothing.
    pub const fn off() -> Self {
        Self(Vec::new())
    }

    pub(in crate::export) fn new(outbox: Outbox<Visit>) -> Self {
        Self(vec![outbox])
    }

    /// For the receivers of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Queues an exchange for every receiver, if its trace is sampled. `route` is its template.
    pub fn offer(&self, exchange: &Exchange, route: &str) {
        let Some(trace) = exchange.trace.filter(|trace| trace.sampled) else { return };
        for outbox in &self.0 {
            outbox.offer(Visit::new(exchange, trace, route));
        }
    }
}

/// What is exported of one exchange, and no buffer of the connection it came over.
#[derive(Debug)]
pub(in crate::export) struct Visit {
    pub(in crate::export) id: Box<str>,
    pub(in crate::export) trace: Trace,
    pub(in crate::export) started_at: SystemTime,
    pub(in crate::export) timing: Timing,
    pub(in crate::export) method: Method,
    pub(in crate::export) route: Box<str>,
    pub(in crate::export) path: Box<str>,
    pub(in crate::export) status: Option<StatusCode>,
    pub(in crate::export) fault: Option<Fault>,
    /// The share of exchanges that were being captured when this one was, in (0, 1].
    pub(in crate::export) sample_rate: f64,
}

impl Visit {
    pub(in crate::export) fn new(exchange: &Exchange, trace: Trace, route: &str) -> Self {
        Self {
            id: cut(&exchange.id.text()),
            trace,
            started_at: exchange.started_at,
            timing: exchange.timing,
            method: exchange.method.clone(),
            route: cut(route),
            path: cut(exchange.target.path()),
            status: exchange.status,
            fault: exchange.fault,
            sample_rate: exchange.sample_rate,
        }
    }

    /// By the conventions: the method and the template, or the method alone.
    pub(in crate::export) fn name(&self) -> String {
        match (&*self.route, &*method(&self.method)) {
            ("other", method) => method.to_owned(),
            (route, method) => format!("{method} {route}"),
        }
    }

    /// Whether the model was called, or at least tried.
    pub(in crate::export) fn is_call(&self) -> bool {
        let tried = [Fault::UpstreamConnect, Fault::UpstreamConnectTimeout];
        self.timing.upstream.is_some() || self.fault.is_some_and(|fault| tried.contains(&fault))
    }
}

impl Entry for Visit {
    fn items(&self) -> u64 {
        if self.is_call() { 2 } else { 1 }
    }
}

fn cut(text: &str) -> Box<str> {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

/// Where the two ends of the proxy are.
#[derive(Debug, Clone)]
pub(in crate::export) struct Places {
    pub(in crate::export) listen: SocketAddr,
    pub(in crate::export) scheme: &'static str,
    pub(in crate::export) upstream: config::Upstream,
}
