//! Payloads in, typed rows out.
//!
//! Pure: no clock, no IO. A serde visitor a shape goes from bytes straight into [`Rows`]; no tree of
//! values is built. A payload that cannot be read is a [`Problem`], which is counted and never an
//! error of the proxy.
//!
//! A [`Decoder`] settles by path, content type and shape which [`Dialect`] an exchange speaks. Names
//! of columns come from the payload; else from the model's [`Signature`]; else from the configuration,
//! if it names as many as there are; else they are `f0…` for inputs, `prediction` or `prediction_0…`
//! for outputs. What is nested in a cell is flattened: `scores_0`, `address.city`.

mod coding;
mod csv;
mod decoder;
mod dialect;
mod document;
mod endpoint;
mod events;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod grpc;
mod json;
mod members;
mod multipart;
mod naming;
mod number;
mod open_inference;
mod openai;
mod payload;
mod pointer;
mod problem;
mod protobuf;
mod raw;
mod rows;
mod shape;
mod signature;
mod table;
mod text;
mod walk;
mod word;

pub use decoder::{Decoder, Settings};
pub use dialect::{Because, Dialect, Protocol};
pub use payload::{Decoded, ModelRef, Part, Payload};
pub use pointer::{Pointer, PointerError, Pointers};
pub use problem::{Limits, Problem, Side};
pub use rows::{Cell, Column, Rows};
pub use signature::{Field, FieldKind, Signature, SignatureError};
