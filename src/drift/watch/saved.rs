//! A watch as bytes, and one that goes on from them.
//!
//! Kept are open windows, the closed ones that the next are merged with, the last, and examples; not
//! totals, which count since the process started. Features are found by name: one that is watched no
//! more is left out, and one that is new begins with nothing.

use super::{KEPT_WINDOWS, Kept, MOST_REPEATED, Watch, Watched, Windows};
use crate::drift::baseline::{Baseline, BaselineFeature};
use crate::drift::dependence::{HoursOfDay, RowBlocks};
use crate::drift::examples::Examples;
use crate::drift::found::Found;
use crate::drift::history::TakenHistory;
use crate::drift::provenance::Sampled;
use crate::drift::quality::{Extras, Runs};
use crate::sketch::{
    EdgesDiffer, FeatureCounts, FeatureSketch, FrameError, Packer, Repeats, Role, Unpacker,
    ValueKey,
};
use jiff::Timestamp;
use std::sync::Arc;

/// Features after which the length of all is known well enough.
const SAMPLE: usize = 16;

/// Of a watch at one moment; packed without it.
#[derive(Debug)]
pub(in crate::drift) struct Taken {
    baseline: Arc<Baseline>,
    watched: Vec<TakenFeature>,
}

#[derive(Debug)]
struct TakenFeature {
    /// Its place in the baseline.
    feature: usize,
    windows: Vec<Windows>,
    carried: Option<FeatureSketch>,
    last: Option<FeatureCounts>,
    examples: Examples,
    blocks: RowBlocks,
    repeats: Option<Repeats>,
}

impl Watch {
    /// Packs what is small, and copies the rest.
    pub(in crate::drift) fn take(&self, packer: &mut Packer) -> Taken {
        packer.size(self.open_rows.len());
        packer.word(self.closed);
        for (rows, opened_at) in self.open_rows.iter().zip(&self.opened_at) {
            packer.counts(rows);
            packer.word(*opened_at);
        }
        self.extras.iter().for_each(|extras| extras.save(packer));
        self.sampled.iter().for_each(|sampled| sampled.save(packer));
        if let Some(joint) = &self.joint {
            joint.save(packer);
        }
        let watched = self.watched.iter().map(Watched::taken).collect();
        Taken { baseline: Arc::clone(&self.baseline), watched }
    }

    /// Of as many levels as there are now; where it fails, `self` is not to be used.
    pub(in crate::drift) fn restore(&mut self, saved: &mut Unpacker<'_>) -> Result<(), FrameError> {
        if saved.size(usize::MAX)? != self.open_rows.len() {
            return Err(FrameError::Content);
        }
        self.closed = saved.count()?;
        for (rows, opened_at) in self.open_rows.iter_mut().zip(&mut self.opened_at) {
            saved.counts(rows)?;
            *opened_at = saved.count()?;
        }
        for extras in &mut self.extras {
            *extras = Extras::restored(saved)?;
        }
        for sampled in &mut self.sampled {
            *sampled = Sampled::restored(saved)?;
        }
        if let Some(joint) = &mut self.joint {
            joint.restore(saved)?;
        }
        for watched in &mut self.watched {
            watched.begin_within(&self.baseline, &self.open_rows);
        }
        for _ in 0..saved.size(usize::MAX)? {
            let role = usize::from(saved.flag()?);
            let name = saved.text()?;
            let content = saved.bytes()?;
            if let Some(watched) = self.index[role].get(name) {
                let watched = &mut self.watched[*watched];
                let feature = &self.baseline.features()[watched.feature];
                watched.restore(feature, Unpacker::new(content))?;
            }
        }
        Ok(())
    }

    pub(in crate::drift) fn take_history(&self) -> TakenHistory {
        self.history.take()
    }

    pub(in crate::drift) fn restore_history(
        &mut self,
        saved: &mut Unpacker<'_>,
        open: &[Timestamp],
    ) -> Result<(), FrameError> {
        self.history.restore(saved, open)
    }
}

impl Taken {
    pub(in crate::drift) fn pack(self, packer: &mut Packer) {
        let features = self.watched.len();
        packer.size(features);
        let before = packer.len();
        for (packed, watched) in self.watched.into_iter().enumerate() {
            if packed == SAMPLE {
                // The others are about as long.
                packer.reserve((packer.len() - before) / SAMPLE * (features - SAMPLE) / 8 * 9);
            }
            let feature = &self.baseline.features()[watched.feature];
            packer.flag(feature.key().role == Role::Output);
            packer.text(&feature.key().name);
            let mut content = Packer::default();
            watched.pack(&mut content);
            packer.bytes(&content.into_bytes());
        }
    }
}

impl TakenFeature {
    fn pack(&self, packer: &mut Packer) {
        packer.flag(self.last.is_some());
        self.last.iter().for_each(|last| last.pack(packer));
        for (level, windows) in self.windows.iter().enumerate() {
            let carried = self.carried.as_ref().filter(|_| level == 0);
            match carried {
                Some(carried) => {
                    let mut open = windows.open.clone();
                    let _: Result<(), EdgesDiffer> = open.merge(carried);
                    packer.bytes(&open.to_bytes());
                }
                None => packer.bytes(&windows.open.to_bytes()),
            }
            windows.runs.save(packer);
            packer.word(windows.rows_before);
            packer.flag(windows.since.is_some());
            packer.signed(windows.since.unwrap_or_default().as_microsecond());
            packer.size(windows.kept.len());
            windows.kept.iter().for_each(|kept| kept.save(packer));
            let mut again: Vec<_> = windows.repeated.iter().map(|(key, n)| (*key, *n)).collect();
            again.sort_unstable();
            save_repeated(&again, packer);
            windows.found.save(packer);
        }
        self.examples.save(packer);
        self.blocks.save(packer);
        self.repeats.iter().for_each(|repeats| repeats.pack(packer));
    }
}

impl Watched {
    fn taken(&self) -> TakenFeature {
        TakenFeature {
            feature: self.feature,
            windows: self.windows.clone(),
            carried: self.carried.clone(),
            last: self.last.clone(),
            examples: self.examples.clone(),
            blocks: self.blocks.clone(),
            repeats: self.repeats.clone(),
        }
    }

    fn restore(
        &mut self,
        feature: &BaselineFeature,
        mut saved: Unpacker<'_>,
    ) -> Result<(), FrameError> {
        let none = feature.content.no_counts();
        if saved.flag()? {
            self.last = Some(none.unpack(&mut saved)?);
        }
        for (level, windows) in self.windows.iter_mut().enumerate() {
            let Windows { open, runs, rows_before, kept, since, repeated, found } = windows;
            let saved_open = open.read(saved.bytes()?)?;
            if level == 0 {
                self.carried = Some(saved_open);
            } else {
                *open = saved_open;
            }
            *runs = Runs::restored(&mut saved)?;
            *rows_before = saved.count()?;
            let (is_since, at) = (saved.flag()?, saved.signed()?);
            let at = Timestamp::from_microsecond(at).map_err(|_| FrameError::Content)?;
            *since = is_since.then_some(at);
            for _ in 0..saved.size(KEPT_WINDOWS)? {
                kept.push_back(Arc::new(Kept::restored(&none, &mut saved)?));
            }
            *repeated = restored_repeated(&mut saved)?.into_iter().collect();
            *found = Found::restored(&mut saved)?;
        }
        self.examples.restore(feature, &mut saved)?;
        self.blocks.restore(&mut saved)?;
        if let Some(repeats) = &mut self.repeats {
            repeats.unpack(&mut saved)?;
        }
        saved.end()
    }
}

impl Kept {
    fn save(&self, packer: &mut Packer) {
        let Self { counts, repeated, significant_alone, hours } = self;
        packer.flag(*significant_alone);
        counts.pack(packer);
        save_repeated(repeated, packer);
        packer.flag(hours.is_some());
        if let Some(hours) = hours {
            hours.save(packer);
        }
    }

    fn restored(none: &FeatureCounts, saved: &mut Unpacker<'_>) -> Result<Self, FrameError> {
        let significant_alone = saved.flag()?;
        let counts = none.unpack(saved)?;
        let repeated = restored_repeated(saved)?;
        let hours = if saved.flag()? { Some(HoursOfDay::restored(saved)?) } else { None };
        Ok(Self { counts, repeated, significant_alone, hours })
    }
}

fn save_repeated(repeated: &[(ValueKey, u32)], packer: &mut Packer) {
    packer.size(repeated.len());
    for (key, count) in repeated {
        packer.hash(*key);
        packer.word((*count).into());
    }
}

fn restored_repeated(saved: &mut Unpacker<'_>) -> Result<Vec<(ValueKey, u32)>, FrameError> {
    let mut repeated = Vec::new();
    for _ in 0..saved.size(4 * MOST_REPEATED)? {
        let key = saved.hash()?;
        // Four windows are added up.
        let count = u32::try_from(saved.word()?).map_err(|_| FrameError::Content)?;
        repeated.push((key, count.min(u32::MAX / 8)));
    }
    Ok(repeated)
}
