//! Times and sizes of exchanges, in histograms that each serving thread owns.
//!
//! In: one call an exchange, on the serving thread, which takes no lock and shares no cache line.
//! About once a second the thread hands its interval over. Out: a [`Snapshot`] of all threads since
//! start. The promise: nothing recorded is lost, however slow the collector is.

mod change;
mod collector;
mod interval;
mod recorder;
mod series;
mod snapshot;

pub use change::{Changes, Course, Operation, OperationChange, Signal};
pub use collector::Collector;
pub use recorder::{Observation, Recorder, recorders};
pub use snapshot::{Outcome, Phase, PhaseTimes, RequestSeries, Snapshot};
