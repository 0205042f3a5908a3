//! Times and sizes of exchanges, in histograms that each serving thread owns.
//!
//! In: one call an exchange, on the serving thread. Out: a [`Snapshot`] of all threads since start.

mod snapshot;

pub use snapshot::{Outcome, Phase, PhaseTimes, RequestSeries, Snapshot};
