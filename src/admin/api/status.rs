//! `GET /api/v1/status`: what the sidecar is, and how it does.

use crate::admin::history::Slot;
use crate::admin::moment::Moment;
use crate::admin::state::{ExporterState, Readiness, Setting, State};
use crate::archive::State as ArchiveState;
use crate::capture::Totals;
use crate::config::{MemoryPlan, Standing};
use crate::drift::ReferenceState;
use crate::drift::Verdict;
use crate::labels::estimate::Estimates;
use crate::labels::{
    LabelFault, LabelWindow, PartPerformance, Performance, PerformanceReference, Source,
    SourceCounts,
};
use crate::pipeline::StateReport;
use crate::pipeline::{Problem, RouteDialect};
use axum::Json;
use axum::extract::State as Handle;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize, JsonSchema)]
pub(super) struct Status<'a> {
    version: &'a str,
    started_at: Timestamp,
    uptime_seconds: u64,
    model: Model<'a>,
    readiness: &'a Readiness,
    /// The worst of the last closed windows; null before the first.
    verdict: Option<Verdict>,
    windows: Vec<Window<'a>>,
    reference: &'a ReferenceState,
    traffic: Traffic<'a>,
    capture: Capture,
    decoded: Decoded<'a>,
    labels: Labels<'a>,
    archive: Option<&'a ArchiveState>,
    /// Of saving open windows, to go on with after a restart.
    state: Option<&'a StateReport>,
    exporters: &'a [ExporterState],
    memory: &'a MemoryPlan,
    config: &'a [Setting],
    /// How the configuration in force came about.
    reload: &'a Standing,
}

#[derive(Serialize, JsonSchema)]
struct Model<'a> {
    name: &'a str,
    version: &'a str,
}

/// The last closed window of one length.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LastWindow")]
struct Window<'a> {
    #[serde(rename = "window")]
    label: &'a str,
    end: Option<Timestamp>,
    rows: u64,
    coverage: f64,
    verdict: Verdict,
}

/// Since start, and the last slot of the charts.
#[derive(Serialize, JsonSchema)]
struct Traffic<'a> {
    requests: u64,
    errors: u64,
    active_requests: u64,
    open_connections: u64,
    last: Option<&'a Slot>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Capture {
    #[serde(flatten)]
    totals: Totals,
    coverage: f64,
    queue: Queue,
}

#[derive(Serialize, JsonSchema)]
struct Queue {
    items: usize,
    max_items: usize,
    bytes: usize,
    max_bytes: usize,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Decoded<'a> {
    exchanges: u64,
    input_rows: u64,
    output_rows: u64,
    problems: &'a [Problem],
    /// By route: what it speaks, how that was settled, and what of it could not be read.
    dialects: &'a [RouteDialect],
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Labels<'a> {
    predictions: u64,
    joined: u64,
    coverage: f64,
    unknown_ids: u64,
    duplicates: u64,
    late: u64,
    expired: u64,
    delay_p50_seconds: Option<f64>,
    delay_p95_seconds: Option<f64>,
    overall: Option<&'a Performance>,
    /// Of parts of the traffic, where `features.segments` names what they are told by.
    segments: Vec<&'a PartPerformance>,
    /// What windows are tested against.
    reference: &'a PerformanceReference,
    /// Shortest length first, then oldest first; in the status only the newest of each.
    windows: Vec<&'a LabelWindow>,
    /// What scores say of performance before labels come, of as many windows.
    estimates: Estimates,
    /// How often windows were emitted again, after late labels.
    revisions: u64,
    /// Windows given up over a bound of memory before their labels had come.
    forgotten_windows: u64,
    /// By where labels came from.
    sources: Vec<LabelSource>,
    /// Labels that could not be read, the newest few.
    faults: &'a [LabelFault],
}

#[derive(Serialize, JsonSchema)]
struct LabelSource {
    source: Source,
    #[serde(flatten)]
    counts: SourceCounts,
}

/// Of each length, in the status.
const NEWEST_WINDOWS: usize = 12;

pub(super) async fn status(Handle(state): Handle<Arc<State>>) -> Response {
    let moment = Moment::now(&state);
    Json(status_of(&moment)).into_response()
}

fn status_of<'a>(moment: &'a Moment<'a>) -> Status<'a> {
    let analysis = &*moment.analysis;
    Status {
        version: moment.state.version,
        started_at: moment.state.started_at,
        uptime_seconds: moment.uptime_seconds(),
        model: Model { name: &analysis.model_name, version: &analysis.model_version },
        readiness: &moment.readiness,
        verdict: moment.verdict(),
        windows: windows(moment),
        reference: &analysis.reference,
        traffic: Traffic {
            requests: moment.requests(),
            errors: moment.errors(),
            active_requests: moment.latency.active_requests,
            open_connections: moment.latency.open_connections,
            last: moment.slots.last(),
        },
        capture: capture(moment),
        decoded: decoded(moment),
        labels: labels(moment, None, NEWEST_WINDOWS),
        archive: analysis.archive.as_ref(),
        state: analysis.state.as_deref(),
        exporters: &moment.exporters,
        memory: &moment.state.memory,
        config: &moment.settings,
        reload: &moment.standing,
    }
}

pub(super) fn decoded<'a>(moment: &'a Moment<'a>) -> Decoded<'a> {
    let analysis = &*moment.analysis;
    Decoded {
        exchanges: analysis.decoded_exchanges,
        input_rows: analysis.input_rows,
        output_rows: analysis.output_rows,
        problems: &analysis.problems,
        dialects: &analysis.dialects,
    }
}

fn windows<'a>(moment: &'a Moment<'a>) -> Vec<Window<'a>> {
    let latest = moment.latest_windows().into_iter();
    let windows = latest.map(|report| Window {
        label: &report.window,
        end: report.end,
        rows: report.rows,
        coverage: report.coverage,
        verdict: report.verdict,
    });
    windows.collect()
}

pub(super) fn capture(moment: &Moment<'_>) -> Capture {
    let queue = &moment.state.queue;
    Capture {
        totals: moment.capture,
        coverage: moment.capture.coverage(),
        queue: Queue {
            items: queue.len(),
            max_items: queue.limits().items.get(),
            bytes: queue.held_bytes(),
            max_bytes: queue.limits().bytes.get(),
        },
    }
}

/// With the windows of one length, or of all; of each the newest.
pub(super) fn labels<'a>(
    moment: &'a Moment<'a>,
    length: Option<&str>,
    newest: usize,
) -> Labels<'a> {
    let report = &moment.analysis.labels;
    let lengths = report.lengths();
    let lengths = lengths.iter().filter(|of| length.is_none_or(|length| ***of == *length));
    let windows = lengths.flat_map(|length| {
        let windows: Vec<_> = report.of_length(length).map(|window| &**window).collect();
        windows.into_iter().rev().take(newest).rev()
    });
    Labels {
        predictions: report.predictions,
        joined: report.joined,
        coverage: report.coverage(),
        unknown_ids: report.unknown_ids,
        duplicates: report.duplicates,
        late: report.late,
        expired: report.expired,
        delay_p50_seconds: report.delay.quantile(0.5),
        delay_p95_seconds: report.delay.quantile(0.95),
        overall: report.overall.as_ref(),
        segments: report.parts.iter().map(|part| &**part).collect(),
        reference: &report.reference,
        windows: windows.collect(),
        estimates: report.estimates.newest(length, newest),
        revisions: report.revisions,
        forgotten_windows: report.forgotten_windows,
        sources: Source::ALL
            .into_iter()
            .zip(report.sources)
            .map(|(source, counts)| LabelSource { source, counts })
            .collect(),
        faults: &report.faults,
    }
}
