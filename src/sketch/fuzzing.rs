//! The door of the fuzz targets; see `tests/fuzz`. Nothing else is built with it.
//!
//! Contents come in unsealed: no mutation would ever hit the checksum.

use super::frame::{Content, FrameError, seal};
use super::{CategoricalSketch, Edges, Levels, NumericSketch};
use std::sync::Arc;

pub fn numeric(content: &[u8], edges: Arc<Edges>) -> Result<NumericSketch, FrameError> {
    NumericSketch::from_bytes(&seal(Content::Numeric, content), edges)
}

pub fn categorical(content: &[u8], levels: Arc<Levels>) -> Result<CategoricalSketch, FrameError> {
    CategoricalSketch::from_bytes(&seal(Content::Categorical, content), levels)
}
