//! The data path: accepts clients, passes their exchanges to the model, and brings back the answers.
//!
//! In: connections that speak HTTP/1.1 or HTTP/2, plain or by TLS, on one port. Out: the same exchanges on upstream
//! connections of this thread's own pool. The promise: bodies stream both ways with back-pressure
//! and are never gathered; nothing is added but `x-request-id` and trace context; a cut upstream
//! body reaches the client as a cut, never as a well-formed short one. It refuses what could be
//! read two ways (see `target`), and CONNECT.

mod bind;
mod body;
mod drain;
mod fit;
#[cfg(fuzzing)]
pub mod fuzzing;
mod h1;
mod h2;
mod headers;
mod io;
mod limit;
mod reply;
mod server;
mod service;
mod target;
mod thread;
pub mod tls;
pub mod upstream;

pub use bind::bind;
pub use limit::Connections;
pub use thread::{Live, Shutdown, Thread};
