//! What users and neighbours of the process see, one file a subject.

#![allow(clippy::unwrap_used, reason = "builders of tests may fail as tests do")]

mod decode;
mod export;
mod export_collector;
mod layering;
mod proxy;
mod support;
