//! What a baseline knows of how its rows hang together, and what that makes of a window's sampling
//! error.
//!
//! A window of n rows that lasts W is compared with a reference of m rows. Of a mean with variance σ²,
//! the difference varies by σ² d (1/n + 1/m) + τ² (1 + 1/B): d is the design effect of rows that follow
//! each other, τ² what blocks of length W vary by beside, learnt from B blocks. Divided by what it would
//! be for independent rows, σ² (1/n + 1/m), that is the design effect of the comparison.

use super::curve::effect_at;
use super::rows::{LOCATION, MISSING, ODD, SCALE, SHARES};
use serde::{Deserialize, Serialize};

/// Where blocks of time are known, rows tell only of what is nearer than that.
const SHORT_ROWS: f64 = 64.0;

/// Of one feature; only what is more than chance.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variation {
    /// Design effects of blocks of rows, by length, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rows: Vec<RowScale>,
    /// Variances of the means of blocks of time, over the variance of one row, by length, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) spans: Vec<SpanScale>,
    /// Where hours of the day differ from each other more than hours of one time of day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) season: Option<Season>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::drift) struct RowScale {
    pub(super) length: u64,
    pub(super) pairs: u64,
    pub(super) effects: Effects,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::drift) struct SpanScale {
    pub(super) seconds: u64,
    /// Blocks less what they vary around.
    pub(super) freedom: u64,
    pub(super) effects: Effects,
}

/// A cycle over the hours of a day, in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::drift) struct Season {
    /// What hours vary by beside the cycle.
    pub(super) beside: SpanScale,
    /// By hour of the day: rows in each stored bin or level.
    pub(super) hours: Vec<Hour>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::drift) struct Hour {
    pub(super) cells: Vec<u64>,
    pub(super) missing: u64,
    pub(super) odd: u64,
}

/// A number for each sum that blocks keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::drift) struct Effects {
    location: f32,
    scale: f32,
    missing: f32,
    odd: f32,
    /// By reported bin; none where only the others are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shares: Vec<f32>,
}

impl Effects {
    #[expect(clippy::cast_possible_truncation, reason = "an estimate: seven digits are enough")]
    pub(super) fn from_sums(sums: impl IntoIterator<Item = f64>) -> Self {
        let mut sums = sums.into_iter().map(|sum| sum as f32);
        let mut next = || sums.next();
        let (location, scale, missing) = (next(), next(), next());
        let (location, scale) = (location.unwrap_or(1.0), scale.unwrap_or(1.0));
        let odd = next().unwrap_or(location.max(scale));
        Self { location, scale, missing: missing.unwrap_or(1.0), odd, shares: sums.collect() }
    }

    /// A share that is not known by itself varies as the scores do.
    pub(super) fn of(&self, sum: usize) -> f32 {
        match sum {
            LOCATION => self.location,
            SCALE => self.scale,
            MISSING => self.missing,
            ODD => self.odd,
            share => {
                let values = self.location.max(self.scale);
                self.shares.get(share - SHARES).copied().unwrap_or(values)
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "an estimate: seven digits are enough")]
    fn multiply(&mut self, factor: f64) {
        let named = [&mut self.location, &mut self.scale, &mut self.missing, &mut self.odd];
        let all = named.into_iter().chain(&mut self.shares);
        all.for_each(|effect| *effect = (f64::from(*effect) * factor) as f32);
    }

    fn is_at_least_one(&self) -> bool {
        let named = [self.location, self.scale, self.missing, self.odd];
        named.iter().chain(&self.shares).all(|effect| *effect >= 1.0)
    }

    fn is_valid(&self, groups: usize) -> bool {
        let named = [self.location, self.scale, self.missing, self.odd];
        let mut all = named.iter().chain(&self.shares);
        all.all(|effect| effect.is_finite() && *effect >= 0.0)
            && (self.shares.is_empty() || self.shares.len() == groups)
    }
}

/// What is asked of a window: its size, and what it is compared with.
#[derive(Debug, Clone, Copy)]
pub(in crate::drift) struct Question {
    /// Of the window, or of all windows merged.
    pub(in crate::drift) rows: f64,
    pub(in crate::drift) reference_rows: f64,
    /// Of each window; `None` where rows have no time.
    pub(in crate::drift) seconds: Option<f64>,
    /// Windows that are merged.
    pub(in crate::drift) windows: f64,
    /// The reference is of the same hours of the day.
    pub(in crate::drift) same_hours: bool,
}

/// By how much a comparison varies more than with independent rows, for each thing that is tested.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::drift) struct DesignEffects {
    /// In the order of the sums; shares that are not there vary as the scores do.
    sums: Vec<f64>,
    /// Of the estimate: infinite where rows are taken as independent.
    pub(in crate::drift) freedom: f64,
}

impl DesignEffects {
    pub(in crate::drift) fn independent() -> Self {
        Self { sums: vec![1.0; SHARES], freedom: f64::INFINITY }
    }

    /// Of where values lie.
    pub(in crate::drift) fn location(&self) -> f64 {
        self.sums[LOCATION]
    }

    pub(in crate::drift) fn scale(&self) -> f64 {
        self.sums[SCALE]
    }

    pub(in crate::drift) fn missing(&self) -> f64 {
        self.sums[MISSING]
    }

    /// Of values of another type.
    pub(in crate::drift) fn odd(&self) -> f64 {
        self.sums[ODD]
    }

    /// Of values in general.
    pub(in crate::drift) fn values(&self) -> f64 {
        self.location().max(self.scale())
    }

    /// Of the share of a reported bin.
    pub(in crate::drift) fn share(&self, group: usize) -> f64 {
        self.sums.get(SHARES + group).copied().unwrap_or_else(|| self.values())
    }
}

/// `live` is what the window's own rows show, by scores alone.
pub(in crate::drift) fn design_effects(
    known: Option<&Variation>,
    live: &[RowScale],
    question: Question,
    groups: usize,
) -> DesignEffects {
    if known.is_none() && live.is_empty() {
        return DesignEffects::independent();
    }
    let of_reference = known.map_or(&[][..], |known| &known.rows);
    let shown = [shows(of_reference, &[LOCATION, SCALE]), shows(of_reference, &[MISSING])];
    let spans = known.map(|known| known.spans(question)).unwrap_or_default();
    let reach = if spans.is_empty() { f64::INFINITY } else { SHORT_ROWS };
    let rows = question.rows.min(reach);
    let sampling = 1.0 / question.rows.max(1.0) + 1.0 / question.reference_rows.max(1.0);
    let effect = |sum: usize| {
        // What the reference shows in order is surer than live rows, whose drift looks like dependence.
        let scales = if shown[usize::from(sum == MISSING)] { of_reference } else { live };
        let (short, short_freedom) = effect_at(scales, rows, sum);
        let varies = spans.iter().map(|(span, blocks)| {
            let freedom = span.freedom as f64;
            let variance = f64::from(span.effects.of(sum)) / blocks;
            (variance * (1.0 + 1.0 / (freedom + 1.0)) / sampling, freedom)
        });
        // Hours of one day share what days vary by, and many short windows make no more than their time.
        let most = varies.max_by(|a, b| a.0.total_cmp(&b.0));
        let (natural, freedom) = most.unwrap_or((0.0, f64::INFINITY));
        let freedom = satterthwaite(&[
            (short, if short > 1.0 { short_freedom } else { f64::INFINITY }),
            (natural, freedom),
        ]);
        (short + natural, freedom)
    };
    let found: Vec<(f64, f64)> = (0..SHARES + groups).map(effect).collect();
    let freedom = found[LOCATION].1.min(found[SCALE].1);
    DesignEffects { sums: found.into_iter().map(|(effect, _)| effect).collect(), freedom }
}

fn shows(scales: &[RowScale], sums: &[usize]) -> bool {
    scales.iter().any(|scale| sums.iter().any(|sum| scale.effects.of(*sum) > 1.0))
}

/// The freedom of a sum of variances, each with its own (Satterthwaite 1946).
fn satterthwaite(parts: &[(f64, f64)]) -> f64 {
    let all: f64 = parts.iter().map(|(variance, _)| variance).sum();
    let uncertain: f64 = parts.iter().map(|(v, freedom)| v * v / freedom).sum();
    if uncertain > 0.0 { all * all / uncertain } else { f64::INFINITY }
}

impl Variation {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.spans.is_empty() && self.season.is_none()
    }

    /// Blocks of time, and how many of each make up what is asked: a part of one varies as it does. Where
    /// hours are compared with the same hours, they vary beside the cycle.
    fn spans(&self, question: Question) -> Vec<(&SpanScale, f64)> {
        let Some(seconds) = question.seconds else { return Vec::new() };
        let beside = self.season.as_ref().filter(|_| question.same_hours).map(|s| &s.beside);
        let is_replaced =
            |span: &&SpanScale| beside.is_none_or(|beside| beside.seconds != span.seconds);
        let spans = self.spans.iter().filter(is_replaced).chain(beside);
        let blocks = |span: &SpanScale| question.windows * seconds / span.seconds as f64;
        spans.map(|span| (span, blocks(span).max(1.0))).collect()
    }

    pub(in crate::drift) fn season(&self) -> Option<&Season> {
        self.season.as_ref()
    }

    /// Of one window against another, instead of against a reference of many: both vary. Of two windows
    /// of the same hour the cycle is no difference.
    pub(crate) fn between_two(&self, same_hour: bool) -> Self {
        let beside_cycle = self.season.iter().filter(|_| same_hour).map(|season| &season.beside);
        let mut spans: Vec<SpanScale> = beside_cycle.cloned().collect();
        if spans.is_empty() {
            spans.clone_from(&self.spans);
        }
        for SpanScale { freedom, effects, .. } in &mut spans {
            // Taken as a reference that varies once in freedom + 1 blocks, where it varies once.
            let blocks = *freedom as f64 + 1.0;
            effects.multiply(2.0 / (1.0 + 1.0 / blocks));
        }
        Self { rows: self.rows.clone(), spans, season: None }
    }

    /// What a file may not say.
    pub(crate) fn check(&self, groups: usize, cells: usize) -> Result<(), &'static str> {
        let spans = self.spans.iter().chain(self.season.iter().map(|season| &season.beside));
        let effects = || self.rows.iter().map(|scale| &scale.effects);
        if effects().any(|effects| !effects.is_at_least_one()) {
            return Err("must hold design effects of rows, none below 1");
        }
        if !effects().chain(spans.map(|span| &span.effects)).all(|e| e.is_valid(groups)) {
            return Err("must hold finite numbers, none negative, and one for each reported bin");
        }
        let lengths = self.rows.iter().map(|scale| scale.length);
        let lengths = std::iter::once(0).chain(lengths).is_sorted_by(|a, b| a < b);
        let seconds = self.spans.iter().map(|span| span.seconds);
        if !lengths || !seconds.clone().is_sorted() || seconds.clone().any(|s| s == 0) {
            return Err("must ascend in length");
        }
        let is_whole = |season: &Season| {
            season.hours.len() == 24 && season.hours.iter().all(|hour| hour.cells.len() == cells)
        };
        if self.season.as_ref().is_some_and(|season| !is_whole(season)) {
            return Err("must have 24 hours, each with every bin or level");
        }
        Ok(())
    }
}
