//! `/api/v1`: what the page shows, as JSON, and the requests that change something.
//!
//! Every error is `{"error": "<word>", "message": "<text>"}`. Payloads need the admin token.

pub(super) mod exchanges;
mod features;
mod latency;
mod openapi;
mod status;
mod system;

use super::peer::Peer;
use super::refusal::Refusal;
use super::state::{LabelsRefused, State};
use super::token;
use crate::config::{Outcome, Problem, Rejected};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest as _, Request, State as Handle};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use std::sync::Arc;

/// The largest body that `POST /api/v1/labels` takes.
pub(super) const MAX_LABELS_BYTES: usize = 8 * 1024 * 1024;

pub(super) fn routes() -> Router<Arc<State>> {
    let labels = post(labels).layer(DefaultBodyLimit::max(MAX_LABELS_BYTES));
    Router::new()
        .route("/status", get(status::status))
        .route("/latency", get(latency::latency))
        .route("/features", get(features::features))
        .route("/features/{name}", get(features::feature))
        .route("/drift", get(features::drift))
        .route("/performance", get(system::performance))
        .route("/system", get(system::system))
        .route("/openapi.json", get(openapi::document))
        .route("/exchanges", get(exchanges::list))
        .route("/exchanges/{id}", get(exchanges::one))
        .route("/labels", labels)
        .route("/drain", post(drain))
        .route("/reload", post(reload))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
}

/// Takes ground truth: 200 with how many labels were taken and which lines were not, 400 if none could
/// be read, 413 over 8 MiB, 415 for a type that is none of JSON, NDJSON and CSV.
async fn labels(Handle(state): Handle<Arc<State>>, request: Request) -> Result<Response, Refusal> {
    let headers = request.headers().clone();
    refuse_cross_site(&headers)?;
    refuse_too_large(&headers)?;
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|rejection| unread_body(&rejection))?;
    let content_type = match headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) {
        Some(Ok(text)) => Some(text),
        Some(Err(_)) => return Err(unsupported_type("The content type is not text.")),
        None => None,
    };
    match (state.labels)(content_type, &body) {
        Ok(accepted) => Ok(Json(accepted).into_response()),
        Err(LabelsRefused::Malformed(why)) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, "malformed_labels", why))
        }
        Err(LabelsRefused::UnsupportedType(why)) => Err(unsupported_type(&why)),
        Err(LabelsRefused::Busy(why)) => {
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", why))
        }
    }
}

fn unsupported_type(why: &str) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", why)
}

/// A length that is announced is judged before the body is read; one that is not, while it is.
fn refuse_too_large(headers: &HeaderMap) -> Result<(), Refusal> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_LABELS_BYTES as u64) {
        return Err(too_large());
    }
    Ok(())
}

fn too_large() -> Refusal {
    let message = "More than 8 MiB of labels in one request; send them in several.";
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

fn unread_body(rejection: &BytesRejection) -> Refusal {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    Refusal::new(StatusCode::BAD_REQUEST, "unreadable_body", rejection.body_text())
}

/// Only whoever is on this host ends the traffic of it: a container's hook, and no neighbour of the pod.
async fn drain(
    Handle(state): Handle<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    refuse_cross_site(&headers)?;
    if peer == Peer::Elsewhere {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "not_from_this_host",
            "Draining is asked for from the sidecar's own host: run `taffrail drain` in its container.",
        ));
    }
    (state.drain)();
    Ok(Json((state.readiness)()).into_response())
}

/// Takes the configuration over as it is now: 200 with what is new and what waits for a restart, 422
/// with every problem if it was rejected, 503 from a process that is ending. Where an admin token is
/// configured, the one in force is needed.
async fn reload(
    Handle(state): Handle<Arc<State>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    refuse_cross_site(&headers)?;
    if let Some(token) = state.token.load_full() {
        token::require(Some(&token), &headers)?;
    }
    match (state.reload)().await {
        Some(Outcome::Reloaded(reloaded)) => Ok(Json(reloaded).into_response()),
        Some(Outcome::Rejected(rejected)) => {
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(Refused::of(&rejected))).into_response())
        }
        None => Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "The process is ending, or reloads are asked for faster than they are done.",
        )),
    }
}

/// A refusal that has the problems one by one too.
#[derive(Serialize)]
struct Refused<'a> {
    error: &'static str,
    message: String,
    /// Of the configuration that stays in force.
    hash: &'a str,
    problems: Vec<&'a Problem>,
}

impl<'a> Refused<'a> {
    fn of(rejected: &'a Rejected) -> Self {
        Self {
            error: "configuration_refused",
            message: rejected.problems.to_string(),
            hash: &rejected.hash,
            problems: rejected.problems.iter().collect(),
        }
    }
}

/// A page of another site must not change what is known of the model through a visitor's browser.
pub(super) fn refuse_cross_site(headers: &HeaderMap) -> Result<(), Refusal> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    match site {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "A browser sent this on behalf of another site.",
        )),
    }
}

pub(super) async fn unknown() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "No such path. There are /api/v1/status, latency, features, drift, performance, exchanges, \
         system, labels, drain, reload; /api/v1/openapi.json describes them.",
    )
}

pub(super) async fn wrong_method() -> Refusal {
    let message = "This path does not take that method; see the Allow header.";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
