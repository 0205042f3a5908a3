//! Windows of sketches as bytes and back: counts alone, or whole sketches, each in a [`frame`].
//!
//! Values are [`packed`](super::packed) in the order of the fields; Apache images follow, each after its
//! length. A window is only read back on the edges or levels on which it was made.

use super::frame::{self, Content, FrameError};
use super::packed::{Packer, Unpacker};
use super::weighting::{Weighed, Weighting};
use super::{
    CategoricalCounts, CategoricalSketch, Edges, FeatureCounts, FeatureSketch, Levels,
    NumericCounts, NumericSketch,
};
use datasketches::frequencies::FrequentItemsSketch;
use datasketches::hll::HllSketch;
use datasketches::kll::KllSketch;
use std::sync::Arc;

impl NumericSketch {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut packer = Packer::default();
        packer.hash(self.counts.edges.hash());
        self.counts.pack(&mut packer);
        packer.bytes(&self.quantiles.serialize());
        frame::seal(Content::Numeric, &packer.into_bytes())
    }

    pub fn from_bytes(bytes: &[u8], edges: Arc<Edges>) -> Result<Self, FrameError> {
        let mut reader = Unpacker::new(frame::open(Content::Numeric, bytes)?);
        if reader.hash()? != edges.hash() {
            return Err(FrameError::Edges);
        }
        let counts = NumericCounts::unpack(&mut reader, edges)?;
        let quantiles = KllSketch::deserialize(reader.bytes()?).map_err(|_| FrameError::Content)?;
        if quantiles.n() != counts.values() {
            return Err(FrameError::Content);
        }
        reader.end()?;
        Ok(Self { counts, quantiles })
    }
}

impl NumericCounts {
    fn pack(&self, packer: &mut Packer) {
        let Self {
            edges: _,
            bins,
            sums,
            squares,
            min,
            max,
            zeros,
            nulls,
            nans,
            infinities,
            below,
            above,
            type_errors,
            weighting,
        } = self;
        packer.counts(bins);
        // A bin without rows has a sum of nothing.
        let filled = bins.iter().zip(sums).filter(|(rows, _)| **rows > 0);
        filled.for_each(|(_, sum)| packer.float(*sum));
        if self.values() > 0 {
            for float in [squares, min, max] {
                packer.float(*float);
            }
        }
        packer.counts(&[*zeros, *nulls, *nans, *infinities, *below, *above, *type_errors]);
        weighting.pack(packer, || self.cells());
    }

    fn unpack(reader: &mut Unpacker<'_>, edges: Arc<Edges>) -> Result<Self, FrameError> {
        let mut counts = Self::new(edges);
        reader.counts(&mut counts.bins)?;
        for (rows, sum) in counts.bins.iter().zip(&mut counts.sums) {
            if *rows > 0 {
                *sum = reader.float()?;
            }
        }
        let values = counts.values();
        if values > 0 {
            (counts.squares, counts.min, counts.max) =
                (reader.float()?, reader.float()?, reader.float()?);
        }
        let mut others = [0; 7];
        reader.counts(&mut others)?;
        [
            counts.zeros,
            counts.nulls,
            counts.nans,
            counts.infinities,
            counts.below,
            counts.above,
            counts.type_errors,
        ] = others;
        if counts.below + counts.above > values || counts.zeros > values {
            return Err(FrameError::Content);
        }
        counts.weighting = Weighting::unpack(reader, counts.cells())?;
        Ok(counts)
    }
}

impl CategoricalSketch {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut packer = Packer::default();
        packer.hash(self.counts.levels.hash());
        self.counts.pack(&mut packer);
        packer.bytes(&self.frequent.serialize());
        packer.bytes(&self.distinct.serialize());
        frame::seal(Content::Categorical, &packer.into_bytes())
    }

    pub fn from_bytes(bytes: &[u8], levels: Arc<Levels>) -> Result<Self, FrameError> {
        let mut reader = Unpacker::new(frame::open(Content::Categorical, bytes)?);
        if reader.hash()? != levels.hash() {
            return Err(FrameError::Edges);
        }
        let counts = CategoricalCounts::unpack(&mut reader, levels)?;
        let frequent = frequent_items(reader.bytes()?)?;
        // Each row of an unknown level was given to it, with a weight of one.
        if frequent.total_weight() != counts.other || frequent.maximum_error() > counts.other {
            return Err(FrameError::Content);
        }
        let distinct = HllSketch::deserialize(reader.bytes()?).map_err(|_| FrameError::Content)?;
        if distinct.lg_config_k() != Self::DISTINCT_LG_K {
            return Err(FrameError::Content);
        }
        reader.end()?;
        Ok(Self { counts, frequent, distinct })
    }
}

impl CategoricalCounts {
    fn pack(&self, packer: &mut Packer) {
        let Self { levels: _, rows, other, nulls, type_errors, weighting } = self;
        packer.counts(rows);
        packer.counts(&[*other, *nulls, *type_errors]);
        weighting.pack(packer, || self.cells());
    }

    fn unpack(reader: &mut Unpacker<'_>, levels: Arc<Levels>) -> Result<Self, FrameError> {
        let mut counts = Self::new(levels);
        reader.counts(&mut counts.rows)?;
        let mut others = [0; 3];
        reader.counts(&mut others)?;
        [counts.other, counts.nulls, counts.type_errors] = others;
        counts.weighting = Weighting::unpack(reader, counts.cells())?;
        Ok(counts)
    }
}

impl FeatureSketch {
    /// With its kind, its edges or levels, and a checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Numeric(sketch) => sketch.to_bytes(),
            Self::Categorical(sketch) => sketch.to_bytes(),
        }
    }

    /// Of the kind, and on the edges or levels, of `self`.
    pub fn read(&self, bytes: &[u8]) -> Result<Self, FrameError> {
        Ok(match self {
            Self::Numeric(like) => {
                Self::Numeric(NumericSketch::from_bytes(bytes, Arc::clone(&like.counts.edges))?)
            }
            Self::Categorical(like) => Self::Categorical(CategoricalSketch::from_bytes(
                bytes,
                Arc::clone(&like.counts.levels),
            )?),
        })
    }
}

impl FeatureCounts {
    /// Without a name for its kind, its edges or levels: who reads it knows them.
    pub fn pack(&self, packer: &mut Packer) {
        match self {
            Self::Numeric(counts) => counts.pack(packer),
            Self::Categorical(counts) => counts.pack(packer),
        }
    }

    /// Of the kind, and on the edges or levels, of `self`.
    pub fn unpack(&self, reader: &mut Unpacker<'_>) -> Result<Self, FrameError> {
        Ok(match self {
            Self::Numeric(like) => {
                Self::Numeric(NumericCounts::unpack(reader, Arc::clone(&like.edges))?)
            }
            Self::Categorical(like) => {
                Self::Categorical(CategoricalCounts::unpack(reader, Arc::clone(&like.levels))?)
            }
        })
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
