use super::*;

/// A feature as a reference has it, and one window of it.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Mean 20, σ 8.
    Temperature,
    /// Log-normal.
    Distance,
    /// In [0, 1], of which the half is 0.
    Share,
    /// Whole numbers of seconds.
    Duration,
}

fn value(kind: Kind, random: &mut Rng) -> f64 {
    match kind {
        Kind::Temperature => 20.0 + 8.0 * normal(random),
        Kind::Distance => normal(random).exp(),
        Kind::Share if random.bool() => 0.0,
        Kind::Share => random.f64(),
        Kind::Duration => f64::from(random.u32(1..=30) * 5),
    }
}

fn draw(kind: Kind, random: &mut Rng, rows: usize) -> Vec<f64> {
    (0..rows).map(|_| value(kind, random)).collect()
}

fn numbers(values: &[f64]) -> Rows {
    rows(values.iter().map(|value| Cell::Number(*value)))
}

fn change_of(reference: &[f64], window: &[f64]) -> Option<UnitChange> {
    let report = judged(&numbers(reference), &numbers(window));
    let checks = report.checks?;
    let checked = checks.get(Check::UnitChange)?;
    assert!(checked.detected && checked.significant, "{checked:?}");
    checked.unit_change.as_deref().copied()
}

#[test]
fn known_changes_of_unit_are_named() {
    let cases = [
        (Kind::Temperature, 1.8, 32.0, "°C → °F"),
        (Kind::Temperature, 1.0 / 1.8, -32.0 / 1.8, "°F → °C"),
        (Kind::Temperature, 1.0, 273.15, "°C → K"),
        (Kind::Temperature, 1.609_344, 0.0, "mi → km"),
        (Kind::Temperature, 1.0 / 0.453_592_37, 0.0, "kg → lb"),
        (Kind::Temperature, -1.0, 0.0, "the other sign"),
        (Kind::Distance, 1000.0, 0.0, "km → m"),
        (Kind::Distance, 0.001, 0.0, "m → km"),
        (Kind::Distance, 3.6, 0.0, "m/s → km/h"),
        (Kind::Share, 100.0, 0.0, "ratio → percent"),
        (Kind::Duration, 1000.0, 0.0, "km → m, m → mm, kg → g, s → ms"),
        (Kind::Duration, 1.0 / 60.0, 0.0, "s → min"),
        (Kind::Duration, 1.0 / 3600.0, 0.0, "s → h"),
    ];
    let mut random = Rng::with_seed(1);
    for (kind, factor, offset, name) in cases {
        for rows in [300, 5000] {
            let reference = draw(kind, &mut random, 3000);
            let window = draw(kind, &mut random, rows);
            let window: Vec<f64> = window.iter().map(|value| value * factor + offset).collect();
            let change = change_of(&reference, &window);
            let change = change.unwrap_or_else(|| panic!("{kind:?} {name} {rows}: none"));
            let told = change.looks_like.unwrap_or("nothing known");
            assert!(told.starts_with(name), "{kind:?} {name} {rows}: {change:?}");
            assert!(change.explained >= 0.75, "{change:?}");
        }
    }
}

#[test]
fn a_factor_that_no_unit_has_is_told_as_a_number() {
    let mut random = Rng::with_seed(2);
    let reference = draw(Kind::Distance, &mut random, 3000);
    let window: Vec<f64> =
        draw(Kind::Distance, &mut random, 2000).iter().map(|x| x * 7.0).collect();
    let change = change_of(&reference, &window).unwrap();
    assert_eq!((change.looks_like, change.offset), (None, 0.0));
    assert!((change.factor / 7.0 - 1.0).abs() < 0.15, "{change:?}");
}

/// Shifts, spreads, mixtures and tails, large and small, far from 0 and around it.
#[test]
fn drift_of_other_kinds_is_no_change_of_unit() {
    let mut random = Rng::with_seed(3);
    let kinds = [Kind::Temperature, Kind::Distance, Kind::Share, Kind::Duration];
    let mut named = Vec::new();
    let mut drifting = 0;
    for round in 0..40 {
        for kind in kinds {
            let reference = draw(kind, &mut random, 2000);
            let size = [200, 1000][round % 2];
            let strength = 1.0 + random.f64() * 3.0;
            let window = draw(kind, &mut random, size).into_iter();
            let window: Vec<f64> = match random.u32(0..6) {
                0 => window.map(|x| x + strength * 8.0).collect(),
                1 => window.map(|x| 20.0 + (x - 20.0) * strength).collect(),
                2 => window.map(|x| if random.bool() { x * 1000.0 } else { x }).collect(),
                3 => window.map(|x| x + strength * normal(&mut random).abs()).collect(),
                4 => window.map(|x| x.abs().powf(strength)).collect(),
                _ => window.map(|_| strength).collect(),
            };
            let report = judged(&numbers(&reference), &numbers(&window));
            drifting += usize::from(report.detected);
            let change = report.checks.as_ref().and_then(|it| it.get(Check::UnitChange).cloned());
            named.extend(change.map(|change| (kind, strength, change)));
        }
    }
    assert!(drifting > 140, "{drifting}");
    assert!(named.is_empty(), "{named:#?}");
}

/// Normal around 0, with a spread that grows by any factor there is: the same as one of scale.
#[test]
fn a_spread_that_grows_is_no_change_of_unit() {
    let mut random = Rng::with_seed(4);
    for spread in [1.3, 1.609_344, 1.8, 2.0, 2.204_62, 2.54, 2.9] {
        let reference: Vec<f64> = (0..2000).map(|_| normal(&mut random)).collect();
        let window: Vec<f64> = (0..1000).map(|_| spread * normal(&mut random)).collect();
        assert_eq!(change_of(&reference, &window), None, "{spread}");
    }
}
