//! The hinge between traffic and analysis.
//!
//! Traffic modules ([`crate::proxy`], [`crate::tap`], [`crate::latency`]) import towards it, analysis
//! modules import back to it, and nothing crosses. In: what a tap kept of one exchange. Out: the same,
//! in batches, to the analysis threads. The promise: offering an exchange never waits, never
//! allocates beyond the exchange itself, and every exchange that is not handed on is counted.

mod counters;
mod exchange;
mod fault;
mod queue;
mod room;
mod route;
mod sampling;

pub use counters::{Counters, Totals};
pub use exchange::{BodyEnd, CapturedBody, Exchange, Headers, Message, RequestId, Timing, Trace};
pub use fault::Fault;
pub use queue::{Limits, Offer, Queue};
pub use room::Room;
pub use route::{RouteId, RouteTable, RouteTableError};
pub use sampling::SampleRate;
