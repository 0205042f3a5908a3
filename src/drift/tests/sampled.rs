//! Rows that were kept at different rates.

use super::{numbers, rows, span};
use crate::decode::Rows;
use crate::drift::{
    Baseline, BaselineBuilder, BaselineSettings, Check, Monitor, Reference, Settings, Verdict,
};
use crate::sketch::Role;
use fastrand::Rng;
use std::sync::Arc;

const FEATURES: [&str; 4] = ["a", "b", "c", "d"];

/// Values around `around`, evenly spread over a width of 1.
fn table(random: &mut Rng, count: usize, around: f64) -> Rows {
    let column =
        |name| numbers(name, (0..count).map(|_| around + random.f64()).collect::<Vec<_>>());
    rows(FEATURES.map(column))
}

/// Half of the rows are around 0 and half around 1, as in a day with two kinds of hours.
fn reference(random: &mut Rng) -> Arc<Baseline> {
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    for _ in 0..500 {
        builder.observe(Role::Input, &table(random, 10, 0.0));
        builder.observe(Role::Input, &table(random, 10, 1.0));
    }
    Arc::new(builder.finish().unwrap())
}

/// The busy half of the traffic is shed to a tenth, as a budget does; both halves are alike in the
/// stream itself.
fn window(monitor: &mut Monitor, random: &mut Rng, rate: f64) -> crate::drift::WindowReport {
    for _ in 0..50 {
        monitor.observe_sampled(&table(random, 10, 0.0), &Rows::new(), 1.0);
        monitor.observe_sampled(&table(random, 1, 1.0), &Rows::new(), rate);
    }
    monitor.close(span(0)).unwrap()
}

#[test]
fn rows_that_were_shed_are_made_up_for_by_those_that_were_kept() {
    let mut random = Rng::with_seed(1);
    let mut monitor =
        Monitor::new(Settings::default(), Reference::Baseline(reference(&mut random)));
    let weighted: Vec<_> = (0..6).map(|_| window(&mut monitor, &mut random, 0.1)).collect();
    assert!(weighted.iter().all(|window| window.verdict == Verdict::Stable), "{weighted:#?}");
    let feature = &weighted[5].features[0];
    assert_eq!(feature.rows, 550, "rows are those that were seen");
    assert!(feature.distances.ks.unwrap() < 0.15);
    // (500 + 50 * 10)^2 / (500 + 50 * 100) = 181.8 rows of one weight tell as much as these 550.
    assert!((feature.design_effect - 550.0 / 181.8).abs() < 0.1, "{feature:?}");
}

/// Of the busy rows, those that were shed, every other one is null.
fn with_nulls(random: &mut Rng, count: usize) -> Rows {
    let busy = (0..count).map(|row| if row % 2 == 0 { 1.0 + random.f64() } else { f64::NAN });
    rows([numbers("a", busy.collect::<Vec<_>>())])
}

#[test]
fn what_is_told_beside_the_verdict_is_of_what_the_kept_rows_stand_for() {
    let mut random = Rng::with_seed(4);
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    let quiet = |random: &mut Rng| rows([numbers("a", (0..10).map(|_| random.f64()))]);
    for _ in 0..500 {
        builder.observe(Role::Input, &quiet(&mut random));
        builder.observe(Role::Input, &with_nulls(&mut random, 10));
    }
    let baseline = Reference::Baseline(Arc::new(builder.finish().unwrap()));
    let mut monitor = Monitor::new(Settings::default(), baseline);
    for _ in 0..50 {
        monitor.observe_sampled(&quiet(&mut random), &Rows::new(), 1.0);
        monitor.observe_sampled(&with_nulls(&mut random, 2), &Rows::new(), 0.2);
    }
    let report = monitor.close(span(0)).unwrap();
    let feature = &report.features[0];
    // 50 nulls of 600 rows, each for five: 250 of 1000.
    assert!((feature.quality.null_ratio - 0.25).abs() < 0.01, "{feature:#?}");
    let nulls = feature.checks.as_ref().unwrap().get(Check::Null).unwrap();
    assert!((nulls.ratio - 0.25).abs() < 0.01 && !nulls.detected, "{feature:#?}");
    assert!((feature.shape.shares.last().unwrap() - 0.25).abs() < 0.01, "{feature:#?}");
    // A third of the values lie above 1: of those that were seen, an eleventh.
    let [.., median, upper, _] = feature.shape.quantiles.unwrap();
    assert!((median - 0.75).abs() < 0.05, "{feature:#?}");
    assert!((upper - 1.25).abs() < 0.15, "{feature:#?}");
}

#[test]
fn without_weights_the_same_rows_would_be_drift() {
    let mut random = Rng::with_seed(2);
    let mut monitor =
        Monitor::new(Settings::default(), Reference::Baseline(reference(&mut random)));
    let report = window(&mut monitor, &mut random, 1.0);
    assert_eq!(report.verdict, Verdict::Drifting);
}

#[test]
fn one_rate_for_all_rows_changes_nothing() {
    let judged = |rate: f64| {
        let mut random = Rng::with_seed(3);
        let mut monitor =
            Monitor::new(Settings::default(), Reference::Baseline(reference(&mut random)));
        monitor.observe_sampled(&table(&mut random, 300, 0.3), &Rows::new(), rate);
        let report = monitor.close(span(0)).unwrap();
        report.features.iter().map(|f| (f.p_value, f.distances)).collect::<Vec<_>>()
    };
    assert_eq!(judged(1.0), judged(0.25));
}
