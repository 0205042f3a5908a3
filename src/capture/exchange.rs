//! One request and its response, as far as they were kept.

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use smallvec::{SmallVec, smallvec};
use std::fmt;
use std::time::{Duration, SystemTime};

use super::{Fault, RouteId};

/// One request and its response. The peers always got every byte; this is what the taps kept.
#[derive(Debug)]
pub struct Exchange {
    pub id: RequestId,
    /// When the request's head had arrived, on the wall clock.
    pub started_at: SystemTime,
    pub timing: Timing,
    pub route: RouteId,
    pub method: Method,
    pub target: PathAndQuery,
    /// The status the client saw; `None` if it went away before one was sent.
    pub status: Option<StatusCode>,
    /// What went wrong on the way, if anything did. A 500 of the model's own is no fault of the path.
    pub fault: Option<Fault>,
    pub trace: Option<Trace>,
    /// The share of exchanges that were being kept when this one was, in (0, 1].
    pub sample_rate: f64,
    pub request: Message,
    pub response: Message,
}

impl Exchange {
    /// Bytes of payload this exchange holds in memory.
    pub fn kept_bytes(&self) -> usize {
        self.request.body.kept_bytes() + self.response.body.kept_bytes()
    }
}

/// The identity that rows and labels join on: the `x-request-id` of the exchange.
///
/// Rows of one exchange are `id#0`, `id#1`…; see [`RequestId::row`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(HeaderValue);

impl RequestId {
    pub fn new(value: HeaderValue) -> Self {
        Self(value)
    }

    pub fn header_value(&self) -> &HeaderValue {
        &self.0
    }

    /// The id as text; bytes beyond ASCII, which a header may carry, are replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.0.as_bytes())
    }

    pub fn row(&self, index: usize) -> String {
        format!("{}#{index}", self.text())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.text())
    }
}

/// Where the time of an exchange went. All spans start when the request's head had arrived, but
/// `upstream`, which starts when the request was handed to an upstream connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timing {
    /// Until the last byte of the response was handed to the client's connection.
    pub total: Duration,
    /// From the request being handed over until the response's last byte; `None` if never handed over.
    pub upstream: Option<Duration>,
    /// Until the response's head; `None` if none came.
    pub first_byte: Option<Duration>,
}

impl Timing {
    /// The time this process added: total without upstream.
    pub fn overhead(&self) -> Option<Duration> {
        Some(self.total.saturating_sub(self.upstream?))
    }
}

/// W3C trace context of an exchange: the ids of the spans that stand for it. Where no spans are made,
/// the caller's span stands for all of them, and the trace does not count as sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: [u8; 16],
    /// The caller's span; `None` at the root of a trace.
    pub parent_span_id: Option<[u8; 8]>,
    /// The SERVER span: the inbound request.
    pub server_span_id: [u8; 8],
    /// The CLIENT span: the call to the model, and the parent the model sees.
    pub client_span_id: [u8; 8],
    pub sampled: bool,
}

/// Headers that the configuration allows to be kept, in wire order.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// One direction of an exchange.
#[derive(Debug, Default)]
pub struct Message {
    pub content_type: Option<HeaderValue>,
    pub content_encoding: Option<HeaderValue>,
    /// As `inference-header-content-length` says: bytes of JSON, behind which raw tensors begin.
    pub json_len: Option<usize>,
    pub headers: Headers,
    pub body: CapturedBody,
}

/// How a body ended on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyEnd {
    /// There was none, or it ended as its framing said.
    #[default]
    Complete,
    /// The sender broke off.
    Aborted,
    /// The receiver went away first.
    Cancelled,
}

/// What was kept of one body, as the frames it crossed in: clones by reference count, no copy.
#[derive(Debug, Default)]
pub struct CapturedBody {
    frames: SmallVec<[Bytes; 2]>,
    kept_bytes: usize,
    total_bytes: u64,
    pub end: BodyEnd,
}

impl CapturedBody {
    /// Counts a frame and keeps what fits under `max_bytes` in all.
    pub fn push(&mut self, frame: &Bytes, max_bytes: usize) {
        self.total_bytes += frame.len() as u64;
        let room = max_bytes.saturating_sub(self.kept_bytes).min(frame.len());
        if room > 0 && self.is_whole_before(frame) {
            self.frames.push(frame.slice(..room));
            self.kept_bytes += room;
        }
    }

    /// A gap is never papered over: once bytes were left out, later frames are only counted.
    fn is_whole_before(&self, frame: &Bytes) -> bool {
        self.kept_bytes as u64 + frame.len() as u64 == self.total_bytes
    }

    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Bytes that crossed the wire, kept or not.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub fn is_truncated(&self) -> bool {
        self.total_bytes > self.kept_bytes as u64
    }

    /// Lets go of what was kept; what crossed stays counted.
    pub fn forget(&mut self) {
        self.frames.clear();
        self.kept_bytes = 0;
    }

    /// Puts frames together, once for all who want one slice, and lets go of the read buffers that
    /// they lay in.
    pub fn join(&mut self) {
        if self.frames.len() > 1 {
            self.frames = smallvec![self.to_bytes()];
        }
    }

    /// The kept bytes as one slice; copies only when they crossed in more than one frame.
    pub fn to_bytes(&self) -> Bytes {
        match self.frames.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => {
                let mut joined = BytesMut::with_capacity(self.kept_bytes);
                for frame in many {
                    joined.extend_from_slice(frame);
                }
                joined.freeze()
            }
        }
    }
}

impl From<Bytes> for CapturedBody {
    fn from(bytes: Bytes) -> Self {
        let mut body = Self::default();
        body.push(&bytes, usize::MAX);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_over_the_limit_keeps_a_prefix_and_counts_the_rest() {
        let mut body = CapturedBody::default();
        body.push(&Bytes::from_static(b"abcd"), 6);
        body.push(&Bytes::from_static(b"efgh"), 6);
        body.push(&Bytes::from_static(b"ij"), 6);
        assert_eq!(body.to_bytes(), "abcdef");
        assert_eq!(body.total_bytes(), 10);
        assert!(body.is_truncated());
    }

    #[test]
    fn joined_frames_are_the_same_bytes_in_one_slice() {
        let mut body = CapturedBody::default();
        body.push(&Bytes::from_static(b"abcd"), 6);
        body.push(&Bytes::from_static(b"efgh"), 6);
        body.join();
        let (one, two) = (body.to_bytes(), body.to_bytes());
        assert_eq!((&one[..], one.as_ptr()), (&b"abcdef"[..], two.as_ptr()));
        assert_eq!((body.kept_bytes(), body.total_bytes()), (6, 8));
    }

    #[test]
    fn a_body_in_one_frame_is_not_copied() {
        let frame = Bytes::from(vec![7u8; 100]);
        let body = CapturedBody::from(frame.clone());
        assert_eq!(body.to_bytes().as_ptr(), frame.as_ptr());
        assert!(!body.is_truncated());
    }
}
