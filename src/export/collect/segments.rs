//! Parts of the traffic in the last closed window of each length, and the ranking by attributions.
//!
//! Bounded by `features.max_segments` and windows: features of a segment are no series.

use crate::drift::{Verdict, WindowReport};
use crate::export::family::{Attribute, Family, Value, text};
use crate::export::names::{self, key};
use crate::labels::PartPerformance;
use std::sync::Arc;

pub(super) fn families(windows: &[Arc<WindowReport>]) -> Vec<Family> {
    let mut verdicts = Family::new(&names::DRIFT_SEGMENT_VERDICT);
    let mut detected = Family::new(&names::DRIFT_SEGMENT_FEATURES_DETECTED);
    let mut rows = Family::new(&names::DRIFT_SEGMENT_ROWS);
    let mut ndcg = Family::new(&names::DRIFT_ATTRIBUTION_NDCG);
    let mut moved = Family::new(&names::DRIFT_ATTRIBUTION_DETECTED);
    for report in windows {
        let window: Attribute = (key::WINDOW, text(&*report.window));
        for segment in &report.segments {
            let attributes = vec![(key::SEGMENT, text(&*segment.segment)), window.clone()];
            if segment.verdict != Verdict::InsufficientData {
                let is_drifting = f64::from(u8::from(segment.is_drifting()));
                verdicts.push(attributes.clone(), Value::Gauge(is_drifting));
                let features = Value::Gauge(segment.features_detected as f64);
                detected.push(attributes.clone(), features);
            }
            rows.push(attributes, Value::Gauge(segment.rows as f64));
        }
        if let Some(drift) = &report.attribution {
            ndcg.push(vec![window.clone()], Value::Gauge(drift.ndcg));
            let is_moved = f64::from(u8::from(drift.detected));
            moved.push(vec![window], Value::Gauge(is_moved));
        }
    }
    vec![verdicts, detected, rows, ndcg, moved]
}

/// What labels say of each part of the traffic, beside what they say of the whole.
pub(super) fn performance(families: &mut Vec<Family>, parts: &[Arc<PartPerformance>]) {
    for part in parts {
        for (name, value) in part.performance.measures() {
            let Some(metric) = names::performance(name) else { continue };
            let found = families.iter().position(|family| std::ptr::eq(family.metric, metric));
            let place = found.unwrap_or_else(|| {
                families.push(Family::new(metric));
                families.len() - 1
            });
            let attributes = vec![(key::SEGMENT, text(&*part.segment))];
            families[place].push(attributes, Value::Gauge(value));
        }
    }
}
