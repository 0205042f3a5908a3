//! OTLP over gRPC: one unary call, by hand over HTTP/2.
//!
//! A message goes out behind five bytes, and comes back so; how it went stands in the trailers
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>). A whole stack for gRPC would be
//! thirty crates for three methods.

use super::transport::{Answer, quoted};
use crate::export::counters::Signal;
use crate::export::retry::at_most;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use percent_encoding::percent_decode;
use prost::Message;
use std::time::Duration;

/// A flag, and the length of what follows.
const PREFIX_BYTES: usize = 5;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Padded or not: senders differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `google.rpc.Status`, which HTTP answers carry too.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Detail {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Delay {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

/// Of the method that takes a signal.
pub(super) fn uri(url: &Uri, signal: Signal) -> Uri {
    let path = PathAndQuery::from_static(match signal {
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    });
    let mut parts = url.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).unwrap_or_else(|_| url.clone())
}

pub(super) fn request(
    uri: Uri,
    headers: HeaderMap,
    is_packed: bool,
    message: &[u8],
    timeout: Duration,
) -> Request<Bytes> {
    let mut body = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    body.put_u8(is_packed.into());
    body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    body.put_slice(message);
    let mut request = Request::new(body.freeze());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if is_packed {
        headers.insert(GRPC_ENCODING, HeaderValue::from_static("gzip"));
    }
    // Eight digits at most, which are a day of milliseconds.
    let millis = timeout.as_millis().min(99_999_999);
    headers.extend(HeaderValue::try_from(format!("{millis}m")).ok().map(|v| (GRPC_TIMEOUT, v)));
    request
}

/// `None` where no gRPC answered.
pub(super) fn judge(response: &Response<Bytes>, trailers: &HeaderMap) -> Option<Answer> {
    // An answer without a message has its status among the headers.
    let said = [trailers, response.headers()].into_iter().find(|h| h.contains_key(GRPC_STATUS))?;
    let code = said.get(GRPC_STATUS)?.to_str().ok()?.parse::<u16>().ok()?;
    if code == 0 {
        let message = response.body().get(PREFIX_BYTES..).unwrap_or_default();
        return Some(Answer::Taken(Bytes::copy_from_slice(message)));
    }
    let message = said.get(GRPC_MESSAGE).map_or(&b""[..], HeaderValue::as_bytes);
    let message = percent_decode(message).decode_utf8_lossy();
    let reason = format!("it answered {}{}", name(code), quoted(&message));
    let retry_after = said.get(GRPC_DETAILS).and_then(retry_delay);
    Some(match code {
        // By the specification of OTLP. Exhausted is for good, unless it says when to come again.
        1 | 4 | 10 | 11 | 14 | 15 => Answer::Later { retry_after, reason },
        8 if retry_after.is_some() => Answer::Later { retry_after, reason },
        _ => Answer::Refused { reason },
    })
}

fn retry_delay(details: &HeaderValue) -> Option<Duration> {
    let status = Status::decode(&*BASE64.decode(details).ok()?).ok()?;
    let is_retry = |detail: &&Detail| detail.type_url.ends_with("/google.rpc.RetryInfo");
    let info = status.details.iter().find(is_retry)?;
    let delay = RetryInfo::decode(&*info.value).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).unwrap_or(0);
    let nanos = u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999);
    Some(at_most(Duration::new(seconds, nanos)))
}

const fn name(code: u16) -> &'static str {
    match code {
        1 => "CANCELLED",
        3 => "INVALID_ARGUMENT",
        4 => "DEADLINE_EXCEEDED",
        5 => "NOT_FOUND",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        10 => "ABORTED",
        11 => "OUT_OF_RANGE",
        12 => "UNIMPLEMENTED",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        15 => "DATA_LOSS",
        16 => "UNAUTHENTICATED",
        _ => "an unknown status of gRPC",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trailers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        pairs.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    fn judged(pairs: &[(HeaderName, &str)]) -> Option<Answer> {
        judge(&Response::new(Bytes::from_static(b"\0\0\0\0\x02\x0a\0")), &trailers(pairs))
    }

    #[test]
    fn a_message_goes_out_behind_its_flag_and_length() {
        let url = Uri::from_static("http://collector:4317");
        let uri = uri(&url, Signal::Logs);
        let request = request(uri, HeaderMap::new(), true, b"abc", Duration::from_secs(10));
        assert_eq!(&request.body()[..], b"\x01\0\0\0\x03abc");
        let path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
        assert_eq!(request.uri().path(), path);
        assert_eq!(request.headers()[GRPC_TIMEOUT], "10000m");
        assert_eq!(request.headers()[GRPC_ENCODING], "gzip");
    }

    #[test]
    fn the_trailers_say_how_it_went() {
        let taken = judged(&[(GRPC_STATUS, "0")]);
        assert_eq!(taken, Some(Answer::Taken(Bytes::from_static(b"\x0a\0"))));
        let refused = judged(&[(GRPC_STATUS, "3"), (GRPC_MESSAGE, "bad%20point")]);
        let reason = "it answered INVALID_ARGUMENT: bad point".to_owned();
        assert_eq!(refused, Some(Answer::Refused { reason }));
        for code in ["1", "4", "10", "11", "14", "15"] {
            let later = judged(&[(GRPC_STATUS, code)]);
            assert!(matches!(later, Some(Answer::Later { retry_after: None, .. })), "{code}");
        }
        assert!(matches!(judged(&[(GRPC_STATUS, "8")]), Some(Answer::Refused { .. })));
        assert_eq!(judged(&[]), None, "no gRPC");
    }

    #[test]
    fn an_answer_of_headers_alone_is_read() {
        let mut response = Response::new(Bytes::new());
        *response.headers_mut() = trailers(&[(GRPC_STATUS, "14"), (GRPC_MESSAGE, "away")]);
        let reason = "it answered UNAVAILABLE: away".to_owned();
        let later = Answer::Later { retry_after: None, reason };
        assert_eq!(judge(&response, &HeaderMap::new()), Some(later));
    }

    #[test]
    fn who_is_told_when_to_come_again_does() {
        let delay = Delay { seconds: 7, nanos: 500_000_000 };
        let info = RetryInfo { retry_delay: Some(delay) };
        let details = Detail {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
            value: info.encode_to_vec(),
        };
        let status = Status { code: 8, message: String::new(), details: vec![details] };
        for padding in [true, false] {
            let mut text = BASE64.encode(status.encode_to_vec());
            if !padding {
                text = text.trim_end_matches('=').to_owned();
            }
            let answer = judged(&[(GRPC_STATUS, "8"), (GRPC_DETAILS, &text)]);
            let Some(Answer::Later { retry_after, .. }) = answer else { panic!("{answer:?}") };
            assert_eq!(retry_after, Some(Duration::from_millis(7500)));
        }
    }
}
