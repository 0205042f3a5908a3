//! cli

pub mod archive;
