//! The configuration: as typed in YAML, flags and variables, then as checked.
//!
//! Only the checked type leaves this module. Every problem is reported, not the first, with the key,
//! the value and what is allowed.

mod checked;

pub use checked::*;
