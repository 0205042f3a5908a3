//! `GET /api/v1/features`, `/api/v1/features/{name}` and `/api/v1/drift`.

use crate::admin::moment::{Moment, feature_verdict, report_of};
use crate::admin::query::Parameters;
use crate::admin::refusal::Refusal;
use crate::admin::state::State;
use crate::drift::{
    EarlyWarnings, FeatureReport, FeatureView, SegmentReport, Shape, Shift, Verdict, WindowReport,
    shifts,
};
use crate::sketch::Role;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Handle};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// The answer to `GET /api/v1/features`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Watched<'a> {
    features: &'a [FeatureView],
    /// Seen, but over `features.max`, and so not watched.
    features_over_limit: u64,
    /// Carried by requests, but not in the baseline, and so not judged.
    features_not_in_baseline: u64,
}

/// The answer to `GET /api/v1/features?segment=`: all features of one part of the traffic in its last
/// closed window.
#[derive(Serialize, JsonSchema)]
pub(super) struct OfSegment<'a> {
    window: &'a str,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    #[serde(flatten)]
    report: &'a SegmentReport,
}

/// Either answer to `GET /api/v1/features`.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Features<'a> {
    Watched(Watched<'a>),
    OfSegment(OfSegment<'a>),
}

/// The answer to `GET /api/v1/features/{name}`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Feature<'a> {
    #[serde(flatten)]
    view: &'a FeatureView,
    /// Of the last window; null before the first.
    verdict: Option<Verdict>,
    /// How each bin moved, in their order; empty without recent rows or a baseline.
    shifts: Vec<Shift>,
    /// The length of `windows`; null before the first has closed.
    window: Option<Arc<str>>,
    /// Oldest first.
    windows: Vec<FeatureWindow<'a>>,
}

/// One window of one feature.
#[derive(Serialize, JsonSchema)]
struct FeatureWindow<'a> {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    coverage: f64,
    verdict: Verdict,
    /// As in `/api/v1/drift`.
    report: &'a FeatureReport,
    shape: &'a Shape,
}

/// The answer to `GET /api/v1/drift`, in the shape of `taffrail drift --format json`: windows of every
/// length, oldest first.
#[derive(Serialize, JsonSchema)]
pub(super) struct Drift<'a> {
    baseline: Baseline,
    windows: Vec<&'a WindowReport>,
    /// Of rows as they come, before their window ends; null where it is off, and while the baseline is
    /// learned. `taffrail drift` has none: rows of a file have come all at once.
    early_warning: Option<&'a EarlyWarnings>,
}

#[derive(Serialize, JsonSchema)]
struct Baseline {
    rows: u64,
}

pub(super) async fn features(
    Handle(state): Handle<Arc<State>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let parameters = Parameters::of(&uri);
    parameters.only(&["segment", "window"])?;
    if parameters.get("segment").is_some() {
        return of_segment(&state, &parameters);
    }
    if parameters.get("window").is_some() {
        let message = "`window` says in which windows to look for a `segment`, and none is given; \
                       /api/v1/features/{name} and /api/v1/drift have the windows of all rows.";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_query", message));
    }
    let analysis = state.analysis.load();
    let features_over_limit = analysis.features_over_limit;
    let features_not_in_baseline = analysis.extra_features;
    let features = &analysis.features;
    let watched = Watched { features, features_over_limit, features_not_in_baseline };
    Ok(Json(Features::Watched(watched)).into_response())
}

/// In the shortest window that has the segment, unless `window` says which.
fn of_segment(state: &State, parameters: &Parameters) -> Result<Response, Refusal> {
    let moment = Moment::now(state);
    let wanted = parameters.get("segment").unwrap_or_default();
    let length = match parameters.get("window") {
        None => None,
        Some(_) => length(parameters, &moment)?,
    };
    let windows = moment.analysis.segments.iter();
    let mut windows =
        windows.filter(|w| length.as_deref().is_none_or(|length| *w.window == *length));
    let found = windows.find_map(|window| {
        let report = window.segments.iter().find(|segment| *segment.segment == *wanted)?;
        let (start, end) = (window.start, window.end);
        Some(OfSegment { window: &window.window, start, end, report })
    });
    let found = found.ok_or_else(|| {
        let message =
            "The last closed window has no such segment; /api/v1/drift lists those it has.";
        Refusal::new(StatusCode::NOT_FOUND, "unknown_segment", message)
    })?;
    Ok(Json(Features::OfSegment(found)).into_response())
}

/// Of several features of one name the input, unless `role` says otherwise.
pub(super) async fn feature(
    Handle(state): Handle<Arc<State>>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let parameters = Parameters::of(&uri);
    parameters.only(&["role", "window"])?;
    let moment = Moment::now(&state);
    let role = parameters.one_of("role", &[Role::Input, Role::Output], Role::as_str)?;
    let length = length(&parameters, &moment)?;
    let view = name.ok().and_then(|Path(name)| moment.feature(role, &name)).ok_or_else(|| {
        let message = "No such feature is watched; /api/v1/features lists those that are.";
        Refusal::new(StatusCode::NOT_FOUND, "unknown_feature", message)
    })?;
    let windows = length.as_deref().map(|length| moment.windows_of(length)).unwrap_or_default();
    let windows: Vec<_> =
        windows.into_iter().filter_map(|window| of_window(window, view)).collect();
    let verdict = windows.last().map(|window| window.verdict);
    let answer = Feature { view, verdict, shifts: shifts(view), window: length, windows };
    Ok(Json(answer).into_response())
}

fn of_window<'a>(window: &'a WindowReport, view: &FeatureView) -> Option<FeatureWindow<'a>> {
    let report = report_of(window, view.role, &view.feature)?;
    Some(FeatureWindow {
        start: window.start,
        end: window.end,
        coverage: window.coverage,
        verdict: feature_verdict(report),
        report,
        shape: &report.shape,
    })
}

/// The one that is asked for, or the shortest that has closed.
fn length(parameters: &Parameters, moment: &Moment<'_>) -> Result<Option<Arc<str>>, Refusal> {
    let lengths = moment.lengths();
    let known = lengths.iter().map(|length| format!("`{length}`")).collect::<Vec<_>>().join(", ");
    let allowed = if known.is_empty() { "none, as no window has closed yet" } else { &known };
    let find = |text: &str| lengths.iter().find(|length| &***length == text).cloned();
    let given = parameters.read("window", allowed, find)?;
    Ok(given.or_else(|| lengths.first().cloned()))
}

/// `window` keeps those of one length, `last` the newest so many.
pub(super) async fn drift(
    Handle(state): Handle<Arc<State>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let parameters = Parameters::of(&uri);
    parameters.only(&["window", "last"])?;
    let moment = Moment::now(&state);
    let last = parameters.whole("last", usize::MAX)?.unwrap_or(usize::MAX);
    let length = match parameters.get("window") {
        None => None,
        Some(_) => length(&parameters, &moment)?,
    };
    let windows = moment.analysis.windows.iter().map(|report| &**report);
    let mut windows: Vec<_> = windows
        .filter(|report| length.as_deref().is_none_or(|length| *report.window == *length))
        .collect();
    windows.drain(..windows.len().saturating_sub(last));
    let baseline = Baseline { rows: moment.baseline_rows() };
    let early_warning = moment.analysis.early.as_deref();
    Ok(Json(Drift { baseline, windows, early_warning }).into_response())
}
