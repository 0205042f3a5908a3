//! Rows in, fixed-size summaries out; merged over windows, threads and pods.
//!
//! Pure: no clock, no IO. Numeric features are counted on the baseline's frozen edges with per-bin
//! sums beside a KLL sketch; categorical ones by level with frequent items and a distinct count.

mod categorical;
mod cells;
mod edges;
mod feature;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod levels;
mod numeric;
mod repeats;
mod window;
mod wire;

#[cfg(test)]
mod tests;

pub use categorical::{CategoricalCounts, CategoricalSketch};
pub use cells::{Cell, Cells};
pub use edges::{Bounds, Edges, EdgesError};
pub use feature::{FeatureKey, Kind, Role};
pub use frame::FrameError;
pub use levels::Levels;
pub use numeric::{EdgesDiffer, NumericCounts, NumericSketch};
pub use repeats::{Repeats, ValueKey};
pub use window::{FeatureCounts, FeatureSketch};
