//! A watch as bytes, and one that goes on from them.
//!
//! Kept are open windows, the closed ones that the next are merged with, the last, and examples; not
//! totals, which count since the process started. Features are found by name: one that is watched no
//! more is left out, and one that is new begins with nothing.

use super::{KEPT_WINDOWS, Kept, Watch, Watched, Windows};
use crate::drift::baseline::BaselineFeature;
use crate::sketch::{EdgesDiffer, FrameError, Packer, Role, Unpacker};
use jiff::Timestamp;

impl Watch {
    pub(in crate::drift) fn save(&self, packer: &mut Packer) {
        packer.size(self.open_rows.len());
        packer.word(self.closed);
        for (rows, opened_at) in self.open_rows.iter().zip(&self.opened_at) {
            packer.counts(rows);
            packer.word(*opened_at);
        }
        packer.size(self.watched.len());
        for watched in &self.watched {
            let feature = &self.baseline.features()[watched.feature];
            packer.flag(feature.key().role == Role::Output);
            packer.text(&feature.key().name);
            let mut saved = Packer::default();
            watched.save(&mut saved);
            packer.bytes(&saved.into_bytes());
        }
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

    pub(in crate::drift) fn save_history(&self, packer: &mut Packer) {
        self.history.save(packer);
    }

    pub(in crate::drift) fn restore_history(
        &mut self,
        saved: &mut Unpacker<'_>,
        open: &[Timestamp],
    ) -> Result<(), FrameError> {
        self.history.restore(saved, open)
    }
}

impl Watched {
    fn save(&self, packer: &mut Packer) {
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
            packer.size(windows.kept.len());
            for Kept { counts, significant_alone } in &windows.kept {
                packer.flag(*significant_alone);
                counts.pack(packer);
            }
        }
        self.examples.save(packer);
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
        for (level, Windows { open, kept }) in self.windows.iter_mut().enumerate() {
            let saved_open = open.read(saved.bytes()?)?;
            if level == 0 {
                self.carried = Some(saved_open);
            } else {
                *open = saved_open;
            }
            for _ in 0..saved.size(KEPT_WINDOWS)? {
                let significant_alone = saved.flag()?;
                kept.push_back(Kept { counts: none.unpack(&mut saved)?, significant_alone });
            }
        }
        self.examples.restore(feature, &mut saved)?;
        saved.end()
    }
}
