//! Latency as a heat map: how many requests of each slot of time fell into each band of latency.

use super::tick::{BANDS_PER_OCTAVE, middle};
use schemars::JsonSchema;
use serde::Serialize;

/// Requests in every fine band there is, the fastest first.
pub(super) type Bands = Vec<u64>;

/// Rows of a heat map are whole groups of fine bands, so many that there are at most this many rows.
const MAX_ROWS: usize = 24;
const GROUPS: [usize; 5] = [2, 4, 8, 16, 32];

#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Heat {
    /// The fastest first, each beginning where the one before ends.
    pub bands: Vec<Band>,
    /// Requests by slot of time, oldest first, and in it by band.
    pub counts: Vec<Vec<u64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Band {
    pub from_seconds: f64,
    pub to_seconds: f64,
}

impl Heat {
    pub(super) fn of(slots: &[Bands]) -> Self {
        let hit = |slot: &Bands| {
            let first = slot.iter().position(|count| *count > 0)?;
            let last = slot.iter().rposition(|count| *count > 0)?;
            Some((first, last))
        };
        let ends = slots.iter().filter_map(hit);
        let Some((low, high)) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
            return Self { bands: Vec::new(), counts: vec![Vec::new(); slots.len()] };
        };
        let rows = |group: usize| high / group - low / group + 1;
        let group = GROUPS.into_iter().find(|group| rows(*group) <= MAX_ROWS).unwrap_or(32);
        let first = low / group;
        let bands = (first..first + rows(group)).map(|row| Band::of(row, group)).collect();
        let rows_of = |slot: &Bands| {
            let rows = slot.chunks(group).skip(first).take(rows(group));
            rows.map(|row| row.iter().sum()).collect()
        };
        Self { bands, counts: slots.iter().map(rows_of).collect() }
    }

    /// The fullest cell.
    pub fn max(&self) -> u64 {
        self.counts.iter().flatten().copied().max().unwrap_or(0)
    }
}

impl Band {
    fn of(row: usize, group: usize) -> Self {
        // `middle` is half a fine band above its lower edge.
        let half = (0.5 / BANDS_PER_OCTAVE).exp2();
        let edge = |band: usize| middle(band) / half;
        Self { from_seconds: edge(row * group), to_seconds: edge((row + 1) * group) }
    }
}
