//! The one integration binary: what can only be seen from outside of the crate.

mod decode;
mod export;
mod export_collector;
mod layering;
