//! Rows are not independent, and what is usual varies: how much, learnt from blocks.
//!
//! In: the rows of a reference in their order, with their times where they have some, and the rows of
//! live windows as they come. Out: a [`DesignEffects`] for each comparison, by which tests are widened,
//! and for a feature with a daily cycle the reference at the same hours.
//!
//! Only what is more than chance widens a test: rows that are independent cost nothing.

mod builder;
mod curve;
mod rows;
mod scores;
mod season;
mod spans;
mod variation;

#[cfg(test)]
mod tests;

pub use builder::VariationBuilder;

pub(super) use curve::{Shown, curve, evidence, shown};
pub(super) use rows::RowBlocks;
pub(super) use scores::Scores;
pub(super) use season::HoursOfDay;
pub(crate) use variation::Variation;
pub(super) use variation::{DesignEffects, Question, RowScale, design_effects};
