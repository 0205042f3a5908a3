//! What was seen, said to others: OTLP and Prometheus, from one table of names.

mod family;
pub mod names;

pub use family::{Attribute, Family, Point, Value};
