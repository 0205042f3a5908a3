//! Values as bytes and back: what stored sketches and saved windows are made of.
//!
//! Whole numbers are LEB128, so that the small counts of a window take a byte; floats are eight bytes,
//! little-endian; texts and images follow their length. Reading promises no panic and no allocation
//! beyond what the bytes hold, whatever they are.

use super::FrameError;

/// More rows than could ever be seen would overflow when windows are merged.
const MOST_ROWS: u64 = 1 << 48;

/// Bytes that grow by one value after the other.
#[derive(Debug, Default)]
pub struct Packer(Vec<u8>);

impl Packer {
    pub fn word(&mut self, mut word: u64) {
        while word >= 0x80 {
            self.0.push(word.to_le_bytes()[0] | 0x80);
            word >>= 7;
        }
        self.0.push(word.to_le_bytes()[0]);
    }

    /// Nearer to zero is shorter, on either side.
    pub fn signed(&mut self, number: i64) {
        self.word((number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
    }

    pub fn size(&mut self, size: usize) {
        self.word(size as u64);
    }

    pub fn flag(&mut self, on: bool) {
        self.0.push(u8::from(on));
    }

    pub fn float(&mut self, float: f64) {
        self.hash(float.to_bits());
    }

    /// Eight bytes: no value is likelier than another.
    pub fn hash(&mut self, hash: u64) {
        self.0.extend(hash.to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.size(bytes.len());
        self.0.extend(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// As many as the reader will ask for. A run of zeros is a zero and its length.
    pub fn counts(&mut self, counts: &[u64]) {
        let mut rest = counts;
        while let [first, after @ ..] = rest {
            self.word(*first);
            rest = after;
            if *first == 0 {
                let run = after.iter().take_while(|count| **count == 0).count();
                self.size(run);
                rest = &after[run..];
            }
        }
    }

    /// Room for so many more, so that bytes are not held twice while they grow.
    pub fn reserve(&mut self, bytes: usize) {
        self.0.reserve_exact(bytes);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What is not read yet.
#[derive(Debug)]
pub struct Unpacker<'a>(&'a [u8]);

impl<'a> Unpacker<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn byte(&mut self) -> Result<u8, FrameError> {
        let (byte, rest) = self.0.split_first().ok_or(FrameError::Length)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub fn word(&mut self) -> Result<u64, FrameError> {
        let mut word = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(FrameError::Content);
            }
            word |= bits << shift;
            if byte < 0x80 {
                return Ok(word);
            }
        }
        Err(FrameError::Content)
    }

    pub fn signed(&mut self) -> Result<i64, FrameError> {
        self.word().map(|word| (word >> 1).cast_signed() ^ -((word & 1).cast_signed()))
    }

    /// Of rows, or of anything else that is counted.
    pub fn count(&mut self) -> Result<u64, FrameError> {
        let count = self.word()?;
        if count <= MOST_ROWS { Ok(count) } else { Err(FrameError::Content) }
    }

    /// Of a list that is read next. It is no reason to allocate: each item takes bytes of its own.
    pub fn size(&mut self, most: usize) -> Result<usize, FrameError> {
        let size = usize::try_from(self.word()?).map_err(|_| FrameError::Content)?;
        if size <= most { Ok(size) } else { Err(FrameError::Content) }
    }

    pub fn flag(&mut self) -> Result<bool, FrameError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FrameError::Content),
        }
    }

    pub fn float(&mut self) -> Result<f64, FrameError> {
        self.hash().map(f64::from_bits)
    }

    pub fn hash(&mut self) -> Result<u64, FrameError> {
        let (hash, rest) = self.0.split_first_chunk::<8>().ok_or(FrameError::Length)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*hash))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], FrameError> {
        let length = usize::try_from(self.word()?).map_err(|_| FrameError::Length)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(FrameError::Length)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn text(&mut self) -> Result<&'a str, FrameError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| FrameError::Content)
    }

    /// Fills `counts`.
    pub fn counts(&mut self, counts: &mut [u64]) -> Result<(), FrameError> {
        let mut rest = counts;
        while let [first, after @ ..] = rest {
            *first = self.count()?;
            rest = after;
            if *first == 0 {
                let run = self.size(rest.len())?;
                rest[..run].fill(0);
                rest = &mut rest[run..];
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    pub fn end(self) -> Result<(), FrameError> {
        if self.0.is_empty() { Ok(()) } else { Err(FrameError::Length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_read_as_they_were_written(
            words in proptest::collection::vec(any::<u64>(), 0..20), signed in any::<i64>(),
            float in any::<f64>(), text in ".*",
            counts in proptest::collection::vec(prop_oneof![Just(0), 0..MOST_ROWS], 0..80),
        ) {
            let mut packer = Packer::default();
            for word in &words {
                packer.word(*word);
            }
            packer.signed(signed);
            packer.float(float);
            packer.text(&text);
            packer.counts(&counts);
            let bytes = packer.into_bytes();
            let mut unpacker = Unpacker::new(&bytes);
            for word in words {
                prop_assert_eq!(unpacker.word(), Ok(word));
            }
            prop_assert_eq!(unpacker.signed(), Ok(signed));
            prop_assert_eq!(unpacker.float().map(f64::to_bits), Ok(float.to_bits()));
            prop_assert_eq!(unpacker.text(), Ok(&*text));
            let mut read = vec![7; counts.len()];
            prop_assert_eq!(unpacker.counts(&mut read), Ok(()));
            prop_assert_eq!(read, counts);
            prop_assert_eq!(unpacker.end(), Ok(()));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let read = |read: fn(&mut Unpacker<'_>)| read(&mut Unpacker::new(&bytes));
            read(|unpacker| while unpacker.word().is_ok() {});
            read(|unpacker| while unpacker.bytes().is_ok() {});
            read(|unpacker| while unpacker.text().is_ok() {});
            read(|unpacker| { let _ = unpacker.counts(&mut [0; 64]); });
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        assert_eq!(Unpacker::new(&[0xff; 10]).word(), Err(FrameError::Content));
        assert_eq!(Unpacker::new(&[5, 0]).bytes(), Err(FrameError::Length));
        assert_eq!(Unpacker::new(&[0, 9]).counts(&mut [0; 4]), Err(FrameError::Content));
        assert_eq!(Unpacker::new(&[3]).size(2), Err(FrameError::Content));
    }
}
