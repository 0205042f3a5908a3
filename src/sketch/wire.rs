//! Windows of sketches as bytes and back, each in a [`frame`].
//!
//! Numbers are little-endian 64-bit words in the order of the fields; Apache images follow, each after
//! its length. A window is only read back on the edges or levels on which it was made.

use super::frame::{self, Content, FrameError};
use super::{CategoricalCounts, CategoricalSketch, Edges, Levels, NumericCounts, NumericSketch};
use datasketches::frequencies::FrequentItemsSketch;
use datasketches::hll::HllSketch;
use datasketches::kll::KllSketch;
use std::sync::Arc;

const MOST_ROWS: u64 = 1 << 48;

impl NumericSketch {
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = &self.counts;
        let mut words = vec![counts.edges.hash()];
        words.extend(counts.bins.iter());
        words.extend(counts.sums.iter().map(|sum| sum.to_bits()));
        words.extend([counts.squares, counts.min, counts.max].map(f64::to_bits));
        words.extend([counts.zeros, counts.nulls, counts.nans, counts.infinities]);
        words.extend([counts.below, counts.above, counts.type_errors]);
        frame::seal(Content::Numeric, &with_images(&words, &[&self.quantiles.serialize()]))
    }

    pub fn from_bytes(bytes: &[u8], edges: Arc<Edges>) -> Result<Self, FrameError> {
        let mut reader = Reader(frame::open(Content::Numeric, bytes)?);
        if reader.word()? != edges.hash() {
            return Err(FrameError::Edges);
        }
        let mut counts = NumericCounts::new(edges);
        for bin in &mut counts.bins {
            *bin = reader.count()?;
        }
        for sum in &mut counts.sums {
            *sum = reader.float()?;
        }
        (counts.squares, counts.min, counts.max) =
            (reader.float()?, reader.float()?, reader.float()?);
        (counts.zeros, counts.nulls) = (reader.count()?, reader.count()?);
        (counts.nans, counts.infinities) = (reader.count()?, reader.count()?);
        (counts.below, counts.above) = (reader.count()?, reader.count()?);
        counts.type_errors = reader.count()?;
        let quantiles = KllSketch::deserialize(reader.image()?).map_err(|_| FrameError::Content)?;
        if quantiles.n() != counts.values() {
            return Err(FrameError::Content);
        }
        reader.end()?;
        Ok(Self { counts, quantiles })
    }
}

impl CategoricalSketch {
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = &self.counts;
        let mut words = vec![counts.levels.hash()];
        words.extend(counts.rows.iter());
        words.extend([counts.other, counts.nulls, counts.type_errors]);
        let images = [self.frequent.serialize(), self.distinct.serialize()];
        let content = with_images(&words, &[&images[0], &images[1]]);
        frame::seal(Content::Categorical, &content)
    }

    pub fn from_bytes(bytes: &[u8], levels: Arc<Levels>) -> Result<Self, FrameError> {
        let mut reader = Reader(frame::open(Content::Categorical, bytes)?);
        if reader.word()? != levels.hash() {
            return Err(FrameError::Edges);
        }
        let mut counts = CategoricalCounts::new(levels);
        for rows in &mut counts.rows {
            *rows = reader.count()?;
        }
        (counts.other, counts.nulls) = (reader.count()?, reader.count()?);
        counts.type_errors = reader.count()?;
        let frequent = frequent_items(reader.image()?)?;
        // Each row of an unknown level was given to it, with a weight of one.
        if frequent.total_weight() != counts.other || frequent.maximum_error() > counts.other {
            return Err(FrameError::Content);
        }
        let distinct = HllSketch::deserialize(reader.image()?).map_err(|_| FrameError::Content)?;
        if distinct.lg_config_k() != Self::DISTINCT_LG_K {
            return Err(FrameError::Content);
        }
        reader.end()?;
        Ok(Self { counts, frequent, distinct })
    }
}

/// Bytes 3 and 4 of the image are the logarithms of map sizes, for which the library allocates what
/// they say: 26 in a 322-byte image takes 2.3 GB.
pub(super) fn frequent_items(image: &[u8]) -> Result<FrequentItemsSketch<String>, FrameError> {
    let largest = u8::try_from(CategoricalSketch::FREQUENT_MAP.ilog2()).unwrap_or(u8::MAX);
    match image {
        [_, _, _, max, current, ..] if *max <= largest && *current <= largest => {
            FrequentItemsSketch::deserialize(image).map_err(|_| FrameError::Content)
        }
        _ => Err(FrameError::Content),
    }
}

fn with_images(words: &[u64], images: &[&[u8]]) -> Vec<u8> {
    let mut content: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    for image in images {
        content.extend((image.len() as u64).to_le_bytes());
        content.extend(*image);
    }
    content
}

/// The content that is not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn word(&mut self) -> Result<u64, FrameError> {
        let (word, rest) = self.0.split_first_chunk::<8>().ok_or(FrameError::Length)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*word))
    }

    /// Of rows; more than could ever be seen would overflow when windows are merged.
    fn count(&mut self) -> Result<u64, FrameError> {
        self.word().and_then(
            |count| {
                if count <= MOST_ROWS { Ok(count) } else { Err(FrameError::Content) }
            },
        )
    }

    fn float(&mut self) -> Result<f64, FrameError> {
        self.word().map(f64::from_bits)
    }

    fn image(&mut self) -> Result<&'a [u8], FrameError> {
        let length = usize::try_from(self.word()?).map_err(|_| FrameError::Length)?;
        let (image, rest) = self.0.split_at_checked(length).ok_or(FrameError::Length)?;
        self.0 = rest;
        Ok(image)
    }

    fn end(self) -> Result<(), FrameError> {
        if self.0.is_empty() { Ok(()) } else { Err(FrameError::Length) }
    }
}
