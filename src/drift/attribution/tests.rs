use super::*;
use crate::drift::{
    BaselineBuilder, BaselineSettings, FeatureReport, Monitor, Reference, WindowSpan,
};

/// `sklearn.metrics.ndcg_score([relevance], [scores])`, scikit-learn 1.7.
#[test]
fn ndcg_agrees_with_scikit_learn() {
    let cases: [(&[f64], &[f64], f64); 5] = [
        (&[0.4, 0.3, 0.2, 0.1], &[0.4, 0.3, 0.2, 0.1], 1.0),
        (&[0.4, 0.3, 0.2, 0.1], &[0.1, 0.2, 0.3, 0.4], 0.748_903_029_678_417),
        (&[0.4, 0.3, 0.2, 0.1], &[0.3, 0.4, 0.2, 0.1], 0.949_604_428_345_698_9),
        (&[5.0, 1.0, 0.0, 0.5, 2.0], &[1.0, 1.0, 1.0, 2.0, 2.0], 0.669_856_447_503_590_5),
        (&[0.9, 0.05, 0.03, 0.02], &[0.01, 0.5, 0.2, 0.2], 0.487_752_980_564_569_34),
    ];
    for (relevance, scores, expected) in cases {
        let found = ndcg(relevance, scores).unwrap();
        assert!((found - expected).abs() < 1e-12, "{relevance:?} {scores:?}: {found}");
    }
    assert_eq!(ndcg(&[1.0], &[1.0]), None);
    assert_eq!(ndcg(&[0.0, 0.0], &[1.0, 2.0]), None);
    assert_eq!(ndcg(&[f64::MAX, f64::MAX], &[1.0, 2.0]), None);
}

fn attributions(random: &mut fastrand::Rng, len: usize, scales: &[(&str, f64)]) -> Rows {
    let mut rows = Rows::new();
    for (name, scale) in scales {
        let mut column = Column::new(format!("shap_{name}"));
        (0..len).for_each(|_| column.push_number(scale * (2.0 * random.f64() - 1.0)));
        rows.push(column);
    }
    rows
}

const BEFORE: [(&str, f64); 4] = [("a", 1.0), ("b", 0.5), ("c", 0.25), ("d", 0.1)];

fn monitor(random: &mut fastrand::Rng, importance: &[(&str, f64)], with_outputs: bool) -> Monitor {
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    let mut x = Column::new("a");
    (0..2000).for_each(|_| x.push_number(random.f64()));
    let mut inputs = Rows::new();
    inputs.push(x);
    builder.observe(Role::Input, &inputs);
    if with_outputs {
        builder.observe(Role::Output, &attributions(random, 2000, &BEFORE));
    }
    let importance = importance.iter().map(|(name, weight)| (Arc::from(*name), *weight)).collect();
    let settings = Settings {
        windows: vec!["a".into(), "b".into()],
        attribution: AttributionSettings { importance, ..AttributionSettings::default() },
        ..Settings::default()
    };
    Monitor::new(settings, Reference::Baseline(Arc::new(builder.finish().unwrap())))
}

fn window(monitor: &mut Monitor, outputs: &Rows, level: usize) -> Option<Box<AttributionDrift>> {
    monitor.observe(&Rows::new(), outputs);
    let span = WindowSpan { level, start: None, end: None, coverage: 1.0 };
    monitor.close(span).and_then(|report| report.attribution)
}

#[test]
fn attributions_that_rank_as_before_are_no_drift_and_others_are() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut monitor = monitor(&mut random, &[], true);
    for _ in 0..50 {
        let same = window(&mut monitor, &attributions(&mut random, 200, &BEFORE), 0).unwrap();
        assert!(!same.detected && same.ndcg_at_most >= same.ndcg, "{same:?}");
        assert_eq!(same.reference, AttributionReference::Baseline);
    }
    let turned = [("a", 0.1), ("b", 0.25), ("c", 0.5), ("d", 1.0)];
    let other = window(&mut monitor, &attributions(&mut random, 200, &turned), 0).unwrap();
    assert!(other.detected && other.ndcg < 0.75, "{other:?}");
    let first = &other.features[0];
    assert_eq!((first.rank_before, first.rank_now), (1, 4));
    // Means of |u| over ±1: a half of the scale.
    assert!((first.before - 0.5).abs() < 0.03 && (first.now - 0.05).abs() < 0.01, "{first:?}");
    // All windows merged: the last of 51 hardly counts.
    let span = WindowSpan { level: 1, start: None, end: None, coverage: 1.0 };
    let all = monitor.close(span).and_then(|report| report.attribution).unwrap();
    assert!(!all.detected);
}

#[test]
fn open_windows_of_attributions_go_on_after_a_restart() {
    let mut random = fastrand::Rng::with_seed(6);
    let mut whole = monitor(&mut random, &[], true);
    window(&mut whole, &attributions(&mut random, 200, &BEFORE), 0);
    whole.observe(&Rows::new(), &attributions(&mut random, 30, &BEFORE));
    let bytes = whole.take(Packer::default()).packed();
    let reference = Reference::Baseline(Arc::clone(whole.baseline().unwrap()));
    let settings = whole.settings().clone();
    let restored = Monitor::restored(settings, reference, &mut Unpacker::new(&bytes), None);
    let mut stopped = restored.unwrap();
    // Too few by themselves, whichever of the two they came in.
    let rest = attributions(&mut random, 30, &BEFORE);
    for level in [0, 1] {
        let outputs = if level == 0 { &rest } else { &Rows::new() };
        let expected = window(&mut whole, outputs, level);
        assert!(expected.is_some());
        assert_eq!(window(&mut stopped, outputs, level), expected, "level {level}");
    }
}

/// Twenty features that matter alike: their ranking is chance, and chance is no drift.
#[test]
fn features_of_equal_importance_change_places_without_alarm() {
    let mut random = fastrand::Rng::with_seed(2);
    let names: Vec<String> = (0..20).map(|n| format!("f{n}")).collect();
    let alike: Vec<(&str, f64)> = names.iter().map(|name| (&**name, 1.0)).collect();
    let given: Vec<(&str, f64)> =
        names.iter().enumerate().map(|(n, name)| (&**name, 1.0 + n as f64 / 1000.0)).collect();
    let mut monitor = monitor(&mut random, &given, false);
    for _ in 0..30 {
        let drift = window(&mut monitor, &attributions(&mut random, 60, &alike), 0).unwrap();
        assert!(!drift.detected, "{drift:?}");
        assert_eq!(drift.reference, AttributionReference::Importance);
    }
}

#[test]
fn without_a_reference_or_with_few_rows_there_is_no_figure() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut bare = monitor(&mut random, &[("a", 1.0)], false);
    assert_eq!(window(&mut bare, &attributions(&mut random, 200, &BEFORE), 0), None);
    let mut known = monitor(&mut random, &[], true);
    assert_eq!(window(&mut known, &attributions(&mut random, 49, &BEFORE), 0), None);
}

/// What a model answers is not ours to trust: no value of it ends the thread that judges.
#[test]
fn attributions_beyond_what_a_sum_holds_are_left_out() {
    let mut random = fastrand::Rng::with_seed(4);
    for huge in [1e308, 1e160, f64::MAX, f64::INFINITY, f64::NAN] {
        let mut monitor = monitor(&mut random, &[], true);
        let mut rows = Rows::new();
        for (name, scale) in [("a", huge), ("b", huge), ("c", 0.25), ("d", 0.1)] {
            let mut column = Column::new(format!("shap_{name}"));
            (0..100).for_each(|n| column.push_number(scale * f64::from(1 + n % 3) / 3.0));
            rows.push(column);
        }
        let found = window(&mut monitor, &rows, 0).unwrap();
        let named: Vec<_> = found.features.iter().map(|feature| &*feature.feature).collect();
        assert_eq!(named, ["c", "d"], "{huge}");
        assert!(found.ndcg.is_finite() && found.ndcg_at_most.is_finite());
    }
    // Importances that are given may lie as far from what is seen as numbers go.
    let mut tiny = monitor(&mut random, &[("a", 5e-324), ("b", 0.0)], false);
    let scales = [("a", 1e10), ("b", 1e10)];
    let found = window(&mut tiny, &attributions(&mut random, 200, &scales), 0).unwrap();
    assert!(found.ndcg.is_finite() && found.ndcg_at_most.is_finite(), "{found:?}");
}

#[test]
fn drift_is_ranked_by_importance_times_distance() {
    let feature = |name: &str, distance, significant| FeatureReport {
        feature: name.into(),
        significant,
        distances: crate::drift::Distances {
            jensen_shannon: Some(distance),
            ..crate::drift::Distances::default()
        },
        ..FeatureReport::default()
    };
    let mut features = [
        feature("minor", 0.9, true),
        feature("major", 0.3, true),
        feature("quiet", 0.5, false),
        feature("unknown", 0.9, true),
    ];
    let importance = [("minor", 1.0), ("major", 8.0), ("quiet", 1.0)];
    let importance = importance.map(|(name, weight)| (Arc::from(name), weight)).into();
    rank(&mut features, &AttributionSettings { importance, ..AttributionSettings::default() });
    let ranks: Vec<_> = features.iter().map(|f| f.weight.as_ref().map(|w| w.rank)).collect();
    assert_eq!(ranks, [Some(Some(2)), Some(Some(1)), Some(None), None]);
    let major = features[1].weight.as_ref().unwrap();
    assert!((major.importance - 0.8).abs() < 1e-12);
    assert!((major.weighted_distance - 0.24).abs() < 1e-12);
}
