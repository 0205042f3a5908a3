//! Is the difference chance? Two lots of counts in, one p-value a feature out.
//!
//! Each test asks one small question of the histogram or of the level counts, at the sample sizes of
//! both sides. A feature's p-value is the smallest of its k tests, times k (Bonferroni); features are
//! then taken together by [`discovery`]. What is tested (tails, levels, bins) is chosen from both
//! sides' rows pooled: chosen from one side it would differ by construction.

mod battery;
mod discovery;
mod hypergeometric;
mod rank;

#[cfg(test)]
mod simulations;

pub(super) use battery::{beyond, p_value};
pub(super) use discovery::discoveries;
pub(super) use hypergeometric::{Part, more};
