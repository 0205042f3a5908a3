//! The analysis side: drains the capture queue, decodes, and hands rows to sketches, labels and the
//! archive. Out: a [`Snapshot`], published whole, that exports and pages read.

mod budget;
mod failures;
mod hub;
mod kept;
mod snapshot;
mod spoken;
mod state;
mod watch;
mod worker;

pub use budget::CpuBudget;
pub use failures::QualityChange;
pub use hub::{Hub, Outlet, Outlets};
pub use snapshot::{Problem, Snapshot};
pub use spoken::{RouteDialect, RouteProblem};
pub use state::{StateReport, Store, StoreError, Stored};
pub use watch::{
    Changes, Closed, Mark, NotRestored, Resumed, Retune, Saved, Taken, VerdictChange, Watch,
};
pub use worker::{Decode, MakeDecode, Tuning, Worker, every_dialect};

#[cfg(test)]
mod tests;
