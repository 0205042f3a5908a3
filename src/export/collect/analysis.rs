//! Features and drift, as analysis last published them; performance beside them.

mod performance;

use crate::drift::{
    Checked, FeatureReport, FeatureView, Quality, ReferenceState, Verdict, WarningState,
    WindowReport,
};
use crate::export::family::{Attribute, Family, Value, text};
use crate::export::names::{self, key};
use crate::pipeline::Snapshot;
use crate::sketch::Role;
use std::borrow::Cow;
use std::sync::Arc;

pub(super) fn families(snapshot: &Snapshot) -> Vec<Family> {
    let mut families = bins(snapshot);
    families.push(Family::gauge(&names::FEATURES_OVER_LIMIT, snapshot.features_over_limit as f64));
    families.extend(baseline(&snapshot.reference));
    families.extend(quality(&snapshot.features));
    let latest = latest_of_each_length(snapshot);
    families.extend(checks(&latest));
    families.extend(drift(&latest));
    families.extend(joint(&latest));
    families.push(early(snapshot));
    families.extend(super::earlier::families(&latest, &snapshot.held_references));
    families.extend(super::segments::families(&latest));
    let mut performance = performance::families(&snapshot.labels);
    super::segments::performance(&mut performance, &snapshot.labels.parts);
    families.extend(performance);
    families
}

const CHECKS: [(&str, &names::Metric); 4] = [
    ("null", &names::QUALITY_NULL_RATIO),
    ("type_error", &names::QUALITY_TYPE_ERROR_RATIO),
    ("out_of_bounds", &names::QUALITY_OUT_OF_BOUNDS_RATIO),
    ("new_category", &names::QUALITY_NEW_CATEGORY_RATIO),
];

pub(super) fn feature(name: &str, role: Role) -> Vec<Attribute> {
    vec![(key::FEATURE, text(name)), (key::ROLE, Cow::Borrowed(role.as_str()))]
}

/// Live rows and the baseline's shares under the same keys, bin by bin, empty ones too: whoever
/// joins the two in a query would otherwise lose the bins that matter most.
fn bins(snapshot: &Snapshot) -> Vec<Family> {
    let mut rows = Family::new(&names::FEATURE_ROWS);
    rows.since = snapshot.counted_since.map(Into::into);
    let mut shares = Family::new(&names::BASELINE_SHARE);
    for view in &snapshot.features {
        for bin in &view.bins {
            let mut attributes = feature(&view.feature, view.role);
            attributes.push((key::BIN, text(&*bin.label)));
            rows.push(attributes.clone(), Value::Counter(bin.total_rows));
            shares.push(attributes, Value::Gauge(bin.baseline_share));
        }
    }
    // A level may be called what a bin is called: `other`, `null`.
    vec![rows.merged(), shares.merged()]
}

fn baseline(reference: &ReferenceState) -> Vec<Family> {
    let (rows, progress, hash) = match reference {
        ReferenceState::Learning { rows, needed } => {
            (*rows, (*rows as f64 / (*needed).max(1) as f64).min(1.0), None)
        }
        ReferenceState::Learned { rows, hash } | ReferenceState::Given { rows, hash } => {
            (*rows, 1.0, Some(hash))
        }
    };
    let now = reference.as_str();
    let mut states = Family::new(&names::BASELINE_STATE);
    for state in ["learning", "learned", "given"] {
        states.push(vec![(key::STATE, Cow::Borrowed(state))], flag(state == now));
    }
    let mut baseline_rows = Family::new(&names::BASELINE_ROWS);
    baseline_rows.push(vec![(key::STATE, Cow::Borrowed(now))], Value::Gauge(rows as f64));
    let mut hashes = Family::new(&names::BASELINE_HASH);
    if let Some(hash) = hash {
        hashes.push(vec![(key::HASH, text(hash.as_str()))], Value::Gauge(1.0));
    }
    vec![states, baseline_rows, Family::gauge(&names::BASELINE_PROGRESS, progress), hashes]
}

/// As shares since the start, which a page shows, and as counts, of which any recent time can be had.
fn quality(features: &[FeatureView]) -> Vec<Family> {
    let mut shares = CHECKS.map(|(_, metric)| Family::new(metric));
    let mut expected = Family::new(&names::QUALITY_BASELINE_RATIO);
    let mut checked = Family::new(&names::QUALITY_ROWS_CHECKED);
    let mut flagged = Family::new(&names::QUALITY_ROWS_FLAGGED);
    for view in features {
        let ratios = ratios(&view.quality);
        let baseline = view.baseline.as_ref().map(|baseline| self::ratios(&baseline.quality));
        let attributes = feature(&view.feature, view.role);
        for (place, (family, (check, _))) in shares.iter_mut().zip(CHECKS).enumerate() {
            let ratio = ratios[place];
            family.push(attributes.clone(), Value::Gauge(ratio));
            let mut with_check = attributes.clone();
            with_check.push((key::CHECK, Cow::Borrowed(check)));
            if let Some(baseline) = baseline {
                expected.push(with_check.clone(), Value::Gauge(baseline[place]));
            }
            flagged.push(with_check, Value::Counter(rows_of(ratio, view.rows_total)));
        }
        checked.push(attributes, Value::Counter(view.rows_total));
    }
    shares.into_iter().chain([checked, flagged, expected]).collect()
}

fn ratios(quality: &Quality) -> [f64; 4] {
    [
        quality.null_ratio,
        quality.type_error_ratio,
        quality.out_of_bounds_ratio,
        quality.new_category_ratio,
    ]
}

/// Series that have nothing to say are left out, so that each feature has few.
fn checks(windows: &[Arc<WindowReport>]) -> Vec<Family> {
    let mut ratios = Family::new(&names::QUALITY_WINDOW_RATIO);
    let mut p_values = Family::new(&names::QUALITY_P_VALUE);
    let mut detected = Family::new(&names::QUALITY_DETECTED);
    let mut extra_features = Family::new(&names::QUALITY_EXTRA_FEATURES);
    for report in windows {
        let window: Attribute = (key::WINDOW, text(&*report.window));
        let mut push = |mut attributes: Vec<Attribute>, checked: &Checked| {
            attributes.push((key::CHECK, Cow::Borrowed(checked.check.as_str())));
            attributes.push(window.clone());
            ratios.push(attributes.clone(), Value::Gauge(checked.ratio.into()));
            if let Some(p_value) = checked.p_value {
                p_values.push(attributes.clone(), Value::Gauge(p_value.into()));
            }
            detected.push(attributes, flag(checked.detected));
        };
        for judged in &report.features {
            for checked in judged.checks.iter().flat_map(|checks| checks.iter()) {
                push(feature(&judged.feature, judged.role), checked);
            }
        }
        for extra in report.extra_features.iter().flatten() {
            let role: Attribute = (key::ROLE, Cow::Borrowed(extra.role.as_str()));
            push(vec![role.clone()], &extra.checked);
            let count = Value::Gauge(extra.features_total as f64);
            extra_features.push(vec![role, window.clone()], count);
        }
    }
    vec![ratios, p_values, detected, extra_features]
}

/// Exact: the share was made of two whole numbers that a float holds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share in [0, 1] of a count is a count"
)]
fn rows_of(ratio: f64, rows: u64) -> u64 {
    (ratio * rows as f64).round() as u64
}

fn latest_of_each_length(snapshot: &Snapshot) -> Vec<Arc<WindowReport>> {
    let mut latest: Vec<Arc<WindowReport>> = Vec::new();
    for report in snapshot.windows.iter().rev() {
        if latest.iter().all(|seen| seen.window != report.window) {
            latest.push(Arc::clone(report));
        }
    }
    latest
}

fn drift(windows: &[Arc<WindowReport>]) -> Vec<Family> {
    let mut distances = Family::new(&names::DRIFT_DISTANCE);
    let mut p_values = Family::new(&names::DRIFT_P_VALUE);
    let mut significant = Family::new(&names::DRIFT_SIGNIFICANT);
    let mut detected = Family::new(&names::DRIFT_DETECTED);
    let mut effects = Family::new(&names::DRIFT_EFFECT);
    let mut design_effects = Family::new(&names::DRIFT_DESIGN_EFFECT);
    let mut seasonal = Family::new(&names::DRIFT_SEASONAL);
    let mut verdicts = Family::new(&names::DRIFT_VERDICT);
    let mut rows = Family::new(&names::DRIFT_ROWS);
    let mut coverage = Family::new(&names::DRIFT_COVERAGE);
    for report in windows {
        let window: Attribute = (key::WINDOW, text(&*report.window));
        for judged in &report.features {
            let mut attributes = feature(&judged.feature, judged.role);
            push_distances(&mut distances, judged, &attributes, &window);
            attributes.push(window.clone());
            if let Some(p_value) = judged.p_value {
                p_values.push(attributes.clone(), Value::Gauge(p_value));
                design_effects.push(attributes.clone(), Value::Gauge(judged.design_effect));
                seasonal.push(attributes.clone(), flag(judged.seasonal));
            }
            if let Some(effect) = judged.effect {
                effects.push(attributes.clone(), Value::Gauge(effect));
            }
            significant.push(attributes.clone(), flag(judged.significant));
            detected.push(attributes, flag(judged.detected));
        }
        for verdict in [Verdict::Stable, Verdict::Drifting, Verdict::InsufficientData] {
            let attributes = vec![window.clone(), (key::VERDICT, Cow::Borrowed(verdict.as_str()))];
            verdicts.push(attributes, flag(verdict == report.verdict));
        }
        rows.push(vec![window.clone()], Value::Gauge(report.rows as f64));
        coverage.push(vec![window], Value::Gauge(report.coverage));
    }
    let sizes = [effects, design_effects, seasonal];
    let judged = [distances, p_values, significant, detected].into_iter().chain(sizes);
    judged.chain([verdicts, rows, coverage]).collect()
}

fn joint(windows: &[Arc<WindowReport>]) -> [Family; 2] {
    let mut p_values = Family::new(&names::DRIFT_JOINT_P_VALUE);
    let mut detected = Family::new(&names::DRIFT_JOINT_DETECTED);
    for report in windows {
        if let Some(joint) = &report.joint {
            let window = || vec![(key::WINDOW, text(&*report.window))];
            p_values.push(window(), Value::Gauge(joint.p_value));
            detected.push(window(), flag(joint.detected));
        }
    }
    [p_values, detected]
}

fn early(snapshot: &Snapshot) -> Family {
    let mut family = Family::new(&names::DRIFT_EARLY_WARNING);
    for warning in snapshot.early.iter().flat_map(|early| &early.features) {
        let warned = flag(warning.state == WarningState::Warned);
        family.push(feature(&warning.feature, warning.role), warned);
    }
    family
}

fn push_distances(
    family: &mut Family,
    judged: &FeatureReport,
    feature: &[Attribute],
    window: &Attribute,
) {
    for (method, distance) in judged.distances.iter() {
        let mut attributes = feature.to_vec();
        attributes.push((key::METHOD, Cow::Borrowed(method)));
        attributes.push(window.clone());
        family.push(attributes, Value::Gauge(distance));
    }
}

pub(super) fn flag(on: bool) -> Value {
    Value::Gauge(f64::from(u8::from(on)))
}
