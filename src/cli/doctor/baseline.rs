//! The baseline: can it be used, and is it of this model and this traffic?

use super::Finding;
use super::ports::Running;
use crate::cli::input::read_baseline;
use crate::config::{BaselineSource, Config, Segment};
use crate::decode::Signature;
use crate::drift::{Baseline, SegmentKey};
use crate::sketch::Role;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

const CHECK: &str = "baseline";
/// Rows without a sign of a feature that are no accident any more.
const ENOUGH_ROWS: u64 = 100;

pub(super) fn check(config: &Config, running: Option<&Running>, findings: &mut Vec<Finding>) {
    let signature = signature(config, findings);
    let path = match &config.baseline {
        BaselineSource::File(path) => path,
        BaselineSource::Learn { rows } => {
            let seen = format!("none is given: the first {rows} rows of live traffic become it");
            return findings.push(Finding::ok(CHECK, seen));
        }
    };
    let baseline = match read_baseline(path) {
        Ok(baseline) => baseline,
        Err(error) => {
            let advice = "build one with `taffrail baseline build --from DATA --out FILE`";
            return findings.push(Finding::fail(CHECK, error.to_string(), advice));
        }
    };
    findings.push(loaded(path, &baseline, config.memory.bounds.max_features.get()));
    let inputs = inputs_of(&baseline);
    findings.extend(segments(config, &baseline, &inputs));
    if let Some(signature) = &signature {
        findings.push(signed(&inputs, signature));
    }
    if let Some(running) = running {
        findings.extend(live(&baseline, running));
    }
}

fn signature(config: &Config, findings: &mut Vec<Finding>) -> Option<Signature> {
    const CHECK: &str = "signature";
    let path = config.model.signature.as_ref()?;
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let parsed =
        read.and_then(|text| Signature::from_mlmodel(&text).map_err(|error| super::chain(&error)));
    match parsed {
        Ok(signature) => Some(signature),
        Err(why) => {
            let seen = format!("{}: {why}", path.display());
            findings.push(Finding::fail(CHECK, seen, "correct model.signature, or remove the key"));
            None
        }
    }
}

fn inputs_of(baseline: &Baseline) -> BTreeSet<String> {
    let inputs = baseline.features().iter().filter(|feature| feature.key().role == Role::Input);
    inputs.map(|feature| feature.key().name.to_string()).collect()
}

fn loaded(path: &Path, baseline: &Baseline, max_features: usize) -> Finding {
    let written = std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let age = written.and_then(|at| SystemTime::now().duration_since(at).ok());
    let age = age.map_or(String::new(), |age| format!(", {} days old", age.as_secs() / 86_400));
    let features = baseline.features().len();
    let seen = format!(
        "{}: {} rows, {features} features, hash {}{age}",
        path.display(),
        baseline.rows(),
        baseline.hash()
    );
    if features > max_features {
        let advice = format!(
            "only the first {max_features} are watched: raise features.max, or leave some out by \
             features.include"
        );
        return Finding::warn(CHECK, seen, advice);
    }
    Finding::ok(CHECK, seen)
}

/// Parts of the traffic that are told apart by inputs, and whether the baseline has recorded any.
fn segments(config: &Config, baseline: &Baseline, inputs: &BTreeSet<String>) -> Vec<Finding> {
    const CHECK: &str = "segments";
    let names = config.features.segments.iter().filter_map(|segment| match segment {
        Segment::Feature(name) => Some(name),
        Segment::Header(_) => None,
    });
    let of = |name: &str| {
        let key = SegmentKey::Feature(name.into());
        baseline.segments().iter().filter(|segment| *segment.key() == key).count()
    };
    let finding = |name: &String| match of(name) {
        0 if !inputs.contains(name) => Finding::warn(
            CHECK,
            format!("the baseline has no input {name}"),
            "correct features.segments: if no request carries it, all rows are in one segment",
        ),
        0 => Finding::warn(
            CHECK,
            format!("the baseline has recorded no rows by {name}: each segment learns its own"),
            format!("build it with `taffrail baseline build --segments {name}`"),
        ),
        1 => Finding::ok(CHECK, format!("{name}: the baseline has recorded 1 value")),
        many => Finding::ok(CHECK, format!("{name}: the baseline has recorded {many} values")),
    };
    names.map(finding).collect()
}

fn signed(inputs: &BTreeSet<String>, signature: &Signature) -> Finding {
    const CHECK: &str = "signature";
    let names = signature.inputs.iter().filter_map(|field| field.name.as_deref());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    if names.is_empty() {
        return Finding::ok(CHECK, "it names no inputs; there is nothing to compare");
    }
    let unsigned = listed(inputs.difference(&names));
    let unknown = listed(names.difference(inputs));
    if unsigned.is_none() && unknown.is_none() {
        return Finding::ok(CHECK, format!("the baseline has its {} inputs", names.len()));
    }
    let mut seen = Vec::new();
    seen.extend(unknown.map(|names| format!("the baseline lacks {names}")));
    seen.extend(unsigned.map(|names| format!("the model does not take {names}")));
    let advice = "the baseline is of another model or version: build it from this model's inputs";
    Finding::warn(CHECK, seen.join("; "), advice)
}

/// What a sidecar at work has seen, beside what the baseline would have it see.
fn live(baseline: &Baseline, running: &Running) -> Vec<Finding> {
    const CHECK: &str = "live data";
    let compared = running.status.pointer("/reference/hash").and_then(Value::as_str);
    if compared != Some(baseline.hash()) {
        let seen = format!("the sidecar compares with {}", compared.unwrap_or("no baseline yet"));
        let advice = "restart it to use this baseline";
        return vec![Finding::warn(CHECK, seen, advice)];
    }
    let rows = running.status.pointer("/decoded/input_rows").and_then(Value::as_u64).unwrap_or(0);
    if rows < ENOUGH_ROWS {
        return vec![Finding::ok(CHECK, format!("{rows} rows were seen, too few to say more"))];
    }
    let features = running.features["features"].as_array().map_or(&[][..], Vec::as_slice);
    let is_unseen = |feature: &&Value| feature["rows_total"].as_u64() == Some(0);
    let unseen = features.iter().filter(is_unseen).filter_map(|f| f["feature"].as_str());
    let unseen: Vec<_> = unseen.map(str::to_owned).collect();
    let extra = running.features["features_not_in_baseline"].as_u64().unwrap_or(0);
    let mut findings = Vec::new();
    if let Some(names) = listed(unseen.iter()) {
        let seen = format!("{rows} rows were seen, none with {names}");
        let advice = "requests spell these otherwise, or do not send them: compare with the names at \
                      /api/v1/exchanges, and set model.feature_names for features without names";
        findings.push(Finding::warn(CHECK, seen, advice));
    }
    if extra > 0 {
        let seen = format!("{extra} features that requests carry are not in the baseline");
        let advice = "they are not judged: build the baseline anew, `taffrail baseline build --from` \
                      the data directory";
        findings.push(Finding::warn(CHECK, seen, advice));
    }
    if findings.is_empty() {
        let seen = format!("{rows} rows were seen; every feature of the baseline is among them");
        findings.push(Finding::ok(CHECK, seen));
    }
    findings
}

/// The first few of the names; `None` of none.
fn listed<'a>(names: impl Iterator<Item = &'a String>) -> Option<String> {
    const SHOWN: usize = 8;
    let names: Vec<_> = names.map(String::as_str).collect();
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match (names.len(), more) {
        (0, _) => None,
        (_, 0) => Some(shown),
        _ => Some(format!("{shown} and {more} more")),
    }
}
