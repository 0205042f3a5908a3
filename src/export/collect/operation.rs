//! How the sidecar itself fares: what it kept, what waits, and every loss.

use super::Sources;
use crate::archive::State as ArchiveState;
use crate::config::Standing;
use crate::export::counters::ExporterName;
use crate::export::family::{Attribute, Family, Value, text};
use crate::export::names::{self, key};
use crate::pipeline::StateReport;
use std::borrow::Cow;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn families(sources: &Sources<'_>) -> Vec<Family> {
    let mut families = vec![
        exchanges(sources),
        Family::gauge(&names::CAPTURE_COVERAGE, sources.capture.coverage()),
    ];
    families.extend(queue(sources));
    families.extend(decode(sources));
    families.extend(sources.snapshot.archive.iter().flat_map(archive));
    families.extend(sources.snapshot.state.iter().flat_map(|report| state(report)));
    families.extend(config(sources.config));
    families.extend(exporters(sources));
    families.extend(buffered(sources));
    families
}

fn named(key: &'static str, value: &'static str) -> Attribute {
    (key, Cow::Borrowed(value))
}

fn exchanges(sources: &Sources<'_>) -> Family {
    let totals = sources.capture;
    let mut family = Family::new(&names::CAPTURE_EXCHANGES);
    let outcomes = [
        ("kept", None, totals.kept),
        ("sampled_out", None, totals.sampled_out),
        ("dropped", Some("queue_items"), totals.dropped_items),
        ("dropped", Some("queue_bytes"), totals.dropped_bytes),
        ("truncated", None, totals.truncated),
    ];
    let problems = &sources.snapshot.problems;
    let undecodable = problems.iter().map(|p| ("undecodable", Some(p.reason), p.count));
    for (outcome, reason, count) in outcomes.into_iter().chain(undecodable) {
        let mut attributes = vec![named(key::OUTCOME, outcome)];
        attributes.extend(reason.map(|reason| named(key::REASON, reason)));
        family.push(attributes, Value::Counter(count));
    }
    family.merged()
}

fn queue(sources: &Sources<'_>) -> [Family; 4] {
    let queue = sources.queue;
    [
        Family::gauge(&names::CAPTURE_QUEUE_LENGTH, queue.items as f64),
        Family::gauge(&names::CAPTURE_QUEUE_LENGTH_LIMIT, queue.limits.items.get() as f64),
        Family::gauge(&names::CAPTURE_QUEUE_SIZE, queue.bytes as f64),
        Family::gauge(&names::CAPTURE_QUEUE_SIZE_LIMIT, queue.limits.bytes.get() as f64),
    ]
}

fn decode(sources: &Sources<'_>) -> [Family; 2] {
    let mut rows = Family::new(&names::DECODE_ROWS);
    rows.push(vec![named(key::ROLE, "input")], Value::Counter(sources.snapshot.input_rows));
    rows.push(vec![named(key::ROLE, "output")], Value::Counter(sources.snapshot.output_rows));
    [Family::count(&names::DECODE_EXCHANGES, sources.snapshot.decoded_exchanges), rows]
}

fn archive(state: &ArchiveState) -> [Family; 6] {
    let mut exchanges = Family::new(&names::ARCHIVE_EXCHANGES);
    exchanges.push(vec![named(key::OUTCOME, "written")], Value::Counter(state.exchanges));
    exchanges.push(vec![named(key::OUTCOME, "lost")], Value::Counter(state.lost_exchanges));
    let healthy = f64::from(u8::from(state.last_error.is_none()));
    [
        exchanges,
        Family::gauge(&names::ARCHIVE_SIZE, state.bytes as f64),
        Family::gauge(&names::ARCHIVE_FILES, state.files as f64),
        Family::count(&names::ARCHIVE_EXPIRED_FILES, state.expired_files),
        Family::count(&names::ARCHIVE_ABANDONED_FILES, state.abandoned_files),
        Family::gauge(&names::ARCHIVE_HEALTHY, healthy),
    ]
}

fn state(report: &StateReport) -> [Family; 6] {
    let mut saves = Family::new(&names::STATE_SAVES);
    saves.push(vec![named(key::OUTCOME, "ok")], Value::Counter(report.saves));
    saves.push(vec![named(key::OUTCOME, "failed")], Value::Counter(report.failures));
    let healthy = f64::from(u8::from(report.last_error.is_none()));
    let mut last_save = Family::new(&names::STATE_LAST_SAVE);
    if let Some(at) = report.saved_at {
        last_save.push(Vec::new(), Value::Gauge(at.as_millisecond() as f64 / 1e3));
    }
    [
        saves,
        Family::gauge(&names::STATE_SIZE, report.bytes as f64),
        Family::gauge(&names::STATE_HEALTHY, healthy),
        last_save,
        Family::count(&names::STATE_REJECTED, report.rejected),
        Family::gauge(&names::STATE_UNWATCHED, report.unwatched_seconds),
    ]
}

fn config(standing: &Standing) -> [Family; 5] {
    let mut hash = Family::new(&names::CONFIG_HASH);
    hash.push(vec![(key::HASH, text(standing.hash.as_str()))], Value::Gauge(1.0));
    let mut reloads = Family::new(&names::CONFIG_RELOADS);
    let outcomes = [
        ("reloaded", standing.reloaded),
        ("unchanged", standing.unchanged),
        ("rejected", standing.rejected),
    ];
    for (outcome, count) in outcomes {
        reloads.push(vec![named(key::OUTCOME, outcome)], Value::Counter(count));
    }
    let is_healthy = standing.last_rejection.is_none();
    [
        hash,
        Family::gauge(&names::CONFIG_LAST_RELOAD, standing.since.as_millisecond() as f64 / 1e3),
        Family::gauge(&names::CONFIG_HEALTHY, f64::from(u8::from(is_healthy))),
        Family::gauge(&names::CONFIG_RESTART_REQUIRED, standing.restart_required.len() as f64),
        reloads,
    ]
}

fn exporters(sources: &Sources<'_>) -> [Family; 4] {
    let mut requests = Family::new(&names::EXPORT_REQUESTS);
    let mut sent = Family::new(&names::EXPORT_SENT);
    let mut dropped = Family::new(&names::EXPORT_DROPPED);
    let mut queued = Family::new(&names::EXPORT_QUEUE_LENGTH);
    for (exporter, signal, counts) in sources.exporters.iter() {
        let of = [named(key::EXPORTER, exporter.as_str()), named(key::SIGNAL, signal.as_str())];
        let with = |attribute| of.iter().cloned().chain([attribute]).collect();
        let ok = Value::Counter(counts.requests_ok.load(Relaxed));
        let failed = Value::Counter(counts.requests_failed.load(Relaxed));
        requests.push(with(named(key::OUTCOME, "ok")), ok);
        requests.push(with(named(key::OUTCOME, "failed")), failed);
        for loss in exporter.losses() {
            let reason = named(key::REASON, loss.as_str());
            dropped.push(with(reason), Value::Counter(counts.lost(*loss)));
        }
        sent.push(of.to_vec(), Value::Counter(counts.sent.load(Relaxed)));
        queued.push(of.to_vec(), Value::Gauge(counts.queued.load(Relaxed) as f64));
    }
    [requests, sent, dropped, queued]
}

/// What only the exporter to Application Insights has: a buffer on disk, limits of texts, and an answer
/// for each item.
fn buffered(sources: &Sources<'_>) -> Vec<Family> {
    const EXPORTER: ExporterName = ExporterName::ApplicationInsights;
    let exporter = || vec![named(key::EXPORTER, EXPORTER.as_str())];
    let Some(buffer) = sources.exporters.buffer() else { return Vec::new() };
    let mut refused = Family::new(&names::EXPORT_REFUSED);
    let mut cut = Family::new(&names::EXPORT_CUT);
    for (_, signal, counts) in sources.exporters.iter().filter(|(name, ..)| *name == EXPORTER) {
        let mut of = exporter();
        of.push(named(key::SIGNAL, signal.as_str()));
        for (status, items) in counts.by_status() {
            let status = (key::STATUS_CODE, text(status.to_string()));
            refused.push(of.iter().cloned().chain([status]).collect(), Value::Counter(items));
        }
        cut.push(of, Value::Counter(counts.cut.load(Relaxed)));
    }
    let healthy = f64::from(u8::from(!buffer.is_failing.load(Relaxed)));
    let gauges = [
        (&names::EXPORT_BUFFER_SIZE, buffer.bytes.load(Relaxed) as f64),
        (&names::EXPORT_BUFFER_SIZE_LIMIT, buffer.limit_bytes.load(Relaxed) as f64),
        (&names::EXPORT_BUFFER_HEALTHY, healthy),
    ];
    let gauges = gauges.map(|(metric, value)| {
        let mut family = Family::new(metric);
        family.push(exporter(), Value::Gauge(value));
        family
    });
    [refused, cut].into_iter().chain(gauges).collect()
}
