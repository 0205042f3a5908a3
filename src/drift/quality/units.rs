//! Is a drift a change of unit? A window's values undone by a factor, beside the reference's.
//!
//! Said only where the feature drifts anyway and where undoing explains nearly all of it: what is left
//! of the Kolmogorov–Smirnov distance is within chance and within what the quantile sketch may err, and
//! is a fourth of what it was at most. Of factors near 1, which drift of itself may look like, only
//! known ones are named, and only where location and spread both speak for them.

use super::super::baseline::NumericReference;
use crate::sketch::NumericSketch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Values are those of the baseline, times `factor`, plus `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnitChange {
    pub factor: f64,
    pub offset: f64,
    /// Units that differ by this, if any are known.
    #[serde(deserialize_with = "known")]
    pub looks_like: Option<Known>,
    /// The share of the Kolmogorov–Smirnov distance that undoing it takes away, in [0, 1].
    pub explained: f64,
}

/// By a name of its own, since what is read does not lend the text.
type Known = &'static str;

/// As one of [`KNOWN`] is called.
fn known<'de, D: serde::Deserializer<'de>>(units: D) -> Result<Option<Known>, D::Error> {
    let name = Option::<String>::deserialize(units)?;
    Ok(name.and_then(|name| KNOWN.iter().map(|known| known.2).find(|known| **known == name)))
}

/// From the unit that the reference has to that of the window, the commonest first. Sources: BIPM, *SI Brochure*, 2019; NIST
/// Special Publication 811, 2008, appendix B.
const KNOWN: [(f64, f64, &str); 40] = [
    (1.8, 32.0, "°C → °F"),
    (1.0 / 1.8, -32.0 / 1.8, "°F → °C"),
    (1.0, 273.15, "°C → K"),
    (1.0, -273.15, "K → °C"),
    (1.0 / 1.8, 459.67 / 1.8, "°F → K"),
    (-1.0, 0.0, "the other sign"),
    (1e3, 0.0, "km → m, m → mm, kg → g, s → ms"),
    (1e-3, 0.0, "m → km, mm → m, g → kg, ms → s"),
    (1e6, 0.0, "s → µs, km → mm, whole → millionths"),
    (1e-6, 0.0, "µs → s, mm → km, millionths → whole"),
    (1e9, 0.0, "s → ns"),
    (1e-9, 0.0, "ns → s"),
    (1e2, 0.0, "ratio → percent, m → cm, currency → cents"),
    (1e-2, 0.0, "percent → ratio, cm → m, cents → currency"),
    (10.0, 0.0, "cm → mm"),
    (0.1, 0.0, "mm → cm"),
    (60.0, 0.0, "min → s, h → min"),
    (1.0 / 60.0, 0.0, "s → min, min → h"),
    (3600.0, 0.0, "h → s"),
    (1.0 / 3600.0, 0.0, "s → h"),
    (24.0, 0.0, "days → h"),
    (1.0 / 24.0, 0.0, "h → days"),
    (86400.0, 0.0, "days → s"),
    (1.0 / 86400.0, 0.0, "s → days"),
    (1024.0, 0.0, "KiB → bytes, MiB → KiB"),
    (1.0 / 1024.0, 0.0, "bytes → KiB, KiB → MiB"),
    (2.54, 0.0, "in → cm"),
    (1.0 / 2.54, 0.0, "cm → in"),
    (25.4, 0.0, "in → mm"),
    (1.0 / 25.4, 0.0, "mm → in"),
    (0.3048, 0.0, "ft → m"),
    (1.0 / 0.3048, 0.0, "m → ft"),
    (1.609_344, 0.0, "mi → km"),
    (1.0 / 1.609_344, 0.0, "km → mi"),
    (0.453_592_37, 0.0, "lb → kg"),
    (1.0 / 0.453_592_37, 0.0, "kg → lb"),
    (3.6, 0.0, "m/s → km/h"),
    (1.0 / 3.6, 0.0, "km/h → m/s"),
    (180.0 / std::f64::consts::PI, 0.0, "radians → degrees"),
    (std::f64::consts::PI / 180.0, 0.0, "degrees → radians"),
];

/// A smaller Kolmogorov–Smirnov distance is not looked into.
const MIN_DISTANCE: f64 = 0.3;
/// What may be left of it.
const MAX_LEFT: f64 = 0.25;
/// What may be left beyond chance where hardly any value is where it was and the unit is far away.
const MAX_LEFT_FAR: f64 = 0.2;
const DISJOINT: f64 = 0.8;
/// Kolmogorov's variable exceeds the first once in ten times where nothing differs, the second, which is
/// for factors near 1, once in five.
const KOLMOGOROV: (f64, f64) = (1.224, 1.073);
/// Within this factor of 1 a change of scale is most often a drift.
const NEAR: f64 = 3.0;
/// By how much a factor near 1 may miss a known one: at least, and at most where rows are few. In
/// between, by two standard errors of the median and what the sketch of quantiles may be off.
const TOLERANCE: (f64, f64) = (0.02, 0.05);
/// A larger spread is not far from 0.
const MAX_SPREAD: f64 = 2.0 / 3.0;
/// With fewer values a cold month looks like a summer in other units: then only a unit that is far away is
/// named.
const MIN_VALUES: u64 = 200;
/// Candidates this close to the best are not told apart.
const CLOSE: f64 = 0.01;

pub(super) fn unit_change(
    reference: &NumericReference,
    window: &NumericSketch,
) -> Option<UnitChange> {
    let values = window.counts().values();
    let comparison = Comparison { reference, window };
    let before = comparison.distance(1.0, 0.0);
    if values == 0 || reference.sigma <= 0.0 || before < MIN_DISTANCE {
        return None;
    }
    let (n, m) = (values as f64, reference.counts.values() as f64);
    let by_chance = ((n + m) / (n * m)).sqrt();
    let most = |level: f64| (level * by_chance + window.rank_error()).min(before * MAX_LEFT);
    let most = |factor: f64, offset: f64| match near(factor) && offset == 0.0 {
        true => most(KOLMOGOROV.1),
        false if is_far(factor, offset) && before >= DISJOINT => {
            most(KOLMOGOROV.0).max(before * MAX_LEFT_FAR)
        }
        false => most(KOLMOGOROV.0),
    };
    let fitted = comparison.fitted()?;
    let change = |factor, offset, looks_like, left: f64| UnitChange {
        factor,
        offset,
        looks_like,
        explained: 1.0 - left / before,
    };
    let tolerance = reference.spread().map(|spread| {
        let error = 1.2533 * spread * (1.0 / n + 1.0 / m).sqrt();
        // √(2π) is what a normal distribution's median moves by, in σ, for its rank.
        let of_sketch = std::f64::consts::TAU.sqrt() * spread * window.rank_error();
        (2.0 * error + of_sketch).clamp(TOLERANCE.0, TOLERANCE.1)
    });
    let told_apart = |factor: f64, offset: f64| {
        values >= MIN_VALUES || (is_far(factor, offset) && before >= DISJOINT)
    };
    let known = KNOWN.iter().filter(|(factor, offset, _)| told_apart(*factor, *offset));
    let known = known.filter(|(factor, offset, _)| {
        let misses_by = (fitted / factor - 1.0).abs();
        *offset != 0.0 || !near(*factor) || tolerance.is_some_and(|most| misses_by <= most)
    });
    let left = known.map(|known| (known, comparison.distance(known.0, known.1)));
    let left: Vec<_> =
        left.filter(|((factor, offset, _), left)| *left <= most(*factor, *offset)).collect();
    let best = left.iter().map(|(_, left)| *left).fold(f64::INFINITY, f64::min);
    // Of what so few rows do not tell apart, the commonest.
    let named = left.iter().find(|(_, left)| *left <= best + CLOSE.max(by_chance / 2.0));
    if let Some(((factor, offset, name), left)) = named {
        return Some(change(*factor, *offset, Some(*name), *left));
    }
    let left = comparison.distance(fitted, 0.0);
    (!near(fitted) && told_apart(fitted, 0.0) && left <= most(fitted, 0.0))
        .then(|| change(fitted, 0.0, None, left))
}

/// So far that no drift goes there: who finds values there may leave some for a drift besides.
fn is_far(factor: f64, offset: f64) -> bool {
    offset != 0.0 || !(0.1..=10.0).contains(&factor.abs())
}

fn near(factor: f64) -> bool {
    (1.0 / NEAR..NEAR).contains(&factor.abs())
}

struct Comparison<'a> {
    reference: &'a NumericReference,
    window: &'a NumericSketch,
}

impl Comparison<'_> {
    /// Kolmogorov–Smirnov, of the reference's values and of the window's undone, at the reference's cuts.
    /// A converted value may miss a repeated one by rounding, so a cut counts where it differs on both
    /// of its sides.
    fn distance(&self, factor: f64, offset: f64) -> f64 {
        let counts = &self.reference.counts;
        let values = counts.values() as f64;
        let mut below = 0;
        let mut furthest = 0.0_f64;
        for (cut, rows) in counts.edges().cuts().iter().zip(counts.bins()) {
            below += rows;
            let expected = below as f64 / values;
            let at = cut * factor + offset;
            let slack = at.abs().max(offset.abs()) * 1e-6;
            let (low, high) = (self.window.rank(at - slack), self.window.rank(at + slack));
            let (Some(low), Some(high)) = (low, high) else { return 1.0 };
            let (low, high) = if factor < 0.0 { (1.0 - high, 1.0 - low) } else { (low, high) };
            furthest = furthest.max(low - expected).max(expected - high);
        }
        furthest
    }

    /// The middle of what the quantiles say, of those that are not near 0. With the other sign the
    /// smallest is the largest.
    fn fitted(&self) -> Option<f64> {
        let quantiles = self.reference.ranked_quantiles();
        let largest = quantiles.iter().map(|(_, value)| value.abs()).fold(0.0, f64::max);
        let far: Vec<_> =
            quantiles.iter().filter(|(_, value)| value.abs() > 0.05 * largest).collect();
        let middle_of = |rank: fn(f64) -> f64| {
            let ratio = |(at, value): &&(f64, f64)| Some(self.window.quantile(rank(*at))? / value);
            let mut ratios: Vec<f64> = far.iter().filter_map(ratio).collect();
            ratios.retain(|ratio| *ratio != 0.0);
            ratios.sort_by(f64::total_cmp);
            ratios.get(ratios.len() / 2).copied().filter(|ratio| ratio.is_finite())
        };
        let fitted = middle_of(|rank| rank)?;
        if fitted < 0.0 { middle_of(|rank| 1.0 - rank) } else { Some(fitted) }
    }
}

impl NumericReference {
    /// σ by the quartiles, over the middle; none unless that is far from 0, so that a factor moves values
    /// as a whole and does not only spread them.
    fn spread(&self) -> Option<f64> {
        let quantiles = self.ranked_quantiles();
        let at = |wanted: f64| {
            let mut ranked = quantiles.iter();
            ranked.find(|(rank, _)| (rank - wanted).abs() < 1e-9).map(|(_, value)| *value)
        };
        let (low, middle, high) = (at(0.25)?, at(0.5)?, at(0.75)?);
        let spread = (high - low) / 1.349 / middle.abs();
        (spread <= MAX_SPREAD).then_some(spread)
    }
}
