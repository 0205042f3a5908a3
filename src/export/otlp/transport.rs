//! One message on its way to a collector: OTLP over HTTP, or over gRPC, see `grpc`.
//!
//! In: an encoded request of one signal. Out: what the collector answered, sorted by what to do about
//! it. Headers, compression and the token of Entra ID are added here.

use super::grpc;
use crate::config::{Compression, OtlpProtocol, Receiver};
use crate::export::azure_token::AzureToken;
use crate::export::counters::Signal;
use crate::export::http::{Chain, Client, SendError};
use crate::export::retry::retry_after;
use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use prost::Message;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// Of what a collector says of its refusal, for the log.
const MAX_REASON_CHARS: usize = 300;

pub(super) struct Transport {
    client: Arc<Client>,
    receiver: Receiver,
    uri: Uri,
    token: Option<Arc<AzureToken>>,
}

/// What to do about what a collector said, or did not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An encoded response.
    Taken(Bytes),
    Later {
        retry_after: Option<Duration>,
        reason: String,
    },
    Refused {
        reason: String,
    },
}

impl Transport {
    pub(super) fn new(
        client: Arc<Client>,
        receiver: Receiver,
        signal: Signal,
        token: Option<Arc<AzureToken>>,
    ) -> Self {
        let uri = match receiver.protocol {
            OtlpProtocol::Http => receiver.url.clone(),
            OtlpProtocol::Grpc => grpc::uri(&receiver.url, signal),
        };
        Self { client, receiver, uri, token }
    }

    pub(super) fn url(&self) -> &Uri {
        &self.receiver.url
    }

    pub(super) async fn send(&self, message: &Bytes) -> Answer {
        let Some(token) = &self.token else { return self.exchange(message, None).await.into() };
        let bearer = match token.bearer().await {
            Ok(bearer) => bearer,
            Err(reason) => return Answer::Later { retry_after: None, reason },
        };
        let reply = self.exchange(message, Some(bearer.clone())).await;
        let Reply::Unauthorized { .. } = reply else { return reply.into() };
        // It may have been revoked, or its key rolled, before its time.
        token.forget(&bearer).await;
        match token.bearer().await {
            Ok(bearer) => match self.exchange(message, Some(bearer)).await {
                // Rights that were just given take a while to be known everywhere.
                Reply::Unauthorized { reason } => Answer::Later { retry_after: None, reason },
                Reply::Answer(answer) => answer,
            },
            Err(reason) => Answer::Later { retry_after: None, reason },
        }
    }

    async fn exchange(&self, message: &Bytes, bearer: Option<HeaderValue>) -> Reply {
        let mut headers = self.headers();
        headers.extend(bearer.map(|bearer| (header::AUTHORIZATION, bearer)));
        let (is_packed, body) = match self.receiver.compression {
            Compression::None => (false, message.clone()),
            Compression::Gzip => (true, gzip(message)),
        };
        let timeout = self.receiver.timeout;
        match self.receiver.protocol {
            OtlpProtocol::Http => {
                let request = over_http(self.uri.clone(), headers, is_packed, body);
                let response = self.client.send(request, timeout).await;
                response.map_or_else(|error| unreached(&error).into(), |answer| judge(&answer))
            }
            OtlpProtocol::Grpc => {
                let request = grpc::request(self.uri.clone(), headers, is_packed, &body, timeout);
                let response = self.client.send_http2(request, timeout).await;
                let answer = |(response, trailers)| match grpc::judge(&response, &trailers) {
                    Some(answer) => answer.into(),
                    None => judge_foreign(&response),
                };
                response.map_or_else(|error| unreached(&error).into(), answer)
            }
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let agent = HeaderValue::from_static(concat!("taffrail/", env!("CARGO_PKG_VERSION")));
        headers.insert(header::USER_AGENT, agent);
        for (name, value) in &self.receiver.headers {
            if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        headers
    }
}

fn over_http(uri: Uri, headers: HeaderMap, is_packed: bool, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    request.headers_mut().insert(header::CONTENT_TYPE, protobuf);
    if is_packed {
        let gzip = HeaderValue::from_static("gzip");
        request.headers_mut().insert(header::CONTENT_ENCODING, gzip);
    }
    request
}

/// Into memory, which does not fail.
fn gzip(message: &[u8]) -> Bytes {
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let _ = packed.write_all(message);
    packed.finish().unwrap_or_default().into()
}

/// An answer, or a token that was not good enough.
enum Reply {
    Answer(Answer),
    Unauthorized { reason: String },
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Answer(answer) => answer,
            Reply::Unauthorized { reason } => Self::Refused { reason },
        }
    }
}

fn unreached(error: &SendError) -> Answer {
    let reason = match error {
        SendError::Handshake { .. } | SendError::Files(_) => {
            format!("{}; see export.otlp.tls", Chain(error))
        }
        _ => Chain(error).to_string(),
    };
    if error.is_permanent() {
        return Answer::Refused { reason };
    }
    Answer::Later { retry_after: None, reason }
}

/// By the status, as OTLP over HTTP has it.
fn judge(response: &Response<Bytes>) -> Reply {
    let status = response.status();
    if status.is_success() {
        return Answer::Taken(response.body().clone()).into();
    }
    let reason = format!("it answered {status}{}", said(response));
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Answer::Later { retry_after: retry_after(response.headers()), reason }.into()
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Reply::Unauthorized { reason },
        _ => Answer::Refused { reason }.into(),
    }
}

/// Of something on the way that knows no gRPC.
fn judge_foreign(response: &Response<Bytes>) -> Reply {
    match judge(response) {
        Reply::Answer(Answer::Taken(_)) => {
            let reason = format!("it answered {} and no status of gRPC", response.status());
            Answer::Refused { reason }.into()
        }
        reply => reply,
    }
}

/// What it says of its refusal: a `google.rpc.Status`, or text.
fn said(response: &Response<Bytes>) -> String {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_protobuf = content_type.is_some_and(|kind| kind.as_bytes().ends_with(b"protobuf"));
    let text = if is_protobuf {
        grpc::Status::decode(&**response.body()).map_or_else(|_| String::new(), |s| s.message)
    } else {
        String::from_utf8_lossy(response.body()).into_owned()
    };
    quoted(&text)
}

/// Behind a colon, if there is any; one line, and not a long one.
pub(super) fn quoted(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return line;
    }
    format!(": {}", line.chars().take(MAX_REASON_CHARS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_says_of_its_refusal_is_told_on_one_line() {
        let refused = |kind: &str, body: Vec<u8>| {
            let response = Response::builder().status(400).header("content-type", kind);
            let answer = judge(&response.body(Bytes::from(body)).unwrap()).into();
            let Answer::Refused { reason } = answer else { panic!("{answer:?}") };
            reason
        };
        let json = b"{\n \"error\": \"InvalidStream\"\n}".to_vec();
        let said = refused("application/json", json);
        assert_eq!(said, "it answered 400 Bad Request: { \"error\": \"InvalidStream\" }");
        let status = grpc::Status { code: 3, message: "too old".into(), details: Vec::new() };
        let said = refused("application/x-protobuf", status.encode_to_vec());
        assert_eq!(said, "it answered 400 Bad Request: too old");
        assert_eq!(refused("text/plain", Vec::new()), "it answered 400 Bad Request");
        assert!(refused("text/plain", vec![b'x'; 9000]).len() < 400);
    }
}
