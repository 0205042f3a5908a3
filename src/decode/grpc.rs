//! The gRPC form of Open Inference in, tensors out: `inference.GRPCInferenceService`'s `ModelInfer` and
//! `ModelStreamInfer`.
//!
//! A body is a sequence of messages, each behind a byte that says whether it is compressed and four
//! of its length. Numbers of fields are those of `grpc_predict_v2.proto`. The cells of a tensor stand in
//! its `contents`, or for all tensors in the raw contents of the message.

use super::document::Scratch;
use super::open_inference::{Raws, Tensor};
use super::problem::{Limits, Problem, Side};
use super::protobuf::{Fields, Malformed, Wire, each_varint};
use super::raw::{Number, push_text, signed, unsigned};

impl From<Malformed> for Problem {
    fn from(_: Malformed) -> Self {
        Self::InvalidProtobuf
    }
}

/// The messages of a body; nothing after one that cannot be read.
#[derive(Debug, Clone)]
pub(super) struct Messages<'b> {
    rest: &'b [u8],
}

impl<'b> Messages<'b> {
    pub(super) fn of(body: &'b [u8]) -> Self {
        Self { rest: body }
    }

    fn read(&mut self) -> Result<&'b [u8], Problem> {
        let rest = std::mem::take(&mut self.rest);
        let ([flag, length @ ..], rest) =
            rest.split_first_chunk::<5>().ok_or(Problem::Truncated)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (message, rest) = rest.split_at_checked(length).ok_or(Problem::Truncated)?;
        match flag {
            0 => {
                self.rest = rest;
                Ok(message)
            }
            1 => Err(Problem::Encoded),
            _ => Err(Problem::InvalidProtobuf),
        }
    }
}

impl<'b> Iterator for Messages<'b> {
    type Item = Result<&'b [u8], Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() { None } else { Some(self.read()) }
    }
}

/// A `ModelStreamInferResponse`'s answer; `None` where it tells an error instead.
pub(super) fn streamed(message: &[u8]) -> Result<Option<&[u8]>, Problem> {
    let (mut answer, mut failed) = (None, false);
    for field in Fields::of(message) {
        match field? {
            (1, Wire::Bytes(error)) => failed = !error.is_empty(),
            (2, Wire::Bytes(message)) => answer = Some(message),
            _ => {}
        }
    }
    Ok(answer.filter(|_| !failed))
}

/// Reads a `ModelInferRequest` or a `ModelInferResponse`; returns the raw contents of its tensors.
pub(super) fn read<'b>(
    message: &'b [u8],
    side: Side,
    limits: &Limits,
    scratch: &mut Scratch,
) -> Result<Raws<'b>, Problem> {
    let raw_contents = match side {
        Side::Request => 7,
        Side::Response => 6,
    };
    let mut raws = Raws::new();
    for field in Fields::of(message) {
        match field? {
            (1, Wire::Bytes(name)) => set(&mut scratch.model_name, name)?,
            (2, Wire::Bytes(version)) => set(&mut scratch.model_version, version)?,
            (5, Wire::Bytes(tensor)) => {
                if scratch.tensors.len() >= limits.max_columns {
                    return Err(Problem::TooManyColumns);
                }
                read_tensor(tensor, limits, scratch.tensors.next())?;
            }
            (number, Wire::Bytes(raw)) if number == raw_contents => {
                if raws.len() >= limits.max_columns {
                    return Err(Problem::TooManyColumns);
                }
                raws.push(raw);
            }
            _ => {}
        }
    }
    scratch.tensors.adopt(&raws);
    Ok(raws)
}

fn set(text: &mut String, bytes: &[u8]) -> Result<(), Problem> {
    text.clear();
    text.push_str(std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8)?);
    Ok(())
}

/// An `InferInputTensor` or an `InferOutputTensor`: their fields have the same numbers.
fn read_tensor(message: &[u8], limits: &Limits, tensor: &mut Tensor) -> Result<(), Problem> {
    for field in Fields::of(message) {
        match field? {
            (1, Wire::Bytes(name)) => set(&mut tensor.name, name)?,
            (2, Wire::Bytes(datatype)) => set(&mut tensor.datatype, datatype)?,
            (3, lengths) => each_varint(lengths, |length| {
                tensor
                    .shape
                    .push(usize::try_from(length.cast_signed()).map_err(|_| Problem::WrongShape)?);
                if tensor.shape.len() > limits.max_depth {
                    return Err(Problem::TooDeep);
                }
                Ok(())
            })?,
            (5, Wire::Bytes(contents)) => read_contents(contents, limits, tensor)?,
            _ => {}
        }
    }
    Ok(())
}

/// An `InferTensorContents`: a list for each kind of element, of which a tensor uses one.
fn read_contents(message: &[u8], limits: &Limits, tensor: &mut Tensor) -> Result<(), Problem> {
    let data = &mut tensor.data;
    for field in Fields::of(message) {
        let (number, wire) = field?;
        let as_f64: fn(u64) -> f64 = match number {
            1 => |value| f64::from(u8::from(value != 0)),
            // An `int32` below zero is written in 64 bits too.
            2 | 3 => |value| signed(value.cast_signed()),
            4 | 5 => unsigned,
            6 | 7 => {
                let kind = if number == 6 { Number::Fp32 } else { Number::Fp64 };
                let bytes = match &wire {
                    Wire::Bytes(packed) => packed,
                    Wire::Fixed32(one) => &one[..],
                    Wire::Fixed64(one) => &one[..],
                    Wire::Varint(_) => return Err(Problem::InvalidProtobuf),
                };
                if !bytes.len().is_multiple_of(kind.size()) {
                    return Err(Problem::InvalidProtobuf);
                }
                kind.read(bytes, 0, 1, data);
                check(data.len(), limits)?;
                continue;
            }
            8 => {
                let Wire::Bytes(text) = wire else { return Err(Problem::InvalidProtobuf) };
                push_text(text, data);
                check(data.len(), limits)?;
                continue;
            }
            _ => continue,
        };
        each_varint(wire, |value| {
            data.push_number(as_f64(value));
            check(data.len(), limits)
        })?;
    }
    Ok(())
}

fn check(cells: usize, limits: &Limits) -> Result<(), Problem> {
    if cells > limits.max_cells { Err(Problem::TooManyCells) } else { Ok(()) }
}
