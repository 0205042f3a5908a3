//! From the checked configuration to what each stage is told; the pure stages know no configuration.

use super::StartError;
use crate::config::{Archive, Config, Model, PayloadProtocol};
use crate::{archive, decode, drift, labels, tap};

pub(super) fn decode(model: &Model) -> Result<decode::Settings, StartError> {
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
    Ok(decode::Settings {
        protocol: protocol(model.protocol),
        feature_names: model.feature_names.iter().map(|name| name.as_str().into()).collect(),
        signature,
        pointers,
        ..decode::Settings::default()
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

pub(super) fn drift(config: &Config) -> drift::Settings {
    let features = &config.features;
    drift::Settings {
        min_rows: config.drift.min_rows,
        false_discovery_rate: config.drift.false_discovery_rate,
        max_features: config.memory.bounds.max_features.get(),
        filter: drift::FeatureFilter::new(features.include.clone(), features.exclude.clone()),
        windows: config.windows.iter().map(|w| crate::config::format_duration(*w).into()).collect(),
    }
}

pub(super) fn labels(config: &Config) -> labels::Settings {
    labels::Settings {
        max_delay: config.labels.max_delay,
        max_pending: config.memory.bounds.max_pending_labels,
        window: config.windows.first().copied().unwrap_or(labels::Settings::default().window),
        ..labels::Settings::default()
    }
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

/// Spans are made only where somebody takes them; else trace headers pass as they are.
pub(super) fn tracing(config: &Config) -> tap::Tracing {
    let export = &config.export;
    let otlp = export.otlp.as_ref().filter(|otlp| otlp.traces.is_some());
    let insights = export.application_insights.as_ref().map(|insights| insights.sampler);
    match otlp.map(|otlp| otlp.sampler).or(insights) {
        Some(sampler) => tap::Tracing::On(sampler),
        None => tap::Tracing::Off,
    }
}
