//! Payloads in, typed rows out.
//!
//! Pure: no clock, no IO. One file a dialect, each a serde visitor from bytes straight into
//! [`Rows`]; no tree of values is built. A payload that cannot be read is a [`Problem`], which is
//! counted and never an error of the proxy.

mod rows;

pub use rows::{Cell, Column, Rows};
