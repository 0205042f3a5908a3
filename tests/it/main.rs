//! What users and neighbours of the process see, one file a subject.

#![allow(clippy::unwrap_used, reason = "builders of tests may fail as tests do")]

mod admin;
mod admin_openapi;
mod admin_pages;
mod admin_reload;
mod admin_state;
mod app;
mod app_lifecycle;
mod app_performance;
mod app_replay;
mod app_state;
mod application_insights;
mod cli_baseline;
mod cli_check;
mod cli_decode;
mod cli_doctor;
mod cli_drift;
mod cli_labelled;
mod cli_recording;
mod cli_support;
mod conform;
mod decode;
mod export;
mod ingestion;
mod layering;
mod proxy;
mod reload;
mod soak;
mod support;
