//! `GET /api/v1/latency`: quantiles now, requests since start, and a stretch of time as slots and as a
//! heat map.

use crate::admin::history::{Heat, Range, Slot, Stretch};
use crate::admin::quantiles::{self, Line};
use crate::admin::query::Parameters;
use crate::admin::refusal::Refusal;
use crate::admin::state::State;
use crate::capture::Fault;
use crate::latency::{Operation, Snapshot};
use axum::Json;
use axum::extract::State as Handle;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize, JsonSchema)]
pub(super) struct Latency<'a> {
    /// Over all routes.
    phases: Vec<Line<'a>>,
    routes: Vec<Line<'a>>,
    requests: Vec<Requests<'a>>,
    /// Whether errors and latency are as usual.
    operations: &'a [Operation],
    range: Range,
    /// In slots of ten seconds (`10m`), a minute (`1h`) or a quarter of an hour (`24h`), oldest first.
    history: Vec<Slot>,
    /// Of the same slots.
    heatmap: Heat,
}

/// Requests since start, by how they ended.
#[derive(Serialize, JsonSchema)]
struct Requests<'a> {
    route: &'a str,
    method: &'a str,
    /// Null if the client went away before an answer.
    status: Option<u16>,
    /// What went wrong on the way; null if nothing did.
    fault: Option<&'static str>,
    count: u64,
}

pub(super) async fn latency(
    Handle(state): Handle<Arc<State>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let parameters = Parameters::of(&uri);
    parameters.only(&["range"])?;
    let range = parameters.one_of("range", &Range::ALL, Range::as_str)?.unwrap_or_default();
    let snapshot = state.latency.load();
    let Stretch { slots, heat } = state.history.stretch(range);
    let answer = Latency {
        phases: quantiles::by_phase(&snapshot),
        routes: quantiles::by_route(&snapshot, &state.routes),
        requests: requests(&snapshot, &state),
        operations: &snapshot.operations,
        range,
        history: slots,
        heatmap: heat,
    };
    Ok(Json(answer).into_response())
}

fn requests<'a>(snapshot: &'a Snapshot, state: &'a State) -> Vec<Requests<'a>> {
    let requests = snapshot.requests.iter().map(|series| Requests {
        route: state.routes.template(series.route),
        method: series.method.as_str(),
        status: series.outcome.status.map(|status| status.as_u16()),
        fault: series.outcome.fault.map(Fault::as_str),
        count: series.duration.count(),
    });
    requests.collect()
}
