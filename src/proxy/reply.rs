//! Answers of the proxy's own, where there is none of the model's: small JSON that says what failed.

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
    request_id: &'a str,
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
        request_id: &id.text(),
    };
    let mut response = respond(status, report);
    if fault == Fault::ClientBodyAborted {
        close(&mut response);
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
        request_id: &id.text(),
    };
    let mut response = respond(status, report);
    close(&mut response);
    response
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
