//! One protobuf message in, its fields out, as they lie on the wire.
//!
//! Borrows from the message and allocates nothing. Fields that a caller does not know are for it to
//! pass over. Groups, which proto3 does not have, end the message as malformed.

use super::problem::Problem;

/// The message is no protobuf, or a field ends behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire<'m> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    /// A string, bytes, a message, or a packed list.
    Bytes(&'m [u8]),
}

/// The fields of a message, each with its number; nothing after one that is malformed.
#[derive(Debug, Clone)]
pub(super) struct Fields<'m> {
    rest: &'m [u8],
}

impl<'m> Fields<'m> {
    pub(super) fn of(message: &'m [u8]) -> Self {
        Self { rest: message }
    }

    fn read(&mut self) -> Option<(u64, Wire<'m>)> {
        let tag = varint(&mut self.rest)?;
        let wire = match tag & 7 {
            0 => Wire::Varint(varint(&mut self.rest)?),
            1 => Wire::Fixed64(fixed(&mut self.rest)?),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(fixed(&mut self.rest)?),
            _ => return None,
        };
        (tag >> 3 != 0).then_some((tag >> 3, wire))
    }
}

impl<'m> Iterator for Fields<'m> {
    type Item = Result<(u64, Wire<'m>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*bytes)
}

/// Seven bits a byte, the lowest first; ten bytes at most, of which the last has one bit.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for index in 0..10 {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        if index == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Hands over the varints of a list that is packed, or the one of a field that is not.
pub(super) fn each_varint(
    wire: Wire<'_>,
    mut take: impl FnMut(u64) -> Result<(), Problem>,
) -> Result<(), Problem> {
    match wire {
        Wire::Varint(value) => take(value),
        Wire::Bytes(mut packed) => {
            while !packed.is_empty() {
                take(varint(&mut packed).ok_or(Problem::InvalidProtobuf)?)?;
            }
            Ok(())
        }
        Wire::Fixed32(_) | Wire::Fixed64(_) => Err(Problem::InvalidProtobuf),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<(u64, Wire<'_>)>, Malformed> {
        Fields::of(message).collect()
    }

    /// By `protoc --encode` of a message with one field of each kind.
    #[test]
    fn fields_of_every_wire_type_come_in_order() {
        let message =
            b"\x08\x96\x01\x12\x02hi\x1d\x00\x00\x80\x3f\x21\0\0\0\0\0\0\xf0\x3f\xf8\x07\x00";
        assert_eq!(
            fields(message),
            Ok(vec![
                (1, Wire::Varint(150)),
                (2, Wire::Bytes(b"hi")),
                (3, Wire::Fixed32(1f32.to_le_bytes())),
                (4, Wire::Fixed64(1f64.to_le_bytes())),
                (127, Wire::Varint(0)),
            ])
        );
        assert_eq!(fields(b""), Ok(vec![]));
    }

    #[test]
    fn a_negative_number_is_ten_bytes_and_eleven_are_malformed() {
        let mut message = vec![0x08];
        message.extend([0xff; 9]);
        message.push(0x01);
        assert_eq!(fields(&message), Ok(vec![(1, Wire::Varint(u64::MAX))]));
        message[10] = 0x02;
        assert_eq!(fields(&message), Err(Malformed));
        message[10] = 0x81;
        message.push(0x00);
        assert_eq!(fields(&message), Err(Malformed));
    }

    #[test]
    fn what_ends_too_early_or_is_a_group_is_malformed() {
        for message in [
            &b"\x08"[..],
            b"\x08\x80",
            b"\x12\x03hi",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x1d\0\0\0",
            b"\x21\0\0\0\0\0\0\0",
            b"\x0b\x0c",
            b"\x0f",
            b"\x00\x00",
        ] {
            assert_eq!(fields(message), Err(Malformed), "{message:?}");
        }
    }
}
