//! From the checked configuration to what each stage is told; the pure stages know no configuration.

use super::StartError;
use crate::capture::{RouteTable, SampleRate};
use crate::config::{
    Archive, BaselineSource, Config, EarlierWindow, Features, Model, PayloadProtocol, Segment,
};
use crate::drift::{Baseline, Reference};
use crate::{admin, archive, decode, drift, labels, proxy, tap};
use std::sync::Arc;

/// How much longer than what is kept of a body it may be once its content coding is undone.
const PLAIN_BODIES: usize = 2;

/// What analysis reads from files before it can begin.
pub(super) struct Analysis {
    pub(super) decode: decode::Settings,
    pub(super) reference: Reference,
}

impl Analysis {
    /// All that is wrong, and not the first.
    pub(super) fn read(config: &Config) -> Result<Self, Vec<StartError>> {
        match (decode(&config.model, config.capture.max_body_bytes), reference(&config.baseline)) {
            (Ok(decode), Ok(reference)) => Ok(Self { decode, reference }),
            (decode, reference) => Err(decode.err().into_iter().chain(reference.err()).collect()),
        }
    }
}

/// Everything that a start would find wrong with what the keys name; nothing is started.
pub(super) fn faults(config: &Config) -> Vec<StartError> {
    let mut faults = Analysis::read(config).err().unwrap_or_default();
    faults.extend(RouteTable::new(&config.routes).err().map(StartError::from));
    faults
}

fn reference(source: &BaselineSource) -> Result<Reference, StartError> {
    match source {
        BaselineSource::Learn { rows } => Ok(Reference::Learn { rows: *rows }),
        BaselineSource::File(path) => {
            let bytes = std::fs::read(path)
                .map_err(|source| StartError::ReadBaseline { path: path.clone(), source })?;
            let baseline = Baseline::from_json(&bytes)
                .map_err(|source| StartError::Baseline { path: path.clone(), source })?;
            Ok(Reference::Baseline(Arc::new(baseline)))
        }
    }
}

pub(super) fn serving(config: &Config, rate: &Arc<SampleRate>) -> proxy::Live {
    let capture = &config.capture;
    proxy::Live {
        client: config.client,
        upstream: config.upstream.clone(),
        tap: tap::Settings {
            enabled: capture.enabled,
            sample: Arc::clone(rate),
            max_body_bytes: capture.max_body_bytes,
            headers: kept_headers(config),
        },
        tracing: tracing(config),
    }
}

/// Those that are asked for, and those that tell segments and labels.
fn kept_headers(config: &Config) -> Arc<[http::HeaderName]> {
    let mut headers = config.capture.headers.clone();
    let told_by = config.features.segment_headers().chain(&config.labels.response_header);
    for header in told_by {
        if !headers.contains(header) {
            headers.push(header.clone());
        }
    }
    headers.into()
}

/// As the page lists them.
pub(super) fn listing(config: &Config) -> Vec<admin::Setting> {
    let listing = config.effective().iter();
    listing
        .map(|entry| admin::Setting {
            key: entry.key.to_string(),
            value: entry.value.clone(),
            source: entry.source.clone(),
        })
        .collect()
}

pub(super) fn decode(model: &Model, max_body_bytes: usize) -> Result<decode::Settings, StartError> {
    let signature = match &model.signature {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| StartError::ReadSignature { path: path.clone(), source })?;
            let signature = decode::Signature::from_mlmodel(&text)
                .map_err(|source| StartError::Signature { path: path.clone(), source })?;
            Some(signature)
        }
    };
    let pointers = model.pointers.as_ref();
    let pointers = decode::Pointers {
        inputs: pointer("model.pointers.inputs", pointers.and_then(|p| p.inputs.as_deref()))?,
        outputs: pointer("model.pointers.outputs", pointers.and_then(|p| p.outputs.as_deref()))?,
    };
    let limits = decode::Limits {
        max_plain_bytes: max_body_bytes.saturating_mul(PLAIN_BODIES),
        ..decode::Limits::default()
    };
    Ok(decode::Settings {
        protocol: protocol(model.protocol),
        feature_names: model.feature_names.iter().map(|name| name.as_str().into()).collect(),
        signature,
        pointers,
        limits,
    })
}

fn pointer(key: &'static str, text: Option<&str>) -> Result<Option<decode::Pointer>, StartError> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|source| StartError::Pointer { key, source })
}

fn protocol(protocol: PayloadProtocol) -> decode::Protocol {
    match protocol {
        PayloadProtocol::Auto => decode::Protocol::Auto,
        PayloadProtocol::OpenInferenceV2 => decode::Protocol::OpenInferenceV2,
        PayloadProtocol::KserveV1 => decode::Protocol::KserveV1,
        PayloadProtocol::Mlflow => decode::Protocol::Mlflow,
        PayloadProtocol::AzureMl => decode::Protocol::AzureMl,
        PayloadProtocol::Csv => decode::Protocol::Csv,
        PayloadProtocol::Pointers => decode::Protocol::Pointers,
    }
}

pub(crate) fn drift(config: &Config) -> drift::Settings {
    let features = &config.features;
    let earlier = |reference: &EarlierWindow| match reference {
        EarlierWindow::Previous => drift::Earlier::Previous,
        EarlierWindow::SameHourYesterday => drift::Earlier::SameHourYesterday,
        EarlierWindow::SameHourLastWeek => drift::Earlier::SameHourLastWeek,
    };
    drift::Settings {
        min_rows: config.drift.min_rows,
        false_discovery_rate: config.drift.false_discovery_rate,
        persistence: persistence(config.drift.persistence),
        max_features: config.memory.bounds.max_features.get(),
        filter: drift::FeatureFilter::new(features.include.clone(), features.exclude.clone()),
        windows: config.windows.iter().map(|w| crate::config::format_duration(*w).into()).collect(),
        references: config.drift.references.iter().map(earlier).collect(),
        reference_bytes: config.memory.bounds.reference_bytes,
        segments: segments(config),
        attribution: attribution(features),
        early: early(config),
    }
}

fn segments(config: &Config) -> drift::SegmentSettings {
    let key = |segment: &Segment| match segment {
        Segment::Feature(name) => drift::SegmentKey::Feature(name.as_str().into()),
        Segment::Header(name) => drift::SegmentKey::Header(name.as_str().into()),
    };
    drift::SegmentSettings {
        keys: config.features.segments.iter().map(key).collect(),
        max_values: config.features.max_segments,
        max_cells: config.memory.bounds.segment_windows,
    }
}

fn attribution(features: &Features) -> drift::AttributionSettings {
    let importance = features.importance.iter();
    drift::AttributionSettings {
        importance: importance.map(|(name, weight)| (name.as_str().into(), *weight)).collect(),
        prefixes: features
            .attribution_prefixes
            .iter()
            .map(|prefix| prefix.as_str().into())
            .collect(),
    }
}

fn early(config: &Config) -> Option<drift::EarlySettings> {
    let average_run_length = config.drift.average_run_length;
    let window = config.windows.first().copied()?;
    config.drift.early_warning.then_some(drift::EarlySettings { average_run_length, window })
}

/// What was checked cannot ask for more windows than there are.
fn persistence(checked: crate::config::Persistence) -> drift::Persistence {
    drift::Persistence::new(checked.least, checked.of).unwrap_or_default()
}

/// `reference` may bring what labels said of its rows.
pub(super) fn labels(config: &Config, reference: &Reference) -> labels::Settings {
    let performance = match reference {
        Reference::Baseline(baseline) => baseline.performance(),
        Reference::Learn { .. } => None,
    };
    labels::Settings {
        max_delay: config.labels.max_delay,
        max_pending: config.memory.bounds.max_pending_labels,
        windows: config.windows.iter().map(|length| window_length(*length)).collect(),
        // Beside a row that waits, windows hold a few counts a row.
        max_cells: config.memory.bounds.max_pending_labels.get().saturating_mul(4),
        reference_rows: config.labels.reference_rows,
        rule: labels::Rule {
            min_rows: config.drift.min_rows,
            rate: config.drift.false_discovery_rate,
        },
        reference: performance.map(|performance| Arc::clone(&performance.summary)),
        calibration: performance.and_then(|performance| performance.scores.clone()),
        score_columns: performance.map(|p| p.score_columns.clone()).unwrap_or_default(),
        prediction: performance.and_then(|performance| performance.prediction.clone()),
        ..labels::Settings::default()
    }
}

fn window_length(length: std::time::Duration) -> labels::WindowLength {
    labels::WindowLength { name: crate::config::format_duration(length).into(), length }
}

pub(super) fn archive(config: &Config) -> Option<archive::Settings> {
    let bounds = &config.memory.bounds;
    match &config.archive {
        Archive::Off => None,
        Archive::Local { directory, max_bytes, rotate_bytes, rotate_interval } => {
            Some(archive::Settings {
                max_bytes: *max_bytes,
                rotate_bytes: *rotate_bytes,
                rotate_interval: *rotate_interval,
                queue_bytes: bounds.archive_queue_bytes,
                row_group_bytes: bounds.archive_group_bytes,
                ..archive::Settings::new(directory)
            })
        }
    }
}

pub(super) fn archive_bounds(archive: &Archive) -> Option<archive::Bounds> {
    match *archive {
        Archive::Off => None,
        Archive::Local { max_bytes, rotate_bytes, rotate_interval, .. } => {
            Some(archive::Bounds { max_bytes, rotate_bytes, rotate_interval })
        }
    }
}

/// Spans are made only where somebody takes them; else trace headers pass as they are.
fn tracing(config: &Config) -> tap::Tracing {
    let export = &config.export;
    let otlp = export.otlp.as_ref().filter(|otlp| otlp.traces.is_some());
    let insights = export.application_insights.as_ref().map(|insights| insights.sampler);
    match otlp.map(|otlp| otlp.sampler).or(insights) {
        Some(sampler) => tap::Tracing::On(sampler),
        None => tap::Tracing::Off,
    }
}
