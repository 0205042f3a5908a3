//! What segments have learnt of their own first rows, as bytes and back. Without it a segment that
//! drifts would become its own reference by a restart.
//!
//! Open windows are not kept: they begin anew. A segment is found by its name, and learns anew where a
//! feature is watched that was not before.

use super::{Basis, Windows};
use crate::drift::baseline::{Baseline, BaselineFeature};
use crate::drift::segments::reference::Part;
use crate::drift::segments::registry::Registry;
use crate::sketch::{FeatureCounts, FrameError, Packer, Unpacker};
use std::collections::HashMap;
use std::sync::Arc;

/// Taken of a monitor at one moment: cheap, and packed without it.
#[derive(Debug)]
pub struct LearnedSegments {
    baseline: Arc<Baseline>,
    /// Places in the baseline.
    watched: Vec<usize>,
    /// By the name of the segment.
    bases: Vec<(Arc<str>, Own)>,
}

/// Of all watched features, in their order.
#[derive(Debug)]
enum Own {
    Learned(Arc<[BaselineFeature]>),
    Learning { counts: Vec<FeatureCounts>, rows: u64 },
}

impl LearnedSegments {
    pub fn pack(&self, packer: &mut Packer) {
        packer.text(self.baseline.hash());
        packer.size(self.watched.len());
        self.watched.iter().for_each(|place| packer.size(*place));
        packer.size(self.bases.len());
        for (name, own) in &self.bases {
            packer.text(name);
            match own {
                Own::Learned(features) => {
                    packer.flag(true);
                    features.iter().for_each(|feature| feature.content.counts().pack(packer));
                }
                Own::Learning { counts, rows } => {
                    packer.flag(false);
                    packer.word(*rows);
                    for counts in counts {
                        counts.pack(packer);
                    }
                }
            }
        }
    }
}

impl Windows {
    /// `None` where nothing is learnt.
    pub(in crate::drift::segments) fn learned(
        &self,
        registry: &Registry,
    ) -> Option<LearnedSegments> {
        let segments = self.segments.iter().zip(registry.names());
        let bases = segments.filter_map(|(segment, name)| {
            let own = match &segment.as_ref()?.basis {
                Basis::Learned(features) => Own::Learned(Arc::clone(features)),
                Basis::Learning { counts, rows } if *rows > 0 => {
                    Own::Learning { counts: counts.clone(), rows: *rows }
                }
                _ => return None,
            };
            Some((Arc::clone(name), own))
        });
        let bases: Vec<_> = bases.collect();
        let (baseline, watched) = (Arc::clone(&self.baseline), self.watched.clone());
        (!bases.is_empty()).then_some(LearnedSegments { baseline, watched, bases })
    }

    /// Goes on with what was packed after the hash of this baseline, of segments that there is room for.
    pub(in crate::drift::segments) fn restore(
        &mut self,
        registry: &mut Registry,
        saved: &mut Unpacker<'_>,
    ) -> Result<(), FrameError> {
        let baseline = Arc::clone(&self.baseline);
        let features = baseline.features();
        let mut places = Vec::new();
        for _ in 0..saved.size(features.len())? {
            places.push(saved.size(features.len().saturating_sub(1))?);
        }
        for _ in 0..saved.size(usize::MAX)? {
            let name = saved.text()?;
            let rows = if saved.flag()? { None } else { Some(saved.count()?) };
            let mut known = HashMap::new();
            for place in &places {
                known.insert(*place, features[*place].content.no_counts().unpack(saved)?);
            }
            let own: Option<Vec<_>> =
                self.watched.iter().map(|place| known.remove(place)).collect();
            if let Some(counts) = own {
                self.resume(registry, name, counts, rows);
            }
        }
        Ok(())
    }

    /// `rows` where not enough are learnt from.
    fn resume(
        &mut self,
        registry: &mut Registry,
        name: &str,
        counts: Vec<FeatureCounts>,
        rows: Option<u64>,
    ) {
        let place = registry.adopt(name).and_then(|id| self.place(registry, id));
        let Some(segment) = place.and_then(|place| self.segments[place].as_mut()) else { return };
        if !matches!(segment.basis, Basis::Learning { .. }) {
            return;
        }
        segment.basis = if let Some(rows) = rows {
            Basis::Learning { counts, rows }
        } else {
            let features = self.watched.iter().map(|place| &self.baseline.features()[*place]);
            let learned = features.zip(counts);
            let learned =
                learned.map(|(feature, counts)| feature.with_counts(counts, Part::Beside));
            Basis::Learned(learned.collect())
        };
    }
}
