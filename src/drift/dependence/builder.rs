//! The rows of a reference once more, now that its bins are known: what they vary by in blocks.

use super::curve::{curve, evidence, shown};
use super::rows::{LOCATION, MISSING, RowBlocks, SCALE, SHARES};
use super::scores::Scores;
use super::spans::{Components, DAY, HOUR, Rows as RowSums, Spans};
use super::variation::{Effects, Hour, Season, SpanScale, Variation};
use crate::decode::{Column, Rows};
use crate::drift::baseline::{Baseline, BaselineFeature};
use crate::sketch::Role;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// Hours are not counted apart for a feature of more bins or levels than this.
const MOST_CELLS: usize = 512;
/// Blocks of time vary by more than chance: in one feature of a thousand where they do not, or in most.
const SHOWN: f64 = 1e-3;
const LEANING: f64 = 0.05;
const MANY: f64 = 0.25;
/// The scale of rows, 64, up to which neighbours are told apart from blocks of time.
const SHORT: usize = 2;

/// Takes the same rows, in the same order, as the builder of the baseline did.
#[derive(Debug)]
pub struct VariationBuilder {
    baseline: Baseline,
    index: [HashMap<Arc<str>, usize>; 2],
    features: Vec<Varying>,
}

#[derive(Debug)]
struct Varying {
    scores: Scores,
    rows: RowBlocks,
    spans: [Spans; 2],
    hours: Vec<Hour>,
}

impl VariationBuilder {
    pub fn new(baseline: Baseline) -> Self {
        let mut index = [HashMap::new(), HashMap::new()];
        let places = baseline.features().iter().enumerate();
        places.for_each(|(place, feature)| {
            let key = feature.key();
            index[key.role as usize].insert(key.name.clone(), place);
        });
        let features = baseline.features().iter().map(Varying::new).collect();
        Self { baseline, index, features }
    }

    /// `times` has one for each row, where rows have times.
    pub fn observe(&mut self, role: Role, rows: &Rows, times: Option<&[Timestamp]>) {
        for column in rows.columns() {
            if let Some(place) = self.index[role as usize].get(column.name()) {
                let feature = &self.baseline.features()[*place];
                self.features[*place].observe(feature, column, times);
            }
        }
    }

    /// The baseline, and with it what is more than chance.
    pub fn finish(self) -> Baseline {
        let evidence: Vec<_> =
            self.features.iter().map(|varying| evidence(&varying.rows)).collect();
        let mut found: Vec<Variation> = Vec::with_capacity(evidence.len());
        for (varying, shown) in self.features.iter().zip(shown(&evidence)) {
            let rows = if shown.any() { curve(&varying.rows, shown) } else { Vec::new() };
            found.push(Variation { rows, ..Variation::default() });
        }
        for span in 0..2 {
            let between = |varying: &Varying| varying.between(span);
            let components: Vec<_> = self.features.iter().map(between).collect();
            let shown = spans_shown(&components);
            for ((variation, components), shown) in found.iter_mut().zip(components).zip(shown) {
                let components = components.filter(|_| shown);
                variation.spans.extend(components.map(|c| c.scale([HOUR, DAY][span])));
            }
        }
        for (variation, varying) in found.iter_mut().zip(self.features) {
            variation.season = varying.season();
        }
        self.baseline.with_variation(found)
    }
}

/// Which features' blocks of time vary by more than chance.
fn spans_shown(components: &[Option<Components>]) -> Vec<bool> {
    let p_value = |components: &Components| {
        let tested = [LOCATION, SCALE, MISSING].map(|sum| components.p_values[sum]);
        tested.into_iter().fold(1.0, f64::min) * tested.len() as f64
    };
    let p_values: Vec<f64> = components.iter().map(|c| c.as_ref().map_or(1.0, p_value)).collect();
    let leaning = p_values.iter().filter(|p| **p < LEANING).count();
    let many = p_values.len() >= 4 && leaning as f64 >= MANY * p_values.len() as f64;
    p_values.into_iter().map(|p| p < if many { 1.0 } else { SHOWN }).collect()
}

impl Components {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    fn scale(self, seconds: i64) -> SpanScale {
        SpanScale {
            seconds: seconds.unsigned_abs(),
            freedom: self.freedom as u64,
            effects: Effects::from_sums(self.variances),
        }
    }
}

impl Varying {
    fn new(feature: &BaselineFeature) -> Self {
        let scores = Scores::of(&feature.content);
        let rows = RowBlocks::with_shares(scores.groups);
        let spans = [Spans::new(HOUR), Spans::new(DAY)];
        let hour = Hour { cells: vec![0; scores.cells], ..Hour::default() };
        let hours = if scores.cells <= MOST_CELLS { vec![hour; 24] } else { Vec::new() };
        Self { scores, rows, spans, hours }
    }

    fn observe(&mut self, feature: &BaselineFeature, column: &Column, times: Option<&[Timestamp]>) {
        let Self { scores, rows, spans, hours } = self;
        let sums = SHARES + scores.groups;
        let mut row = 0;
        scores.each(&feature.content, column, |scored| {
            rows.observe(&scored);
            if let Some(at) = times.and_then(|times| times.get(row)) {
                let at = at.as_second();
                for span in spans.iter_mut() {
                    span.observe(at, &scored, sums);
                }
                let hour = usize::try_from(at.div_euclid(HOUR).rem_euclid(24)).unwrap_or(0);
                if let Some(hour) = hours.get_mut(hour) {
                    hour.missing += u64::from(scored.missing);
                    hour.odd += u64::from(scored.odd);
                    if let Some(cell) = scored.cell {
                        hour.cells[cell] += 1;
                    }
                }
            }
            row += 1;
        });
    }

    /// The design effect of neighbours, by sum.
    fn short(&self) -> Vec<f64> {
        let effect = |sum| self.rows.effect(SHORT, sum).unwrap_or(1.0).max(1.0);
        (0..self.rows.sums()).map(effect).collect()
    }

    fn between(&self, span: usize) -> Option<Components> {
        let short = self.short();
        let days_differ = span == 0 && self.between(1).is_none_or(|days| days.differ());
        self.spans[span].between(&RowSums { short: &short, days_differ })
    }

    fn season(self) -> Option<Season> {
        if self.hours.is_empty() {
            return None;
        }
        let short = self.short();
        let days_differ = self.between(1).is_none_or(|days| days.differ());
        let sums = RowSums { short: &short, days_differ };
        let beside = self.spans[0].beside_cycle(&sums)?;
        // The last cell is `other`, which numbers do not have.
        Some(Season { beside: beside.scale(HOUR), hours: self.hours })
    }
}
