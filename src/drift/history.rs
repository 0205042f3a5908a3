//! Closed windows that later ones are compared with: counts in, packed; the one asked for out.
//!
//! Held are only those that a reference can still ask for. The promise: never more bytes than the
//! bound. Where the past of the shortest windows does not fit, only the last of them is kept, and
//! their hour, where hours are kept, stands in for what was let go.

use super::WindowSpan;
use super::baseline::{Baseline, BaselineFeature};
use super::references::{Earlier, HeldReferences};
use crate::sketch::{FeatureCounts, FrameError, Packer, Unpacker};
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Beside the counts of one window.
const WINDOW_OVERHEAD_BYTES: usize = 96;
/// More than a week of any windows that the bound on bytes has room for.
const MOST_WINDOWS: usize = 1 << 20;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[derive(Debug, Default)]
pub(super) struct History {
    /// By level, finest first.
    levels: Vec<Level>,
    bytes: usize,
    max_bytes: usize,
    /// The longest that a reference looks back.
    furthest: Option<SignedDuration>,
    forgotten: u64,
}

#[derive(Debug, Default)]
struct Level {
    /// Oldest first.
    windows: VecDeque<Past>,
    /// There is no room for as many as would be asked for: only the last is kept.
    is_short: bool,
}

/// A closed window.
#[derive(Debug, Clone)]
struct Past {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    /// Of each feature its place in the baseline and its counts, one after the other.
    packed: Arc<[u8]>,
}

/// All that is held at one moment; shared, not copied.
#[derive(Debug)]
pub(super) struct TakenHistory {
    levels: Vec<VecDeque<Past>>,
    forgotten: u64,
    bytes: usize,
}

/// An earlier window that was asked for.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) level: usize,
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
    /// By place in the baseline.
    pub(super) counts: Vec<Option<FeatureCounts>>,
}

/// What is asked of the past, and how much of it may be held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) references: &'a [Earlier],
    pub(super) max_bytes: usize,
}

impl History {
    pub(super) fn new(levels: usize) -> Self {
        let levels = std::iter::repeat_with(Level::default).take(levels).collect();
        Self { levels, ..Self::default() }
    }

    pub(super) fn held(&self) -> HeldReferences {
        HeldReferences {
            windows: self.levels.iter().map(|level| level.windows.len() as u64).sum(),
            bytes: self.bytes as u64,
            max_bytes: self.max_bytes as u64,
            forgotten: self.forgotten,
        }
    }

    /// The window that `span` is to be compared with, if it is held.
    pub(super) fn find(
        &self,
        earlier: Earlier,
        span: &WindowSpan,
        baseline: &Baseline,
    ) -> Option<Found> {
        let (level, past) = match earlier.before() {
            None => (span.level, self.levels.get(span.level)?.windows.back()?),
            Some(before) => self.around(span, before)?,
        };
        let counts = past.counts(baseline.features()).ok()?;
        Some(Found { level, start: past.start, end: past.end, counts })
    }

    /// The nearest that began about so long before; else, of shorter windows, the hour it was in.
    fn around(&self, span: &WindowSpan, before: SignedDuration) -> Option<(usize, &Past)> {
        let (start, length) = (span.start?, length(span.start, span.end)?);
        if length > before {
            return None;
        }
        let at = start.checked_sub(before).ok()?;
        let same = self.levels.get(span.level)?.windows.iter();
        let apart = |past: &Past| Some(past.start?.duration_since(at).abs());
        let same = same.filter_map(|past| Some((apart(past)?, past)));
        let nearest = same.min_by_key(|(apart, _)| *apart).filter(|(apart, _)| *apart < length);
        if let Some((_, past)) = nearest {
            return Some((span.level, past));
        }
        let longer = self.levels.iter().enumerate().skip(span.level + 1);
        let mut longer = longer.flat_map(|(level, of)| of.windows.iter().map(move |w| (level, w)));
        longer.find(|(_, past)| past.is_within_an_hour() && past.holds(at))
    }

    /// Takes a closed window in, and lets go of what nobody will ask for again.
    pub(super) fn push<'a>(
        &mut self,
        wanted: Wanted<'_>,
        span: &WindowSpan,
        counts: impl Iterator<Item = (usize, &'a FeatureCounts)>,
    ) {
        if wanted.references.is_empty() {
            self.keep_for(wanted);
            return;
        }
        let mut packer = Packer::default();
        for (place, counts) in counts {
            packer.size(place);
            counts.pack(&mut packer);
        }
        let of_window = packer.into_bytes().into();
        if let Some(level) = self.levels.get_mut(span.level) {
            let past = Past { start: span.start, end: span.end, packed: of_window };
            self.bytes += past.bytes();
            level.windows.push_back(past);
        }
        self.keep_for(wanted);
    }

    /// Keeps only what is wanted, and fits.
    pub(super) fn keep_for(&mut self, wanted: Wanted<'_>) {
        let furthest = wanted.references.iter().filter_map(|earlier| earlier.before()).max();
        if (wanted.max_bytes, furthest) != (self.max_bytes, self.furthest) {
            self.levels.iter_mut().for_each(|level| level.is_short = false);
        }
        (self.max_bytes, self.furthest) = (wanted.max_bytes, furthest);
        for level in &mut self.levels {
            level.let_go_of_old(if level.is_short { None } else { furthest });
            if wanted.references.is_empty() {
                level.windows.clear();
            }
        }
        self.count_bytes();
        while self.bytes > self.max_bytes && self.shorten() {
            self.count_bytes();
        }
    }

    fn count_bytes(&mut self) {
        let windows = self.levels.iter().flat_map(|level| &level.windows);
        self.bytes = windows.map(Past::bytes).sum();
    }

    /// Lets windows of one level go, the finest that has some; false if there are none at all.
    fn shorten(&mut self) -> bool {
        let long = self.levels.iter().position(|level| !level.is_short && level.windows.len() > 1);
        let any = || self.levels.iter().position(|level| !level.windows.is_empty());
        let Some(level) = long.or_else(any).and_then(|level| self.levels.get_mut(level)) else {
            return false;
        };
        let before = level.windows.len();
        if long.is_some() {
            level.is_short = true;
            level.let_go_of_old(None);
        } else {
            level.windows.clear();
        }
        self.forgotten += (before - level.windows.len()) as u64;
        true
    }

    pub(super) fn take(&self) -> TakenHistory {
        let levels = self.levels.iter().map(|level| level.windows.clone()).collect();
        TakenHistory { levels, forgotten: self.forgotten, bytes: self.bytes }
    }

    /// Of as many levels as there are now, without windows that began when an open one did, or later.
    /// What is in a window is looked at when it is asked for.
    pub(super) fn restore(
        &mut self,
        saved: &mut Unpacker<'_>,
        open: &[Timestamp],
    ) -> Result<(), FrameError> {
        let mut history = Self::new(self.levels.len());
        history.forgotten = saved.count()?;
        if saved.size(usize::MAX)? != history.levels.len() {
            return Err(FrameError::Content);
        }
        for (level, open) in history.levels.iter_mut().zip(open) {
            for _ in 0..saved.size(MOST_WINDOWS)? {
                let time =
                    |micros| Timestamp::from_microsecond(micros).map_err(|_| FrameError::Content);
                let (start, end) = (time(saved.signed()?)?, time(saved.signed()?)?);
                if start >= end {
                    return Err(FrameError::Content);
                }
                let packed = saved.bytes()?.into();
                if start >= *open {
                    continue;
                }
                level.windows.push_back(Past { start: Some(start), end: Some(end), packed });
            }
        }
        history.count_bytes();
        (history.max_bytes, history.furthest) = (self.max_bytes, self.furthest);
        *self = history;
        Ok(())
    }
}

impl TakenHistory {
    pub(super) fn pack(&self, packer: &mut Packer) {
        packer.reserve(self.bytes);
        packer.word(self.forgotten);
        packer.size(self.levels.len());
        for windows in &self.levels {
            packer.size(windows.len());
            for past in windows {
                let [start, end] = [past.start, past.end].map(Option::unwrap_or_default);
                packer.signed(start.as_microsecond());
                packer.signed(end.as_microsecond());
                packer.bytes(&past.packed);
            }
        }
    }
}

impl Level {
    /// The last stays; before it those that began no longer than that before its end.
    fn let_go_of_old(&mut self, furthest: Option<SignedDuration>) {
        let newest = self.windows.back().and_then(|past| Some((past.end?, past.length()?)));
        let oldest_wanted = furthest.zip(newest).and_then(|(furthest, (end, length))| {
            let reach = if length > furthest { length } else { furthest + length };
            end.checked_sub(reach).ok()
        });
        while self.windows.len() > 1 {
            let start = self.windows.front().and_then(|past| past.start);
            match oldest_wanted.zip(start) {
                Some((wanted, start)) if start >= wanted => return,
                _ => self.windows.pop_front(),
            };
        }
    }
}

impl Past {
    fn bytes(&self) -> usize {
        self.packed.len() + WINDOW_OVERHEAD_BYTES
    }

    fn length(&self) -> Option<SignedDuration> {
        length(self.start, self.end)
    }

    fn is_within_an_hour(&self) -> bool {
        self.length().is_some_and(|length| length <= HOUR)
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.start.is_some_and(|start| start <= at) && self.end.is_some_and(|end| at < end)
    }

    fn counts(
        &self,
        features: &[BaselineFeature],
    ) -> Result<Vec<Option<FeatureCounts>>, FrameError> {
        let mut counts: Vec<Option<FeatureCounts>> = vec![None; features.len()];
        let mut packed = Unpacker::new(&self.packed);
        while !packed.is_empty() {
            let place = packed.size(features.len().saturating_sub(1))?;
            let feature = features.get(place).ok_or(FrameError::Content)?;
            counts[place] = Some(feature.content.no_counts().unpack(&mut packed)?);
        }
        Ok(counts)
    }
}

fn length(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<SignedDuration> {
    Some(end?.duration_since(start?)).filter(SignedDuration::is_positive)
}
