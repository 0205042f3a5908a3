//! A monitor as bytes, to go on after a restart as if it had not stopped.
//!
//! What was counted is of use only beside what it is compared with: saved state names the baseline
//! that it was counted on, and is refused beside another. One that was learnt is saved as its file.

use super::attribution::Attributions;
use super::history::TakenHistory;
use super::monitor::{Origin, Phase};
use super::watch::{self, Watch};
use super::{Baseline, BaselineError, LearnedSegments, Monitor, Reference, Settings};
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
    #[error(
        "the baseline it had learnt is lost: the file of closed windows, which holds it, is missing or damaged"
    )]
    LearnedLost,
}

const LEARNING: u64 = 0;
const GIVEN: u64 = 1;
const LEARNED: u64 = 2;

/// A monitor at one moment: taken in the time that sketches take to copy, and packed without it.
#[derive(Debug)]
pub struct TakenMonitor {
    packer: Packer,
    /// Nothing of one that learns.
    watching: Option<(watch::Taken, Attributions)>,
}

/// What a monitor holds of earlier windows: it changes only when a window closes.
#[derive(Debug)]
pub struct TakenPast {
    of: Option<(Arc<Baseline>, TakenHistory)>,
}

impl TakenMonitor {
    /// After what was packed before it was taken.
    pub fn packed(self) -> Vec<u8> {
        let Self { mut packer, watching } = self;
        if let Some((watch, attributions)) = watching {
            watch.pack(&mut packer);
            attributions.save(&mut packer);
        }
        packer.into_bytes()
    }
}

impl TakenPast {
    pub fn pack(&self, packer: &mut Packer) {
        if let Some((baseline, history)) = &self.of {
            packer.text(baseline.hash());
            history.pack(packer);
        }
    }
}

impl Monitor {
    /// Goes on where `packer` is. Without the baseline: one that was learnt is
    /// [`Self::learned_baseline`].
    pub fn take(&self, mut packer: Packer) -> TakenMonitor {
        let Phase::Watching { watch, origin } = &self.phase else {
            packer.word(LEARNING);
            return TakenMonitor { packer, watching: None };
        };
        match origin {
            Origin::Given => packer.word(GIVEN),
            Origin::Learned { over_limit } => {
                packer.word(LEARNED);
                packer.word(*over_limit);
            }
        }
        packer.text(watch.baseline().hash());
        let watching = Some((watch.take(&mut packer), self.attributions.clone()));
        TakenMonitor { packer, watching }
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
            (LEARNED, Reference::Learn { .. }, None) => return Err(StateError::LearnedLost),
            (GIVEN, ..) => return Err(StateError::Origin { saved: "a file", now }),
            (LEARNING | LEARNED, ..) => {
                return Err(StateError::Origin { saved: "learnt", now });
            }
            _ => return Err(FrameError::Content.into()),
        };
        of_baseline(saved.text()?, &baseline)?;
        let mut watch = Box::new(Watch::new(&settings, baseline));
        watch.restore(saved)?;
        let reference = Reference::Baseline(Arc::clone(watch.baseline()));
        let phase = Phase::Watching { watch, origin };
        let mut monitor = Self::new(settings, reference);
        monitor.phase = phase;
        monitor.attributions.restore(&monitor.settings, saved)?;
        Ok(monitor)
    }

    /// What segments have learnt of their own rows; `None` where that is nothing. Changes only when a
    /// window closes.
    pub fn learned_segments(&self) -> Option<LearnedSegments> {
        self.segments.as_ref().and_then(|segments| segments.learned())
    }

    /// Goes on with what segments had learnt, if there are segments still. Where it fails, some learn
    /// anew.
    pub fn restore_segments(&mut self, saved: &mut Unpacker<'_>) -> Result<(), StateError> {
        let hash = saved.text()?;
        let (Phase::Watching { watch, origin }, Some(segments)) = (&self.phase, &mut self.segments)
        else {
            return Ok(());
        };
        of_baseline(hash, watch.baseline())?;
        let reference = (watch.baseline(), origin.baselined());
        Ok(segments.restore(&self.settings, reference, saved)?)
    }

    /// What is held of earlier windows.
    pub fn take_past(&self) -> TakenPast {
        let Phase::Watching { watch, .. } = &self.phase else { return TakenPast { of: None } };
        TakenPast { of: Some((Arc::clone(watch.baseline()), watch.take_history())) }
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
        of_baseline(hash, watch.baseline())?;
        watch.restore_history(saved, open)?;
        watch.keep_for(&self.settings);
        Ok(())
    }
}

fn of_baseline(saved: &str, baseline: &Baseline) -> Result<(), StateError> {
    if saved == baseline.hash() {
        return Ok(());
    }
    let (saved, now) = (saved.to_owned(), baseline.hash().to_owned());
    Err(StateError::Baseline { saved, now })
}
