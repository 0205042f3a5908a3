//! The last closed windows against earlier ones, where `drift.references` asks for it.

use super::analysis::{feature, flag};
use crate::drift::{HeldReferences, WindowReport};
use crate::export::family::{Attribute, Family, Value, text};
use crate::export::names::{self, key};
use std::borrow::Cow;
use std::sync::Arc;

/// Those that both kinds of features have; the API has the rest.
const METHODS: [&str; 2] = ["psi", "jensen_shannon"];

/// Nothing where no reference is asked for.
pub(super) fn families(windows: &[Arc<WindowReport>], held: &HeldReferences) -> Vec<Family> {
    let mut distances = Family::new(&names::DRIFT_REFERENCE_DISTANCE);
    let mut p_values = Family::new(&names::DRIFT_REFERENCE_P_VALUE);
    let mut significant = Family::new(&names::DRIFT_REFERENCE_SIGNIFICANT);
    let mut detected = Family::new(&names::DRIFT_REFERENCE_DETECTED);
    let mut rows = Family::new(&names::DRIFT_REFERENCE_ROWS);
    for report in windows {
        let window: Attribute = (key::WINDOW, text(&*report.window));
        for judged in &report.features {
            for beside in judged.references.iter().flat_map(|references| &references.0) {
                let mut of = feature(&judged.feature, judged.role);
                of.push(window.clone());
                of.push((key::REFERENCE, Cow::Borrowed(beside.reference.as_str())));
                let shown = beside.distances.iter().filter(|(name, _)| METHODS.contains(name));
                for (method, distance) in shown {
                    let method = (key::METHOD, Cow::Borrowed(method));
                    let of = of.iter().cloned().chain([method]).collect();
                    distances.push(of, Value::Gauge(distance));
                }
                if let Some(p_value) = beside.p_value {
                    p_values.push(of.clone(), Value::Gauge(p_value));
                }
                significant.push(of.clone(), flag(beside.significant));
                detected.push(of.clone(), flag(beside.detected));
                rows.push(of, Value::Gauge(beside.rows as f64));
            }
        }
    }
    let mut families = vec![distances, p_values, significant, detected, rows];
    if *held != HeldReferences::default() {
        families.push(Family::gauge(&names::DRIFT_REFERENCE_SIZE, held.bytes as f64));
        families.push(Family::gauge(&names::DRIFT_REFERENCE_SIZE_LIMIT, held.max_bytes as f64));
        families.push(Family::count(&names::DRIFT_REFERENCE_FORGOTTEN, held.forgotten));
    }
    families
}
