//! What was seen, said to others: OTLP and Prometheus, from one table of names.
//!
//! In: the snapshots that serving and analysis publish, exchanges whose trace is sampled, verdicts.
//! [`collect()`] makes [`Family`]s of the snapshots; [`prometheus`] writes them as text and [`otlp`]
//! pushes them, with spans and events, to a collector. The promise: telemetry that is not delivered
//! is counted, and takes bounded memory while it waits.

pub mod application_insights;
mod azure_token;
mod batch;
mod collect;
mod counters;
mod event;
mod exemplars;
mod family;
mod generations;
mod http;
pub mod names;
pub mod otlp;
pub mod prometheus;
mod resource;
mod retry;
mod visit;

pub use azure_token::AzureToken;
pub use collect::{QueueState, Sources, collect};
pub use counters::{BufferState, Counters, ExporterName, Loss, Signal, SignalCounters};
pub use event::Events;
pub use exemplars::{Exemplar, Exemplars};
pub use family::{Attribute, Family, Point, Value};
pub use generations::Generations;
pub use http::{Client, SendError};
pub use resource::Resource;
pub use visit::Spans;
