//! Answers of the proxy's own, where there is none of the model's: small JSON that says what failed.

use super::h1::{BadFraming, BadHead, NoRequest};
use super::target::Refusal;
use super::upstream::UpstreamError;
use crate::capture::{Fault, RequestId};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use std::error::Error as StdError;
use thiserror::Error;

/// Why the model gave no answer.
#[derive(Debug, Error)]
#[error(transparent)]
pub(super) enum NoAnswer {
    /// It was not asked.
    Refused(#[from] Refusal),
    Failed(#[from] UpstreamError),
}

impl NoAnswer {
    /// What is counted against the path; a refused request is not.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self {
            Self::Refused(_) => None,
            Self::Failed(error) => Some(error.fault()),
        }
    }
}

/// Of an answer whose client does better over another connection: where several stand behind one
/// address, that leads to another of them, while one that is kept stays with a model that is away.
#[derive(Debug, Clone, Copy)]
pub(super) struct GoElsewhere;

#[derive(Serialize)]
struct Report<'a> {
    error: Failure<'a>,
}

#[derive(Serialize)]
struct Failure<'a> {
    r#type: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// What the client is told instead.
pub(super) fn to(reason: &NoAnswer, upstream: &str, id: &RequestId) -> Response<Bytes> {
    match reason {
        NoAnswer::Refused(refusal) => refused(*refusal, id),
        NoAnswer::Failed(error) => failed(error, upstream, id),
    }
}

/// The upstream did not answer: 502, 504, or 400 when it was the request's body that broke.
fn failed(error: &UpstreamError, upstream: &str, id: &RequestId) -> Response<Bytes> {
    let fault = error.fault();
    let status = fault.status().unwrap_or(StatusCode::BAD_REQUEST);
    let report = Failure {
        r#type: fault.as_str(),
        message: chain(error),
        upstream: Some(upstream),
        request_id: Some(&id.text()),
    };
    let mut response = respond(status, report);
    match fault {
        Fault::ClientBodyAborted => close(&mut response),
        Fault::UpstreamConnect | Fault::UpstreamConnectTimeout => {
            response.extensions_mut().insert(GoElsewhere);
        }
        _ => {}
    }
    response
}

/// The request could be read two ways, or asks for what is not served; its connection ends.
fn refused(refusal: Refusal, id: &RequestId) -> Response<Bytes> {
    let status = match refusal {
        Refusal::Connect => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::BAD_REQUEST,
    };
    let report = Failure {
        r#type: refusal.as_str(),
        message: refusal.to_string(),
        upstream: None,
        request_id: Some(&id.text()),
    };
    let mut response = respond(status, report);
    close(&mut response);
    response
}

/// What came was no request: there is nothing to name or to record.
pub(super) fn to_no_request(reason: NoRequest) -> Response<Bytes> {
    let (status, message) = match reason {
        NoRequest::Bad(bad) => (status_of(bad), bad.to_string()),
        NoRequest::Late => {
            let message = "the request's head took longer than client.header_timeout";
            (StatusCode::REQUEST_TIMEOUT, message.to_owned())
        }
    };
    refusal(status, fault_of(reason), message)
}

pub(super) const fn fault_of(reason: NoRequest) -> Fault {
    match reason {
        NoRequest::Bad(_) => Fault::ClientProtocol,
        NoRequest::Late => Fault::ClientHeaderTimeout,
    }
}

/// The connection that brought this client was one too many.
pub(super) fn to_one_too_many() -> Response<Bytes> {
    let message = "there are as many connections as client.max_connections allows; come again";
    let fault = Fault::ClientConnectionLimit;
    let mut reply = refusal(StatusCode::SERVICE_UNAVAILABLE, fault, message.to_owned());
    reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

/// No exchange begins, and the connection ends.
fn refusal(status: StatusCode, fault: Fault, message: String) -> Response<Bytes> {
    let report = Failure { r#type: fault.as_str(), message, upstream: None, request_id: None };
    let mut response = respond(status, report);
    close(&mut response);
    response
}

fn status_of(bad: BadHead) -> StatusCode {
    match bad {
        BadHead::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        BadHead::TooManyFields(_) | BadHead::TooLong(_) => {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        }
        BadHead::Framing(BadFraming::UnknownEncoding) => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn respond(status: StatusCode, error: Failure<'_>) -> Response<Bytes> {
    // Strings and nothing else: there is nothing that could fail to serialize.
    let body = serde_json::to_vec(&Report { error }).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn close(response: &mut Response<Bytes>) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
