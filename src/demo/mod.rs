//! A real small model, real data, and its traffic: what `taffrail demo` shows without any set-up.
//!
//! In: the weather of Seattle, day by day, 2012 to 2015 (NOAA, public domain), and a classifier fitted
//! by `fit.py` on every second day of two of its summers. Out: a [`Model`] that answers Open Inference
//! requests, the [`baseline`] of the days it was fitted on, and a [`Replay`] that asks it about the days
//! of a simulated year, through the sidecar, and tells the truth about them some simulated days later.
//! The promise: every number on the page is measured on those requests, and none of them asks about a
//! day that the model was fitted on. Nothing here knows a threshold, and no verdict is arranged.

mod baseline;
mod calendar;
mod classifier;
mod days;
mod model;
mod port;
mod replay;
mod terminal;
#[cfg(test)]
mod tests;

pub use baseline::baseline;
pub use calendar::{Calendar, Moment, Season};
pub use classifier::{Classifier, Prediction};
pub use days::{Day, days};
pub use model::Model;
pub use port::{Taken, listen_or_free};
pub use replay::{Progress, Replay};
pub use terminal::{Numbers, banner, narrate};

use thiserror::Error;

/// What the model is called on the wire and in every signal.
pub const MODEL_NAME: &str = "seattle-weather";
pub const MODEL_VERSION: &str = "1";

#[derive(Debug, Error)]
pub enum DemoError {
    #[error("the embedded weather data is damaged at line {line}: {fault}")]
    Data { line: usize, fault: String },
    #[error("the embedded weights are damaged")]
    Weights(#[source] serde_json::Error),
    #[error("the baseline of the demo's summers could not be built")]
    Baseline(#[from] crate::drift::BaselineError),
    #[error("the demo's runtime or socket failed")]
    Io(#[from] std::io::Error),
}
