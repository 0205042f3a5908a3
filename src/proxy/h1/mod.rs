//! HTTP/1.1 on the wire, both sides of the proxy: heads, framing, bodies, connections.
//!
//! In: bytes of a connection. Out: typed heads with streaming bodies, and the way back. The promise:
//! what RFC 9112 leaves open to two readings is refused (see [`head`] and [`framing`]), what it
//! allows passes as it was written: letters and order of field names, reason phrases, targets,
//! trailers that nobody announced, interim answers. A connection that idles holds no buffer.
//!
//! hyper carries HTTP/2 here and HTTP/1.1 everywhere else in this process. On this path it cannot be
//! used without loss: it drops unannounced trailers, cannot send 103, reorders repeated fields, says
//! 100 before the upstream does, keeps 8 KiB an idle connection, and hands every message to a second
//! task, which costs a wake-up each way.

mod body;
mod chunk;
mod client;
mod encode;
mod framing;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod head;
mod incoming;
mod outgoing;
mod replay;
mod server;
mod written;

pub(super) use body::ClientBody;
pub(super) use client::{Answer, Asking, Exchange, Failed, Idle, Reached, SendError};
pub(super) use framing::{BadFraming, of_request as framing_of};
pub(super) use head::{BadHead, Limits};
pub(super) use incoming::BadBody;
pub(super) use replay::Replay;
pub(super) use server::{NoRequest, Settings, Telling, serve, turn_away};
pub(super) use written::{Spelled, Written};
