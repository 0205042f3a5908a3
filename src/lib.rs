//! Taffrail: a sidecar proxy in front of a model endpoint.
//!
//! Left to right: [`proxy`] carries every exchange between client and model and never waits for what
//! follows. [`tap`] clones its frames by reference count, [`latency`] records its times, and
//! [`capture`] is the hinge: the exchange itself and the bounded queue that hands it to analysis.
//! There [`pipeline`] drains the queue: [`decode`] turns payloads into rows, [`sketch`] folds rows
//! into windows, [`drift`] compares windows with a baseline, [`labels`] joins late ground truth and
//! [`archive`] keeps the record. [`export`] and [`admin`] say what was seen.
//!
//! The layering is held by a test: see `ARCHITECTURE.md`.

pub mod config;
pub mod credentials;
pub mod distribution;
pub mod limits;
pub mod pulse;

pub mod latency;
pub mod proxy;
pub mod tap;

pub mod capture;

pub mod archive;
pub mod decode;
pub mod drift;
pub mod label_files;
pub mod labels;
pub mod pipeline;
pub mod sketch;

pub mod admin;
pub mod export;

pub mod app;
pub mod cli;
pub mod demo;
