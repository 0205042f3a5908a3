//! Performance that is estimated before labels come, and how near such estimates have been.

use crate::export::family::{Attribute, Family, Value, text};
use crate::export::names::{self, key};
use crate::labels::estimate::{Estimates, LearntFrom, Trust};
use std::borrow::Cow;

/// Of each length of windows the last closed one that was estimated.
pub(super) fn families(estimates: &Estimates) -> Vec<Family> {
    let mut families = Vec::new();
    let mut intervals = Family::new(&names::PERFORMANCE_ESTIMATED_INTERVAL);
    let mut rows = Family::new(&names::PERFORMANCE_ESTIMATED_ROWS);
    for estimate in estimates.latest() {
        let window: Attribute = (key::WINDOW, text(&*estimate.window));
        rows.push(vec![window.clone()], Value::Gauge(estimate.rows as f64));
        for figure in &estimate.figures {
            let name = figure.measure.as_str();
            let Some(metric) = names::performance(&format!("estimated_{name}")) else { continue };
            let attributes = vec![(key::SEGMENT, Cow::Borrowed("all")), window.clone()];
            push(&mut families, metric, attributes.clone(), figure.value);
            for (bound, value) in [("low", figure.low), ("high", figure.high)] {
                let mut attributes = attributes.clone();
                attributes.push((key::MEASURE, Cow::Borrowed(name)));
                attributes.push((key::BOUND, Cow::Borrowed(bound)));
                intervals.push(attributes, Value::Gauge(value));
            }
        }
    }
    families.extend([intervals, rows]);
    families.extend(record(estimates));
    families
}

/// One family a metric, whatever the number of windows.
fn push(
    families: &mut Vec<Family>,
    metric: &'static names::Metric,
    attributes: Vec<Attribute>,
    value: f64,
) {
    let place = families.iter().position(|family| std::ptr::eq(family.metric, metric));
    let place = place.unwrap_or_else(|| {
        families.push(Family::new(metric));
        families.len() - 1
    });
    families[place].push(attributes, Value::Gauge(value));
}

fn record(estimates: &Estimates) -> [Family; 4] {
    let mut calibration = Family::new(&names::PERFORMANCE_ESTIMATED_CALIBRATION_ROWS);
    let mut trust = Family::new(&names::PERFORMANCE_ESTIMATED_TRUST);
    if let Some(source) = estimates.source {
        for known in [LearntFrom::Reference, LearntFrom::Labels] {
            let rows = if known == source { estimates.calibration_rows as f64 } else { 0.0 };
            let attributes = vec![(key::SOURCE, Cow::Borrowed(known.as_str()))];
            calibration.push(attributes, Value::Gauge(rows));
        }
        for state in [Trust::Untested, Trust::Trusted, Trust::NotTrusted] {
            let is_so = f64::from(u8::from(state == estimates.trust));
            trust.push(vec![(key::STATE, Cow::Borrowed(state.as_str()))], Value::Gauge(is_so));
        }
    }
    let mut errors = Family::new(&names::PERFORMANCE_ESTIMATED_ERROR);
    let mut inside = Family::new(&names::PERFORMANCE_ESTIMATED_INSIDE);
    for record in &estimates.records {
        let attributes = vec![(key::MEASURE, Cow::Borrowed(record.measure.as_str()))];
        errors.push(attributes.clone(), Value::Gauge(record.mean_absolute_error));
        let share = record.inside as f64 / record.windows.max(1) as f64;
        inside.push(attributes, Value::Gauge(share));
    }
    [calibration, trust, errors, inside]
}
