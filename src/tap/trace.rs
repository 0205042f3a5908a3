//! W3C trace context (<https://www.w3.org/TR/trace-context/>): continued, or begun.
//!
//! In: the trace headers of a request. Out: the ids of the spans that stand for the exchange, and a
//! `traceparent` that names our CLIENT span as the model's parent. `tracestate` passes untouched as
//! long as the `traceparent` it belongs to was valid, and goes with it otherwise.

use super::identity::once;
use crate::capture::Trace;
use crate::config::TraceSampler;
use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` trace id `-` parent id `-` flags.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tracing {
    /// Trace headers pass as they are, and none are added.
    Off,
    On(TraceSampler),
}

impl Tracing {
    /// Continues the trace of a request, or begins one, and says so in its headers.
    pub(super) fn continue_in(self, headers: &mut HeaderMap) -> Option<Trace> {
        let Self::On(sampler) = self else { return None };
        let trace = if let Some(parent) = parent(headers) {
            parent.continued(sampler)
        } else {
            headers.remove(&TRACESTATE);
            root(sampler)
        };
        headers.insert(TRACEPARENT, render(&trace));
        Some(trace)
    }
}

/// The caller's trace, where no span of ours stands in it: its span stands for the exchange.
pub(super) fn passing(headers: &HeaderMap) -> Option<Trace> {
    let parent = parent(headers)?;
    Some(Trace {
        trace_id: parent.trace_id,
        parent_span_id: Some(parent.span_id),
        server_span_id: parent.span_id,
        client_span_id: parent.span_id,
        sampled: false,
    })
}

struct Parent {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

impl Parent {
    fn continued(self, policy: TraceSampler) -> Trace {
        let sampled = match policy {
            TraceSampler::ParentBased(_) => self.sampled,
            TraceSampler::Ratio(ratio) => is_sampled(self.trace_id, ratio),
        };
        Trace {
            trace_id: self.trace_id,
            parent_span_id: Some(self.span_id),
            server_span_id: span_id(),
            client_span_id: span_id(),
            sampled,
        }
    }
}

fn root(sampler: TraceSampler) -> Trace {
    let (TraceSampler::Ratio(ratio) | TraceSampler::ParentBased(ratio)) = sampler;
    let trace_id = fastrand::u128(1..).to_be_bytes();
    Trace {
        trace_id,
        parent_span_id: None,
        server_span_id: span_id(),
        client_span_id: span_id(),
        sampled: is_sampled(trace_id, ratio),
    }
}

fn span_id() -> [u8; 8] {
    fastrand::u64(1..).to_be_bytes()
}

/// By the id's last bits, so that every service with the same ratio decides alike.
fn is_sampled(trace_id: [u8; 16], ratio: f64) -> bool {
    let low = u128::from_be_bytes(trace_id) & u128::from(u64::MAX >> 1);
    (low as f64) < ratio * (u64::MAX >> 1) as f64 || ratio >= 1.0
}

/// The caller's context; `None` if there is none, or more than one, or none that is valid.
fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut values = headers.get_all(&TRACEPARENT).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.as_bytes();
    let (known, rest) = text.split_at_checked(LENGTH)?;
    let [version] = hex(&known[..2])?;
    let is_as_long_as_its_version_says = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest[0] == b'-',
    };
    let is_parted = [2, 35, 52].iter().all(|&at| known[at] == b'-');
    let trace_id: [u8; 16] = hex(&known[3..35])?;
    let span_id: [u8; 8] = hex(&known[36..52])?;
    let [flags] = hex(&known[53..])?;
    let is_named = trace_id != [0; 16] && span_id != [0; 8];
    let is_valid = is_as_long_as_its_version_says && is_parted && is_named;
    is_valid.then_some(Parent { trace_id, span_id, sampled: flags & SAMPLED != 0 })
}

/// Lower-case hexadecimal, as the standard demands.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[expect(clippy::expect_used, reason = "hex digits and hyphens are valid in a header")]
fn render(trace: &Trace) -> HeaderValue {
    let mut text = Vec::with_capacity(LENGTH);
    text.extend_from_slice(b"00-");
    push_hex(&mut text, &trace.trace_id);
    text.push(b'-');
    push_hex(&mut text, &trace.client_span_id);
    text.extend_from_slice(if trace.sampled { b"-01" } else { b"-00" });
    once(HeaderValue::try_from(text).expect("ASCII"))
}

fn push_hex(text: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn with(traceparent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_str(traceparent).unwrap());
        headers.insert(TRACESTATE, HeaderValue::from_static("vendor=1"));
        headers
    }

    fn on(sampler: TraceSampler) -> Tracing {
        Tracing::On(sampler)
    }

    #[test]
    fn off_touches_nothing() {
        let mut headers = with("garbage");
        assert_eq!(Tracing::Off.continue_in(&mut headers), None);
        assert_eq!(headers, with("garbage"));
    }

    #[test]
    fn a_trace_that_passes_by_is_seen_and_makes_no_span() {
        let trace = passing(&with(VALID)).unwrap();
        assert_eq!(trace.server_span_id, hex(b"b7ad6b7169203331").unwrap());
        assert!(!trace.sampled, "its spans are the caller's own");
        assert_eq!(passing(&with("garbage")), None);
        assert_eq!(passing(&HeaderMap::new()), None);
    }

    #[test]
    fn a_valid_parent_is_continued_under_a_span_of_our_own() {
        let mut headers = with(VALID);
        let trace = on(TraceSampler::ParentBased(0.0)).continue_in(&mut headers).unwrap();
        assert!(trace.sampled);
        assert_eq!(trace.parent_span_id, hex(b"b7ad6b7169203331"));
        let sent = headers[TRACEPARENT].to_str().unwrap();
        assert_eq!((&sent[..36], &sent[52..]), (&VALID[..36], &VALID[52..]));
        assert_ne!(&sent[36..52], &VALID[36..52]);
        assert_eq!(headers[TRACESTATE], "vendor=1");
    }

    #[test]
    fn a_later_version_with_more_fields_is_continued() {
        let later = format!("cc{}-what-the-future-will-be-like", &VALID[2..]);
        assert!(parent(&with(&later)).is_some());
        assert!(parent(&with(&format!("cc{}.more", &VALID[2..]))).is_none());
    }

    #[test]
    fn an_invalid_parent_begins_a_new_trace_and_loses_its_state() {
        let upper = VALID.to_uppercase();
        for invalid in [
            "",
            "00",
            &VALID[..54],
            &format!("{VALID}-00"),
            &format!("ff{}", &VALID[2..]),
            &upper,
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c.b7ad6b7169203331-01",
        ] {
            let mut headers = with(invalid);
            let trace = on(TraceSampler::Ratio(1.0)).continue_in(&mut headers).unwrap();
            assert_eq!(trace.parent_span_id, None, "{invalid}");
            assert!(!headers.contains_key(TRACESTATE), "{invalid}");
            assert!(parent(&headers).is_some());
        }
    }

    #[test]
    fn a_ratio_decides_by_the_trace_alone() {
        assert!(root(TraceSampler::Ratio(1.0)).sampled);
        assert!(!root(TraceSampler::Ratio(0.0)).sampled);
        let sampled = (0..10_000).filter(|_| root(TraceSampler::Ratio(0.5)).sampled).count();
        assert!((4500..5500).contains(&sampled), "{sampled}");
    }
}
