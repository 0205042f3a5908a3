//! Whether drift was found in the last windows of one length: each verdict in; what persistence makes of
//! them, out.

use super::Persistence;
use crate::sketch::{FrameError, Packer, Unpacker};
use std::collections::VecDeque;

/// More windows in a row than anyone asks drift to be found in.
const MOST: usize = 1 << 16;

/// Oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Found(VecDeque<bool>);

impl Found {
    /// Whether it is called drifting, now that this window was `found` to drift or not. One that was not
    /// judged says neither, and is none of the windows that are looked at.
    pub(super) fn push(&mut self, persistence: Persistence, found: Option<bool>) -> bool {
        let Some(found) = found else { return false };
        self.0.push_back(found);
        while self.0.len() > persistence.windows() {
            self.0.pop_front();
        }
        persistence.holds(self.0.iter().copied())
    }

    /// In any of the windows that are looked at.
    pub(super) fn any(&self) -> bool {
        self.0.iter().any(|found| *found)
    }

    pub(super) fn save(&self, packer: &mut Packer) {
        packer.size(self.0.len());
        self.0.iter().for_each(|found| packer.flag(*found));
    }

    pub(super) fn restored(saved: &mut Unpacker<'_>) -> Result<Self, FrameError> {
        let mut found = VecDeque::new();
        for _ in 0..saved.size(MOST)? {
            found.push_back(saved.flag()?);
        }
        Ok(Self(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    #[test]
    fn windows_without_a_verdict_are_passed_over() {
        let count = |n| NonZeroUsize::new(n).unwrap();
        let persistence = Persistence::new(count(2), count(3)).unwrap();
        let mut found = Found::default();
        let told = [Some(true), None, Some(true), None, Some(false), Some(false), Some(true)]
            .map(|window| found.push(persistence, window));
        assert_eq!(told, [false, false, true, false, true, false, false]);
        let mut packer = Packer::default();
        found.save(&mut packer);
        let bytes = packer.into_bytes();
        let mut restored = Found::restored(&mut Unpacker::new(&bytes)).unwrap();
        assert!(restored.push(persistence, Some(true)) && found.push(persistence, Some(true)));
    }
}
