//! A monitor as bytes, to go on after a restart as if it had not stopped.
//!
//! What was counted is of use only beside what it is compared with: saved state names the baseline
//! that it was counted on, and is refused beside another. One that was learnt is saved as its file.

use super::monitor::{Origin, Phase};
use super::watch::Watch;
use super::{Baseline, BaselineError, Monitor, Reference, Settings};
use crate::sketch::{FrameError, Packer, Unpacker};
use jiff::Timestamp;
use std::sync::Arc;

/// Why saved state is not gone on from.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Content(#[from] FrameError),
    #[error("it was counted on the baseline {saved}, and {now} is in use")]
    Baseline { saved: String, now: String },
    #[error("its baseline was {saved}, and now it is {now}")]
    Origin { saved: &'static str, now: &'static str },
    #[error("the baseline it had learnt cannot be read")]
    Learned(#[source] BaselineError),
}

const LEARNING: u64 = 0;
const GIVEN: u64 = 1;
const LEARNED: u64 = 2;

impl Monitor {
    /// Without the baseline: one that was learnt is [`Self::learned_baseline`].
    pub fn save(&self, packer: &mut Packer) {
        match &self.phase {
            Phase::Learning { .. } => packer.word(LEARNING),
            Phase::Watching { watch, origin } => {
                match origin {
                    Origin::Given => packer.word(GIVEN),
                    Origin::Learned { over_limit } => {
                        packer.word(LEARNED);
                        packer.word(*over_limit);
                    }
                }
                packer.text(watch.baseline().hash());
                watch.save(packer);
            }
        }
    }

    pub fn learned_baseline(&self) -> Option<&Arc<Baseline>> {
        match &self.phase {
            Phase::Watching { watch, origin: Origin::Learned { .. } } => Some(watch.baseline()),
            Phase::Watching { .. } | Phase::Learning { .. } => None,
        }
    }

    /// One that goes on where the saved one was. `learned` is the file of the baseline that it had
    /// learnt.
    pub fn restored(
        settings: Settings,
        reference: Reference,
        saved: &mut Unpacker<'_>,
        learned: Option<&[u8]>,
    ) -> Result<Self, StateError> {
        let now = match &reference {
            Reference::Baseline(_) => "a file",
            Reference::Learn { .. } => "to be learnt",
        };
        let (baseline, origin) = match (saved.word()?, reference, learned) {
            (LEARNING, reference @ Reference::Learn { .. }, _) => {
                return Ok(Self::new(settings, reference));
            }
            (GIVEN, Reference::Baseline(baseline), _) => (baseline, Origin::Given),
            (LEARNED, Reference::Learn { .. }, Some(json)) => {
                let over_limit = saved.count()?;
                let baseline = Baseline::from_json(json).map_err(StateError::Learned)?;
                (Arc::new(baseline), Origin::Learned { over_limit })
            }
            (LEARNED, Reference::Learn { .. }, None) => return Err(FrameError::Content.into()),
            (GIVEN, ..) => return Err(StateError::Origin { saved: "a file", now }),
            (LEARNING | LEARNED, ..) => {
                return Err(StateError::Origin { saved: "learnt", now });
            }
            _ => return Err(FrameError::Content.into()),
        };
        let hash = saved.text()?;
        if hash != baseline.hash() {
            let (saved, now) = (hash.to_owned(), baseline.hash().to_owned());
            return Err(StateError::Baseline { saved, now });
        }
        let mut watch = Box::new(Watch::new(&settings, baseline));
        watch.restore(saved)?;
        let reference = Reference::Baseline(Arc::clone(watch.baseline()));
        let phase = Phase::Watching { watch, origin };
        let mut monitor = Self::new(settings, reference);
        monitor.phase = phase;
        Ok(monitor)
    }

    /// What is held of earlier windows, apart: it changes only when a window closes.
    pub fn save_history(&self, packer: &mut Packer) {
        if let Phase::Watching { watch, .. } = &self.phase {
            packer.text(watch.baseline().hash());
            watch.save_history(packer);
        }
    }

    /// Without windows that began at a level's `open` or later: those are not closed.
    pub fn restore_history(
        &mut self,
        saved: &mut Unpacker<'_>,
        open: &[Timestamp],
    ) -> Result<(), StateError> {
        let hash = saved.text()?;
        let Phase::Watching { watch, .. } = &mut self.phase else {
            return Err(StateError::Origin { saved: "in use", now: "to be learnt" });
        };
        if hash != watch.baseline().hash() {
            let (saved, now) = (hash.to_owned(), watch.baseline().hash().to_owned());
            return Err(StateError::Baseline { saved, now });
        }
        watch.restore_history(saved, open)?;
        watch.keep_for(&self.settings);
        Ok(())
    }
}
