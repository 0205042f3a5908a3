//! The analysis side: drains the capture queue, decodes, and hands rows to sketches, labels and the
//! archive. Out: a [`Snapshot`], published whole, that exports and pages read.

mod snapshot;

pub use snapshot::{ArchiveState, Problem, ReferenceState, Snapshot};
