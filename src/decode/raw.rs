//! The raw bytes of a tensor in, cells out: elements one after another, little-endian, row-major.
//!
//! Numbers go from the bytes into the column's memory and nowhere between. `BYTES` are texts, each
//! behind its length in four bytes; what is not UTF-8 in one is replaced, so that a tensor of blobs
//! costs no other tensor its rows.

use super::problem::Problem;
use super::rows::{Cell, Column};

/// A datatype whose elements all have one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
}

impl Number {
    pub(super) fn named(datatype: &str) -> Option<Self> {
        Some(match datatype {
            "BOOL" => Self::Bool,
            "UINT8" => Self::Uint8,
            "UINT16" => Self::Uint16,
            "UINT32" => Self::Uint32,
            "UINT64" => Self::Uint64,
            "INT8" => Self::Int8,
            "INT16" => Self::Int16,
            "INT32" => Self::Int32,
            "INT64" => Self::Int64,
            "FP16" => Self::Fp16,
            "BF16" => Self::Bf16,
            "FP32" => Self::Fp32,
            "FP64" => Self::Fp64,
            _ => return None,
        })
    }

    /// Bytes an element.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => 2,
            Self::Uint32 | Self::Int32 | Self::Fp32 => 4,
            Self::Uint64 | Self::Int64 | Self::Fp64 => 8,
        }
    }

    /// Adds every `step`th element to the column, from the one at `first` on.
    pub(super) fn read(self, bytes: &[u8], first: usize, step: usize, column: &mut Column) {
        match self {
            Self::Bool | Self::Uint8 => read(bytes, first, step, column, |[byte]| byte.into()),
            Self::Uint16 => read(bytes, first, step, column, |b| u16::from_le_bytes(b).into()),
            Self::Uint32 => read(bytes, first, step, column, |b| u32::from_le_bytes(b).into()),
            Self::Uint64 => read(bytes, first, step, column, |b| unsigned(u64::from_le_bytes(b))),
            Self::Int8 => read(bytes, first, step, column, |b| i8::from_le_bytes(b).into()),
            Self::Int16 => read(bytes, first, step, column, |b| i16::from_le_bytes(b).into()),
            Self::Int32 => read(bytes, first, step, column, |b| i32::from_le_bytes(b).into()),
            Self::Int64 => read(bytes, first, step, column, |b| signed(i64::from_le_bytes(b))),
            Self::Fp16 => read(bytes, first, step, column, |b| half(u16::from_le_bytes(b))),
            Self::Bf16 => read(bytes, first, step, column, |[low, high]| {
                f32::from_le_bytes([0, 0, low, high]).into()
            }),
            Self::Fp32 => read(bytes, first, step, column, |b| f32::from_le_bytes(b).into()),
            Self::Fp64 => read(bytes, first, step, column, f64::from_le_bytes),
        }
    }
}

#[inline]
fn read<const N: usize>(
    bytes: &[u8],
    first: usize,
    step: usize,
    column: &mut Column,
    number: impl Fn([u8; N]) -> f64,
) {
    let elements = bytes.as_chunks().0;
    if step == 1 && first == 0 {
        // Its length is known to the compiler, which makes a loop over vectors of it.
        return column.extend_numbers(elements.iter().map(|element| number(*element)));
    }
    let elements = elements.get(first..).unwrap_or_default();
    column.extend_numbers(elements.iter().step_by(step.max(1)).map(|element| number(*element)));
}

#[expect(clippy::cast_precision_loss, reason = "as for numbers in JSON: cells are doubles")]
pub(super) fn signed(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "as for numbers in JSON: cells are doubles")]
pub(super) fn unsigned(number: u64) -> f64 {
    number as f64
}

/// A number of IEEE 754's binary16.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// Adds the texts of a `BYTES` tensor, which have to be `elements` and fill the bytes.
pub(super) fn read_texts(
    mut bytes: &[u8],
    elements: usize,
    column: &mut Column,
) -> Result<(), Problem> {
    for _ in 0..elements {
        let (length, rest) = bytes.split_first_chunk().ok_or(Problem::WrongShape)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (text, rest) = rest.split_at_checked(length).ok_or(Problem::WrongShape)?;
        push_text(text, column);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(()) } else { Err(Problem::WrongShape) }
}

pub(super) fn push_text(text: &[u8], column: &mut Column) {
    column.push(Cell::Text(&String::from_utf8_lossy(text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(datatype: &str, bytes: &[u8]) -> Vec<f64> {
        let mut column = Column::new("");
        Number::named(datatype).unwrap().read(bytes, 0, 1, &mut column);
        column.as_numbers().unwrap().to_vec()
    }

    #[test]
    fn every_datatype_is_read_little_endian() {
        assert_eq!(numbers("BOOL", &[0, 1, 2]), [0.0, 1.0, 2.0]);
        assert_eq!(numbers("UINT8", &[0, 255]), [0.0, 255.0]);
        assert_eq!(numbers("UINT16", &[1, 2, 255, 255]), [513.0, 65_535.0]);
        assert_eq!(numbers("UINT32", &[1, 0, 0, 128]), [2_147_483_649.0]);
        assert_eq!(numbers("UINT64", &u64::MAX.to_le_bytes()), [18_446_744_073_709_551_616.0]);
        assert_eq!(numbers("INT8", &[127, 128]), [127.0, -128.0]);
        assert_eq!(numbers("INT16", &[0xfe, 0xff, 0, 128]), [-2.0, -32_768.0]);
        assert_eq!(numbers("INT32", &(-70_000i32).to_le_bytes()), [-70_000.0]);
        assert_eq!(numbers("INT64", &i64::MIN.to_le_bytes()), [-9_223_372_036_854_775_808.0]);
        assert_eq!(numbers("BF16", &[0x80, 0x3f, 0x49, 0xc0]), [1.0, -3.140_625]);
        assert_eq!(numbers("FP32", &0.1f32.to_le_bytes()), [f64::from(0.1f32)]);
        assert_eq!(numbers("FP64", &(-0.1f64).to_le_bytes()), [-0.1]);
        assert_eq!(Number::named("BYTES"), None);
        assert_eq!(Number::named("FP8"), None);
    }

    /// By numpy: `np.array([…], dtype=np.uint16).view(np.float16).astype(np.float64)`.
    #[test]
    fn halves_are_those_of_ieee_754() {
        let halves = [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_953_125),
            (0x7bff, 65_504.0),
            (0x0400, 6.103_515_625e-5),
            (0x03ff, 6.097_555_160_522_461e-5),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ];
        for (bits, number) in halves {
            assert_eq!(half(bits).to_bits(), f64::to_bits(number), "{bits:#06x}");
        }
        assert!(half(0x8000).is_sign_negative() && half(0x8000) == 0.0);
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn a_column_of_a_matrix_is_every_kth_element() {
        let bytes: Vec<u8> = (0u16..7).flat_map(u16::to_le_bytes).collect();
        let mut column = Column::new("");
        Number::Uint16.read(&bytes, 1, 3, &mut column);
        assert_eq!(column.as_numbers(), Some(&[1.0, 4.0][..]));
        Number::Uint16.read(&bytes, 9, 3, &mut column);
        assert_eq!(column.len(), 2);
    }

    #[test]
    fn texts_stand_behind_their_lengths_and_fill_the_bytes() {
        let bytes = b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0\xff";
        let mut column = Column::new("");
        assert_eq!(read_texts(bytes, 3, &mut column), Ok(()));
        let cells: Vec<_> = column.cells().collect();
        assert_eq!(cells, [Cell::Text("ab"), Cell::Text(""), Cell::Text("\u{fffd}")]);
        for (bytes, elements) in
            [(&bytes[..], 2), (&bytes[..], 4), (&bytes[..14], 3), (b"\xff\xff\xff\xffa", 1)]
        {
            assert_eq!(read_texts(bytes, elements, &mut column), Err(Problem::WrongShape));
        }
    }
}
