//! `GET /api/v1/performance` and `GET /api/v1/system`: what those pages show, as JSON.

use super::status::{Capture, Decoded, Labels, capture, decoded, labels};
use crate::admin::moment::Moment;
use crate::admin::query::Parameters;
use crate::admin::refusal::Refusal;
use crate::admin::state::{ExporterState, Readiness, Setting, State};
use crate::archive::State as ArchiveState;
use axum::Json;
use axum::extract::State as Handle;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// The process, what it lost, where it sends, how it is set.
#[derive(Serialize, JsonSchema)]
pub(super) struct System<'a> {
    version: &'a str,
    started_at: Timestamp,
    uptime_seconds: u64,
    readiness: &'a Readiness,
    /// Where clients send their requests, and where they go on to.
    traffic_url: &'a str,
    upstream_url: &'a str,
    active_requests: u64,
    open_connections: u64,
    capture: Capture,
    decoded: Decoded<'a>,
    /// Null where nothing is recorded.
    archive: Option<&'a ArchiveState>,
    exporters: &'a [ExporterState],
    /// Secrets are hidden.
    config: &'a [Setting],
}

/// `window` keeps windows of one length, `last` the newest so many of each.
pub(super) async fn performance(
    Handle(state): Handle<Arc<State>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let parameters = Parameters::of(&uri);
    parameters.only(&["window", "last"])?;
    let moment = Moment::now(&state);
    let last = parameters.whole("last", usize::MAX)?.unwrap_or(usize::MAX);
    let lengths = moment.analysis.labels.lengths();
    let known = lengths.iter().map(|length| format!("`{length}`")).collect::<Vec<_>>().join(", ");
    let allowed = if known.is_empty() { "none, as nothing was predicted yet" } else { &known };
    let find = |text: &str| lengths.iter().find(|length| &***length == text).cloned();
    let length = parameters.read("window", allowed, find)?;
    let answer: Labels<'_> = labels(&moment, length.as_deref(), last);
    Ok(Json(answer).into_response())
}

pub(super) async fn system(
    Handle(state): Handle<Arc<State>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    Parameters::of(&uri).only(&[])?;
    let moment = Moment::now(&state);
    let answer = System {
        version: moment.state.version,
        started_at: moment.state.started_at,
        uptime_seconds: moment.uptime_seconds(),
        readiness: &moment.readiness,
        traffic_url: &moment.state.traffic_url,
        upstream_url: &moment.state.upstream_url,
        active_requests: moment.latency.active_requests,
        open_connections: moment.latency.open_connections,
        capture: capture(&moment),
        decoded: decoded(&moment),
        archive: moment.analysis.archive.as_ref(),
        exporters: &moment.exporters,
        config: &moment.settings,
    };
    Ok(Json(answer).into_response())
}
