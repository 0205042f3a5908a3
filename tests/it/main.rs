//! The one integration binary: what can only be seen from outside of the crate.

mod cli_baseline;
mod cli_check;
mod cli_drift;
mod cli_support;
