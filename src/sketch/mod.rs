//! Rows in, fixed-size summaries out; merged over windows, threads and pods.
//!
//! Pure: no clock, no IO. Numeric features are counted on the baseline's frozen edges with per-bin
//! sums beside a KLL sketch; categorical ones by level with frequent items and a distinct count.

mod feature;

pub use feature::{FeatureKey, Kind, Role};
