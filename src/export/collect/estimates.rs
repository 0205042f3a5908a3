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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Measure;
    use crate::labels::estimate::{Estimate, EstimatedFigure, State, TrackRecord};
    use jiff::Timestamp;
    use std::sync::Arc;

    fn window(length: &str, hour: i64, accuracy: f64) -> Estimate {
        let (measure, realised) = (Measure::Accuracy, None);
        let (low, high) = (accuracy - 0.1, accuracy + 0.1);
        Estimate {
            window: length.into(),
            start: Timestamp::from_second(hour * 3600).unwrap(),
            end: Timestamp::from_second(hour * 3600 + 3600).unwrap(),
            closed: hour < 2,
            rows: 500,
            state: State::Estimated,
            source: Some(LearntFrom::Reference),
            figures: vec![EstimatedFigure { measure, value: accuracy, low, high, realised }],
        }
    }

    fn values(families: &[Family], name: &str) -> Vec<(String, f64)> {
        let family = families.iter().find(|family| family.metric.name.ends_with(name));
        let point = |point: &crate::export::family::Point| {
            let attributes: Vec<_> = point.attributes.iter().map(|a| a.1.to_string()).collect();
            let Value::Gauge(value) = point.value else { panic!("{name} is no gauge") };
            (attributes.join(" "), value)
        };
        family.unwrap().points.iter().map(point).collect()
    }

    #[test]
    fn the_last_closed_window_of_each_length_is_exported_with_its_interval() {
        let windows = vec![
            window("1h", 0, 0.5),
            window("1h", 1, 0.7),
            window("1h", 2, 0.9),
            window("1d", 0, 0.6),
        ];
        let record = TrackRecord {
            measure: Measure::Accuracy,
            windows: 4,
            inside: 3,
            mean_absolute_error: 0.02,
            error_of_no_change: None,
        };
        let estimates = Estimates {
            source: Some(LearntFrom::Reference),
            calibration_rows: 2500,
            trust: Trust::NotTrusted,
            records: vec![record],
            windows: windows.into_iter().map(Arc::new).collect(),
        };
        let families = families(&estimates);
        let named = |name| values(&families, name);
        assert_eq!(named("estimated_accuracy"), [("all 1h".into(), 0.7), ("all 1d".into(), 0.6)]);
        let interval = named("estimated_interval");
        assert_eq!(interval.len(), 4);
        assert_eq!(interval[0].0, "all 1h accuracy low");
        assert!((interval[0].1 - 0.6).abs() < 1e-12 && (interval[1].1 - 0.8).abs() < 1e-12);
        assert_eq!(named("estimated_inside"), [("accuracy".into(), 0.75)]);
        assert_eq!(named("estimated_trust")[2], ("not_trusted".into(), 1.0));
        let rows = named("estimated_calibration_rows");
        assert_eq!(rows, [("reference".into(), 2500.0), ("labels".into(), 0.0)]);
    }

    #[test]
    fn nothing_is_exported_before_anything_tells_what_a_score_means() {
        assert!(families(&Estimates::default()).iter().all(|family| family.points.is_empty()));
    }
}
