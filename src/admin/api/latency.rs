//! `GET /api/v1/latency`: quantiles now, requests since start, and the last ten minutes.

use crate::admin::history::Slot;
use crate::admin::quantiles::{self, Line};
use crate::admin::state::State;
use crate::capture::Fault;
use crate::latency::Snapshot;
use axum::Json;
use axum::extract::State as Handle;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Latency<'a> {
    /// Over all routes.
    phases: Vec<Line<'a>>,
    routes: Vec<Line<'a>>,
    requests: Vec<Requests<'a>>,
    /// In slots of ten seconds, oldest first.
    history: Vec<Slot>,
}

/// Requests since start, by how they ended.
#[derive(Serialize)]
struct Requests<'a> {
    route: &'a str,
    method: &'a str,
    /// Null if the client went away before an answer.
    status: Option<u16>,
    /// What went wrong on the way; null if nothing did.
    fault: Option<&'static str>,
    count: u64,
}

pub(super) async fn latency(Handle(state): Handle<Arc<State>>) -> Response {
    let snapshot = state.latency.load();
    Json(Latency {
        phases: quantiles::by_phase(&snapshot),
        routes: quantiles::by_route(&snapshot, &state.routes),
        requests: requests(&snapshot, &state),
        history: state.history.slots(600, 10),
    })
    .into_response()
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
