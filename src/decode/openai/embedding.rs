//! Embedding vectors in, their length and norm out; as numbers, or as base64 of little-endian floats.

use super::super::walk::{Node, Scalar, Walk};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::MapAccess;

/// A piece that is decoded at once: whole floats, and whole groups of three bytes.
const BASE64_CHARACTERS: usize = 1024;
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug, Default)]
pub(super) struct Vectors {
    pub(super) count: u64,
    /// Numbers of all vectors.
    numbers: u64,
    norms: f64,
}

impl Vectors {
    /// Numbers in a vector, on average.
    pub(super) fn dimensions(&self) -> Option<f64> {
        (self.count > 0).then(|| self.numbers as f64 / self.count as f64)
    }

    pub(super) fn mean_norm(&self) -> Option<f64> {
        (self.count > 0).then(|| self.norms / self.count as f64)
    }

    fn add(&mut self, vector: &Vector) {
        self.count += 1;
        self.numbers += vector.numbers;
        self.norms += vector.squares.sqrt();
    }
}

/// The list of embeddings.
pub(super) struct Embeddings<'a>(pub(super) &'a mut Vectors);

impl Node for Embeddings<'_> {
    const KEYS: &'static [&'static str] = &["embedding"];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        _key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let mut vector = Vector::default();
        map.next_value_seed(Walk(&mut vector))?;
        self.0.add(&vector);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Vector {
    numbers: u64,
    squares: f64,
}

impl Vector {
    fn push(&mut self, number: f64) {
        self.numbers += 1;
        self.squares += number * number;
    }

    /// As many floats as there are whole ones before what is no base64.
    fn push_base64(&mut self, text: &str) {
        let mut bytes = [0; BASE64_CHARACTERS / 4 * 3];
        for characters in text.as_bytes().chunks(BASE64_CHARACTERS) {
            let Ok(len) = BASE64.decode_slice(characters, &mut bytes) else { return };
            for float in bytes[..len].as_chunks().0 {
                self.push(f32::from_le_bytes(*float).into());
            }
        }
    }
}

impl Node for Vector {
    const KEYS: &'static [&'static str] = &[];

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        _key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        map.next_value::<serde::de::IgnoredAny>().map(drop)
    }

    fn scalar(&mut self, value: Scalar<'_>) {
        match value {
            Scalar::Number(number) => self.push(number),
            Scalar::Text(text) => self.push_base64(text),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_little_endian_floats() {
        // base64.b64encode(struct.pack("<3f", 3, -4, 12)): squares of 9, 16 and 144.
        let mut vector = Vector::default();
        vector.push_base64("AABAQAAAgMAAAEBB");
        assert_eq!((vector.numbers, vector.squares), (3, 169.0));
        // One float, and three of the four bytes of another.
        let mut cut = Vector::default();
        cut.push_base64("AABAQAAAgA==");
        assert_eq!((cut.numbers, cut.squares), (1, 9.0));
        // Of pieces, each of 192 floats, all those before what is damaged.
        let mut long = Vector::default();
        long.push_base64(&["AABAQAAAgMAAAEBB".repeat(100), "!".to_owned()].concat());
        assert_eq!((long.numbers, long.squares), (192, 64.0 * 169.0));
        let mut whole = Vector::default();
        whole.push_base64(&"AABAQAAAgMAAAEBB".repeat(100));
        assert_eq!((whole.numbers, whole.squares), (300, 16900.0));
    }

    #[test]
    fn norms_are_averaged_over_vectors() {
        let mut vectors = Vectors::default();
        assert_eq!((vectors.dimensions(), vectors.mean_norm()), (None, None));
        for numbers in [[3.0, 4.0], [0.0, 1.0]] {
            let mut vector = Vector::default();
            for number in numbers {
                vector.push(number);
            }
            vectors.add(&vector);
        }
        assert_eq!((vectors.dimensions(), vectors.mean_norm()), (Some(2.0), Some(3.0)));
    }
}
